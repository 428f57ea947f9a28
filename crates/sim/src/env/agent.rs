//! One robot of an environment: what it sees, what it is paid, and how its part ended.

use std::sync::Arc;

use nalgebra::Point2;

use super::Outcome;
use super::nav::Step;
use super::observe::Observer;
use super::reward::{Transition, reward_terms};
use crate::scenario::spec::ProgressSpec;
use crate::scenario::{GoalField, LayoutSampler, Scenario};
use crate::sim::{Action, Ego, Touch};

/// A robot with its task.
pub(super) struct Agent {
    scenario: Arc<Scenario>,
    observer: Observer,
    /// Ways to the goal, where progress along them is rewarded.
    field: Option<GoalField>,
    /// The distance to the goal whose shrinking is rewarded, metres.
    way_left: f32,
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
            observer: Observer::new(scenario),
            field: (along == ProgressSpec::Path).then(GoalField::default),
            way_left: 0.0,
            episode_return: 0.0,
            outcome: None,
            steps: 0,
        }
    }

    /// Begins an episode; `robot` is its place in the layout, which `sampler` drew last.
    pub(super) fn begin(&mut self, ego: Ego, robot: usize, sampler: &LayoutSampler) {
        self.observer.begin(ego);
        if let Some(field) = &mut self.field {
            sampler.field(ego.layout(), robot, field);
        }
        self.way_left = distance_to_goal(ego);
        self.way_left = self.measure_way(ego, self.way_left);
        self.episode_return = 0.0;
        self.outcome = None;
        self.steps = 0;
    }

    /// Takes the control step that was just made; `is_lost` says that the world is no longer
    /// finite, `is_late` that time is up.
    pub(super) fn step(&mut self, ego: Ego, action: Action, is_lost: bool, is_late: bool) -> Step {
        self.steps += 1;
        self.observer.step(ego, action);
        let distance = distance_to_goal(ego);
        let touch = ego.touch();
        let ends = touch.filter(|_| self.scenario.spec.task.contact_ends_episode);
        let outcome = if is_lost {
            Some(Outcome::NonFinite)
        } else if !ego.layout().arena.contains(ego.position(), 0.0) {
            Some(Outcome::OutOfBounds)
        } else if ends == Some(Touch::Mover) {
            Some(Outcome::CollisionMover)
        } else if ends == Some(Touch::Fixed) {
            Some(Outcome::CollisionStatic)
        } else if distance <= ego.placement().goal_radius {
            Some(Outcome::Goal)
        } else if is_late {
            Some(Outcome::TimeLimit)
        } else {
            None
        };
        let way_left = self.measure_way(ego, distance);
        let terms = reward_terms(
            &self.scenario.spec.reward,
            &Transition {
                progress: self.way_left - way_left,
                contact: touch.is_some(),
                clearance_m: self.clearance(ego),
                outcome,
            },
        );
        self.way_left = way_left;
        self.outcome = outcome;
        let reward = terms.iter().sum();
        self.episode_return += f64::from(reward);
        Step {
            reward,
            terms,
            outcome,
        }
    }

    /// Writes the observation, `[obs]`.
    pub(super) fn observe(&self, ego: Ego, out: &mut [f32]) {
        self.observer.observe(ego, out);
    }

    /// The distance to the goal whose shrinking is rewarded, where `line` is the straight one. What
    /// cannot be told (no way leads by here, or the robot is nowhere) is as it was.
    fn measure_way(&self, ego: Ego, line: f32) -> f32 {
        match &self.field {
            _ if !line.is_finite() => self.way_left,
            None => line,
            Some(field) => field.at(ego.position()).unwrap_or(self.way_left),
        }
    }

    /// The clearance that the reward is about: see `ClearanceRewardSpec`.
    fn clearance(&self, ego: Ego) -> f32 {
        if self.scenario.spec.reward.clearance.scale == 0.0 {
            return f32::INFINITY;
        }
        let robot = ego.placement();
        if robot.hull.is_some() || !ego.reads_plainly() {
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
