//! Runs the arms of a comparison: every arm with every seed, in child processes of this program,
//! several at once. What is finished is kept, what was interrupted is gone on with.

use std::collections::VecDeque;
use std::io::{self, BufRead as _, BufReader, Read};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use serde::Deserialize;

use super::final_evaluation::is_evaluated;
use super::{FinalEvaluationError, evaluate_run};
use evenkeel_runs::runs::{Comparison, ComparisonRun, RunDir, RunError, RunStatus};

/// One run of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedRun {
    /// Its place in the comparison, from 0.
    pub index: usize,
    /// Arm name.
    pub arm: String,
    /// Root seed.
    pub seed: u64,
}

/// How far a run is: what `evenkeel train --progress json` says after each iteration.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct ChildProgress {
    /// Environment steps gathered.
    pub step: u64,
    /// Environment steps in all.
    pub total: u64,
    /// Success in training over the last rollout.
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

/// Hears how the runs get on, from several threads.
pub trait ProgressListener: Sync {
    /// A run begins, or goes on.
    fn run_started(&self, job: &PlannedRun);
    /// A run has come further.
    fn run_progressed(&self, job: &PlannedRun, progress: &ChildProgress);
    /// A run is trained and is now being evaluated.
    fn run_evaluating(&self, job: &PlannedRun);
    /// A run is done.
    fn run_finished(&self, job: &PlannedRun, run: &RunDir);
}

/// How to run a comparison.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// This program.
    pub program: PathBuf,
    /// The comparison's folder.
    pub folder: PathBuf,
    /// A file that defines the arms.
    pub arm_file: PathBuf,
    /// Runs at once.
    pub jobs: usize,
    /// Threads of each.
    pub threads: usize,
}

/// Why a comparison ended early.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file of a run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The evaluation of a run.
    #[error("{arm}, seed {seed}: {source}")]
    Evaluation {
        /// Arm name.
        arm: String,
        /// Root seed.
        seed: u64,
        /// Why.
        source: Box<FinalEvaluationError>,
    },
    /// A child process could not be started or listened to.
    #[error("cannot run {program}: {source}")]
    Start {
        /// This program.
        program: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A child process gave up.
    #[error("{arm}, seed {seed}: training ended early ({status})\n{output}")]
    Child {
        /// Arm name.
        arm: String,
        /// Root seed.
        seed: u64,
        /// Exit status.
        status: String,
        /// The last lines that it wrote.
        output: String,
        /// Whether it was killed rather than gave up.
        killed: bool,
    },
    /// The comparison was asked to stop.
    #[error("the comparison was stopped")]
    Stopped,
}

/// Runs what is not finished yet and completes `manifest`, which is written as it grows. `stop`
/// ends it between two runs; the runs under way hear of a Ctrl-C themselves.
pub fn compare(
    manifest: &mut Comparison,
    options: &CompareOptions,
    watcher: &dyn ProgressListener,
    stop: &AtomicBool,
) -> Result<(), CompareError> {
    manifest.write(&options.folder)?;
    let jobs = jobs(manifest);
    let next = Mutex::new(jobs.iter());
    let comparison = manifest.clone();
    let shared = Mutex::new((manifest, None::<CompareError>));
    let failed = || lock(&shared).1.is_some();
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                while !failed() {
                    let Some(job) = lock(&next).next() else {
                        return;
                    };
                    let order = PlannedRunContext {
                        comparison: &comparison,
                        options,
                        job,
                    };
                    let result = if stop.load(Ordering::Relaxed) {
                        Err(CompareError::Stopped)
                    } else {
                        order.run_to_end(watcher)
                    };
                    let (manifest, error) = &mut *lock(&shared);
                    let noted =
                        result.and_then(|run| record_finished_run(manifest, options, job, &run));
                    if let Err(failure) = noted {
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

/// A thread that panicked has left nothing half-done behind its lock.
fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Seeds outermost: after each round of arms there is something to compare.
fn jobs(manifest: &Comparison) -> Vec<PlannedRun> {
    let pairs = manifest
        .seeds
        .iter()
        .flat_map(|&seed| manifest.arms.iter().map(move |arm| (arm, seed)));
    pairs
        .enumerate()
        .map(|(index, (arm, seed))| PlannedRun {
            index,
            arm: arm.clone(),
            seed,
        })
        .collect()
}

/// Notes a finished run in the manifest.
fn record_finished_run(
    manifest: &mut Comparison,
    options: &CompareOptions,
    job: &PlannedRun,
    run: &RunDir,
) -> Result<(), CompareError> {
    let path = run
        .path()
        .strip_prefix(&options.folder)
        .unwrap_or(run.path())
        .to_owned();
    manifest
        .runs
        .retain(|noted| (&noted.arm, noted.seed) != (&job.arm, job.seed));
    manifest.runs.push(ComparisonRun {
        arm: job.arm.clone(),
        seed: job.seed,
        path,
    });
    manifest
        .runs
        .sort_by(|a, b| (&a.arm, a.seed).cmp(&(&b.arm, b.seed)));
    manifest.write(&options.folder)?;
    Ok(())
}

/// All that one job needs to know.
struct PlannedRunContext<'a> {
    comparison: &'a Comparison,
    options: &'a CompareOptions,
    job: &'a PlannedRun,
}

impl PlannedRunContext<'_> {
    fn run_to_end(&self, watcher: &dyn ProgressListener) -> Result<RunDir, CompareError> {
        let (job, path) = (self.job, self.path());
        if !self.is_trained()? {
            watcher.run_started(job);
            self.train(watcher)?;
        }
        let run = RunDir::open(&path)?;
        // The run has evaluated itself, unless it was trained with another number of episodes.
        if !is_evaluated(&run, self.comparison.episodes)? {
            watcher.run_evaluating(job);
            evaluate_run(&run, self.comparison.episodes, self.options.threads).map_err(
                |source| {
                    let source = Box::new(source);
                    CompareError::Evaluation {
                        arm: job.arm.clone(),
                        seed: job.seed,
                        source,
                    }
                },
            )?;
        }
        watcher.run_finished(job, &run);
        Ok(run)
    }

    fn path(&self) -> PathBuf {
        self.options
            .folder
            .join(format!("{}__s{}", self.job.arm, self.job.seed))
    }

    fn is_trained(&self) -> Result<bool, CompareError> {
        match RunDir::open(&self.path()) {
            Ok(run) => Ok(run.info()?.status.is_over()),
            Err(RunError::NotARun { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn train(&self, watcher: &dyn ProgressListener) -> Result<(), CompareError> {
        let start = |source| CompareError::Start {
            program: self.options.program.clone(),
            source,
        };
        let mut child = self.command().spawn().map_err(start)?;
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let output = thread::scope(|scope| {
            let output = scope.spawn(|| stderr.map_or(String::new(), last_lines));
            for line in stdout.into_iter().flat_map(lines) {
                if let Ok(ChildLine { progress }) = serde_json::from_str(&line) {
                    watcher.run_progressed(self.job, &progress);
                }
            }
            output.join().unwrap_or_default()
        });
        let status = child.wait().map_err(start)?;
        match RunDir::open(&self.path())
            .and_then(|run| run.info())
            .map(|info| info.status)
        {
            Ok(status) if status.is_over() => Ok(()),
            Ok(RunStatus::Stopped) => Err(CompareError::Stopped),
            _ => Err(CompareError::Child {
                arm: self.job.arm.clone(),
                seed: self.job.seed,
                status: status.to_string(),
                output,
                killed: status.code().is_none(),
            }),
        }
    }

    /// `evenkeel train …`, or `evenkeel train --resume RUN`.
    fn command(&self) -> Command {
        let (comparison, path) = (self.comparison, self.path());
        let mut command = Command::new(&self.options.program);
        command.arg("train");
        if RunDir::open(&path).is_ok() {
            command.arg("--resume").arg(path);
        } else {
            command.arg(&comparison.scenario).arg("--out").arg(path);
            command.args(["--arm", &self.job.arm, "--seed", &self.job.seed.to_string()]);
            command.arg("--arm-file").arg(&self.options.arm_file);
            if let Some(steps) = comparison.steps {
                command.args(["--steps", &steps.to_string()]);
            }
            for change in &comparison.set {
                command.args(["--set", change]);
            }
        }
        command.args(["--episodes", &comparison.episodes.to_string()]);
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

/// The last of the lines that a child writes for people.
fn last_lines(stream: impl Read) -> String {
    const KEPT: usize = 12;
    let mut kept = VecDeque::new();
    for line in lines(stream) {
        kept.push_back(line);
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
    Vec::from(kept).join("\n")
}

/// Lines of whatever bytes a child writes, until it closes the pipe.
fn lines(stream: impl Read) -> impl Iterator<Item = String> {
    BufReader::new(stream)
        .split(b'\n')
        .map_while(Result::ok)
        .map(|line| String::from_utf8_lossy(&line).into_owned())
}
