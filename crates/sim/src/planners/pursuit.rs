//! Pure pursuit of the shortest path (Coulter 1992, CMU-RI-TR-92-01): at every step the robot
//! drives the arc to a point ahead on its route. It ignores everything that moves.

use nalgebra::Point2;

use super::differential::DifferentialModel;
use super::route::{Route, to_robot_frame};
use crate::sim::RobotSnapshot;

/// Shortest look-ahead distance, metres.
const MIN_LOOK_AHEAD_M: f32 = 0.10;

/// Shortest time in which the robot may cover the look-ahead distance, seconds. It bounds the
/// speed.
const LOOK_AHEAD_SECS: f32 = 0.4;

/// The robot turns in place towards a point at a larger bearing, radians.
const TURN_IN_PLACE_RAD: f32 = 0.7;

/// Share of the largest turn rate that an arc may need. The rest is left for corrections.
const TURN_SHARE: f32 = 0.8;

/// The action of a robot of this radius, metres, that follows the route.
pub(super) fn follow(
    drive: &DifferentialModel,
    route: &mut Route,
    radius: f32,
    robot: &RobotSnapshot,
) -> [f32; 2] {
    let position = Point2::from(robot.position);
    // The route rounds a corner at the robot's radius plus the margin. A chord of this length cuts
    // the corner by half the margin.
    let corner_radius = radius + route.margin;
    let look_ahead = (4.0 * corner_radius * route.margin)
        .sqrt()
        .max(MIN_LOOK_AHEAD_M);
    route.advance(position, 2.0 * look_ahead);
    let target = to_robot_frame(position, robot.heading_rad, route.ahead(look_ahead));
    let bearing = libm::atan2f(target.y, target.x);
    if bearing.abs() > TURN_IN_PLACE_RAD {
        return drive.turn_and_drive(bearing, 0.0);
    }
    let curvature = 2.0 * target.y / target.norm_squared().max(1e-6);
    let speed = (look_ahead / LOOK_AHEAD_SECS).min(drive.max_speed);
    let speed = speed.min(TURN_SHARE * drive.max_turn_rate / curvature.abs().max(1e-6));
    // The turn rate is for the speed that the robot will have, which may differ from the command.
    let change = drive.max_accel * drive.dt_secs;
    let next = robot.speed_mps + (speed - robot.speed_mps).clamp(-change, change);
    drive.action(speed, next * curvature)
}
