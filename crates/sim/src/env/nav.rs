//! One environment: a world, and a task for each robot in it. Its state is the seed, the episode
//! and the actions so far; simulating these again restores it bit for bit.

use std::sync::Arc;

use nalgebra::Point2;
use smallvec::SmallVec;

use super::agent::{Agent, StepResult};
use super::observe::{action_dim, obs_layout};
use super::{EnvState, LEVEL_ENV, ObsLayout, Outcome};
use crate::hash::fnv1a_64;
use crate::scenario::{EpisodeKey, Layout, LayoutSampler, PlacementError, Scenario};
use crate::seed::{RootSeed, Split};
use crate::sim::{Action, World, WorldSnapshot};

/// An entry of an action, clamped to [-1, 1]; NaN becomes 0.
#[inline]
fn clamp_entry(entry: f32) -> f32 {
    if entry.is_nan() {
        0.0
    } else {
        entry.clamp(-1.0, 1.0)
    }
}

/// See [`NavEnv::episode_id`].
pub fn episode_id(episode: u64, robot: usize, robots: usize) -> u64 {
    episode * robots as u64 + robot as u64
}

/// One navigation environment. Each robot has its own goal, outcome and reward. A robot whose part
/// of the episode has ended is *inactive*: it stays where it is, as an obstacle that the others see
/// and may hit, until the parts of all robots have ended, which ends the episode.
///
/// [`step`](Self::step), [`observe`](Self::observe), [`position`](Self::position) and
/// [`episode_return`](Self::episode_return) are for environments with one robot.
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
    /// Control steps at the start of an episode in which the robots brake, whatever the actions.
    hold_steps: u32,
    /// Whether the layout is that of episode 0, because that of the episode could not be placed.
    is_replaced: bool,
    /// `[steps, robots, act]`, flat.
    actions: Vec<f32>,
    /// Scratch, `[robots]`: the actions of one step.
    step_actions: SmallVec<[Action; 1]>,
}

impl NavEnv {
    /// An environment at the start of its episode 0.
    ///
    /// # Errors
    /// If the layout of that episode cannot be placed.
    pub fn new(
        scenario: Arc<Scenario>,
        root: RootSeed,
        split: Split,
        env: u64,
    ) -> Result<Self, PlacementError> {
        let world = World::new(&scenario);
        let task = &scenario.spec.task;
        let time_limit = task.time_limit_steps();
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
            hold_steps: task.hold_steps(),
            agents: (0..robots).map(|_| Agent::new(&scenario)).collect(),
            actions: Vec::with_capacity(time_limit as usize * robots * action_dim),
            step_actions: SmallVec::from_elem(Action::default(), robots),
            action_dim,
            is_replaced: false,
            scenario,
        };
        this.try_reset(0)?;
        Ok(this)
    }

    /// Plays levels from the next reset on: episodes that all environments share. See
    /// [`super::LevelPlan`].
    pub(super) fn play_levels(&mut self) {
        self.key.env = LEVEL_ENV;
    }

    /// Starts an episode.
    ///
    /// A crowded scenario may fail to place a few of its episodes; they are drawn again: see
    /// [`LayoutSampler::sample`]. If that fails too, which takes a scenario in which hardly any
    /// episode can be placed, the environment plays the layout of its episode 0, which was placed
    /// when it was made. [`Self::was_redrawn`] tells both.
    ///
    /// # Panics
    /// If episode 0 cannot be placed again, which would be a bug.
    pub fn reset(&mut self, episode: u64) {
        if self.try_reset(episode).is_err() {
            self.try_reset(0)
                .expect("the first episode was placed when the environment was made");
            self.key.episode = episode;
            self.is_replaced = true;
        }
    }

    /// Whether the layout is not the first that was drawn for the episode, because that could not be
    /// placed.
    pub fn was_redrawn(&self) -> bool {
        self.is_replaced || self.layout().redraws > 0
    }

    /// Starts an episode.
    ///
    /// # Errors
    /// If the episode cannot be placed. The environment must then be reset before the next step.
    pub fn try_reset(&mut self, episode: u64) -> Result<(), PlacementError> {
        self.key.episode = episode;
        self.is_replaced = false;
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

    /// One control step of an environment with one robot.
    ///
    /// `action` is `[act]`, with entries in [-1, 1]; the scenario's drive defines what they mean.
    /// Entries outside are clamped, and NaN counts as 0. After an outcome the environment must be
    /// reset.
    ///
    /// # Panics
    /// If `action` is not [`NavEnv::action_dim`] long, or there are several robots.
    pub fn step(&mut self, action: &[f32]) -> StepResult {
        let mut step = [StepResult::INACTIVE];
        self.step_all(action, &mut step);
        step[0]
    }

    /// One control step of all robots: reads `actions`, `[robots, act]`, as [`Self::step`] does,
    /// and writes `steps`, `[robots]`. The actions of inactive robots are ignored. Once
    /// [`Self::is_over`] is true the environment must be reset.
    ///
    /// # Panics
    /// If a slice has another length.
    pub fn step_all(&mut self, actions: &[f32], steps: &mut [StepResult]) {
        let robots = self.agents.len();
        assert_eq!(
            actions.len(),
            robots * self.action_dim,
            "an action for each robot"
        );
        assert_eq!(steps.len(), robots, "a result for each robot");
        let rows = actions.chunks_exact(self.action_dim);
        for (entries, action) in self.step_actions.iter_mut().zip(rows) {
            // Loops over two or three numbers, which are cheaper than a call of memcpy.
            *entries = std::array::from_fn(|i| action.get(i).map_or(0.0, |&a| clamp_entry(a)));
            for &entry in action {
                self.actions.push(entry);
            }
        }
        let is_held = self.world.steps() < self.hold_steps;
        self.world
            .step((!is_held).then_some(&self.step_actions[..]));
        let is_non_finite = !self.world.is_finite();
        let is_timeout = self.world.steps() >= self.time_limit;
        for (robot, (agent, step)) in self.agents.iter_mut().zip(steps).enumerate() {
            if agent.outcome.is_some() {
                *step = StepResult::INACTIVE;
                continue;
            }
            let ego = self.world.ego(robot);
            *step = agent.step(ego, self.step_actions[robot], is_non_finite, is_timeout);
            if step.outcome.is_some() && robots > 1 {
                self.world.deactivate(robot);
            }
        }
    }

    /// Whether the episode is over: the parts of all robots have ended.
    pub fn is_over(&self) -> bool {
        self.agents.iter().all(|agent| agent.outcome.is_some())
    }

    /// How a robot's part of the episode ended, if it has.
    ///
    /// # Panics
    /// If there is no such robot. The other methods that take a robot panic too.
    pub fn outcome(&self, robot: usize) -> Option<Outcome> {
        self.agents[robot].outcome
    }

    /// How the episode ended, if it is over: see [`Outcome::of_episode`].
    pub fn episode_outcome(&self) -> Option<Outcome> {
        Outcome::of_episode(self.agents.iter().map(|agent| agent.outcome))
    }

    /// Number of robots.
    pub fn robot_count(&self) -> usize {
        self.agents.len()
    }

    /// Writes the observation of robot 0, `[obs]`.
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
        let ego = self.world.ego(robot);
        self.agents[robot].observation_builder.observe(ego, out);
    }

    /// Writes the observation of each robot, `[robots, obs]`, and whether its part of the episode has
    /// ended, `[robots]`.
    pub(super) fn observe_all(&self, obs: &mut [f32], inactive: &mut [bool]) {
        let rows = obs.chunks_exact_mut(obs.len() / self.agents.len());
        for ((robot, agent), (row, inactive)) in
            self.agents.iter().enumerate().zip(rows.zip(inactive))
        {
            agent
                .observation_builder
                .observe(self.world.ego(robot), row);
            *inactive = agent.outcome.is_some();
        }
    }

    /// Layout of one robot's observation.
    pub fn obs_layout(&self) -> &Arc<ObsLayout> {
        &self.obs_layout
    }

    /// Length of one robot's action.
    pub fn action_dim(&self) -> usize {
        self.action_dim
    }

    /// Writes the state of the world for viewers, recorders and evaluations.
    pub fn snapshot(&self, snapshot: &mut WorldSnapshot) {
        self.world.snapshot(snapshot);
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

    /// A number that identifies the episode and the robot. Controllers key their random draws by
    /// it, so that the robots of a world draw different numbers. With one robot it is the episode's
    /// number.
    pub fn episode_id(&self, robot: usize) -> u64 {
        episode_id(self.key.episode, robot, self.agents.len())
    }

    /// Control steps since the episode began.
    pub fn steps(&self) -> u32 {
        self.world.steps()
    }

    /// Control steps in which a robot was active.
    pub fn robot_steps(&self, robot: usize) -> u32 {
        self.agents[robot].steps
    }

    /// Undiscounted sum of the rewards of robot 0 so far.
    pub fn episode_return(&self) -> f64 {
        self.robot_return(0)
    }

    /// Undiscounted sum of the rewards of a robot so far.
    pub fn robot_return(&self, robot: usize) -> f64 {
        self.agents[robot].episode_return
    }

    /// `[robots]`: undiscounted sum of the rewards of each robot so far.
    pub fn returns(&self) -> Vec<f64> {
        let agents = self.agents.iter();
        agents.map(|agent| agent.episode_return).collect()
    }

    /// Position of the origin of robot 0, metres.
    pub fn position(&self) -> Point2<f32> {
        self.robot_position(0)
    }

    /// Position of the origin of a robot, metres.
    pub fn robot_position(&self, robot: usize) -> Point2<f32> {
        self.world.ego(robot).position()
    }

    /// Bits of the poses and speeds of the robots and the positions of the movers.
    pub fn state_bits(&self) -> Vec<u32> {
        let mut snapshot = WorldSnapshot::default();
        self.snapshot(&mut snapshot);
        let robots = snapshot
            .robots
            .iter()
            .enumerate()
            .flat_map(|(index, robot)| {
                let pose = self.world.ego(index).pose();
                [pose.x, pose.y, pose.cos, pose.sin, robot.speed_mps]
            });
        let movers = snapshot.movers.iter().flat_map(|m| m.position);
        robots.chain(movers).map(f32::to_bits).collect()
    }

    /// A hash of [`Self::state_bits`] (FNV-1a, 64 bits).
    pub fn state_hash(&self) -> u64 {
        let bytes = self.state_bits().into_iter().flat_map(u32::to_le_bytes);
        fnv1a_64(bytes)
    }

    /// The state to continue from.
    pub fn state(&self) -> EnvState {
        EnvState {
            episode: self.key.episode,
            actions: self.actions.clone(),
        }
    }

    /// Restores a saved state by simulating it again.
    ///
    /// # Errors
    /// If the actions are not whole steps, or continue beyond the end of the episode.
    pub fn restore(&mut self, state: &EnvState) -> Result<(), String> {
        let width = self.action_dim * self.agents.len();
        if !state.actions.len().is_multiple_of(width) {
            return Err(format!(
                "{} numbers are not a whole number of steps",
                state.actions.len()
            ));
        }
        self.reset(state.episode);
        let mut steps = vec![StepResult::INACTIVE; self.agents.len()];
        for (step, actions) in state.actions.chunks_exact(width).enumerate() {
            self.step_all(actions, &mut steps);
            if let (true, Some(outcome)) = (self.is_over(), self.outcome(0)) {
                return Err(format!(
                    "episode {} ended at step {step} ({}), but the saved one continued; it was saved by another build or for another scenario",
                    state.episode,
                    outcome.name(),
                ));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_clamped_and_nan_is_zero() {
        let entries = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 0.25];
        let clamped = [0.0_f32, 1.0, -1.0, -1.0, 0.25];
        assert_eq!(
            entries.map(|entry| clamp_entry(entry).to_bits()),
            clamped.map(f32::to_bits)
        );
    }
}
