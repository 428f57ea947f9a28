//! Formats scorecards and verdicts for the terminal.

use std::fmt::Write as _;

use super::Ui;
use super::table::table;
use evenkeel::lab::{
    Assessment, Scorecard, ScorecardCell, Uncertainty, Verdict, scenarios_notice, scorecard_rows,
};
use evenkeel::telemetry::format::counted;

/// Formats each scenario's scorecard as a table, followed by the verdict.
pub(super) fn text(scenarios: &[Assessment]) -> String {
    let (strong, warn) = (Ui::STRONG, Ui::WARN);
    let mut text = String::new();
    if let Some(notice) = scenarios_notice(scenarios) {
        let _ = writeln!(text, "{warn}{notice}{warn:#}\n");
    }
    for (index, assessment) in scenarios.iter().enumerate() {
        if scenarios.len() > 1 {
            let separator = if index == 0 { "" } else { "\n" };
            let _ = writeln!(text, "{separator}{strong}{}{strong:#}", assessment.scenario);
        }
        text += &scenario_text(&assessment.scorecard, &assessment.verdict);
    }
    text
}

fn scenario_text(card: &Scorecard, verdict: &Verdict) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let plain = |sentence: &str| sentence.replace('`', "");
    let warn = Ui::WARN;
    let mut text = String::new();
    for notice in &verdict.notices {
        let _ = writeln!(text, "{warn}{}{warn:#}", plain(notice));
    }
    let _ = writeln!(text, "{}", figures(card));
    let _ = writeln!(text, "{strong}{}{strong:#}", plain(&verdict.headline));
    for finding in &verdict.findings {
        let _ = writeln!(text, "{}", plain(finding));
    }
    for reason in &verdict.reasons {
        let _ = writeln!(text, "{faint}·{faint:#} {}", plain(reason));
    }
    text
}

fn figures(card: &Scorecard) -> String {
    let mut head = vec!["interquartile means over seeds"];
    head.extend(card.arms.iter().map(|arm| arm.arm.as_str()));
    let rows = scorecard_rows(card).into_iter().map(|row| {
        let mut cells = vec![row.name.to_owned()];
        cells.extend(row.cells.iter().map(cell));
        cells
    });
    table(&head, 1, rows.collect())
}

/// Formats a cell, as in `94.7 % [93.2, 96.5]` or `94.7 % (93.0 %, 96.1 %), 2 of 5 runs`.
pub(super) fn cell(cell: &ScorecardCell) -> String {
    let mut text = cell.figure.clone();
    if let Some([low, high]) = cell.interval() {
        let _ = write!(text, " [{low}, {high}]");
    } else if let Uncertainty::Runs(runs) = &cell.uncertainty {
        let _ = write!(text, " ({})", runs.join(", "));
    }
    if let Some([some, all]) = cell.runs {
        let _ = write!(text, ", {some} of {}", counted(all, "run"));
    }
    text
}
