//! `evenkeel margin`: measures how far settings can be turned before training fails.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde::Serialize;

use super::Ui;
use super::common::{MAX_STEPS, checked_override, count, shell_line};
use super::progress_bars::ProgressBars;
use super::signals::stop_runs_on_signal;
use super::table::table;
use evenkeel::lab::{
    self, Margin, MarginAxis, MarginError, MarginListener, MarginReport, MarginRequest,
    ProgressListener, RunPlan,
};
use evenkeel::report::render_margins;
use evenkeel::runs::write_file;
use evenkeel::telemetry::format::{counted, percent, steps};

/// Arguments of `evenkeel margin`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  How far can the learning rate be turned up and down, with and without stabilising techniques?
    evenkeel margin reference --steps 300k
  Several arms on several axes:
    evenkeel margin reference --arms raw,clipped,agc --axis learning_rate,reward_scale,epochs --steps 300k
  Any numeric setting is an axis:
    evenkeel margin open_field --axis train.gae_lambda,train.value_coef --steps 200k
  Go on after an interruption, or add arms and axes to what a folder holds:
    evenkeel margin reference --steps 300k --out runs/margin__reference__20260101T120000Z

A margin is searched by doubling and halving, then by bisection to half an octave; every factor is
tried with the same seeds. A run fails if it diverges or collapses, or if its last success in training
is below half of what its arm reaches unchanged; a factor fails if half of its runs do.
docs/margins.md describes the method.")]
pub(crate) struct Args {
    /// The scenario: a shipped one's name, or the path of a TOML file
    #[arg(value_name = "SCENARIO", required_unless_present = "axes")]
    scenario: Option<String>,
    /// List the built-in axes
    #[arg(long, exclusive = true)]
    axes: bool,
    /// Arms to measure; `evenkeel arms` lists them [default: clipped,raw]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    arms: Vec<String>,
    /// TOML file with further arms: [[arm]] name = "…", description = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// What to turn: built-in axes (--axes lists them) or paths of numeric settings [default:
    /// `learning_rate`]
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    axis: Vec<String>,
    /// Number of seeds at each factor [default: 5]
    #[arg(long, value_name = "N", value_parser = count::<u64>(1..=1000))]
    seeds: Option<u64>,
    /// The first seed [default: 1]
    #[arg(long, value_name = "N", value_parser = count::<u64>(0..=u64::MAX))]
    seed: Option<u64>,
    /// Environment steps of each run, as in 300000 or 300k [default: the scenario's
    /// `train.total_steps`]
    #[arg(long, alias = "total-timesteps", value_name = "N", value_parser = count::<u64>(1..=MAX_STEPS))]
    steps: Option<u64>,
    /// Number of runs trained at the same time [default: one per core]
    #[arg(long, value_name = "N", value_parser = count::<u32>(1..=1024))]
    jobs: Option<u32>,
    /// Override one setting in every run, as in `--set train.gamma=0.98`; repeatable
    #[arg(long, value_name = "PATH=VALUE", value_parser = checked_override)]
    set: Vec<String>,
    /// Train every run to its end. Without this, runs that are far behind are given up early
    #[arg(long)]
    exhaustive: bool,
    /// Folder of the runs; a folder that has some of them is continued
    #[arg(long, short, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Serialize)]
struct Output {
    report: PathBuf,
    #[serde(flatten)]
    margins: MarginReport,
}

/// Runs `evenkeel margin`.
///
/// # Errors
/// If the request is invalid, or training fails.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let Some(scenario) = args.scenario.clone() else {
        return list_axes(ui);
    };
    let defined_arms = args.arm_file.as_deref().map(lab::load_arms).transpose()?;
    let request = MarginRequest {
        scenario,
        arms: args.arms.clone(),
        defined_arms: defined_arms.unwrap_or_default(),
        axes: args.axis.clone(),
        seed: args.seed,
        seeds: args.seeds,
        steps: args.steps,
        set: args.set.clone(),
        exhaustive: args.exhaustive,
        jobs: args.jobs,
        out: args.out.clone(),
    };
    let program = std::env::current_exe().context("cannot find this program")?;
    let plan = request.prepare(program)?;
    let folder = plan.options.folder.clone();
    ui.note(format_args!("{}", folder.display()));
    let stop = stop_runs_on_signal()?;
    let margins = plan
        .measure(&Rounds { ui }, &stop)
        .map_err(|error| with_resume_hint(error, &folder))?;
    let report = folder.join("margin.html");
    write_file(&report, render_margins(&margins))?;
    let answer = Output { report, margins };
    ui.answer(&answer, text)
}

/// Adds how to go on to an error after which the runs can be continued.
fn with_resume_hint(error: MarginError, folder: &Path) -> anyhow::Error {
    if !matches!(&error, MarginError::Train(error) if error.is_resumable()) {
        return error.into();
    }
    let out = ["--out".to_owned(), folder.display().to_string()];
    anyhow::anyhow!(
        "{error}\nrepeat the command to go on, with\n  {}",
        shell_line(&out)
    )
}

fn list_axes(ui: &Ui) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Axis {
        name: String,
        description: String,
    }
    let axes = MarginAxis::built_in().into_iter().map(|axis| Axis {
        name: axis.name,
        description: axis.description,
    });
    let axes: Vec<Axis> = axes.collect();
    ui.answer(&axes, |axes| {
        let rows = axes
            .iter()
            .map(|axis| vec![axis.name.clone(), axis.description.clone()]);
        table(&["axis", "what it turns"], 2, rows.collect())
    })
}

/// Shows bars for the runs of each round.
struct Rounds<'a> {
    ui: &'a Ui,
}

impl MarginListener for Rounds<'_> {
    fn round_started(&self, round: usize, plan: &RunPlan) -> Box<dyn ProgressListener + '_> {
        let runs = counted(plan.runs.len(), "run");
        self.ui.note(format_args!("round {round}: {runs}"));
        Box::new(ProgressBars::new(plan.runs.len()))
    }
}

/// One table for each axis: arms, usable range, width.
fn text(answer: &Output) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let report = &answer.margins;
    let mut parts = Vec::new();
    for axis in &report.axes {
        let own = |margin: &&Margin| margin.axis == axis.name;
        let rows = report.margins.iter().filter(own).zip(&report.arms);
        let rows = rows.map(|(margin, arm)| {
            vec![
                margin.arm.clone(),
                margin.range_text(),
                margin.width_text(),
                percent(arm.success),
            ]
        });
        let head = ["arm", "usable range", "width", "success unchanged"];
        parts.push(format!(
            "{strong}{}{strong:#}: {}\n{}",
            axis.name,
            axis.description,
            table(&head, 2, rows.collect())
        ));
    }
    parts.push(format!(
        "{faint}·{faint:#} {} of {} steps in {}, {} at each factor; [ ] is the 95 % confidence interval; {} given \
         up early",
        counted(report.runs, "run"),
        steps(report.steps as f64),
        report.scenario,
        counted(report.seeds.len(), "seed"),
        report.given_up
    ));
    parts.push(answer.report.display().to_string());
    parts.join("\n")
}
