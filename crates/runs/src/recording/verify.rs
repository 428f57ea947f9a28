//! Replays a recording and compares: the same build must compute the same bits on any machine.

use std::fmt;
use std::sync::Arc;

use super::RecordError;
use super::episodes::EnvironmentId;
use super::messages::{RobotState, RobotStep, outcome_named};
use super::reader::{RecordedEpisode, RecordingReader};
use evenkeel_sim::env::{EpisodeRunner, NavEnv, Outcome, reward_term_names};
use evenkeel_sim::scenario::Scenario;

/// The first difference between an episode of a recording and its replay.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ReplayMismatch {
    /// Number of the episode.
    pub episode: u64,
    /// The first step that differs, from 1; 0 is the beginning of the episode.
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
            0 => write!(
                f,
                "episode {episode} differs from its beginning on: {message}"
            ),
            _ => write!(
                f,
                "episode {episode} differs from step {step} on: {message}"
            ),
        }
    }
}

/// Plays the episodes of a recording again. `on_episode` is called with each, and with the first
/// difference from what was recorded, if there is one.
///
/// # Errors
/// If the recording cannot be read, or this build cannot read its scenario.
pub fn verify(
    reader: &mut RecordingReader,
    on_episode: &mut dyn FnMut(&RecordedEpisode, Option<ReplayMismatch>),
) -> Result<(), RecordError> {
    let mut runner = EpisodeRunner::new(reader.environment()?);
    while let Some(episode) = reader.next_episode()? {
        runner.reset(episode.begin.episode);
        on_episode(&episode, replay(&mut runner, &episode));
    }
    Ok(())
}

impl RecordingReader {
    /// The environment of the episodes, at its first. Reset to an episode, it has the layout that
    /// the episode was recorded with.
    ///
    /// # Errors
    /// If this build cannot read the scenario, or the header names no environment of it.
    pub fn environment(&self) -> Result<NavEnv, RecordError> {
        let header = self.header();
        let source = EnvironmentId::of(header).ok_or_else(|| RecordError::Malformed {
            path: self.path().to_owned(),
            reason: format!("unknown split {:?}", header.split),
        })?;
        let file = format!("{} (scenario)", self.path().display());
        let scenario = Scenario::from_text(&header.scenario, &file, &header.scenario_toml, &[])?;
        let (robots, expected) = (header.robot_count(), scenario.spec.robot_count());
        if robots != expected {
            return Err(RecordError::Malformed {
                path: self.path().to_owned(),
                reason: format!("steps of {robots} robots in a scenario that has {expected}"),
            });
        }
        source.environment(&Arc::new(scenario), header.seed)
    }
}

/// Plays an episode, which `runner` has started, with the recorded actions. Returns the first
/// difference.
fn replay(runner: &mut EpisodeRunner, episode: &RecordedEpisode) -> Option<ReplayMismatch> {
    let differs = |step: u32, message: String| {
        Some(ReplayMismatch {
            episode: episode.begin.episode,
            step,
            message,
        })
    };
    if runner.env().state_hash() != episode.begin.state_hash {
        return differs(
            0,
            format!(
                "the state of {} or of a mover differs",
                any_of(runner.env())
            ),
        );
    }
    let act = runner.env().action_dim();
    let mut actions = vec![0.0; episode.robots * act];
    for index in 0..episode.length() {
        let recorded = episode.step(index);
        let number = recorded[0].step;
        runner.observe();
        if let Some(message) = observation_mismatch(runner, recorded) {
            return differs(number - 1, message);
        }
        for (robot, one) in recorded.iter().enumerate().filter(|(_, one)| !one.inactive) {
            if one.action.len() != act {
                let robot = name(runner.env(), robot);
                return differs(number, format!("{robot}'s action has another length"));
            }
            actions[robot * act..][..act].copy_from_slice(&one.action);
        }
        runner.step(&actions);
        let last = index + 1 == episode.length();
        if let Some(message) = step_mismatch(runner, recorded, last) {
            return differs(number, message);
        }
    }
    let steps = episode.length() as u32;
    let outcome = runner.env().episode_outcome().map_or("", Outcome::name);
    match &episode.end {
        Some(end) if steps > 0 && (steps, outcome) != (end.steps, end.outcome.as_str()) => {
            let message = "the recorded end does not match the steps";
            differs(steps, message.to_owned())
        }
        _ => None,
    }
}

/// A robot's name in messages.
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

/// The first difference in what the robots observe before a step.
fn observation_mismatch(runner: &EpisodeRunner, recorded: &[RobotStep]) -> Option<String> {
    let env = runner.env();
    let (active, observations) = runner.observations();
    let observations = observations.chunks_exact(env.obs_layout().dim());
    let mut observations = active.iter().zip(observations).peekable();
    for (robot, recorded) in recorded.iter().enumerate() {
        let observed = observations.next_if(|(active, _)| **active == robot);
        let name = || name(env, robot);
        match observed {
            None if !recorded.inactive => return Some(format!("{} is already inactive", name())),
            Some(_) if recorded.inactive => return Some(format!("{} is still active", name())),
            Some((_, observed)) if !same_bits(observed, &recorded.observation) => {
                return Some(format!("{}'s observation differs", name()));
            }
            _ => {}
        }
    }
    None
}

/// The first difference in the results of the step that `runner` has just made.
fn step_mismatch(runner: &EpisodeRunner, recorded: &[RobotStep], last: bool) -> Option<String> {
    let env = runner.env();
    if env.state_hash() != recorded[0].state_hash {
        let moved = |robot: &usize| {
            recorded[*robot].state != Some(RobotState::of(runner.snapshot(), *robot))
        };
        let moved = (0..recorded.len())
            .find(moved)
            .filter(|_| recorded.len() > 1);
        return Some(match moved {
            Some(robot) => format!("the state of robot {robot} differs"),
            None => format!("the state of {} or of a mover differs", any_of(env)),
        });
    }
    let terms = reward_term_names(&env.scenario().spec.reward).len();
    for (robot, (result, one)) in runner.results().iter().zip(recorded).enumerate() {
        let of_robot = |message: &str| match recorded.len() {
            1 => message.to_owned(),
            _ => format!("{message} for robot {robot}"),
        };
        if !one.inactive && !same_bits(&result.terms[..terms], &one.reward_terms) {
            return Some(of_robot("the reward differs"));
        }
        if result.outcome != outcome_named(&one.outcome) {
            return Some(of_robot("the outcome differs"));
        }
    }
    let is_longer = env.is_over() && !last;
    is_longer.then(|| "the episode has ended, but the recording continues".to_owned())
}

fn same_bits(one: &[f32], other: &[f32]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(a, b)| a.to_bits() == b.to_bits())
}
