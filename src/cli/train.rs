//! `evenkeel train`: one run, from a scenario to a policy.

mod progress;
#[cfg(feature = "view")]
mod view;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Ui;
use super::common::{MAX_EPISODES, OutArg, SeedArg, SetArgs, ThemeName, parse_count};
use evenkeel::config::Override;
use evenkeel::env::Probe;
use evenkeel::lab;
use evenkeel::learn::{Experiment, RunOutcome};
use evenkeel::runs::{RunDir, RunInfo, RunStatus, resolve_run};
use evenkeel::scenario::{self};
use evenkeel::telemetry::{DivergedReport, EvalSummary, Fanout};
use progress::{ProgressMode, ProgressSink};

/// Trains a policy and keeps all about it in a run directory: settings, logs, checkpoints and the
/// evaluation of the best checkpoint on held-out episodes.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  evenkeel train reference                              a policy in some minutes
  evenkeel train u_trap --arm unclipped --seed 3        without the gradient clip
  evenkeel train reference --set train.learning_rate=3e-4 --set policy.actor.hidden=[128,128]
  evenkeel train --resume runs/reference__clipped__s0__20260301T101500Z
  evenkeel train --resume @last --steps 20M             go on with the newest run, for longer
  evenkeel train movers --view                          watch it learn in a window

Ctrl-C finishes the iteration, saves and says how to go on. The same seed gives the same policy,
bit for bit, whatever the number of threads.")]
pub struct Args {
    /// A shipped scenario's name, or the path of a scenario file
    #[arg(value_name = "SCENARIO", required_unless_present = "resume")]
    scenario: Option<String>,
    /// Settings of a built-in arm (`evenkeel arms` lists them) or of one of --arm-file
    #[arg(long, value_name = "NAME", default_value = "clipped")]
    arm: String,
    /// TOML file with further arms, `[[arm]]` with `name`, `about` and `set`
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// Environment steps in all, as in 2000000 or 2M
    #[arg(long, alias = "total-timesteps", value_name = "N", value_parser = parse_count)]
    steps: Option<u64>,
    /// Environments stepped together
    #[arg(long, value_name = "N")]
    envs: Option<u32>,
    /// Threads; 0 is one for each core. The result does not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<u32>,
    /// Where the networks are computed
    #[arg(long, value_name = "DEVICE", value_parser = ["cpu", "cuda"])]
    device: Option<String>,
    /// Record what environment 0 lives in every N-th iteration, with its gradients; 0: nothing
    #[arg(long, value_name = "N")]
    record_every: Option<u32>,
    /// Go on with this run from its last checkpoint; @last is the newest under runs
    ///
    /// Steps, threads, device, evaluations, checkpoints and recordings may be set anew, and are kept for the
    /// next time; all else stays as the run began. With more steps, a linear learning rate falls
    /// from where it is in the stretched schedule, to zero at the new end.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["scenario", "arm", "arm_file", "seed", "out"])]
    resume: Option<String>,
    /// Held-out episodes of the evaluation at the end; 0: none [default: 1000, or as many as the
    /// run that goes on had]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(0..=MAX_EPISODES))]
    episodes: Option<u64>,
    /// How progress is shown; by default as a bar where stderr is a terminal, else as lines
    #[arg(long, value_name = "HOW", value_enum)]
    progress: Option<ProgressMode>,
    /// Open a window on it: nine of its environments, and its figures as they happen [default
    /// theme: dark]
    ///
    /// Training goes on when the window is closed. Drawing takes 2 % of the cores at most: the
    /// window draws seldom enough, and says so. Needs a build with the feature `view`.
    #[arg(long, value_name = "THEME", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "dark")]
    view: Option<ThemeName>,
    #[command(flatten)]
    seed: SeedArg,
    #[command(flatten)]
    out: OutArg,
    #[command(flatten)]
    set: SetArgs,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Output {
    run: PathBuf,
    status: &'static str,
    global_step: u64,
    wall_secs: f64,
    diverged: Option<DivergedReport>,
    /// Incidents that the flight recorder kept.
    incidents: usize,
    evaluation: Option<EvalSummary>,
}

/// A run that is about to begin, or to go on.
struct TrainJob {
    experiment: Experiment,
    run: RunDir,
    /// Environment steps that it has behind it.
    from: u64,
    /// Held-out episodes at the end.
    episodes: u64,
    progress_mode: ProgressMode,
    /// Set to stop after the iteration.
    stop: Arc<AtomicBool>,
}

/// Runs the command.
///
/// # Errors
/// If the scenario, a setting or a checkpoint is no good, files cannot be written, or a window is
/// wanted and there is none.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    #[cfg(not(feature = "view"))]
    if args.view.is_some() {
        return super::no_window::train();
    }
    #[cfg(feature = "view")]
    if args.view.is_some() {
        view::check()?;
    }
    let job = args.job()?;
    ui.note(format_args!(
        "training {} in {}",
        job.experiment.scenario.name,
        job.run.path().display()
    ));
    #[cfg(feature = "view")]
    if let Some(theme) = args.view {
        return view::train(&job, theme.theme(), ui);
    }
    job.stop_on_signals(|| ())?;
    let ended = job.train(Fanout::new(), None)?;
    let answer = job.evaluate(ended)?;
    job.print(&answer, ui)
}

impl TrainJob {
    /// Listens for Ctrl-C and SIGTERM from now on: the first asks the training to stop, and calls
    /// `heard`.
    fn stop_on_signals(&self, heard: impl Fn() + Send + 'static) -> anyhow::Result<()> {
        let asked = self.stop.clone();
        ctrlc::set_handler(move || {
            // Whoever asks twice does not want to wait.
            if asked.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
            heard();
        })
        .context("cannot listen for Ctrl-C")
    }

    /// Trains to the end, or until asked to stop.
    fn train(&self, listeners: Fanout, probe: Option<&Arc<Probe>>) -> anyhow::Result<RunOutcome> {
        let observer = ProgressSink::new(
            self.progress_mode,
            &self.experiment,
            self.from,
            self.stop.clone(),
        );
        let bar = observer.bar.clone();
        let stop = || self.stop.load(Ordering::SeqCst);
        let listeners = listeners.with(observer);
        let ended = self.experiment.train(&self.run, listeners, &stop, probe);
        bar.finish_and_clear();
        Ok(ended?)
    }

    /// Scores what came out on held-out episodes, unless it is to go on.
    fn evaluate(&self, ended: RunOutcome) -> anyhow::Result<Output> {
        let threads = self.experiment.config.threads();
        let evaluation = match ended {
            RunOutcome::Stopped => None,
            _ if self.episodes == 0 => None,
            _ => lab::evaluate_run(&self.run, self.episodes, threads)?.map(|report| report.summary),
        };
        let info = self.run.info()?;
        Ok(Output {
            incidents: self.run.incidents()?.len(),
            run: self.run.path().to_owned(),
            status: info.status.name(),
            global_step: info.global_step,
            wall_secs: info.wall_secs,
            diverged: match ended {
                RunOutcome::Diverged(diverged) => Some(diverged),
                RunOutcome::Finished | RunOutcome::Stopped => None,
            },
            evaluation,
        })
    }

    fn print(&self, answer: &Output, ui: &Ui) -> anyhow::Result<()> {
        if self.progress_mode == ProgressMode::Json && !ui.json {
            return Ok(());
        }
        ui.answer(answer, describe)
    }
}

impl Args {
    /// What is asked for, with its run directory.
    fn job(&self) -> anyhow::Result<TrainJob> {
        let overrides = self.overrides()?;
        let (experiment, run) = match &self.resume {
            Some(text) => {
                let run = resolve_run(text, Path::new("runs"))?;
                (Experiment::from_run(&run, &overrides)?, run)
            }
            None => self.begin(&overrides)?,
        };
        let evaluated = run.evaluation()?.map(|report| report.summary.episodes);
        let episodes = self.episodes.or(evaluated).unwrap_or(1000);
        let info = run.info()?;
        let all_done = info.status == RunStatus::Finished
            && experiment.config.train.total_steps <= info.global_step;
        if all_done && (episodes == 0 || evaluated == Some(episodes)) {
            bail!(
                "{}: all {} steps of this run are done; go on for longer with --steps",
                run.path().display(),
                info.global_step
            );
        }
        let by_default = if std::io::stderr().is_terminal() {
            ProgressMode::Bar
        } else {
            ProgressMode::Lines
        };
        Ok(TrainJob {
            experiment,
            run,
            from: info.global_step,
            episodes,
            progress_mode: self.progress.unwrap_or(by_default),
            stop: Arc::default(),
        })
    }

    /// `--set`, and the flags that are short for one.
    fn overrides(&self) -> anyhow::Result<Vec<Override>> {
        let flags = [
            self.steps.map(|steps| format!("train.total_steps={steps}")),
            self.envs.map(|envs| format!("train.num_envs={envs}")),
            self.threads
                .map(|threads| format!("train.threads={threads}")),
            self.device
                .as_ref()
                .map(|device| format!("train.device={device}")),
            self.record_every
                .map(|every| format!("train.record_every={every}")),
        ];
        let mut overrides = self.set.set.clone();
        for flag in flags.into_iter().flatten() {
            overrides.push(Override::parse(&flag)?);
        }
        Ok(overrides)
    }

    /// A new run with its directory.
    fn begin(&self, overrides: &[Override]) -> anyhow::Result<(Experiment, RunDir)> {
        let Some(name) = &self.scenario else {
            bail!("no scenario")
        };
        let scenario = Arc::new(scenario::resolve(name, overrides)?);
        let arm = lab::arm(&self.arm, self.arm_file.as_deref())?;
        let experiment = Experiment::new(scenario, &arm.layer, overrides, self.seed.seed)?;
        experiment.config.train.device.check()?;
        let mut info = RunInfo::begin(
            &experiment.scenario.name,
            &arm.name,
            experiment.seed,
            experiment.config.train.total_steps,
            evenkeel::LIBTORCH_VERSION.map(str::to_owned),
        );
        info.base_config = experiment.base_settings();
        let config = experiment.config_toml()?;
        let run = match &self.out.out {
            Some(path) => RunDir::create_at(path, &config, &info)?,
            None => RunDir::create(Path::new("runs"), &config, &info)?,
        };
        Ok((experiment, run))
    }
}

fn describe(answer: &Output) -> String {
    let strong = Ui::STRONG;
    let run = answer.run.display();
    let took = format!("{} steps in {:.0} s", answer.global_step, answer.wall_secs);
    let mut lines = vec![match answer.status {
        "stopped" => {
            format!("stopped after {took}; go on with\n  evenkeel train --resume {run}")
        }
        "diverged" => {
            let bad = Ui::BAD;
            let step = answer
                .diverged
                .as_ref()
                .map_or(0, |diverged| diverged.optimiser_step);
            format!("{bad}diverged{bad:#} at optimiser step {step}, after {took}")
        }
        ended => format!("{ended}: {took}"),
    }];
    if let Some(summary) = &answer.evaluation {
        let success = summary.success;
        let spl = summary
            .spl
            .map_or(String::new(), |spl| format!(" · SPL {:.2}", spl.value));
        // What it comes to is not what could be done before.
        let which = match answer.status {
            "diverged" => "the best checkpoint before it, over ",
            _ => "",
        };
        lines.push(format!(
            "{which}{} held-out episodes: {strong}success {:.1} %{strong:#} ({:.1} to {:.1}){spl}",
            summary.episodes,
            100.0 * success.value,
            100.0 * success.low,
            100.0 * success.high,
        ));
    }
    if answer.status != "stopped" {
        lines.push(format!("look at it with\n  evenkeel report {run}"));
    }
    if answer.status == "diverged" && answer.incidents > 0 {
        lines.push(format!(
            "run the step in which it broke again, under other remedies, with\n  evenkeel autopsy \
             {run}"
        ));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_read_as_people_write_them() {
        for (text, count) in [
            ("2000000", 2_000_000),
            ("2_000_000", 2_000_000),
            ("1.5M", 1_500_000),
            ("64k", 64_000),
        ] {
            assert_eq!(parse_count(text), Ok(count));
        }
        for text in ["", "M", "-1", "0", "0.5", "1e99", "many", "nan"] {
            assert!(parse_count(text).is_err(), "{text:?} was taken");
        }
    }
}
