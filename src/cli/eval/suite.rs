//! `evenkeel eval … --suite`: evaluates policies in several scenarios on frozen layouts.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;

use super::super::Ui;
use super::super::table::table;
use super::{Args, write_out};
use crate::cli::files::{check_output, policy_files};
use crate::cli::policy::{find_policy, warn_of_other_robot};
use crate::cli::work_progress::BusyProgress;
use evenkeel::env::Controller;
use evenkeel::eval::{EvalMetric, Suite, SuiteReport, evaluate_suite};
use evenkeel::lab::policy_controller;
use evenkeel::report;
use evenkeel::runs::PolicySource;
use evenkeel::scenario::Scenario;
use evenkeel::telemetry::format::{ABSENT, counted, number, percent};

/// The table's columns: the start of a metric's name, and the column's title. The other metrics are
/// only in the output files.
const COLUMNS: [(&str, &str); 6] = [
    ("success rate", "success %"),
    ("SPL", "SPL"),
    ("time to goal", "time s"),
    ("ended by collision with an obstacle", "obstacle %"),
    ("ended by collision with a mover", "mover %"),
    ("ended by time limit", "timeout %"),
];

pub(super) fn run(name: &str, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let suite = Suite::load(name)?;
    suite.check()?;
    let mut sources: Vec<PolicySource> = Vec::new();
    for policy in &args.policies {
        let source = find_policy(policy)?;
        if sources.contains(&source) {
            bail!("{policy} is given twice; give it once");
        }
        sources.push(source);
    }
    if let Some(out) = &args.out {
        let scenarios = suite
            .entries
            .iter()
            .flat_map(|entry| entry.scenario.files());
        let scenarios = scenarios.cloned().chain([PathBuf::from(name)]);
        check_output(
            "--out",
            out,
            scenarios.chain(sources.iter().flat_map(policy_files)),
        )?;
    }
    let names: Vec<String> = sources.iter().map(PolicySource::name).collect();
    let progress = BusyProgress::new("evaluating");
    let cells = suite.entries.len() * sources.len();
    let make_controller =
        |policy: usize, scenario: &Arc<Scenario>| -> anyhow::Result<Box<dyn Controller>> {
            warn_of_other_robot(&sources[policy], scenario, ui)?;
            progress.begin_part(cells, &format!("{} in {}", names[policy], scenario.name));
            Ok(policy_controller(
                &sources[policy],
                scenario,
                suite.seed,
                args.held_out.stochastic,
            )?)
        };
    let report = evaluate_suite(&suite, &names, args.jobs, make_controller)?;
    drop(progress);
    if let Some(out) = &args.out {
        let is_page = out.extension().is_some_and(|extension| extension == "html");
        let text = if is_page {
            report::render_suite(&report)
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
        row(first, &name, &level.policy, &level.metrics)
    });
    let level_table = table(&head, 2, rows.collect());
    format!(
        "{strong}{}{strong:#}\n{faint}{}, frozen held-out layouts, seed {}; 95 \
         % intervals{faint:#}\n{scenario_table}\n\n{strong}by difficulty{strong:#}\n{faint}means \
         over the number of scenarios in brackets, with equal weights{faint:#}\n{level_table}",
        report.title,
        counted(scenarios, "scenario"),
        report.seed,
    )
}

fn row(is_first: bool, name: &str, policy: &str, metrics: &[EvalMetric]) -> Vec<String> {
    let name = if is_first { name } else { "" };
    let mut row = vec![name.to_owned(), policy.to_owned()];
    row.extend(COLUMNS.map(|(start, _)| {
        let metric = metrics.iter().find(|metric| metric.name.starts_with(start));
        metric.map_or(ABSENT.into(), |metric| {
            cell(metric, start == "success rate")
        })
    }));
    row
}

/// Formats a metric, with its interval if wanted. Shares are in per cent, without the sign.
fn cell(metric: &EvalMetric, with_interval: bool) -> String {
    let format = |value: f64| {
        if metric.share {
            percent(value).replace(" %", "")
        } else {
            number(value)
        }
    };
    let Some(average) = metric.average else {
        return ABSENT.into();
    };
    let value = format(average.value);
    match average.interval() {
        Some([low, high]) if with_interval => {
            format!("{value} ({}–{})", format(low), format(high))
        }
        _ => value,
    }
}
