//! The one optimiser step. It is a pure function of its input: parameters and optimiser state go in
//! and new ones come out, so that the same step can be tried under another update rule.

use tch::{Device, Tensor, no_grad};

use super::learner_pool::chunk_ranges;
use super::metrics::{
    GradientMetrics, MetricsLevel, StepMetrics, finite, roots, squares, sum_over_part,
};
use super::ppo::{LossSums, Objective, RowLayout};
use super::sequences::Sequences;
use super::{LearnerPool, RunConfig};
use crate::nn::{Gradient, NetworkPart, Policy, entries};
use crate::optim::{
    ClipStage, ClipState, Optimiser, OptimiserState, WeightDecay, apply_clip_stages,
    apply_coupled_decay, apply_decoupled_decay, norm,
};
use evenkeel_runs::telemetry::{DivergenceReason, UpdateReport};

/// Fewest rows that are a task of their own: below it, the fixed cost of each tensor operation
/// dominates.
const MIN_ROWS_PER_CHUNK: usize = 1024;

/// Fewest sequences that are a task of their own.
const MIN_SEQUENCES_PER_CHUNK: usize = 64;

/// Everything that one optimiser step reads.
#[derive(Debug)]
pub struct UpdateInput {
    /// Environment steps gathered so far.
    pub global_step: u64,
    /// Attempted optimiser steps before this one, those that the guard refused included.
    pub optimiser_step: u64,
    /// θ, flat.
    pub parameters: Tensor,
    /// Buffers of the policy, flat.
    pub buffers: Tensor,
    /// State of the optimiser.
    pub optimiser: OptimiserState,
    /// State of each clip stage.
    pub clip: Vec<ClipState>,
    /// `[B, width]`: rows to choose from, in the layout of [`RowLayout`].
    pub rows: Tensor,
    /// How the rows form sequences; absent for a policy without memory.
    pub sequences: Option<Sequences>,
    /// `[M]`, 64-bit integers: the rows or sequences of the minibatch.
    pub indices: Tensor,
    /// Columns of a row.
    pub row_layout: RowLayout,
    /// Coefficients of the objective.
    pub objective: Objective,
    /// Learning rate of this step.
    pub learning_rate: f64,
}

/// Turns a gradient into new weights.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRule {
    /// What clips or rescales the gradient, in this order.
    pub clip: Vec<ClipStage>,
    /// What draws weights towards 0.
    pub decay: Vec<WeightDecay>,
    /// Turns the gradient into a step.
    pub optimiser: Optimiser,
}

impl From<&RunConfig> for UpdateRule {
    fn from(config: &RunConfig) -> Self {
        Self {
            clip: config.stability.clip.clone(),
            decay: config.stability.decay.clone(),
            optimiser: config.train.optimiser,
        }
    }
}

/// A computed step whose numbers are all finite. Whether it is taken is for the update guard to
/// decide.
#[derive(Debug)]
pub struct FiniteUpdate {
    /// θ after it, flat.
    pub parameters: Tensor,
    /// State of the optimiser after it.
    pub optimiser: OptimiserState,
    /// State of each clip stage after it.
    pub clip: Vec<ClipState>,
    /// The measurements.
    pub report: UpdateReport,
}

/// A step that cannot be taken, because something in it is not finite.
#[derive(Debug)]
pub struct NonFiniteUpdate {
    /// What was not finite.
    pub reason: DivergenceReason,
    /// The measurements up to there.
    pub report: UpdateReport,
}

/// One optimiser step: backward → sum over tasks → finite check → measure → clip stages in their
/// order → coupled decay → optimiser → decoupled decay → measure the applied step.
pub fn update(
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
    update_rule: &UpdateRule,
) -> Result<FiniteUpdate, Box<NonFiniteUpdate>> {
    update_with_metrics(MetricsLevel::Full, policy, workers, input, update_rule)
}

/// [`update`] with a choice of what is measured. The weights do not depend on it.
pub(super) fn update_with_metrics(
    metrics_level: MetricsLevel,
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
    update_rule: &UpdateRule,
) -> Result<FiniteUpdate, Box<NonFiniteUpdate>> {
    let rejected = |reason, report| Err(Box::new(NonFiniteUpdate { reason, report }));
    let (gradient, sums) = backward(metrics_level, policy, workers, input);
    let raw = entries(&gradient.flat);
    let mut report = gradient_report(metrics_level, policy, input, &raw, &gradient, &sums);
    if !sums.is_finite() {
        return rejected(DivergenceReason::NonFiniteLoss, report);
    }
    let Some(grad_norm) = report.grad_norm else {
        return rejected(DivergenceReason::NonFiniteGradient, report);
    };
    let (before, layout) = (&input.parameters, policy.layout());
    let clipped = apply_clip_stages(
        &update_rule.clip,
        &input.clip,
        gradient.flat,
        grad_norm,
        before,
        layout,
    );
    report.clip = clipped.reports;
    let gradient = apply_coupled_decay(&update_rule.decay, clipped.gradient, before, layout);
    let rate = input.learning_rate;
    let (parameters, optimiser) =
        update_rule
            .optimiser
            .step(before, &gradient, &input.optimiser, rate);
    let parameters = apply_decoupled_decay(&update_rule.decay, parameters, before, rate, layout);
    let param_norm = match metrics_level {
        MetricsLevel::Full => {
            let (before, after) = (entries(before), entries(&parameters));
            let step = StepMetrics::of(layout, &before, &after, &raw, grad_norm);
            report.update_ratio = finite(step.ratio);
            report.update_cosine = finite(step.cosine);
            report.layer_update_ratios = step.ratios;
            step.param_norm
        }
        MetricsLevel::Minimal => norm(&parameters),
    };
    report.param_norm = finite(param_norm);
    // A squared moment that overflows stays infinite, and its parameter would never move again.
    let mut moments = optimiser.moments.iter();
    if !param_norm.is_finite() || moments.any(|moment| !norm(&moment.tensor).is_finite()) {
        return rejected(DivergenceReason::NonFiniteParameter, report);
    }
    Ok(FiniteUpdate {
        parameters,
        optimiser,
        clip: clipped.states,
        report,
    })
}

impl UpdateInput {
    /// Rows of the minibatch that have a part in the loss.
    pub(super) fn row_count(&self) -> usize {
        let chosen = self.indices.size()[0] as usize;
        let Some(all) = &self.sequences else {
            return chosen;
        };
        let inactive = all.inactive.as_ref().map_or(0, |_| {
            let (rows, _) = all.select(&self.indices);
            let inactive = all.inactive_in(&rows);
            inactive
                .into_iter()
                .filter(|&inactive| inactive != 0.0)
                .count()
        });
        chosen * all.length - inactive
    }

    /// The same step on other indices, without what the gradient does not depend on. Shares the
    /// tensors.
    pub(super) fn with_indices(&self, indices: Tensor) -> Self {
        Self {
            parameters: self.parameters.shallow_clone(),
            buffers: self.buffers.shallow_clone(),
            optimiser: OptimiserState {
                moments: Vec::new(),
                steps: self.optimiser.steps,
            },
            clip: Vec::new(),
            rows: self.rows.shallow_clone(),
            sequences: self.sequences.as_ref().map(Sequences::shallow_clone),
            indices,
            ..*self
        }
    }
}

/// The minibatch's mean gradient. Its parts are computed side by side and added in their order.
pub(super) fn backward(
    metrics_level: MetricsLevel,
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
) -> (Gradient, LossSums) {
    let (units, rows) = (input.indices.size()[0] as usize, input.row_count());
    let least = match (&input.sequences, input.parameters.device()) {
        (None, Device::Cpu) => MIN_ROWS_PER_CHUNK,
        (Some(_), Device::Cpu) => MIN_SEQUENCES_PER_CHUNK,
        _ => units,
    };
    let chunks = chunk_ranges(units, least).into_iter();
    let parts = chunks.map(|chunk| {
        let indices = &input.indices;
        input.with_indices(indices.narrow(0, chunk.start as i64, chunk.len() as i64))
    });
    let parts = workers.map(parts.collect(), |part: UpdateInput| {
        no_grad(|| part_gradient(metrics_level, policy, &part, rows))
    });
    let mut parts = parts.into_iter();
    let (mut gradient, mut sums) = parts.next().expect("a minibatch has at least one row");
    for (part, part_sums) in parts {
        gradient.flat += part.flat;
        let squares = gradient.hidden_grad_squares.iter_mut();
        squares
            .zip(part.hidden_grad_squares)
            .for_each(|(all, one)| *all += one);
        sums.add(&part_sums);
    }
    (gradient, sums)
}

/// The gradient of one part of a minibatch of `count` rows: those of all parts add up to the
/// minibatch's.
pub(super) fn part_gradient(
    metrics_level: MetricsLevel,
    policy: &Policy,
    part: &UpdateInput,
    count: usize,
) -> (Gradient, LossSums) {
    let weights = policy.weights(&part.parameters, &part.buffers);
    let (indices, unroll_input, inactive) = match &part.sequences {
        None => (part.indices.shallow_clone(), None, Vec::new()),
        Some(all) => {
            let (rows, unroll_input) = all.select(&part.indices);
            let inactive = all.inactive_in(&rows);
            (rows, Some(unroll_input), inactive)
        }
    };
    let rows = part.rows.index_select(0, &indices);
    let (observations, loss_columns) = part.row_layout.split(&rows);
    let mut outputs = policy.forward(&weights, &observations, unroll_input.as_ref());
    if metrics_level == MetricsLevel::Minimal {
        outputs.discard_hidden_states();
    }
    let loss = part.objective.compute_loss(
        &policy.distribution(&weights),
        &outputs.mean,
        &outputs.value,
        &loss_columns,
        &inactive,
        count,
    );
    let gradient = policy.backward(&weights, &outputs, &loss.mean, &loss.value, &loss.log_std);
    (gradient, loss.sums)
}

/// Losses, and norms of a gradient whose entries are `raw`: what decides whether the step is
/// applied, and with [`MetricsLevel::Full`] everything else that is known before it is.
fn gradient_report(
    metrics_level: MetricsLevel,
    policy: &Policy,
    input: &UpdateInput,
    raw: &[f32],
    gradient: &Gradient,
    sums: &LossSums,
) -> UpdateReport {
    let layout = policy.layout();
    let rows = sums.rows;
    let squares = squares(layout, raw);
    let part = |part: NetworkPart| sum_over_part(layout, &squares, part);
    let (actor, critic) = (part(NetworkPart::Actor), part(NetworkPart::Critic));
    let mut report = UpdateReport {
        global_step: input.global_step,
        optimiser_step: input.optimiser_step,
        grad_norm: finite((actor + critic + part(NetworkPart::Trunk)).sqrt()),
        grad_norm_actor: finite(actor.sqrt()),
        grad_norm_critic: finite(critic.sqrt()),
        layer_norms: roots(&squares),
        policy_loss: finite(sums.policy / rows),
        value_loss: finite(sums.value / rows),
        entropy: finite(sums.entropy / rows),
        approx_kl: finite(sums.kl / rows),
        ratio_clip_share: finite(sums.clipped / rows),
        ratio_max: finite(sums.ratio_max),
        ..UpdateReport::default()
    };
    if metrics_level == MetricsLevel::Full {
        let metrics = GradientMetrics::of(raw);
        report.grad_max = (metrics.nonfinite == 0).then_some(metrics.largest);
        report.grad_nonfinite = metrics.nonfinite;
        report.hidden_grad_norms = roots(&gradient.hidden_grad_squares);
        report.hidden_grad_growth = growth(&report.hidden_grad_norms);
    }
    report
}

/// Factor by which a norm grows with each step back in time: the slope of its logarithm by least
/// squares. `None` where fewer than two norms are positive numbers.
fn growth(norms: &[Option<f64>]) -> Option<f64> {
    let known: Vec<(f64, f64)> = norms
        .iter()
        .rev()
        .enumerate()
        .filter_map(|(back, norm)| Some((back as f64, norm.filter(|&norm| norm > 0.0)?.ln())))
        .collect();
    let count = known.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| known.iter().map(of).sum::<f64>() / count;
    let (back, log) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let squares: f64 = known.iter().map(|pair| (pair.0 - back).powi(2)).sum();
    let products = known.iter().map(|pair| (pair.0 - back) * (pair.1 - log));
    finite((products.sum::<f64>() / squares).exp())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, MlpConfig, PolicyConfig};
    use evenkeel_sim::seed::{Purpose, Split, normal_pair, stream};
    use tch::Kind;

    const ROWS: usize = 300;

    fn policy(activation: Activation) -> Policy {
        let config = PolicyConfig {
            actor: MlpConfig {
                hidden: vec![16, 8],
            },
            critic: MlpConfig { hidden: vec![12] },
            activation,
            ..PolicyConfig::default()
        };
        Policy::new(&config, 5, 3)
    }

    /// Rows far enough from the policy that every branch of the objective is taken.
    fn input(policy: &Policy, value_clip: Option<f64>) -> UpdateInput {
        let mut rng = stream(1, Split::Train, 0, 0, Purpose::Bench);
        let row_layout = RowLayout { obs: 5, action: 3 };
        let mut noise = || normal_pair(&mut rng).0 as f32;
        let mut rows: Vec<f32> = (0..ROWS * row_layout.width()).map(|_| noise()).collect();
        for row in rows.chunks_exact_mut(row_layout.width()) {
            row[row_layout.log_prob()] = -2.8 + 0.3 * row[row_layout.log_prob()];
            for draw in &mut row[row_layout.obs..row_layout.log_prob()] {
                *draw *= 0.6;
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
            buffers: Tensor::from_slice(policy.initial_buffers()),
            sequences: None,
            optimiser: OptimiserState::new(&Optimiser::default(), &parameters),
            clip: Vec::new(),
            parameters,
            rows: Tensor::from_slice(&rows).view([-1, row_layout.width() as i64]),
            indices: Tensor::from_slice(&(0..ROWS as i64).rev().step_by(2).collect::<Vec<_>>()),
            row_layout,
            objective: Objective {
                ratio_clip: Some(0.2),
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
        let index = policy
            .layout()
            .entries()
            .iter()
            .position(|e| e.name == "actor.log_std");
        let log_std = &policy.layout().views(&flat)[index.unwrap()];
        let z = (draw - policy.mean(&params, &obs)) * (-log_std).exp();
        let log_prob = z.square().sum_dim_intlist(1, false, Kind::Float) * -0.5
            - log_std.sum(Kind::Float)
            - 1.5 * std::f64::consts::TAU.ln();
        let ratio = (log_prob - column(row_layout.log_prob())).exp();
        let advantage = column(row_layout.advantage());
        let policy_loss = -(&advantage * &ratio)
            .minimum(&(&advantage * ratio.clamp(0.8, 1.2)))
            .mean(Kind::Float);
        let value = policy.value(&params, &obs);
        let target = column(row_layout.target());
        let mut error = (&value - &target).square();
        if let Some(clip) = input.objective.value_clip {
            let old = column(row_layout.value());
            let clipped = &old + (&value - &old).clamp(-clip, clip);
            error = error.maximum(&(clipped - &target).square());
        }
        let value_loss = error.mean(Kind::Float) * 0.5;
        let entropy = (log_std + 0.5 * (1.0 + std::f64::consts::TAU.ln())).sum(Kind::Float);
        let total = policy_loss + value_loss * 0.7 - entropy * 0.02;
        let gradient = Tensor::run_backward(&[&total], &[&flat], false, false);
        (
            total.double_value(&[]),
            gradient.into_iter().next().unwrap(),
        )
    }

    #[test]
    fn the_gradient_is_the_one_that_torch_finds() {
        let workers = LearnerPool::new(1, 1).unwrap();
        for activation in Activation::ALL {
            for value_clip in [None, Some(0.3)] {
                let policy = policy(activation);
                let input = input(&policy, value_clip);
                let (gradient, sums) = backward(MetricsLevel::Full, &policy, &workers, &input);
                let gradient = gradient.flat;
                let (total, expected) = oracle(&policy, &input);
                let rows = (ROWS / 2) as f64;
                let found = (sums.policy + 0.7 * sums.value - 0.02 * sums.entropy) / rows;
                assert!(
                    (found - total).abs() < 1e-5 * total.abs().max(1.0),
                    "{found} {total}"
                );
                assert!(
                    sums.clipped > 10.0 && sums.clipped < rows - 10.0,
                    "{sums:?}"
                );
                let error = norm(&(&gradient - &expected)) / norm(&expected);
                assert!(error < 1e-5, "{activation:?} {value_clip:?}: {error}");
            }
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
        let policy = policy(Activation::Tanh);
        let mut input = input(&policy, None);
        spoil(&mut input);
        let update_rule = UpdateRule {
            clip: clip.to_vec(),
            decay: Vec::new(),
            optimiser: Optimiser::default(),
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
}
