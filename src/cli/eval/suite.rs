//! `evenkeel eval … --suite`: policies through several scenarios over frozen layouts.

use std::path::Path;

use anyhow::bail;

use super::super::Ui;
use super::super::table::table;
use super::{Args, write_out};
use crate::cli::policy::find_controller;
use evenkeel::env::Controller;
use evenkeel::eval::{EvalMetric, Suite, SuiteReport, evaluate_suite};
use evenkeel::report;
use evenkeel::runs::{PolicySource, resolve_policy};
use evenkeel::telemetry::format::{ABSENT, number, percent, plural};

/// What the table shows, by the beginnings of the measures' names; all others are in the files.
const COLUMNS: [(&str, &str); 6] = [
    ("success rate", "success %"),
    ("SPL", "SPL"),
    ("time to goal", "time s"),
    ("ended by collision static", "collision %"),
    ("ended by collision mover", "mover %"),
    ("ended by time limit", "timeout %"),
];

pub(super) fn run(name: &str, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let suite = Suite::load(name)?;
    suite.check()?;
    let mut sources: Vec<PolicySource> = Vec::new();
    for policy in &args.policies {
        let source = resolve_policy(policy, Path::new("runs"))?;
        if sources.contains(&source) {
            bail!("{policy} is named twice; leave one");
        }
        sources.push(source);
    }
    let names: Vec<String> = sources.iter().map(PolicySource::name).collect();
    let make = |policy: usize, scenario: &_| -> anyhow::Result<Box<dyn Controller>> {
        Ok(find_controller(
            &sources[policy],
            scenario,
            suite.seed,
            args.stochastic,
        )?)
    };
    let report = evaluate_suite(&suite, &names, args.jobs, make)?;
    if let Some(out) = &args.out {
        let page = out.extension().is_some_and(|extension| extension == "html");
        let text = if page {
            report::suite(&report)
        } else {
            serde_json::to_string(&report)?
        };
        write_out(out, text.as_bytes(), ui)?;
    }
    ui.answer(&report, text)
}

fn text(report: &SuiteReport) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let scenarios = report.scenarios.len();
    let mut head = vec!["", "policy"];
    head.extend(COLUMNS.map(|(_, title)| title));
    let rows = report.cells.iter().map(|cell| {
        let first = cell.policy == report.policies[0];
        row(first, &cell.scenario, &cell.policy, &cell.metrics())
    });
    let scenario_table = table(&head, 2, rows.collect());
    let rows = report.difficulties.iter().map(|level| {
        let first = level.policy == report.policies[0];
        let name = format!("{} ({})", level.difficulty, level.scenarios);
        row(first, &name, &level.policy, &level.measures)
    });
    let level_table = table(&head, 2, rows.collect());
    format!(
        "{strong}{}{strong:#}\n{faint}{scenarios} scenario{}, frozen held-out layouts, seed {}; 95 \
         % intervals{faint:#}\n{scenario_table}\n\n{strong}by difficulty{strong:#}\n{faint}means \
         over so many scenarios, each weighing the same{faint:#}\n{level_table}",
        report.title,
        plural(scenarios),
        report.seed,
    )
}

fn row(first: bool, name: &str, policy: &str, measures: &[EvalMetric]) -> Vec<String> {
    let name = if first { name } else { "" };
    let mut row = vec![name.to_owned(), policy.to_owned()];
    row.extend(COLUMNS.map(|(start, _)| {
        let measure = measures.iter().find(|one| one.name.starts_with(start));
        measure.map_or(ABSENT.into(), |measure| {
            figure(measure, start == "success rate")
        })
    }));
    row
}

/// A figure, with its interval where there is room for it; shares are per cent of themselves.
fn figure(measure: &EvalMetric, interval: bool) -> String {
    let write = |value: f64| {
        if measure.share {
            percent(value).replace(" %", "")
        } else {
            number(value)
        }
    };
    let Some(average) = measure.average else {
        return ABSENT.into();
    };
    let value = write(average.value);
    match average.interval() {
        Some([low, high]) if interval => format!("{value} ({}–{})", write(low), write(high)),
        _ => value,
    }
}
