//! Simulates the episodes behind an incident again: those whose transitions contributed most to the
//! gradients of its optimiser steps.

use std::path::{Path, PathBuf};

use super::{AutopsyError, MarkedTransition, gradient_sources};
use evenkeel_learn::learn::Incident;
use evenkeel_runs::recording::{RecordError, RecordingReader, record_trajectory};
use evenkeel_runs::runs::{RunDir, RunError};
use evenkeel_runs::telemetry::Event;
use evenkeel_runs::telemetry::format::{number, percent};
use evenkeel_sim::env::thread_count;

/// Why the episodes behind an incident cannot be recorded.
#[derive(Debug, thiserror::Error)]
pub enum IncidentRecordingError {
    /// The run of the incident cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The incident does not have the step, or its rollout cannot be reproduced.
    #[error(transparent)]
    Autopsy(#[from] Box<AutopsyError>),
    /// A recording cannot be written, or read again.
    #[error(transparent)]
    Recording(#[from] RecordError),
}

/// Recordings of the episodes behind an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct IncidentRecordings {
    /// Number of the selected optimiser step.
    pub step: u64,
    /// The recordings, one for each environment and iteration. The first one is of the transition that
    /// contributed most to the gradient of the selected step.
    pub recordings: Vec<PathBuf>,
    /// Transitions that contributed most to a gradient, the largest of each optimiser step first. The
    /// selected step comes first.
    pub marks: Vec<MarkedTransition>,
}

/// Simulates the episodes behind an optimiser step of an incident again (`None`: its last step), and
/// records them in `folder`; with `all_steps`, also those behind the incident's other steps. With the
/// incident's run, the recordings have its name, and what its log says about the updates.
///
/// # Errors
/// If the incident does not have the step, its rollout cannot be reproduced, the run's log cannot be
/// read, or a recording cannot be written.
pub fn record_incident(
    incident: &Incident,
    run: Option<&RunDir>,
    optimiser_step: Option<u64>,
    all_steps: bool,
    folder: &Path,
) -> Result<IncidentRecordings, IncidentRecordingError> {
    let mut simulated = SimulatedEpisodes::new(incident, run, folder)?;
    let step = simulated.add(optimiser_step)?;
    if all_steps {
        for other in incident.steps.iter().map(|step| step.input.optimiser_step) {
            if other != step {
                simulated.add(Some(other))?;
            }
        }
    }
    Ok(IncidentRecordings {
        step,
        recordings: simulated.recordings,
        marks: simulated.marks,
    })
}

/// The episodes that are simulated so far.
struct SimulatedEpisodes<'a> {
    folder: &'a Path,
    recordings: Vec<PathBuf>,
    marks: Vec<MarkedTransition>,
    /// Iteration and environment of each recording. Several optimiser steps may share a recording.
    trajectories: Vec<(u64, u64)>,
    incident: &'a Incident,
    name: String,
    events: Vec<Event>,
}

impl<'a> SimulatedEpisodes<'a> {
    fn new(
        incident: &'a Incident,
        run: Option<&RunDir>,
        folder: &'a Path,
    ) -> Result<Self, IncidentRecordingError> {
        let (name, events) = if let Some(run) = run {
            (run.name(), run.events()?)
        } else {
            let run = &incident.run;
            (format!("{}, {}", run.scenario, run.arm), Vec::new())
        };
        Ok(Self {
            folder,
            recordings: Vec::new(),
            marks: Vec::new(),
            trajectories: Vec::new(),
            incident,
            name,
            events,
        })
    }

    /// Adds the trajectories and transitions behind an optimiser step (`None`: the last) and returns
    /// the step's number.
    fn add(&mut self, optimiser_step: Option<u64>) -> Result<u64, IncidentRecordingError> {
        let sources = gradient_sources(self.incident, optimiser_step, thread_count(0));
        let sources = sources.map_err(Box::new)?;
        // Index of each trajectory's recording.
        let mut recording_of = Vec::new();
        for trajectory in &sources.trajectories {
            let key = (trajectory.iteration, trajectory.env);
            let existing = self.trajectories.iter().position(|other| *other == key);
            recording_of.push(existing.unwrap_or(self.recordings.len()));
            if existing.is_none() {
                let (iteration, env) = key;
                let name = format!("iteration_{iteration:06}_environment_{env:04}.mcap");
                let file = self.folder.join(name);
                let (scenario, seed) = (&sources.scenario, self.incident.state.seed);
                record_trajectory(
                    &file,
                    scenario,
                    seed,
                    &self.name,
                    trajectory,
                    &self.events,
                    evenkeel_learn::build(),
                )?;
                self.recordings.push(file);
                self.trajectories.push(key);
            }
        }
        for transition in &sources.transitions {
            let recording = recording_of[transition.trajectory];
            let found = find_step(&self.recordings[recording], transition.rollout_step)?;
            let Some((index, episode, step)) = found else {
                continue;
            };
            let share = if transition.share.is_finite() {
                percent(transition.share)
            } else {
                "not finite".to_owned()
            };
            let robot = match sources.scenario.spec.robot_count() {
                1 => String::new(),
                _ => format!("robot {}: ", transition.robot),
            };
            self.marks.push(MarkedTransition {
                optimiser_step: sources.optimiser_step,
                recording,
                index,
                episode,
                robot: transition.robot,
                step,
                share: transition.share,
                text: format!(
                    "{robot}{share} of the gradient of optimiser step {}, advantage {}",
                    sources.optimiser_step,
                    number(transition.advantage)
                ),
            });
        }
        Ok(sources.optimiser_step)
    }
}

/// Finds step `rollout_step` of the iteration, counted from 0, in its recording. Returns the index of
/// the episode, its number, and the number of the control step in it, from 1.
///
/// A recording may start before its iteration; those steps have no value estimate (NaN).
fn find_step(
    recording: &Path,
    rollout_step: usize,
) -> Result<Option<(usize, u64, u32)>, RecordError> {
    let mut reader = RecordingReader::open(recording)?;
    let (mut remaining, mut index) = (rollout_step, 0);
    while let Some(episode) = reader.next_episode()? {
        for step in 0..episode.length() {
            let robots = episode.step(step);
            let in_iteration = robots.iter().any(|robot| !robot.value.is_nan());
            if in_iteration && remaining == 0 {
                return Ok(Some((index, episode.begin.episode, step as u32 + 1)));
            }
            remaining -= usize::from(in_iteration);
        }
        index += 1;
    }
    Ok(None)
}
