//! The one optimiser step. It is a pure function of what it reads: parameters and optimiser
//! state go in and new ones come out, so that the same step can be tried with another remedy.

use tch::{Device, Kind, Tensor, no_grad};

use super::learner_pool::chunk_ranges;
use super::metrics::{
    GradientMetrics, MetricsLevel, StepMetrics, finite, roots, squares, sum_over_part,
};
use super::ppo::{LossSums, Objective, RowLayout};
use super::{LearnerPool, RunConfig};
use crate::nn::{Gradient, NetworkPart, Policy, UnrollInput, entries};
use crate::optim::{
    ClipStage, ClipState, Optimiser, OptimiserState, WeightDecay, apply_clip_stages,
    apply_coupled_decay, apply_decoupled_decay, norm,
};
use evenkeel_runs::telemetry::{DivergenceReason, UpdateReport};

/// The least number of rows worth a part of its own: below it, the cost of starting each tensor
/// operation is felt.
const MIN_ROWS_PER_CHUNK: usize = 1024;

/// The least number of sequences worth a part of its own.
const MIN_SEQUENCES_PER_CHUNK: usize = 64;

/// How a rollout's rows are sequences, for a policy with memory.
#[derive(Debug)]
pub struct Sequences {
    /// `[S, state]`: what is remembered before the first step of each.
    pub hidden: Tensor,
    /// `[B]`: 1 for the rows with which an episode begins, 0 for the rest.
    pub episode_starts: Tensor,
    /// `[B]`: 1 for the rows in which a robot waits for others, from which nothing is learnt, 0 for
    /// the rest; absent where none does.
    pub inactive: Option<Tensor>,
    /// Steps of each, L.
    pub length: usize,
    /// Environments of the rollout, N: sequence `s` is the `s / N`-th of environment `s % N`.
    pub envs: usize,
}

impl Sequences {
    /// The rows of some sequences `[M]`, `[L · M]`, and what they start from.
    fn select(&self, sequences: &Tensor) -> (Tensor, UnrollInput) {
        let (length, envs) = (self.length as i64, self.envs as i64);
        let first = sequences.divide_scalar_mode(envs, "floor") * (length * envs)
            + sequences.remainder(envs);
        let steps = Tensor::arange(length, (Kind::Int64, sequences.device())) * envs;
        let rows = (steps.unsqueeze(1) + first.unsqueeze(0)).flatten(0, -1);
        let recall = UnrollInput {
            hidden: self.hidden.index_select(0, sequences),
            episode_starts: Some(
                self.episode_starts
                    .index_select(0, &rows)
                    .view([length, -1]),
            ),
        };
        (rows, recall)
    }

    /// Of these rows, whether the robot waits, in numbers as [`Self::inactive`] has them; empty where
    /// none does anywhere.
    fn inactive_in(&self, rows: &Tensor) -> Vec<f32> {
        let inactive = self.inactive.as_ref();
        inactive.map_or_else(Vec::new, |inactive| {
            entries(&inactive.index_select(0, rows))
        })
    }

    /// Shares the tensors.
    pub(super) fn shallow_clone(&self) -> Self {
        Self {
            hidden: self.hidden.shallow_clone(),
            episode_starts: self.episode_starts.shallow_clone(),
            inactive: self.inactive.as_ref().map(Tensor::shallow_clone),
            ..*self
        }
    }
}

/// [`Sequences::inactive`] of a rollout.
pub(super) fn inactive_mask(inactive: &[bool]) -> Tensor {
    let inactive = inactive
        .iter()
        .map(|&inactive| f32::from(u8::from(inactive)));
    Tensor::from_slice(&inactive.collect::<Vec<_>>())
}

/// All that one optimiser step reads.
#[derive(Debug)]
pub struct UpdateInput {
    /// Environment steps gathered so far.
    pub global_step: u64,
    /// Optimiser steps before this one, those that the guard refused included.
    pub optimiser_step: u64,
    /// θ, flat.
    pub parameters: Tensor,
    /// What the policy carries besides, flat.
    pub buffers: Tensor,
    /// What the optimiser remembers.
    pub optimiser: OptimiserState,
    /// What each clip stage remembers.
    pub clip: Vec<ClipState>,
    /// `[B, width]`: rows to choose from, as [`RowLayout`] says.
    pub rows: Tensor,
    /// How the rows are sequences; absent for a policy without memory.
    pub sequences: Option<Sequences>,
    /// `[M]`, 64-bit integers: the minibatch, by rows or by sequences.
    pub indices: Tensor,
    /// What the columns hold.
    pub row_layout: RowLayout,
    /// Coefficients of the objective.
    pub objective: Objective,
    /// Learning rate of this step.
    pub learning_rate: f64,
}

/// What is done about the gradient between backward and the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRule {
    /// What the gradient goes through, in this order.
    pub clip: Vec<ClipStage>,
    /// What draws weights towards 0.
    pub decay: Vec<WeightDecay>,
    /// Turns it into a step.
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

/// A step that was taken.
#[derive(Debug)]
pub struct AppliedUpdate {
    /// θ after it, flat.
    pub parameters: Tensor,
    /// What the optimiser remembers after it.
    pub optimiser: OptimiserState,
    /// What each clip stage remembers after it.
    pub clip: Vec<ClipState>,
    /// What was measured.
    pub report: UpdateReport,
}

/// A step that was not taken, because something in it was not finite.
#[derive(Debug)]
pub struct RejectedUpdate {
    /// What was not finite.
    pub reason: DivergenceReason,
    /// What was measured up to there.
    pub report: UpdateReport,
}

/// One optimiser step: backward → reduce over parts → finite check → measure → clip stages in
/// their order → coupled decay → optimiser → decoupled decay → measure the applied step.
pub fn update(
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
    update_rule: &UpdateRule,
) -> Result<AppliedUpdate, Box<RejectedUpdate>> {
    update_with_metrics(MetricsLevel::Full, policy, workers, input, update_rule)
}

/// As [`update`], bit for bit, but for how much the report says.
pub(super) fn update_with_metrics(
    metrics_level: MetricsLevel,
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
    update_rule: &UpdateRule,
) -> Result<AppliedUpdate, Box<RejectedUpdate>> {
    let (gradient, sums) = backward(metrics_level, policy, workers, input);
    let raw = entries(&gradient.flat);
    let mut report = step_report(policy, input, &raw, &sums);
    if metrics_level == MetricsLevel::Full {
        add_gradient_metrics(&raw, &gradient.hidden_grad_squares, &mut report);
    }
    if !sums.is_finite() {
        return Err(rejected(DivergenceReason::NonFiniteLoss, report));
    }
    let gradient = gradient.flat;
    let Some(size) = report.grad_norm else {
        return Err(rejected(DivergenceReason::NonFiniteGradient, report));
    };
    let (before, layout) = (&input.parameters, policy.layout());
    let clipped = apply_clip_stages(
        &update_rule.clip,
        &input.clip,
        gradient,
        size,
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
    let size = match metrics_level {
        MetricsLevel::Full => {
            let moved =
                StepMetrics::of(layout, &entries(before), &entries(&parameters), &raw, size);
            report.update_ratio = finite(moved.ratio);
            report.update_cosine = finite(moved.cosine);
            report.layer_update_ratios = moved.ratios;
            moved.param_norm
        }
        MetricsLevel::Minimal => norm(&parameters),
    };
    report.param_norm = finite(size);
    // A square that has overflowed never comes back, and its parameter would stand still.
    let mut moments = optimiser.moments.iter();
    if !size.is_finite() || moments.any(|moment| !norm(&moment.tensor).is_finite()) {
        return Err(rejected(DivergenceReason::NonFiniteParameter, report));
    }
    Ok(AppliedUpdate {
        parameters,
        optimiser,
        clip: clipped.states,
        report,
    })
}

impl UpdateInput {
    /// Rows of the minibatch that are learnt from.
    pub(super) fn row_count(&self) -> usize {
        let chosen = self.indices.size()[0] as usize;
        let Some(all) = &self.sequences else {
            return chosen;
        };
        let waiting = all.inactive.as_ref().map_or(0, |_| {
            let (rows, _) = all.select(&self.indices);
            let inactive = all.inactive_in(&rows);
            inactive
                .into_iter()
                .filter(|&inactive| inactive != 0.0)
                .count()
        });
        chosen * all.length - waiting
    }

    /// Parts of the minibatch that are worth a job of their own.
    fn parts(&self) -> Vec<Tensor> {
        let count = self.indices.size()[0] as usize;
        let least = match (&self.sequences, self.parameters.device()) {
            (None, Device::Cpu) => MIN_ROWS_PER_CHUNK,
            (Some(_), Device::Cpu) => MIN_SEQUENCES_PER_CHUNK,
            _ => count,
        };
        let part = |part: std::ops::Range<usize>| {
            self.indices.narrow(0, part.start as i64, part.len() as i64)
        };
        chunk_ranges(count, least).into_iter().map(part).collect()
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

/// The minibatch's mean gradient, computed in parts side by side and added up in order.
pub(super) fn backward(
    metrics_level: MetricsLevel,
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
) -> (Gradient, LossSums) {
    let count = input.row_count();
    let jobs = input
        .parts()
        .into_iter()
        .map(|part| input.with_indices(part))
        .collect();
    let parts = workers.map(jobs, |part: UpdateInput| {
        no_grad(|| part_gradient(metrics_level, policy, &part, count))
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

/// The share of one part in the gradient of a minibatch of `count` rows.
pub(super) fn part_gradient(
    metrics_level: MetricsLevel,
    policy: &Policy,
    part: &UpdateInput,
    count: usize,
) -> (Gradient, LossSums) {
    let weights = policy.weights(&part.parameters, &part.buffers);
    let (indices, recall, inactive) = match &part.sequences {
        None => (part.indices.shallow_clone(), None, Vec::new()),
        Some(all) => {
            let (rows, recall) = all.select(&part.indices);
            let inactive = all.inactive_in(&rows);
            (rows, Some(recall), inactive)
        }
    };
    let rows = part.rows.index_select(0, &indices);
    let mut outputs = policy.forward(
        &weights,
        &part.row_layout.observations(&rows),
        recall.as_ref(),
    );
    if metrics_level == MetricsLevel::Minimal {
        outputs.discard_hidden_states();
    }
    let loss = part.objective.compute_loss(
        &policy.distribution(&weights),
        &outputs.mean,
        &outputs.value,
        &part.row_layout.loss_columns(&rows),
        &inactive,
        count,
    );
    let gradient = policy.backward(&weights, &outputs, &loss.mean, &loss.value, &loss.log_std);
    (gradient, loss.sums)
}

/// The row of each transition of one sequence, what it adds to the gradient of a minibatch of
/// `count` rows, and its losses.
pub(super) fn row_gradients(
    policy: &Policy,
    sequence: &UpdateInput,
    count: usize,
) -> Vec<(usize, Vec<f32>, LossSums)> {
    let Some(all) = &sequence.sequences else {
        return Vec::new();
    };
    no_grad(|| {
        let weights = policy.weights(&sequence.parameters, &sequence.buffers);
        let gaussian = policy.distribution(&weights);
        let (indices, recall) = all.select(&sequence.indices);
        let inactive = all.inactive_in(&indices);
        let rows = sequence.rows.index_select(0, &indices);
        let learnt = sequence.row_layout.loss_columns(&rows);
        let observations = sequence.row_layout.observations(&rows);
        let action = sequence.row_layout.action;
        let width = sequence.row_layout.width() - sequence.row_layout.obs;
        let of_row = |step: usize| {
            let mut outputs = policy.forward(&weights, &observations, Some(&recall));
            outputs.discard_hidden_states();
            let own = step * action..(step + 1) * action;
            let loss = sequence.objective.compute_loss(
                &gaussian,
                &outputs.mean[own.clone()],
                &outputs.value[step..=step],
                &learnt[step * width..(step + 1) * width],
                inactive.get(step..=step).unwrap_or_default(),
                count,
            );
            let mut by_mean = vec![0.0; outputs.mean.len()];
            by_mean[own].copy_from_slice(&loss.mean);
            let mut by_value = vec![0.0; outputs.value.len()];
            by_value[step] = loss.value[0];
            let gradient = policy.backward(&weights, &outputs, &by_mean, &by_value, &loss.log_std);
            let row = indices.int64_value(&[step as i64]) as usize;
            (row, entries(&gradient.flat), loss.sums)
        };
        (0..all.length).map(of_row).collect()
    })
}

/// What decides whether the step is taken, and what comes with it.
fn step_report(
    policy: &Policy,
    input: &UpdateInput,
    gradient: &[f32],
    sums: &LossSums,
) -> UpdateReport {
    let layout = policy.layout();
    let rows = input.row_count() as f64;
    let squares = squares(layout, gradient);
    let part = |part: NetworkPart| sum_over_part(layout, &squares, part);
    let (actor, critic) = (part(NetworkPart::Actor), part(NetworkPart::Critic));
    UpdateReport {
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
    }
}

fn add_gradient_metrics(gradient: &[f32], hidden_grad_norms: &[f64], report: &mut UpdateReport) {
    let entries = GradientMetrics::of(gradient);
    report.grad_max = (entries.nonfinite == 0).then_some(entries.largest);
    report.grad_nonfinite = entries.nonfinite;
    report.hidden_grad_norms = roots(hidden_grad_norms);
    report.hidden_grad_growth = growth(&report.hidden_grad_norms);
}

/// By what factor a norm grows with each step back in time: the slope of its logarithm by least
/// squares. Absent where fewer than two are positive numbers.
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

fn rejected(reason: DivergenceReason, report: UpdateReport) -> Box<RejectedUpdate> {
    Box::new(RejectedUpdate { reason, report })
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
            let held = &old + (&value - &old).clamp(-clip, clip);
            error = error.maximum(&(held - &target).square());
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
                let apart = norm(&(&gradient - &expected)) / norm(&expected);
                assert!(apart < 1e-5, "{activation:?} {value_clip:?}: {apart}");
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
    ) -> Result<AppliedUpdate, Box<RejectedUpdate>> {
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
