//! Records episodes: an actor drives, one episode after the other, and everything is written down.

use std::sync::Arc;

use super::messages::{
    BlockRange, BuildInfo, EpisodeEnd, FORMAT, FORMAT_SINGLE_ROBOT, PolicyIdentity,
    RecordingHeader, RobotState, RobotStep,
};
use super::{RecordError, RecordingWriter};
use evenkeel_sim::env::{
    Controller, EpisodeRunner, NavEnv, Outcome, REWARD_TERM_NAMES, obs_layout,
};
use evenkeel_sim::scenario::{PlacementError, Scenario};
use evenkeel_sim::seed::{RootSeed, Split};
use evenkeel_sim::sim::WorldSnapshot;

/// What is recorded: held-out episodes 0 to `episodes` − 1 of a seed, those that evaluations report
/// on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Number of episodes.
    pub episodes: u64,
    /// Root seed.
    pub seed: RootSeed,
}

impl RecordingHeader {
    /// About episodes of a scenario under a seed, driven by `policy` and recorded by `build`.
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
            split: EpisodeSource::HELD_OUT.name().to_owned(),
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
            reward_terms: owned(&REWARD_TERM_NAMES),
        }
    }
}

/// Drives the episodes and writes them. `on_episode` hears of each that has ended, and says whether to
/// go on.
///
/// # Errors
/// If an episode cannot be placed, or the recording cannot be written.
pub fn record_episodes(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &RecordOptions,
    writer: &mut RecordingWriter,
    on_episode: &mut dyn FnMut(&EpisodeEnd) -> bool,
) -> Result<(), RecordError> {
    let env = EpisodeSource::HELD_OUT.environment(scenario, options.seed)?;
    let mut recorder = EpisodeRecorder::new(env, writer);
    for episode in 0..options.episodes {
        let placed = recorder.env.try_reset(episode);
        placed.map_err(|reason| unplaceable(scenario, options.seed, episode, reason))?;
        recorder.begin(controller)?;
        let ended = loop {
            if let Some(ended) = recorder.step(controller)? {
                break ended;
            }
        };
        if !on_episode(&ended) {
            break;
        }
    }
    Ok(())
}

/// The episodes that a recording is of: a split, and an environment in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EpisodeSource {
    pub(super) split: Split,
    pub(super) env: u64,
}

impl EpisodeSource {
    /// What evaluations report on.
    pub(super) const HELD_OUT: Self = Self {
        split: Split::Eval,
        env: 0,
    };

    /// What a recording says that it is of; nothing where there is no such thing.
    pub(super) fn of(about: &RecordingHeader) -> Option<Self> {
        let known = |split: &Split| name(*split) == about.split;
        let split = [Split::Eval, Split::Train].into_iter().find(known)?;
        let env = about.env;
        Some(Self { split, env })
    }

    /// Its split's name in a recording.
    pub(super) fn name(self) -> &'static str {
        name(self.split)
    }

    /// The environment that its episodes are recorded in, and played again.
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

/// Writes down what happens in an environment.
pub(super) struct EpisodeRecorder<'a> {
    pub(super) env: NavEnv,
    writer: &'a mut RecordingWriter,
    runner: EpisodeRunner,
    snapshot: WorldSnapshot,
}

impl<'a> EpisodeRecorder<'a> {
    pub(super) fn new(env: NavEnv, writer: &'a mut RecordingWriter) -> Self {
        Self {
            env,
            writer,
            runner: EpisodeRunner::default(),
            snapshot: WorldSnapshot::default(),
        }
    }

    /// An episode has begun, in which `controller` is to drive.
    pub(super) fn begin(&mut self, controller: &mut dyn Controller) -> Result<(), RecordError> {
        self.runner.reset(&self.env, controller);
        self.env.snapshot(&mut self.snapshot);
        self.writer.begin_episode(&self.env, &self.snapshot)
    }

    /// Lets the actor take a control step with every robot. Gives the episode's end, if it is that.
    pub(super) fn step(
        &mut self,
        controller: &mut dyn Controller,
    ) -> Result<Option<EpisodeEnd>, RecordError> {
        let Self {
            env,
            runner,
            snapshot,
            ..
        } = self;
        runner.observe(env, controller, snapshot);
        let (rows, seen) = runner.observations();
        let mut policy_outputs = controller.predict(rows, seen).into_iter();
        runner.act(env, controller);
        env.snapshot(snapshot);
        let (rows, seen) = runner.observations();
        let mut rows = rows
            .iter()
            .zip(seen.chunks_exact(env.obs_layout().dim()))
            .peekable();
        let actions = runner.actions().chunks_exact(env.action_dim());
        let mut written = Vec::with_capacity(env.robot_count());
        for (robot, (action, step)) in actions.zip(runner.steps()).enumerate() {
            let of_robot = RobotStep {
                episode: env.episode(),
                step: env.steps(),
                robot: robot as u32,
                state: Some(RobotState::of(snapshot, robot)),
                state_hash: if robot == 0 { env.state_hash() } else { 0 },
                ..RobotStep::default()
            };
            let acted = rows.next_if(|(row, _)| **row == robot);
            written.push(match acted {
                None => RobotStep {
                    inactive: true,
                    value: f32::NAN,
                    ..of_robot
                },
                Some((_, observation)) => {
                    let policy_output = policy_outputs.next().unwrap_or_default();
                    RobotStep {
                        observation: observation.to_vec(),
                        action: action.to_vec(),
                        action_mean: policy_output.mean,
                        action_std: policy_output.std,
                        value: policy_output.value,
                        reward: step.reward,
                        reward_terms: step.terms.to_vec(),
                        outcome: step.outcome.map_or("", Outcome::name).to_owned(),
                        ..of_robot
                    }
                }
            });
        }
        self.writer
            .write_step(&self.env, &written, &self.snapshot)?;
        let ended = self.env.episode_outcome();
        let ended = ended.map(|outcome| self.writer.end_episode(&self.env, outcome));
        ended.transpose()
    }
}
