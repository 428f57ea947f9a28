//! The one optimiser step. It is a pure function of what it reads: parameters and optimiser
//! state go in and new ones come out, so that the same step can be tried with another remedy.

use tch::{Device, Tensor};

use super::Workers;
use super::ppo::{Columns, Loss, LossSums, Objective};
use super::workers::shards;
use crate::nn::{Part, Policy};
use crate::optim::{AdamState, ClipStage, Optimiser, clip_in_order, norm};
use crate::telemetry::{DivergenceReason, StepReport};

/// The least number of rows worth a part of its own: below it, the cost of starting each tensor
/// operation is felt.
const LEAST_ROWS: usize = 1536;

/// All that one optimiser step reads.
#[derive(Debug)]
pub struct UpdateInput {
    /// Environment steps gathered so far.
    pub global_step: u64,
    /// θ, flat.
    pub parameters: Tensor,
    /// What the optimiser remembers.
    pub optimiser: AdamState,
    /// `[B, width]`: rows to choose from, as [`Columns`] says.
    pub rows: Tensor,
    /// `[M]`, 64-bit integers: the minibatch.
    pub indices: Tensor,
    /// What the columns hold.
    pub columns: Columns,
    /// Coefficients of the objective.
    pub objective: Objective,
    /// Learning rate of this step.
    pub learning_rate: f64,
}

/// What is done about the gradient between backward and the weights.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// What the gradient goes through, in this order.
    pub clip: Vec<ClipStage>,
    /// Turns it into a step.
    pub optimiser: Optimiser,
}

/// A step that was taken.
#[derive(Debug)]
pub struct Applied {
    /// θ after it, flat.
    pub parameters: Tensor,
    /// What the optimiser remembers after it.
    pub optimiser: AdamState,
    /// What was measured.
    pub report: StepReport,
}

/// A step that was not taken, because something in it was not finite.
#[derive(Debug)]
pub struct Refused {
    /// What was not finite.
    pub reason: DivergenceReason,
    /// What was measured up to there.
    pub report: StepReport,
}

/// One optimiser step: backward → reduce over parts → finite check → measure → clip stages in
/// their order → optimiser → measure the applied step.
pub fn update(
    policy: &Policy,
    workers: &Workers,
    input: &UpdateInput,
    remedy: &Remedy,
) -> Result<Applied, Box<Refused>> {
    let (gradient, sums) = backward(policy, workers, input);
    let mut report = measure(policy, input, &gradient, &sums);
    if !sums.is_finite() {
        return Err(refused(DivergenceReason::NonFiniteLoss, report));
    }
    let Some(size) = report.grad_norm else {
        return Err(refused(DivergenceReason::NonFiniteGradient, report));
    };
    let (gradient, clip) = clip_in_order(&remedy.clip, gradient, size);
    report.clip = clip;
    let Optimiser::Adam(adam) = remedy.optimiser;
    let (parameters, optimiser) = adam.step(
        &input.parameters,
        &gradient,
        &input.optimiser,
        input.learning_rate,
    );
    let size = norm(&parameters);
    report.param_norm = finite(size);
    report.update_ratio =
        finite(norm(&(&parameters - &input.parameters)) / norm(&input.parameters));
    if !size.is_finite() {
        return Err(refused(DivergenceReason::NonFiniteParameter, report));
    }
    Ok(Applied {
        parameters,
        optimiser,
        report,
    })
}

/// The minibatch's mean gradient, flat, computed in parts side by side and added up in order.
fn backward(policy: &Policy, workers: &Workers, input: &UpdateInput) -> (Tensor, LossSums) {
    let count = input.indices.size()[0] as usize;
    let least = if input.parameters.device() == Device::Cpu {
        LEAST_ROWS
    } else {
        count
    };
    let jobs: Vec<(Tensor, Tensor, Tensor)> = shards(count, least)
        .into_iter()
        .map(|part| {
            let indices = input
                .indices
                .narrow(0, part.start as i64, part.len() as i64);
            (
                input.parameters.shallow_clone(),
                input.rows.shallow_clone(),
                indices,
            )
        })
        .collect();
    let (columns, objective) = (input.columns, input.objective);
    let parts = workers.map(jobs, |(parameters, rows, indices)| {
        let leaves = policy.layout().leaves(&parameters);
        let rows = rows.index_select(0, &indices);
        let loss = Loss::of(policy, &leaves, &rows, columns, &objective, count);
        let gradients = Tensor::run_backward(&[&loss.total], &leaves, false, false);
        (policy.layout().gather(&gradients), loss.sums())
    });
    let mut parts = parts.into_iter();
    let (mut gradient, mut sums) = parts.next().expect("a minibatch has at least one row");
    for (part, part_sums) in parts {
        gradient += part;
        sums.add(&part_sums);
    }
    (gradient, sums)
}

fn measure(policy: &Policy, input: &UpdateInput, gradient: &Tensor, sums: &LossSums) -> StepReport {
    let rows = input.indices.size()[0] as f64;
    let mut entries = vec![0.0f32; policy.layout().len()];
    gradient.copy_data(&mut entries, policy.layout().len());
    let squares = |part: Part| -> f64 {
        let of_part = policy
            .layout()
            .entries()
            .iter()
            .filter(|entry| entry.part == part);
        of_part
            .flat_map(|entry| &entries[entry.range.clone()])
            .map(|&g| f64::from(g) * f64::from(g))
            .sum()
    };
    let (actor, critic) = (squares(Part::Actor), squares(Part::Critic));
    let nonfinite = entries.iter().filter(|entry| !entry.is_finite()).count() as u64;
    let largest = entries
        .iter()
        .fold(0.0f32, |largest, entry| largest.max(entry.abs()));
    StepReport {
        global_step: input.global_step,
        optimiser_step: input.optimiser.steps,
        grad_norm: finite((actor + critic).sqrt()),
        grad_norm_actor: finite(actor.sqrt()),
        grad_norm_critic: finite(critic.sqrt()),
        grad_max: (nonfinite == 0).then_some(f64::from(largest)),
        grad_nonfinite: nonfinite,
        clip: Vec::new(),
        update_ratio: None,
        param_norm: None,
        policy_loss: finite(sums.policy / rows),
        value_loss: finite(sums.value / rows),
        entropy: finite(sums.entropy / rows),
        approx_kl: finite(sums.kl / rows),
        ratio_clip_share: finite(sums.clipped / rows),
        ratio_max: finite(sums.ratio_max),
    }
}

fn refused(reason: DivergenceReason, report: StepReport) -> Box<Refused> {
    Box::new(Refused { reason, report })
}

fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}
