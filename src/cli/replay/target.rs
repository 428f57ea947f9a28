//! What `evenkeel replay` is told to look at: a recording, all those of a run, or what is behind an
//! incident.

use std::path::{Path, PathBuf};

use anyhow::bail;

#[cfg(feature = "learn")]
use super::incident::replay_incident;
use evenkeel::recording::RecordingReader;
use evenkeel::runs::{RunDir, is_incident, list_runs};
use evenkeel::telemetry::UpdateReport;

/// The recordings that were meant, and what is known of them.
#[cfg_attr(
    not(feature = "view"),
    allow(dead_code, reason = "the window reads all")
)]
pub(super) struct ReplayTarget {
    /// At least one; those of a run with the newest policy last.
    pub(super) recordings: Vec<PathBuf>,
    /// Which of them is to be looked at first.
    pub(super) open: usize,
    /// Whether a recording was named, and no more.
    pub(super) is_one_file: bool,
    /// The run that they are of.
    pub(super) run: Option<RunDir>,
    /// Of an incident, what else there is to know of it.
    pub(super) incident: Option<IncidentReplay>,
}

/// What is behind an incident.
#[cfg_attr(
    not(feature = "learn"),
    allow(dead_code, reason = "without learning there is no incident")
)]
pub(super) struct IncidentReplay {
    /// The optimiser step that is looked at first, or alone.
    pub(super) step: u64,
    /// All that the incident holds, in order, as they were logged.
    pub(super) steps: Vec<UpdateReport>,
    /// Transitions that are pointed out, the largest of each step first.
    pub(super) marks: Vec<MarkedTransition>,
    /// What was simulated again is kept here until it has been looked at.
    pub(super) _kept: tempfile::TempDir,
}

/// A transition that is pointed out.
#[derive(serde::Serialize)]
#[cfg_attr(
    not(all(feature = "view", feature = "learn")),
    allow(
        dead_code,
        reason = "without learning there is none, and the window reads all"
    )
)]
pub(super) struct MarkedTransition {
    /// The optimiser step whose gradient it carried.
    pub(super) optimiser_step: u64,
    /// Which of the recordings it is in.
    pub(super) recording: usize,
    /// Which of its episodes, from 0, and that one's number.
    #[serde(skip)]
    pub(super) index: usize,
    pub(super) episode: u64,
    /// Which robot's it is.
    pub(super) robot: usize,
    /// Number of the control step, from 1.
    pub(super) step: u32,
    /// Its share in a gradient; NaN where that is not finite.
    pub(super) share: f64,
    #[serde(skip)]
    pub(super) text: String,
}

/// Which optimiser steps of an incident are meant.
#[derive(Clone, Copy, Debug, Default)]
#[cfg_attr(
    not(feature = "learn"),
    allow(dead_code, reason = "without learning there is no incident")
)]
pub(super) struct StepSelection {
    /// The number of the one to begin with; the last without.
    pub(super) chosen: Option<u64>,
    /// Whether the others are to be looked at as well.
    pub(super) all: bool,
}

impl ReplayTarget {
    /// Transitions that are pointed out.
    pub(super) fn marks(&self) -> &[MarkedTransition] {
        let incident = self.incident.as_ref();
        incident.map_or(&[], |incident| &incident.marks)
    }

    /// Numbers of the optimiser steps of an incident.
    pub(super) fn optimiser_steps(&self) -> Vec<u64> {
        let steps = self.incident.iter().flat_map(|incident| &incident.steps);
        steps.map(|step| step.optimiser_step).collect()
    }

    /// Finds what a word on the command line means; of an incident, what is behind `steps`.
    pub(super) fn resolve(what: &str, steps: StepSelection) -> anyhow::Result<Self> {
        let path = Path::new(what);
        if is_incident(path) {
            return replay_incident(path, steps);
        }
        if let Some(step) = steps.chosen {
            bail!("{what} is no incident: there is no optimiser step {step} to look behind");
        }
        if what == "@last" {
            return Self::of_run(newest(Path::new("runs"))?);
        }
        if path.is_dir() {
            return match RunDir::open(path) {
                Ok(run) => Self::of_run(run),
                Err(_) => bail!(
                    "{what} is no recording, no run and no incident; those of a run are in its \
                     folder `recordings`"
                ),
            };
        }
        Ok(Self::one(path))
    }

    fn one(path: &Path) -> Self {
        Self {
            recordings: vec![path.to_owned()],
            open: 0,
            is_one_file: true,
            run: run_above(path),
            incident: None,
        }
    }

    fn of_run(run: RunDir) -> anyhow::Result<Self> {
        let recordings = recordings_of_run(&run)?;
        if recordings.is_empty() {
            bail!(
                "{0}: this run has no recordings; `evenkeel train --record-every N` makes some as \
                 it trains, `evenkeel record {0}` records held-out episodes",
                run.path().display()
            );
        }
        Ok(Self {
            open: recordings.len() - 1,
            is_one_file: false,
            recordings,
            run: Some(run),
            incident: None,
        })
    }
}

/// Refuses.
#[cfg(not(feature = "learn"))]
fn replay_incident(path: &Path, _: StepSelection) -> anyhow::Result<ReplayTarget> {
    bail!(
        "{}: to look behind an incident needs a build with the feature `learn`",
        path.display()
    )
}

/// The run whose folder `recordings` or `incidents` holds it.
pub(super) fn run_above(path: &Path) -> Option<RunDir> {
    let path = path.canonicalize().ok()?;
    RunDir::open(path.parent()?.parent()?).ok()
}

/// The recordings of a run, that of the newest policy last.
pub(super) fn recordings_of_run(run: &RunDir) -> anyhow::Result<Vec<PathBuf>> {
    let mut dated = Vec::new();
    for path in run.recordings()? {
        let reader = RecordingReader::open(&path)?;
        let policy = reader.header().policy.as_ref();
        dated.push((policy.map_or(0, |policy| policy.global_step), path));
    }
    dated.sort();
    Ok(dated.into_iter().map(|(_, path)| path).collect())
}

/// The newest run with a recording.
fn newest(root: &Path) -> anyhow::Result<RunDir> {
    for run in list_runs(root)?.into_iter().rev() {
        if !run.recordings()?.is_empty() {
            return Ok(run);
        }
    }
    bail!("there is no run with a recording in {}", root.display())
}
