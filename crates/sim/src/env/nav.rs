//! One environment: a world, and a task for each robot in it. Its state is (seed, episode, actions
//! so far); simulating them again restores it.

use std::sync::Arc;

use nalgebra::Point2;
use smallvec::SmallVec;

use super::agent::Agent;
use super::observe::{action_dim, obs_layout};
use super::reward::REWARD_TERMS;
use super::{EnvState, LEVEL_ENV, ObsLayout, Outcome};
use crate::scenario::{EpisodeKey, Layout, LayoutSampler, PlacementError, Scenario};
use crate::seed::{RootSeed, Split};
use crate::sim::{Action, World, WorldSnapshot};

/// What one control step gave a robot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Sum of the terms.
    pub reward: f32,
    /// The named reward terms, in the order of [`super::REWARD_TERM_NAMES`].
    pub terms: [f32; REWARD_TERMS],
    /// How its part in the episode ended, if it did with this step.
    pub outcome: Option<Outcome>,
}

impl StepResult {
    /// That of a robot that waits for the others.
    pub const INACTIVE: Self = Self {
        reward: 0.0,
        terms: [0.0; REWARD_TERMS],
        outcome: None,
    };
}

/// See [`NavEnv::part`].
pub fn episode_id(episode: u64, robot: usize, robots: usize) -> u64 {
    episode * robots as u64 + robot as u64
}

/// One navigation environment. Most have one robot, for which the plain methods are; of several,
/// each has its own goal, outcome and reward. A robot whose part has ended *waits*: it stands where
/// it is, seen by the others and solid to them, until all parts have ended and with them the
/// episode.
pub struct NavEnv {
    scenario: Arc<Scenario>,
    sampler: LayoutSampler,
    world: World,
    key: EpisodeKey,
    obs_layout: Arc<ObsLayout>,
    agents: SmallVec<[Agent; 1]>,
    /// Length of an action.
    action_dim: usize,
    time_limit: u32,
    /// Control steps at the start in which the robots stand, whatever the actions.
    hold_steps: u32,
    /// `[steps, robots, act]`, flat.
    actions: Vec<f32>,
    /// `[robots]`: those of one step.
    entries: SmallVec<[Action; 1]>,
}

impl NavEnv {
    /// An environment at the beginning of its first episode.
    ///
    /// # Errors
    /// If that episode cannot be placed.
    pub fn new(
        scenario: Arc<Scenario>,
        root: RootSeed,
        split: Split,
        env: u64,
    ) -> Result<Self, PlacementError> {
        let world = World::new(&scenario);
        let task = &scenario.spec.task;
        let steps = |secs: f64| (secs / task.control_step_secs).round() as u32;
        let time_limit = steps(task.time_limit_secs).max(1);
        let robots = world.robot_count();
        let action_dim = action_dim(&scenario);
        let mut this = Self {
            obs_layout: Arc::new(obs_layout(&scenario)),
            sampler: LayoutSampler::default(),
            world,
            key: EpisodeKey {
                root,
                split,
                env,
                episode: 0,
            },
            time_limit,
            hold_steps: steps(task.hold_secs),
            agents: (0..robots).map(|_| Agent::new(&scenario)).collect(),
            actions: Vec::with_capacity(time_limit as usize * robots * action_dim),
            entries: SmallVec::from_elem(Action::default(), robots),
            action_dim,
            scenario,
        };
        this.try_reset(0)?;
        Ok(this)
    }

    /// From now on plays levels: the episodes that all environments share. See [`super::LevelPlan`].
    pub(super) fn play_levels(&mut self) {
        self.key.env = LEVEL_ENV;
    }

    /// Begins the episode of this number.
    ///
    /// Should it be one of the few that a crowded scenario cannot place, the first episode of
    /// this environment, which was placed when it was made, is played in its stead.
    ///
    /// # Panics
    /// If that one cannot be placed either, though it once was: a bug.
    pub fn reset(&mut self, episode: u64) {
        if self.try_reset(episode).is_err() {
            self.try_reset(0)
                .expect("the first episode was placed when the environment was made");
            self.key.episode = episode;
        }
    }

    /// Begins the episode of this number.
    ///
    /// # Errors
    /// If it cannot be placed; the environment is then still to be reset.
    pub fn try_reset(&mut self, episode: u64) -> Result<(), PlacementError> {
        self.key.episode = episode;
        let Self {
            sampler,
            scenario,
            key,
            ..
        } = self;
        self.world
            .reset(*key, |layout| sampler.sample(scenario, *key, layout))?;
        for (robot, agent) in self.agents.iter_mut().enumerate() {
            agent.reset(self.world.ego(robot), robot, &self.sampler);
        }
        self.actions.clear();
        Ok(())
    }

    /// One control step of an environment with one robot. `action` is in [-1, 1]ⁿ; what its entries
    /// mean is said where the scenario's drive is. Beyond the bounds they are clamped, and NaN
    /// counts as 0. Nothing but [`NavEnv::reset`] may follow an outcome.
    ///
    /// # Panics
    /// If `action` is not of length [`NavEnv::action_dim`], or there are several robots.
    pub fn step(&mut self, action: &[f32]) -> StepResult {
        let mut step = [StepResult::INACTIVE];
        self.step_all(action, &mut step);
        step[0]
    }

    /// One control step of all robots: `[robots, act]` in, as for [`Self::step`], `[robots]` out.
    /// What a robot that waits is told is not looked at. Nothing but [`NavEnv::reset`] may follow
    /// once [`Self::is_over`].
    ///
    /// # Panics
    /// If the slices are of other lengths.
    pub fn step_all(&mut self, actions: &[f32], steps: &mut [StepResult]) {
        let robots = self.agents.len();
        assert_eq!(
            actions.len(),
            robots * self.action_dim,
            "an action for each"
        );
        assert_eq!(steps.len(), robots, "a step for each robot");
        let rows = actions.chunks_exact(self.action_dim);
        for (entries, action) in self.entries.iter_mut().zip(rows) {
            // Two or three numbers: a call to copy memory would cost more than they do.
            *entries = std::array::from_fn(|i| action.get(i).copied().unwrap_or(0.0));
            for &entry in action {
                self.actions.push(entry);
            }
        }
        if self.world.steps() < self.hold_steps {
            self.world.brake();
        } else {
            self.world.step(&self.entries);
        }
        let is_non_finite = !self.world.is_finite();
        let is_timeout = self.world.steps() >= self.time_limit;
        for (robot, (agent, step)) in self.agents.iter_mut().zip(steps).enumerate() {
            if agent.outcome.is_some() {
                *step = StepResult::INACTIVE;
                continue;
            }
            let ego = self.world.ego(robot);
            *step = agent.step(ego, self.entries[robot], is_non_finite, is_timeout);
            if step.outcome.is_some() && robots > 1 {
                self.world.deactivate(robot);
            }
        }
    }

    /// Whether every robot's part has ended, and with them the episode.
    pub fn is_over(&self) -> bool {
        self.agents.iter().all(|agent| agent.outcome.is_some())
    }

    /// How a robot's part in the episode ended, if it has.
    ///
    /// # Panics
    /// If there is no such robot; so do the other methods that name one.
    pub fn outcome(&self, robot: usize) -> Option<Outcome> {
        self.agents[robot].outcome
    }

    /// How the episode ended, if it is over: see [`Outcome::of_episode`].
    pub fn episode_outcome(&self) -> Option<Outcome> {
        Outcome::of_episode(self.agents.iter().map(|agent| agent.outcome))
    }

    /// How many robots there are.
    pub fn robot_count(&self) -> usize {
        self.agents.len()
    }

    /// Writes the observation of the only or first robot, `[obs]`.
    ///
    /// # Panics
    /// If `out` is shorter than [`ObsLayout::dim`].
    pub fn observe(&self, out: &mut [f32]) {
        self.observe_robot(0, out);
    }

    /// Writes the observation of a robot, `[obs]`.
    ///
    /// # Panics
    /// If `out` is shorter than [`ObsLayout::dim`].
    pub fn observe_robot(&self, robot: usize, out: &mut [f32]) {
        self.agents[robot].observe(self.world.ego(robot), out);
    }

    /// Where each block of the observation lies.
    pub fn obs_layout(&self) -> &Arc<ObsLayout> {
        &self.obs_layout
    }

    /// Length of one robot's action.
    pub fn action_dim(&self) -> usize {
        self.action_dim
    }

    /// Writes what viewers, recorders and evaluations see.
    pub fn snapshot(&self, frame: &mut WorldSnapshot) {
        self.world.snapshot(frame);
    }

    /// The episode's layout.
    pub fn layout(&self) -> &Layout {
        self.world.layout()
    }

    /// The scenario.
    pub fn scenario(&self) -> &Arc<Scenario> {
        &self.scenario
    }

    /// Number of the episode.
    pub fn episode(&self) -> u64 {
        self.key.episode
    }

    /// A number for a robot's part in the episode that no other part has: what an actor draws is
    /// keyed by it, so that two robots of a world do not draw alike. Alone it is the episode's.
    pub fn episode_id(&self, robot: usize) -> u64 {
        episode_id(self.key.episode, robot, self.agents.len())
    }

    /// Control steps since the episode began.
    pub fn steps(&self) -> u32 {
        self.world.steps()
    }

    /// Control steps that a robot took part in.
    pub fn robot_steps(&self, robot: usize) -> u32 {
        self.agents[robot].steps
    }

    /// Undiscounted sum of the rewards so far of the only or first robot.
    pub fn episode_return(&self) -> f64 {
        self.robot_return(0)
    }

    /// Undiscounted sum of a robot's rewards so far.
    pub fn robot_return(&self, robot: usize) -> f64 {
        self.agents[robot].episode_return
    }

    /// `[robots]`: undiscounted sum of each one's rewards so far.
    pub fn returns(&self) -> Vec<f64> {
        let agents = self.agents.iter();
        agents.map(|agent| agent.episode_return).collect()
    }

    /// Position of the only or first robot's centre, metres.
    pub fn position(&self) -> Point2<f32> {
        self.robot_position(0)
    }

    /// Position of a robot's centre, metres.
    pub fn robot_position(&self, robot: usize) -> Point2<f32> {
        self.world.ego(robot).position()
    }

    /// Bits of the robots' and the movers' state: equal for equal trajectories.
    pub fn state_bits(&self) -> Vec<u32> {
        let mut frame = WorldSnapshot::default();
        self.snapshot(&mut frame);
        let robots = frame.robots.iter().enumerate().flat_map(|(index, robot)| {
            let pose = self.world.ego(index).pose();
            [pose.x, pose.y, pose.cos, pose.sin, robot.speed_mps]
        });
        let movers = frame.movers.iter().flat_map(|m| m.position);
        robots.chain(movers).map(f32::to_bits).collect()
    }

    /// A hash of [`Self::state_bits`], to tell trajectories apart by (FNV-1a).
    pub fn state_hash(&self) -> u64 {
        let bytes = self.state_bits().into_iter().flat_map(u32::to_le_bytes);
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        })
    }

    /// The state as (episode, actions so far).
    pub fn state(&self) -> EnvState {
        EnvState {
            episode: self.key.episode,
            actions: self.actions.clone(),
        }
    }

    /// Goes to a saved state by simulating it again.
    ///
    /// # Errors
    /// If the actions are not whole steps, or go on beyond an episode's end.
    pub fn restore(&mut self, state: &EnvState) -> Result<(), String> {
        let width = self.action_dim * self.agents.len();
        if !state.actions.len().is_multiple_of(width) {
            return Err(format!(
                "{} numbers are not whole actions",
                state.actions.len()
            ));
        }
        self.reset(state.episode);
        let mut steps = vec![StepResult::INACTIVE; self.agents.len()];
        for (step, actions) in state.actions.chunks_exact(width).enumerate() {
            self.step_all(actions, &mut steps);
            if let (true, Some(outcome)) = (self.is_over(), self.outcome(0)) {
                return Err(format!(
                    "episode {} ended at step {step} ({}) where the saved one went on; it was saved by another build or for another scenario",
                    state.episode,
                    outcome.name(),
                ));
            }
        }
        Ok(())
    }
}
