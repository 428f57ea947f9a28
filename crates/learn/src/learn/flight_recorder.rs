//! The flight recorder: the last optimiser steps with all that they read, kept in memory, and set
//! aside when a detector fires. Steps write into no tensor, so that keeping one copies nothing; what
//! it holds on to is freed when it leaves.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{RolloutBatch, UpdateAttempt};
use evenkeel_runs::telemetry::{HealthEvent, Severity};

/// What the flight recorder keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlightRecorderConfig {
    /// Optimiser steps of an incident: the one in which a symptom was seen, and those before it.
    pub steps: u32,
    /// Incidents kept of a run, those of a critical symptom rather than of a warning; 0: the
    /// recorder is off.
    pub max_incidents: u32,
    /// Megabytes that they may take in all.
    pub max_megabytes: u32,
}

impl FlightRecorderConfig {
    /// Keeps nothing.
    pub(super) const OFF: Self = Self {
        steps: 1,
        max_incidents: 0,
        max_megabytes: 1,
    };
}

impl Default for FlightRecorderConfig {
    fn default() -> Self {
        Self {
            steps: 4,
            max_incidents: 8,
            max_megabytes: 64,
        }
    }
}

/// Keeps the last optimiser steps of a run.
#[derive(Debug)]
pub(super) struct FlightRecorder {
    config: FlightRecorderConfig,
    /// The rollouts that the steps of the ring were learnt from, the current one last.
    batches: VecDeque<RolloutBatch>,
    ring: VecDeque<UpdateAttempt>,
    captures: Vec<Capture>,
    /// The last step that was set aside, and how bad it was.
    pub(super) last: Option<(u64, Severity)>,
}

/// Steps set aside, and why.
#[derive(Debug)]
pub(super) struct Capture {
    /// In order; the symptoms were seen in the last.
    pub(super) steps: Vec<UpdateAttempt>,
    pub(super) symptoms: Vec<HealthEvent>,
}

impl FlightRecorder {
    /// A recorder that has seen nothing but the step that was set aside last.
    pub(super) fn new(config: FlightRecorderConfig, last: Option<(u64, Severity)>) -> Self {
        Self {
            config,
            batches: VecDeque::new(),
            ring: VecDeque::new(),
            captures: Vec::new(),
            last,
        }
    }

    /// Whether it keeps anything.
    pub(super) fn is_on(&self) -> bool {
        self.config.max_incidents > 0
    }

    /// Takes a step that was tried, with what the detectors saw in it.
    pub(super) fn push_attempt(&mut self, attempt: UpdateAttempt, seen: &[HealthEvent]) {
        if !self.is_on() {
            return;
        }
        if self.ring.len() == self.config.steps as usize {
            self.ring.pop_front();
        }
        self.ring.push_back(attempt);
        self.capture_if_due(seen);
    }

    /// Sets the last steps aside if a detector has fired, unless a symptom as bad has set aside
    /// most of them already.
    pub(super) fn capture_if_due(&mut self, seen: &[HealthEvent]) {
        let Some(attempt) = self.ring.back() else {
            return;
        };
        let Some(worst) = severity(attempt, seen) else {
            return;
        };
        let step = attempt.input.optimiser_step;
        let known = self.last.is_some_and(|(last, severity)| {
            step.saturating_sub(last) < u64::from(self.config.steps) && severity >= worst
        });
        if known {
            return;
        }
        self.last = Some((step, worst));
        self.captures.push(Capture {
            steps: self.ring.iter().map(UpdateAttempt::shallow_clone).collect(),
            symptoms: seen.to_vec(),
        });
    }

    /// Keeps a rollout that was learnt from, for as long as a step in the ring, or one set aside, is
    /// of it.
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

    /// What was set aside since the last call, with the rollouts that it may be of.
    pub(super) fn take_captures(&mut self) -> (Vec<Capture>, &VecDeque<RolloutBatch>) {
        (std::mem::take(&mut self.captures), &self.batches)
    }
}

/// How bad it is what was seen in a step, if anything was.
pub(super) fn severity(attempt: &UpdateAttempt, seen: &[HealthEvent]) -> Option<Severity> {
    let diverged = attempt.divergence.map(|_| Severity::Critical);
    seen.iter().map(|seen| seen.severity).chain(diverged).max()
}
