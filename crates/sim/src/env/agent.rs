//! The task of one robot of an environment: its observation, its rewards, and how its part of the
//! episode ended.

use std::sync::Arc;

use nalgebra::Point2;

use super::Outcome;
use super::observe::ObservationBuilder;
use super::reward::{REWARD_TERMS, RewardInput, reward_terms};
use crate::scenario::spec::ProgressMetric;
use crate::scenario::{GoalDistanceField, LayoutSampler, Scenario};
use crate::sim::{Action, Ego, StaticOrMoving};

/// The result of one control step for one robot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Sum of the terms.
    pub reward: f32,
    /// The named reward terms, in the order of [`super::REWARD_TERM_NAMES`].
    pub terms: [f32; REWARD_TERMS],
    /// How the robot's part in the episode ended, if this step ended it.
    pub outcome: Option<Outcome>,
}

impl StepResult {
    /// The result for an inactive robot.
    pub const INACTIVE: Self = Self {
        reward: 0.0,
        terms: [0.0; REWARD_TERMS],
        outcome: None,
    };
}

/// A robot with its task.
pub(super) struct Agent {
    scenario: Arc<Scenario>,
    pub(super) observation_builder: ObservationBuilder,
    /// Lengths of the shortest paths to the goal, if the reward counts progress along the path.
    field: Option<GoalDistanceField>,
    /// Distance to the goal as the progress term counts it, metres.
    distance_left: f32,
    /// Undiscounted sum of the rewards so far.
    pub(super) episode_return: f64,
    /// How the robot's part of the episode ended, if it has.
    pub(super) outcome: Option<Outcome>,
    /// Control steps in which the robot was active.
    pub(super) steps: u32,
}

impl Agent {
    /// An agent that must be reset before its first step.
    pub(super) fn new(scenario: &Arc<Scenario>) -> Self {
        let along = scenario.spec.reward.progress_along;
        Self {
            scenario: Arc::clone(scenario),
            observation_builder: ObservationBuilder::new(scenario),
            field: (along == ProgressMetric::Path).then(GoalDistanceField::default),
            distance_left: 0.0,
            episode_return: 0.0,
            outcome: None,
            steps: 0,
        }
    }

    /// Starts an episode. `robot` is the robot's index in the layout, which must be the last that
    /// `sampler` drew.
    pub(super) fn reset(&mut self, ego: Ego, robot: usize, sampler: &LayoutSampler) {
        self.observation_builder.reset(ego);
        if let Some(field) = &mut self.field {
            sampler.fill_goal_distances(ego.layout(), robot, field);
        }
        let distance = distance_to_goal(ego);
        self.distance_left = distance;
        self.distance_left = self.measure_distance_left(ego, distance);
        self.episode_return = 0.0;
        self.outcome = None;
        self.steps = 0;
    }

    /// Takes the control step that the world has just made. `is_non_finite` says that the state of
    /// the world is not finite, `is_timeout` that the time limit is reached.
    pub(super) fn step(
        &mut self,
        ego: Ego,
        action: Action,
        is_non_finite: bool,
        is_timeout: bool,
    ) -> StepResult {
        self.steps += 1;
        self.observation_builder.step(ego, action);
        let distance = distance_to_goal(ego);
        let contact = ego.contact();
        let ends = contact.filter(|_| self.scenario.spec.task.contact_ends_episode);
        let outcome = if is_non_finite {
            Some(Outcome::NonFinite)
        } else if !ego.layout().arena.contains(ego.position(), 0.0) {
            Some(Outcome::OutOfBounds)
        } else if ends == Some(StaticOrMoving::Moving) {
            Some(Outcome::CollisionMover)
        } else if ends == Some(StaticOrMoving::Static) {
            Some(Outcome::CollisionStatic)
        } else if distance <= ego.parameters().goal_radius {
            Some(Outcome::Goal)
        } else if is_timeout {
            Some(Outcome::TimeLimit)
        } else {
            None
        };
        let distance_left = self.measure_distance_left(ego, distance);
        let terms = reward_terms(
            &self.scenario.spec.reward,
            &RewardInput {
                progress: self.distance_left - distance_left,
                contact: contact.is_some(),
                clearance_m: self.clearance(ego),
                outcome,
            },
        );
        self.distance_left = distance_left;
        self.outcome = outcome;
        let reward = terms.iter().sum();
        self.episode_return += f64::from(reward);
        StepResult {
            reward,
            terms,
            outcome,
        }
    }

    /// Distance to the goal as the progress term counts it, metres; `line` is the straight
    /// distance. It is unchanged where no path leads to the goal or the position is not finite.
    fn measure_distance_left(&self, ego: Ego, line: f32) -> f32 {
        match &self.field {
            _ if !line.is_finite() => self.distance_left,
            None => line,
            Some(field) => field
                .distance_at(ego.position())
                .unwrap_or(self.distance_left),
        }
    }

    /// The clearance of the reward, metres: see `ClearanceRewardSpec`.
    fn clearance(&self, ego: Ego) -> f32 {
        if self.scenario.spec.reward.clearance.scale == 0.0 {
            return f32::INFINITY;
        }
        let robot = ego.parameters();
        if robot.footprint.is_some() || !ego.has_ideal_lidar() {
            let clearance = ego.clearances();
            return clearance.fixed.min(clearance.mover);
        }
        let readings = ego.ranges().iter().copied();
        readings.fold(f32::INFINITY, f32::min) - robot.radius
    }
}

fn distance_to_goal(ego: Ego) -> f32 {
    let position: Point2<f32> = ego.position();
    (ego.parameters().goal - position).norm()
}
