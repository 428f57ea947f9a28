//! The recordings that `evenkeel replay` works on: one file, those of a run, or those simulated for
//! an incident.

use std::path::{Path, PathBuf};

use anyhow::bail;

use evenkeel::lab::MarkedTransition;
use evenkeel::recording::{RecordError, recordings_by_step};
use evenkeel::runs::{RUNS_FOLDER, RunDir, newest_run_with};
use evenkeel::telemetry::UpdateReport;
use evenkeel::telemetry::format::shell_path;

/// Recordings to replay, with their run and their incident.
#[cfg_attr(
    not(feature = "view"),
    allow(dead_code, reason = "only the window reads all fields")
)]
pub(super) struct ReplayTarget {
    /// At least one recording. Those of a run are in the order of their policies' training steps.
    pub(super) recordings: Vec<PathBuf>,
    /// Why some recordings of the run are left out: they cannot be read.
    pub(super) unreadable: Vec<RecordError>,
    /// Index of the recording to show first.
    pub(super) open: usize,
    /// Whether the user named a single recording file.
    pub(super) is_one_file: bool,
    /// The run that the recordings belong to.
    pub(super) run: Option<RunDir>,
    /// The incident that the recordings were simulated for.
    pub(super) incident: Option<IncidentReplay>,
}

/// The optimiser steps and marked transitions of an incident.
#[cfg_attr(
    not(feature = "learn"),
    allow(dead_code, reason = "only builds with `learn` replay incidents")
)]
pub(super) struct IncidentReplay {
    /// Number of the optimiser step to show first.
    pub(super) step: u64,
    /// Logged reports of all optimiser steps that the incident holds, in order.
    pub(super) steps: Vec<UpdateReport>,
    /// Transitions that contributed most to a gradient, the largest of each optimiser step first.
    pub(super) marks: Vec<MarkedTransition>,
    /// Temporary folder with the recordings. They are deleted when it is dropped.
    pub(super) _folder: tempfile::TempDir,
}

/// Selects optimiser steps of an incident.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(
    not(feature = "learn"),
    allow(dead_code, reason = "only builds with `learn` replay incidents")
)]
pub(super) struct StepSelection {
    /// Number of the first step to show; `None` is the last step of the incident.
    pub(super) first: Option<u64>,
    /// Whether all other steps are simulated too.
    pub(super) all: bool,
}

impl ReplayTarget {
    /// Transitions of the incident that contributed most to a gradient.
    pub(super) fn marks(&self) -> &[MarkedTransition] {
        let incident = self.incident.as_ref();
        incident.map_or(&[], |incident| &incident.marks)
    }

    /// Numbers of the optimiser steps that the incident holds.
    pub(super) fn optimiser_steps(&self) -> Vec<u64> {
        let steps = self.incident.iter().flat_map(|incident| &incident.steps);
        steps.map(|step| step.optimiser_step).collect()
    }

    /// Finds the recordings of a run, or a single recording. `what` is a path, or `@last` for the
    /// newest run with recordings.
    pub(super) fn of_recordings(what: &str) -> anyhow::Result<Self> {
        let path = Path::new(what);
        if what == "@last" {
            let has_recordings = |run: &RunDir| Ok(!run.recordings()?.is_empty());
            return Self::of_run(newest_run_with(
                Path::new(RUNS_FOLDER),
                "a recording",
                has_recordings,
            )?);
        }
        if path.is_dir() {
            return match RunDir::open(path) {
                Ok(run) => Self::of_run(run),
                Err(_) => bail!(
                    "{what} is neither a recording nor a run nor an incident; a run's recordings \
                     are in its folder `recordings`"
                ),
            };
        }
        Ok(Self::of_file(path))
    }

    fn of_file(path: &Path) -> Self {
        Self {
            recordings: vec![path.to_owned()],
            unreadable: Vec::new(),
            open: 0,
            is_one_file: true,
            run: RunDir::containing(path),
            incident: None,
        }
    }

    fn of_run(run: RunDir) -> anyhow::Result<Self> {
        let (recordings, mut unreadable) = recordings_by_step(&run)?;
        if recordings.is_empty() && !unreadable.is_empty() {
            return Err(unreadable.swap_remove(0).into());
        }
        if recordings.is_empty() {
            bail!(
                "{}: this run has no recordings; `evenkeel train --record-every N` records \
                 training, `evenkeel record {}` records held-out episodes",
                run.path().display(),
                shell_path(run.path())
            );
        }
        Ok(Self {
            open: recordings.len() - 1,
            is_one_file: false,
            recordings,
            unreadable,
            run: Some(run),
            incident: None,
        })
    }
}
