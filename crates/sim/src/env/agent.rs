//! One robot of an environment: what it sees, what it is paid, and how its part ended.

use std::sync::Arc;

use nalgebra::Point2;

use super::Outcome;
use super::nav::StepResult;
use super::observe::ObservationBuilder;
use super::reward::{RewardInput, reward_terms};
use crate::scenario::spec::ProgressMetric;
use crate::scenario::{GoalDistanceField, LayoutSampler, Scenario};
use crate::sim::{Action, ContactKind, Ego};

/// A robot with its task.
pub(super) struct Agent {
    scenario: Arc<Scenario>,
    observation_builder: ObservationBuilder,
    /// Ways to the goal, where progress along them is rewarded.
    field: Option<GoalDistanceField>,
    /// The distance to the goal whose shrinking is rewarded, metres.
    distance_left: f32,
    /// Undiscounted sum of its rewards so far.
    pub(super) episode_return: f64,
    /// How its part in the episode ended, if it has.
    pub(super) outcome: Option<Outcome>,
    /// Control steps that it took part in.
    pub(super) steps: u32,
}

impl Agent {
    /// One without an episode.
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

    /// Begins an episode; `robot` is its place in the layout, which `sampler` drew last.
    pub(super) fn reset(&mut self, ego: Ego, robot: usize, sampler: &LayoutSampler) {
        self.observation_builder.reset(ego);
        if let Some(field) = &mut self.field {
            sampler.fill_goal_distances(ego.layout(), robot, field);
        }
        self.distance_left = distance_to_goal(ego);
        self.distance_left = self.measure_distance_left(ego, self.distance_left);
        self.episode_return = 0.0;
        self.outcome = None;
        self.steps = 0;
    }

    /// Takes the control step that was just made; `is_non_finite` says that the world is no longer
    /// finite, `is_timeout` that time is up.
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
        let touch = ego.contact();
        let ends = touch.filter(|_| self.scenario.spec.task.contact_ends_episode);
        let outcome = if is_non_finite {
            Some(Outcome::NonFinite)
        } else if !ego.layout().arena.contains(ego.position(), 0.0) {
            Some(Outcome::OutOfBounds)
        } else if ends == Some(ContactKind::Mover) {
            Some(Outcome::CollisionMover)
        } else if ends == Some(ContactKind::Static) {
            Some(Outcome::CollisionStatic)
        } else if distance <= ego.placement().goal_radius {
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
                contact: touch.is_some(),
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

    /// Writes the observation, `[obs]`.
    pub(super) fn observe(&self, ego: Ego, out: &mut [f32]) {
        self.observation_builder.observe(ego, out);
    }

    /// The distance to the goal whose shrinking is rewarded, where `line` is the straight one. What
    /// cannot be told (no way leads by here, or the robot is nowhere) is as it was.
    fn measure_distance_left(&self, ego: Ego, line: f32) -> f32 {
        match &self.field {
            _ if !line.is_finite() => self.distance_left,
            None => line,
            Some(field) => field
                .distance_at(ego.position())
                .unwrap_or(self.distance_left),
        }
    }

    /// The clearance that the reward is about: see `ClearanceRewardSpec`.
    fn clearance(&self, ego: Ego) -> f32 {
        if self.scenario.spec.reward.clearance.scale == 0.0 {
            return f32::INFINITY;
        }
        let robot = ego.placement();
        if robot.footprint.is_some() || !ego.has_ideal_lidar() {
            let clearance = ego.clearance();
            return clearance.fixed.min(clearance.mover);
        }
        let readings = ego.ranges().iter().copied();
        readings.fold(f32::INFINITY, f32::min) - robot.radius
    }
}

fn distance_to_goal(ego: Ego) -> f32 {
    let position: Point2<f32> = ego.position();
    (ego.placement().goal - position).norm()
}
