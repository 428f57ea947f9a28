//! `evenkeel train`: trains one policy in a scenario.

mod progress;
mod resume;
#[cfg(feature = "view")]
mod view;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use anyhow::bail;
use serde::Serialize;

use super::Ui;
use super::common::{
    MAX_COUNT, MAX_EPISODES, MAX_STEPS, OutArg, SeedArg, SetArgs, ThemeName, count, warn_of_threads,
};
use super::policy::{find_policy, warn_of_other_robot};
use super::signals::{acknowledge, end_at_once, stop_on_signal};
use super::work_progress::PercentProgress;
use evenkeel::config::Override;
use evenkeel::env::Probe;
use evenkeel::eval::{CheckpointReference, EvalReport};
use evenkeel::lab::{self, FinalEvaluation};
use evenkeel::learn::{RunDefinition, RunOutcome, StartPolicy};
use evenkeel::runs::{PolicySource, RUNS_FOLDER, RunDir, RunStatus, StopRule, resolve_run};
use evenkeel::scenario;
use evenkeel::telemetry::format::{counted, percent, shell_path};
use evenkeel::telemetry::{DivergedReport, EvalSummary, Fanout};
use progress::{ProgressMode, ProgressSink};

/// Train a policy and write settings, logs, checkpoints and the evaluations of the best and the last
/// checkpoint on held-out episodes to a run directory.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  evenkeel train reference                              train a policy in some minutes
  evenkeel train u_trap --arm unclipped --seed 3        train without the gradient clip
  evenkeel train reference --set train.learning_rate=3e-4 --set policy.actor.hidden=[128,128]
  evenkeel train --resume runs/reference__clipped__s0__20260301T101500Z
  evenkeel train --resume @last --steps 20M             train the newest run for longer
  evenkeel train movers --view                          watch the training in a window
  evenkeel train maze --from runs/rooms__clipped__s0__20260301T101500Z --freeze actor.0
                                                        go on with a policy in another scenario

Ctrl-C finishes the iteration, saves, and prints the command that resumes the run. The same seed
gives the same policy, bit for bit, with any number of threads.")]
pub(crate) struct Args {
    /// A shipped scenario's name, or the path of a scenario file
    #[arg(value_name = "SCENARIO", required_unless_present = "resume")]
    scenario: Option<String>,
    /// Named configuration (arm) whose settings are used: a built-in one (`evenkeel arms` lists them)
    /// or one of --arm-file
    #[arg(long, value_name = "NAME", default_value = "clipped")]
    arm: String,
    /// TOML file with further arms: [[arm]] name = "…", description = "…", set = { … }
    #[arg(long, value_name = "FILE")]
    arm_file: Option<PathBuf>,
    /// Name of the run in comparisons and reports, in place of its arm's
    #[arg(long, alias = "tag", value_name = "NAME", value_parser = run_name)]
    name: Option<String>,
    /// Total number of environment steps, as in 2000000 or 2M
    #[arg(long, alias = "total-timesteps", value_name = "N", value_parser = count::<u64>(1..=MAX_STEPS))]
    steps: Option<u64>,
    /// Number of environments stepped together [default: 512, or fewer for less than 1M steps, so that
    /// the run has 30 iterations]
    #[arg(long, value_name = "N", value_parser = count::<u32>(0..=MAX_COUNT))]
    envs: Option<u32>,
    /// Number of threads; 0 means one per core. The results do not depend on it
    #[arg(long, value_name = "N", value_parser = count::<u32>(0..=MAX_COUNT))]
    threads: Option<u32>,
    /// Device that computes the networks
    #[arg(long, value_name = "DEVICE", value_parser = ["cpu", "cuda"])]
    device: Option<String>,
    /// Record environment 0 and the gradients in every N-th iteration; 0 records nothing
    #[arg(long, value_name = "N", value_parser = count::<u32>(0..=MAX_COUNT))]
    record_every: Option<u32>,
    /// Resume this run from its last checkpoint; @last is the newest run in the folder `runs`
    /// that is not part of a comparison
    ///
    /// Steps, threads, device, evaluations, checkpoints and recordings may be changed, and the run
    /// keeps the new values. All other settings stay as they are. With more steps, a linear
    /// learning-rate schedule is stretched: the rate falls to zero at the new end.
    #[arg(long, value_name = "RUN", conflicts_with_all = ["scenario", "arm", "arm_file", "name", "seed", "out"])]
    resume: Option<String>,
    /// Held-out episodes of the final evaluation; 0 skips it [default: 1000, or as many as the
    /// resumed run had]
    #[arg(long, value_name = "N", value_parser = count::<u64>(0..=MAX_EPISODES))]
    episodes: Option<u64>,
    /// Stop when two successive validations at or after this step have a lower success
    /// rate than this, as in 150k:0.2; repeatable
    ///
    /// The run is saved and can be resumed; the rules then no longer hold.
    #[arg(long, value_name = "STEP:SUCCESS", conflicts_with = "resume")]
    stop_below: Vec<StopRule>,
    /// Start from the weights and normalisers of this policy, a run folder or a checkpoint; of a run,
    /// its best checkpoint
    ///
    /// The optimiser, the schedules and the curriculum start fresh. The networks and the kinds of the
    /// normalisers are those of the policy; the scenario must give the same observations and actions.
    #[arg(long, value_name = "POLICY", conflicts_with = "resume")]
    from: Option<String>,
    /// Parameters that stay as they are, by name or by the start of a name: actor.0,critic
    #[arg(
        long,
        value_name = "NAMES",
        value_delimiter = ',',
        conflicts_with = "resume"
    )]
    freeze: Vec<String>,
    /// Form of the progress output [default: bar where stderr is a terminal, otherwise lines]
    #[arg(long, value_name = "HOW", value_enum)]
    progress: Option<ProgressMode>,
    /// Open a window that shows nine environments and the training metrics live [default theme:
    /// dark]
    ///
    /// Training continues when the window is closed. Drawing uses at most 2 % of the cores; the
    /// window lowers its frame rate to stay below and shows that it does. Needs a build with the
    /// feature `view`.
    #[arg(long, value_name = "THEME", value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "dark")]
    view: Option<ThemeName>,
    #[command(flatten)]
    seed: SeedArg,
    #[command(flatten)]
    out: OutArg,
    #[command(flatten)]
    set: SetArgs,
}

/// Parses the name of a run: one line of at most 40 characters.
fn run_name(text: &str) -> Result<String, String> {
    const MAX_LENGTH: usize = 40;
    let fits = (1..=MAX_LENGTH).contains(&text.chars().count());
    let is_plain = text.trim() == text && !text.chars().any(|c| c.is_control() || c == '`');
    if fits && is_plain {
        Ok(text.to_owned())
    } else {
        Err(format!(
            "write one line of 1 to {MAX_LENGTH} characters, without backticks"
        ))
    }
}

/// Held-out episodes of a final evaluation, unless the user chooses.
const DEFAULT_EPISODES: u64 = 1000;

/// The answer.
#[derive(Debug, Serialize)]
struct Output {
    run: PathBuf,
    status: &'static str,
    global_step: u64,
    wall_secs: f64,
    diverged: Option<DivergedReport>,
    /// The rule of `--stop-below` that ended training, if one did.
    stopped_by: Option<StopRule>,
    /// Number of incidents that the flight recorder saved.
    incidents: usize,
    /// The best checkpoint in held-out episodes.
    evaluation: Option<CheckpointSummary>,
    /// The last checkpoint in the same episodes.
    last_evaluation: Option<CheckpointSummary>,
}

/// The evaluation of a checkpoint, without its single episodes.
#[derive(Debug, Serialize)]
struct CheckpointSummary {
    checkpoint: Option<CheckpointReference>,
    #[serde(flatten)]
    summary: EvalSummary,
}

impl From<EvalReport> for CheckpointSummary {
    fn from(report: EvalReport) -> Self {
        Self {
            checkpoint: report.checkpoint,
            summary: report.summary,
        }
    }
}

/// A run to start or to resume.
struct TrainJob {
    definition: RunDefinition,
    run: RunDir,
    /// Environment steps already done.
    start_step: u64,
    /// Held-out episodes of the final evaluation.
    episodes: u64,
    progress_mode: ProgressMode,
    /// Set to stop after the current iteration.
    stop: Arc<AtomicBool>,
    /// The [`JobPhase`], for signals.
    phase: Arc<AtomicU8>,
}

/// What a [`TrainJob`] is doing.
#[repr(u8)]
enum JobPhase {
    /// Training. The default of [`TrainJob::phase`].
    Training = 0,
    /// Evaluating the trained policy; all training is saved.
    Evaluating,
    /// Nothing. A window may still be open.
    Done,
}

#[cfg(all(feature = "view", target_os = "linux"))]
impl Args {
    /// Whether it shows the training in a window.
    pub(super) fn has_window(&self) -> bool {
        self.view.is_some()
    }
}

/// Runs `evenkeel train`.
///
/// # Errors
/// If the scenario, a setting or a checkpoint is invalid, a file cannot be written, or the window
/// cannot be opened.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    #[cfg(not(feature = "view"))]
    if args.view.is_some() {
        return super::no_window::train();
    }
    #[cfg(feature = "view")]
    if args.view.is_some() {
        view::check()?;
    }
    let job = args.job(ui)?;
    ui.note(format_args!(
        "training {} in {}",
        job.definition.scenario.name,
        job.run.path().display()
    ));
    if args.resume.is_some() {
        let total = job.definition.config.train.total_steps;
        resume::announce(&job.run, job.start_step, total, ui)?;
    }
    warn_of_threads(job.definition.config.train.threads as usize, ui);
    if let Some(advice) = job.definition.config.short_run_advice() {
        ui.warn(advice);
    }
    #[cfg(feature = "view")]
    if let Some(theme) = args.view {
        return view::train(&job, theme.theme(), ui);
    }
    stop_on_signal(job.stop.clone(), job.on_first_signal())?;
    let outcome = job.train(Fanout::new(), None)?;
    let answer = job.evaluate(outcome)?;
    job.print(&answer, ui)
}

impl TrainJob {
    /// Trains to the end, or until `stop` is set.
    fn train(&self, sinks: Fanout, probe: Option<&Arc<Probe>>) -> anyhow::Result<RunOutcome> {
        let progress = ProgressSink::new(
            self.progress_mode,
            &self.definition,
            self.start_step,
            self.stop.clone(),
        );
        let bar = progress.bar.clone();
        let stop = || self.stop.load(Ordering::SeqCst);
        let sinks = sinks.with(progress);
        let outcome = self.definition.train(&self.run, sinks, &stop, probe);
        bar.finish_and_clear();
        Ok(outcome?)
    }

    /// Returns what the first Ctrl-C does besides setting `stop`: it tells the user what happens
    /// next. In the final evaluation nothing is left to be saved, and the program ends.
    fn on_first_signal(&self) -> impl Fn() + Send + 'static {
        let phase = self.phase.clone();
        let resume = format!("evenkeel train --resume {}", shell_path(self.run.path()));
        move || match phase.load(Ordering::SeqCst) {
            phase if phase == JobPhase::Training as u8 => {
                acknowledge("stopping after this iteration; press Ctrl-C again to end at once");
            }
            phase if phase == JobPhase::Evaluating as u8 => {
                acknowledge(&format!(
                    "all training is saved; repeat the final evaluation with\n  {resume}"
                ));
                end_at_once();
            }
            _ => {}
        }
    }

    /// Evaluates the best and the last checkpoint on held-out episodes, unless the run was stopped.
    fn evaluate(&self, outcome: RunOutcome) -> anyhow::Result<Output> {
        let threads = self.definition.config.threads();
        self.phase
            .store(JobPhase::Evaluating as u8, Ordering::SeqCst);
        let evaluation = match outcome {
            RunOutcome::Stopped => None,
            _ if self.episodes == 0 || self.stop.load(Ordering::SeqCst) => None,
            _ => self.evaluate_checkpoints(threads)?,
        };
        let (evaluation, last_evaluation) = match evaluation {
            Some(FinalEvaluation { best, last }) => (Some(best.into()), last.map(Into::into)),
            None => (None, None),
        };
        self.phase.store(JobPhase::Done as u8, Ordering::SeqCst);
        let info = self.run.info()?;
        Ok(Output {
            incidents: self.run.incidents()?.len(),
            run: self.run.path().to_owned(),
            status: info.status.name(),
            global_step: info.global_step,
            wall_secs: info.wall_secs,
            stopped_by: info.stopped_by,
            diverged: match outcome {
                RunOutcome::Diverged(diverged) => Some(diverged),
                RunOutcome::Finished | RunOutcome::Stopped => None,
            },
            evaluation,
            last_evaluation,
        })
    }

    /// Evaluates the best and the last checkpoint, and shows the progress.
    fn evaluate_checkpoints(&self, threads: usize) -> anyhow::Result<Option<FinalEvaluation>> {
        let is_shown = matches!(self.progress_mode, ProgressMode::Bar | ProgressMode::Lines);
        let progress = PercentProgress::new("evaluating the checkpoints", is_shown);
        let mut show = |share: f64| progress.set(share);
        let evaluation = lab::evaluate_run(&self.run, self.episodes, threads, &mut show);
        progress.finish();
        Ok(evaluation?)
    }

    fn print(&self, answer: &Output, ui: &Ui) -> anyhow::Result<()> {
        if self.progress_mode == ProgressMode::Json && !ui.json {
            return Ok(());
        }
        ui.answer(answer, describe)
    }
}

impl Args {
    /// Prepares the run that the arguments describe, with its run directory.
    fn job(&self, ui: &Ui) -> anyhow::Result<TrainJob> {
        let overrides = self.overrides()?;
        let (definition, run) = match &self.resume {
            Some(text) => {
                let run = resolve_run(text, Path::new(RUNS_FOLDER))?;
                (RunDefinition::from_run(&run, &overrides)?, run)
            }
            None => self.new_run(&overrides, ui)?,
        };
        let evaluated = run.evaluation()?.map(|report| report.summary.episodes);
        let mut info = run.info()?;
        let episodes = self.episodes.or(evaluated).or(info.episodes);
        let episodes = episodes.unwrap_or(DEFAULT_EPISODES);
        let all_done = info.status == RunStatus::Finished
            && definition.config.train.total_steps <= info.global_step;
        if all_done && (episodes == 0 || evaluated == Some(episodes)) {
            bail!(
                "{}: all {} steps of this run are done; train it for longer with --steps",
                run.path().display(),
                info.global_step
            );
        }
        if info.episodes != Some(episodes) {
            let _lock = run.lock()?;
            info.episodes = Some(episodes);
            run.write_info(&info)?;
        }
        let default_mode = if std::io::stderr().is_terminal() {
            ProgressMode::Bar
        } else {
            ProgressMode::Lines
        };
        Ok(TrainJob {
            start_step: resume::start_step(&run)?,
            definition,
            run,
            episodes,
            progress_mode: self.progress.unwrap_or(default_mode),
            stop: Arc::default(),
            phase: Arc::default(),
        })
    }

    /// Returns the overrides of `--set`, and of the flags that set a training setting.
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
        let freeze = (!self.freeze.is_empty()).then(|| format!("policy.freeze={:?}", self.freeze));
        let flags = flags.into_iter().chain([freeze]);
        let mut overrides = self.set.set.clone();
        for flag in flags.flatten() {
            overrides.push(Override::parse(&flag)?);
        }
        Ok(overrides)
    }

    /// Creates a new run and its directory.
    fn new_run(&self, overrides: &[Override], ui: &Ui) -> anyhow::Result<(RunDefinition, RunDir)> {
        let Some(name) = &self.scenario else {
            bail!("no scenario is given")
        };
        let scenario = Arc::new(scenario::resolve(name, overrides)?);
        let arm = lab::arm(&self.arm, self.arm_file.as_deref())?;
        let seed = self.seed.seed;
        let definition = match &self.from {
            None => RunDefinition::new(scenario, &arm.layer, overrides, seed)?,
            Some(text) => {
                let source = find_policy(text)?;
                let PolicySource::Checkpoint { path, run } = &source else {
                    bail!("--from {text}: a planner has no weights to start from");
                };
                warn_of_other_robot(&source, &scenario, ui)?;
                let start = StartPolicy::from_checkpoint(path, run.as_ref())?;
                ui.note(format_args!("starting from {}", start.origin));
                RunDefinition::fine_tuning(scenario, &arm.layer, overrides, seed, start)?
            }
        };
        let episodes = self.episodes.unwrap_or(DEFAULT_EPISODES);
        let run = definition.create_run(&arm.name, episodes, self.out.out.as_deref())?;
        let mut info = run.info()?;
        info.name.clone_from(&self.name);
        info.set = overrides.iter().map(Override::path).collect();
        info.stop_below.clone_from(&self.stop_below);
        run.write_info(&info)?;
        Ok((definition, run))
    }
}

fn describe(answer: &Output) -> String {
    let run = shell_path(&answer.run);
    let steps = format!("{} steps in {:.0} s", answer.global_step, answer.wall_secs);
    let mut lines = vec![match answer.status {
        "stopped" => {
            let rule = answer.stopped_by.map_or(String::new(), |rule| {
                format!(", with a success below {}", percent(rule.success))
            });
            format!("stopped after {steps}{rule}; resume with\n  evenkeel train --resume {run}")
        }
        "diverged" => {
            let bad = Ui::BAD;
            let step = answer
                .diverged
                .as_ref()
                .map_or(0, |diverged| diverged.optimiser_step);
            format!("{bad}diverged{bad:#} at optimiser step {step}, after {steps}")
        }
        status => format!("{status}: {steps}"),
    }];
    let best = answer.evaluation.as_ref();
    let episodes = best.map_or(0, |best| best.summary.episodes);
    if let Some(best) = best {
        lines.push(format!("{}:", counted(episodes, "held-out episode")));
        // A diverged run counts with success 0; this evaluation is of a checkpoint before that.
        let before = match answer.status {
            "diverged" => ", before the divergence",
            _ => "",
        };
        lines.push(checkpoint_line(best, before));
    }
    lines.extend(
        answer
            .last_evaluation
            .as_ref()
            .map(|last| checkpoint_line(last, "")),
    );
    if answer.status != "stopped" {
        lines.push(format!("write a report with\n  evenkeel report {run}"));
    }
    if answer.status == "diverged" && answer.incidents > 0 {
        lines.push(format!(
            "repeat the failed optimiser step under other stabilising techniques with\n  evenkeel autopsy {run}"
        ));
    }
    lines.join("\n")
}

/// The success of a checkpoint, as in `  best, step 235 k: success 94.7 % (93.2 to 96.5) · SPL 0.91`.
fn checkpoint_line(report: &CheckpointSummary, note: &str) -> String {
    let strong = Ui::STRONG;
    let EvalSummary { success, spl, .. } = &report.summary;
    let spl = spl.map_or(String::new(), |spl| format!(" · SPL {:.2}", spl.value));
    let name = report.checkpoint.as_ref().map(ToString::to_string);
    format!(
        "  {}{note}: {strong}success {:.1} %{strong:#} ({:.1} to {:.1}){spl}",
        name.unwrap_or_default(),
        100.0 * success.value,
        100.0 * success.low,
        100.0 * success.high,
    )
}
