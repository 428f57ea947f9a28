use super::*;
use crate::nn::NetworkPart;
use crate::optim::{Optimiser, OptimiserState};

/// Hidden weights of three entries, an output weight of one, and parameters that do not decay.
fn layout() -> ParamLayout {
    let mut layout = ParamLayout::default();
    layout.push(
        "0.weight".into(),
        NetworkPart::Actor,
        ParamRole::Weight,
        &[1, 3],
    );
    layout.push("0.bias".into(), NetworkPart::Actor, ParamRole::Bias, &[1]);
    layout.push("0.norm".into(), NetworkPart::Actor, ParamRole::Norm, &[1]);
    layout.push(
        "1.weight".into(),
        NetworkPart::Actor,
        ParamRole::Output,
        &[1, 1],
    );
    layout.push(
        "log_std".into(),
        NetworkPart::Actor,
        ParamRole::LogStd,
        &[1],
    );
    layout
}

fn parameters() -> Tensor {
    Tensor::from_slice(&[2.0f32, -4.0, 0.0, 5.0, 6.0, -8.0, 7.0])
}

fn initial() -> Tensor {
    Tensor::from_slice(&[1.0f32, -2.0, 2.0, 0.0, 0.0, 0.5, 0.0])
}

fn coupled(decays: &[WeightDecay]) -> Vec<f32> {
    let gradient = Tensor::ones_like(&parameters());
    apply_coupled_decay(decays, gradient, &parameters(), &initial(), &layout())
        .try_into()
        .unwrap()
}

#[test]
fn penalties_add_their_gradients() {
    let (l1, l2) = (
        WeightDecay::L1Decay(L1Decay { rate: 0.5 }),
        WeightDecay::L2Decay(L2Decay { rate: 0.25 }),
    );
    assert_eq!(coupled(&[l1]), [1.5, 0.5, 1.0, 1.0, 1.0, 0.5, 1.0]);
    assert_eq!(coupled(&[l2]), [1.5, 0.0, 1.0, 1.0, 1.0, -1.0, 1.0]);
    assert_eq!(coupled(&[l1, l2]), [2.0, -0.5, 1.0, 1.0, 1.0, -1.5, 1.0]);
    let decoupled = WeightDecay::DecoupledDecay(DecoupledDecay { rate: 0.5 });
    assert_eq!(coupled(&[decoupled]), [1.0; 7]);
}

#[test]
fn decoupled_decay_subtracts_from_the_weights() {
    let stepped = Tensor::zeros_like(&parameters());
    let decays = [
        WeightDecay::L2Decay(L2Decay { rate: 9.0 }),
        WeightDecay::DecoupledDecay(DecoupledDecay { rate: 0.5 }),
    ];
    let found = apply_decoupled_decay(&decays, stepped, &parameters(), &initial(), 0.25, &layout());
    let expected = [-0.25, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0f32];
    assert_eq!(found, Tensor::from_slice(&expected));
}

#[test]
fn the_arguments_are_not_written_to() {
    let gradient = parameters();
    let address = gradient.data_ptr();
    let same = apply_coupled_decay(&[], gradient, &parameters(), &initial(), &layout());
    assert_eq!(same.data_ptr(), address);
    let gradient = parameters();
    let alias = gradient.shallow_clone();
    let l2 = WeightDecay::L2Decay(L2Decay { rate: 0.25 });
    let _ = apply_coupled_decay(&[l2], gradient, &parameters(), &initial(), &layout());
    assert_eq!(alias, parameters());
}

#[test]
fn decay_matches_torchs_adamw_and_torchs_sgd_with_weight_decay() {
    use tch::nn::{self, OptimizerConfig};

    fn check(ours: Optimiser, decay: WeightDecay, theirs: impl OptimizerConfig) {
        let mut layout = ParamLayout::default();
        layout.push(
            "0.weight".into(),
            NetworkPart::Actor,
            ParamRole::Weight,
            &[4, 5],
        );
        let start: Vec<f32> = (0..20).map(|i| (i as f32 * 0.37).sin()).collect();
        let store = nn::VarStore::new(tch::Device::Cpu);
        let expected = store.root().var_copy("x", &Tensor::from_slice(&start));
        let mut torch = theirs.build(&store, 0.02).unwrap();
        let mut found = Tensor::from_slice(&start);
        let initial = Tensor::from_slice(&start);
        let mut state = OptimiserState::new(&ours, &found);
        for step in 0..30 {
            torch.backward_step(&(&expected - 1.0).square().sum(tch::Kind::Float));
            let before = found.shallow_clone();
            let gradient = (&before - 1.0) * 2.0;
            let gradient = apply_coupled_decay(&[decay], gradient, &before, &initial, &layout);
            let (stepped, next) = ours.step(&before, &gradient, &state, 0.02, &layout);
            found = apply_decoupled_decay(&[decay], stepped, &before, &initial, 0.02, &layout);
            state = next;
            let apart = (&found - &expected).abs().max().double_value(&[]);
            assert!(apart < 2e-6, "{decay:?}, step {step}: {apart} apart");
        }
    }

    let adamw = nn::AdamW {
        wd: 0.3,
        eps: 1e-5,
        ..nn::AdamW::default()
    };
    check(
        Optimiser::default(),
        WeightDecay::DecoupledDecay(DecoupledDecay { rate: 0.3 }),
        adamw,
    );
    let sgd = nn::Sgd {
        wd: 0.3,
        ..nn::Sgd::default()
    };
    let ours = Optimiser::Sgd(crate::optim::Sgd::default());
    check(ours, WeightDecay::L2Decay(L2Decay { rate: 0.3 }), sgd);
}

#[test]
fn a_rate_must_be_finite_and_not_negative() {
    for rate in [-1.0, f64::NAN, f64::INFINITY] {
        let bad = WeightDecay::L1Decay(L1Decay { rate }).check().unwrap_err();
        assert_eq!(bad.path, "l1.rate");
    }
    assert!(WeightDecay::L2Decay(L2Decay { rate: 0.0 }).check().is_ok());
}

/// The parameters after a step of no length.
fn constrained(decay: WeightDecay) -> Vec<f32> {
    let (parameters, initial) = (parameters(), initial());
    let stepped = parameters.copy();
    apply_decoupled_decay(&[decay], stepped, &parameters, &initial, 0.25, &layout())
        .try_into()
        .unwrap()
}

#[test]
fn towards_initial_pulls_by_the_distance() {
    let decay = WeightDecay::TowardsInitial(TowardsInitial { rate: 0.5 });
    assert_eq!(coupled(&[decay]), [1.5, 0.0, 0.0, 1.0, 1.0, -3.25, 1.0]);
    let unchanged = constrained(decay);
    assert_eq!(Tensor::from_slice(&unchanged), parameters());
}

#[test]
fn a_weight_clip_clamps_to_a_multiple_of_the_initial_range() {
    // The hidden layer starts within ±2, the output layer within ±0.5, below 1/√1.
    let decay = WeightDecay::WeightClip(WeightClip { factor: 1.5 });
    assert_eq!(constrained(decay), [2.0, -3.0, 0.0, 5.0, 6.0, -1.5, 7.0]);
    assert_eq!(coupled(&[decay]), [1.0; 7]);
}

#[test]
fn projection_restores_the_norm_of_hidden_weights() {
    // From a norm of √20 to 3.
    let found = constrained(WeightDecay::Project(Project {}));
    let scale = 3.0 / 20.0f32.sqrt();
    let expected = [2.0 * scale, -4.0 * scale, 0.0, 5.0, 6.0, -8.0, 7.0];
    let expected = Tensor::from_slice(&expected);
    assert!(Tensor::from_slice(&found).allclose(&expected, 1e-6, 0.0, false));
}

#[test]
fn constraints_follow_decoupled_decay() {
    // 2 − 1 · 0.5 · 2 = 1, then ±3 is no bound; −8 + 4 = −4 is bounded by 1.5.
    let decays = [
        WeightDecay::WeightClip(WeightClip { factor: 1.5 }),
        WeightDecay::DecoupledDecay(DecoupledDecay { rate: 0.5 }),
    ];
    let (parameters, initial) = (parameters(), initial());
    let stepped = parameters.copy();
    let found = apply_decoupled_decay(&decays, stepped, &parameters, &initial, 1.0, &layout());
    let expected = [1.0, -2.0, 0.0, 5.0, 6.0, -1.5, 7.0f32];
    assert_eq!(found, Tensor::from_slice(&expected));
}

#[test]
fn parseval_adds_the_gradient_of_its_penalty() {
    // W = (2, −4, 0): W Wᵀ − s = 20 − 2, times 4 · 0.5 · W.
    let decay = WeightDecay::Parseval(Parseval {
        rate: 0.5,
        scale: 2.0,
    });
    let expected = [73.0, -143.0, 1.0, 1.0, 1.0, 1.0, 1.0];
    assert_eq!(coupled(&[decay]), expected);
    // The gradient that torch finds, for a wide and for a tall matrix.
    for (rows, columns) in [(2, 3), (3, 2)] {
        let mut layout = ParamLayout::default();
        let part = NetworkPart::Actor;
        layout.push("0.weight".into(), part, ParamRole::Weight, &[rows, columns]);
        let weights: Vec<f32> = (0..6).map(|i| (i as f32).sin()).collect();
        let flat = Tensor::from_slice(&weights).set_requires_grad(true);
        let matrix = flat.view([rows, columns]);
        let gram = if rows < columns {
            matrix.mm(&matrix.tr())
        } else {
            matrix.tr().mm(&matrix)
        };
        let identity = Tensor::eye(2, tch::kind::FLOAT_CPU) * 2.0;
        let penalty = (gram - identity).square().sum(tch::Kind::Float) * 0.5;
        let expected = Tensor::run_backward(&[&penalty], &[&flat], false, false).remove(0);
        let weights = Tensor::from_slice(&weights);
        let gradient = weights.zeros_like();
        let found = apply_coupled_decay(&[decay], gradient, &weights, &weights, &layout);
        assert!(found.allclose(&expected, 1e-5, 1e-6, false));
    }
}
