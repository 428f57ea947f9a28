//! The task of one robot of an environment: its observation, its rewards, and how its part of the
//! episode ended.

use std::sync::Arc;

use nalgebra::Point2;

use super::Outcome;
use super::observe::ObservationBuilder;
use super::reward::{
    MAX_REWARD_TERMS, OptionalRewardInput, RewardInput, add_optional_terms, has_optional_terms,
    reward_terms,
};
use crate::scenario::spec::ProgressMetric;
use crate::scenario::{GoalDistanceField, LayoutSampler, Scenario};
use crate::sim::{Action, Ego, StaticOrMoving};

/// The result of one control step for one robot.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepResult {
    /// Sum of the terms.
    pub reward: f32,
    /// The named reward terms, in the order of [`super::reward_term_names`]; the rest is 0.
    pub terms: [f32; MAX_REWARD_TERMS],
    /// How the robot's part in the episode ended, if this step ended it.
    pub outcome: Option<Outcome>,
}

impl StepResult {
    /// The result for an inactive robot.
    pub const INACTIVE: Self = Self {
        reward: 0.0,
        terms: [0.0; MAX_REWARD_TERMS],
        outcome: None,
    };
}

/// What the optional reward terms need of earlier control steps.
#[derive(Clone, Copy, Debug, Default)]
struct OptionalTerms {
    /// Length of the shortest path to the goal, metres.
    path_left: f32,
    /// Speed along the heading, metres per second.
    speed: f32,
    /// Its change in the last control step, metres per second squared.
    acceleration: f32,
}

/// A robot with its task.
pub(super) struct Agent {
    scenario: Arc<Scenario>,
    pub(super) observation_builder: ObservationBuilder,
    /// Lengths of the shortest paths to the goal, if the reward counts progress along the path.
    field: Option<GoalDistanceField>,
    /// Absent where the reward has only the terms of every scenario.
    optional_terms: Option<OptionalTerms>,
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
        let reward = &scenario.spec.reward;
        let along_path = reward.progress_along == ProgressMetric::Path;
        let needs_field = along_path || reward.path_progress.is_some();
        Self {
            scenario: Arc::clone(scenario),
            observation_builder: ObservationBuilder::new(scenario),
            field: needs_field.then(GoalDistanceField::default),
            optional_terms: has_optional_terms(reward).then(OptionalTerms::default),
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
        if let Some(optional) = &mut self.optional_terms {
            let field = self.field.as_ref();
            *optional = OptionalTerms {
                path_left: field
                    .and_then(|field| field.distance_at(ego.position()))
                    .unwrap_or(0.0),
                ..OptionalTerms::default()
            };
        }
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
        let mut terms = reward_terms(
            &self.scenario.spec.reward,
            &RewardInput {
                progress: self.distance_left - distance_left,
                contact: contact.is_some(),
                clearance_m: self.clearance(ego),
                outcome,
            },
        );
        if self.optional_terms.is_some() && !is_non_finite {
            let input = self.optional_input(ego);
            add_optional_terms(&mut terms, &self.scenario.spec.reward, &input);
        }
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
        let along_path = self.scenario.spec.reward.progress_along == ProgressMetric::Path;
        match self.field.as_ref().filter(|_| along_path) {
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
        Self::sensed_clearance(ego)
    }

    /// What the optional terms read, after a control step whose numbers are finite.
    fn optional_input(&mut self, ego: Ego) -> OptionalRewardInput {
        let spec = &self.scenario.spec;
        let reward = &spec.reward;
        let dt_secs = spec.task.control_step_secs as f32;
        let (pose, motion) = (ego.pose(), ego.motion());
        let offset = ego.parameters().goal - ego.position();
        let ahead = offset.x * pose.cos + offset.y * pose.sin;
        let aside = offset.y * pose.cos - offset.x * pose.sin;
        let field = self.field.as_ref();
        let before = self.optional_terms.unwrap_or_default();
        let path = field.and_then(|field| field.distance_at(ego.position()));
        let now = OptionalTerms {
            path_left: path.unwrap_or(before.path_left),
            speed: motion.speed,
            acceleration: (motion.speed - before.speed) / dt_secs,
        };
        let input = OptionalRewardInput {
            heading_rad: libm::atan2f(aside, ahead).abs(),
            turn_rate_radps: motion.turn_rate.abs(),
            jerk_mps3: ((now.acceleration - before.acceleration) / dt_secs).abs(),
            mover_distance_m: match reward.mover_distance {
                Some(_) => ego.clearances().mover,
                None => f32::INFINITY,
            },
            clearance_m: match reward.near_obstacle {
                Some(_) => Self::sensed_clearance(ego),
                None => f32::INFINITY,
            },
            path_progress_m: before.path_left - now.path_left,
            dt_secs,
        };
        self.optional_terms = Some(now);
        input
    }

    /// The shortest lidar reading minus the robot's radius, or the true clearance: see
    /// `ClearanceRewardSpec`.
    fn sensed_clearance(ego: Ego) -> f32 {
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
