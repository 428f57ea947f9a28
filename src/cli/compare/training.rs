//! Trains the runs of a comparison and shows their progress.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::Args;
use crate::cli::Ui;
use crate::cli::common::shell_line;
use crate::cli::signals::{acknowledge, stop_on_signal};
use evenkeel::lab::{
    self, ChildProgress, CompareError, ComparisonRequest, PlannedRun, ProgressListener,
};
use evenkeel::runs::{Comparison, RunDir, RunStatus};
use evenkeel::telemetry::format::{counted, duration, number, percent};

/// Reads the flags of `evenkeel compare SCENARIO`.
pub(super) fn request(args: &Args) -> anyhow::Result<ComparisonRequest> {
    let arm_file = args.arm_file.clone();
    let defined_arms = arm_file.as_deref().map(lab::load_arms).transpose()?;
    Ok(ComparisonRequest {
        scenario: args.what[0].clone(),
        arms: args.arms.clone().unwrap_or_default(),
        defined_arms: defined_arms.unwrap_or_default(),
        arm_file,
        seed: args.seed,
        seeds: args.seeds,
        steps: args.steps,
        episodes: args.episodes,
        set: args.set.clone(),
        jobs: args.jobs,
        out: args.out.clone(),
    })
}

/// Trains the comparison's runs that do not exist yet, and returns its folder.
pub(super) fn run(
    request: &ComparisonRequest,
    stop: &AtomicBool,
    ui: &Ui,
) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let (mut manifest, options) = request.prepare(program)?;
    ui.note(format_args!("{}", options.folder.display()));
    let bars = ProgressBars::new(&manifest);
    let result = lab::compare(&mut manifest, &options, &bars, stop);
    bars.all.clear().ok();
    match result {
        Ok(()) => Ok(options.folder),
        Err(error) => Err(Interrupted::of(error, options.folder)),
    }
}

/// Returns a flag that the first Ctrl-C or SIGTERM sets; the runs then save and end. A second one
/// ends this program at once.
pub(super) fn stop_on_ctrl_c() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::<AtomicBool>::default();
    stop_on_signal(stop.clone(), || {
        acknowledge("stopping: the runs save and end; press Ctrl-C again to end at once");
    })?;
    Ok(stop)
}

/// A comparison that ended early and can be resumed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Interrupted {
    error: CompareError,
    /// The comparison's folder.
    pub(super) folder: PathBuf,
}

impl Interrupted {
    /// Wraps the errors after which resuming can succeed, and returns all others as they are.
    fn of(error: CompareError, folder: PathBuf) -> anyhow::Error {
        if error.is_resumable() {
            Self { error, folder }.into()
        } else {
            error.into()
        }
    }
}

/// Adds the command that resumes a comparison in a scenario, if `error` is an [`Interrupted`].
pub(super) fn with_resume_hint(
    error: anyhow::Error,
    scenario: &str,
    jobs: Option<u32>,
) -> anyhow::Error {
    let Some(Interrupted { folder, .. }) = error.downcast_ref() else {
        return error;
    };
    let out = folder.display().to_string();
    resume_error(&error, &[scenario, "--out", &out], jobs)
}

/// Returns `error` together with the command that resumes the comparison: `evenkeel compare` with
/// `args`.
pub(super) fn resume_error(
    error: &anyhow::Error,
    args: &[&str],
    jobs: Option<u32>,
) -> anyhow::Error {
    let program = std::env::args_os().next().map_or_else(
        || "evenkeel".to_owned(),
        |program| program.to_string_lossy().into_owned(),
    );
    let mut words = vec![program, "compare".into()];
    words.extend(args.iter().map(|&word| word.to_owned()));
    if let Some(jobs) = jobs {
        words.extend(["--jobs".into(), jobs.to_string()]);
    }
    anyhow::anyhow!("{error}\nresume with:\n  {}", shell_line(&words))
}

/// Describes how a run ended, as in ` · finished in 21 s · success 70.8 %`.
fn run_status_text(run: &RunDir) -> Option<String> {
    let info = run.info().ok()?;
    let diverged = info.status == RunStatus::Diverged;
    let success = lab::final_success(diverged, run.evaluation().ok()?.as_ref());
    let success = success.map_or(String::new(), |share| {
        format!(" · success {}", percent(share))
    });
    let (status, elapsed) = (info.status.name(), duration(info.wall_secs));
    Some(format!(" · {status} in {elapsed}{success}"))
}

/// Shows one progress bar per active run and one for all runs. Where stderr is no terminal, prints a
/// line for each run that ends.
struct ProgressBars {
    all: MultiProgress,
    total: ProgressBar,
    runs: Vec<ProgressBar>,
    prints_lines: bool,
}

impl ProgressBars {
    fn new(manifest: &Comparison) -> Self {
        let all = MultiProgress::new();
        let count = (manifest.arms.len() * manifest.seeds.len()) as u64;
        let total = all.add(ProgressBar::new(count));
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
