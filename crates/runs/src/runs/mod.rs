//! Run directories: where a run keeps what it is, what it said and what it learnt; manifests of
//! comparisons; files that are either whole or not there.
//!
//! ```text
//! runs/<scenario>__<arm>__s<seed>__<utc>/
//!     config.toml              every setting, resolved: enough to run it again
//!     run.json                 versions, command line, machine, status
//!     metrics.jsonl            the truth: one event a line
//!     events.out.tfevents.*    the same for TensorBoard
//!     checkpoints/{last,best}/
//!     recordings/              episodes that were recorded
//!     evaluation.json          the reported evaluation, once the run has ended
//!     evaluation_random.json   random actions in the same episodes, where the run diverged
//! ```

mod atomic;
mod comparison;
mod dir;
mod info;
mod policy;

pub use atomic::{persist_file, recover_dir, replace_dir, replace_file, temp_file, write_atomic};
pub use comparison::{Comparison, ComparisonRun};
pub use dir::{RunDir, RunLock, is_incident, list_runs};
pub use info::{Machine, RunInfo, RunStatus, Versions};
pub use policy::{PolicySource, resolve_policy, resolve_run};

use std::path::{Path, PathBuf};

use crate::telemetry::TelemetryError;

/// What went wrong with a run's files.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file of a run does not say what it should.
    #[error("{path}: {reason}; the file was changed or is another version's")]
    Format {
        /// Which file.
        path: PathBuf,
        /// What the parser said.
        reason: String,
    },
    /// The folder is no run.
    #[error(
        "{path} is not a run directory (it has no run.json); `evenkeel runs` lists those there are"
    )]
    NotARun {
        /// Which folder.
        path: PathBuf,
    },
    /// Another process works on the run.
    #[error("{path}: another process is working on this run; wait for it or stop it first")]
    Busy {
        /// Which run.
        path: PathBuf,
    },
    /// `@last` without any run.
    #[error(
        "@last: no run with a checkpoint under {root}; train one with `evenkeel train SCENARIO`"
    )]
    NoLast {
        /// Where was looked.
        root: PathBuf,
    },
    /// A run without checkpoints was given as a policy.
    #[error(
        "{path} has no checkpoint yet; let it train until the first one, or choose another run"
    )]
    NoCheckpoint {
        /// Which run.
        path: PathBuf,
    },
    /// A policy that is nothing known.
    #[error(
        "policy {text:?}: no such run or checkpoint; a policy is a run directory, a checkpoint \
         directory, @last, or planner:NAME such as planner:straight"
    )]
    NoPolicy {
        /// What was written.
        text: String,
    },
    /// The configuration is no scenario.
    #[error(transparent)]
    Scenario(evenkeel_sim::config::Diagnostic),
    /// A log could not be read.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
}

impl RunError {
    /// Wraps a system error with the file that it is about.
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }
}

/// Reads a JSON file.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, RunError> {
    let text = std::fs::read(path).map_err(RunError::io(path))?;
    serde_json::from_slice(&text).map_err(|error| RunError::Format {
        path: path.to_owned(),
        reason: error.to_string(),
    })
}

/// Writes a JSON file, whole or not at all.
fn write_json<T: serde::Serialize>(path: &Path, value: &T) -> Result<(), RunError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| RunError::Format {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    text.push(b'\n');
    write_atomic(path, &text).map_err(RunError::io(path))
}
