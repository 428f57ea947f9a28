//! The folder `incidents` of a run, with limits on the number and the total size of incidents.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{Incident, TENSORS, read_severity};
use crate::learn::FlightRecorderConfig;
use evenkeel_runs::runs::RunInfo;
use evenkeel_runs::telemetry::{IncidentReport, Severity};

/// The folder for a run's incidents.
#[derive(Clone, Debug)]
pub struct IncidentFolder {
    /// The folder; created with the first incident.
    pub path: PathBuf,
    /// The run.
    pub run: RunInfo,
    /// Its scenario with all settings, as TOML.
    pub config: String,
}

/// An incident in the folder.
struct StoredIncident {
    path: PathBuf,
    severity: Severity,
    bytes: u64,
    steps: usize,
}

impl IncidentFolder {
    /// Writes an incident to a folder such as `step_000123`. After a crash it is either complete or
    /// not there.
    ///
    /// An incident that is larger than the limit is shortened to the steps of its own iteration. If
    /// the limits are reached, a critical incident replaces warnings, the oldest first; otherwise the
    /// incident is not stored.
    ///
    /// # Errors
    /// If the folder cannot be read or written.
    pub fn store(
        &self,
        mut incident: Incident,
        limits: FlightRecorderConfig,
    ) -> io::Result<IncidentReport> {
        let step = incident.last().input.optimiser_step;
        let name = format!("step_{step:06}");
        let mut report = IncidentReport {
            global_step: incident.last().input.global_step,
            optimiser_step: step,
            symptoms: incident
                .symptoms
                .iter()
                .map(|event| event.symptom)
                .collect(),
            folder: None,
        };
        let path = self.path.join(&name);
        let mut stored = stored_incidents(&self.path)?;
        // A resumed run repeats steps, and may have fewer of the steps before them.
        let earlier = stored.iter().find(|other| other.path == path);
        if earlier.is_some_and(|earlier| earlier.steps > incident.steps.len()) {
            report.folder = Some(name);
            return Ok(report);
        }
        stored.retain(|other| other.path != path);
        let max_bytes = u64::from(limits.max_megabytes) * 1_000_000;
        let mut tensors = incident.tensors();
        if tensors.size() > max_bytes {
            incident.keep_last_iteration();
            tensors = incident.tensors();
        }
        if tensors.size() > max_bytes {
            return Ok(report);
        }
        let fits = |stored: &[StoredIncident]| {
            let bytes: u64 = stored.iter().map(|other| other.bytes).sum();
            stored.len() < limits.max_incidents as usize && bytes + tensors.size() <= max_bytes
        };
        let critical = incident.severity() == Severity::Critical;
        while !fits(&stored) {
            let warning = stored
                .iter()
                .position(|other| other.severity < Severity::Critical);
            let Some(warning) = warning.filter(|_| critical) else {
                return Ok(report);
            };
            fs::remove_dir_all(stored.remove(warning).path)?;
        }
        incident.save(&path, &tensors)?;
        report.folder = Some(name);
        Ok(report)
    }
}

/// The incidents of a folder, oldest first.
fn stored_incidents(folder: &Path) -> io::Result<Vec<StoredIncident>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let Ok(tensors) = fs::metadata(path.join(TENSORS)) else {
            continue;
        };
        // An unreadable incident counts as a warning, so that it is replaced first.
        let (severity, steps) = read_severity(&path).unwrap_or((Severity::Warning, 0));
        found.push(StoredIncident {
            severity,
            steps,
            bytes: tensors.len(),
            path,
        });
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}
