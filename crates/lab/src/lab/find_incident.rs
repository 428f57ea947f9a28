//! Finding the incident that an argument names.

use std::path::{Path, PathBuf};

use evenkeel_learn::learn::incident_severity;
use evenkeel_runs::runs::{RunDir, RunError, is_incident, newest_run_with};

/// Why there is no incident to find.
#[derive(Debug, thiserror::Error)]
pub enum FindIncidentError {
    /// The path is no incident, and no run either.
    #[error("{text} is neither an incident nor a run")]
    NotARun {
        /// The path.
        text: String,
        /// Why it is no run.
        source: Box<RunError>,
    },
    /// The run has no incident that can be read.
    #[error("{path}: this run has no incident: no detector fired, or the flight recorder was off")]
    NoIncident {
        /// The run's folder.
        path: PathBuf,
    },
    /// A folder of runs cannot be read, or none of its runs has an incident.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Returns the incident's folder that `text` names: an incident's folder, a run's folder, or `@last`
/// for the newest run with an incident in the folder `runs`. For a run this is its worst incident;
/// among equally severe ones, the last.
///
/// # Errors
/// If there is no such incident.
pub fn find_incident(text: &str, runs: &Path) -> Result<PathBuf, FindIncidentError> {
    let path = Path::new(text);
    if is_incident(path) {
        return Ok(path.to_owned());
    }
    let run = match text {
        // A run may diverge before its first checkpoint, so no checkpoint is required.
        "@last" => newest_run_with(runs, "an incident", |run| Ok(!run.incidents()?.is_empty()))?,
        _ => RunDir::open(path).map_err(|source| FindIncidentError::NotARun {
            text: text.to_owned(),
            source: Box::new(source),
        })?,
    };
    let paths = run.incidents()?;
    let severities = paths
        .into_iter()
        .filter_map(|path| Some((incident_severity(&path)?, path)));
    let worst = severities.max_by_key(|(severity, _)| *severity);
    let (_, worst) = worst.ok_or_else(|| FindIncidentError::NoIncident {
        path: run.path().to_owned(),
    })?;
    Ok(worst)
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_runs::runs::RunInfo;

    #[test]
    fn what_has_no_incident_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let find = |text: &str| find_incident(text, root.path()).unwrap_err().to_string();
        assert_eq!(find("nothing"), "nothing is neither an incident nor a run");
        assert!(find("@last").ends_with(" has an incident"));
        let info = RunInfo::begin("reference", "raw", 1, 10, None);
        let run = RunDir::create(root.path(), "", &info).unwrap();
        assert!(find(&run.path().display().to_string()).contains("this run has no incident"));
    }
}
