//! `evenkeel autopsy`: repeats an optimiser step of an incident under other stabilising techniques.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Ui;
use super::common::{MAX_COUNT, count, warn_of_threads};
use super::files::check_output;
use super::table::table;
use super::work_progress::PercentProgress;
use evenkeel::env::thread_count;
use evenkeel::lab::{self, Autopsy, AutopsyOptions, RemedyTrial};
use evenkeel::learn::Incident;
use evenkeel::report;
use evenkeel::runs::{RUNS_FOLDER, write_file};
use evenkeel::telemetry::format::{ABSENT, counted, number, percent};

/// Default of `--arms`.
const DEFAULT_ARMS: &str = "clipped,unclipped,per_layer,clip_value,agc,normalised";

/// Arguments of `evenkeel autopsy`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Repeat the last step of an incident under the usual stabilising techniques:
    evenkeel autopsy runs/exploder__unclipped__s1__20260101T120000Z/incidents/step_000010
  Take the worst incident of the newest run, and train on for 20 iterations under each:
    evenkeel autopsy @last --arms clipped,agc --continue 20
  Repeat an earlier step of the same incident:
    evenkeel autopsy @last --step 8")]
pub(crate) struct Args {
    /// An incident's folder, or a run, whose worst incident is used (`@last`: the newest run that
    /// has an incident)
    #[arg(value_name = "INCIDENT")]
    incident: String,
    /// Arms to repeat the step with, besides the run's own arm
    #[arg(long, value_name = "A,B,…", value_delimiter = ',', default_value = DEFAULT_ARMS)]
    arms: Vec<String>,
    /// TOML file with further arms: [[arm]] name = "…", description = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// Number of the optimiser step, one of those that the incident holds [default: the last one]
    #[arg(long, value_name = "N", value_parser = count::<u64>(0..=u64::MAX))]
    step: Option<u64>,
    /// Number of iterations to train on from the step under each arm
    #[arg(long = "continue", value_name = "N", default_value_t = 0, value_parser = count::<u32>(0..=MAX_COUNT))]
    continue_iterations: u32,
    /// Number of threads; 0 means one per core
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<usize>(0..=MAX_COUNT))]
    threads: usize,
    /// HTML file to write [default: autopsy.html in the incident's folder]
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
/// If the incident does not exist, an arm changes settings that one optimiser step cannot apply, or
/// the page cannot be written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    warn_of_threads(args.threads, ui);
    let folder = lab::find_incident(&args.incident, Path::new(RUNS_FOLDER))?;
    let page = args.out.unwrap_or_else(|| folder.join("autopsy.html"));
    check_output("--out", &page, &args.arm_file)?;
    let incident = Incident::load(&folder)?;
    let arms = lab::arms(&args.arms, args.arm_file.as_deref())?;
    let own = &incident.run.arm;
    let options = AutopsyOptions {
        // The autopsy always tries the run's own arm first.
        arms: arms.into_iter().filter(|arm| arm.name != *own).collect(),
        step: args.step,
        continue_iterations: args.continue_iterations,
        threads: thread_count(args.threads),
    };
    let what = match args.continue_iterations {
        0 => "repeating the step".to_owned(),
        count => format!(
            "training on for {} under each arm",
            counted(count, "iteration")
        ),
    };
    let progress = PercentProgress::new(what, true);
    let autopsy = lab::autopsy(&incident, &options, &|share| progress.set(share))?;
    progress.finish();
    write_file(&page, report::render_autopsy(&autopsy))?;
    let answer = Output {
        incident: &folder,
        page: &page,
        autopsy: &autopsy,
    };
    ui.answer(&answer, describe)
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
    let continued = autopsy
        .trials
        .iter()
        .any(|trial| trial.continuation.is_some());
    let mut head = vec![
        "technique",
        "‖g‖",
        "clipped to",
        "‖Δθ‖/‖θ‖",
        "cosine",
        "KL after",
        "ratio after",
        "‖g‖ after",
    ];
    if continued {
        head.push("continued");
    }
    let rows = autopsy.trials.iter().map(|trial| row(trial, continued));
    lines.push(table(&head, 1, rows.collect()));
    lines.push(String::new());
    lines.push(autopsy.contribution_summary());
    if !autopsy.reproduced {
        let bad = Ui::BAD;
        lines.push(format!(
            "{bad}The repeated step differs from the logged one{bad:#}: it was recorded by another \
             build or machine."
        ));
    }
    lines.push(page.display().to_string());
    lines.join("\n")
}

fn row(trial: &RemedyTrial, continued: bool) -> Vec<String> {
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
    if continued {
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
                            "{}, success {}",
                            counted(continuation.iterations, "iteration"),
                            success.map_or(ABSENT.into(), percent)
                        ),
                    }
                }),
        );
    }
    cells
}
