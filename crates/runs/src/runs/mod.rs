//! Run directories, manifests of comparisons, and atomic replacement of files.
//!
//! ```text
//! runs/<scenario>__<arm>__s<seed>__<utc>/
//!     config.toml              all settings, resolved: sufficient to repeat the run
//!     start.safetensors        the policy that the run started from, if it did
//!     run.json                 versions, command line, machine, status
//!     metrics.jsonl            the log: one event per line
//!     events.out.tfevents.*    the same for TensorBoard
//!     checkpoints/{last,best}/
//!     incidents/               optimiser steps saved by the flight recorder
//!     recordings/              recorded episodes
//!     evaluation.json          the final evaluation of the best checkpoint, once the run has ended
//!     evaluation_last.json     the last checkpoint in the same episodes
//!     evaluation_random.json   random actions in the same episodes, if the run diverged
//! ```

mod atomic;
mod comparison;
mod dir;
mod info;
mod list;
mod lock;
mod policy;

pub use atomic::{
    WriteError, create_folder, create_new_dir, is_same_file, persist_file, recover_dir,
    replace_dir, replace_file, temp_file, write_atomic, write_file,
};
pub use comparison::{Comparison, ComparisonRun, create_dated_folder};
pub use dir::{RunDir, RunFiles, is_incident, is_run_file};
pub use info::{Machine, PolicyOrigin, RunInfo, RunStatus, StopRule, Versions};
pub use list::{
    list_runs, list_started_runs, newest_comparison, newest_run_or_comparison, newest_run_with,
};
pub use lock::FolderLock;
pub use policy::{
    LAST, PolicySource, checkpoint_reference, resolve_last_checkpoint, resolve_policy, resolve_run,
};

use std::path::{Path, PathBuf};

use crate::telemetry::TelemetryError;

/// The usual folder of runs, relative to the current folder.
pub const RUNS_FOLDER: &str = "runs";

/// Error of reading or writing the files of a run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system cannot read or write a file or folder.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file has an unexpected format.
    #[error("{path}: {reason}; the file was edited or written by another version")]
    Format {
        /// The file.
        path: PathBuf,
        /// The parser's error.
        reason: String,
    },
    /// The folder is not a run directory.
    #[error("{path} is not a run directory (it has no run.json); `evenkeel runs` lists all runs")]
    NotARun {
        /// The folder.
        path: PathBuf,
    },
    /// Another process has locked the folder.
    #[error("{path}: another process is working on this {what}; wait for it or stop it first")]
    Busy {
        /// The folder.
        path: PathBuf,
        /// What the folder holds: `run` or `comparison`.
        what: &'static str,
    },
    /// `@last` was given, and there is no run with a checkpoint.
    #[error(
        "@last: no run with a checkpoint under {root}, apart from those of comparisons; train one \
         with `evenkeel train SCENARIO`"
    )]
    NoLast {
        /// The searched folder.
        root: PathBuf,
    },
    /// `@last` was given where a comparison is expected, and there is none.
    #[error(
        "@last: no comparison under {root} has a run; start one with `evenkeel compare SCENARIO`"
    )]
    NoComparison {
        /// The searched folder.
        root: PathBuf,
    },
    /// No run in a folder, apart from those of comparisons, has what is looked for.
    #[error("no run in {root} has {what}")]
    NoRunWith {
        /// The searched folder.
        root: PathBuf,
        /// What is looked for, as in `a recording`.
        what: &'static str,
    },
    /// A run without a checkpoint was given as a policy.
    #[error("{path} has no checkpoint{state}")]
    NoCheckpoint {
        /// The run directory.
        path: PathBuf,
        /// Why, and what to do.
        state: String,
    },
    /// The given policy does not exist.
    #[error(
        "policy {text:?}: no such run or checkpoint; a policy is a run directory, a checkpoint \
         directory, @last, or planner:NAME such as planner:straight"
    )]
    NoPolicy {
        /// The argument as given.
        text: String,
    },
    /// The run's configuration is not a valid scenario.
    #[error(transparent)]
    Scenario(evenkeel_sim::config::Diagnostic),
    /// The log cannot be read.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

impl RunError {
    /// Returns a function that adds the path to a system error.
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Reads a JSON file.
///
/// # Errors
/// If it cannot be read, or is not such a value.
pub fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = std::fs::read(path).map_err(RunError::io(path))?;
    serde_json::from_slice(&text).map_err(|error| RunError::Format {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Writes a JSON file atomically.
///
/// # Errors
/// If it cannot be written.
pub fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| RunError::Format {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    text.push(b'\n');
    write_atomic(path, &text).map_err(RunError::io(path))
}
