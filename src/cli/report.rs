//! `evenkeel report`: writes one HTML file on existing runs.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Ui;
use super::files::write_file;
use evenkeel::lab::{Assessment, RunRecord, assess, read_runs};
use evenkeel::report;

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
/// If there are no runs, a run cannot be read, or the file cannot be written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let (records, order) = read_runs(&args.folders)?;
    let out = match (args.out, args.folders.as_slice()) {
        (Some(out), _) => out,
        (None, [folder]) => folder.join("report.html"),
        (None, _) => PathBuf::from("report.html"),
    };
    write(&out, &records, &order)?;
    let answer = Output {
        report: out,
        scenarios: assess(&records, &order),
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
    })
}

/// Writes the report.
pub(super) fn write(out: &Path, records: &[RunRecord], order: &[String]) -> anyhow::Result<()> {
    let folder = out.parent().unwrap_or(Path::new(""));
    let page = report::render_report(records, order, folder);
    write_file(out, page)
}
