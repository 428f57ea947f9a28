//! The gradient norms of a training run, for its timeline.

use evenkeel_runs::recording::messages::TrainingIteration;
use evenkeel_runs::telemetry::{Event, Severity};

/// The optimiser steps of a run, or of one iteration of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GradientHistory {
    /// The optimiser steps, in order.
    pub steps: Vec<GradientPoint>,
    /// What detectors reported about them, in order.
    pub detections: Vec<TimelineDetection>,
}

/// One optimiser step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientPoint {
    /// Number of the step.
    pub optimiser_step: u64,
    /// Global norm of the gradient before any clip; NaN if it was not finite.
    pub norm: f64,
    /// Threshold of the first clip stage that has one; NaN if none has.
    pub threshold: f64,
    /// Whether any clip stage changed the gradient.
    pub clipped: bool,
}

/// A detector's report, or the divergence of the run.
#[derive(Clone, Debug, PartialEq)]
pub struct TimelineDetection {
    /// Number of the optimiser step.
    pub optimiser_step: u64,
    /// Severity of the symptom.
    pub severity: Severity,
    /// Description.
    pub text: String,
}

impl GradientHistory {
    /// The history of a whole run, from its log.
    pub fn of_run(events: &[Event]) -> Self {
        let mut history = Self::default();
        for event in events {
            match event {
                Event::Step(step) => history.steps.push(GradientPoint {
                    optimiser_step: step.optimiser_step,
                    norm: step.grad_norm.unwrap_or(f64::NAN),
                    threshold: step
                        .clip
                        .iter()
                        .find_map(|stage| stage.threshold)
                        .unwrap_or(f64::NAN),
                    clipped: step.clipped(),
                }),
                Event::Health(report) => history.detections.push(TimelineDetection {
                    optimiser_step: report.optimiser_step,
                    severity: report.severity,
                    text: format!("{} ({})", report.symptom, report.location),
                }),
                Event::Diverged(diverged) => history.detections.push(TimelineDetection {
                    optimiser_step: diverged.optimiser_step,
                    severity: Severity::Critical,
                    text: format!("the run diverged: {}", diverged.reason.description()),
                }),
                _ => {}
            }
        }
        history
    }

    /// The history of one iteration, from a recording.
    pub fn of_iteration(iteration: &TrainingIteration) -> Self {
        let steps = iteration.updates.iter().map(|step| GradientPoint {
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

    /// Numbers of the first and the last step; `None` if there are no steps.
    pub(super) fn span(&self) -> Option<(u64, u64)> {
        let (first, last) = (self.steps.first()?, self.steps.last()?);
        Some((first.optimiser_step, last.optimiser_step))
    }

    /// The least and the greatest of the finite, positive norms and thresholds.
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

    /// The step whose number is nearest to `optimiser_step`.
    pub(super) fn nearest(&self, optimiser_step: u64) -> Option<&GradientPoint> {
        let after = self
            .steps
            .partition_point(|step| step.optimiser_step < optimiser_step);
        let around = self.steps.get(after.saturating_sub(1)..)?.iter().take(2);
        around.min_by_key(|step| step.optimiser_step.abs_diff(optimiser_step))
    }
}
