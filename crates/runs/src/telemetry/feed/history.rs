//! What can be seen of a run on a screen: its quantities in a bounded number of bins of environment
//! steps, and the newest of what happened.

use std::collections::VecDeque;

use super::Spread;
use crate::telemetry::{
    EVALUATION, Event, ITERATION, IterationReport, Severity, StepReport, Symptom,
};

/// Bins at most; then two become one.
const BINS: usize = 240;
/// News at most.
const NEWS: usize = 100;

/// A run as far as it has gone.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Events heard that are shown.
    pub(super) heard: u64,
    /// Environment steps before the first bin.
    pub from: u64,
    /// Environment steps of a bin, a power of two times those of an iteration.
    pub width: u64,
    /// In order, without gaps.
    pub bins: Vec<Bin>,
    /// Names of the rows of [`Bin::layers`].
    pub layers: Vec<String>,
    /// The newest iteration, without what is told of each layer.
    pub newest: IterationReport,
    /// The threshold of the clip in the newest optimiser step, where it has one.
    pub threshold: Option<f64>,
    /// Success over held-out episodes in the newest evaluation, 0 to 1.
    pub held_out: Option<f64>,
    /// What happened, the newest first.
    pub news: VecDeque<News>,
    /// How much happened, what is no longer among the news included.
    pub happened: u64,
}

/// All quantities over the same environment steps.
#[derive(Clone, Debug, Default)]
pub struct Bin {
    /// Of the gradient before any clip, over optimiser steps.
    pub grad_norm: Spread,
    /// Of the clip, over optimiser steps.
    pub threshold: Spread,
    /// Optimiser steps with a gradient that was not finite.
    pub not_finite: u32,
    /// The greatest gradient norm of each layer; NaN where one was not finite, negative where none
    /// was measured.
    pub layers: Vec<f32>,
    /// In the order of [`ITERATION`].
    pub iteration: [Spread; ITERATION.len()],
    /// In the order of [`EVALUATION`].
    pub evaluation: [Spread; EVALUATION.len()],
    /// The worst that a detector saw, if any saw anything.
    pub alarm: Option<Severity>,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct News {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The optimiser step.
    pub optimiser_step: u64,
    /// How bad it is.
    pub severity: Severity,
    /// In two or three words, with the place where that says more.
    pub title: String,
    /// In full.
    pub said: String,
    /// What was seen, of a detector's event.
    pub symptom: Option<Symptom>,
    /// How often in a row.
    pub times: u64,
}

impl History {
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
                for (spread, metric) in bin.evaluation.iter_mut().zip(EVALUATION) {
                    spread.add(metric.read(evaluation).unwrap_or(f64::NAN));
                }
                self.held_out = Some(evaluation.summary.success.value);
            }
            Event::Health(_) | Event::Guard(_) | Event::Incident(_) | Event::Diverged(_) => {
                let Some(news) = News::of(event) else {
                    return;
                };
                let bin = self.bin(news.global_step);
                bin.alarm = bin.alarm.max(Some(news.severity));
                self.tell(news);
            }
            Event::Checkpoint(_) => return,
        }
        self.heard += 1;
    }

    fn step(&mut self, step: &StepReport) {
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
        greatest(&mut bin.layers, norms);
    }

    fn iteration(&mut self, iteration: &IterationReport) {
        let bin = self.bin(iteration.global_step);
        for (spread, metric) in bin.iteration.iter_mut().zip(ITERATION) {
            spread.add(metric.read(iteration).unwrap_or(f64::NAN));
        }
        if self.layers.is_empty() {
            let names = iteration.layers.iter().map(|layer| layer.name.clone());
            self.layers = names.collect();
        }
        self.newest = IterationReport {
            layers: Vec::new(),
            ..iteration.clone()
        };
    }

    fn tell(&mut self, news: News) {
        self.happened += 1;
        if let Some(last) = self.news.front_mut().filter(|last| last.is_like(&news)) {
            *last = News {
                times: last.times + 1,
                ..news
            };
            return;
        }
        self.news.truncate(NEWS - 1);
        self.news.push_front(news);
    }

    /// The bin that an environment step falls into; the step that ends one is its last.
    fn bin(&mut self, global_step: u64) -> &mut Bin {
        let after = global_step.saturating_sub(self.from + 1);
        while after / self.width >= BINS as u64 {
            self.halve();
        }
        let index = (after / self.width) as usize;
        if index >= self.bins.len() {
            self.bins.resize_with(index + 1, Bin::default);
        }
        &mut self.bins[index]
    }

    /// Makes one bin of two.
    fn halve(&mut self) {
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
fn greatest(rows: &mut Vec<f32>, values: impl ExactSizeIterator<Item = f32>) {
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

impl Bin {
    fn merge(&mut self, other: Self) {
        self.grad_norm.merge(&other.grad_norm);
        self.threshold.merge(&other.threshold);
        self.not_finite += other.not_finite;
        greatest(&mut self.layers, other.layers.into_iter());
        for (mine, theirs) in self.iteration.iter_mut().zip(&other.iteration) {
            mine.merge(theirs);
        }
        for (mine, theirs) in self.evaluation.iter_mut().zip(&other.evaluation) {
            mine.merge(theirs);
        }
        self.alarm = self.alarm.max(other.alarm);
    }
}

impl News {
    fn of(event: &Event) -> Option<Self> {
        let news = |optimiser_step, severity, title: String, said: String| Self {
            global_step: event.global_step(),
            optimiser_step,
            severity,
            title,
            said,
            symptom: None,
            times: 1,
        };
        Some(match event {
            Event::Health(seen) => {
                let title = format!("{} ({})", seen.symptom, seen.place);
                Self {
                    symptom: Some(seen.symptom),
                    ..news(seen.optimiser_step, seen.severity, title, seen.to_string())
                }
            }
            Event::Guard(ruled) => {
                let (step, said) = (ruled.optimiser_step, ruled.to_string());
                news(step, Severity::Warning, "guard".into(), said)
            }
            Event::Incident(kept) => {
                let folder = kept.folder.as_ref()?;
                let said = format!("the steps that led here are kept in incidents/{folder}");
                let (step, title) = (kept.optimiser_step, "incident kept".to_owned());
                news(step, Severity::Warning, title, said)
            }
            Event::Diverged(diverged) => {
                let (step, said) = (diverged.optimiser_step, diverged.reason.words());
                news(step, Severity::Critical, "diverged".into(), said.into())
            }
            Event::Step(_) | Event::Iteration(_) | Event::Evaluation(_) | Event::Checkpoint(_) => {
                return None;
            }
        })
    }

    /// Whether it is the same that is told again.
    fn is_like(&self, other: &Self) -> bool {
        self.title == other.title && self.severity == other.severity
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::{DivergedReport, DivergenceReason};

    fn step(global_step: u64, norm: f64) -> Event {
        Event::Step(StepReport {
            global_step,
            grad_norm: Some(norm),
            layer_norms: vec![Some(norm), Some(norm / 2.0)],
            ..StepReport::default()
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
        let mut history = History::new(500, 10);
        for iteration in 1..=5_000 {
            let norm = if iteration == 1_234 { 99.0 } else { 1.0 };
            history.record(&step(500 + 10 * iteration, norm));
            history.record(&step(500 + 10 * iteration, 1.0));
        }
        assert!((BINS / 2..=BINS).contains(&history.bins.len()));
        assert_eq!(history.width, 320, "10 · 2⁵: 157 bins for 5,000 iterations");
        let spike = (1_234 * 10 - 1) / 320;
        for (index, bin) in history.bins.iter().enumerate() {
            let greatest = bin.grad_norm.read().unwrap()[2];
            let expect = if index == spike { 99.0 } else { 1.0 };
            assert!((greatest - expect).abs() < 1e-9, "bin {index}: {greatest}");
            assert!((f64::from(bin.layers[0]) - expect).abs() < 1e-6);
        }
    }

    #[test]
    fn what_is_not_finite_stays_visible() {
        let mut history = History::new(0, 1);
        history.record(&step(1, 2.0));
        history.record(&step(1, f64::NAN));
        history.record(&step(1, 3.0));
        let bin = &history.bins[0];
        assert_eq!((bin.not_finite, bin.layers[0].is_nan()), (1, true));
        assert_eq!(
            bin.grad_norm.read().unwrap()[2].to_bits(),
            3.0_f64.to_bits()
        );
    }

    #[test]
    fn news_are_bounded_and_what_repeats_is_told_once() {
        let mut history = History::new(0, 10);
        history.record(&diverged(10));
        history.record(&diverged(20));
        assert_eq!(history.news.len(), 1);
        let newest = &history.news[0];
        assert_eq!((newest.times, newest.global_step), (2, 20));
        assert_eq!(history.bins[1].alarm, Some(Severity::Critical));
        for turn in 0..500_u64 {
            history.tell(News {
                title: turn.to_string(),
                ..history.news[0].clone()
            });
        }
        assert_eq!(history.news.len(), NEWS);
        assert_eq!(
            (history.news[0].title.as_str(), history.happened),
            ("499", 502)
        );
    }
}
