//! `evenkeel runs`: lists runs and their results.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use serde::Serialize;

use super::Ui;
use super::table::table;
use evenkeel::lab::RunSummary;
use evenkeel::runs::{RUNS_FOLDER, RunInfo, list_runs};
use evenkeel::telemetry::format::{ABSENT, counted, duration, percent, steps};

/// Arguments of `evenkeel runs`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  List the runs in the folder `runs`:
    evenkeel runs
  Print the paths of interrupted runs:
    evenkeel runs --json | jq -r '.runs[] | select(.status == \"interrupted\") | .path'")]
pub(crate) struct Args {
    /// Folder with runs; runs of comparisons in it are listed too
    #[arg(value_name = "DIR", default_value = RUNS_FOLDER)]
    folder: PathBuf,
}

#[derive(Serialize)]
struct RunList {
    folder: PathBuf,
    runs: Vec<RunSummary>,
}

/// Runs `evenkeel runs`.
///
/// # Errors
/// If the folder does not exist, or, after the others were listed, if a run could not be read.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    // Before the first training the default folder does not exist.
    ensure!(
        args.folder.is_dir() || args.folder == Path::new(RUNS_FOLDER),
        "{}: no such folder",
        args.folder.display()
    );
    let mut runs = Vec::new();
    let mut unreadable = 0;
    for run in list_runs(&args.folder)? {
        match RunSummary::read(&run) {
            Ok(entry) => runs.push(entry),
            // One broken run must not hide the others.
            Err(error) => {
                unreadable += 1;
                ui.warn(error);
            }
        }
    }
    let listing = RunList {
        folder: args.folder,
        runs,
    };
    ui.answer(&listing, text)?;
    ensure!(
        unreadable == 0,
        "{} could not be read (see the warnings above)",
        counted(unreadable, "run")
    );
    Ok(())
}

/// Formats the steps done, as in `655 k of 2.00 M`. A complete run has only one number; it may
/// exceed the requested steps because the last rollout is completed.
fn progress(info: &RunInfo) -> String {
    let done = steps(info.global_step as f64);
    if info.global_step >= info.total_steps {
        done
    } else {
        format!("{done} of {}", steps(info.total_steps as f64))
    }
}

fn text(listing: &RunList) -> String {
    let folder = listing.folder.display();
    let count = listing.runs.len();
    if count == 0 {
        return format!("no runs in {folder}; train one with `evenkeel train reference`");
    }
    let rows = listing.runs.iter().map(|run| {
        let info = &run.info;
        vec![
            match &info.name {
                Some(name) => format!("{} ({name})", run.path.display()),
                None => run.path.display().to_string(),
            },
            run.status.to_owned(),
            progress(info),
            duration(info.wall_secs),
            run.success.map_or(ABSENT.into(), percent),
            run.last_success.map_or(ABSENT.into(), percent),
        ]
    });
    let table = table(
        &[
            "run",
            "status",
            "steps",
            "wall clock",
            "best success",
            "last success",
        ],
        2,
        rows.collect(),
    );
    format!("{table}\n{} in {folder}", counted(count, "run"))
}
