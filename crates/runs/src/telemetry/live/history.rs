//! A bounded history of a run for live charts: quantities in bins of environment steps, and the
//! most recent notifications.

use std::collections::VecDeque;

use super::ValueRange;
use crate::telemetry::{
    EVALUATION_METRICS, Event, ITERATION_METRICS, IterationReport, Severity, Symptom, UpdateReport,
};

/// Largest number of bins. Beyond it, each pair of bins is merged.
const MAX_BINS: usize = 240;
/// Largest number of notifications.
const MAX_NOTIFICATIONS: usize = 100;

/// History of a run up to now.
#[derive(Clone, Debug, Default)]
pub struct RunHistory {
    /// Number of recorded events that changed the history.
    pub(super) revision: u64,
    /// Environment steps before the first bin.
    pub from: u64,
    /// Environment steps per bin: a power of two times the steps per iteration.
    pub width: u64,
    /// Bins in order, without gaps.
    pub bins: Vec<HistoryBin>,
    /// Names of the rows of [`HistoryBin::layers`].
    pub layers: Vec<String>,
    /// The most recent iteration, with an empty [`IterationReport::layers`].
    pub latest: IterationReport,
    /// Clip threshold in the most recent optimiser step; `None` without one.
    pub threshold: Option<f64>,
    /// Success rate in the most recent evaluation, 0 to 1.
    pub eval_success: Option<f64>,
    /// Notifications, most recent first.
    pub notifications: VecDeque<Notification>,
    /// Number of notifications so far, including those dropped from `notifications`.
    pub total: u64,
}

/// All quantities over one range of environment steps.
#[derive(Clone, Debug, Default)]
pub struct HistoryBin {
    /// Gradient norm before any clip, over optimiser steps.
    pub grad_norm: ValueRange,
    /// Clip threshold, over optimiser steps.
    pub threshold: ValueRange,
    /// Number of optimiser steps with a non-finite gradient.
    pub not_finite: u32,
    /// Largest gradient norm of each layer; NaN if one was not finite, negative if none was
    /// measured.
    pub layers: Vec<f32>,
    /// Metrics of iterations, in the order of [`ITERATION_METRICS`].
    pub iteration: [ValueRange; ITERATION_METRICS.len()],
    /// Metrics of evaluations, in the order of [`EVALUATION_METRICS`].
    pub evaluation: [ValueRange; EVALUATION_METRICS.len()],
    /// Highest severity of the notifications; `None` without any.
    pub max_severity: Option<Severity>,
}

/// An event that is shown as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Environment steps collected before the event.
    pub global_step: u64,
    /// Index of the optimiser step.
    pub optimiser_step: u64,
    /// How bad it is.
    pub severity: Severity,
    /// Title of two or three words, with the location of a symptom.
    pub title: String,
    /// Full text.
    pub text: String,
    /// The symptom, for the event of a detector.
    pub symptom: Option<Symptom>,
    /// Number of consecutive events with this title and severity.
    pub repeats: u64,
}

impl RunHistory {
    /// Creates the empty history of a run that starts, or resumes, at environment step `from`.
    pub(super) fn new(from: u64, steps_per_iteration: u64) -> Self {
        Self {
            from,
            width: steps_per_iteration.max(1),
            ..Self::default()
        }
    }

    pub(super) fn record(&mut self, event: &Event) {
        match event {
            Event::Step(report) => self.record_update(report),
            Event::Iteration(report) => self.record_iteration(report),
            Event::Evaluation(evaluation) => {
                let bin = self.bin(evaluation.global_step);
                for (range, metric) in bin.evaluation.iter_mut().zip(EVALUATION_METRICS) {
                    range.add(metric.read(evaluation).unwrap_or(f64::NAN));
                }
                self.eval_success = Some(evaluation.summary.success.value);
            }
            Event::Health(_) | Event::Guard(_) | Event::Incident(_) | Event::Diverged(_) => {
                let Some(notification) = Notification::of(event) else {
                    return;
                };
                let bin = self.bin(notification.global_step);
                bin.max_severity = bin.max_severity.max(Some(notification.severity));
                self.notify(notification);
            }
            Event::Checkpoint(_) => return,
        }
        self.revision += 1;
    }

    fn record_update(&mut self, report: &UpdateReport) {
        self.threshold = report.clip_threshold();
        let threshold = self.threshold;
        let bin = self.bin(report.global_step);
        let norm = report.grad_norm.filter(|norm| norm.is_finite());
        bin.grad_norm.add(norm.unwrap_or(f64::NAN));
        bin.not_finite += u32::from(norm.is_none());
        bin.threshold.add(threshold.unwrap_or(f64::NAN));
        let norms = report.layer_norms.iter().map(|norm| {
            norm.filter(|n| n.is_finite())
                .map_or(f32::NAN, |n| n as f32)
        });
        keep_max(&mut bin.layers, norms);
    }

    fn record_iteration(&mut self, report: &IterationReport) {
        let bin = self.bin(report.global_step);
        for (range, metric) in bin.iteration.iter_mut().zip(ITERATION_METRICS) {
            range.add(metric.read(report).unwrap_or(f64::NAN));
        }
        if self.layers.is_empty() {
            let names = report.layers.iter().map(|layer| layer.name.clone());
            self.layers = names.collect();
        }
        self.latest = IterationReport {
            layers: Vec::new(),
            ..report.clone()
        };
    }

    fn notify(&mut self, notification: Notification) {
        self.total += 1;
        if let Some(last) = self
            .notifications
            .front_mut()
            .filter(|last| last.is_repeat_of(&notification))
        {
            *last = Notification {
                repeats: last.repeats + 1,
                ..notification
            };
            return;
        }
        self.notifications.truncate(MAX_NOTIFICATIONS - 1);
        self.notifications.push_front(notification);
    }

    /// The bin of an environment step. Bin `i` holds steps from `from + i·width + 1` up to and
    /// including `from + (i + 1)·width`. Merges and adds bins as needed.
    fn bin(&mut self, global_step: u64) -> &mut HistoryBin {
        let offset = global_step.saturating_sub(self.from + 1);
        while offset / self.width >= MAX_BINS as u64 {
            self.merge_pairs();
        }
        let index = (offset / self.width) as usize;
        if index >= self.bins.len() {
            self.bins.resize_with(index + 1, HistoryBin::default);
        }
        &mut self.bins[index]
    }

    /// Merges each pair of neighbouring bins.
    fn merge_pairs(&mut self) {
        self.width *= 2;
        for index in 0..self.bins.len().div_ceil(2) {
            self.bins.swap(index, 2 * index);
            if let Some(second) = self.bins.get_mut(2 * index + 1).map(std::mem::take) {
                self.bins[index].merge(second);
            }
        }
        self.bins.truncate(self.bins.len().div_ceil(2));
    }
}

/// Updates each row to its maximum with the value. NaN counts as larger than every number.
fn keep_max(rows: &mut Vec<f32>, values: impl ExactSizeIterator<Item = f32>) {
    if rows.len() < values.len() {
        rows.resize(values.len(), -1.0);
    }
    for (row, value) in rows.iter_mut().zip(values) {
        if !row.is_nan() {
            *row = if value.is_nan() {
                value
            } else {
                row.max(value)
            };
        }
    }
}

impl HistoryBin {
    fn merge(&mut self, other: Self) {
        self.grad_norm.merge(&other.grad_norm);
        self.threshold.merge(&other.threshold);
        self.not_finite += other.not_finite;
        keep_max(&mut self.layers, other.layers.into_iter());
        for (range, other) in self.iteration.iter_mut().zip(&other.iteration) {
            range.merge(other);
        }
        for (range, other) in self.evaluation.iter_mut().zip(&other.evaluation) {
            range.merge(other);
        }
        self.max_severity = self.max_severity.max(other.max_severity);
    }
}

impl Notification {
    /// The notification for an event; `None` for events that are not shown as text.
    fn of(event: &Event) -> Option<Self> {
        let notification = |optimiser_step, severity, title: String, text: String| Self {
            global_step: event.global_step(),
            optimiser_step,
            severity,
            title,
            text,
            symptom: None,
            repeats: 1,
        };
        Some(match event {
            Event::Health(health) => {
                let (step, text) = (health.optimiser_step, health.to_string());
                let title = format!("{} ({})", health.symptom, health.location);
                Self {
                    symptom: Some(health.symptom),
                    ..notification(step, health.severity, title, text)
                }
            }
            Event::Guard(guard) => {
                let (step, text) = (guard.optimiser_step, guard.to_string());
                notification(step, Severity::Warning, "guard".into(), text)
            }
            Event::Incident(incident) => {
                let folder = incident.folder.as_ref()?;
                let text = format!("the steps that led here are saved in incidents/{folder}");
                let (step, title) = (incident.optimiser_step, "incident saved".to_owned());
                notification(step, Severity::Warning, title, text)
            }
            Event::Diverged(diverged) => {
                let (step, text) = (diverged.optimiser_step, diverged.reason.description());
                notification(step, Severity::Critical, "diverged".into(), text.into())
            }
            Event::Step(_) | Event::Iteration(_) | Event::Evaluation(_) | Event::Checkpoint(_) => {
                return None;
            }
        })
    }

    /// Whether the two have the same title and severity.
    fn is_repeat_of(&self, other: &Self) -> bool {
        self.title == other.title && self.severity == other.severity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{DivergedReport, DivergenceReason};

    fn update(global_step: u64, norm: f64) -> Event {
        Event::Step(UpdateReport {
            global_step,
            grad_norm: Some(norm),
            layer_norms: vec![Some(norm), Some(norm / 2.0)],
            ..UpdateReport::default()
        })
    }

    fn diverged(global_step: u64) -> Event {
        Event::Diverged(DivergedReport {
            global_step,
            optimiser_step: global_step,
            reason: DivergenceReason::NonFiniteLoss,
        })
    }

    #[test]
    fn a_long_run_has_a_bounded_number_of_bins_and_keeps_spikes() {
        let mut history = RunHistory::new(500, 10);
        for iteration in 1..=5_000 {
            let norm = if iteration == 1_234 { 99.0 } else { 1.0 };
            history.record(&update(500 + 10 * iteration, norm));
            history.record(&update(500 + 10 * iteration, 1.0));
        }
        assert!((MAX_BINS / 2..=MAX_BINS).contains(&history.bins.len()));
        assert_eq!(history.width, 320, "10 · 2⁵: 157 bins for 5,000 iterations");
        let spike = (1_234 * 10 - 1) / 320;
        for (index, bin) in history.bins.iter().enumerate() {
            let max = bin.grad_norm.mean_min_max().unwrap()[2];
            let expected = if index == spike { 99.0 } else { 1.0 };
            assert!((max - expected).abs() < 1e-9, "bin {index}: {max}");
            assert!((f64::from(bin.layers[0]) - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn non_finite_gradients_are_counted_and_mark_their_layers() {
        let mut history = RunHistory::new(0, 1);
        history.record(&update(1, 2.0));
        history.record(&update(1, f64::NAN));
        history.record(&update(1, 3.0));
        let bin = &history.bins[0];
        assert_eq!((bin.not_finite, bin.layers[0].is_nan()), (1, true));
        assert_eq!(
            bin.grad_norm.mean_min_max().unwrap()[2].to_bits(),
            3.0_f64.to_bits()
        );
    }

    #[test]
    fn notifications_are_bounded_and_repeats_are_counted() {
        let mut history = RunHistory::new(0, 10);
        history.record(&diverged(10));
        history.record(&diverged(20));
        assert_eq!(history.notifications.len(), 1);
        let newest = &history.notifications[0];
        assert_eq!((newest.repeats, newest.global_step), (2, 20));
        assert_eq!(history.bins[1].max_severity, Some(Severity::Critical));
        for index in 0..500_u64 {
            history.notify(Notification {
                title: index.to_string(),
                ..history.notifications[0].clone()
            });
        }
        assert_eq!(history.notifications.len(), MAX_NOTIFICATIONS);
        assert_eq!(
            (history.notifications[0].title.as_str(), history.total),
            ("499", 502)
        );
    }
}
