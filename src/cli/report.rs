//! `evenkeel report`: writes one HTML file on existing runs.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde::Serialize;

use super::Ui;
use super::files::write_file;
use evenkeel::lab::{Assessment, RunRecord, assess, read_runs};
use evenkeel::report;
use evenkeel::runs::{Comparison, RunDir, list_runs};
use evenkeel::telemetry::format::counted;

/// Arguments of `evenkeel report`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Write the report of a comparison again:
    evenkeel report runs/compare__reference__20260101T120000Z
  Compare some runs:
    evenkeel report runs/reference__clipped__s1__* runs/reference__raw__s1__* --out both.html")]
pub(crate) struct Args {
    /// Folders of runs or comparisons, or folders that contain such folders
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// File to write [default: report.html, in DIR if only one is given, otherwise in the current
    /// folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Output {
    report: PathBuf,
    scenarios: Vec<Assessment>,
}

/// Runs `evenkeel report`.
///
/// # Errors
/// If there are no runs, the file cannot be written, or, after it was written, if a run could not be
/// read and was left out.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let runs = read(&args.folders, ui)?;
    let out = match (args.out, args.folders.as_slice()) {
        (Some(out), _) => out,
        (None, [folder]) => folder.join("report.html"),
        (None, _) => PathBuf::from("report.html"),
    };
    write(&out, &runs.records, &runs.order)?;
    let answer = Output {
        report: out,
        scenarios: assess(&runs.records, &runs.order),
    };
    ui.answer(&answer, |answer| {
        let several = answer.scenarios.len() > 1;
        let mut lines: Vec<String> = answer
            .scenarios
            .iter()
            .map(|assessment| {
                let headline = assessment.verdict.headline.replace('`', "");
                if several {
                    format!("{}: {headline}", assessment.scenario)
                } else {
                    headline
                }
            })
            .collect();
        lines.push(answer.report.display().to_string());
        lines.join("\n")
    })?;
    runs.check_complete()
}

/// The runs that a command reads.
pub(super) struct RunRecords {
    pub(super) records: Vec<RunRecord>,
    /// The comparisons' arms in their order.
    pub(super) order: Vec<String>,
    /// Number of runs that could not be read.
    unreadable: usize,
}

impl RunRecords {
    /// Fails if a run could not be read. Call it once the answer on the others is printed.
    pub(super) fn check_complete(&self) -> anyhow::Result<()> {
        match self.unreadable {
            0 => Ok(()),
            count => bail!(
                "{} could not be read (see the warnings above) and {} left out",
                counted(count, "run"),
                if count == 1 { "is" } else { "are" }
            ),
        }
    }
}

/// Reads all runs in the folders, each once. Warns of a run that cannot be read, and leaves it out.
///
/// # Errors
/// If there is no such folder, no run in it, or no run that can be read.
pub(super) fn read(folders: &[PathBuf], ui: &Ui) -> anyhow::Result<RunRecords> {
    let mut order = Vec::new();
    let mut runs: Vec<RunDir> = Vec::new();
    for folder in folders {
        if Comparison::exists_in(folder) {
            let comparison = Comparison::read(folder)?;
            runs.extend(comparison.run_dirs(folder));
            order.extend(comparison.arms);
        } else {
            ensure!(
                folder.is_dir(),
                "{}: no such folder; `evenkeel runs` lists the existing runs",
                folder.display()
            );
            let found = list_runs(folder)?;
            ensure!(
                !found.is_empty(),
                "{}: no runs in this folder; `evenkeel runs` lists the existing runs",
                folder.display()
            );
            runs.extend(found);
        }
    }
    let mut seen = HashSet::new();
    runs.retain(|run| seen.insert(run.path().canonicalize().unwrap_or(run.path().to_owned())));
    ensure!(
        !runs.is_empty(),
        "the comparison has no run yet; resume it with `evenkeel compare`"
    );
    let mut records = Vec::new();
    for run in &runs {
        match RunRecord::read(run) {
            Ok(record) => records.push(record),
            // If it is the only one, it is the command's error.
            Err(error) if runs.len() == 1 => return Err(error.into()),
            Err(error) => ui.warn(error),
        }
    }
    ensure!(!records.is_empty(), "none of the runs can be read");
    Ok(RunRecords {
        unreadable: runs.len() - records.len(),
        records,
        order,
    })
}

/// Writes the report.
pub(super) fn write(out: &Path, records: &[RunRecord], order: &[String]) -> anyhow::Result<()> {
    let folder = out.parent().unwrap_or(Path::new(""));
    let page = report::render_report(records, order, folder);
    write_file(out, page)
}
