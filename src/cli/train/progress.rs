//! Shows the progress of a training run: as a bar or lines on stderr, or as JSON on stdout.

use std::collections::{BTreeSet, HashSet};
use std::io::Write as _;
use std::mem::{Discriminant, discriminant};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use crate::cli::Ui;
use evenkeel::learn::RunDefinition;
use evenkeel::telemetry::format::steps;
use evenkeel::telemetry::{
    Event, GuardAction, GuardReport, HealthEvent, IterationReport, Sink, Symptom,
};

/// Form of the progress output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum ProgressMode {
    /// A bar on stderr
    Bar,
    /// A line on stderr every few seconds
    Lines,
    /// A line with a JSON object on stdout after each iteration
    Json,
    /// No output
    None,
}

/// Prints progress from the events of a training run.
pub(super) struct ProgressSink {
    progress_mode: ProgressMode,
    pub(super) bar: ProgressBar,
    total: u64,
    last_line: Option<Instant>,
    /// The last validation: environment steps, and success rate.
    validation: Option<(u64, f64)>,
    /// Symptoms that have been printed.
    reported_symptoms: BTreeSet<Symptom>,
    /// Kinds of guard actions that have been printed.
    reported_actions: HashSet<Discriminant<GuardAction>>,
    stop: Arc<AtomicBool>,
}

/// The line that `--progress json` prints after each iteration.
#[derive(Serialize)]
struct ProgressLine {
    progress: ProgressFigures,
}

#[derive(Serialize)]
struct ProgressFigures {
    step: u64,
    total: u64,
    success: Option<f64>,
    #[serde(rename = "return")]
    episodic_return: Option<f64>,
    grad_norm: Option<f64>,
    steps_per_sec: f64,
}

impl ProgressSink {
    pub(super) fn new(
        progress_mode: ProgressMode,
        definition: &RunDefinition,
        start_step: u64,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let total = definition.config.iterations() * definition.config.steps_per_iteration();
        let bar = match progress_mode {
            ProgressMode::Bar => ProgressBar::new(total).with_position(start_step),
            ProgressMode::Lines | ProgressMode::Json | ProgressMode::None => ProgressBar::hidden(),
        };
        bar.reset_eta();
        let style = "{bar:24.cyan/dim} {human_pos:>10}/{human_len} · {msg} · {eta} left";
        bar.set_style(
            ProgressStyle::with_template(style)
                .expect("the template is well-formed")
                .progress_chars("━━─"),
        );
        Self {
            progress_mode,
            bar,
            total,
            last_line: None,
            validation: None,
            reported_symptoms: BTreeSet::new(),
            reported_actions: HashSet::new(),
            stop,
        }
    }

    fn iteration(&mut self, iteration: &IterationReport) {
        let figures = ProgressFigures {
            step: iteration.global_step,
            total: self.total,
            success: iteration.success_rate,
            episodic_return: iteration.episodic_return,
            grad_norm: iteration.mean.grad_norm,
            steps_per_sec: iteration.wall.steps_per_sec,
        };
        match self.progress_mode {
            ProgressMode::Bar => {
                self.bar.set_position(figures.step);
                self.bar
                    .set_message(describe_progress(&figures, self.validation));
            }
            ProgressMode::Lines => {
                let due = self
                    .last_line
                    .is_none_or(|at| at.elapsed() > Duration::from_secs(5));
                if due || figures.step >= self.total {
                    self.last_line = Some(Instant::now());
                    let share = 100.0 * figures.step as f64 / self.total as f64;
                    let message = describe_progress(&figures, self.validation);
                    self.print(&format_args!(
                        "{share:3.0} % · {} steps · {message}",
                        figures.step
                    ));
                }
            }
            ProgressMode::Json => {
                let line = serde_json::to_string(&ProgressLine { progress: figures });
                let mut out = std::io::stdout().lock();
                if writeln!(out, "{}", line.unwrap_or_default()).is_err() {
                    // The reader has closed stdout: stop the training.
                    self.stop.store(true, Ordering::SeqCst);
                }
            }
            ProgressMode::None => {}
        }
    }

    /// Prints the first occurrence of each symptom. The log has all of them.
    fn health(&mut self, event: &HealthEvent) {
        if self.reported_symptoms.insert(event.symptom) {
            self.print(event);
        }
    }

    /// Prints the first occurrence of each kind of guard action. The log has all of them.
    fn guard(&mut self, report: &GuardReport) {
        if self.reported_actions.insert(discriminant(&report.action)) {
            self.print(report);
        }
    }

    /// Prints a line on stderr. Training goes on if it cannot be written.
    fn print(&self, line: &dyn std::fmt::Display) {
        let ui = Ui::new(false);
        match self.progress_mode {
            ProgressMode::Bar => self.bar.suspend(|| ui.note(line)),
            ProgressMode::Lines => ui.note(line),
            ProgressMode::Json | ProgressMode::None => {}
        }
    }
}

impl Sink for ProgressSink {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Iteration(iteration) => self.iteration(iteration),
            Event::Evaluation(evaluation) => {
                let success = evaluation.summary.success.value;
                self.validation = Some((evaluation.global_step, success));
            }
            Event::Health(event) => self.health(event),
            Event::Guard(report) => self.guard(report),
            Event::Incident(_) | Event::Step(_) | Event::Checkpoint(_) | Event::Diverged(_) => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Formats progress, as in `31k steps/s · success 87 %, return 7.31, ‖g‖ 0.42 · validation 91 % at step
/// 235 k`: the figures of the last rollout, and those of the last validation with its step.
fn describe_progress(figures: &ProgressFigures, validation: Option<(u64, f64)>) -> String {
    let percent = |share: Option<f64>| {
        share.map_or("–".to_owned(), |share| format!("{:.0} %", 100.0 * share))
    };
    let number = |number: Option<f64>| number.map_or("–".to_owned(), |n| format!("{n:.2}"));
    let validation = validation.map_or(String::new(), |(step, share)| {
        let (share, step) = (percent(Some(share)), steps(step as f64));
        format!(" · validation {share} at step {step}")
    });
    format!(
        "{:.0}k steps/s · success {}, return {}, ‖g‖ {}{validation}",
        figures.steps_per_sec / 1e3,
        percent(figures.success),
        number(figures.episodic_return),
        number(figures.grad_norm),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_as_json_and_as_text() {
        let line = ProgressLine {
            progress: ProgressFigures {
                step: 5,
                total: 10,
                success: None,
                episodic_return: Some(1.5),
                grad_norm: Some(0.25),
                steps_per_sec: 1000.0,
            },
        };
        insta::assert_snapshot!(serde_json::to_string(&line).unwrap(), @r#"{"progress":{"step":5,"total":10,"success":null,"return":1.5,"grad_norm":0.25,"steps_per_sec":1000.0}}"#);
        let text = describe_progress(&line.progress, Some((235_000, 0.9)));
        insta::assert_snapshot!(text, @"1k steps/s · success –, return 1.50, ‖g‖ 0.25 · validation 90 % at step 235 k");
    }
}
