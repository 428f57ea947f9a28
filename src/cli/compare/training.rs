//! Trains the runs of a comparison and shows their progress.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use anyhow::Context as _;

use super::Args;
use crate::cli::Ui;
use crate::cli::common::shell_line;
use crate::cli::progress_bars::ProgressBars;
use evenkeel::lab::{self, ComparisonRequest, TrainRunsError};
use evenkeel::telemetry::format::path_argument;

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
        give_up: false,
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
    let count = manifest.arms.len() * manifest.seeds.len();
    let bars = ProgressBars::new(count);
    let result = lab::compare(&mut manifest, &options, &bars, stop);
    drop(bars);
    match result {
        Ok(()) => Ok(options.folder),
        Err(error) => Err(Interrupted::of(error, options.folder)),
    }
}

/// A comparison that ended early and can be resumed.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub(super) struct Interrupted {
    error: TrainRunsError,
    /// The comparison's folder.
    pub(super) folder: PathBuf,
}

impl Interrupted {
    /// Wraps the errors after which resuming can succeed, and returns all others as they are.
    fn of(error: TrainRunsError, folder: PathBuf) -> anyhow::Error {
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
    let [scenario, out] = [Path::new(scenario), folder].map(path_argument);
    resume_error(&error, &[&scenario, "--out", &out], jobs)
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
