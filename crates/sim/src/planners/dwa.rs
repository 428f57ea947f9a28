//! The dynamic window approach (Fox, Burgard & Thrun 1997): of the speeds and turn rates that the
//! drive can reach within one step, and from which it can stop in time, takes the best by heading,
//! clearance and speed. The planner must read nothing but the observation, like a policy: lidar,
//! goal, velocity, and the path if the scenario has that block.

mod arc;
mod cover;
mod detour;
mod input;

use std::f32::consts::PI;

use nalgebra::Vector2;

use super::differential::DifferentialModel;
use super::error::PlannerError;
use super::per_env::PerEnv;
use crate::env::Controller;
use crate::scenario::Scenario;
use arc::FootprintDisc;
use cover::cover;
use detour::Detour;
use input::{DwaInput, ObservationReader};

/// Numbers of speeds and turn rates that are tried, from one edge of the window to the other.
const SPEEDS: usize = 5;
const TURN_RATES: usize = 11;

/// Margin around the robot, metres.
const MARGIN_M: f32 = 0.03;

/// Weights of heading, clearance and speed, which are each between 0 and 1 (α, β and γ of the
/// paper). Tuned on episodes of the shipped scenarios that are not reported.
const HEADING_WEIGHT: f32 = 1.0;
const CLEARANCE_WEIGHT: f32 = 0.3;
const SPEED_WEIGHT: f32 = 0.6;

/// Free distance beyond which all candidates are equal, as a multiple of the stopping distance from
/// full speed.
const LOOKAHEAD_STOPS: f32 = 2.0;
/// Smallest such free distance, metres.
const MIN_LOOKAHEAD_M: f32 = 1.5;

/// Below this speed a candidate turns in place, metres per second.
const TURN_IN_PLACE_MPS: f32 = 1e-3;

/// Below this speed the robot counts as standing, metres per second.
const STANDING_MPS: f32 = 0.05;

/// A planner by the dynamic window approach.
#[derive(Clone, Debug)]
pub struct DwaPlanner {
    drive: DifferentialModel,
    reader: ObservationReader,
    /// Discs that cover the robot and its margin.
    discs: Vec<FootprintDisc>,
    /// Radius of the circle that encloses the discs, metres.
    radius: f32,
    /// Free distance beyond which all candidates are equal, metres.
    lookahead: f32,
    states: PerEnv<DwaState>,
    input: DwaInput,
}

/// State of an episode.
#[derive(Clone, Debug, Default)]
struct DwaState {
    /// The goal in the robot's frame, metres, from the last observation that showed it and dead
    /// reckoning since.
    goal: Option<Vector2<f32>>,
    detour: Detour,
}

/// A speed and a turn rate with their score.
#[derive(Clone, Copy, Debug, PartialEq)]
struct VelocityCandidate {
    speed: f32,
    turn_rate: f32,
    score: f32,
}

impl DwaPlanner {
    /// A planner for the robots of a scenario.
    ///
    /// # Errors
    /// If the robot's drive is not differential, or the observation lacks lidar, goal or velocity.
    pub fn new(scenario: &Scenario) -> Result<Self, PlannerError> {
        let drive = DifferentialModel::of(scenario, "dwa")?;
        let stop = drive.stopping_distance(drive.max_speed);
        let discs = cover(&scenario.spec.robot[0].footprint, MARGIN_M);
        let reach = |disc: &FootprintDisc| disc.centre.norm() + disc.radius;
        Ok(Self {
            reader: ObservationReader::of(scenario, "dwa")?,
            radius: discs.iter().map(reach).fold(0.0, f32::max),
            discs,
            lookahead: (LOOKAHEAD_STOPS * stop).max(MIN_LOOKAHEAD_M),
            drive,
            states: PerEnv::new(),
            input: DwaInput::default(),
        })
    }

    /// The action for one observation, `[obs]`, of an environment.
    fn decide(&mut self, env: usize, observation: &[f32]) -> [f32; 2] {
        let bounds = [self.drive.max_speed, self.drive.max_turn_rate];
        let near = self.lookahead + self.radius;
        self.reader.read(observation, bounds, near, &mut self.input);
        let state = self.states.of(env);
        let turned = self.input.turn_rate * self.drive.dt_secs;
        let driven = arc::end(self.input.speed * self.drive.dt_secs, turned);
        let estimated = state.goal.map(|goal| rotated(goal - driven, -turned));
        let Some(goal) = self.input.goal.or(estimated) else {
            return self.drive.action(0.0, 0.0);
        };
        state.goal = Some(goal);
        if let Some(target) = self.input.path {
            let choice = self.choose(target);
            return self.drive.action(choice.speed, choice.turn_rate);
        }
        let free_distance = |bearing: f32| {
            free_distance_along(&self.input.points, &self.discs, bearing, self.lookahead)
        };
        let is_standing = self.input.speed < STANDING_MPS;
        let target = state.detour.target(
            goal,
            free_distance,
            self.lookahead,
            is_standing,
            self.drive.dt_secs,
        );
        let choice = self.choose(target);
        self.drive.action(choice.speed, choice.turn_rate)
    }

    /// The best candidate of the window; braking if no candidate can stop in time.
    fn choose(&self, target: Vector2<f32>) -> VelocityCandidate {
        let drive = &self.drive;
        let input = &self.input;
        let (change, turn_change) = (
            drive.max_accel * drive.dt_secs,
            drive.max_turn_accel * drive.dt_secs,
        );
        let slowest = (input.speed - change).max(0.0);
        let fastest = (input.speed + change).clamp(0.0, drive.max_speed);
        let bounded = |rate: f32| rate.clamp(-drive.max_turn_rate, drive.max_turn_rate);
        let (right, left) = (
            bounded(input.turn_rate - turn_change),
            bounded(input.turn_rate + turn_change),
        );
        let mut best = VelocityCandidate {
            speed: slowest,
            turn_rate: bounded(0.0_f32.clamp(right.min(left), left.max(right))),
            score: f32::NEG_INFINITY,
        };
        for speed in between(slowest, fastest, SPEEDS) {
            for turn_rate in between(right, left, TURN_RATES) {
                if let Some(score) = self.score(speed, turn_rate, target)
                    && score > best.score
                {
                    best = VelocityCandidate {
                        speed,
                        turn_rate,
                        score,
                    };
                }
            }
        }
        best
    }

    /// The score of a speed and a turn rate; `None` if the robot could not stop in time.
    fn score(&self, speed: f32, turn_rate: f32, target: Vector2<f32>) -> Option<f32> {
        let drive = &self.drive;
        let points = self.input.points.iter().copied();
        // The heading is scored at the pose where the robot has braked, as in the paper.
        let stop = drive.stopping_distance(speed);
        let turned =
            turn_rate * drive.dt_secs + turn_rate * turn_rate.abs() / (2.0 * drive.max_turn_accel);
        let free_distance = if speed < TURN_IN_PLACE_MPS {
            let side = 1.0_f32.copysign(turn_rate);
            if turned.abs() > arc::free_turn(points, &self.discs, side, PI) {
                return None;
            }
            self.lookahead
        } else {
            let free_distance =
                arc::free_arc_length(points, &self.discs, turn_rate / speed, self.lookahead);
            if stop > free_distance {
                return None;
            }
            free_distance
        };
        let to_target = target - arc::end(stop, turned);
        let heading_error = libm::atan2f(to_target.y, to_target.x) - turned;
        let heading_error = libm::remainderf(heading_error, 2.0 * PI).abs();
        Some(
            HEADING_WEIGHT * (1.0 - heading_error / PI)
                + CLEARANCE_WEIGHT * free_distance / self.lookahead
                + SPEED_WEIGHT * speed / drive.max_speed * libm::cosf(heading_error).max(0.0),
        )
    }
}

impl Controller for DwaPlanner {
    fn begin_episode(&mut self, env: usize, _episode: u64) {
        self.states.reset(env, DwaState::default());
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let rows = observations
            .chunks_exact(self.reader.obs_dim)
            .zip(actions.chunks_exact_mut(2));
        for ((observation, action), &env) in rows.zip(envs) {
            action.copy_from_slice(&self.decide(env, observation));
        }
    }
}

/// Free distance on a straight line along a bearing, radians, up to `max` metres.
fn free_distance_along(
    points: &[Vector2<f32>],
    discs: &[FootprintDisc],
    bearing: f32,
    max: f32,
) -> f32 {
    let (sin, cos) = libm::sincosf(bearing);
    let rotated = points
        .iter()
        .map(|p| Vector2::new(cos * p.x + sin * p.y, cos * p.y - sin * p.x));
    arc::free_arc_length(rotated, discs, 0.0, max)
}

/// A vector rotated by an angle, radians.
fn rotated(vector: Vector2<f32>, angle: f32) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(angle);
    Vector2::new(
        cos * vector.x - sin * vector.y,
        sin * vector.x + cos * vector.y,
    )
}

/// `count` evenly spaced numbers from `low` to `high`.
fn between(low: f32, high: f32, count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(move |index| low + (high - low) * index as f32 / (count - 1) as f32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dwa_planner() -> DwaPlanner {
        DwaPlanner::new(&crate::scenario::resolve("reference", &[]).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn the_choice_is_in_the_window_and_can_stop_in_time(
            points in prop::collection::vec((-2.0_f32..2.0, -2.0_f32..2.0), 0..30),
            speed in 0.0_f32..1.0,
            turn_rate in -2.0_f32..2.0,
            target in (-5.0_f32..5.0, -5.0_f32..5.0),
        ) {
            let mut planner = dwa_planner();
            planner.input.points = points.into_iter().map(|(x, y)| Vector2::new(x, y)).collect();
            planner.input.speed = speed;
            planner.input.turn_rate = turn_rate;
            let choice = planner.choose(Vector2::new(target.0, target.1));
            // The window: 1 m/s² and 4 rad/s² for 0.1 s.
            prop_assert!((choice.speed - speed).abs() <= 0.1 + 1e-5);
            prop_assert!((choice.turn_rate - turn_rate).abs() <= 0.4 + 1e-5);
            prop_assert!((0.0..=1.0).contains(&choice.speed) && choice.turn_rate.abs() <= 2.0);
            let brakes = choice.speed <= (speed - 0.1).max(0.0) + 1e-6;
            let points = planner.input.points.iter().copied();
            let curvature = choice.turn_rate / choice.speed.max(1e-3);
            let free_distance = arc::free_arc_length(points, &planner.discs, curvature, 9.0);
            let bound = (2.0 * free_distance * 1.0).sqrt();
            prop_assert!(
                brakes || choice.speed <= bound,
                "{} m/s, but {free_distance} m are enough to stop from {bound} m/s only", choice.speed
            );
        }
    }

    #[test]
    fn a_goal_that_is_no_longer_shown_is_tracked_by_dead_reckoning() {
        let mut planner = dwa_planner();
        let obs_dim = planner.reader.obs_dim;
        let layout = crate::env::obs_layout(&crate::scenario::resolve("reference", &[]).unwrap());
        let mut observation = vec![1.0; obs_dim];
        let goal = layout.block("goal").unwrap();
        let velocity = layout.block("velocity").unwrap();
        observation[goal.clone()].copy_from_slice(&[0.3, 0.0, 1.0]);
        observation[velocity.clone()].copy_from_slice(&[0.0, 0.0]);
        planner.begin_episode(0, 0);
        assert!(
            planner.decide(0, &observation)[1] > 0.0,
            "the goal is to the left"
        );
        // Turns by 0.2 rad per step while the goal is hidden.
        observation[goal].fill(0.0);
        observation[velocity].copy_from_slice(&[0.0, 1.0]);
        for _ in 0..12 {
            planner.decide(0, &observation);
        }
        // After 2.4 rad the goal, which was at 1.57 rad, is to the right.
        assert!(
            planner.decide(0, &observation)[1] < 1.0,
            "it slows its turn"
        );
        let goal = planner.states.of(0).goal.unwrap();
        assert!(goal.x > 0.0 && goal.y < 0.0, "{goal}");
        // It stands still if no goal was ever shown.
        planner.begin_episode(0, 1);
        let action = planner.decide(0, &observation).map(f32::to_bits);
        assert_eq!(action, [-1.0_f32, 0.0].map(f32::to_bits));
    }
}
