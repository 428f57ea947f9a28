//! `evenkeel compare --grid FILE`: trains every cell of a grid as an arm of a comparison.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Args;
use super::training;
use crate::cli::signals::stop_runs_on_signal;
use crate::cli::table::table;
use crate::cli::{Ui, report, scorecard};
use evenkeel::lab::{
    Assessment, BEST_SUCCESS, BestCells, CellScore, ExperimentGrid, LAST_SUCCESS, PairedDifference,
    assess, best_cells, scorecard_rows,
};
use evenkeel::runs::{RUNS_FOLDER, create_dated_folder};
use evenkeel::telemetry::format::{ABSENT, counted, path_argument, percent, points};

#[derive(Serialize)]
struct Output {
    report: PathBuf,
    baseline: String,
    axes: Vec<String>,
    grids: Vec<ScenarioGrid>,
    scenarios: Vec<Assessment>,
}

/// The scores of a grid's cells in one scenario.
#[derive(Serialize)]
struct ScenarioGrid {
    scenario: String,
    cells: Vec<CellScore>,
    /// The best cell and those that may be as good; absent before an evaluation.
    best: Option<BestCells>,
}

/// Trains the runs that do not exist yet, and prints the score of every cell.
pub(super) fn run(file: &Path, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let grid = ExperimentGrid::load(file)?;
    let folder = if let Some(out) = &args.out {
        out.clone()
    } else {
        let stem = file.file_stem().unwrap_or_default().to_string_lossy();
        create_dated_folder(Path::new(RUNS_FOLDER), "grid", &stem)?
    };
    let requests = grid.prepare(&folder, args.jobs)?;
    let stop = stop_runs_on_signal()?;
    let mut folders = Vec::new();
    for request in &requests {
        folders.push(training::run(request, &stop, ui).map_err(|error| {
            if !error.is::<training::Interrupted>() {
                return error;
            }
            let [file, out] = [file, &folder].map(path_argument);
            training::resume_error(&error, &["--grid", &file, "--out", &out], args.jobs)
        })?);
    }
    let runs = report::read(&folders, ui)?;
    let (out, order) = (folder.join(report::PAGE), grid.arm_order());
    let subject = evenkeel::report::subject_mark(std::slice::from_ref(&folder));
    report::write(&out, &runs.records, &order, &subject)?;
    let scenarios = assess(&runs.records, &order);
    let scenario_grid = |assessment: &Assessment| {
        let cells = grid.scores(&assessment.scorecard);
        ScenarioGrid {
            scenario: assessment.scenario.clone(),
            best: best_cells(&cells),
            cells,
        }
    };
    let answer = Output {
        report: out,
        baseline: grid.baseline.clone(),
        axes: grid.axes.iter().map(|axis| axis.name.clone()).collect(),
        grids: scenarios.iter().map(scenario_grid).collect(),
        scenarios,
    };
    ui.answer(&answer, text)?;
    report::check_complete(&runs)
}

fn text(answer: &Output) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let mut parts = Vec::new();
    for (grid, assessment) in answer.grids.iter().zip(&answer.scenarios) {
        parts.push(format!(
            "{strong}{}{strong:#}\n{}",
            grid.scenario,
            figures(answer, grid, assessment)
        ));
        parts.extend(grid.best.as_ref().map(best_text));
    }
    parts.push(format!(
        "{faint}·{faint:#} success is the interquartile mean over seeds of the best and of the last \
         checkpoint in held-out episodes, differences are of the best, in \
         percentage points and paired by seed, each cell minus the baseline {}",
        answer.baseline
    ));
    parts.push(answer.report.display().to_string());
    parts.join("\n")
}

/// Names the best cell with its interval, and how many others may be as good.
fn best_text(best: &BestCells) -> String {
    /// Cells that are named.
    const MAX_NAMED: usize = 5;
    let strong = Ui::STRONG;
    let value = percent(best.success.value);
    let sure = match (best.success.interval(), &best.rivals) {
        (Some([low, high]), Some(rivals)) => {
            let named: Vec<&str> = rivals.iter().map(String::as_str).take(MAX_NAMED).collect();
            let rivals = match rivals.len() {
                0 => "no other cell's interval reaches it".to_owned(),
                count if count > named.len() => {
                    format!("{count} others may be as good: {}, …", named.join(", "))
                }
                _ => format!("as good may be {}", named.join(", ")),
            };
            format!("[{}, {}]; {rivals}", percent(low), percent(high))
        }
        _ => "(fewer than five seeds: no interval, so the order of cells says little)".to_owned(),
    };
    format!("best: {strong}{}{strong:#} {value} {sure}", best.cell)
}

/// Formats a table with one row per cell: its option on each axis, its figures from the scorecard,
/// and its success minus the baseline's.
fn figures(answer: &Output, grid: &ScenarioGrid, assessment: &Assessment) -> String {
    let card = &assessment.scorecard;
    let displayed = ["seeds", BEST_SUCCESS, LAST_SUCCESS, "diverged"];
    let columns = scorecard_rows(card)
        .into_iter()
        .filter(|row| displayed.contains(&row.name));
    let columns: Vec<_> = columns.collect();
    let mut head: Vec<&str> = answer.axes.iter().map(String::as_str).collect();
    head.extend(columns.iter().map(|column| match column.name {
        BEST_SUCCESS => "success, best",
        LAST_SUCCESS => "success, last",
        name => name,
    }));
    let gives_up = grid.cells.iter().any(|cell| cell.given_up > 0);
    if gives_up {
        head.push("given up");
    }
    head.push("minus the baseline");
    let row = |cell: &CellScore| {
        let arm = card.arms.iter().position(|arm| arm.arm == cell.cell);
        let arm = arm.expect("each scored cell is an arm of the scorecard");
        let mut row = cell.options.clone();
        let cells = columns.iter().map(|column| &column.cells[arm]);
        row.extend(cells.map(scorecard::cell));
        if gives_up {
            row.push(cell.given_up.to_string());
        }
        row.push(match &cell.difference_to_baseline {
            _ if cell.cell == answer.baseline => "baseline".into(),
            Some(paired) => difference(paired),
            None => ABSENT.into(),
        });
        row
    };
    table(
        &head,
        answer.axes.len(),
        grid.cells.iter().map(row).collect(),
    )
}

/// Formats a difference, as in `+3.2 [−1.0, 6.4]`, or with too few seeds as `+3.2 (2 seeds)`.
fn difference(paired: &PairedDifference) -> String {
    let mean = points(paired.difference.value);
    if let Some(interval) = paired.difference.interval() {
        let [low, high] = interval.map(points);
        format!("{mean} [{low}, {high}]")
    } else {
        format!("{mean} ({})", counted(paired.seeds, "seed"))
    }
}
