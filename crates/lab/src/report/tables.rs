//! Tables of the report: scorecard, paired differences, divergences and collapses, settings, runs.

use std::fmt::Write as _;

use super::html::{arm, collapsible_section, escape, section, table};
use crate::lab::{
    ArmDifference, PairedDifference, RunRecord, Scorecard, ScorecardCell, Uncertainty,
    scorecard_rows,
};
use evenkeel_runs::stats::DifferenceFinding;
use evenkeel_runs::telemetry::format::{
    ABSENT, counted, duration, percent, points, signed_number, steps,
};

/// The scorecard, with the success of every run and the differences between arms.
pub(super) fn scorecard(id: &str, card: &Scorecard, names: &[&str]) -> String {
    let mut inner = String::from("<figure class=\"dots\"></figure>");
    let mut head = vec![String::new()];
    head.extend(heads(card, names));
    let rows: Vec<Vec<String>> = scorecard_rows(card)
        .iter()
        .map(|row| {
            let mut cells = vec![row.name.to_owned()];
            cells.extend(row.cells.iter().map(cell));
            cells
        })
        .collect();
    inner += &table("score", &head, &rows);
    if !card.differences.is_empty() {
        inner += "<h3>Differences, paired by seed</h3>";
        inner += &differences_table(card, names);
    }
    section(
        id,
        "Scorecard",
        "Interquartile means over seeds with 95 % bootstrap confidence intervals; with fewer than five seeds, \
         the values of the runs. Shares of runs with Wilson's 95 % confidence intervals.",
        &inner,
    )
}

/// A value with its interval below, or with the values of the runs if they are few.
fn cell(cell: &ScorecardCell) -> String {
    let mut html = cell.figure.clone();
    let mut add_below = |text: String| {
        let _ = write!(html, "<small>{text}</small>");
    };
    if let Some([some, all]) = cell.runs {
        add_below(format!("{some} of {}", counted(all, "run")));
    }
    if let Some([low, high]) = cell.interval() {
        add_below(format!("{low} to {high}"));
    } else if let Uncertainty::Runs(runs) = &cell.uncertainty {
        add_below(format!("runs: {}", runs.join(", ")));
    }
    html
}

fn differences_table(card: &Scorecard, names: &[&str]) -> String {
    let mut head = vec![String::new()];
    head.extend(card.differences.iter().map(|difference| {
        let [one, other] = [&difference.arm, &difference.other].map(|name| arm(name, names));
        format!("{one} − {other}")
    }));
    let row = |name: &str, cell: &dyn Fn(&ArmDifference) -> String| {
        let mut row = vec![name.to_owned()];
        row.extend(card.differences.iter().map(cell));
        row
    };
    let rows = [
        row("success of the best checkpoints, points", &|d| {
            paired(d.success, points)
        }),
        row("success of the last checkpoints, points", &|d| {
            paired(d.last_success, points)
        }),
        row("return", &|d| paired(d.episodic_return, signed_number)),
        row("mean success during training, points", &|d| {
            paired(d.area_under_curve, points)
        }),
        row("probability that the first beats the other", &|d| {
            d.success
                .map_or(ABSENT.into(), |p| percent(p.probability_greater.value))
        }),
        row("finding on success", &|d| {
            d.success.map_or("none".into(), |p| finding(&p))
        }),
    ];
    table("score", &head, &rows)
}

/// A difference with its interval below, or with the number of pairs if they are few.
fn paired(paired: Option<PairedDifference>, write: fn(f64) -> String) -> String {
    let Some(paired) = paired else {
        return ABSENT.into();
    };
    let value = write(paired.difference.value);
    let Some(interval) = paired.difference.interval() else {
        let pairs = counted(paired.seeds, "pair");
        return format!("{value}<small>{pairs}</small>");
    };
    let [low, high] = interval.map(write);
    format!("{value}<small>{low} to {high}</small>")
}

fn finding(paired: &PairedDifference) -> String {
    let seeds = paired.seeds;
    match paired.finding {
        DifferenceFinding::TooFewSeeds => format!("too few seeds ({seeds})"),
        DifferenceFinding::NoDifference => format!("no difference found with {seeds} seeds"),
        DifferenceFinding::Higher => format!("higher, {seeds} seeds"),
        DifferenceFinding::Lower => format!("lower, {seeds} seeds"),
    }
}

/// The runs that diverged, collapsed, or ended far below their best.
pub(super) fn instabilities(id: &str, card: &Scorecard, names: &[&str]) -> String {
    let mut rows = Vec::new();
    for score in &card.arms {
        for run in &score.runs {
            let arm = arm(&score.arm, names);
            let seed = run.seed.to_string();
            if let Some(diverged) = run.diverged {
                rows.push(vec![
                    arm.clone(),
                    seed.clone(),
                    "diverged".into(),
                    steps(diverged.global_step as f64),
                    format!(
                        "optimiser step {}: {}",
                        diverged.optimiser_step,
                        diverged.reason.description()
                    ),
                ]);
            }
            if let Some(collapsed) = run.collapsed {
                rows.push(vec![
                    arm.clone(),
                    seed.clone(),
                    "collapsed".into(),
                    steps(collapsed.global_step as f64),
                    format!(
                        "from {} to {}",
                        percent(collapsed.best),
                        percent(collapsed.lowest)
                    ),
                ]);
            }
            if let Some(fall) = run.fall {
                let at = fall.best_step.map_or(String::new(), |step| {
                    format!(", step {}", steps(step as f64))
                });
                rows.push(vec![
                    arm,
                    seed,
                    "ended far below its best".into(),
                    steps(fall.last_step as f64),
                    format!(
                        "best checkpoint {}{at}; last checkpoint {}",
                        percent(fall.best),
                        percent(fall.last)
                    ),
                ]);
            }
        }
    }
    if rows.is_empty() {
        let inner =
            "<p class=\"empty\">No run diverged, collapsed or ended far below its best.</p>";
        return section(id, "Divergences, collapses and falls", INSTABILITIES, inner);
    }
    let head = ["arm", "seed", "event", "after steps", "details"].map(str::to_owned);
    collapsible_section(
        id,
        "Divergences, collapses and falls",
        INSTABILITIES,
        &format!("{}, run by run", counted(rows.len(), "event")),
        &table("plain", &head, &rows),
    )
}

const INSTABILITIES: &str = "A run diverges when a loss, gradient or weight is not finite or the weights \
    grow a hundredfold. It collapses when, after a success of at least 30 %, \
    validation success stays below half of its best for a tenth of the budget, or the last \
    checkpoint succeeds less than half as often as the best. It ends far below its best when the last \
    checkpoint succeeds in ten points fewer of the held-out episodes, beyond the 95 % confidence \
    intervals.";

/// Every setting in which the arms differ.
pub(super) fn settings(id: &str, card: &Scorecard, names: &[&str]) -> String {
    if card.arms.len() < 2 {
        return String::new();
    }
    let lead = "All settings that can change a result and differ between the columns; the others are equal.";
    if card.settings.is_empty() {
        let inner = "<p class=\"empty\">The settings are the same.</p>";
        return section(id, "Settings that differ", lead, inner);
    }
    let mut head = vec!["setting".to_owned()];
    head.extend(heads(card, names));
    let rows: Vec<Vec<String>> = card
        .settings
        .iter()
        .map(|setting| {
            let mut row = vec![format!("<code>{}</code>", escape(&setting.path))];
            row.extend(setting.values.iter().map(|value| match value {
                Some(value) => format!("<code>{}</code>", escape(value)),
                None => ABSENT.into(),
            }));
            row
        })
        .collect();
    collapsible_section(
        id,
        "Settings that differ",
        lead,
        &counted(rows.len(), "setting"),
        &table("plain", &head, &rows),
    )
}

/// All runs of all scenarios.
pub(super) fn runs(runs: &[RunRecord], names: &[&str]) -> String {
    let head = [
        "run",
        "scenario",
        "arm",
        "seed",
        "status",
        "steps",
        "wall clock",
        "best success",
        "last success",
    ]
    .map(str::to_owned);
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                format!("<code>{}</code>", escape(&run.name)),
                escape(&run.info.scenario),
                arm(&run.column, names),
                run.info.seed.to_string(),
                run.info.status.name().into(),
                steps(run.info.global_step as f64),
                duration(run.info.wall_secs),
                run.final_success().map_or(ABSENT.into(), percent),
                run.last_success().map_or(ABSENT.into(), percent),
            ]
        })
        .collect();
    let mut inner = table("plain", &head, &rows);
    if let Some(info) = runs.first().map(|run| &run.info) {
        let libtorch = info.versions.libtorch.as_deref().unwrap_or("none");
        let cpu = info.machine.cpu.as_deref().unwrap_or(&info.machine.arch);
        let _ = write!(
            inner,
            "<p class=\"meta\">evenkeel {}, libtorch {}; {} on {}. Command of the first run: \
             <code>{}</code></p>",
            escape(&info.versions.evenkeel),
            escape(libtorch),
            escape(cpu),
            counted(info.machine.cores, "core"),
            escape(&info.command_line.join(" ")),
        );
    }
    let inner = format!(
        "<details><summary>{}</summary>{inner}</details>",
        match runs.len() {
            1 => "One run".to_owned(),
            count => format!("All {count} runs"),
        }
    );
    section("runs", "Runs", "The runs behind all figures.", &inner)
}

/// The names of a scorecard's arms, each in its colour.
fn heads(card: &Scorecard, names: &[&str]) -> impl Iterator<Item = String> {
    card.arms.iter().map(|score| arm(&score.arm, names))
}
