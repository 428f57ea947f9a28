//! `evenkeel eval … --barn`: evaluates a policy by the BARN protocol on the user's copy of its
//! worlds.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::bail;

use super::super::Ui;
use super::super::table::table;
use super::{Args, write_out};
use crate::cli::files::{check_output, policy_files};
use crate::cli::policy::{find_policy, warn_of_other_robot};
use crate::cli::work_progress::BusyProgress;
use evenkeel::env::Controller;
use evenkeel::eval::barn::{BarnReport, RUNS, SCORE_FACTORS, evaluate_barn, load_worlds};
use evenkeel::lab::policy_controller;
use evenkeel::runs::PolicySource;
use evenkeel::scenario::Scenario;
use evenkeel::stats::{Average, Estimate};
use evenkeel::telemetry::format::{ABSENT, counted, number, percent};

pub(super) fn run(folder: &Path, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let [policy] = &args.policies[..] else {
        bail!("--barn evaluates one policy; give one");
    };
    let source = find_policy(policy)?;
    if let Some(out) = &args.out {
        check_output("--out", out, policy_files(&source))?;
        check_output("--out", out, world_files(folder, out))?;
    }
    // The policy gets the observation of the scenario that it was trained in.
    let own_scenario = match &source {
        PolicySource::Checkpoint { run: Some(run), .. } => Some(run.scenario(&[])?),
        _ => None,
    };
    let observation = own_scenario.as_ref().map(|own| &own.spec.observation);
    let worlds = load_worlds(folder, observation)?;
    let runs = worlds.len() as u64 * RUNS;
    ui.note(format_args!(
        "{}, {}",
        counted(worlds.len(), "world"),
        counted(runs, "run")
    ));
    if let Some(world) = worlds.first() {
        warn_of_other_robot(&source, &world.scenario, ui)?;
    }
    let progress = BusyProgress::new("evaluating");
    let (seed, stochastic) = (args.held_out.seed(), args.held_out.stochastic);
    let make_controller = |scenario: &Arc<Scenario>| -> anyhow::Result<Box<dyn Controller>> {
        progress.begin_part(worlds.len(), &scenario.name);
        Ok(policy_controller(&source, scenario, seed, stochastic)?)
    };
    let report = evaluate_barn(&worlds, &source.name(), seed, args.jobs, make_controller)?;
    drop(progress);
    if let Some(out) = &args.out {
        let is_text = out.extension().is_some_and(|extension| extension == "txt");
        let text = if is_text {
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

/// Returns `out`, if it is one of the dataset's files in `folder`.
fn world_files(folder: &Path, out: &Path) -> Option<PathBuf> {
    let (folder, file) = (folder.canonicalize().ok()?, out.canonicalize().ok()?);
    let is_input = file
        .extension()
        .is_some_and(|end| end == "world" || end == "npy");
    (is_input && file.starts_with(folder)).then_some(file)
}

fn text(report: &BarnReport) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let share = |share: Estimate| {
        let [low, high] = [share.low, share.high].map(|bound| percent(bound).replace(" %", ""));
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
        rows.push(row("time of successful runs, s", average(secs)));
    }
    let table = table(&["", "mean", "95 % confidence interval"], 1, rows);
    format!(
        "{strong}{} by the BARN protocol{strong:#}\n{faint}{}, {RUNS} runs each{faint:#}\n\
         {table}\n{faint}evenkeel is a planar simulation and not Gazebo, so these figures are not \
         directly comparable\nwith the challenge's (dynamic window at 0.5 m/s: 0.1693 with k = 4 \
         and 88 % success; later\nentrants: up to 0.45 with k = 2){faint:#}",
        report.policy,
        counted(report.worlds, "world"),
    )
}
