//! The flight recorder: keeps the last optimiser steps in memory, with everything that they read,
//! and captures them when a detector fires. Steps write into no tensor, so keeping one copies
//! nothing; its tensors are freed when it is dropped.

use std::collections::VecDeque;

use super::attempt::UpdateAttempt;
use super::batch::RolloutBatch;
use super::stability_config::FlightRecorderConfig;
use evenkeel_runs::telemetry::{HealthEvent, Severity};

/// Keeps the last optimiser steps of a run.
#[derive(Debug)]
pub(super) struct FlightRecorder {
    config: FlightRecorderConfig,
    /// The rollouts of the steps in the ring, the current one last.
    batches: VecDeque<RolloutBatch>,
    ring: VecDeque<UpdateAttempt>,
    captures: Vec<Capture>,
}

/// The last steps at a symptom.
#[derive(Debug)]
pub(super) struct Capture {
    /// In order; the symptoms were detected in the last.
    pub(super) steps: Vec<UpdateAttempt>,
    pub(super) symptoms: Vec<HealthEvent>,
}

impl FlightRecorder {
    /// An empty recorder.
    pub(super) fn new(config: FlightRecorderConfig) -> Self {
        Self {
            config,
            batches: VecDeque::new(),
            ring: VecDeque::new(),
            captures: Vec::new(),
        }
    }

    /// Whether it keeps anything.
    pub(super) fn is_on(&self) -> bool {
        self.config.max_incidents > 0
    }

    /// Stores an attempted step, and captures where a detector has fired.
    /// `last_capture` is the step that was captured last, and its severity.
    pub(super) fn push_attempt(
        &mut self,
        attempt: UpdateAttempt,
        detected: &[HealthEvent],
        last_capture: &mut Option<(u64, Severity)>,
    ) {
        if !self.is_on() {
            return;
        }
        if self.ring.len() == self.config.steps as usize {
            self.ring.pop_front();
        }
        self.ring.push_back(attempt);
        self.capture_if_due(detected, last_capture);
    }

    /// Captures the last steps if a detector has fired, unless a capture for a symptom of the same
    /// severity or a higher one holds most of them already.
    pub(super) fn capture_if_due(
        &mut self,
        detected: &[HealthEvent],
        last_capture: &mut Option<(u64, Severity)>,
    ) {
        let Some(attempt) = self.ring.back() else {
            return;
        };
        let Some(worst) = severity(attempt, detected) else {
            return;
        };
        let step = attempt.input.optimiser_step;
        let captured = last_capture.is_some_and(|(last, severity)| {
            step.saturating_sub(last) < u64::from(self.config.steps) && severity >= worst
        });
        if captured {
            return;
        }
        *last_capture = Some((step, worst));
        self.captures.push(Capture {
            steps: self.ring.iter().map(UpdateAttempt::shallow_clone).collect(),
            symptoms: detected.to_vec(),
        });
    }

    /// Keeps a rollout for as long as it has a step in the ring or in a capture.
    pub(super) fn push_batch(&mut self, batch: RolloutBatch) {
        if !self.is_on() {
            return;
        }
        self.batches.push_back(batch);
        let captures = self
            .captures
            .iter()
            .filter_map(|capture| capture.steps.first());
        let oldest = captures
            .chain(self.ring.front())
            .map(|attempt| attempt.input.global_step)
            .min();
        self.batches
            .retain(|batch| oldest.is_some_and(|oldest| batch.global_step >= oldest));
    }

    /// The captures since the last call, and the rollouts of their steps.
    pub(super) fn take_captures(&mut self) -> (Vec<Capture>, &VecDeque<RolloutBatch>) {
        (std::mem::take(&mut self.captures), &self.batches)
    }
}

/// Severity of what was detected in a step, if anything was.
pub(super) fn severity(attempt: &UpdateAttempt, detected: &[HealthEvent]) -> Option<Severity> {
    let diverged = attempt.divergence.map(|_| Severity::Critical);
    detected
        .iter()
        .map(|detected| detected.severity)
        .chain(diverged)
        .max()
}
