//! Pure pursuit of the shortest path (Coulter 1992, CMU-RI-TR-92-01): at every step the robot
//! drives the arc to a point ahead on its route. The planner knows the map and the true pose, which
//! a policy does not, and ignores everything that moves.

use nalgebra::Point2;

use super::PlannerError;
use super::differential::DifferentialModel;
use super::route::{Route, to_robot_frame};
use super::route_state::RouteStates;
use crate::env::Controller;
use crate::scenario::{Layout, Scenario};
use crate::sim::{RobotSnapshot, WorldSnapshot};

/// Plans a route among the static obstacles once per episode, and follows it.
#[derive(Clone, Debug)]
pub struct PursuitPlanner {
    drive: DifferentialModel,
    routes: RouteStates,
}

/// Shortest look-ahead distance, metres.
const MIN_LOOK_AHEAD_M: f32 = 0.10;

/// Shortest time in which the robot may cover the look-ahead distance, seconds. It bounds the
/// speed.
const LOOK_AHEAD_SECS: f32 = 0.4;

/// The robot turns in place towards a point at a larger bearing, radians.
const TURN_IN_PLACE_RAD: f32 = 0.7;

/// Share of the largest turn rate that an arc may need. The rest is left for corrections.
const TURN_SHARE: f32 = 0.8;

impl PursuitPlanner {
    /// A planner for the robots of a scenario.
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

    fn observe_world(
        &mut self,
        env: usize,
        robot: usize,
        layout: &Layout,
        snapshot: &WorldSnapshot,
    ) {
        let drive = &self.drive;
        let (robot, parameters) = (&snapshot.robots[robot], &layout.robots[robot]);
        self.routes.observe_world(env, layout, parameters, |route| {
            follow(drive, route, parameters.radius, robot)
        });
    }

    fn act(&mut self, envs: &[usize], _observations: &[f32], actions: &mut [f32]) {
        self.routes.act(envs, actions);
    }
}

/// The action that follows the route.
fn follow(
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
