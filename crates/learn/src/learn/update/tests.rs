use super::*;
use crate::learn::Surrogate;
use crate::nn::{
    ActionHead, Activation, CriticHead, GaussianSpec, HiddenBlock, HlGaussSpec, LogStdBound,
    LogStdRange, MlpConfig, NormLayer, PolicyConfig,
};
use evenkeel_sim::seed::{Purpose, Split, normal_pair, stream};
use tch::Kind;

const ROWS: usize = 300;

fn policy(activation: Activation, head: ActionHead) -> Policy {
    policy_with(|config| {
        config.activation = activation;
        config.head = head;
    })
}

fn policy_with(change: impl FnOnce(&mut PolicyConfig)) -> Policy {
    let mut config = PolicyConfig {
        actor: MlpConfig {
            hidden: vec![16, 8],
        },
        critic: MlpConfig { hidden: vec![12] },
        ..PolicyConfig::default()
    };
    change(&mut config);
    Policy::new(&config, 5, 3)
}

/// Rows far enough from the policy that every branch of the objective is taken.
fn input(policy: &Policy, value_clip: Option<f64>) -> UpdateInput {
    let mut rng = stream(1, Split::Train, 0, 0, Purpose::Bench);
    let row_layout = RowLayout { obs: 5, action: 3 };
    let mut noise = || normal_pair(&mut rng).0 as f32;
    let mut rows: Vec<f32> = (0..ROWS * row_layout.width()).map(|_| noise()).collect();
    for row in rows.chunks_exact_mut(row_layout.width()) {
        let beta = *policy.head() == ActionHead::Beta;
        let log_prob = if beta { -1.6 } else { -2.8 };
        row[row_layout.log_prob()] = log_prob + 0.3 * row[row_layout.log_prob()];
        for draw in &mut row[row_layout.obs..row_layout.log_prob()] {
            *draw *= 0.6;
            if beta {
                *draw = draw.tanh();
            }
        }
    }
    let mut flat = policy.initial_parameters(2);
    flat.iter_mut()
        .enumerate()
        .for_each(|(i, w)| *w += 0.1 * (i as f32).sin());
    let parameters = Tensor::from_slice(&flat);
    UpdateInput {
        global_step: 0,
        optimiser_step: 0,
        initial_parameters: Tensor::from_slice(&policy.initial_parameters(2)),
        buffers: Tensor::from_slice(policy.initial_buffers()),
        sequences: None,
        optimiser: OptimiserState::new(&Optimiser::default(), &parameters),
        clip: Vec::new(),
        parameters,
        rows: Tensor::from_slice(&rows).view([-1, row_layout.width() as i64]),
        indices: Tensor::from_slice(&(0..ROWS as i64).rev().step_by(2).collect::<Vec<_>>()),
        row_layout,
        objective: Objective {
            surrogate: Surrogate::Clip,
            ratio_clip: Some(0.2),
            minibatch_advantages: false,
            kl_coef: None,
            value_clip,
            entropy_coef: 0.02,
            value_coef: 0.7,
        },
        learning_rate: 1e-3,
    }
}

/// The same objective in torch's own operations, differentiated by torch.
fn oracle(policy: &Policy, input: &UpdateInput) -> (f64, Tensor) {
    let flat = input.parameters.copy().set_requires_grad(true);
    let params = policy.weights(&flat, &input.buffers);
    let rows = input.rows.index_select(0, &input.indices);
    let row_layout = input.row_layout;
    let column = |index: usize| rows.select(1, index as i64);
    let obs = row_layout.observations(&rows);
    let draw = rows.narrow(1, 5, 3);
    let outputs = policy.actor_outputs(&params, &obs);
    let (log_prob, entropy) = log_prob_and_entropy(policy, &flat, &outputs, &draw);
    let log_ratio = log_prob - column(row_layout.log_prob());
    let (ratio, objective) = (log_ratio.exp(), &input.objective);
    let mut advantage = column(row_layout.advantage());
    if objective.minibatch_advantages {
        let deviation = advantage.std(false);
        advantage = (&advantage - advantage.mean(Kind::Float)) / deviation;
    }
    let surrogate = match objective.surrogate {
        Surrogate::Clip => (&advantage * &ratio).minimum(&(&advantage * ratio.clamp(0.8, 1.2))),
        Surrogate::Spo => {
            &advantage * &ratio - advantage.abs() * (&ratio - 1.0).square() / (2.0 * 0.2)
        }
    };
    let kl = (ratio - 1.0 - log_ratio) * objective.kl_coef.unwrap_or(0.0);
    let policy_loss = (kl - surrogate).mean(Kind::Float);
    let value = policy.value(&params, &obs);
    let target = column(row_layout.target());
    let mut error = (&value - &target).square();
    if let Some(clip) = input.objective.value_clip {
        let old = column(row_layout.value());
        let clipped = &old + (&value - &old).clamp(-clip, clip);
        error = error.maximum(&(clipped - &target).square());
    }
    let value_loss = error.mean(Kind::Float) * 0.5;
    let total = policy_loss + value_loss * 0.7 - entropy.mean(Kind::Float) * 0.02;
    let gradient = Tensor::run_backward(&[&total], &[&flat], false, false);
    (
        total.double_value(&[]),
        gradient.into_iter().next().unwrap(),
    )
}

/// Log probability of each draw, and entropy of its distribution, `[rows]`, given the outputs of the
/// actor, `[rows, outputs]`, in torch's own operations.
fn log_prob_and_entropy(
    policy: &Policy,
    flat: &Tensor,
    outputs: &Tensor,
    draw: &Tensor,
) -> (Tensor, Tensor) {
    let sum = |entries: Tensor| entries.sum_dim_intlist(1, false, Kind::Float);
    let ActionHead::Gaussian(spec) = policy.head() else {
        let shape = |first: i64| outputs.narrow(1, first, 3).softplus() + 1.0;
        let (alpha, beta) = (shape(0), shape(3));
        let all = &alpha + &beta;
        let log_norm = alpha.lgamma() + beta.lgamma() - all.lgamma() + std::f64::consts::LN_2;
        let log_prob = (&alpha - 1.0) * ((draw + 1.0) * 0.5).log()
            + (&beta - 1.0) * ((draw * -1.0 + 1.0) * 0.5).log()
            - &log_norm;
        let entropy = log_norm - (&alpha - 1.0) * alpha.digamma() - (&beta - 1.0) * beta.digamma()
            + (&all - 2.0) * all.digamma();
        return (sum(log_prob), sum(entropy));
    };
    let log_std = if spec.state_dependent_std {
        outputs.narrow(1, 3, 3)
    } else {
        let mut entries = policy.layout().entries().iter();
        let index = entries.position(|entry| entry.name == "actor.log_std");
        policy.layout().views(flat)[index.unwrap()].expand_as(draw)
    };
    let log_std = match spec.log_std_bound {
        LogStdBound::Off => log_std,
        LogStdBound::Clamp(range) => log_std.clamp(range.min, range.max),
        LogStdBound::Tanh(LogStdRange { min, max }) => {
            let (middle, half) = (0.5 * (min + max), 0.5 * (max - min));
            ((log_std - middle) / half).tanh() * half + middle
        }
    };
    let z = (draw - outputs.narrow(1, 0, 3)) * (-&log_std).exp();
    let ln_tau = std::f64::consts::TAU.ln();
    (
        sum(z.square() * -0.5 - &log_std - 0.5 * ln_tau),
        sum(log_std + 0.5 * (1.0 + ln_tau)),
    )
}

/// Compares the gradient and the losses with those of the oracle.
fn assert_torch_agrees(policy: &Policy, input: &UpdateInput, name: &str) {
    let workers = LearnerPool::new(1, 1).unwrap();
    let (gradient, sums) = backward(MetricsLevel::Full, policy, &workers, input);
    let gradient = gradient.flat;
    let (total, expected) = oracle(policy, input);
    let rows = (ROWS / 2) as f64;
    let found = (sums.policy + 0.7 * sums.value - 0.02 * sums.entropy) / rows;
    assert!(
        (found - total).abs() < 1e-5 * total.abs().max(1.0),
        "{name}: {found} {total}"
    );
    assert!(
        sums.clipped > 10.0 && sums.clipped < rows - 10.0,
        "{name}: {sums:?}"
    );
    let error = norm(&(&gradient - &expected)) / norm(&expected);
    assert!(error < 1e-5, "{name}: {error}");
}

#[test]
fn the_gradient_is_the_one_that_torch_finds() {
    for activation in Activation::ALL {
        for value_clip in [None, Some(0.3)] {
            let policy = policy(activation, ActionHead::default());
            let name = format!("{activation:?} {value_clip:?}");
            assert_torch_agrees(&policy, &input(&policy, value_clip), &name);
        }
    }
}

#[test]
fn the_gradient_of_each_objective_is_the_one_that_torch_finds() {
    let policy = policy(Activation::Tanh, ActionHead::default());
    for surrogate in [Surrogate::Clip, Surrogate::Spo] {
        for (minibatch_advantages, kl_coef) in [(false, Some(1.3)), (true, None)] {
            let mut input = input(&policy, None);
            input.objective = Objective {
                surrogate,
                minibatch_advantages,
                kl_coef,
                ..input.objective
            };
            assert_torch_agrees(&policy, &input, &format!("{:?}", input.objective));
        }
    }
}

#[test]
fn the_gradient_through_each_head_is_the_one_that_torch_finds() {
    let range = LogStdRange {
        min: -0.7,
        max: -0.3,
    };
    let bounds = [
        LogStdBound::Off,
        LogStdBound::Clamp(range),
        LogStdBound::Tanh(range),
    ];
    let gaussians = bounds.into_iter().flat_map(|log_std_bound| {
        [false, true].map(|state_dependent_std| {
            ActionHead::Gaussian(GaussianSpec {
                log_std_bound,
                state_dependent_std,
                ..GaussianSpec::default()
            })
        })
    });
    for head in gaussians.chain([ActionHead::Beta]) {
        let policy = policy(Activation::Tanh, head);
        assert_torch_agrees(&policy, &input(&policy, None), &format!("{head:?}"));
    }
}

#[test]
fn the_slope_of_the_loss_along_the_gradient_is_its_length() {
    let workers = LearnerPool::new(1, 1).unwrap();
    let categorical = policy_with(|config| {
        config.critic_head = CriticHead::HlGauss(HlGaussSpec::default());
    });
    let simba = policy_with(|config| {
        config.block = HiddenBlock::Simba;
        config.actor.hidden = vec![8, 8];
        config.activation = Activation::Crelu;
    });
    let sphere = policy_with(|config| config.norm = NormLayer::Sphere);
    for (name, policy) in [
        ("categorical", categorical),
        ("simba", simba),
        ("sphere", sphere),
    ] {
        let mut input = input(&policy, None);
        let (gradient, _) = backward(MetricsLevel::Full, &policy, &workers, &input);
        let length = norm(&gradient.flat);
        let start = input.parameters.shallow_clone();
        let mut loss = |distance: f64| {
            input.parameters = &start + &gradient.flat * (distance / length);
            let (_, sums) = backward(MetricsLevel::Full, &policy, &workers, &input);
            (sums.policy + 0.7 * sums.value - 0.02 * sums.entropy) / sums.rows
        };
        let slope = (loss(1e-3) - loss(-1e-3)) / 2e-3;
        assert!(
            (slope / length - 1.0).abs() < 1e-2,
            "{name}: {slope} {length}"
        );
    }
}

#[test]
fn growth_is_the_factor_of_a_geometric_series() {
    let norms: Vec<Option<f64>> = (0..40).map(|t| Some(3.0 * 1.1f64.powi(39 - t))).collect();
    assert!((growth(&norms).unwrap() - 1.1).abs() < 1e-12);
    let backwards: Vec<Option<f64>> = norms.iter().rev().copied().collect();
    assert!((growth(&backwards).unwrap() - 1.0 / 1.1).abs() < 1e-12);
    assert_eq!(growth(&norms[..1]), None);
    assert_eq!(growth(&[]), None);
    assert_eq!(growth(&[None, Some(0.0), Some(1.0)]), None);
}

fn step(
    spoil: impl Fn(&mut UpdateInput),
    clip: &[ClipStage],
) -> Result<FiniteUpdate, Box<NonFiniteUpdate>> {
    let policy = policy(Activation::Tanh, ActionHead::default());
    let mut input = input(&policy, None);
    spoil(&mut input);
    let update_rule = UpdateRule {
        clip: clip.to_vec(),
        decay: Vec::new(),
        optimiser: Optimiser::default(),
        schedule: Schedule::default(),
    };
    update(
        &policy,
        &LearnerPool::new(1, 1).unwrap(),
        &input,
        &update_rule,
    )
}

#[test]
fn a_step_is_a_pure_function_of_its_input() {
    let (first, again) = (step(|_| (), &[]).unwrap(), step(|_| (), &[]).unwrap());
    assert_eq!(first.parameters, again.parameters);
    assert_eq!(first.report, again.report);
    assert!(first.report.update_ratio.unwrap() > 0.0);
    let norm = |report: &UpdateReport| report.grad_norm.unwrap();
    let parts = first
        .report
        .grad_norm_actor
        .unwrap()
        .hypot(first.report.grad_norm_critic.unwrap());
    assert!((norm(&first.report) - parts).abs() < 1e-9);
}

#[test]
fn what_is_not_finite_is_caught_before_the_weights() {
    let poison = |column: usize, with: f32| {
        move |input: &mut UpdateInput| {
            let _ = input.rows.select(1, column as i64).fill_(f64::from(with));
        }
    };
    let row_layout = RowLayout { obs: 5, action: 3 };
    let refused = step(poison(row_layout.target(), f32::NAN), &[]).unwrap_err();
    assert_eq!(refused.reason, DivergenceReason::NonFiniteLoss);
    assert!(refused.report.grad_nonfinite > 0);
    assert_eq!(refused.report.grad_norm, None);
    let refused = step(poison(row_layout.log_prob(), -1e30), &[]).unwrap_err();
    assert_eq!(refused.reason, DivergenceReason::NonFiniteLoss);
    // The loss is finite in double precision, its slope in single precision is not.
    let refused = step(
        |input| {
            poison(row_layout.target(), 3e38)(input);
            input.objective.value_coef = 1e3;
        },
        &[],
    )
    .unwrap_err();
    assert_eq!(refused.reason, DivergenceReason::NonFiniteGradient);
    // The gradient is finite, its square is not.
    let refused = step(poison(row_layout.target(), 1e25), &[]).unwrap_err();
    assert_eq!(refused.reason, DivergenceReason::NonFiniteParameter);
    assert!(refused.report.grad_norm.unwrap() > 1e20);
    let refused = step(|input| input.learning_rate = f64::INFINITY, &[]).unwrap_err();
    assert_eq!(refused.reason, DivergenceReason::NonFiniteParameter);
}
