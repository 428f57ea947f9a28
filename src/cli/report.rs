//! `evenkeel report`: writes one HTML file on existing runs.

use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use serde::Serialize;

use super::Ui;
use super::files::check_output;
use evenkeel::lab::{Assessment, RunRecord, RunRecords, assess, read_runs, scenarios_notice};
use evenkeel::report;
use evenkeel::runs::{LAST, RUNS_FOLDER, newest_run_or_comparison, write_file};
use evenkeel::telemetry::format::counted;

/// Arguments of `evenkeel report`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Write the report of a comparison again:
    evenkeel report runs/compare__reference__20260101T120000Z
  Write the report of the run or the comparison that you started last:
    evenkeel report @last
  Compare some runs:
    evenkeel report runs/reference__clipped__s1__* runs/reference__raw__s1__* --out both.html")]
pub(crate) struct Args {
    /// Folders of runs or comparisons, or folders that contain such folders; `@last` is the run or
    /// the comparison that you started last
    #[arg(required = true, value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// File to write [default: report.html, in DIR if only one is given, otherwise in the current
    /// folder; report-2.html and so on where that is a page on other runs]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write over a page on other runs
    #[arg(long)]
    force: bool,
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
    let folders = resolve_folders(&args.folders)?;
    let runs = read(&folders, ui)?;
    let subject = report::subject_mark(&folders);
    let out = match (args.out, folders.as_slice()) {
        (Some(out), _) => {
            check_output("--out", &out, [] as [&Path; 0])?;
            if !args.force {
                check_page(&out, &subject)?;
            }
            out
        }
        (None, [folder]) => folder.join(PAGE),
        (None, _) => free_page(Path::new(""), &subject, args.force, ui),
    };
    write(&out, &runs.records, &runs.order, &subject)?;
    let answer = Output {
        report: out,
        scenarios: assess(&runs.records, &runs.order),
    };
    ui.answer(&answer, |answer| {
        let warn = Ui::WARN;
        let several = answer.scenarios.len() > 1;
        let mut lines: Vec<String> = scenarios_notice(&answer.scenarios)
            .map(|notice| format!("{warn}{notice}{warn:#}"))
            .into_iter()
            .collect();
        for assessment in &answer.scenarios {
            let verdict = &assessment.verdict;
            for notice in &verdict.notices {
                lines.push(format!("{warn}{}{warn:#}", notice.replace('`', "")));
            }
            let headline = verdict.headline.replace('`', "");
            lines.push(if several {
                format!("{}: {headline}", assessment.scenario)
            } else {
                headline
            });
        }
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

/// Usual name of a report.
pub(super) const PAGE: &str = "report.html";

/// Replaces `@last` by the folder of the run or comparison that was started last.
fn resolve_folders(folders: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let resolve = |folder: &PathBuf| match folder.to_str() {
        Some(LAST) => Ok(newest_run_or_comparison(Path::new(RUNS_FOLDER))?),
        _ => Ok(folder.clone()),
    };
    folders.iter().map(resolve).collect()
}

/// Refuses a file that may not be replaced: it exists and is no report on the same folders.
fn check_page(out: &Path, subject: &str) -> anyhow::Result<()> {
    ensure!(
        may_replace(out, subject),
        "--out {}: this file is not a report on the same runs; name another file, or write over it \
         with --force",
        out.display()
    );
    Ok(())
}

/// Whether a report can be written to `out` without loss: there is no file, but nothing or a device,
/// or there is a report on the same folders.
fn may_replace(out: &Path, subject: &str) -> bool {
    !out.is_file() || std::fs::read_to_string(out).is_ok_and(|page| page.contains(subject))
}

/// The page in `folder` on what `subject` marks: `report.html`, or with a number where other pages
/// are. With `force` always `report.html`.
pub(super) fn free_page(folder: &Path, subject: &str, force: bool, ui: &Ui) -> PathBuf {
    let usual = folder.join(PAGE);
    if force || may_replace(&usual, subject) {
        return usual;
    }
    let mut numbered = (2..).map(|number| folder.join(format!("report-{number}.html")));
    let page = numbered.find(|page| may_replace(page, subject));
    let page = page.expect("one of infinitely many names is free");
    ui.warn(format_args!(
        "{} is a page on other runs and is kept; --force writes over it",
        usual.display()
    ));
    page
}

/// Writes the report. `subject` is its [mark](report::subject_mark).
pub(super) fn write(
    out: &Path,
    records: &[RunRecord],
    order: &[String],
    subject: &str,
) -> anyhow::Result<()> {
    let folder = out.parent().unwrap_or(Path::new(""));
    let page = report::render_report(records, order, folder);
    Ok(write_file(out, report::marked_page(&page, subject))?)
}
