//! Plays a recording again and compares: the same build on any machine must come to the same bits.

use std::fmt;
use std::sync::Arc;

use super::RecordError;
use super::episodes::EpisodeSource;
use super::messages::{RobotState, RobotStep, outcome_named};
use super::reader::{RecordedEpisode, RecordingReader};
use evenkeel_sim::env::{self, NavEnv};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::sim::WorldSnapshot;

/// Where a recording and what this build makes of it part.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ReplayMismatch {
    /// Number of the episode.
    pub episode: u64,
    /// The first step that differs, from 1; 0 is the episode's beginning.
    pub step: u32,
    /// What differs there.
    pub message: String,
}

impl fmt::Display for ReplayMismatch {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            episode,
            step,
            message,
        } = self;
        match step {
            0 => write!(f, "episode {episode} begins otherwise: {message}"),
            _ => write!(
                f,
                "episode {episode} differs from step {step} on: {message}"
            ),
        }
    }
}

/// Plays a recording's episodes again. `on_episode` hears of each, and where it parts from what was
/// recorded, if it does.
///
/// # Errors
/// If the recording cannot be read, or its scenario is none to this build.
pub fn verify(
    reader: &mut RecordingReader,
    on_episode: &mut dyn FnMut(&RecordedEpisode, Option<ReplayMismatch>),
) -> Result<(), RecordError> {
    let mut env = reader.environment()?;
    while let Some(episode) = reader.next_episode()? {
        env.reset(episode.begin.episode);
        on_episode(&episode, replay(&mut env, &episode));
    }
    Ok(())
}

impl RecordingReader {
    /// The environment that the episodes are of, at its first. Begun again there, an episode has the
    /// layout that it was recorded with.
    ///
    /// # Errors
    /// If the scenario is none to this build, or there is no such environment.
    pub fn environment(&self) -> Result<NavEnv, RecordError> {
        let about = self.header();
        let source = EpisodeSource::of(about).ok_or_else(|| RecordError::Malformed {
            path: self.path().to_owned(),
            reason: format!(
                "episodes of the split {:?}, which there is none of",
                about.split
            ),
        })?;
        let file = format!("{} (scenario)", self.path().display());
        let scenario = Scenario::from_text(&about.scenario, &file, &about.scenario_toml, &[])?;
        let (robots, placed) = (about.robot_count(), scenario.spec.robot_count());
        if robots != placed {
            return Err(RecordError::Malformed {
                path: self.path().to_owned(),
                reason: format!("steps of {robots} robots in a scenario that has {placed}"),
            });
        }
        source.environment(&Arc::new(scenario), about.seed)
    }
}

/// Plays an episode that has begun as it was recorded; returns where it goes otherwise.
fn replay(env: &mut NavEnv, episode: &RecordedEpisode) -> Option<ReplayMismatch> {
    let differs = |step: u32, message: String| {
        Some(ReplayMismatch {
            episode: episode.begin.episode,
            step,
            message,
        })
    };
    if env.state_hash() != episode.begin.state_hash {
        return differs(0, format!("{} or a mover is elsewhere", any_of(env)));
    }
    for index in 0..episode.length() {
        let step = episode.step(index);
        let number = step[0].step;
        if let Some(message) = observation_mismatch(env, step) {
            return differs(number - 1, message);
        }
        let acted = |one: &RobotStep| one.inactive || one.action.len() == env.action_dim();
        if let Some(robot) = step.iter().position(|one| !acted(one)) {
            let message = format!("{}'s action is of another length", name(env, robot));
            return differs(number, message);
        }
        let last = index + 1 == episode.length();
        if let Some(message) = step_mismatch(env, step, last) {
            return differs(number, message);
        }
    }
    let steps = episode.length() as u32;
    let outcome = env.episode_outcome().map_or("", |outcome| outcome.name());
    match &episode.end {
        Some(end) if steps > 0 && (steps, outcome) != (end.steps, end.outcome.as_str()) => {
            let message = "the recorded end is that of other steps";
            differs(steps, message.to_owned())
        }
        _ => None,
    }
}

/// A robot, in words.
fn name(env: &NavEnv, robot: usize) -> String {
    match env.robot_count() {
        1 => "the robot".to_owned(),
        _ => format!("robot {robot}"),
    }
}

fn any_of(env: &NavEnv) -> &'static str {
    match env.robot_count() {
        1 => "the robot",
        _ => "a robot",
    }
}

/// What a robot sees otherwise before a step.
fn observation_mismatch(env: &NavEnv, recorded: &[RobotStep]) -> Option<String> {
    let mut observation = vec![0.0; env.obs_layout().dim()];
    for (robot, recorded) in recorded.iter().enumerate() {
        let inactive = env.outcome(robot).is_some();
        if recorded.inactive != inactive {
            let does = if inactive {
                "waits already"
            } else {
                "still drives"
            };
            return Some(format!("{} {does}", name(env, robot)));
        }
        env.observe_robot(robot, &mut observation);
        if !recorded.inactive && !same_bits(&observation, &recorded.observation) {
            return Some(format!("{} sees something else", name(env, robot)));
        }
    }
    None
}

/// What goes otherwise in a step.
fn step_mismatch(env: &mut NavEnv, recorded: &[RobotStep], last: bool) -> Option<String> {
    let act = env.action_dim();
    let mut actions = vec![0.0; recorded.len() * act];
    for (robot, one) in recorded.iter().enumerate().filter(|(_, one)| !one.inactive) {
        actions[robot * act..][..act].copy_from_slice(&one.action);
    }
    let mut steps = vec![env::StepResult::INACTIVE; recorded.len()];
    env.step_all(&actions, &mut steps);
    if env.state_hash() != recorded[0].state_hash {
        let mut snapshot = WorldSnapshot::default();
        env.snapshot(&mut snapshot);
        let moved =
            |robot: &usize| recorded[*robot].state != Some(RobotState::of(&snapshot, *robot));
        let moved = (0..recorded.len())
            .find(moved)
            .filter(|_| recorded.len() > 1);
        return Some(match moved {
            Some(robot) => format!("robot {robot} is elsewhere"),
            None => format!("{} or a mover is elsewhere", any_of(env)),
        });
    }
    for (robot, (taken, one)) in steps.iter().zip(recorded).enumerate() {
        let of_robot = |message: &str| match recorded.len() {
            1 => message.to_owned(),
            _ => format!("{message} for robot {robot}"),
        };
        if !one.inactive && !same_bits(&taken.terms, &one.reward_terms) {
            return Some(of_robot("the reward is another"));
        }
        if taken.outcome != outcome_named(&one.outcome) {
            return Some(of_robot("the episode ends otherwise"));
        }
    }
    let goes_on = env.is_over() && !last;
    goes_on.then(|| "the episode has ended, and the recording goes on".to_owned())
}

fn same_bits(one: &[f32], other: &[f32]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(a, b)| a.to_bits() == b.to_bits())
}
