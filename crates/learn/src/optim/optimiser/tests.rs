use super::*;
use crate::nn::{NetworkPart, ParamRole};
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind};

/// A layout of one matrix `[1, length]`.
fn layout(length: i64) -> ParamLayout {
    let mut layout = ParamLayout::default();
    let (part, role) = (NetworkPart::Actor, ParamRole::Weight);
    layout.push("0.weight".into(), part, role, &[1, length]);
    layout
}

/// Compares fifty steps with torch's optimiser, on a badly scaled quadratic and with a falling
/// learning rate.
fn assert_matches_torch(ours: Optimiser, theirs: impl OptimizerConfig, rate: f64) {
    let start: Vec<f32> = (0..40).map(|i| (i as f32 * 0.37).sin()).collect();
    let target = Tensor::from_slice(&(0..40).map(|i| (i as f32).cos()).collect::<Vec<_>>());
    // Slopes differ by orders of magnitude, so that the second moment matters.
    let scale = Tensor::from_slice(&(0..40).map(|i| 1.3f32.powi(i - 30)).collect::<Vec<_>>());

    let store = nn::VarStore::new(Device::Cpu);
    let expected = store.root().var_copy("x", &Tensor::from_slice(&start));
    let mut torch = theirs.build(&store, rate).unwrap();
    let mut found = Tensor::from_slice(&start);
    let mut state = OptimiserState::new(&ours, &found);
    for step in 0..50 {
        let rate = rate * (1.0 - f64::from(step) / 50.0);
        torch.set_lr(rate);
        torch.backward_step(&((&expected - &target).square() * &scale).sum(Kind::Float));
        let gradient = (&found - &target) * &scale * 2.0;
        (found, state) = ours.step(&found, &gradient, &state, rate, &layout(40));
        let apart = (&found - &expected).abs().max().double_value(&[]);
        assert!(apart < 4e-6, "{ours:?}, step {step}: {apart} apart");
    }
    assert_eq!(state.steps, 50);
    let moved = (&found - Tensor::from_slice(&start)).abs().max();
    assert!(
        moved.double_value(&[]) > 0.1,
        "{ours:?}: the parameters did not change"
    );
}

#[test]
fn adam_matches_torch() {
    let theirs = nn::Adam {
        eps: 1e-5,
        ..nn::Adam::default()
    };
    assert_matches_torch(Optimiser::default(), theirs, 0.01);
}

#[test]
fn sgd_matches_torch_with_and_without_momentum() {
    for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
        let theirs = nn::Sgd {
            momentum,
            nesterov,
            ..nn::Sgd::default()
        };
        let ours = Optimiser::Sgd(Sgd { momentum, nesterov });
        assert_matches_torch(ours, theirs, 0.01);
    }
}

#[test]
fn rmsprop_matches_torch_with_and_without_momentum() {
    for momentum in [0.0, 0.5] {
        let theirs = nn::RmsProp {
            alpha: 0.99,
            eps: 1e-5,
            momentum,
            ..nn::RmsProp::default()
        };
        let ours = Optimiser::RmsProp(RmsProp {
            momentum,
            ..RmsProp::default()
        });
        assert_matches_torch(ours, theirs, 0.01);
    }
}

#[test]
fn a_step_does_not_write_into_its_arguments() {
    for optimiser in Optimiser::examples() {
        let parameters = Tensor::from_slice(&[1.0f32, -2.0]);
        let gradient = Tensor::from_slice(&[0.5f32, 0.25]);
        let before = OptimiserState::new(&optimiser, &parameters);
        let (first, after) = optimiser.step(&parameters, &gradient, &before, 0.1, &layout(2));
        let (again, _) = optimiser.step(&parameters, &gradient, &before, 0.1, &layout(2));
        assert_eq!(first, again, "{optimiser:?}");
        assert_eq!(parameters, Tensor::from_slice(&[1.0f32, -2.0]));
        assert_eq!((before.steps, after.steps), (0, 1));
        let names = after.moments.iter().map(|moment| moment.name);
        assert!(names.eq(optimiser.moments().iter().copied()));
        for moment in &before.moments {
            assert_eq!(moment.tensor, parameters.zeros_like(), "{optimiser:?}");
        }
    }
}

#[test]
fn moments_of_another_optimiser_count_as_zero() {
    let parameters = Tensor::from_slice(&[1.0f32]);
    let gradient = Tensor::from_slice(&[0.5f32]);
    let sgd = Optimiser::Sgd(Sgd {
        momentum: 0.9,
        nesterov: false,
    });
    let adam = OptimiserState::new(&Optimiser::default(), &parameters);
    let (stepped, state) = sgd.step(&parameters, &gradient, &adam, 0.1, &layout(1));
    assert!((stepped.double_value(&[0]) - 0.95).abs() < 1e-7);
    assert_eq!(state.moments[0].name, "velocity");
}

#[test]
fn adam_rel_counts_its_steps_from_each_rollout() {
    let optimiser = Optimiser::AdamRel(AdamRel {
        epsilon: 1e-12,
        ..AdamRel::default()
    });
    let parameters = Tensor::from_slice(&[0.0f32]);
    let small = Tensor::from_slice(&[1.0f32]);
    let mut state = OptimiserState::new(&optimiser, &parameters);
    for _ in 0..3 {
        (_, state) = optimiser.step(&parameters, &small, &state, 1.0, &layout(1));
    }
    assert_eq!(state.steps, 3);
    optimiser.begin_rollout(&mut state);
    assert_eq!(state.steps, 0);
    // m = 0.9 (1 − 0.9³) + 0.1 · 10 and v = 0.999 (1 − 0.999³) + 0.001 · 100, with the bias
    // corrections of a first step.
    let large = Tensor::from_slice(&[10.0f32]);
    let (found, state) = optimiser.step(&parameters, &large, &state, 1.0, &layout(1));
    let m: f64 = 0.9 * (1.0 - 0.9f64.powi(3)) + 1.0;
    let v: f64 = 0.999 * (1.0 - 0.999f64.powi(3)) + 0.1;
    let expected = -(m / 0.1) / (v / 0.001).sqrt();
    assert!(
        (found.double_value(&[0]) - expected).abs() < 1e-5,
        "{expected}"
    );
    assert_eq!(state.steps, 1);
    // Adam's count goes on.
    let adam = Optimiser::default();
    let mut state = OptimiserState::new(&adam, &parameters);
    state.steps = 7;
    adam.begin_rollout(&mut state);
    assert_eq!(state.steps, 7);
}
