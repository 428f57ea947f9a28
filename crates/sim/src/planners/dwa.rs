//! The dynamic window approach (Fox, Burgard & Thrun 1997): of the speeds and turn rates that the
//! drive can have within one step, and from which it could still stop, the best by heading,
//! clearance and speed. It sees what a policy sees, and nothing else: lidar, goal and
//! velocity, and the way to the goal where the scenario shows that.

mod arc;
mod detour;
mod input;
mod outline;

use std::f32::consts::PI;

use nalgebra::Vector2;

use super::PlannerError;
use super::differential::DifferentialModel;
use super::per_env::PerEnv;
use crate::env::Controller;
use crate::scenario::Scenario;
use arc::FootprintDisc;
use detour::Detour;
use input::{DwaInput, ObservationReader};
use outline::outline;

/// Speeds and turn rates that are tried, from one edge of the window to the other.
const SPEEDS: usize = 5;
const TURN_RATES: usize = 11;

/// Room left around the robot, metres.
const MARGIN_M: f32 = 0.03;

/// Weights of heading, clearance and speed, each of which is between 0 and 1 (α, β and γ of the
/// paper; chosen on episodes of the shipped scenarios other than those that are reported).
const HEADING: f32 = 1.0;
const CLEARANCE: f32 = 0.3;
const SPEED: f32 = 0.6;

/// A free way this many times as long as stopping from full speed takes is as good as any.
const LOOKAHEAD_STOPS: f32 = 2.0;
/// … but never less than this, metres.
const MIN_LOOKAHEAD_M: f32 = 1.5;

/// A speed that is turning on the spot, metres per second.
const STILL_MPS: f32 = 1e-3;

/// Slower than this is standing, metres per second.
const STANDING_MPS: f32 = 0.05;

/// Drives by the dynamic window.
#[derive(Clone, Debug)]
pub struct DwaPlanner {
    drive: DifferentialModel,
    reader: ObservationReader,
    /// They hold the robot and the room around it.
    discs: Vec<FootprintDisc>,
    /// Of the circle that holds them, metres.
    radius: f32,
    /// Free ways longer than this are all alike, metres.
    lookahead: f32,
    states: PerEnv<DwaState>,
    input: DwaInput,
}

/// What is remembered of an episode.
#[derive(Clone, Debug, Default)]
struct DwaState {
    /// Where the goal is by what was last seen of it and driven since.
    goal: Option<Vector2<f32>>,
    detour: Detour,
}

/// A speed and a turn rate, and how good they are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct VelocityCandidate {
    speed: f32,
    turn_rate: f32,
    score: f32,
}

impl DwaPlanner {
    /// A driver for the robot of a scenario.
    ///
    /// # Errors
    /// If the robot's drive is not differential, or the observation lacks lidar, goal or velocity.
    pub fn new(scenario: &Scenario) -> Result<Self, PlannerError> {
        let drive = DifferentialModel::of(scenario, "dwa")?;
        let stop = drive.stopping_distance(drive.max_speed);
        let discs = outline(&scenario.spec.robot[0].footprint, MARGIN_M);
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

    /// The action in an environment, from one observation.
    fn decide(&mut self, env: usize, observation: &[f32]) -> [f32; 2] {
        let bounds = [self.drive.max_speed, self.drive.max_turn_rate];
        let near = self.lookahead + self.radius;
        self.reader.read(observation, bounds, near, &mut self.input);
        let state = self.states.of(env);
        let turned = self.input.turn_rate * self.drive.dt_secs;
        let driven = arc::end(self.input.speed * self.drive.dt_secs, turned);
        let remembered = state.goal.map(|goal| rotated(goal - driven, -turned));
        let Some(goal) = self.input.goal.or(remembered) else {
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
        let stands = self.input.speed < STANDING_MPS;
        let target = state.detour.target(
            goal,
            free_distance,
            self.lookahead,
            stands,
            self.drive.dt_secs,
        );
        let choice = self.choose(target);
        self.drive.action(choice.speed, choice.turn_rate)
    }

    /// The best of the window.
    fn choose(&self, target: Vector2<f32>) -> VelocityCandidate {
        let drive = &self.drive;
        let input = &self.input;
        let (change, turn_change) = (
            drive.max_accel * drive.dt_secs,
            drive.max_turn_accel * drive.dt_secs,
        );
        let slowest = (input.speed - change).max(0.0);
        let fastest = (input.speed + change).clamp(0.0, drive.max_speed);
        let turn = |rate: f32| rate.clamp(-drive.max_turn_rate, drive.max_turn_rate);
        let (right, left) = (
            turn(input.turn_rate - turn_change),
            turn(input.turn_rate + turn_change),
        );
        // What is always there to fall back on: braking.
        let mut best = VelocityCandidate {
            speed: slowest,
            turn_rate: turn(0.0_f32.clamp(right.min(left), left.max(right))),
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

    /// How good a speed and a turn rate are; nothing if the robot could not stop in time.
    fn score(&self, speed: f32, turn_rate: f32, target: Vector2<f32>) -> Option<f32> {
        let drive = &self.drive;
        let points = self.input.points.iter().copied();
        // Where the robot is once it has braked, as in the paper: beyond the target's side no
        // heading is any use.
        let stop = drive.stopping_distance(speed);
        let turned =
            turn_rate * drive.dt_secs + turn_rate * turn_rate.abs() / (2.0 * drive.max_turn_accel);
        let free_distance = if speed < STILL_MPS {
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
        let left = target - arc::end(stop, turned);
        let off = libm::atan2f(left.y, left.x) - turned;
        let off = libm::remainderf(off, 2.0 * PI).abs();
        Some(
            HEADING * (1.0 - off / PI)
                + CLEARANCE * free_distance / self.lookahead
                + SPEED * speed / drive.max_speed * libm::cosf(off).max(0.0),
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

/// How far the robot gets straight on along a bearing, radians, of at most `most` metres.
fn free_distance_along(
    points: &[Vector2<f32>],
    discs: &[FootprintDisc],
    bearing: f32,
    most: f32,
) -> f32 {
    let (sin, cos) = libm::sincosf(bearing);
    let turned = points
        .iter()
        .map(|p| Vector2::new(cos * p.x + sin * p.y, cos * p.y - sin * p.x));
    arc::free_arc_length(turned, discs, 0.0, most)
}

/// A vector turned by an angle, radians.
fn rotated(vector: Vector2<f32>, angle: f32) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(angle);
    Vector2::new(
        cos * vector.x - sin * vector.y,
        sin * vector.x + cos * vector.y,
    )
}

/// Evenly from one number to another.
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
        fn what_it_chooses_can_be_had_and_stopped_from(
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
                "{} m/s, and {bound} m/s can be stopped from in {free_distance} m", choice.speed
            );
        }
    }

    #[test]
    fn it_remembers_where_a_goal_was_that_is_no_longer_shown() {
        let mut planner = dwa_planner();
        let reader = planner.reader.obs_dim;
        let layout = crate::env::obs_layout(&crate::scenario::resolve("reference", &[]).unwrap());
        let mut observation = vec![1.0; reader];
        let goal = layout.block("goal").unwrap();
        let velocity = layout.block("velocity").unwrap();
        observation[goal.clone()].copy_from_slice(&[0.3, 0.0, 1.0]);
        observation[velocity.clone()].copy_from_slice(&[0.0, 0.0]);
        planner.begin_episode(0, 0);
        assert!(
            planner.decide(0, &observation)[1] > 0.0,
            "the goal is to the left"
        );
        // Ten steps at 1 m/s and 2 rad/s: past it.
        observation[goal].fill(0.0);
        observation[velocity].copy_from_slice(&[0.0, 1.0]);
        for _ in 0..12 {
            planner.decide(0, &observation);
        }
        // 2.4 rad turned, and the goal was at 1.57: it is to the right now.
        assert!(
            planner.decide(0, &observation)[1] < 1.0,
            "and slows its turn"
        );
        let seen = planner.states.of(0).goal.unwrap();
        assert!(seen.x > 0.0 && seen.y < 0.0, "{seen}");
        // Where none was ever shown it stands.
        planner.begin_episode(0, 1);
        let stands = planner.decide(0, &observation).map(f32::to_bits);
        assert_eq!(stands, [-1.0_f32, 0.0].map(f32::to_bits));
    }
}
