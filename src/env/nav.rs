//! One environment: a world, a task and a robot to be driven. Its state is (seed, episode,
//! actions so far); simulating them again restores it.

use std::sync::Arc;

use nalgebra::Point2;

use super::observe::{Observer, action_dim, obs_layout};
use super::reward::{TERMS, Transition, reward_terms};
use super::{EnvState, LEVELS_OF, ObsLayout, Outcome};
use crate::scenario::spec::ProgressSpec;
use crate::scenario::{EpisodeKey, GoalField, Layout, LayoutSampler, PlacementError, Scenario};
use crate::seed::{Root, Split};
use crate::sim::{Action, Frame, Touch, World};

/// What one control step gave.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Sum of the terms.
    pub reward: f32,
    /// The named reward terms, in the order of [`super::TERM_NAMES`].
    pub terms: [f32; TERMS],
    /// How the episode ended, if it did. Nothing but [`NavEnv::reset`] may follow then.
    pub outcome: Option<Outcome>,
}

/// One navigation environment.
pub struct NavEnv {
    scenario: Arc<Scenario>,
    sampler: LayoutSampler,
    world: World,
    key: EpisodeKey,
    obs_layout: Arc<ObsLayout>,
    observer: Observer,
    /// Length of an action.
    action_dim: usize,
    time_limit: u32,
    /// Control steps at the start in which the robot stands, whatever the actions.
    hold: u32,
    /// Ways to the goal, where progress along them is rewarded.
    field: Option<GoalField>,
    /// The distance to the goal whose shrinking is rewarded, metres.
    way_left: f32,
    /// `[steps, act]`, flat.
    actions: Vec<f32>,
    episode_return: f64,
}

impl NavEnv {
    /// An environment at the beginning of its first episode.
    ///
    /// # Errors
    /// If that episode cannot be placed.
    pub fn new(
        scenario: Arc<Scenario>,
        root: Root,
        split: Split,
        env: u64,
    ) -> Result<Self, PlacementError> {
        let world = World::new(&scenario);
        let task = &scenario.spec.task;
        let steps = |secs: f64| (secs / task.control_step_secs).round() as u32;
        let time_limit = steps(task.time_limit_secs).max(1);
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
            hold: steps(task.hold_secs),
            field: (scenario.spec.reward.progress_along == ProgressSpec::Path)
                .then(GoalField::default),
            way_left: 0.0,
            actions: Vec::with_capacity(time_limit as usize * action_dim(&scenario)),
            action_dim: action_dim(&scenario),
            observer: Observer::new(&scenario),
            episode_return: 0.0,
            scenario,
        };
        this.try_begin(0)?;
        Ok(this)
    }

    /// From now on plays levels: the episodes that all environments share. See [`super::LevelPlan`].
    pub(super) fn play_levels(&mut self) {
        self.key.env = LEVELS_OF;
    }

    /// Begins the episode of this number.
    ///
    /// Should it be one of the few that a crowded scenario cannot place, the first episode of
    /// this environment, which was placed when it was made, is played in its stead.
    ///
    /// # Panics
    /// If that one cannot be placed either, though it once was: a bug.
    pub fn reset(&mut self, episode: u64) {
        if self.try_begin(episode).is_err() {
            self.try_begin(0)
                .expect("the first episode was placed when the environment was made");
            self.key.episode = episode;
        }
    }

    /// Begins the episode of this number.
    ///
    /// # Errors
    /// If it cannot be placed; the environment is then still to be reset.
    pub fn try_begin(&mut self, episode: u64) -> Result<(), PlacementError> {
        self.key.episode = episode;
        let Self {
            sampler,
            scenario,
            key,
            ..
        } = self;
        self.world
            .begin(*key, |layout| sampler.sample(scenario, *key, layout))?;
        self.observer.begin(&self.world);
        if let Some(field) = &mut self.field {
            self.sampler.field(self.world.layout(), field);
        }
        self.way_left = self.distance_to_goal();
        self.way_left = self.distance_to_goal();
        self.way_left = self.measure_way(self.way_left);
        self.actions.clear();
        self.episode_return = 0.0;
        Ok(())
    }

    /// One control step. `action` is in [-1, 1]ⁿ; what its entries mean is said where the
    /// scenario's drive is. Beyond the bounds they are clamped, and NaN counts as 0.
    ///
    /// # Panics
    /// If `action` is not of length [`NavEnv::action_dim`].
    pub fn step(&mut self, action: &[f32]) -> Step {
        assert_eq!(action.len(), self.action_dim, "an entry for each action");
        // Two or three numbers: a call to copy memory would cost more than they do.
        let entries: Action = std::array::from_fn(|i| action.get(i).copied().unwrap_or(0.0));
        for &entry in action {
            self.actions.push(entry);
        }
        if self.world.steps() < self.hold {
            self.world.hold();
        } else {
            self.world.step(entries);
        }
        self.observer.step(&self.world, entries);
        let distance = self.distance_to_goal();
        let touch = self.world.touch();
        let outcome = self.outcome(distance, touch);
        let way_left = self.measure_way(distance);
        let terms = reward_terms(
            &self.scenario.spec.reward,
            &Transition {
                progress: self.way_left - way_left,
                contact: touch.is_some(),
                clearance_m: self.clearance(),
                outcome,
            },
        );
        self.way_left = way_left;
        let reward = terms.iter().sum();
        self.episode_return += f64::from(reward);
        Step {
            reward,
            terms,
            outcome,
        }
    }

    fn outcome(&self, distance: f32, touch: Option<Touch>) -> Option<Outcome> {
        let touch = touch.filter(|_| self.scenario.spec.task.contact_ends_episode);
        if !self.world.is_finite() {
            Some(Outcome::NonFinite)
        } else if !self
            .world
            .layout()
            .arena
            .contains(self.world.position(), 0.0)
        {
            Some(Outcome::OutOfBounds)
        } else if touch == Some(Touch::Mover) {
            Some(Outcome::CollisionMover)
        } else if touch == Some(Touch::Fixed) {
            Some(Outcome::CollisionStatic)
        } else if distance <= self.world.robot().goal_radius {
            Some(Outcome::Goal)
        } else if self.world.steps() >= self.time_limit {
            Some(Outcome::TimeLimit)
        } else {
            None
        }
    }

    fn distance_to_goal(&self) -> f32 {
        (self.world.robot().goal - self.world.position()).norm()
    }

    /// The distance to the goal whose shrinking is rewarded, where `line` is the straight one. What
    /// cannot be told (no way leads by here, or the robot is nowhere) is as it was.
    fn measure_way(&self, line: f32) -> f32 {
        match &self.field {
            _ if !line.is_finite() => self.way_left,
            None => line,
            Some(field) => field.at(self.world.position()).unwrap_or(self.way_left),
        }
    }

    /// The clearance that the reward is about: see `ClearanceRewardSpec`.
    fn clearance(&self) -> f32 {
        if self.scenario.spec.reward.clearance.scale == 0.0 {
            return f32::INFINITY;
        }
        let robot = self.world.robot();
        if robot.hull.is_some() || !self.world.reads_plainly() {
            let clearance = self.world.clearance();
            return clearance.fixed.min(clearance.mover);
        }
        let readings = self.world.ranges().iter().copied();
        readings.fold(f32::INFINITY, f32::min) - robot.radius
    }

    /// Writes the observation, `[obs]`.
    ///
    /// # Panics
    /// If `out` is shorter than [`ObsLayout::dim`].
    pub fn observe(&self, out: &mut [f32]) {
        self.observer.observe(&self.world, out);
    }

    /// Where each block of the observation lies.
    pub fn obs_layout(&self) -> &Arc<ObsLayout> {
        &self.obs_layout
    }

    /// Length of an action.
    pub fn action_dim(&self) -> usize {
        self.action_dim
    }

    /// Writes what viewers, recorders and evaluations see.
    pub fn frame(&self, frame: &mut Frame) {
        self.world.frame(frame);
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

    /// Control steps since the episode began.
    pub fn steps(&self) -> u32 {
        self.world.steps()
    }

    /// Undiscounted sum of the episode's rewards so far.
    pub fn episode_return(&self) -> f64 {
        self.episode_return
    }

    /// Position of the robot's centre, metres.
    pub fn position(&self) -> Point2<f32> {
        self.world.position()
    }

    /// Bits of the robot's and the movers' state: equal for equal trajectories.
    pub fn state_bits(&self) -> Vec<u32> {
        let mut frame = Frame::default();
        self.frame(&mut frame);
        let pose = self.world.pose();
        let robot = [
            pose.x,
            pose.y,
            pose.cos,
            pose.sin,
            frame.robots[0].speed_mps,
        ];
        let movers = frame.movers.iter().flat_map(|m| m.position);
        robot.into_iter().chain(movers).map(f32::to_bits).collect()
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
        if !state.actions.len().is_multiple_of(self.action_dim) {
            return Err(format!(
                "{} numbers are not whole actions",
                state.actions.len()
            ));
        }
        self.reset(state.episode);
        for (step, action) in state.actions.chunks_exact(self.action_dim).enumerate() {
            if let Some(outcome) = self.step(action).outcome {
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
