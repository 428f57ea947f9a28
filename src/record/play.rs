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
            split: Population::HELD_OUT.name().to_owned(),
            env: 0,
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
    let env = Population::HELD_OUT.environment(scenario, options.seed)?;
    let mut scribe = Scribe::new(env, writer);
    for episode in 0..options.episodes {
        let placed = scribe.env.try_begin(episode);
        placed.map_err(|reason| unplaceable(scenario, options.seed, episode, reason))?;
        actor.begin_episode(0, episode);
        let ended = drive(&mut scribe, actor)?;
        if !told(&ended) {
            break;
        }
    }
    Ok(())
}

/// Drives the episode that has begun to its end.
fn drive(scribe: &mut Scribe, actor: &mut dyn Actor) -> Result<EpisodeEnd, RecordError> {
    scribe.begin()?;
    let mut action = vec![0.0; scribe.env.action_dim()];
    loop {
        let observation = scribe.observe();
        let thoughts = actor.think(&[0], observation).unwrap_or_default();
        let thought = Thought {
            mean: thoughts.mean,
            std: thoughts.std,
            value: thoughts.value.first().copied(),
        };
        if actor.watches() {
            actor.watch(0, 0, scribe.env.layout(), &scribe.frame);
        }
        actor.act(&[0], &scribe.observation, &mut action);
        if let Some(ended) = scribe.step(&action, thought)? {
            return Ok(ended);
        }
    }
}

/// Refuses a scenario that cannot be recorded.
///
/// # Errors
/// If it has several robots.
pub fn check_recordable(scenario: &Scenario) -> Result<(), RecordError> {
    match scenario.spec.robot_count() {
        1 => Ok(()),
        robots => Err(RecordError::Several {
            scenario: scenario.name.clone(),
            robots,
        }),
    }
}

/// The episodes that a recording is of: a split, and an environment in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Population {
    pub(super) split: Split,
    pub(super) env: u64,
}

impl Population {
    /// What evaluations report on.
    pub(super) const HELD_OUT: Self = Self {
        split: Split::Eval,
        env: 0,
    };

    /// What a recording says that it is of; nothing where there is no such thing.
    pub(super) fn of(about: &Recording) -> Option<Self> {
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
        seed: Root,
    ) -> Result<NavEnv, RecordError> {
        check_recordable(scenario)?;
        NavEnv::new(Arc::clone(scenario), seed, self.split, self.env)
            .map_err(|reason| unplaceable(scenario, seed, 0, reason))
    }
}

fn name(split: Split) -> &'static str {
    match split {
        Split::Train => "train",
        Split::Select => "select",
        Split::Eval => "eval",
    }
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

/// What a policy thought before one control step; nothing of who thinks nothing.
#[derive(Debug, Default)]
pub(super) struct Thought {
    /// `[act]`.
    pub(super) mean: Vec<f32>,
    /// `[act]`.
    pub(super) std: Vec<f32>,
    pub(super) value: Option<f32>,
}

/// Writes down what happens in an environment.
pub(super) struct Scribe<'a> {
    pub(super) env: NavEnv,
    writer: &'a mut Writer,
    frame: Frame,
    observation: Vec<f32>,
}

impl<'a> Scribe<'a> {
    pub(super) fn new(env: NavEnv, writer: &'a mut Writer) -> Self {
        Self {
            observation: vec![0.0; env.obs_layout().dim()],
            env,
            writer,
            frame: Frame::default(),
        }
    }

    /// An episode has begun.
    pub(super) fn begin(&mut self) -> Result<(), RecordError> {
        self.env.frame(&mut self.frame);
        self.writer.begin(&self.env, &self.frame)
    }

    /// What is seen before the next step, `[obs]`.
    pub(super) fn observe(&mut self) -> &[f32] {
        self.env.observe(&mut self.observation);
        &self.observation
    }

    /// Takes a step, of which the observation has been taken before. Gives the episode's end, if it
    /// is that.
    pub(super) fn step(
        &mut self,
        action: &[f32],
        thought: Thought,
    ) -> Result<Option<EpisodeEnd>, RecordError> {
        let step = self.env.step(action);
        self.env.frame(&mut self.frame);
        let written = Step {
            episode: self.env.episode(),
            step: self.env.steps(),
            observation: self.observation.clone(),
            action: action.to_vec(),
            action_mean: thought.mean,
            action_std: thought.std,
            value: thought.value.unwrap_or(f32::NAN),
            reward: step.reward,
            reward_terms: step.terms.to_vec(),
            outcome: step.outcome.map_or("", |outcome| outcome.name()).to_owned(),
            state: Some(State::of(&self.frame)),
            state_hash: self.env.state_hash(),
        };
        self.writer.step(&self.env, &written, &self.frame)?;
        let ended = step
            .outcome
            .map(|outcome| self.writer.end(&self.env, outcome));
        ended.transpose()
    }
}
