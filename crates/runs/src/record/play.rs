//! Records episodes: an actor drives, one episode after the other, and everything is written down.

use std::sync::Arc;

use super::messages::{
    Block, Build, EpisodeEnd, FORMAT, ONE_ROBOT, PolicyIdentity, Recording, State, Step,
};
use super::{RecordError, Writer};
use evenkeel_sim::env::{Actor, NavEnv, Outcome, Pilot, TERM_NAMES, obs_layout};
use evenkeel_sim::scenario::{PlacementError, Scenario};
use evenkeel_sim::seed::{Root, Split};
use evenkeel_sim::sim::Frame;

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
    /// About episodes of a scenario under a seed, driven by `policy` and recorded by `build`.
    pub fn of(scenario: &Scenario, policy: PolicyIdentity, seed: Root, build: Build) -> Self {
        let robot = &scenario.spec.robot[0];
        let robots = scenario.spec.robot_count();
        let blocks = obs_layout(scenario).blocks.into_iter();
        let owned = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        Self {
            format: if robots == 1 { ONE_ROBOT } else { FORMAT },
            robots: robots as u32,
            build: Some(build),
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
        scribe.begin(actor)?;
        let ended = loop {
            if let Some(ended) = scribe.step(actor)? {
                break ended;
            }
        };
        if !told(&ended) {
            break;
        }
    }
    Ok(())
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

/// Writes down what happens in an environment.
pub(super) struct Scribe<'a> {
    pub(super) env: NavEnv,
    writer: &'a mut Writer,
    pilot: Pilot,
    frame: Frame,
}

impl<'a> Scribe<'a> {
    pub(super) fn new(env: NavEnv, writer: &'a mut Writer) -> Self {
        Self {
            env,
            writer,
            pilot: Pilot::default(),
            frame: Frame::default(),
        }
    }

    /// An episode has begun, in which `actor` is to drive.
    pub(super) fn begin(&mut self, actor: &mut dyn Actor) -> Result<(), RecordError> {
        self.pilot.begin(&self.env, actor);
        self.env.frame(&mut self.frame);
        self.writer.begin(&self.env, &self.frame)
    }

    /// Lets the actor take a control step with every robot. Gives the episode's end, if it is that.
    pub(super) fn step(
        &mut self,
        actor: &mut dyn Actor,
    ) -> Result<Option<EpisodeEnd>, RecordError> {
        let Self {
            env, pilot, frame, ..
        } = self;
        pilot.look(env, actor, frame);
        let (rows, seen) = pilot.seen();
        let mut thoughts = actor.think(rows, seen).into_iter();
        pilot.act(env, actor);
        env.frame(frame);
        let (rows, seen) = pilot.seen();
        let mut rows = rows
            .iter()
            .zip(seen.chunks_exact(env.obs_layout().dim()))
            .peekable();
        let actions = pilot.actions().chunks_exact(env.action_dim());
        let mut written = Vec::with_capacity(env.robot_count());
        for (robot, (action, step)) in actions.zip(pilot.steps()).enumerate() {
            let of_robot = Step {
                episode: env.episode(),
                step: env.steps(),
                robot: robot as u32,
                state: Some(State::of(frame, robot)),
                state_hash: if robot == 0 { env.state_hash() } else { 0 },
                ..Step::default()
            };
            let acted = rows.next_if(|(row, _)| **row == robot);
            written.push(match acted {
                None => Step {
                    waits: true,
                    value: f32::NAN,
                    ..of_robot
                },
                Some((_, observation)) => {
                    let thought = thoughts.next().unwrap_or_default();
                    Step {
                        observation: observation.to_vec(),
                        action: action.to_vec(),
                        action_mean: thought.mean,
                        action_std: thought.std,
                        value: thought.value,
                        reward: step.reward,
                        reward_terms: step.terms.to_vec(),
                        outcome: step.outcome.map_or("", Outcome::name).to_owned(),
                        ..of_robot
                    }
                }
            });
        }
        self.writer.step(&self.env, &written, &self.frame)?;
        let ended = self.env.ending();
        let ended = ended.map(|outcome| self.writer.end(&self.env, outcome));
        ended.transpose()
    }
}
