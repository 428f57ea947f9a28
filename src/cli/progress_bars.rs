//! The progress of runs that are trained in child processes.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Ui;
use evenkeel::lab::{self, ChildProgress, PlannedRun, ProgressListener};
use evenkeel::runs::{RunDir, RunStatus};
use evenkeel::telemetry::format::{counted, duration, number, percent};

/// Describes how a run ended, as in ` · finished in 21 s · success 70.8 % (last 65.2 %)`:
/// the held-out success of the best checkpoint and of the last.
fn run_status_text(run: &RunDir) -> Option<String> {
    let info = run.info().ok()?;
    let diverged = info.status == RunStatus::Diverged;
    let success = lab::final_success(diverged, run.evaluation().ok()?.as_ref());
    let last = lab::final_success(diverged, run.last_evaluation().ok()?.as_ref());
    let last = last.map_or(String::new(), |share| format!(" (last {})", percent(share)));
    let success = success.map_or(String::new(), |share| {
        format!(" · success {}{last}", percent(share))
    });
    let (status, elapsed) = (info.status.name(), duration(info.wall_secs));
    Some(format!(" · {status} in {elapsed}{success}"))
}

/// Shows one progress bar per active run and one for all runs. Where stderr is no terminal, prints a
/// line for each run that ends.
pub(super) struct ProgressBars {
    all: MultiProgress,
    total: ProgressBar,
    runs: Vec<ProgressBar>,
    prints_lines: bool,
}

impl ProgressBars {
    /// Bars for `count` runs.
    pub(super) fn new(count: usize) -> Self {
        let all = MultiProgress::new();
        let total = all.add(ProgressBar::new(count as u64));
        let style = ProgressStyle::with_template("{bar:28} {pos} of {len} runs  {elapsed}");
        total.set_style(style.expect("the template is well-formed"));
        total.enable_steady_tick(Duration::from_millis(500));
        let runs = (0..count).map(|_| ProgressBar::hidden()).collect();
        Self {
            all,
            total,
            runs,
            prints_lines: !std::io::stderr().is_terminal(),
        }
    }
}

impl Drop for ProgressBars {
    /// Removes the bars.
    fn drop(&mut self) {
        self.all.clear().ok();
    }
}

impl ProgressListener for ProgressBars {
    fn run_started(&self, job: &PlannedRun) {
        let bar = &self.runs[job.index];
        let style = "{prefix:16} {bar:28} {percent:>3} %  {msg}";
        let style = ProgressStyle::with_template(style).expect("the template is well-formed");
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(format!("{} s{}", job.arm, job.seed));
        bar.set_length(1);
        self.all.insert_before(&self.total, bar.clone());
    }

    fn run_progressed(&self, job: &PlannedRun, progress: &ChildProgress) {
        let bar = &self.runs[job.index];
        bar.set_length(progress.total);
        bar.set_position(progress.step);
        let figure = |name: &str, value: Option<String>| {
            value.map_or(String::new(), |value| format!("{name} {value}  "))
        };
        bar.set_message(format!(
            "{}{}{:.0} k steps/s",
            figure("success", progress.success.map(percent)),
            figure("‖g‖", progress.grad_norm.map(number)),
            progress.steps_per_sec / 1e3,
        ));
    }

    fn run_evaluating(&self, job: &PlannedRun) {
        self.runs[job.index].set_message("evaluating");
    }

    fn run_finished(&self, job: &PlannedRun, run: &RunDir) {
        let bar = &self.runs[job.index];
        bar.finish_and_clear();
        self.all.remove(bar);
        self.total.inc(1);
        if self.prints_lines {
            let (done, count) = (self.total.position(), self.total.length().unwrap_or(0));
            let status = run_status_text(run).unwrap_or_default();
            Ui::new(false).note(format_args!(
                "{done} of {} · {} s{}{status}",
                counted(count, "run"),
                job.arm,
                job.seed
            ));
        }
    }
}
