//! Bounds of the numbers in an observation, for interfaces that declare them.

use super::observe::{LIDAR_HALF_M, obs_layout};
use super::scan_map::{CELL_M, GOAL_SCALE_M};
use crate::scenario::Scenario;
use crate::scenario::spec::DriveSpec;

/// Bound of the observed velocity, relative to the largest of the drive. After a contact the wheels
/// have the velocity that the contact left, which may be several times that.
const VELOCITY_BOUND: f64 = 100.0;

/// Distance between true and estimated position at most, per metre driven. Odometry scales are at
/// most 2, and its noise is small beside that.
const DRIFT_PER_METRE: f64 = 4.0;

/// `[obs]`: `[low, high]` of each number of a scenario's observation, in the order of
/// [`obs_layout`]. Finite; the bounds of readings and bearings are tight, those of velocities and
/// distances are not.
pub fn obs_bounds(scenario: &Scenario) -> Vec<[f32; 2]> {
    let mut bounds = Vec::new();
    for (name, _, length) in obs_layout(scenario).blocks {
        let block = name.split('.').next().unwrap_or_default();
        match block {
            "lidar" => bounds.extend(std::iter::repeat_n([0.0, max_reading(scenario)], length)),
            "velocity" => {
                let bound = velocity_bound(scenario);
                bounds.extend(std::iter::repeat_n([-bound, bound], length));
            }
            "goal" => bounds.extend(with_bearings(distance_bound(scenario), length)),
            "path" => bounds.extend(with_bearings(path_bound(scenario), length)),
            _ => bounds.extend(std::iter::repeat_n([-1.0, 1.0], length)),
        }
    }
    bounds
}

/// A distance up to `distance`, and cosines and sines. Rounding takes these slightly beyond 1.
fn with_bearings(distance: f32, length: usize) -> impl Iterator<Item = [f32; 2]> {
    const BEARING: f32 = 1.0 + 1e-6;
    let bearings = std::iter::repeat_n([-BEARING, BEARING], length - 1);
    std::iter::once([0.0, distance]).chain(bearings)
}

/// The lidar block's number for the longest range.
fn max_reading(scenario: &Scenario) -> f32 {
    let range = scenario.spec.robot[0].lidar.range_m.max() as f32;
    range / (range + LIDAR_HALF_M)
}

/// Largest speeds ahead and backwards, metres per second.
fn speeds(scenario: &Scenario) -> [f64; 2] {
    let (ahead, back) = match &scenario.spec.robot[0].drive {
        DriveSpec::Differential(drive) => (drive.max_speed_mps, drive.max_reverse_mps),
        DriveSpec::Omni(drive) => (drive.max_speed_mps, drive.max_speed_mps),
        DriveSpec::Ackermann(drive) => (drive.max_speed_mps, drive.max_reverse_mps),
    };
    [ahead.max(), back.max()]
}

fn velocity_bound(scenario: &Scenario) -> f32 {
    let slowest = match &scenario.spec.robot[0].drive {
        DriveSpec::Differential(drive) => drive.max_speed_mps,
        DriveSpec::Omni(drive) => drive.max_speed_mps,
        DriveSpec::Ackermann(drive) => drive.max_speed_mps,
    };
    let [_, back] = speeds(scenario);
    VELOCITY_BOUND.max(back / slowest.min()) as f32
}

/// Diagonal of the largest arena, metres.
fn diagonal_m(scenario: &Scenario) -> f64 {
    let [width, height] = scenario.spec.arena.size();
    width.max().hypot(height.max())
}

/// Bound of the block `goal`'s distance.
fn distance_bound(scenario: &Scenario) -> f32 {
    let spec = &scenario.spec;
    let duration_secs = f64::from(spec.task.time_limit_steps()) * spec.task.control_step_secs;
    let [ahead, back] = speeds(scenario);
    let drift_m = match spec.robot[0].odometry {
        Some(_) => DRIFT_PER_METRE * ahead.max(back) * duration_secs,
        None => 0.0,
    };
    // A metre more, for robots that have left the arena.
    ((diagonal_m(scenario) + drift_m + 1.0) / f64::from(GOAL_SCALE_M)) as f32
}

/// Bound of the block `path`'s length: the path passes through every cell of its grid at most once.
fn path_bound(scenario: &Scenario) -> f32 {
    let [width, height] = scenario.spec.arena.size();
    let cells_m = std::f64::consts::SQRT_2 * width.max() * height.max() / f64::from(CELL_M);
    distance_bound(scenario) + (cells_m / f64::from(GOAL_SCALE_M)) as f32
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::env::NavEnv;
    use crate::scenario::{resolve, shipped_scenarios};
    use crate::seed::{Purpose, Split, stream};
    use rand::RngExt as _;

    #[test]
    fn observations_of_random_episodes_are_within_their_bounds() {
        for shipped in shipped_scenarios() {
            let scenario = Arc::new(resolve(shipped.name, &[]).unwrap());
            let bounds = obs_bounds(&scenario);
            let mut rng = stream(3, Split::Train, 0, 0, Purpose::Bench);
            let mut env = NavEnv::new(scenario, 3, Split::Train, 0).unwrap();
            let robots = env.robot_count();
            let mut obs = vec![0.0; env.obs_layout().dim()];
            assert_eq!(obs.len(), bounds.len());
            let mut steps = vec![crate::env::StepResult::INACTIVE; robots];
            let mut actions = vec![0.0; robots * env.action_dim()];
            for step in 0..400 {
                if env.is_over() {
                    env.reset(env.episode() + 1);
                }
                if step % 10 == 0 {
                    actions.fill_with(|| rng.random::<f32>() * 2.0 - 1.0);
                }
                env.step_all(&actions, &mut steps);
                for robot in 0..robots {
                    env.observe_robot(robot, &mut obs);
                    for (index, (&number, [low, high])) in obs.iter().zip(&bounds).enumerate() {
                        assert!(
                            (*low..=*high).contains(&number),
                            "{} {index}: {number} is not in [{low}, {high}]",
                            shipped.name
                        );
                    }
                }
            }
        }
    }
}
