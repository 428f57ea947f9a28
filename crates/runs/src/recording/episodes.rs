//! Records held-out episodes: a controller plays them in turn, and every step is written.

use std::sync::Arc;

use super::messages::{
    BlockRange, BuildInfo, EpisodeEnd, FORMAT, FORMAT_SINGLE_ROBOT, PolicyIdentity,
    RecordingHeader, RobotState, RobotStep,
};
use super::{RecordError, RecordingWriter};
use evenkeel_sim::env::{
    Controller, EpisodeRunner, NavEnv, Outcome, PolicyPrediction, StepResult, obs_layout,
    reward_term_names,
};
use evenkeel_sim::scenario::{PlacementError, Scenario};
use evenkeel_sim::seed::{RootSeed, Split};

/// Which episodes are recorded: held-out episodes 0 to `episodes` − 1 of a seed, as in evaluations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeldOutEpisodes {
    /// Number of episodes.
    pub episodes: u64,
    /// Root seed.
    pub seed: RootSeed,
}

impl RecordingHeader {
    /// The header of held-out episodes of a scenario, played by `policy` and recorded by `build`.
    pub fn of(
        scenario: &Scenario,
        policy: PolicyIdentity,
        seed: RootSeed,
        build: BuildInfo,
    ) -> Self {
        let robot = &scenario.spec.robot[0];
        let robots = scenario.spec.robot_count();
        let blocks = obs_layout(scenario).blocks.into_iter();
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            format: if robots == 1 {
                FORMAT_SINGLE_ROBOT
            } else {
                FORMAT
            },
            robots: robots as u32,
            build: Some(build),
            scenario: scenario.name.clone(),
            scenario_toml: scenario.to_toml(),
            policy: Some(policy),
            seed,
            split: EnvironmentId::HELD_OUT.name().to_owned(),
            env: 0,
            control_step_secs: scenario.spec.task.control_step_secs,
            observation: blocks
                .map(|(name, first, length)| BlockRange {
                    name,
                    first: first as u32,
                    length: length as u32,
                })
                .collect(),
            actions: owned(robot.drive.actions()),
            reward_terms: owned(&reward_term_names(&scenario.spec.reward)),
        }
    }
}

/// Plays episodes and writes them. `on_episode` is called after each; recording stops when it
/// returns false.
///
/// # Errors
/// If an episode cannot be placed, or the recording cannot be written.
pub fn record_episodes(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &HeldOutEpisodes,
    writer: &mut RecordingWriter,
    on_episode: &mut dyn FnMut(&EpisodeEnd) -> bool,
) -> Result<(), RecordError> {
    let env = EnvironmentId::HELD_OUT.environment(scenario, options.seed)?;
    let mut runner = EpisodeRunner::new(env);
    for episode in 0..options.episodes {
        runner
            .try_reset(episode)
            .map_err(|reason| unplaceable(scenario, options.seed, episode, reason))?;
        runner.begin_episode(controller);
        writer.begin_episode(runner.env(), runner.snapshot())?;
        let end = loop {
            let predictions = runner.step_and_predict(controller);
            if let Some(end) = record_step(writer, &runner, &predictions)? {
                break end;
            }
        };
        if !on_episode(&end) {
            break;
        }
    }
    Ok(())
}

/// Writes the step that `runner` has just made, and the end of the episode if the step ended it.
/// The runner has the observations from before the step; `predictions` is `[robots]`, or empty if
/// there are none.
pub(super) fn record_step(
    writer: &mut RecordingWriter,
    runner: &EpisodeRunner,
    predictions: &[PolicyPrediction],
) -> Result<Option<EpisodeEnd>, RecordError> {
    let (env, snapshot) = (runner.env(), runner.snapshot());
    let (active, observations) = runner.observations();
    let observations = observations.chunks_exact(env.obs_layout().dim());
    let mut observations = active.iter().zip(observations).peekable();
    let actions = runner.actions().chunks_exact(env.action_dim());
    let terms = reward_term_names(&env.scenario().spec.reward).len();
    let robot_step = |(robot, (action, result)): (usize, (&[f32], &StepResult))| {
        let step = RobotStep {
            episode: env.episode(),
            step: env.steps(),
            robot: robot as u32,
            state: Some(RobotState::of(snapshot, robot)),
            state_hash: if robot == 0 { env.state_hash() } else { 0 },
            ..RobotStep::default()
        };
        let Some((_, observation)) = observations.next_if(|(active, _)| **active == robot) else {
            return RobotStep {
                inactive: true,
                value: f32::NAN,
                ..step
            };
        };
        let prediction = predictions.get(robot).cloned().unwrap_or_default();
        RobotStep {
            observation: observation.to_vec(),
            action: action.to_vec(),
            action_mean: prediction.mean,
            action_std: prediction.std,
            value: prediction.value,
            reward: result.reward,
            reward_terms: result.terms[..terms].to_vec(),
            outcome: result.outcome.map_or("", Outcome::name).to_owned(),
            ..step
        }
    };
    let robots = actions.zip(runner.results()).enumerate();
    let robots: Vec<RobotStep> = robots.map(robot_step).collect();
    writer.write_step(env, &robots, snapshot)?;
    let outcome = env.episode_outcome();
    outcome
        .map(|outcome| writer.end_episode(env, outcome))
        .transpose()
}

/// The episodes that a recording is of: a split, and an environment of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EnvironmentId {
    pub(super) split: Split,
    pub(super) env: u64,
}

impl EnvironmentId {
    /// The episodes of evaluations.
    pub(super) const HELD_OUT: Self = Self {
        split: Split::Eval,
        env: 0,
    };

    /// The source that a header names; `None` if it names no split of this build.
    pub(super) fn of(header: &RecordingHeader) -> Option<Self> {
        let named = |split: &Split| name(*split) == header.split;
        let split = [Split::Eval, Split::Train].into_iter().find(named)?;
        let env = header.env;
        Some(Self { split, env })
    }

    /// The name of its split in a recording.
    pub(super) fn name(self) -> &'static str {
        name(self.split)
    }

    /// The environment that its episodes are recorded in, and replayed in.
    pub(super) fn environment(
        self,
        scenario: &Arc<Scenario>,
        seed: RootSeed,
    ) -> Result<NavEnv, RecordError> {
        NavEnv::new(Arc::clone(scenario), seed, self.split, self.env)
            .map_err(|reason| unplaceable(scenario, seed, 0, reason))
    }
}

fn name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Validation => "validation",
        Split::Eval => "eval",
    }
}

fn unplaceable(
    scenario: &Scenario,
    seed: RootSeed,
    episode: u64,
    reason: PlacementError,
) -> RecordError {
    RecordError::Unplaceable {
        scenario: scenario.name.clone(),
        seed,
        episode,
        reason,
    }
}
