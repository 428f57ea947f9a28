//! Along the shortest way by pure pursuit (Coulter 1992, CMU-RI-TR-92-01): the arc that leads to a
//! point some way ahead on the route is driven, and chosen anew at every step. It knows the map
//! and where it is, which a policy does not, and sees nothing that moves.

use nalgebra::Point2;

use super::PlannerError;
use super::differential::DifferentialModel;
use super::route::{Route, to_robot_frame};
use super::route_state::RouteStates;
use crate::env::Controller;
use crate::scenario::{Layout, Scenario};
use crate::sim::{RobotSnapshot, WorldSnapshot};

/// Plans once an episode on what stands still, with A*, and follows.
#[derive(Clone, Debug)]
pub struct PursuitPlanner {
    drive: DifferentialModel,
    routes: RouteStates,
}

/// The look-ahead is at least this, metres.
const LEAST_LOOK_AHEAD_M: f32 = 0.10;

/// Seconds at the present speed that are looked ahead.
const LOOK_AHEAD_SECS: f32 = 0.4;

/// A point at a larger bearing is turned to on the spot, radians.
const TURN_IN_PLACE_RAD: f32 = 0.7;

/// Share of the largest turn rate that the speed is chosen for, so that some is left to correct.
const TURN_SHARE: f32 = 0.8;

impl PursuitPlanner {
    /// A driver for the robot of a scenario.
    ///
    /// # Errors
    /// If the robot's drive is not differential.
    pub fn new(scenario: &Scenario) -> Result<Self, PlannerError> {
        Ok(Self {
            drive: DifferentialModel::of(scenario, "pursuit")?,
            routes: RouteStates::new(),
        })
    }
}

impl Controller for PursuitPlanner {
    fn begin_episode(&mut self, env: usize, _episode: u64) {
        self.routes.reset(env);
    }

    fn needs_world(&self) -> bool {
        true
    }

    fn observe_world(&mut self, env: usize, robot: usize, layout: &Layout, frame: &WorldSnapshot) {
        let drive = &self.drive;
        let (robot, placed) = (&frame.robots[robot], &layout.robots[robot]);
        self.routes.observe_world(env, layout, placed, |route| {
            follow(drive, route, placed.radius, robot)
        });
    }

    fn act(&mut self, envs: &[usize], _observations: &[f32], actions: &mut [f32]) {
        self.routes.act(envs, actions);
    }
}

/// The action that stays on the route.
fn follow(
    drive: &DifferentialModel,
    route: &mut Route,
    radius: f32,
    robot: &RobotSnapshot,
) -> [f32; 2] {
    let position = Point2::from(robot.position);
    // A corner is rounded at the robot's radius and the margin; the chord of this length cuts it
    // by half the margin.
    let corner = radius + route.margin;
    let look_ahead = (4.0 * corner * route.margin).sqrt().max(LEAST_LOOK_AHEAD_M);
    route.advance(position, 2.0 * look_ahead);
    let target = to_robot_frame(position, robot.heading_rad, route.ahead(look_ahead));
    let bearing = libm::atan2f(target.y, target.x);
    if bearing.abs() > TURN_IN_PLACE_RAD {
        return drive.turn_and_drive(bearing, 0.0);
    }
    let curvature = 2.0 * target.y / target.norm_squared().max(1e-6);
    let fast = (look_ahead / LOOK_AHEAD_SECS).min(drive.max_speed);
    let speed = fast.min(TURN_SHARE * drive.max_turn_rate / curvature.abs().max(1e-6));
    // The arc is kept at the speed that the robot will have, which may still be another.
    let change = drive.max_accel * drive.dt_secs;
    let next = robot.speed_mps + (speed - robot.speed_mps).clamp(-change, change);
    drive.action(speed, next * curvature)
}
