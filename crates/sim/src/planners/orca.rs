//! Optimal reciprocal collision avoidance (van den Berg et al. 2011) along a route: the robot prefers
//! the velocity along it, and takes the nearest velocity that avoids static obstacles, movers and other
//! robots. The planner knows the velocities of everything that moves, which a policy does not.
//!
//! ORCA assumes a body that can move in any direction at once. This robot turns towards the velocity.
//! Its speed is at most the component of the velocity along the heading, and at most what the
//! half-planes permit along the heading.

use nalgebra::{Point2, Vector2};

use super::differential::DifferentialModel;
use super::route::{Route, to_robot_frame};
use crate::scenario::Layout;
use crate::sim::orca::{HalfPlane, MovingDisc, agent_plane, new_velocity, obstacle_planes};
use crate::sim::{RobotSnapshot, WorldSnapshot};

/// Distance along the route of the point that the robot aims for, metres.
const LOOK_AHEAD_M: f32 = 0.4;

/// Time horizon for movers and other robots, seconds.
const HORIZON_SECS: f32 = 3.0;

/// Time horizon for static obstacles, as a multiple of the time that the robot takes to stop.
const OBSTACLE_HORIZON_STOPS: f32 = 1.0;

/// Added to the robot's radius against movers and other robots, metres: a robot that must turn
/// first is not where ORCA assumes it.
const MARGIN_M: f32 = 0.1;

/// Share of the avoidance that the robot makes: movers may not avoid it.
const MOVER_SHARE: f32 = 1.0;

/// Share of the avoidance against another robot, which is assumed to avoid this one too.
const ROBOT_SHARE: f32 = 0.5;

/// The action of robot `index` towards the velocity that avoids obstacles, movers and other robots.
/// `planes` is scratch memory.
pub(super) fn avoid(
    drive: &DifferentialModel,
    route: &mut Route,
    index: usize,
    layout: &Layout,
    snapshot: &WorldSnapshot,
    planes: &mut Vec<HalfPlane>,
) -> [f32; 2] {
    let robot = &snapshot.robots[index];
    let heading = heading_of(robot);
    let position = Point2::from(robot.position);
    let radius = layout.robots[index].radius;
    route.advance(position, 2.0 * LOOK_AHEAD_M);
    let to_target = route.ahead(LOOK_AHEAD_M) - position;
    let preferred = to_target / to_target.norm().max(1e-6) * drive.max_speed;

    planes.clear();
    let stop_secs = OBSTACLE_HORIZON_STOPS * drive.max_speed / drive.max_accel;
    obstacle_planes(layout, position, radius, drive.max_speed, stop_secs, planes);
    let fixed = planes.len();
    let me = MovingDisc {
        position,
        velocity: heading * robot.speed_mps,
        radius: radius + MARGIN_M,
    };
    planes.extend(snapshot.movers.iter().map(|mover| {
        let other = MovingDisc {
            position: mover.position.into(),
            velocity: mover.velocity.into(),
            radius: mover.radius_m,
        };
        agent_plane(&me, &other, MOVER_SHARE, HORIZON_SECS, drive.dt_secs)
    }));
    let others = snapshot.robots.iter().zip(&layout.robots).enumerate();
    let others = others.filter(|(other, _)| *other != index);
    planes.extend(others.map(|(_, (other, parameters))| {
        let share = if other.inactive {
            MOVER_SHARE
        } else {
            ROBOT_SHARE
        };
        let other = MovingDisc {
            position: other.position.into(),
            velocity: heading_of(other) * other.speed_mps,
            radius: parameters.radius,
        };
        agent_plane(&me, &other, share, HORIZON_SECS, drive.dt_secs)
    }));
    let velocity = new_velocity(preferred, drive.max_speed, planes, fixed);

    let target = to_robot_frame(position, robot.heading_rad, position + velocity);
    let bearing = libm::atan2f(target.y, target.x);
    let speed = permitted_speed(planes, heading, target.x.max(0.0));
    drive.turn_and_drive(bearing, speed)
}

fn heading_of(robot: &RobotSnapshot) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(robot.heading_rad);
    Vector2::new(cos, sin)
}

/// The largest speed along a heading that every half-plane permits, up to `max_speed`, metres per
/// second; 0 if there is none.
fn permitted_speed(planes: &[HalfPlane], heading: Vector2<f32>, max_speed: f32) -> f32 {
    let mut speed = max_speed;
    for plane in planes {
        // The excess is linear in the speed.
        let at_zero = plane.excess(Vector2::zeros());
        let at_one = plane.excess(heading.cast());
        if at_one > at_zero {
            speed = speed.min((-at_zero / (at_one - at_zero)) as f32);
        }
    }
    speed.max(0.0)
}
