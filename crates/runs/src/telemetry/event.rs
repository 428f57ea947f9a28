//! The typed events of a training run. A run's `metrics.jsonl` has one per line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{EvalSummary, GuardReport, HealthEvent, Symptom};

/// An event of a training run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// One optimiser step.
    Step(UpdateReport),
    /// One iteration: a rollout with all its epochs.
    Iteration(IterationReport),
    /// A deterministic evaluation during training, on validation episodes, which choose the best checkpoint.
    Evaluation(EvaluationReport),
    /// A checkpoint was written.
    Checkpoint(CheckpointReport),
    /// A detector reported a symptom of unhealthy training or of an unhealthy robot.
    Health(HealthEvent),
    /// The update guard found a fault in an optimiser step.
    Guard(GuardReport),
    /// The flight recorder saved, or could not save, the optimiser steps that led to a symptom.
    Incident(IncidentReport),
    /// The run diverged: a non-finite loss, gradient or parameter, or a parameter norm above 100
    /// times the initial one ("divergence" in `docs/metrics.md`). Logged once, at the first such
    /// optimiser step.
    Diverged(DivergedReport),
}

/// One optimiser step. Gradient norms are measured before any clip.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpdateReport {
    /// Environment steps collected before this optimiser step.
    pub global_step: u64,
    /// Number of optimiser steps before this one, including those that the guard refused.
    pub optimiser_step: u64,
    /// Global L2 norm over all parameters; NaN or infinite (`null` in JSON) if any entry is.
    pub grad_norm: Option<f64>,
    /// L2 norm over the actor's parameters.
    pub grad_norm_actor: Option<f64>,
    /// L2 norm over the critic's parameters.
    pub grad_norm_critic: Option<f64>,
    /// L2 norm of the gradient of each parameter tensor, in the order of `layers` in the `iteration`
    /// event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_norms: Vec<Option<f64>>,
    /// Largest absolute entry.
    pub grad_max: Option<f64>,
    /// Number of entries that are not finite.
    pub grad_nonfinite: u64,
    /// Report of each clip stage, in order.
    pub clip: Vec<ClipReport>,
    /// ‖Δθ‖ / ‖θ‖ of the applied step.
    pub update_ratio: Option<f64>,
    /// ‖Δθ‖ / ‖θ‖ of each parameter tensor, in the order of `layers` in the `iteration` event;
    /// `None` if the tensor was 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_update_ratios: Vec<Option<f64>>,
    /// Cosine between the applied step and the negative gradient before any clip: 1 for a step of
    /// steepest descent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update_cosine: Option<f64>,
    /// ‖θ‖ after the step.
    pub param_norm: Option<f64>,
    /// Policy loss.
    pub policy_loss: Option<f64>,
    /// Value loss.
    pub value_loss: Option<f64>,
    /// Mean entropy of the action distribution, nats.
    pub entropy: Option<f64>,
    /// Approximate KL divergence from the rollout's policy, `E[(r − 1) − ln r]` (Schulman 2020).
    pub approx_kl: Option<f64>,
    /// Share of samples whose probability ratio the objective clipped.
    pub ratio_clip_share: Option<f64>,
    /// Largest probability ratio.
    pub ratio_max: Option<f64>,
    /// ‖∂L/∂h‖ after each time step of the unrolled sequences, oldest first, `[T]`, over all units
    /// and sequences of the minibatch. Empty for a policy without memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden_grad_norms: Vec<Option<f64>>,
    /// Factor by which `hidden_grad_norms` grows with each step back in time: above 1 gradients
    /// explode, below 1 they vanish. Computed from the least-squares slope of the logarithm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_grad_growth: Option<f64>,
}

/// Effect of one clip stage on one gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClipReport {
    /// Name of the stage in the settings.
    pub stage: String,
    /// Global norm before the stage.
    pub norm_before: Option<f64>,
    /// Global norm after the stage.
    pub norm_after: Option<f64>,
    /// Whether the stage changed the gradient.
    pub acted: bool,
    /// Whether the stage bounds the size of the gradient. A stage that only changes its direction
    /// is not a clip. Missing in logs means `true`.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bounds: bool,
    /// Threshold at this optimiser step.
    pub threshold: Option<f64>,
}

impl ClipReport {
    /// Whether the stage changed the gradient to bound its size.
    pub fn clipped(&self) -> bool {
        self.acted && self.bounds
    }
}

impl IterationReport {
    /// The largest |value| of the critic as a multiple of what the rewards allow. `None` if one of
    /// them is unknown, or there was no reward.
    pub fn value_ratio(&self) -> Option<f64> {
        let ratio = self.value_max? / self.value_bound?;
        ratio.is_finite().then_some(ratio)
    }
}

impl UpdateReport {
    /// Means over optimiser steps; for the largest entry and the largest ratio, the maximum.
    pub fn mean_of(steps: &[Self]) -> Self {
        let mean = |of: fn(&Self) -> Option<f64>| {
            let known: Vec<f64> = steps.iter().filter_map(of).collect();
            (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
        };
        let largest = |of: fn(&Self) -> Option<f64>| steps.iter().filter_map(of).reduce(f64::max);
        let last = steps.last();
        Self {
            global_step: last.map_or(0, |step| step.global_step),
            optimiser_step: last.map_or(0, |step| step.optimiser_step),
            grad_norm: mean(|step| step.grad_norm),
            grad_norm_actor: mean(|step| step.grad_norm_actor),
            grad_norm_critic: mean(|step| step.grad_norm_critic),
            layer_norms: Vec::new(),
            grad_max: largest(|step| step.grad_max),
            grad_nonfinite: steps.iter().map(|step| step.grad_nonfinite).sum(),
            clip: Vec::new(),
            update_ratio: mean(|step| step.update_ratio),
            layer_update_ratios: Vec::new(),
            update_cosine: mean(|step| step.update_cosine),
            param_norm: mean(|step| step.param_norm),
            policy_loss: mean(|step| step.policy_loss),
            value_loss: mean(|step| step.value_loss),
            entropy: mean(|step| step.entropy),
            approx_kl: mean(|step| step.approx_kl),
            ratio_clip_share: mean(|step| step.ratio_clip_share),
            ratio_max: largest(|step| step.ratio_max),
            hidden_grad_norms: Vec::new(),
            hidden_grad_growth: mean(|step| step.hidden_grad_growth),
        }
    }

    /// Whether any stage clipped the gradient.
    pub fn clipped(&self) -> bool {
        self.clip.iter().any(ClipReport::clipped)
    }

    /// Threshold of the first stage that bounds the gradient.
    pub fn clip_threshold(&self) -> Option<f64> {
        self.clip.iter().find(|stage| stage.bounds)?.threshold
    }

    /// Factor by which all bounding stages together scaled the gradient norm: 1 if none acted.
    /// Returns `None` without such stages, or if a norm is 0 or not finite.
    pub fn clip_factor(&self) -> Option<f64> {
        let mut bounding = self.clip.iter().filter(|stage| stage.bounds).peekable();
        bounding.peek()?;
        let factor = bounding.try_fold(1.0, |factor, stage| {
            Some(factor * stage.norm_after? / stage.norm_before?)
        });
        factor.filter(|factor| factor.is_finite())
    }
}

fn yes() -> bool {
    true
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde requires it")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// One iteration: results of the rollout's episodes and means over the optimiser steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IterationReport {
    /// Number of completed iterations, including this one.
    pub iteration: u64,
    /// Environment steps collected so far, including this iteration.
    pub global_step: u64,
    /// Optimiser steps so far, including this iteration and those that the guard refused.
    pub optimiser_step: u64,
    /// Number of episodes that ended in this rollout.
    pub episodes: u64,
    /// Number of ended episodes by outcome, in the order `goal`, `collision_static`,
    /// `collision_mover`, `out_of_bounds`, `time_limit`, `non_finite`.
    pub outcomes: [u64; 6],
    /// Number of episodes that started in this rollout with a layout that was drawn again, because
    /// the first could not be placed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub redrawn_layouts: u64,
    /// Share of the ended episodes that reached the goal.
    pub success_rate: Option<f64>,
    /// Mean undiscounted return of the ended episodes.
    pub episodic_return: Option<f64>,
    /// Mean length of the ended episodes, control steps.
    pub episodic_length: Option<f64>,
    /// Mean per control step of each reward term: pairs of name and value.
    #[serde(with = "crate::json::nullable_terms")]
    #[schemars(with = "Vec<(String, f64)>")]
    pub reward_terms: Vec<(String, f64)>,
    /// Learning rate of the last optimiser step.
    pub learning_rate: f64,
    /// Coefficient of the KL penalty in the optimiser steps; `None` without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_coef: Option<f64>,
    /// 1 − Var(returns − values) / Var(returns), over the rollout.
    pub explained_variance: Option<f64>,
    /// Largest |value| of the critic in the rollout, in units of rewards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_max: Option<f64>,
    /// Largest |value| that the rewards so far allow: r / (1 − γ), where r is the largest |reward|
    /// of a control step. `None` where γ is 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_bound: Option<f64>,
    /// Mean standard deviation of the action distribution before squashing; over the rollout where
    /// it depends on the observation.
    pub action_std: Option<f64>,
    /// Means over the iteration's optimiser steps; of `grad_max` and `ratio_max` the largest, of
    /// `grad_nonfinite` the sum. Lists are empty.
    pub mean: UpdateReport,
    /// Share of the iteration's optimiser steps in which any stage clipped the gradient.
    pub clip_share: f64,
    /// State of each parameter tensor after the iteration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerReport>,
    /// Number of started epochs; fewer than configured if the target KL ended them.
    pub epochs: u32,
    /// Progress of the curriculum; `None` without a curriculum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<CurriculumReport>,
    /// Wall-clock times. They differ between otherwise identical runs.
    pub wall: WallClockReport,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// Progress of a curriculum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CurriculumReport {
    /// Number of promotions to harder levels so far, in a curriculum by difficulty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<u32>,
    /// Difficulty of the hardest open level; `None` if all levels are open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_difficulty: Option<f64>,
    /// Mean p(1 − p) over the levels that are replayed, where p is the success rate in each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnability: Option<f64>,
    /// Success rate, with sampled actions, in the new levels of the last scoring.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_success_rate: Option<f64>,
    /// Environment steps spent on scoring levels so far; not counted in `global_step`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_scoring_steps: Option<u64>,
}

/// One parameter of the policy after an iteration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LayerReport {
    /// Name, such as `actor.0.weight`.
    pub name: String,
    /// Largest singular value of a weight matrix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectral_norm: Option<f64>,
    /// Share of saturated outputs of this layer's units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturated: Option<f64>,
    /// Share of dormant units in this layer, including dead ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dormant: Option<f64>,
}

/// Wall-clock times of one iteration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WallClockReport {
    /// Seconds since the start of the run, including evaluations, checkpoints and logs, summed over
    /// resumptions.
    pub elapsed_secs: f64,
    /// Environment steps per second of this iteration; only rollout and optimisation count.
    pub steps_per_sec: f64,
    /// Seconds spent stepping environments.
    pub simulate_secs: f64,
    /// Seconds spent choosing actions.
    pub forward_secs: f64,
    /// Seconds spent in losses, gradients and optimiser steps.
    pub optimise_secs: f64,
}

/// A deterministic evaluation during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EvaluationReport {
    /// Environment steps collected before the evaluation.
    pub global_step: u64,
    /// Seconds from the start of the run to the end of the evaluation, summed over resumptions.
    pub elapsed_secs: f64,
    /// The results.
    pub summary: EvalSummary,
    /// Whether it is the best evaluation so far.
    pub best: bool,
}

/// A written checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckpointReport {
    /// `last` or `best`.
    pub name: String,
    /// Environment steps collected before the checkpoint.
    pub global_step: u64,
}

/// An incident that the flight recorder saved or dropped.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct IncidentReport {
    /// Environment steps collected before the incident.
    pub global_step: u64,
    /// The optimiser step with the symptoms.
    pub optimiser_step: u64,
    /// The symptoms at that step.
    pub symptoms: Vec<Symptom>,
    /// Name of the folder in the run's `incidents`. `None` if the incident was not saved, because
    /// the number or size of incidents had reached the limit in the settings.
    pub folder: Option<String>,
}

/// The divergence of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DivergedReport {
    /// Environment steps collected before the divergence.
    pub global_step: u64,
    /// The first diverged optimiser step.
    pub optimiser_step: u64,
    /// Why the run counts as diverged.
    pub reason: DivergenceReason,
}

/// Why a run counts as diverged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DivergenceReason {
    /// The loss was NaN or infinite.
    NonFiniteLoss,
    /// A gradient entry was NaN or infinite.
    NonFiniteGradient,
    /// A parameter or its optimiser state was NaN or infinite.
    NonFiniteParameter,
    /// ‖θ‖ exceeded 100 ‖θ₀‖.
    ParameterNorm,
    /// The guard refused more consecutive optimiser steps than its patience allows.
    UpdatesRefused,
}

impl DivergenceReason {
    /// A run whose ‖θ‖ has grown by more than this factor has diverged.
    pub const NORM_GROWTH_LIMIT: f64 = 100.0;

    /// Text for messages.
    pub fn description(self) -> &'static str {
        match self {
            Self::NonFiniteLoss => "the loss was not finite",
            Self::NonFiniteGradient => "a gradient was not finite",
            Self::NonFiniteParameter => "a weight was not finite",
            Self::ParameterNorm => "the weights grew a hundredfold",
            Self::UpdatesRefused => "the guard refused its steps",
        }
    }

    /// Whether a non-finite number is the reason.
    pub fn is_non_finite(self) -> bool {
        match self {
            Self::NonFiniteLoss | Self::NonFiniteGradient | Self::NonFiniteParameter => true,
            Self::ParameterNorm | Self::UpdatesRefused => false,
        }
    }
}

/// A receiver of events.
pub trait Sink {
    /// Records one event.
    fn record(&mut self, event: &Event) -> std::io::Result<()>;

    /// Flushes recorded events. Called after an iteration, after a checkpoint and at the end of
    /// the run.
    fn flush(&mut self) -> std::io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An optimiser step whose stages have `(bounds, norm_before, norm_after)`.
    fn update(stages: &[(bool, f64, f64)]) -> UpdateReport {
        let stage = |&(bounds, before, after): &(bool, f64, f64)| ClipReport {
            stage: String::new(),
            norm_before: Some(before),
            norm_after: Some(after),
            acted: true,
            bounds,
            threshold: None,
        };
        UpdateReport {
            clip: stages.iter().map(stage).collect(),
            ..UpdateReport::default()
        }
    }

    #[test]
    fn a_stage_that_does_not_bound_the_gradient_is_not_a_clip() {
        let unbounded = update(&[(false, 4.0, 3.0)]);
        assert!(!unbounded.clipped() && unbounded.clip_factor().is_none());
        let clipped = update(&[(false, 4.0, 3.0), (true, 3.0, 1.5), (true, 1.5, 0.5)]);
        assert!(clipped.clipped());
        assert!((clipped.clip_factor().unwrap() - 1.0 / 6.0).abs() < 1e-12);
        assert!(update(&[(true, 0.0, 0.0)]).clip_factor().is_none());
    }

    #[test]
    fn a_stage_without_the_key_bounds_is_a_clip() {
        let line = r#"{"stage":"value","norm_before":2,"norm_after":1,"acted":true,"threshold":1}"#;
        let report: ClipReport = serde_json::from_str(line).unwrap();
        assert!(report.clipped());
        assert!(!serde_json::to_string(&report).unwrap().contains("bounds"));
    }
}
