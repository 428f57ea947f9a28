//! The final evaluations in a run directory.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::RunDir;
use crate::eval::EvalReport;
use crate::runs::{RunError, read_json, write_atomic, write_json};
use crate::telemetry::EvalSummary;

impl RunDir {
    /// `evaluation.json`.
    pub fn evaluation_path(&self) -> PathBuf {
        self.path.join("evaluation.json")
    }

    /// `evaluation_last.json`.
    pub fn last_evaluation_path(&self) -> PathBuf {
        self.path.join("evaluation_last.json")
    }

    /// `evaluation_random.json`.
    pub fn random_evaluation_path(&self) -> PathBuf {
        self.path.join("evaluation_random.json")
    }

    /// Reads `evaluation.json`, the evaluation of the best checkpoint; `None` if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be read or has another format.
    pub fn evaluation(&self) -> Result<Option<EvalReport>, RunError> {
        read_if_exists(&self.evaluation_path())
    }

    /// Writes `evaluation.json`, in compact form because of the long traces.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_evaluation(&self, report: &EvalReport) -> Result<(), RunError> {
        write_compact(&self.evaluation_path(), report)
    }

    /// Reads `evaluation_last.json`, the evaluation of the last checkpoint in the same episodes;
    /// `None` if it does not exist.
    ///
    /// # Errors
    /// If the file cannot be read or has another format.
    pub fn last_evaluation(&self) -> Result<Option<EvalReport>, RunError> {
        read_if_exists(&self.last_evaluation_path())
    }

    /// Writes `evaluation_last.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_last_evaluation(&self, report: &EvalReport) -> Result<(), RunError> {
        write_compact(&self.last_evaluation_path(), report)
    }

    /// Reads `evaluation_random.json`: the results of random actions in the episodes of the final
    /// evaluation. It exists for diverged runs, whose return counts as that of random actions.
    ///
    /// # Errors
    /// If the file cannot be read or has another format.
    pub fn random_evaluation(&self) -> Result<Option<EvalSummary>, RunError> {
        read_if_exists(&self.random_evaluation_path())
    }

    /// Writes `evaluation_random.json`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_random_evaluation(&self, summary: &EvalSummary) -> Result<(), RunError> {
        write_json(&self.random_evaluation_path(), summary)
    }
}

/// Writes an evaluation as one line of JSON.
fn write_compact(path: &Path, report: &EvalReport) -> Result<(), RunError> {
    let text = serde_json::to_vec(report).map_err(|error| RunError::Format {
        path: path.to_owned(),
        reason: error.to_string(),
    })?;
    write_atomic(path, &text).map_err(RunError::io(path))
}

/// Reads a JSON file; `None` if it does not exist.
fn read_if_exists<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RunError> {
    if path.exists() {
        read_json(path).map(Some)
    } else {
        Ok(None)
    }
}
