//! Simulates the episodes behind an incident again: those whose transitions contributed most to the
//! gradients of its optimiser steps.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::target::{IncidentReplay, MarkedTransition, ReplayTarget, StepSelection};
use evenkeel::env::thread_count;
use evenkeel::lab;
use evenkeel::learn::Incident;
use evenkeel::recording::{RecordingReader, record_trajectory};
use evenkeel::runs::RunDir;
use evenkeel::telemetry::Event;
use evenkeel::telemetry::format::{number, percent};

/// Records the episodes behind the selected optimiser steps of the incident at `path`, in a
/// temporary folder.
pub(super) fn replay_incident(path: &Path, steps: StepSelection) -> anyhow::Result<ReplayTarget> {
    let incident = Incident::load(path)?;
    let reports = incident.steps.iter().map(|step| step.report.clone());
    let run = RunDir::containing(path);
    let mut simulated = IncidentRecordings::new(&incident, run.as_ref())?;
    let step = simulated.add(steps.first)?;
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
            steps: reports.collect(),
            marks: simulated.marks,
            _folder: simulated.folder,
        }),
    })
}

/// Recordings of the simulated episodes, in a temporary folder.
struct IncidentRecordings<'a> {
    folder: tempfile::TempDir,
    recordings: Vec<PathBuf>,
    marks: Vec<MarkedTransition>,
    /// Iteration and environment of each recording. Several optimiser steps may share a recording.
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
            folder: tempfile::tempdir().context("cannot create a temporary folder")?,
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
    fn add(&mut self, optimiser_step: Option<u64>) -> anyhow::Result<u64> {
        let sources = lab::gradient_sources(self.incident, optimiser_step, thread_count(0))?;
        // Index of each trajectory's recording.
        let mut recording_of = Vec::new();
        for trajectory in &sources.trajectories {
            let key = (trajectory.iteration, trajectory.env);
            let existing = self.trajectories.iter().position(|other| *other == key);
            recording_of.push(existing.unwrap_or(self.recordings.len()));
            if existing.is_none() {
                let (iteration, env) = key;
                let name = format!("iteration_{iteration:06}_environment_{env:04}.mcap");
                let file = self.folder.path().join(name);
                let (scenario, seed) = (&sources.scenario, self.incident.state.seed);
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
fn find_step(recording: &Path, rollout_step: usize) -> anyhow::Result<Option<(usize, u64, u32)>> {
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
