//! `evenkeel autopsy`: an optimiser step of an incident under other remedies.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Ui;
use super::table::table;
use evenkeel::env::thread_count;
use evenkeel::lab::{self, Autopsy, AutopsyOptions, RemedyTrial};
use evenkeel::learn::{Incident, incident_severity};
use evenkeel::report;
use evenkeel::runs::{RunDir, is_incident, list_runs, write_atomic};
use evenkeel::telemetry::format::{ABSENT, number, percent};

/// The remedies that are tried unless others are named.
const DEFAULT_ARMS: &str = "clipped,unclipped,per_layer,clip_value,agc,normalised";

/// Arguments of `evenkeel autopsy`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  What the usual remedies would have made of the step:
    evenkeel autopsy runs/exploder__unclipped__s1__20260101T120000Z/incidents/step_000010
  The worst incident of the newest run, and who survives 20 more iterations:
    evenkeel autopsy @last --arms clipped,agc --continue 20
  An earlier step of the same incident:
    evenkeel autopsy @last --step 8")]
pub struct Args {
    /// An incident's folder, or a run, whose worst incident is taken (`@last`: the newest run with one)
    #[arg(value_name = "INCIDENT")]
    incident: String,
    /// Arms to try the step with, beside the one that it was trained with
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', default_value = DEFAULT_ARMS)]
    arms: Vec<String>,
    /// TOML file that defines arms: [[arm]] name = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// The step, by its number, among those that were kept [default: the last of them]
    #[arg(long, value_name = "N")]
    step: Option<u64>,
    /// Train on from the step for so many iterations under each arm
    #[arg(long = "continue", value_name = "N", default_value_t = 0)]
    continue_iterations: u32,
    /// Threads; 0: one for each core
    #[arg(long, value_name = "N", default_value_t = 0)]
    threads: usize,
    /// Page to write [default: autopsy.html in the incident's folder]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Output<'a> {
    incident: &'a Path,
    page: &'a Path,
    #[serde(flatten)]
    autopsy: &'a Autopsy,
}

/// Runs `evenkeel autopsy`.
///
/// # Errors
/// If there is no such incident, or a remedy is about more than the step, or the page cannot be
/// written.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let folder = find(&args.incident)?;
    let incident = Incident::load(&folder)?;
    let asked = lab::arms(&args.arms, args.arm_file.as_deref())?;
    let own = &incident.run.arm;
    let options = AutopsyOptions {
        // The run's own comes first in any case.
        arms: asked.into_iter().filter(|arm| arm.name != *own).collect(),
        step: args.step,
        continue_iterations: args.continue_iterations,
        threads: thread_count(args.threads),
    };
    let autopsy = lab::autopsy(&incident, &options)?;
    let page = args.out.unwrap_or_else(|| folder.join("autopsy.html"));
    write_atomic(&page, report::autopsy(&autopsy).as_bytes())
        .with_context(|| format!("cannot write {}", page.display()))?;
    let answer = Output {
        incident: &folder,
        page: &page,
        autopsy: &autopsy,
    };
    ui.answer(&answer, describe)
}

/// The folder of an incident: itself, or the worst of a run's, the last of several.
fn find(text: &str) -> anyhow::Result<PathBuf> {
    let path = Path::new(text);
    if is_incident(path) {
        return Ok(path.to_owned());
    }
    let run = match text {
        // Not the newest run that has a checkpoint: one may diverge before its first.
        "@last" => newest(Path::new("runs"))?,
        _ => RunDir::open(path)
            .with_context(|| format!("{text} is no incident, and no run with incidents"))?,
    };
    let paths = run.incidents()?;
    let severities = paths
        .into_iter()
        .filter_map(|path| Some((incident_severity(&path)?, path)));
    let worst = severities.max_by_key(|(severity, _)| *severity);
    let worst = worst.with_context(|| {
        format!(
            "{}: no incident was kept in this run: its detectors saw nothing, or the recorder was \
             off",
            run.path().display()
        )
    })?;
    Ok(worst.1)
}

/// The newest run with an incident.
fn newest(root: &Path) -> anyhow::Result<RunDir> {
    for run in list_runs(root)?.into_iter().rev() {
        if !run.incidents()?.is_empty() {
            return Ok(run);
        }
    }
    bail!("there is no run with an incident in {}", root.display())
}

fn describe(answer: &Output) -> String {
    let Output { autopsy, page, .. } = answer;
    let strong = Ui::STRONG;
    let mut lines = vec![format!(
        "{strong}{} · {} · seed {} · optimiser step {}{strong:#}",
        autopsy.scenario, autopsy.arm, autopsy.seed, autopsy.optimiser_step
    )];
    lines.push(autopsy.headline().replace('`', ""));
    lines.extend(autopsy.offset_summary());
    lines.extend(autopsy.survival_summary().map(|line| line.replace('`', "")));
    lines.extend(autopsy.symptoms.iter().map(ToString::to_string));
    lines.push(String::new());
    let continuation = autopsy
        .trials
        .iter()
        .any(|trial| trial.continuation.is_some());
    let mut head = vec![
        "remedy",
        "‖g‖",
        "clipped to",
        "‖Δθ‖/‖θ‖",
        "cosine",
        "KL after",
        "ratio after",
        "‖g‖ after",
    ];
    if continuation {
        head.push("went on");
    }
    let rows = autopsy.trials.iter().map(|trial| row(trial, continuation));
    lines.push(table(&head, 1, rows.collect()));
    lines.push(String::new());
    lines.push(autopsy.contribution_summary());
    if !autopsy.reproduced {
        let bad = Ui::BAD;
        lines.push(format!(
            "{bad}Run again here, the step is not the logged one bit for bit{bad:#}: another \
             build or machine recorded it."
        ));
    }
    lines.push(page.display().to_string());
    lines.join("\n")
}

fn row(trial: &RemedyTrial, continuation: bool) -> Vec<String> {
    let figure = |value: Option<f64>| value.map_or(ABSENT.into(), number);
    let after = trial.next_report.as_ref();
    let mut cells = vec![
        trial.arm.clone(),
        figure(trial.report.grad_norm),
        figure(trial.report.clip.last().and_then(|stage| stage.norm_after)),
        figure(trial.report.update_ratio),
        figure(trial.report.update_cosine),
        figure(after.and_then(|after| after.approx_kl)),
        figure(after.and_then(|after| after.ratio_max)),
        figure(after.and_then(|after| after.grad_norm)),
    ];
    if continuation {
        cells.push(
            trial
                .continuation
                .as_ref()
                .map_or(ABSENT.into(), |continuation| {
                    let success = continuation
                        .success
                        .iter()
                        .rev()
                        .find_map(|success| *success);
                    match &continuation.diverged {
                        Some(diverged) => format!("diverged at step {}", diverged.optimiser_step),
                        None => format!(
                            "{} iterations, success {}",
                            continuation.iterations,
                            success.map_or(ABSENT.into(), percent)
                        ),
                    }
                }),
        );
    }
    cells
}
