//! Records episodes: an actor drives, one episode after the other, and everything is written down.

use std::sync::Arc;

use super::messages::{Block, Build, EpisodeEnd, FORMAT, PolicyIdentity, Recording, State, Step};
use super::{RecordError, Writer};
use crate::env::{Actor, NavEnv, TERM_NAMES, obs_layout};
use crate::scenario::{PlacementError, Scenario};
use crate::seed::{Root, Split};
use crate::sim::Frame;

/// What is recorded: held-out episodes 0 to `episodes` − 1 of a seed, those that evaluations report
/// on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Number of episodes.
    pub episodes: u64,
    /// Root seed.
    pub seed: Root,
}

/// The population that recorded episodes are from.
pub(super) const SPLIT: Split = Split::Eval;
/// Its name in a recording.
pub(super) const SPLIT_NAME: &str = "eval";

impl Recording {
    /// About episodes of a scenario under a seed, driven by `policy` and recorded by this build.
    pub fn of(scenario: &Scenario, policy: PolicyIdentity, seed: Root) -> Self {
        let robot = &scenario.spec.robot[0];
        let blocks = obs_layout(scenario).blocks.into_iter();
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            format: FORMAT,
            build: Some(Build::here()),
            scenario: scenario.name.clone(),
            scenario_toml: scenario.to_toml(),
            policy: Some(policy),
            seed,
            split: SPLIT_NAME.to_owned(),
            control_step_secs: scenario.spec.task.control_step_secs,
            observation: blocks
                .map(|(name, first, length)| Block {
                    name,
                    first: first as u32,
                    length: length as u32,
                })
                .collect(),
            actions: owned(robot.drive.actions()),
            reward_terms: owned(&TERM_NAMES),
        }
    }
}

/// Drives the episodes and writes them. `told` hears of each that has ended, and says whether to
/// go on.
///
/// # Errors
/// If an episode cannot be placed, or the recording cannot be written.
pub fn record(
    scenario: &Arc<Scenario>,
    actor: &mut dyn Actor,
    options: &RecordOptions,
    writer: &mut Writer,
    told: &mut dyn FnMut(&EpisodeEnd) -> bool,
) -> Result<(), RecordError> {
    let mut env = environment(scenario, options.seed)?;
    for episode in 0..options.episodes {
        begin(&mut env, options.seed, episode)?;
        actor.begin_episode(0, episode);
        let ended = drive(&mut env, actor, writer)?;
        if !told(&ended) {
            break;
        }
    }
    Ok(())
}

/// The environment that episodes are recorded in, and played again.
pub(super) fn environment(scenario: &Arc<Scenario>, seed: Root) -> Result<NavEnv, RecordError> {
    NavEnv::new(Arc::clone(scenario), seed, SPLIT, 0)
        .map_err(|reason| unplaceable(scenario, seed, 0, reason))
}

/// Begins an episode there.
pub(super) fn begin(env: &mut NavEnv, seed: Root, episode: u64) -> Result<(), RecordError> {
    env.try_begin(episode)
        .map_err(|reason| unplaceable(env.scenario(), seed, episode, reason))
}

fn unplaceable(
    scenario: &Scenario,
    seed: Root,
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

/// Drives the episode that has begun to its end.
fn drive(
    env: &mut NavEnv,
    actor: &mut dyn Actor,
    writer: &mut Writer,
) -> Result<EpisodeEnd, RecordError> {
    let mut frame = Frame::default();
    env.frame(&mut frame);
    writer.begin(env, &frame)?;
    let mut observation = vec![0.0; env.obs_layout().dim()];
    let mut action = vec![0.0; env.action_dim()];
    loop {
        env.observe(&mut observation);
        if actor.watches() {
            actor.watch(0, env.layout(), &frame);
        }
        let thoughts = actor.think(&[0], &observation).unwrap_or_default();
        actor.act(&[0], &observation, &mut action);
        let step = env.step(&action);
        env.frame(&mut frame);
        let written = Step {
            episode: env.episode(),
            step: env.steps(),
            observation: observation.clone(),
            action: action.clone(),
            action_mean: thoughts.mean,
            action_std: thoughts.std,
            value: thoughts.value.first().copied().unwrap_or(f32::NAN),
            reward: step.reward,
            reward_terms: step.terms.to_vec(),
            outcome: step.outcome.map_or("", |outcome| outcome.name()).to_owned(),
            state: Some(State::of(&frame)),
            state_hash: env.state_hash(),
        };
        writer.step(env, &written, &frame)?;
        if let Some(outcome) = step.outcome {
            return writer.end(env, outcome);
        }
    }
}
