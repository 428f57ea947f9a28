//! What is behind an incident: the episodes whose transitions carried the gradients of its optimiser
//! steps, simulated again.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::found::{Behind, Found, Mark, Steps, run_above};
use evenkeel::env::thread_count;
use evenkeel::lab;
use evenkeel::learn::Incident;
use evenkeel::record::{Reader, record_lived};
use evenkeel::runs::RunDir;
use evenkeel::telemetry::Event;
use evenkeel::telemetry::format::{number, percent};

/// Simulates it again.
pub(super) fn behind(path: &Path, steps: Steps) -> anyhow::Result<Found> {
    let incident = Incident::load(path)?;
    let kept = incident.steps.iter().map(|step| step.report.clone());
    let run = run_above(path);
    let mut shelf = Shelf::new(&incident, run.as_ref())?;
    let step = shelf.add(steps.chosen)?;
    if steps.all {
        for other in incident.steps.iter().map(|step| step.input.optimiser_step) {
            if other != step {
                shelf.add(Some(other))?;
            }
        }
    }
    Ok(Found {
        recordings: shelf.recordings,
        open: 0,
        is_one_file: false,
        run,
        incident: Some(Behind {
            step,
            steps: kept.collect(),
            marks: shelf.marks,
            _kept: shelf.folder,
        }),
    })
}

/// Recordings of what was simulated again, for as long as the folder is there.
struct Shelf<'a> {
    folder: tempfile::TempDir,
    recordings: Vec<PathBuf>,
    marks: Vec<Mark>,
    /// Iteration and environment of each recording: several steps may be of the same.
    lived: Vec<(u64, u64)>,
    incident: &'a Incident,
    name: String,
    events: Vec<Event>,
}

impl<'a> Shelf<'a> {
    fn new(incident: &'a Incident, run: Option<&RunDir>) -> anyhow::Result<Self> {
        let (name, events) = if let Some(run) = run {
            (run.name(), run.events()?)
        } else {
            let run = &incident.run;
            (format!("{}, {}", run.scenario, run.arm), Vec::new())
        };
        Ok(Self {
            folder: tempfile::tempdir().context("cannot make a folder for the episodes")?,
            recordings: Vec::new(),
            marks: Vec::new(),
            lived: Vec::new(),
            incident,
            name,
            events,
        })
    }

    /// Adds what is behind an optimiser step, the last without a number; its number comes back.
    fn add(&mut self, number_of: Option<u64>) -> anyhow::Result<u64> {
        let behind = lab::behind(self.incident, number_of, thread_count(0))?;
        let mut places = Vec::new();
        for lived in &behind.lived {
            let what = (lived.iteration, lived.env);
            let known = self.lived.iter().position(|other| *other == what);
            places.push(known.unwrap_or(self.recordings.len()));
            if known.is_none() {
                let (iteration, env) = what;
                let name = format!("iteration_{iteration:06}_environment_{env:04}.mcap");
                let file = self.folder.path().join(name);
                let (scenario, seed) = (&behind.scenario, self.incident.state.seed);
                record_lived(
                    &file,
                    scenario,
                    seed,
                    &self.name,
                    lived,
                    &self.events,
                    evenkeel::build(),
                )?;
                self.recordings.push(file);
                self.lived.push(what);
            }
        }
        for one in &behind.carriers {
            let recording = places[one.lived];
            let place = place(&self.recordings[recording], one.rollout_step)?;
            let Some((index, episode, step)) = place else {
                continue;
            };
            let share = if one.share.is_finite() {
                percent(one.share)
            } else {
                "not finite".to_owned()
            };
            let of_robot = match behind.scenario.spec.robot_count() {
                1 => String::new(),
                _ => format!("robot {}: ", one.robot),
            };
            self.marks.push(Mark {
                optimiser_step: behind.optimiser_step,
                recording,
                index,
                episode,
                robot: one.robot,
                step,
                share: one.share,
                text: format!(
                    "{of_robot}{share} of the gradient of optimiser step {}, advantage {}",
                    behind.optimiser_step,
                    number(one.advantage)
                ),
            });
        }
        Ok(behind.optimiser_step)
    }
}

/// Where a step of the iteration is that a recording is of, which is counted from 0: the index of the
/// episode, its number, and that of the step. What was lived before the iteration has no value.
fn place(recording: &Path, step: usize) -> anyhow::Result<Option<(usize, u64, u32)>> {
    let mut reader = Reader::open(recording)?;
    let (mut left, mut index) = (step, 0);
    while let Some(episode) = reader.next_episode()? {
        for at in 0..episode.length() {
            let of_it = episode.step(at).iter().any(|step| !step.value.is_nan());
            if of_it && left == 0 {
                return Ok(Some((index, episode.begin.episode, at as u32 + 1)));
            }
            left -= usize::from(of_it);
        }
        index += 1;
    }
    Ok(None)
}
