//! What a run logged of its gradients, as its time line shows it.

use evenkeel_runs::recording::messages::TrainingIteration;
use evenkeel_runs::telemetry::{Event, Severity};

/// What the optimiser steps of a run, or of a moment of it, were.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientHistory {
    /// In order.
    pub steps: Vec<GradientPoint>,
    /// What was seen of them, in order.
    pub detections: Vec<Detection>,
}

/// One optimiser step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientPoint {
    /// Its number.
    pub optimiser_step: u64,
    /// Global norm before any clip; NaN where it was not finite.
    pub norm: f64,
    /// Threshold of the first clip stage that has one; NaN without.
    pub threshold: f64,
    /// Whether some stage clipped.
    pub clipped: bool,
}

/// What a detector saw, or that the run diverged.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// The optimiser step.
    pub optimiser_step: u64,
    /// How bad it is.
    pub severity: Severity,
    /// In words.
    pub text: String,
}

impl GradientHistory {
    /// Those of a run's log.
    pub fn of_run(events: &[Event]) -> Self {
        let mut this = Self::default();
        for event in events {
            match event {
                Event::Step(step) => this.steps.push(GradientPoint {
                    optimiser_step: step.optimiser_step,
                    norm: step.grad_norm.unwrap_or(f64::NAN),
                    threshold: step
                        .clip
                        .iter()
                        .find_map(|stage| stage.threshold)
                        .unwrap_or(f64::NAN),
                    clipped: step.clipped(),
                }),
                Event::Health(seen) => this.detections.push(Detection {
                    optimiser_step: seen.optimiser_step,
                    severity: seen.severity,
                    text: format!("{} ({})", seen.symptom, seen.location),
                }),
                Event::Diverged(diverged) => this.detections.push(Detection {
                    optimiser_step: diverged.optimiser_step,
                    severity: Severity::Critical,
                    text: format!("the run diverged: {}", diverged.reason.description()),
                }),
                _ => {}
            }
        }
        this
    }

    /// Those of a moment that a recording tells of.
    pub fn of_moment(moment: &TrainingIteration) -> Self {
        let steps = moment.updates.iter().map(|step| GradientPoint {
            optimiser_step: step.optimiser_step,
            norm: step.grad_norm,
            threshold: step.clip_threshold,
            clipped: step.clipped,
        });
        Self {
            steps: steps.collect(),
            detections: Vec::new(),
        }
    }

    /// Numbers of the first and the last step; nothing without any.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.steps.first()?, self.steps.last()?);
        Some((first.optimiser_step, last.optimiser_step))
    }

    /// Least and largest of the norms and thresholds that have a logarithm.
    pub(super) fn range(&self) -> Option<(f64, f64)> {
        let numbers = self
            .steps
            .iter()
            .flat_map(|step| [step.norm, step.threshold]);
        let numbers = numbers.filter(|number| number.is_finite() && *number > 0.0);
        numbers.fold(None, |range, number| match range {
            None => Some((number, number)),
            Some((low, high)) => Some((low.min(number), high.max(number))),
        })
    }

    /// The step nearest to a number.
    pub(super) fn nearest(&self, optimiser_step: u64) -> Option<&GradientPoint> {
        let after = self
            .steps
            .partition_point(|step| step.optimiser_step < optimiser_step);
        let around = self.steps.get(after.saturating_sub(1)..)?.iter().take(2);
        around.min_by_key(|step| step.optimiser_step.abs_diff(optimiser_step))
    }
}
