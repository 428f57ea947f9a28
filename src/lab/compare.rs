//! Runs the arms of a comparison: every arm with every seed, in child processes of this program,
//! several at once. What is finished is kept, what was interrupted is gone on with.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{FinishError, finish_run};
use crate::runs::{ComparedRun, Comparison, RunDir, RunError, list};
use crate::telemetry::Event;

/// One run of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Job {
    /// Its place in the comparison, from 0.
    pub index: usize,
    /// Arm name.
    pub arm: String,
    /// Root seed.
    pub seed: u64,
}

/// Hears how the runs get on, from several threads.
pub trait Watcher: Sync {
    /// A run begins, or goes on.
    fn began(&self, job: &Job);
    /// A run says something.
    fn said(&self, job: &Job, event: &Event);
    /// A run is trained and is now being evaluated.
    fn evaluating(&self, job: &Job);
    /// A run is done.
    fn ended(&self, job: &Job, run: &RunDir);
}

/// How to run a comparison.
#[derive(Clone, Debug)]
pub struct CompareOptions {
    /// This program.
    pub program: PathBuf,
    /// The comparison's folder.
    pub folder: PathBuf,
    /// A file of arms, if not all are built in.
    pub arm_file: Option<PathBuf>,
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
    Finish {
        /// Arm name.
        arm: String,
        /// Root seed.
        seed: u64,
        /// Why.
        source: FinishError,
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
    #[error("{arm}, seed {seed}: training ended early ({status})\n{said}")]
    Child {
        /// Arm name.
        arm: String,
        /// Root seed.
        seed: u64,
        /// Exit status.
        status: String,
        /// The last lines that it wrote.
        said: String,
    },
    /// The comparison was asked to stop.
    #[error("stopped")]
    Stopped,
}

/// Runs what is not finished yet and completes `manifest`, which is written as it grows. `stop`
/// ends it between two runs; the runs under way hear of a Ctrl-C themselves.
pub fn compare(
    manifest: &mut Comparison,
    options: &CompareOptions,
    watcher: &dyn Watcher,
    stop: &AtomicBool,
) -> Result<(), CompareError> {
    manifest.write(&options.folder)?;
    let jobs = jobs(manifest);
    let next = Mutex::new(jobs.iter());
    let asked = manifest.clone();
    let shared = Mutex::new((manifest, None::<CompareError>));
    let failed = || shared.lock().expect("no thread panics here").1.is_some();
    thread::scope(|scope| {
        for _ in 0..options.jobs.clamp(1, jobs.len().max(1)) {
            scope.spawn(|| {
                while !failed() {
                    let Some(job) = next.lock().expect("no thread panics here").next() else {
                        return;
                    };
                    let result = if stop.load(Ordering::Relaxed) {
                        Err(CompareError::Stopped)
                    } else {
                        Order {
                            asked: &asked,
                            options,
                            job,
                        }
                        .carry_out(watcher)
                    };
                    let (manifest, error) = &mut *shared.lock().expect("no thread panics here");
                    let noted = result.and_then(|run| note(manifest, options, job, &run));
                    if let Err(failure) = noted {
                        error.get_or_insert(failure);
                    }
                }
            });
        }
    });
    match shared.into_inner().expect("no thread panics here").1 {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Seeds outermost: after each round of arms there is something to compare.
fn jobs(manifest: &Comparison) -> Vec<Job> {
    let pairs = manifest
        .seeds
        .iter()
        .flat_map(|&seed| manifest.arms.iter().map(move |arm| (arm, seed)));
    pairs
        .enumerate()
        .map(|(index, (arm, seed))| Job {
            index,
            arm: arm.clone(),
            seed,
        })
        .collect()
}

/// Notes a finished run in the manifest.
fn note(
    manifest: &mut Comparison,
    options: &CompareOptions,
    job: &Job,
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
    manifest.runs.push(ComparedRun {
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
struct Order<'a> {
    asked: &'a Comparison,
    options: &'a CompareOptions,
    job: &'a Job,
}

impl Order<'_> {
    fn carry_out(&self, watcher: &dyn Watcher) -> Result<RunDir, CompareError> {
        let job = self.job;
        let found = self.find()?;
        let trained = match found {
            Some(run) if run.info()?.status.is_over() => run,
            begun => {
                watcher.began(job);
                self.train(begun.as_ref(), watcher)?
            }
        };
        watcher.evaluating(job);
        finish_run(&trained, self.asked.episodes, self.options.threads).map_err(|source| {
            CompareError::Finish {
                arm: job.arm.clone(),
                seed: job.seed,
                source,
            }
        })?;
        watcher.ended(job, &trained);
        Ok(trained)
    }

    /// The newest run of this arm and seed in the comparison's folder that is worth going on
    /// with.
    fn find(&self) -> Result<Option<RunDir>, CompareError> {
        for run in list(&self.options.folder)?.into_iter().rev() {
            let info = run.info()?;
            let ours = info.arm == self.job.arm && info.seed == self.job.seed;
            if ours && (info.status.is_over() || run.checkpoint("last")?.is_some()) {
                return Ok(Some(run));
            }
        }
        Ok(None)
    }

    fn train(&self, begun: Option<&RunDir>, watcher: &dyn Watcher) -> Result<RunDir, CompareError> {
        let start = |source| CompareError::Start {
            program: self.options.program.clone(),
            source,
        };
        let mut child = self.command(begun).spawn().map_err(start)?;
        let said = listen(&mut child, |event| watcher.said(self.job, event)).map_err(start)?;
        let status = child.wait().map_err(start)?;
        match self.find()? {
            Some(run) if run.info()?.status.is_over() => Ok(run),
            _ => Err(CompareError::Child {
                arm: self.job.arm.clone(),
                seed: self.job.seed,
                status: status.to_string(),
                said,
            }),
        }
    }

    /// `evenkeel train …`, or `evenkeel train --resume RUN`.
    fn command(&self, begun: Option<&RunDir>) -> Command {
        let mut command = Command::new(&self.options.program);
        command.arg("train");
        if let Some(run) = begun {
            command.arg("--resume").arg(run.path());
        } else {
            command
                .arg(&self.asked.scenario)
                .arg("--out")
                .arg(&self.options.folder);
            command.args(["--arm", &self.job.arm, "--seed", &self.job.seed.to_string()]);
            if let Some(file) = &self.options.arm_file {
                command.arg("--arm-file").arg(file);
            }
            if let Some(steps) = self.asked.steps {
                command.args(["--steps", &steps.to_string()]);
            }
            for change in &self.asked.set {
                command.args(["--set", change]);
            }
        }
        command.args(["--episodes", &self.asked.episodes.to_string()]);
        command.args([
            "--threads",
            &self.options.threads.to_string(),
            "--progress",
            "json",
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        command
    }
}

/// Passes on the events that a child writes on its stderr, and keeps the last of its other lines.
fn listen(child: &mut Child, mut heard: impl FnMut(&Event)) -> io::Result<String> {
    const KEPT: usize = 12;
    let Some(stderr) = child.stderr.take() else {
        return Ok(String::new());
    };
    let mut kept = VecDeque::new();
    for line in lines(stderr) {
        let line = line?;
        if let Ok(event) = serde_json::from_str::<Event>(&line) {
            heard(&event);
        } else {
            kept.push_back(line);
            if kept.len() > KEPT {
                kept.pop_front();
            }
        }
    }
    Ok(Vec::from(kept).join("\n"))
}

/// Lines of whatever bytes a child writes.
fn lines(stream: impl Read) -> impl Iterator<Item = io::Result<String>> {
    BufReader::new(stream)
        .split(b'\n')
        .map(|line| line.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// Copies a user's arm file into the comparison's folder, so that going on later reads the same.
pub fn keep_arm_file(folder: &Path, file: &Path) -> Result<PathBuf, RunError> {
    let kept = folder.join("arms.toml");
    let fail = |path: &Path, source| RunError::Io {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read(file).map_err(|error| fail(file, error))?;
    crate::runs::write_atomic(&kept, &text).map_err(|error| fail(&kept, error))?;
    Ok(kept)
}
