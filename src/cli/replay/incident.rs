//! What is behind an incident: the episodes whose transitions carried the gradients of its optimiser
//! steps, simulated again.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::target::{IncidentReplay, MarkedTransition, ReplayTarget, StepSelection, run_above};
use evenkeel::env::thread_count;
use evenkeel::lab;
use evenkeel::learn::Incident;
use evenkeel::recording::{RecordingReader, record_trajectory};
use evenkeel::runs::RunDir;
use evenkeel::telemetry::Event;
use evenkeel::telemetry::format::{number, percent};

/// Simulates it again.
pub(super) fn replay_incident(path: &Path, steps: StepSelection) -> anyhow::Result<ReplayTarget> {
    let incident = Incident::load(path)?;
    let kept = incident.steps.iter().map(|step| step.report.clone());
    let run = run_above(path);
    let mut simulated = IncidentRecordings::new(&incident, run.as_ref())?;
    let step = simulated.add(steps.chosen)?;
    if steps.all {
        for other in incident.steps.iter().map(|step| step.input.optimiser_step) {
            if other != step {
                simulated.add(Some(other))?;
            }
        }
    }
    Ok(ReplayTarget {
        recordings: simulated.recordings,
        open: 0,
        is_one_file: false,
        run,
        incident: Some(IncidentReplay {
            step,
            steps: kept.collect(),
            marks: simulated.marks,
            _kept: simulated.folder,
        }),
    })
}

/// Recordings of what was simulated again, for as long as the folder is there.
struct IncidentRecordings<'a> {
    folder: tempfile::TempDir,
    recordings: Vec<PathBuf>,
    marks: Vec<MarkedTransition>,
    /// Iteration and environment of each recording: several steps may be of the same.
    trajectories: Vec<(u64, u64)>,
    incident: &'a Incident,
    name: String,
    events: Vec<Event>,
}

impl<'a> IncidentRecordings<'a> {
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
            trajectories: Vec::new(),
            incident,
            name,
            events,
        })
    }

    /// Adds what is behind an optimiser step, the last without a number; its number comes back.
    fn add(&mut self, number_of: Option<u64>) -> anyhow::Result<u64> {
        let gradient_sources = lab::gradient_sources(self.incident, number_of, thread_count(0))?;
        let mut places = Vec::new();
        for trajectory in &gradient_sources.trajectories {
            let what = (trajectory.iteration, trajectory.env);
            let known = self.trajectories.iter().position(|other| *other == what);
            places.push(known.unwrap_or(self.recordings.len()));
            if known.is_none() {
                let (iteration, env) = what;
                let name = format!("iteration_{iteration:06}_environment_{env:04}.mcap");
                let file = self.folder.path().join(name);
                let (scenario, seed) = (&gradient_sources.scenario, self.incident.state.seed);
                record_trajectory(
                    &file,
                    scenario,
                    seed,
                    &self.name,
                    trajectory,
                    &self.events,
                    evenkeel::build(),
                )?;
                self.recordings.push(file);
                self.trajectories.push(what);
            }
        }
        for one in &gradient_sources.transitions {
            let recording = places[one.trajectory];
            let place = place(&self.recordings[recording], one.rollout_step)?;
            let Some((index, episode, step)) = place else {
                continue;
            };
            let share = if one.share.is_finite() {
                percent(one.share)
            } else {
                "not finite".to_owned()
            };
            let of_robot = match gradient_sources.scenario.spec.robot_count() {
                1 => String::new(),
                _ => format!("robot {}: ", one.robot),
            };
            self.marks.push(MarkedTransition {
                optimiser_step: gradient_sources.optimiser_step,
                recording,
                index,
                episode,
                robot: one.robot,
                step,
                share: one.share,
                text: format!(
                    "{of_robot}{share} of the gradient of optimiser step {}, advantage {}",
                    gradient_sources.optimiser_step,
                    number(one.advantage)
                ),
            });
        }
        Ok(gradient_sources.optimiser_step)
    }
}

/// Where a step of the iteration is that a recording is of, which is counted from 0: the index of the
/// episode, its number, and that of the step. What was lived before the iteration has no value.
fn place(recording: &Path, step: usize) -> anyhow::Result<Option<(usize, u64, u32)>> {
    let mut reader = RecordingReader::open(recording)?;
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
