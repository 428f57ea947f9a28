//! What a training run says about itself, typed. A run's `metrics.jsonl` is these, one a line.

use serde::{Deserialize, Serialize};

use super::{EvalSummary, GuardReport, HealthEvent, Symptom};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// One optimiser step.
    Step(UpdateReport),
    /// One iteration: a rollout with all its epochs.
    Iteration(IterationReport),
    /// A deterministic evaluation during training, on episodes held out for choosing.
    Evaluation(EvaluationReport),
    /// A checkpoint was written.
    Checkpoint(CheckpointReport),
    /// A detector saw a symptom of unhealthy training or of an unhealthy robot.
    Health(HealthEvent),
    /// The guard found fault with an optimiser step.
    Guard(GuardReport),
    /// The flight recorder kept the optimiser steps that led to a symptom, or could not.
    Incident(IncidentReport),
    /// The run diverged (METRICS.md: a non-finite loss, gradient or parameter, or weights grown
    /// a hundredfold). Said once, at the first optimiser step where it held.
    Diverged(DivergedReport),
}

/// One optimiser step. Norms are of the gradient before any clip.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdateReport {
    /// Environment steps gathered before this optimiser step.
    pub global_step: u64,
    /// Optimiser steps before this one, those that the guard refused included.
    pub optimiser_step: u64,
    /// Global L2 norm over all parameters; NaN or infinite (`null`) if any entry is.
    pub grad_norm: Option<f64>,
    /// L2 norm over the actor's parameters.
    pub grad_norm_actor: Option<f64>,
    /// L2 norm over the critic's parameters.
    pub grad_norm_critic: Option<f64>,
    /// L2 norm over each parameter, in the order of [`IterationReport::layers`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_norms: Vec<Option<f64>>,
    /// Largest absolute entry.
    pub grad_max: Option<f64>,
    /// Number of entries that are not finite.
    pub grad_nonfinite: u64,
    /// What each clip stage did, in order.
    pub clip: Vec<ClipReport>,
    /// ‖Δθ‖ / ‖θ‖ of the applied step.
    pub update_ratio: Option<f64>,
    /// ‖Δθ‖ / ‖θ‖ of each parameter, in the order of [`IterationReport::layers`]; nothing where a
    /// parameter was 0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layer_update_ratios: Vec<Option<f64>>,
    /// Cosine between the applied step and the gradient before any clip, downhill: 1 where the
    /// step goes straight down.
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
    /// ‖∂L/∂h‖ after each step of the unrolled sequences, the oldest first, over all units and
    /// sequences of the minibatch; empty for a policy without memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hidden_grad_norms: Vec<Option<f64>>,
    /// By what factor that norm grows with each step back in time: above 1 gradients explode,
    /// below 1 they vanish. The slope of its logarithm by least squares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden_grad_growth: Option<f64>,
}

/// What one clip stage did to one gradient.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipReport {
    /// The stage's name, as in the configuration.
    pub stage: String,
    /// Global norm that came in.
    pub norm_before: Option<f64>,
    /// Global norm that went out.
    pub norm_after: Option<f64>,
    /// Whether the stage changed the gradient.
    pub acted: bool,
    /// Whether it is there to bound the gradient's size; a stage that only turns it is no clip.
    /// Logs of older builds do not say, and mean that it is.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub bounds: bool,
    /// The threshold in force.
    pub threshold: Option<f64>,
}

impl ClipReport {
    /// Whether the stage clipped: changed the gradient in order to bound it.
    pub fn clipped(&self) -> bool {
        self.acted && self.bounds
    }
}

impl UpdateReport {
    /// Whether some stage clipped the gradient.
    pub fn clipped(&self) -> bool {
        self.clip.iter().any(ClipReport::clipped)
    }

    /// Threshold of the first stage that bounds the gradient.
    pub fn clip_threshold(&self) -> Option<f64> {
        self.clip.iter().find(|stage| stage.bounds)?.threshold
    }

    /// By what factor the stages that bound it scaled the gradient's norm, in all: 1 where none
    /// acted. Absent without such stages, and where a norm is not finite or was 0.
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

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_yes(value: &bool) -> bool {
    *value
}

/// One iteration: what the rollout's episodes did, and means over the optimiser steps.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IterationReport {
    /// Iterations completed, this one included.
    pub iteration: u64,
    /// Environment steps gathered, this iteration's included.
    pub global_step: u64,
    /// Optimiser steps so far, this iteration's and those that the guard refused included.
    pub optimiser_step: u64,
    /// Episodes that ended in this rollout.
    pub episodes: u64,
    /// Ends by outcome, in the order of `Outcome::ALL`.
    pub outcomes: [u64; 6],
    /// Share of the ended episodes that reached the goal.
    pub success_rate: Option<f64>,
    /// Mean undiscounted return of the ended episodes.
    pub episodic_return: Option<f64>,
    /// Mean length of the ended episodes, control steps.
    pub episodic_length: Option<f64>,
    /// Mean per step of each named reward term.
    pub reward_terms: Vec<(String, f64)>,
    /// Learning rate of the last optimiser step.
    pub learning_rate: f64,
    /// 1 − Var(returns − values) / Var(returns), over the rollout.
    pub explained_variance: Option<f64>,
    /// Mean standard deviation of the action distribution before squashing.
    pub action_std: Option<f64>,
    /// Means over the iteration's optimiser steps.
    pub mean: UpdateReport,
    /// Share of the iteration's optimiser steps that some stage clipped.
    pub clip_share: f64,
    /// Each parameter after the iteration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerReport>,
    /// Epochs begun (fewer than configured where the target KL stopped them).
    pub epochs: u32,
    /// How far the curriculum has come; absent where every level is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub curriculum: Option<CurriculumReport>,
    /// Wall-clock figures. Not part of what must be identical between equal runs.
    pub wall: WallClockReport,
}

/// How far a curriculum has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CurriculumReport {
    /// Promotions so far, by difficulty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<u32>,
    /// Difficulty of the hardest level that is open; absent when all are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_difficulty: Option<f64>,
    /// Mean p(1 − p) of the levels that are played again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learnability: Option<f64>,
    /// Success rate, with actions drawn, in all new levels of the last appraisal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_success_rate: Option<f64>,
    /// Environment steps of all appraisals so far; they are not among `global_step`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level_scoring_steps: Option<u64>,
}

/// One parameter of the policy after an iteration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Its name: `actor.0.weight`, …
    pub name: String,
    /// Largest singular value of a weight matrix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spectral_norm: Option<f64>,
    /// Share of saturated outputs of the units that it drives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub saturated: Option<f64>,
    /// Share of dormant units, dead ones among them, of those that it drives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dormant: Option<f64>,
}

/// Wall-clock figures of one iteration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WallClockReport {
    /// Seconds of wall clock, evaluations, checkpoints and logs included, summed over resumptions.
    pub elapsed_secs: f64,
    /// Environment steps per second over this iteration: rollout and optimisation alone.
    pub steps_per_sec: f64,
    /// Seconds spent stepping environments.
    pub simulate_secs: f64,
    /// Seconds spent choosing actions.
    pub forward_secs: f64,
    /// Seconds spent in losses, gradients and optimiser steps.
    pub optimise_secs: f64,
}

/// A deterministic evaluation during training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EvaluationReport {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// Seconds of wall clock until its result was known, summed over resumptions.
    pub elapsed_secs: f64,
    /// The figures.
    pub summary: EvalSummary,
    /// Whether it is the best so far.
    pub best: bool,
}

/// A checkpoint was written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckpointReport {
    /// `last` or `best`.
    pub name: String,
    /// Environment steps gathered before it.
    pub global_step: u64,
}

/// What the flight recorder did about a symptom.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct IncidentReport {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The optimiser step that it is about.
    pub optimiser_step: u64,
    /// What was seen there.
    pub symptoms: Vec<Symptom>,
    /// The folder's name below the run's `incidents`; absent where it was left out because as many
    /// incidents, or as many bytes, are there as the settings allow.
    pub folder: Option<String>,
}

/// The run diverged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DivergedReport {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The first optimiser step at which it held.
    pub optimiser_step: u64,
    /// What was seen.
    pub reason: DivergenceReason,
}

/// What was seen when a run diverged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DivergenceReason {
    /// The loss was NaN or infinite.
    NonFiniteLoss,
    /// A gradient entry was NaN or infinite.
    NonFiniteGradient,
    /// A parameter was NaN or infinite, or what the optimiser remembers of it.
    NonFiniteParameter,
    /// ‖θ‖ exceeded a hundred times ‖θ₀‖.
    ParameterNorm,
    /// The guard, which refuses gradients far above their recent level, lost its patience.
    UpdatesRefused,
}

impl DivergenceReason {
    /// In words.
    pub fn description(self) -> &'static str {
        match self {
            Self::NonFiniteLoss => "the loss was not finite",
            Self::NonFiniteGradient => "a gradient was not finite",
            Self::NonFiniteParameter => "a weight was not finite",
            Self::ParameterNorm => "the weights grew a hundredfold",
            Self::UpdatesRefused => "the guard refused its steps",
        }
    }

    /// Whether there are no numbers to go on with.
    pub fn is_non_finite(self) -> bool {
        match self {
            Self::NonFiniteLoss | Self::NonFiniteGradient | Self::NonFiniteParameter => true,
            Self::ParameterNorm | Self::UpdatesRefused => false,
        }
    }
}

/// Takes events as they happen.
pub trait Sink {
    /// Takes one event.
    fn record(&mut self, event: &Event) -> std::io::Result<()>;

    /// Makes what was taken durable (end of an iteration, a checkpoint, the end of the run).
    fn flush(&mut self) -> std::io::Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(stages: &[(bool, f64, f64)]) -> UpdateReport {
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
    fn what_only_turns_the_gradient_is_no_clip() {
        let turned = step(&[(false, 4.0, 3.0)]);
        assert!(!turned.clipped() && turned.clip_factor().is_none());
        let clipped = step(&[(false, 4.0, 3.0), (true, 3.0, 1.5), (true, 1.5, 0.5)]);
        assert!(clipped.clipped());
        assert!((clipped.clip_factor().unwrap() - 1.0 / 6.0).abs() < 1e-12);
        assert!(step(&[(true, 0.0, 0.0)]).clip_factor().is_none());
    }

    #[test]
    fn stages_of_older_logs_are_clips() {
        let line = r#"{"stage":"value","norm_before":2,"norm_after":1,"acted":true,"threshold":1}"#;
        let report: ClipReport = serde_json::from_str(line).unwrap();
        assert!(report.clipped());
        assert!(!serde_json::to_string(&report).unwrap().contains("bounds"));
    }
}
