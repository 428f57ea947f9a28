//! The `incidents` of a run: as many, and as large in all, as the settings allow.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::{Incident, TENSORS, read_severity};
use crate::learn::FlightRecorderConfig;
use evenkeel_runs::runs::RunInfo;
use evenkeel_runs::telemetry::{IncidentReport, Severity};

/// Where a run's incidents go.
#[derive(Clone, Debug)]
pub struct IncidentFolder {
    /// The folder; it is made when the first is kept.
    pub path: PathBuf,
    /// What the run is.
    pub run: RunInfo,
    /// Its scenario with every setting, as TOML.
    pub config: String,
}

/// An incident that is there.
struct StoredIncident {
    path: PathBuf,
    severity: Severity,
    bytes: u64,
    steps: usize,
}

impl IncidentFolder {
    /// Writes an incident below it, `step_000123`, all or nothing. Where there is no room, a
    /// critical one takes the place of warnings, the oldest first; else it is left out. One that
    /// does not fit is shortened to the steps of its own iteration.
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
            symptoms: incident.symptoms.iter().map(|seen| seen.symptom).collect(),
            folder: None,
        };
        let path = self.path.join(&name);
        let mut kept = stored_incidents(&self.path)?;
        // A resumed run comes by the same steps once more, and may know fewer of them.
        let known = kept.iter().find(|other| other.path == path);
        if known.is_some_and(|known| known.steps > incident.steps.len()) {
            report.folder = Some(name);
            return Ok(report);
        }
        kept.retain(|other| other.path != path);
        let room = u64::from(limits.max_megabytes) * 1_000_000;
        let mut tensors = incident.tensors();
        if tensors.size() > room {
            incident.keep_last_iteration();
            tensors = incident.tensors();
        }
        if tensors.size() > room {
            return Ok(report);
        }
        let fits = |kept: &[StoredIncident]| {
            let bytes: u64 = kept.iter().map(|other| other.bytes).sum();
            kept.len() < limits.max_incidents as usize && bytes + tensors.size() <= room
        };
        let critical = incident.severity() == Severity::Critical;
        while !fits(&kept) {
            let warning = kept
                .iter()
                .position(|other| other.severity < Severity::Critical);
            let Some(warning) = warning.filter(|_| critical) else {
                return Ok(report);
            };
            fs::remove_dir_all(kept.remove(warning).path)?;
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
        // One that cannot be read is no loss.
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
