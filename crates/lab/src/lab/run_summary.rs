//! A run and its result in a few figures, for lists of runs.

use std::path::PathBuf;

use serde::ser::Error as _;
use serde::{Serialize, Serializer};

use super::final_success;
use evenkeel_runs::runs::{RunDir, RunError, RunInfo, RunStatus};

/// A run and its result, as `evenkeel runs` lists it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunSummary {
    /// The run's folder.
    #[serde(serialize_with = "evenkeel_runs::json::serialize_path")]
    pub path: PathBuf,
    /// Name of the status: that of [`RunStatus`], or `interrupted` for a run that no process is
    /// training and that did not save its status.
    pub status: &'static str,
    /// Success rate of the best checkpoint over the held-out episodes of the final evaluation; 0 for
    /// a diverged run.
    pub success: Option<f64>,
    /// Success rate of the last checkpoint over the same episodes.
    pub last_success: Option<f64>,
    /// Identity and progress. In JSON without its status, in whose place `status` is.
    #[serde(flatten, serialize_with = "without_status")]
    pub info: RunInfo,
}

fn without_status<S: Serializer>(info: &RunInfo, serializer: S) -> Result<S::Ok, S::Error> {
    let mut value = serde_json::to_value(info).map_err(S::Error::custom)?;
    if let Some(keys) = value.as_object_mut() {
        keys.shift_remove("status");
    }
    value.serialize(serializer)
}

impl RunSummary {
    /// Reads the summary of a run. The log is not read.
    ///
    /// # Errors
    /// If a file of the run cannot be read.
    pub fn read(run: &RunDir) -> Result<Self, RunError> {
        let info = run.info()?;
        let status = match info.status {
            RunStatus::Running if !run.is_live() => "interrupted",
            status => status.name(),
        };
        let diverged = info.status == RunStatus::Diverged;
        let success = final_success(diverged, run.evaluation()?.as_ref());
        let last_success = final_success(diverged, run.last_evaluation()?.as_ref());
        Ok(Self {
            path: run.path().to_owned(),
            status,
            success,
            last_success,
            info,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_one_status() {
        let folder = tempfile::tempdir().unwrap();
        let info = RunInfo::begin("open_field", "clipped", 1, 100, None);
        let run = RunDir::create_at(&folder.path().join("run"), "", &info).unwrap();
        let text = serde_json::to_string(&RunSummary::read(&run).unwrap()).unwrap();
        assert_eq!(text.matches("\"status\"").count(), 1, "{text}");
        assert!(text.contains("\"status\":\"interrupted\""), "{text}");
    }
}
