//! Trains planned runs in child processes of this program, several at once. Finished runs are kept
//! and interrupted runs are resumed.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use super::final_evaluation::is_evaluated;
use super::{FinalEvaluationError, evaluate_run};
use evenkeel_runs::runs::{FolderLock, RunDir, RunError, RunStatus, StopRule};

/// How often a child process is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Runs to train in one scenario, each with an arm, a seed and settings of its own.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPlan {
    /// The name of a shipped scenario, or the path of a scenario file.
    pub scenario: String,
    /// Environment steps of each run; by default as in the scenario.
    pub steps: Option<u64>,
    /// Held-out episodes of each run's final evaluation.
    pub episodes: u64,
    /// Overrides for every run, each `path=value`.
    pub set: Vec<String>,
    /// The runs, in the order in which they start.
    pub runs: Vec<PlannedRun>,
}

/// One run of a [`RunPlan`]. Its folder is named after arm and seed.
#[derive(Clone, Debug, PartialEq)]
pub struct PlannedRun {
    /// Index in the plan, from 0.
    pub index: usize,
    /// Arm name.
    pub arm: String,
    /// Root seed.
    pub seed: u64,
    /// Overrides for this run, after those of the plan, each `path=value`.
    pub set: Vec<String>,
    /// When the run ends before its steps are done.
    pub stop_below: Vec<StopRule>,
}

impl PlannedRun {
    /// The folder of the run, in the folder of all runs.
    pub fn folder_in(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}__s{}", self.arm, self.seed))
    }
}

/// The progress of a run, as `evenkeel train --progress json` prints it after each iteration.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct ChildProgress {
    /// Environment steps so far.
    pub step: u64,
    /// Total environment steps.
    pub total: u64,
    /// Success rate in training over the last rollout.
    pub success: Option<f64>,
    /// Mean gradient norm over the last iteration.
    pub grad_norm: Option<f64>,
    /// Environment steps per second.
    pub steps_per_sec: f64,
}

#[derive(Deserialize)]
struct ChildLine {
    progress: ChildProgress,
}

/// Receives the progress of runs, from several threads.
pub trait ProgressListener: Sync {
    /// A run starts or resumes.
    fn run_started(&self, job: &PlannedRun);
    /// A run reports progress.
    fn run_progressed(&self, job: &PlannedRun, progress: &ChildProgress);
    /// A run is trained and its evaluation starts.
    fn run_evaluating(&self, job: &PlannedRun);
    /// A run is trained and evaluated.
    fn run_finished(&self, job: &PlannedRun, run: &RunDir);
}

/// Ignores all progress.
impl ProgressListener for () {
    fn run_started(&self, _: &PlannedRun) {}
    fn run_progressed(&self, _: &PlannedRun, _: &ChildProgress) {}
    fn run_evaluating(&self, _: &PlannedRun) {}
    fn run_finished(&self, _: &PlannedRun, _: &RunDir) {}
}

/// Where and how runs are trained.
#[derive(Debug)]
pub struct TrainRunsOptions {
    /// The path of the `evenkeel` program, which trains each run.
    pub program: PathBuf,
    /// The folder of all runs.
    pub folder: PathBuf,
    /// A file that defines the arms.
    pub arm_file: PathBuf,
    /// Number of simultaneous runs.
    pub jobs: usize,
    /// Threads of each run.
    pub threads: usize,
    /// Keeps other processes from training runs in the same folder.
    pub lock: FolderLock,
}

/// Why training ended early.
#[derive(Debug, thiserror::Error)]
pub enum TrainRunsError {
    /// A file of a run could not be read or written.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The evaluation of a run failed.
    #[error("{arm}, seed {seed}: {source}")]
    Evaluation {
        /// Arm name.
        arm: String,
        /// Root seed.
        seed: u64,
        /// The cause.
        source: Box<FinalEvaluationError>,
    },
    /// A child process could not be started or awaited.
    #[error("cannot run {program}: {source}")]
    Start {
        /// The path of this program.
        program: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A child process failed.
    #[error("{arm}, seed {seed}: training ended early ({status})\n{output}")]
    Child {
        /// Arm name.
        arm: String,
        /// Root seed.
        seed: u64,
        /// Exit status.
        status: String,
        /// The last lines of its error output.
        output: String,
        /// Whether a signal ended it.
        killed: bool,
    },
    /// `stop` was set.
    #[error("training was stopped")]
    Stopped,
}

impl TrainRunsError {
    /// Whether training was stopped, or a signal ended a run, so that it can be resumed.
    pub fn is_resumable(&self) -> bool {
        matches!(self, Self::Stopped | Self::Child { killed: true, .. })
    }
}

/// Trains and evaluates all runs of the plan that are not finished, and passes each finished run to
/// `finished`, in the order in which they finish. After `stop` is set no run starts, and the running
/// ones save and end.
///
/// # Errors
/// The first failure. Runs that are under way are completed.
pub fn train_runs(
    plan: &RunPlan,
    options: &TrainRunsOptions,
    listener: &dyn ProgressListener,
    stop: &AtomicBool,
    finished: &mut (dyn FnMut(&PlannedRun, &RunDir) -> Result<(), TrainRunsError> + Send),
) -> Result<(), TrainRunsError> {
    let next = Mutex::new(plan.runs.iter());
    let shared = Mutex::new((finished, None::<TrainRunsError>));
    let failed = || lock(&shared).1.is_some();
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, plan.runs.len().max(1)) {
            scope.spawn(|| {
                while !failed() {
                    let Some(job) = lock(&next).next() else {
                        return;
                    };
                    let run = PlannedRunContext { plan, options, job };
                    let result = if stop.load(Ordering::Relaxed) {
                        Err(TrainRunsError::Stopped)
                    } else {
                        run.run_to_end(listener, stop)
                    };
                    let (finished, error) = &mut *lock(&shared);
                    let recorded = result.and_then(|run| finished(job, &run));
                    if let Err(failure) = recorded {
                        error.get_or_insert(failure);
                    }
                }
            });
        }
    });
    match shared
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .1
    {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Locks, ignoring poisoning: the data is valid after every statement.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A planned run with its plan.
struct PlannedRunContext<'a> {
    plan: &'a RunPlan,
    options: &'a TrainRunsOptions,
    job: &'a PlannedRun,
}

impl PlannedRunContext<'_> {
    /// Trains and evaluates the run, as far as it is not done.
    fn run_to_end(
        &self,
        listener: &dyn ProgressListener,
        stop: &AtomicBool,
    ) -> Result<RunDir, TrainRunsError> {
        let (job, path) = (self.job, self.path());
        if !self.is_trained()? {
            listener.run_started(job);
            self.train(listener, stop)?;
        }
        let run = RunDir::open(&path)?;
        // Training evaluates the run, unless it was done with another number of episodes.
        if !is_evaluated(&run, self.plan.episodes)? {
            if stop.load(Ordering::Relaxed) {
                return Err(TrainRunsError::Stopped);
            }
            listener.run_evaluating(job);
            let (episodes, threads) = (self.plan.episodes, self.options.threads);
            evaluate_run(&run, episodes, threads, &mut |_| {}).map_err(|source| {
                let source = Box::new(source);
                TrainRunsError::Evaluation {
                    arm: job.arm.clone(),
                    seed: job.seed,
                    source,
                }
            })?;
        }
        listener.run_finished(job, &run);
        Ok(run)
    }

    /// The folder of the run.
    fn path(&self) -> PathBuf {
        self.job.folder_in(&self.options.folder)
    }

    /// Whether training has ended for good.
    fn is_trained(&self) -> Result<bool, TrainRunsError> {
        match RunDir::open(&self.path()) {
            Ok(run) => Ok(run.info()?.is_over()),
            Err(RunError::NotARun { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Runs the child process that trains, and forwards its progress. After `stop` is set the
    /// child's output is closed, upon which it saves and ends.
    fn train(
        &self,
        listener: &dyn ProgressListener,
        stop: &AtomicBool,
    ) -> Result<(), TrainRunsError> {
        let start_error = |source| TrainRunsError::Start {
            program: self.options.program.clone(),
            source,
        };
        let mut child = self.command().spawn().map_err(start_error)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let (output, status) = thread::scope(|scope| {
            let output = scope.spawn(|| stderr.map_or(String::new(), last_lines));
            scope.spawn(|| {
                for line in stdout.into_iter().flat_map(lines) {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Ok(ChildLine { progress }) = serde_json::from_str(&line) {
                        listener.run_progressed(self.job, &progress);
                    }
                }
            });
            let status = self.wait(&mut child, stop);
            (output.join().unwrap_or_default(), status)
        });
        let status = status.map_err(start_error)?;
        match RunDir::open(&self.path()).and_then(|run| run.info()) {
            Ok(info) if info.is_over() => Ok(()),
            Ok(info) if info.status == RunStatus::Stopped => Err(TrainRunsError::Stopped),
            _ if stop.load(Ordering::Relaxed) => Err(TrainRunsError::Stopped),
            _ => Err(TrainRunsError::Child {
                arm: self.job.arm.clone(),
                seed: self.job.seed,
                status: status.to_string(),
                output,
                killed: status.code().is_none(),
            }),
        }
    }

    /// Waits for the child process. After `stop` is set it is killed if it has saved all training
    /// and only evaluates.
    fn wait(&self, child: &mut Child, stop: &AtomicBool) -> io::Result<ExitStatus> {
        loop {
            if let Some(status) = child.try_wait()? {
                return Ok(status);
            }
            if stop.load(Ordering::Relaxed) && self.is_trained().unwrap_or(false) {
                child.kill()?;
                return child.wait();
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// `evenkeel train …`, or `evenkeel train --resume RUN`.
    fn command(&self) -> Command {
        let (plan, path) = (self.plan, self.path());
        let mut command = Command::new(&self.options.program);
        command.arg("train");
        if RunDir::open(&path).is_ok() {
            command.arg(option("--resume", &path));
        } else {
            command.arg(&plan.scenario).arg(option("--out", &path));
            command.args(["--arm", &self.job.arm, "--seed", &self.job.seed.to_string()]);
            command.arg(option("--arm-file", &self.options.arm_file));
            if let Some(steps) = plan.steps {
                command.args(["--steps", &steps.to_string()]);
            }
            for change in plan.set.iter().chain(&self.job.set) {
                command.args(["--set", change]);
            }
            for rule in &self.job.stop_below {
                command.args(["--stop-below", &rule.to_string()]);
            }
        }
        command.args(["--episodes", &plan.episodes.to_string()]);
        command.args([
            "--threads",
            &self.options.threads.to_string(),
            "--progress",
            "json",
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

/// A flag with its path as one argument, so that a path can begin with a hyphen.
fn option(flag: &str, path: &Path) -> OsString {
    let mut argument = OsString::from(flag);
    argument.push("=");
    argument.push(path);
    argument
}

/// The last lines of a stream.
fn last_lines(stream: impl Read) -> String {
    const MAX_LINES: usize = 12;
    let mut kept = VecDeque::new();
    for line in lines(stream) {
        kept.push_back(line);
        if kept.len() > MAX_LINES {
            kept.pop_front();
        }
    }
    Vec::from(kept).join("\n")
}

/// The lines of a stream until it ends or fails. Invalid UTF-8 is replaced.
fn lines(stream: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(stream)
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).into_owned())
}
