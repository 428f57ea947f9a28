//! The dynamic window approach (Fox, Burgard & Thrun 1997): of the speeds and turn rates that the
//! drive can have within one step, and from which it could still stop, the best by heading,
//! clearance and speed. It sees what a policy sees, and nothing else: lidar, goal and
//! velocity, and the way to the goal where the scenario shows that.

mod arc;
mod detour;
mod outline;
mod sight;

use std::f32::consts::PI;

use nalgebra::Vector2;

use super::DriverError;
use super::differential::Differential;
use super::memory::Memory;
use crate::env::Actor;
use crate::scenario::Scenario;
use arc::Disc;
use detour::Detour;
use outline::outline;
use sight::{Eyes, Sight};

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
const LOOK_STOPS: f32 = 2.0;
/// … but never less than this, metres.
const LEAST_LOOK_M: f32 = 1.5;

/// A speed that is turning on the spot, metres per second.
const STILL_MPS: f32 = 1e-3;

/// Slower than this is standing, metres per second.
const STANDING_MPS: f32 = 0.05;

/// Drives by the dynamic window.
#[derive(Clone, Debug)]
pub struct Dwa {
    drive: Differential,
    eyes: Eyes,
    /// They hold the robot and the room around it.
    discs: Vec<Disc>,
    /// Of the circle that holds them, metres.
    radius: f32,
    /// Free ways longer than this are all alike, metres.
    look: f32,
    minds: Memory<Mind>,
    sight: Sight,
}

/// What is remembered of an episode.
#[derive(Clone, Debug, Default)]
struct Mind {
    /// Where the goal is by what was last seen of it and driven since.
    goal: Option<Vector2<f32>>,
    detour: Detour,
}

/// A speed and a turn rate, and how good they are.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Choice {
    speed: f32,
    turn_rate: f32,
    score: f32,
}

impl Dwa {
    /// A driver for the robot of a scenario.
    ///
    /// # Errors
    /// If the robot's drive is not differential, or the observation lacks lidar, goal or velocity.
    pub fn new(scenario: &Scenario) -> Result<Self, DriverError> {
        let drive = Differential::of(scenario, "dwa")?;
        let stop = drive.stopping_way(drive.max_speed);
        let discs = outline(&scenario.spec.robot[0].footprint, MARGIN_M);
        let reach = |disc: &Disc| disc.centre.norm() + disc.radius;
        Ok(Self {
            eyes: Eyes::of(scenario, "dwa")?,
            radius: discs.iter().map(reach).fold(0.0, f32::max),
            discs,
            look: (LOOK_STOPS * stop).max(LEAST_LOOK_M),
            drive,
            minds: Memory::new(),
            sight: Sight::default(),
        })
    }

    /// The action in an environment, from one observation.
    fn decide(&mut self, env: usize, observation: &[f32]) -> [f32; 2] {
        let bounds = [self.drive.max_speed, self.drive.max_turn_rate];
        let near = self.look + self.radius;
        self.eyes.look(observation, bounds, near, &mut self.sight);
        let mind = self.minds.of(env);
        let turned = self.sight.turn_rate * self.drive.dt_secs;
        let driven = arc::end(self.sight.speed * self.drive.dt_secs, turned);
        let remembered = mind.goal.map(|goal| rotated(goal - driven, -turned));
        let Some(goal) = self.sight.goal.or(remembered) else {
            return self.drive.action(0.0, 0.0);
        };
        mind.goal = Some(goal);
        if let Some(target) = self.sight.way {
            let choice = self.choose(target);
            return self.drive.action(choice.speed, choice.turn_rate);
        }
        let way = |bearing: f32| way_along(&self.sight.points, &self.discs, bearing, self.look);
        let stands = self.sight.speed < STANDING_MPS;
        let target = mind
            .detour
            .target(goal, way, self.look, stands, self.drive.dt_secs);
        let choice = self.choose(target);
        self.drive.action(choice.speed, choice.turn_rate)
    }

    /// The best of the window.
    fn choose(&self, target: Vector2<f32>) -> Choice {
        let drive = &self.drive;
        let sight = &self.sight;
        let (change, turn_change) = (
            drive.max_accel * drive.dt_secs,
            drive.max_turn_accel * drive.dt_secs,
        );
        let slowest = (sight.speed - change).max(0.0);
        let fastest = (sight.speed + change).clamp(0.0, drive.max_speed);
        let turn = |rate: f32| rate.clamp(-drive.max_turn_rate, drive.max_turn_rate);
        let (right, left) = (
            turn(sight.turn_rate - turn_change),
            turn(sight.turn_rate + turn_change),
        );
        // What is always there to fall back on: braking.
        let mut best = Choice {
            speed: slowest,
            turn_rate: turn(0.0_f32.clamp(right.min(left), left.max(right))),
            score: f32::NEG_INFINITY,
        };
        for speed in between(slowest, fastest, SPEEDS) {
            for turn_rate in between(right, left, TURN_RATES) {
                if let Some(score) = self.score(speed, turn_rate, target)
                    && score > best.score
                {
                    best = Choice {
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
        let points = self.sight.points.iter().copied();
        // Where the robot is once it has braked, as in the paper: beyond the target's side no
        // heading is any use.
        let stop = drive.stopping_way(speed);
        let turned =
            turn_rate * drive.dt_secs + turn_rate * turn_rate.abs() / (2.0 * drive.max_turn_accel);
        let way = if speed < STILL_MPS {
            let side = 1.0_f32.copysign(turn_rate);
            if turned.abs() > arc::free_turn(points, &self.discs, side, PI) {
                return None;
            }
            self.look
        } else {
            let way = arc::free_way(points, &self.discs, turn_rate / speed, self.look);
            if stop > way {
                return None;
            }
            way
        };
        let left = target - arc::end(stop, turned);
        let off = libm::atan2f(left.y, left.x) - turned;
        let off = libm::remainderf(off, 2.0 * PI).abs();
        Some(
            HEADING * (1.0 - off / PI)
                + CLEARANCE * way / self.look
                + SPEED * speed / drive.max_speed * libm::cosf(off).max(0.0),
        )
    }
}

impl Actor for Dwa {
    fn begin_episode(&mut self, env: usize, _episode: u64) {
        self.minds.begin(env, Mind::default());
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let rows = observations
            .chunks_exact(self.eyes.obs_dim)
            .zip(actions.chunks_exact_mut(2));
        for ((observation, action), &env) in rows.zip(envs) {
            action.copy_from_slice(&self.decide(env, observation));
        }
    }
}

/// How far the robot gets straight on along a bearing, radians, of at most `most` metres.
fn way_along(points: &[Vector2<f32>], discs: &[Disc], bearing: f32, most: f32) -> f32 {
    let (sin, cos) = libm::sincosf(bearing);
    let turned = points
        .iter()
        .map(|p| Vector2::new(cos * p.x + sin * p.y, cos * p.y - sin * p.x));
    arc::free_way(turned, discs, 0.0, most)
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

    fn driver() -> Dwa {
        Dwa::new(&crate::scenario::resolve("reference", &[]).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn what_it_chooses_can_be_had_and_stopped_from(
            points in prop::collection::vec((-2.0_f32..2.0, -2.0_f32..2.0), 0..30),
            speed in 0.0_f32..1.0,
            turn_rate in -2.0_f32..2.0,
            target in (-5.0_f32..5.0, -5.0_f32..5.0),
        ) {
            let mut driver = driver();
            driver.sight.points = points.into_iter().map(|(x, y)| Vector2::new(x, y)).collect();
            driver.sight.speed = speed;
            driver.sight.turn_rate = turn_rate;
            let choice = driver.choose(Vector2::new(target.0, target.1));
            // The window: 1 m/s² and 4 rad/s² for 0.1 s.
            prop_assert!((choice.speed - speed).abs() <= 0.1 + 1e-5);
            prop_assert!((choice.turn_rate - turn_rate).abs() <= 0.4 + 1e-5);
            prop_assert!((0.0..=1.0).contains(&choice.speed) && choice.turn_rate.abs() <= 2.0);
            let brakes = choice.speed <= (speed - 0.1).max(0.0) + 1e-6;
            let points = driver.sight.points.iter().copied();
            let curvature = choice.turn_rate / choice.speed.max(1e-3);
            let way = arc::free_way(points, &driver.discs, curvature, 9.0);
            let bound = (2.0 * way * 1.0).sqrt();
            prop_assert!(
                brakes || choice.speed <= bound,
                "{} m/s, and {bound} m/s can be stopped from in {way} m", choice.speed
            );
        }
    }

    #[test]
    fn it_remembers_where_a_goal_was_that_is_no_longer_shown() {
        let mut driver = driver();
        let eyes = driver.eyes.obs_dim;
        let layout = crate::env::obs_layout(&crate::scenario::resolve("reference", &[]).unwrap());
        let mut observation = vec![1.0; eyes];
        let goal = layout.block("goal").unwrap();
        let velocity = layout.block("velocity").unwrap();
        observation[goal.clone()].copy_from_slice(&[0.3, 0.0, 1.0]);
        observation[velocity.clone()].copy_from_slice(&[0.0, 0.0]);
        driver.begin_episode(0, 0);
        assert!(
            driver.decide(0, &observation)[1] > 0.0,
            "the goal is to the left"
        );
        // Ten steps at 1 m/s and 2 rad/s: past it.
        observation[goal].fill(0.0);
        observation[velocity].copy_from_slice(&[0.0, 1.0]);
        for _ in 0..12 {
            driver.decide(0, &observation);
        }
        // 2.4 rad turned, and the goal was at 1.57: it is to the right now.
        assert!(
            driver.decide(0, &observation)[1] < 1.0,
            "and slows its turn"
        );
        let seen = driver.minds.of(0).goal.unwrap();
        assert!(seen.x > 0.0 && seen.y < 0.0, "{seen}");
        // Where none was ever shown it stands.
        driver.begin_episode(0, 1);
        let stands = driver.decide(0, &observation).map(f32::to_bits);
        assert_eq!(stands, [-1.0_f32, 0.0].map(f32::to_bits));
    }
}
