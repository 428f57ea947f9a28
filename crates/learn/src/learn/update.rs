//! The one optimiser step. It is a pure function of its input: parameters and optimiser state go in
//! and new ones come out, so that the same step can be tried under another update rule.

use tch::{Device, Tensor, no_grad};

use super::learner_pool::chunk_ranges;
use super::metrics::{
    GradientMetrics, MetricsLevel, StepMetrics, finite, roots, squares, sum_over_part,
};
use super::normaliser::BatchSums;
use super::ppo::{LossSums, MinibatchScale, Objective, PolicyHeads, RowLayout, standardise};
use super::sequences::Sequences;
use super::{LearnerPool, RunConfig};
use crate::nn::{Gradient, NetworkPart, Policy, entries};
use crate::optim::{
    ClipStage, ClipState, Optimiser, OptimiserState, Schedule, WeightDecay, apply_clip_stages,
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
    /// θ₀, the parameters at the start of the run, flat.
    pub initial_parameters: Tensor,
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
    /// Learning rate of this step; with an adaptive schedule, of the step before, to be adapted.
    pub learning_rate: f64,
}

/// Turns a gradient into new weights.
#[derive(Clone, Debug, PartialEq)]
pub struct UpdateRule {
    /// What clips or rescales the gradient, in this order.
    pub clip: Vec<ClipStage>,
    /// What draws weights towards 0 or another place, or constrains them.
    pub decay: Vec<WeightDecay>,
    /// Turns the gradient into a step.
    pub optimiser: Optimiser,
    /// Adapts the learning rate to the minibatch, if it is adaptive.
    pub schedule: Schedule,
}

impl From<&RunConfig> for UpdateRule {
    fn from(config: &RunConfig) -> Self {
        Self {
            clip: config.stability.clip.clone(),
            decay: config.stability.decay.clone(),
            optimiser: config.train.optimiser,
            schedule: config.train.schedule,
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
    /// Learning rate of the step.
    pub learning_rate: f64,
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
/// order → coupled decay → optimiser → decoupled decay → constraints → measure the applied step.
/// Frozen parameters have a gradient of 0 and keep their bits.
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
    let (decay, initial) = (&update_rule.decay, &input.initial_parameters);
    let gradient = apply_coupled_decay(decay, clipped.gradient, before, initial, layout);
    let kl = report.approx_kl.unwrap_or(f64::INFINITY);
    let rate = update_rule.schedule.adapt(input.learning_rate, kl);
    let (parameters, optimiser) =
        update_rule
            .optimiser
            .step(before, &gradient, &input.optimiser, rate, layout);
    let parameters = apply_decoupled_decay(decay, parameters, before, initial, rate, layout);
    let parameters = layout.with_frozen_from(parameters, before);
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
        learning_rate: rate,
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

    /// What the loss of a row depends on of the whole minibatch.
    pub(super) fn minibatch_scale(&self) -> MinibatchScale {
        let standardises = self.objective.minibatch_advantages;
        MinibatchScale {
            rows: self.row_count(),
            advantage: standardises.then(|| self.advantage_scale()),
        }
    }

    /// Mean of the minibatch's advantages, and factor that divides by their standard deviation.
    fn advantage_scale(&self) -> (f32, f32) {
        let (rows, inactive) = match &self.sequences {
            None => (self.indices.shallow_clone(), Vec::new()),
            Some(all) => {
                let (rows, _) = all.select(&self.indices);
                let inactive = all.inactive_in(&rows);
                (rows, inactive)
            }
        };
        let column = self.rows.select(1, self.row_layout.advantage() as i64);
        let mut sums = BatchSums::about(&[0.0]);
        for (row, &advantage) in entries(&column.index_select(0, &rows)).iter().enumerate() {
            if inactive.get(row).is_none_or(|&inactive| inactive == 0.0) {
                sums.add(&[advantage]);
            }
        }
        let moments = sums.moments();
        standardise(moments.mean[0], moments.squares[0] / moments.count)
    }

    /// The same step on other indices, without what the gradient does not depend on. Shares the
    /// tensors.
    pub(super) fn with_indices(&self, indices: Tensor) -> Self {
        Self {
            parameters: self.parameters.shallow_clone(),
            initial_parameters: self.initial_parameters.shallow_clone(),
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
    let (units, scale) = (input.indices.size()[0] as usize, input.minibatch_scale());
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
        no_grad(|| part_gradient(metrics_level, policy, &part, scale))
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

/// The gradient of one part of a minibatch: those of all parts add up to the minibatch's.
pub(super) fn part_gradient(
    metrics_level: MetricsLevel,
    policy: &Policy,
    part: &UpdateInput,
    scale: MinibatchScale,
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
    let heads = PolicyHeads {
        distribution: &policy.distribution(&weights),
        critic: policy.critic_head(),
    };
    let loss = part.objective.compute_loss(
        heads,
        &outputs.actor,
        &outputs.critic,
        &loss_columns,
        &inactive,
        scale,
    );
    let gradient = policy.backward(&weights, &outputs, &loss.actor, &loss.critic, &loss.log_std);
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
mod tests;
