//! What `evenkeel replay` is told to look at: a recording, all those of a run, or what is behind an
//! incident.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::record::Reader;
use crate::runs::{RunDir, is_incident, list};

/// The recordings that were meant, and what is known of them.
#[cfg_attr(
    not(feature = "view"),
    allow(dead_code, reason = "the window reads all")
)]
pub(super) struct Found {
    /// At least one; those of a run with the newest policy last.
    pub(super) recordings: Vec<PathBuf>,
    /// Which of them is to be looked at first.
    pub(super) open: usize,
    /// Whether a recording was named, and no more.
    pub(super) is_one_file: bool,
    /// The run that they are of.
    pub(super) run: Option<RunDir>,
    /// Transitions that are pointed out, and the optimiser step that they are about.
    pub(super) marks: Vec<Mark>,
    pub(super) step: Option<u64>,
    /// What was simulated again is kept here until it has been looked at.
    kept: Option<tempfile::TempDir>,
}

/// A transition that is pointed out.
#[derive(serde::Serialize)]
#[cfg_attr(
    not(feature = "view"),
    allow(dead_code, reason = "the window reads all")
)]
pub(super) struct Mark {
    /// Which of the recordings it is in.
    pub(super) recording: usize,
    /// Which of its episodes, from 0, and that one's number.
    #[serde(skip)]
    pub(super) index: usize,
    pub(super) episode: u64,
    /// Number of the control step, from 1.
    pub(super) step: u32,
    /// Its share in a gradient; NaN where that is not finite.
    pub(super) share: f64,
    #[serde(skip)]
    pub(super) text: String,
}

impl Found {
    /// Whether the recordings are gone with the program.
    pub(super) fn is_passing(&self) -> bool {
        self.kept.is_some()
    }

    /// Finds what a word on the command line means.
    pub(super) fn of(what: &str) -> anyhow::Result<Self> {
        let path = Path::new(what);
        if what == "@last" {
            return Self::of_run(newest(Path::new("runs"))?);
        }
        if is_incident(path) {
            return Self::of_incident(path);
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
            marks: Vec::new(),
            step: None,
            kept: None,
        }
    }

    fn of_run(run: RunDir) -> anyhow::Result<Self> {
        let recordings = of_run(&run)?;
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
            marks: Vec::new(),
            step: None,
            kept: None,
        })
    }

    #[cfg(not(feature = "learn"))]
    fn of_incident(path: &Path) -> anyhow::Result<Self> {
        bail!(
            "{}: to look behind an incident needs a build with the feature `learn`",
            path.display()
        )
    }

    /// What is behind the last step of an incident, simulated again.
    #[cfg(feature = "learn")]
    fn of_incident(path: &Path) -> anyhow::Result<Self> {
        use anyhow::Context as _;

        use crate::env::thread_count;
        use crate::lab::format::{number, percent};
        use crate::learn::Incident;
        let incident = Incident::load(path)?;
        let behind = crate::lab::behind(&incident, None, thread_count(0))?;
        let run = run_above(path);
        let events = match &run {
            Some(run) => run.events()?,
            None => Vec::new(),
        };
        let folder = tempfile::tempdir().context("cannot make a folder for the episodes")?;
        let name = match &run {
            Some(run) => run.name(),
            None => format!("{}, {}", incident.run.scenario, incident.run.arm),
        };
        let mut recordings = Vec::new();
        for lived in &behind.lived {
            let file = folder
                .path()
                .join(format!("environment_{:04}.mcap", lived.env));
            let (scenario, seed) = (&behind.scenario, incident.state.seed);
            crate::record::record_lived(&file, scenario, seed, &name, lived, &events)?;
            recordings.push(file);
        }
        let mut marks = Vec::new();
        for one in &behind.carriers {
            let place = place(&recordings[one.lived], one.rollout_step)?;
            let Some((index, episode, step)) = place else {
                continue;
            };
            let share = if one.share.is_finite() {
                percent(one.share)
            } else {
                "not finite".to_owned()
            };
            marks.push(Mark {
                recording: one.lived,
                index,
                episode,
                step,
                share: one.share,
                text: format!(
                    "{share} of the gradient of optimiser step {}, advantage {}",
                    behind.optimiser_step,
                    number(one.advantage)
                ),
            });
        }
        Ok(Self {
            recordings,
            open: 0,
            is_one_file: false,
            run,
            marks,
            step: Some(behind.optimiser_step),
            kept: Some(folder),
        })
    }
}

/// Where a step of the iteration is that a recording is of, which is counted from 0: the index of the
/// episode, its number, and that of the step. What was lived before the iteration has no value.
#[cfg(feature = "learn")]
fn place(recording: &Path, step: usize) -> anyhow::Result<Option<(usize, u64, u32)>> {
    let mut reader = Reader::open(recording)?;
    let (mut left, mut index) = (step, 0);
    while let Some(episode) = reader.next_episode()? {
        for step in episode.steps.iter().filter(|step| !step.value.is_nan()) {
            if left == 0 {
                return Ok(Some((index, step.episode, step.step)));
            }
            left -= 1;
        }
        index += 1;
    }
    Ok(None)
}

/// The run whose folder `recordings` or `incidents` holds it.
fn run_above(path: &Path) -> Option<RunDir> {
    let path = path.canonicalize().ok()?;
    RunDir::open(path.parent()?.parent()?).ok()
}

/// The recordings of a run, that of the newest policy last.
pub(super) fn of_run(run: &RunDir) -> anyhow::Result<Vec<PathBuf>> {
    let mut dated = Vec::new();
    for path in run.recordings()? {
        let reader = Reader::open(&path)?;
        let policy = reader.about().policy.as_ref();
        dated.push((policy.map_or(0, |policy| policy.global_step), path));
    }
    dated.sort();
    Ok(dated.into_iter().map(|(_, path)| path).collect())
}

/// The newest run with a recording.
fn newest(root: &Path) -> anyhow::Result<RunDir> {
    for run in list(root)?.into_iter().rev() {
        if !run.recordings()?.is_empty() {
            return Ok(run);
        }
    }
    bail!("there is no run with a recording in {}", root.display())
}
