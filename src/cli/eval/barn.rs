//! `evenkeel eval … --barn`: a policy by the BARN protocol over a user's copy of the worlds.

use std::path::Path;
use std::sync::Arc;

use anyhow::bail;

use super::super::Ui;
use super::super::table::table;
use super::{Args, write_out};
use crate::cli::policy::{find_controller, own_scenario};
use evenkeel::env::Controller;
use evenkeel::eval::barn::{BarnReport, RUNS, SCORE_FACTORS, evaluate_barn, load_worlds};
use evenkeel::runs::{PolicySource, resolve_policy};
use evenkeel::scenario::Scenario;
use evenkeel::stats::{Average, Estimate};
use evenkeel::telemetry::format::{ABSENT, number, percent};

pub(super) fn run(folder: &Path, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let [policy] = &args.policies[..] else {
        bail!("--barn drives one policy; leave one");
    };
    let source = resolve_policy(policy, Path::new("runs"))?;
    // A policy sees the worlds as it saw those that it was trained in.
    let own = match &source {
        PolicySource::Checkpoint { run: Some(run), .. } => Some(own_scenario(run, &[])?),
        _ => None,
    };
    let worlds = load_worlds(folder, own.as_ref().map(|own| &own.spec.observation))?;
    let runs = worlds.len() as u64 * RUNS;
    ui.note(format_args!("{} worlds, {runs} runs", worlds.len()));
    let make = |scenario: &Arc<Scenario>| -> anyhow::Result<Box<dyn Controller>> {
        Ok(find_controller(
            &source,
            scenario,
            args.seed.seed,
            args.stochastic,
        )?)
    };
    let report = evaluate_barn(&worlds, &source.name(), args.seed.seed, args.jobs, make)?;
    if let Some(out) = &args.out {
        let lines = out.extension().is_some_and(|extension| extension == "txt");
        let text = if lines {
            let lines = report
                .runs
                .iter()
                .map(|run| run.line(SCORE_FACTORS[0]) + "\n");
            lines.collect()
        } else {
            serde_json::to_string(&report)?
        };
        write_out(out, text.as_bytes(), ui)?;
    }
    ui.answer(&report, text)
}

fn text(report: &BarnReport) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let share = |share: Estimate| {
        let [low, high] = [share.low, share.high].map(|end| percent(end).replace(" %", ""));
        vec![percent(share.value), format!("{low} to {high}")]
    };
    let average = |average: Average| {
        let interval = average.interval();
        vec![
            number(average.value),
            interval.map_or(ABSENT.into(), |[low, high]| {
                format!("{} to {}", number(low), number(high))
            }),
        ]
    };
    let row = |name: &str, figures: Vec<String>| [vec![name.to_owned()], figures].concat();
    let mut rows = vec![
        row("succeeded", share(report.success)),
        row("collided", share(report.collided)),
        row("timed out", share(report.timed_out)),
    ];
    for score in &report.scores {
        let (k, most) = (score.k, number(1.0 / score.k));
        rows.push(row(
            &format!("score, k = {k} (of {most})"),
            average(score.score),
        ));
    }
    if let Some(secs) = report.actual_secs {
        rows.push(row("time of those that succeeded, s", average(secs)));
    }
    let table = table(&["", "mean", "95 % interval"], 1, rows);
    format!(
        "{strong}{} by the BARN protocol{strong:#}\n{faint}{} worlds, {RUNS} runs each{faint:#}\n\
         {table}\n{faint}evenkeel simulates in the plane, and not in Gazebo: beside figures of the \
         challenge (a\ndynamic window held to 0.5 m/s: 0.1693 with k = 4 and 88 % success; later \
         entrants: up to\n0.45 with k = 2) these stand only with that said{faint:#}",
        report.policy, report.worlds,
    )
}
