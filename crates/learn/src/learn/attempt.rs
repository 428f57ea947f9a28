//! One attempted optimiser step: its input, and what the guard decided about its result.

use serde::{Deserialize, Serialize};

use super::{KlPenaltyState, UpdateInput};
use evenkeel_runs::health::{GuardDecision, GuardState};
use evenkeel_runs::telemetry::{DivergenceReason, UpdateReport};

/// How far the optimiser steps of an iteration have come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IterationProgress {
    /// Completed epochs.
    pub epoch: u32,
    /// Minibatches of the current epoch that are done.
    pub minibatch: u32,
    /// Sum of the approximate KL divergences of these minibatches, nats; infinite if one was not
    /// finite.
    #[serde(with = "evenkeel_runs::json::float")]
    pub kl: f64,
}

/// An attempted optimiser step: its input and its result.
#[derive(Debug)]
pub struct UpdateAttempt {
    /// Everything that the step read.
    pub input: UpdateInput,
    /// The progress of its iteration before it.
    pub progress: IterationProgress,
    /// The measurements.
    pub report: UpdateReport,
    /// Why the run would have diverged if the step had been applied; absent where it would not.
    pub divergence: Option<DivergenceReason>,
    /// State of the KL penalty in the step.
    pub kl_penalty: KlPenaltyState,
    /// State of the guard before the step.
    pub guard: GuardState,
    /// The guard's decision.
    pub decision: GuardDecision,
}

/// Whether the parameters after a step are so large that the run has diverged.
pub(super) fn exceeds_norm_limit(report: &UpdateReport, initial_norm: f64) -> bool {
    let limit = DivergenceReason::NORM_GROWTH_LIMIT * initial_norm;
    report.param_norm.is_some_and(|size| size > limit)
}
