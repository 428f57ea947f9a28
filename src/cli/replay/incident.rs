//! Simulates the episodes behind an incident again.

use std::path::Path;

use anyhow::Context as _;

use super::target::{IncidentReplay, ReplayTarget, StepSelection};
use evenkeel::lab::record_incident;
use evenkeel::learn::Incident;
use evenkeel::runs::RunDir;

/// Records the episodes behind the selected optimiser steps of the incident at `path`, in a
/// temporary folder.
pub(super) fn replay_incident(path: &Path, steps: StepSelection) -> anyhow::Result<ReplayTarget> {
    let incident = Incident::load(path)?;
    let reports = incident.steps.iter().map(|step| step.report.clone());
    let run = RunDir::containing(path);
    let folder = tempfile::tempdir().context("cannot create a temporary folder")?;
    let StepSelection { first, all } = steps;
    let simulated = record_incident(&incident, run.as_ref(), first, all, folder.path())?;
    Ok(ReplayTarget {
        recordings: simulated.recordings,
        open: 0,
        unreadable: Vec::new(),
        is_one_file: false,
        run,
        incident: Some(IncidentReplay {
            step: simulated.step,
            steps: reports.collect(),
            marks: simulated.marks,
            _folder: folder,
        }),
    })
}
