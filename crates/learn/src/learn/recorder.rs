//! The flight recorder: the last optimiser steps with all that they read, kept in memory, and set
//! aside when a detector fires. Steps write into no tensor, so that keeping one copies nothing; what
//! it holds on to is freed when it leaves.

use std::collections::VecDeque;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::learner::{Lesson, Tried};
use evenkeel_runs::telemetry::{HealthEvent, Severity};

/// What the flight recorder keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecorderConfig {
    /// Optimiser steps of an incident: the one in which a symptom was seen, and those before it.
    pub steps: u32,
    /// Incidents kept of a run, those of a critical symptom rather than of a warning; 0: the
    /// recorder is off.
    pub max_incidents: u32,
    /// Megabytes that they may take in all.
    pub max_megabytes: u32,
}

impl RecorderConfig {
    /// Keeps nothing.
    pub(super) const OFF: Self = Self {
        steps: 1,
        max_incidents: 0,
        max_megabytes: 1,
    };
}

impl Default for RecorderConfig {
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
pub(super) struct Recorder {
    config: RecorderConfig,
    /// The rollouts that the steps of the ring were learnt from, the current one last.
    lessons: VecDeque<Lesson>,
    ring: VecDeque<Tried>,
    caught: Vec<Catch>,
    /// The last step that was set aside, and how bad it was.
    pub(super) last: Option<(u64, Severity)>,
}

/// Steps set aside, and why.
#[derive(Debug)]
pub(super) struct Catch {
    /// In order; the symptoms were seen in the last.
    pub(super) steps: Vec<Tried>,
    pub(super) symptoms: Vec<HealthEvent>,
}

impl Recorder {
    /// A recorder that has seen nothing but the step that was set aside last.
    pub(super) fn new(config: RecorderConfig, last: Option<(u64, Severity)>) -> Self {
        Self {
            config,
            lessons: VecDeque::new(),
            ring: VecDeque::new(),
            caught: Vec::new(),
            last,
        }
    }

    /// Whether it keeps anything.
    pub(super) fn is_on(&self) -> bool {
        self.config.max_incidents > 0
    }

    /// Takes a step that was tried, with what the detectors saw in it.
    pub(super) fn watch(&mut self, tried: Tried, seen: &[HealthEvent]) {
        if !self.is_on() {
            return;
        }
        if self.ring.len() == self.config.steps as usize {
            self.ring.pop_front();
        }
        self.ring.push_back(tried);
        self.note(seen);
    }

    /// Sets the last steps aside if a detector has fired, unless a symptom as bad has set aside
    /// most of them already.
    pub(super) fn note(&mut self, seen: &[HealthEvent]) {
        let Some(tried) = self.ring.back() else {
            return;
        };
        let Some(worst) = severity(tried, seen) else {
            return;
        };
        let step = tried.input.optimiser_step;
        let known = self.last.is_some_and(|(last, severity)| {
            step.saturating_sub(last) < u64::from(self.config.steps) && severity >= worst
        });
        if known {
            return;
        }
        self.last = Some((step, worst));
        self.caught.push(Catch {
            steps: self.ring.iter().map(Tried::shallow_clone).collect(),
            symptoms: seen.to_vec(),
        });
    }

    /// Keeps a rollout that was learnt from, for as long as a step in the ring, or one set aside, is
    /// of it.
    pub(super) fn keep(&mut self, lesson: Lesson) {
        if !self.is_on() {
            return;
        }
        self.lessons.push_back(lesson);
        let caught = self.caught.iter().filter_map(|catch| catch.steps.first());
        let oldest = caught
            .chain(self.ring.front())
            .map(|tried| tried.input.global_step)
            .min();
        self.lessons
            .retain(|lesson| oldest.is_some_and(|oldest| lesson.global_step >= oldest));
    }

    /// What was set aside since the last call, with the rollouts that it may be of.
    pub(super) fn take(&mut self) -> (Vec<Catch>, &VecDeque<Lesson>) {
        (std::mem::take(&mut self.caught), &self.lessons)
    }
}

/// How bad it is what was seen in a step, if anything was.
pub(super) fn severity(tried: &Tried, seen: &[HealthEvent]) -> Option<Severity> {
    let diverged = tried.diverges.map(|_| Severity::Critical);
    seen.iter().map(|seen| seen.severity).chain(diverged).max()
}
