//! One environment: a world, a task and a robot to be driven. Its state is (seed, episode,
//! actions so far); simulating them again restores it.

use std::sync::Arc;

use nalgebra::Point2;

use super::reward::{TERMS, Transition, reward_terms};
use super::{EnvState, ObsLayout, Outcome};
use crate::scenario::spec::ObservationBlock;
use crate::scenario::{EpisodeKey, Layout, LayoutSampler, PlacementError, Scenario};
use crate::seed::{Root, Split};
use crate::sim::{ACTIONS, CONTACT_DISTANCE, Frame, Twist, World};

/// Metres that count as 1 in the goal block.
pub const GOAL_SCALE_M: f32 = 10.0;

/// Reading that counts as one half in the lidar block, metres. A linear scale would spend most of
/// its span on walls that are far away, where a robot among obstacles needs centimetres.
pub const LIDAR_HALF_M: f32 = 0.5;

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
    time_limit: u32,
    /// Control steps at the start in which the robot stands, whatever the actions.
    hold: u32,
    /// Control steps at the start whose observation shows the goal.
    goal_shown: u32,
    previous_action: [f32; ACTIONS],
    goal_distance: f32,
    /// `[steps, ACTIONS]`, flat.
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
        let shown = scenario.spec.observation.goal_shown_secs;
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
            goal_shown: shown.map_or(u32::MAX, |secs| steps(secs).max(1)),
            previous_action: [0.0; ACTIONS],
            goal_distance: 0.0,
            actions: Vec::with_capacity(time_limit as usize * ACTIONS),
            episode_return: 0.0,
            scenario,
        };
        this.try_begin(0)?;
        Ok(this)
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
            .begin(|layout| sampler.sample(scenario, *key, layout))?;
        self.previous_action = [0.0; ACTIONS];
        self.goal_distance = self.distance_to_goal();
        self.actions.clear();
        self.episode_return = 0.0;
        Ok(())
    }

    /// One control step. `action` lies in [-1, 1]²: see [`Twist::from_action`].
    ///
    /// # Panics
    /// If `action` is not of length [`ACTIONS`].
    pub fn step(&mut self, action: &[f32]) -> Step {
        let action =
            <[f32; ACTIONS]>::try_from(action).expect("a differential drive has two actions");
        self.actions.extend(action);
        if self.world.steps() < self.hold {
            self.world.hold();
        } else {
            self.world.step(action);
        }
        self.previous_action = action.map(|a| if a.is_nan() { 0.0 } else { a.clamp(-1.0, 1.0) });
        let distance = self.distance_to_goal();
        let clearance = self.world.clearance();
        let contact = clearance.fixed.min(clearance.mover) < CONTACT_DISTANCE;
        let outcome = self.outcome(distance, contact, clearance.mover < clearance.fixed);
        let terms = reward_terms(
            &self.scenario.spec.reward,
            &Transition {
                distance_before: self.goal_distance,
                distance_after: if distance.is_finite() {
                    distance
                } else {
                    self.goal_distance
                },
                contact,
                clearance_m: self.shortest_reading() - self.world.robot().radius,
                outcome,
            },
        );
        self.goal_distance = distance;
        let reward = terms.iter().sum();
        self.episode_return += f64::from(reward);
        Step {
            reward,
            terms,
            outcome,
        }
    }

    fn outcome(&self, distance: f32, contact: bool, mover_is_nearer: bool) -> Option<Outcome> {
        let ends = contact && self.scenario.spec.task.contact_ends_episode;
        if !self.world.is_finite() {
            Some(Outcome::NonFinite)
        } else if !self
            .world
            .layout()
            .arena
            .contains(self.world.position(), 0.0)
        {
            Some(Outcome::OutOfBounds)
        } else if ends && mover_is_nearer {
            Some(Outcome::CollisionMover)
        } else if ends {
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

    fn shortest_reading(&self) -> f32 {
        if self.scenario.spec.reward.clearance.scale == 0.0 {
            return f32::INFINITY;
        }
        self.world
            .ranges()
            .iter()
            .copied()
            .fold(f32::INFINITY, f32::min)
    }

    /// Writes the observation, `[obs]`.
    ///
    /// # Panics
    /// If `out` is shorter than [`ObsLayout::dim`].
    pub fn observe(&self, out: &mut [f32]) {
        let mut rest = out;
        for block in &self.scenario.spec.observation.blocks {
            let (here, after) = rest.split_at_mut(self.block_len(*block));
            self.observe_block(*block, here);
            rest = after;
        }
    }

    fn block_len(&self, block: ObservationBlock) -> usize {
        block_len(block, &self.scenario)
    }

    fn observe_block(&self, block: ObservationBlock, out: &mut [f32]) {
        let robot = self.world.robot();
        match block {
            ObservationBlock::Lidar => {
                for (out, range) in out.iter_mut().zip(self.world.ranges()) {
                    *out = range / (range + LIDAR_HALF_M);
                }
            }
            ObservationBlock::Velocity => {
                let Twist { speed, turn_rate } = self.world.twist();
                out[0] = speed / robot.drive.max_speed;
                out[1] = turn_rate / robot.drive.max_turn_rate;
            }
            ObservationBlock::Goal if self.world.steps() >= self.goal_shown => out.fill(0.0),
            ObservationBlock::Goal => {
                let pose = self.world.pose();
                let offset = robot.goal - self.world.position();
                let distance = offset.norm();
                let scale = if distance > 0.0 { 1.0 / distance } else { 0.0 };
                out[0] = distance / GOAL_SCALE_M;
                out[1] = (offset.x * pose.cos + offset.y * pose.sin) * scale;
                out[2] = (offset.y * pose.cos - offset.x * pose.sin) * scale;
            }
            ObservationBlock::PreviousAction => out.copy_from_slice(&self.previous_action),
        }
    }

    /// Where each block of the observation lies.
    pub fn obs_layout(&self) -> &Arc<ObsLayout> {
        &self.obs_layout
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
        if !state.actions.len().is_multiple_of(ACTIONS) {
            return Err(format!(
                "{} numbers are not whole actions",
                state.actions.len()
            ));
        }
        self.reset(state.episode);
        for (step, action) in state.actions.chunks_exact(ACTIONS).enumerate() {
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

fn block_len(block: ObservationBlock, scenario: &Scenario) -> usize {
    match block {
        ObservationBlock::Lidar => scenario.spec.robot[0].lidar.beams as usize,
        ObservationBlock::Velocity => 2,
        ObservationBlock::Goal => 3,
        ObservationBlock::PreviousAction => ACTIONS,
    }
}

/// Where each block of a scenario's observation lies.
pub fn obs_layout(scenario: &Scenario) -> ObsLayout {
    let mut first = 0;
    let blocks = scenario
        .spec
        .observation
        .blocks
        .iter()
        .map(|&block| {
            let name = match block {
                ObservationBlock::Lidar => "lidar",
                ObservationBlock::Velocity => "velocity",
                ObservationBlock::Goal => "goal",
                ObservationBlock::PreviousAction => "previous_action",
            };
            let length = block_len(block, scenario);
            first += length;
            (name.to_owned(), first - length, length)
        })
        .collect();
    ObsLayout { blocks }
}
