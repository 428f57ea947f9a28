//! Optimal reciprocal collision avoidance (van den Berg et al. 2011) on the way of
//! [`super::PursuitPlanner`]. It knows the map, where it is, and where everything moves, which a policy
//! does not.

use nalgebra::{Point2, Vector2};

use super::PlannerError;
use super::differential::DifferentialModel;
use super::route::{Route, to_robot_frame};
use super::route_state::RouteStates;
use crate::env::Controller;
use crate::scenario::{Layout, Scenario};
use crate::sim::orca::{HalfPlane, MovingDisc, agent_plane, new_velocity, obstacle_planes};
use crate::sim::{RobotSnapshot, WorldSnapshot};

/// Wishes to go along the shortest way, and takes the velocity nearest to that which avoids
/// whatever stands and moves.
///
/// ORCA's velocities are those of a body that can go any way at once. This robot turns towards the
/// velocity and drives as fast as its heading allows: no faster than the velocity's part along the
/// heading, and only as fast as the half-planes permit on the heading that it has.
#[derive(Clone, Debug)]
pub struct OrcaPlanner {
    drive: DifferentialModel,
    routes: RouteStates,
    planes: Vec<HalfPlane>,
}

/// How far ahead the way is aimed at, metres.
const LOOK_AHEAD_M: f32 = 0.4;

/// For how long movers are avoided, seconds.
const HORIZON_SECS: f32 = 3.0;

/// For how long what stands is, in the times that the robot takes to stop.
const STOPS: f32 = 1.0;

/// Room left at movers, metres: a robot that must turn first is not where ORCA thinks.
const MOVER_MARGIN_M: f32 = 0.1;

/// Share of the avoiding that is the robot's: movers are not to be relied on.
const SHARE: f32 = 1.0;

/// … where another robot is avoided, which is taken to do the same.
const ROBOT_SHARE: f32 = 0.5;

impl OrcaPlanner {
    /// A driver for the robot of a scenario.
    ///
    /// # Errors
    /// If the robot's drive is not differential.
    pub fn new(scenario: &Scenario) -> Result<Self, PlannerError> {
        Ok(Self {
            drive: DifferentialModel::of(scenario, "orca")?,
            routes: RouteStates::new(),
            planes: Vec::new(),
        })
    }
}

impl Controller for OrcaPlanner {
    fn begin_episode(&mut self, env: usize, _episode: u64) {
        self.routes.reset(env);
    }

    fn needs_world(&self) -> bool {
        true
    }

    fn observe_world(&mut self, env: usize, robot: usize, layout: &Layout, frame: &WorldSnapshot) {
        let Self {
            drive,
            routes,
            planes,
        } = self;
        routes.observe_world(env, layout, &layout.robots[robot], |route| {
            avoid(drive, route, robot, layout, frame, planes)
        });
    }

    fn act(&mut self, envs: &[usize], _observations: &[f32], actions: &mut [f32]) {
        self.routes.act(envs, actions);
    }
}

/// The action towards the velocity that avoids everything.
fn avoid(
    drive: &DifferentialModel,
    route: &mut Route,
    index: usize,
    layout: &Layout,
    frame: &WorldSnapshot,
    planes: &mut Vec<HalfPlane>,
) -> [f32; 2] {
    let robot = &frame.robots[index];
    let heading = heading_of(robot);
    let position = Point2::from(robot.position);
    let radius = layout.robots[index].radius;
    route.advance(position, 2.0 * LOOK_AHEAD_M);
    let to_target = route.ahead(LOOK_AHEAD_M) - position;
    let preferred = to_target / to_target.norm().max(1e-6) * drive.max_speed;

    planes.clear();
    let stop_secs = STOPS * drive.max_speed / drive.max_accel;
    obstacle_planes(layout, position, radius, drive.max_speed, stop_secs, planes);
    let fixed = planes.len();
    let me = MovingDisc {
        position,
        velocity: heading * robot.speed_mps,
        radius: radius + MOVER_MARGIN_M,
    };
    planes.extend(frame.movers.iter().map(|mover| {
        let other = MovingDisc {
            position: mover.position.into(),
            velocity: mover.velocity.into(),
            radius: mover.radius_m,
        };
        agent_plane(&me, &other, SHARE, HORIZON_SECS, drive.dt_secs)
    }));
    let others = frame.robots.iter().zip(&layout.robots).enumerate();
    let others = others.filter(|(other, _)| *other != index);
    planes.extend(others.map(|(_, (other, placed))| {
        let share = if other.inactive { SHARE } else { ROBOT_SHARE };
        let other = MovingDisc {
            position: other.position.into(),
            velocity: heading_of(other) * other.speed_mps,
            radius: placed.radius,
        };
        agent_plane(&me, &other, share, HORIZON_SECS, drive.dt_secs)
    }));
    let velocity = new_velocity(preferred, drive.max_speed, planes, fixed);

    let aim = to_robot_frame(position, robot.heading_rad, position + velocity);
    let bearing = libm::atan2f(aim.y, aim.x);
    let speed = permitted(planes, heading, aim.x.max(0.0));
    drive.turn_and_drive(bearing, speed)
}

fn heading_of(robot: &RobotSnapshot) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(robot.heading_rad);
    Vector2::new(cos, sin)
}

/// The largest speed up to `most`, metres per second, along a heading that every half-plane
/// permits; 0 where none does.
fn permitted(planes: &[HalfPlane], heading: Vector2<f32>, most: f32) -> f32 {
    let mut high = most;
    for plane in planes {
        // Along the heading the excess changes evenly.
        let (still, full) = (plane.excess(Vector2::zeros()), plane.excess(heading));
        if full > still {
            high = high.min((-still / (full - still)) as f32);
        }
    }
    high.max(0.0)
}
