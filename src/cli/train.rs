//! `evenkeel train`: one run, from a scenario to a policy.

use std::collections::{BTreeSet, HashSet};
use std::io::{IsTerminal as _, Write as _};
use std::mem::{Discriminant, discriminant};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;

use super::Ui;
use super::common::{MAX_EPISODES, OutArg, SeedArg, SetArgs, parse_count};
use crate::eval::EvalSummary;
use crate::lab;
use crate::learn::{Ended, Experiment};
use crate::runs::{RunDir, RunInfo, RunStatus, resolve_run};
use crate::scenario::{self, Override};
use crate::telemetry::{
    Action, DivergedReport, Event, GuardReport, HealthEvent, IterationReport, Sink, Symptom,
};

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
    progress: Option<How>,
    #[command(flatten)]
    seed: SeedArg,
    #[command(flatten)]
    out: OutArg,
    #[command(flatten)]
    set: SetArgs,
}

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum How {
    /// A bar on stderr
    Bar,
    /// A line on stderr every few seconds
    Lines,
    /// A JSON object a line on stdout after each iteration, for programs
    Json,
    /// Nothing
    None,
}

/// The answer.
#[derive(Debug, Serialize)]
struct Answer {
    run: PathBuf,
    ended: &'static str,
    global_step: u64,
    wall_secs: f64,
    diverged: Option<DivergedReport>,
    /// Incidents that the flight recorder kept.
    incidents: usize,
    evaluation: Option<EvalSummary>,
}

/// Runs the command.
///
/// # Errors
/// If the scenario, a setting or a checkpoint is no good, or files cannot be written.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let overrides = args.overrides()?;
    let (experiment, run) = match &args.resume {
        Some(text) => {
            let run = resolve_run(text, Path::new("runs"))?;
            (Experiment::of_run(&run, &overrides)?, run)
        }
        None => args.begin(&overrides)?,
    };
    let evaluated = run.evaluation()?.map(|report| report.summary.episodes);
    let episodes = args.episodes.or(evaluated).unwrap_or(1000);
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
    let stop = Arc::new(AtomicBool::new(false));
    let asked = stop.clone();
    let path = run.path().to_owned();
    ctrlc::set_handler(move || {
        // Whoever asks twice does not want to wait.
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")?;

    let how = args.progress.unwrap_or(if std::io::stderr().is_terminal() {
        How::Bar
    } else {
        How::Lines
    });
    let observer = Observer::new(how, &experiment, info.global_step, stop.clone());
    let bar = observer.bar.clone();
    ui.note(format_args!(
        "training {} in {}",
        experiment.scenario.name,
        path.display()
    ));
    let ended = experiment.train(&run, observer, &|| stop.load(Ordering::SeqCst));
    bar.finish_and_clear();
    let ended = ended?;

    let evaluation = match ended {
        Ended::Stopped => None,
        _ if episodes == 0 => None,
        _ => lab::finish_run(&run, episodes, experiment.config.threads())?
            .map(|report| report.summary),
    };
    let info = run.info()?;
    let answer = Answer {
        incidents: run.incidents()?.len(),
        run: path,
        ended: info.status.name(),
        global_step: info.global_step,
        wall_secs: info.wall_secs,
        diverged: match ended {
            Ended::Diverged(diverged) => Some(diverged),
            Ended::Finished | Ended::Stopped => None,
        },
        evaluation,
    };
    if how == How::Json && !ui.json {
        return Ok(());
    }
    ui.answer(&answer, describe)
}

impl Args {
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
            crate::LIBTORCH_VERSION.map(str::to_owned),
        );
        info.unarmed = experiment.unarmed_settings();
        let config = experiment.config_toml()?;
        let run = match &self.out.out {
            Some(path) => RunDir::create_at(path, &config, &info)?,
            None => RunDir::create(Path::new("runs"), &config, &info)?,
        };
        Ok((experiment, run))
    }
}

/// Shows progress as it happens.
struct Observer {
    how: How,
    bar: ProgressBar,
    total: u64,
    last_line: Option<Instant>,
    evaluated: Option<f64>,
    /// Symptoms told of.
    told: BTreeSet<Symptom>,
    /// Kinds of the guard's actions told of.
    ruled: HashSet<Discriminant<Action>>,
    stop: Arc<AtomicBool>,
}

/// What `--progress json` prints after each iteration.
#[derive(Serialize)]
struct ProgressLine {
    progress: ProgressFigures,
}

#[derive(Serialize)]
struct ProgressFigures {
    step: u64,
    total: u64,
    success: Option<f64>,
    #[serde(rename = "return")]
    episodic_return: Option<f64>,
    grad_norm: Option<f64>,
    steps_per_sec: f64,
}

impl Observer {
    fn new(how: How, experiment: &Experiment, from: u64, stop: Arc<AtomicBool>) -> Self {
        let total = experiment.config.iterations() * experiment.config.steps_per_iteration();
        let bar = match how {
            How::Bar => ProgressBar::new(total).with_position(from),
            How::Lines | How::Json | How::None => ProgressBar::hidden(),
        };
        bar.reset_eta();
        let style = "{bar:24.cyan/dim} {human_pos:>10}/{human_len} · {msg} · {eta} left";
        bar.set_style(
            ProgressStyle::with_template(style)
                .expect("the template is right")
                .progress_chars("━━─"),
        );
        Self {
            how,
            bar,
            total,
            last_line: None,
            evaluated: None,
            told: BTreeSet::new(),
            ruled: HashSet::new(),
            stop,
        }
    }

    fn iteration(&mut self, iteration: &IterationReport) {
        let figures = ProgressFigures {
            step: iteration.global_step,
            total: self.total,
            success: iteration.success_rate,
            episodic_return: iteration.episodic_return,
            grad_norm: iteration.mean.grad_norm,
            steps_per_sec: iteration.wall.steps_per_sec,
        };
        match self.how {
            How::Bar => {
                self.bar.set_position(figures.step);
                self.bar
                    .set_message(describe_progress(&figures, self.evaluated));
            }
            How::Lines => {
                let due = self
                    .last_line
                    .is_none_or(|at| at.elapsed() > Duration::from_secs(5));
                if due || figures.step >= self.total {
                    self.last_line = Some(Instant::now());
                    let share = 100.0 * figures.step as f64 / self.total as f64;
                    let message = describe_progress(&figures, self.evaluated);
                    eprintln!("{share:3.0} % · {} steps · {message}", figures.step);
                }
            }
            How::Json => {
                let line = serde_json::to_string(&ProgressLine { progress: figures });
                let mut out = std::io::stdout().lock();
                if writeln!(out, "{}", line.unwrap_or_default()).is_err() {
                    // Whoever wanted to know has gone: save and end.
                    self.stop.store(true, Ordering::SeqCst);
                }
            }
            How::None => {}
        }
    }
}

impl Observer {
    /// Tells of a symptom the first time that it is seen; the log has every time.
    fn health(&mut self, seen: &HealthEvent) {
        if self.told.insert(seen.symptom) {
            self.say(seen);
        }
    }

    /// Likewise of what the guard does, each kind once.
    fn guard(&mut self, ruled: &GuardReport) {
        if self.ruled.insert(discriminant(&ruled.action)) {
            self.say(ruled);
        }
    }

    fn say(&self, line: &dyn std::fmt::Display) {
        match self.how {
            How::Bar => self.bar.suspend(|| eprintln!("{line}")),
            How::Lines => eprintln!("{line}"),
            How::Json | How::None => {}
        }
    }
}

impl Sink for Observer {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        match event {
            Event::Iteration(iteration) => self.iteration(iteration),
            Event::Evaluation(evaluation) => {
                self.evaluated = Some(evaluation.summary.success.value);
            }
            Event::Health(seen) => self.health(seen),
            Event::Guard(ruled) => self.guard(ruled),
            Event::Incident(_) | Event::Step(_) | Event::Checkpoint(_) | Event::Diverged(_) => {}
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// `31,200 steps/s · success 87 % (held out 91 %) · return 7.31 · ‖g‖ 0.42`.
fn describe_progress(figures: &ProgressFigures, evaluated: Option<f64>) -> String {
    let percent = |share: Option<f64>| {
        share.map_or("–".to_owned(), |share| format!("{:.0} %", 100.0 * share))
    };
    let number = |number: Option<f64>| number.map_or("–".to_owned(), |n| format!("{n:.2}"));
    let held_out = evaluated.map_or(String::new(), |share| {
        format!(" (held out {})", percent(Some(share)))
    });
    format!(
        "{:.0}k steps/s · success {}{held_out} · return {} · ‖g‖ {}",
        figures.steps_per_sec / 1e3,
        percent(figures.success),
        number(figures.episodic_return),
        number(figures.grad_norm),
    )
}

fn describe(answer: &Answer) -> String {
    let strong = Ui::STRONG;
    let run = answer.run.display();
    let took = format!("{} steps in {:.0} s", answer.global_step, answer.wall_secs);
    let mut lines = vec![match answer.ended {
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
        let which = match answer.ended {
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
    if answer.ended != "stopped" {
        lines.push(format!("look at it with\n  evenkeel report {run}"));
    }
    if answer.ended == "diverged" && answer.incidents > 0 {
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

    #[test]
    fn a_program_reads_progress_as_json() {
        let line = ProgressLine {
            progress: ProgressFigures {
                step: 5,
                total: 10,
                success: None,
                episodic_return: Some(1.5),
                grad_norm: Some(0.25),
                steps_per_sec: 1000.0,
            },
        };
        insta::assert_snapshot!(serde_json::to_string(&line).unwrap(), @r#"{"progress":{"step":5,"total":10,"success":null,"return":1.5,"grad_norm":0.25,"steps_per_sec":1000.0}}"#);
        let text = describe_progress(&line.progress, Some(0.9));
        insta::assert_snapshot!(text, @"1k steps/s · success – (held out 90 %) · return 1.50 · ‖g‖ 0.25");
    }
}
