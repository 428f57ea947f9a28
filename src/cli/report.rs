//! `evenkeel report`: writes one HTML file on existing runs.

use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use super::Ui;
use super::files::check_output;
use evenkeel::lab::{Assessment, RunRecord, RunRecords, assess, read_runs};
use evenkeel::report;
use evenkeel::runs::write_file;
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
    check_output("--out", &out, [] as [&Path; 0])?;
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
    check_complete(&runs)
}

/// Reads all runs in the folders, and warns of those that cannot be read.
pub(super) fn read(folders: &[PathBuf], ui: &Ui) -> anyhow::Result<RunRecords> {
    let runs = read_runs(folders)?;
    for error in &runs.unreadable {
        ui.warn(error);
    }
    Ok(runs)
}

/// Fails if a run could not be read. Call it once the answer on the others is printed.
pub(super) fn check_complete(runs: &RunRecords) -> anyhow::Result<()> {
    match runs.unreadable.len() {
        0 => Ok(()),
        count => bail!(
            "{} could not be read (see the warnings above) and {} left out",
            counted(count, "run"),
            if count == 1 { "is" } else { "are" }
        ),
    }
}

/// Writes the report.
pub(super) fn write(out: &Path, records: &[RunRecord], order: &[String]) -> anyhow::Result<()> {
    let folder = out.parent().unwrap_or(Path::new(""));
    let page = report::render_report(records, order, folder);
    Ok(write_file(out, page)?)
}
