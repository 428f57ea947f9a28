//! What can be seen of a run on a screen: its quantities in a bounded number of bins of environment
//! steps, and the newest of what happened.

use std::collections::VecDeque;

use super::ValueRange;
use crate::telemetry::{
    EVALUATION_METRICS, Event, ITERATION_METRICS, IterationReport, Severity, Symptom, UpdateReport,
};

/// Bins at most; then two become one.
const MAX_BINS: usize = 240;
/// News at most.
const MAX_NOTIFICATIONS: usize = 100;

/// A run as far as it has gone.
#[derive(Clone, Debug, Default)]
pub struct RunHistory {
    /// Events heard that are shown.
    pub(super) revision: u64,
    /// Environment steps before the first bin.
    pub from: u64,
    /// Environment steps of a bin, a power of two times those of an iteration.
    pub width: u64,
    /// In order, without gaps.
    pub bins: Vec<HistoryBin>,
    /// Names of the rows of [`HistoryBin::layers`].
    pub layers: Vec<String>,
    /// The newest iteration, without what is told of each layer.
    pub latest: IterationReport,
    /// The threshold of the clip in the newest optimiser step, where it has one.
    pub threshold: Option<f64>,
    /// Success over held-out episodes in the newest evaluation, 0 to 1.
    pub eval_success: Option<f64>,
    /// What happened, the newest first.
    pub notifications: VecDeque<Notification>,
    /// How much happened, what is no longer among the news included.
    pub total: u64,
}

/// All quantities over the same environment steps.
#[derive(Clone, Debug, Default)]
pub struct HistoryBin {
    /// Of the gradient before any clip, over optimiser steps.
    pub grad_norm: ValueRange,
    /// Of the clip, over optimiser steps.
    pub threshold: ValueRange,
    /// Optimiser steps with a gradient that was not finite.
    pub not_finite: u32,
    /// The greatest gradient norm of each layer; NaN where one was not finite, negative where none
    /// was measured.
    pub layers: Vec<f32>,
    /// In the order of [`ITERATION_METRICS`].
    pub iteration: [ValueRange; ITERATION_METRICS.len()],
    /// In the order of [`EVALUATION_METRICS`].
    pub evaluation: [ValueRange; EVALUATION_METRICS.len()],
    /// The worst that a detector saw, if any saw anything.
    pub max_severity: Option<Severity>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Notification {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The optimiser step.
    pub optimiser_step: u64,
    /// How bad it is.
    pub severity: Severity,
    /// In two or three words, with the place where that says more.
    pub title: String,
    /// In full.
    pub text: String,
    /// What was seen, of a detector's event.
    pub symptom: Option<Symptom>,
    /// How often in a row.
    pub repeats: u64,
}

impl RunHistory {
    /// A run that goes on from an environment step.
    pub(super) fn new(from: u64, steps_per_iteration: u64) -> Self {
        Self {
            from,
            width: steps_per_iteration.max(1),
            ..Self::default()
        }
    }

    pub(super) fn record(&mut self, event: &Event) {
        match event {
            Event::Step(step) => self.step(step),
            Event::Iteration(iteration) => self.iteration(iteration),
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

    fn step(&mut self, step: &UpdateReport) {
        self.threshold = step.clip_threshold();
        let threshold = self.threshold;
        let bin = self.bin(step.global_step);
        let norm = step.grad_norm.filter(|norm| norm.is_finite());
        bin.grad_norm.add(norm.unwrap_or(f64::NAN));
        bin.not_finite += u32::from(norm.is_none());
        bin.threshold.add(threshold.unwrap_or(f64::NAN));
        let norms = step.layer_norms.iter();
        let norms = norms.map(|norm| {
            norm.filter(|n| n.is_finite())
                .map_or(f32::NAN, |n| n as f32)
        });
        keep_max(&mut bin.layers, norms);
    }

    fn iteration(&mut self, iteration: &IterationReport) {
        let bin = self.bin(iteration.global_step);
        for (range, metric) in bin.iteration.iter_mut().zip(ITERATION_METRICS) {
            range.add(metric.read(iteration).unwrap_or(f64::NAN));
        }
        if self.layers.is_empty() {
            let names = iteration.layers.iter().map(|layer| layer.name.clone());
            self.layers = names.collect();
        }
        self.latest = IterationReport {
            layers: Vec::new(),
            ..iteration.clone()
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

    /// The bin that an environment step falls into; the step that ends one is its last.
    fn bin(&mut self, global_step: u64) -> &mut HistoryBin {
        let after = global_step.saturating_sub(self.from + 1);
        while after / self.width >= MAX_BINS as u64 {
            self.merge_pairs();
        }
        let index = (after / self.width) as usize;
        if index >= self.bins.len() {
            self.bins.resize_with(index + 1, HistoryBin::default);
        }
        &mut self.bins[index]
    }

    /// Makes one bin of two.
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

/// Each row's greatest; what is not finite is beyond everything.
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
        for (mine, theirs) in self.iteration.iter_mut().zip(&other.iteration) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.evaluation.iter_mut().zip(&other.evaluation) {
            mine.merge(theirs);
        }
        self.max_severity = self.max_severity.max(other.max_severity);
    }
}

impl Notification {
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
            Event::Health(seen) => {
                let title = format!("{} ({})", seen.symptom, seen.location);
                Self {
                    symptom: Some(seen.symptom),
                    ..notification(seen.optimiser_step, seen.severity, title, seen.to_string())
                }
            }
            Event::Guard(ruled) => {
                let (step, text) = (ruled.optimiser_step, ruled.to_string());
                notification(step, Severity::Warning, "guard".into(), text)
            }
            Event::Incident(kept) => {
                let folder = kept.folder.as_ref()?;
                let text = format!("the steps that led here are kept in incidents/{folder}");
                let (step, title) = (kept.optimiser_step, "incident kept".to_owned());
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

    /// Whether it is the same that is told again.
    fn is_repeat_of(&self, other: &Self) -> bool {
        self.title == other.title && self.severity == other.severity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{DivergedReport, DivergenceReason};

    fn step(global_step: u64, norm: f64) -> Event {
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
    fn a_long_run_takes_no_more_room_and_loses_no_spike() {
        let mut history = RunHistory::new(500, 10);
        for iteration in 1..=5_000 {
            let norm = if iteration == 1_234 { 99.0 } else { 1.0 };
            history.record(&step(500 + 10 * iteration, norm));
            history.record(&step(500 + 10 * iteration, 1.0));
        }
        assert!((MAX_BINS / 2..=MAX_BINS).contains(&history.bins.len()));
        assert_eq!(history.width, 320, "10 · 2⁵: 157 bins for 5,000 iterations");
        let spike = (1_234 * 10 - 1) / 320;
        for (index, bin) in history.bins.iter().enumerate() {
            let greatest = bin.grad_norm.mean_min_max().unwrap()[2];
            let expect = if index == spike { 99.0 } else { 1.0 };
            assert!((greatest - expect).abs() < 1e-9, "bin {index}: {greatest}");
            assert!((f64::from(bin.layers[0]) - expect).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        let mut history = RunHistory::new(0, 1);
        history.record(&step(1, 2.0));
        history.record(&step(1, f64::NAN));
        history.record(&step(1, 3.0));
        let bin = &history.bins[0];
        assert_eq!((bin.not_finite, bin.layers[0].is_nan()), (1, true));
        assert_eq!(
            bin.grad_norm.mean_min_max().unwrap()[2].to_bits(),
            3.0_f64.to_bits()
        );
    }

    #[test]
    fn news_are_bounded_and_what_repeats_is_told_once() {
        let mut history = RunHistory::new(0, 10);
        history.record(&diverged(10));
        history.record(&diverged(20));
        assert_eq!(history.notifications.len(), 1);
        let newest = &history.notifications[0];
        assert_eq!((newest.repeats, newest.global_step), (2, 20));
        assert_eq!(history.bins[1].max_severity, Some(Severity::Critical));
        for turn in 0..500_u64 {
            history.notify(Notification {
                title: turn.to_string(),
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
