//! Planners that follow a route. The route is planned among the static obstacles at the first step of
//! an episode; pure pursuit and ORCA differ in how they steer along it.

use super::differential::DifferentialModel;
use super::error::PlannerError;
use super::per_env::PerEnv;
use super::route::Route;
use super::{orca, pursuit};
use crate::env::Controller;
use crate::scenario::{Layout, Scenario};
use crate::sim::WorldSnapshot;
use crate::sim::orca::HalfPlane;

/// Follows a route to the goal: `planner:pursuit` and `planner:orca`. It knows the map and the true
/// pose, which a policy does not.
#[derive(Clone, Debug)]
pub struct RoutePlanner {
    drive: DifferentialModel,
    steering: Steering,
    states: PerEnv<RouteState>,
}

/// How a planner steers along its route.
#[derive(Clone, Debug)]
enum Steering {
    /// Ignores everything that moves.
    Pursuit,
    /// Avoids everything that moves. The half-planes are scratch memory.
    Orca(Vec<HalfPlane>),
}

/// The state in one environment.
#[derive(Clone, Debug, Default)]
struct RouteState {
    /// `None` before the first step of an episode.
    route: Option<Route>,
    /// The next action.
    action: [f32; 2],
}

impl RoutePlanner {
    /// Pure pursuit of the shortest path, for the robots of a scenario.
    ///
    /// # Errors
    /// If the robot's drive is not differential.
    pub fn pursuit(scenario: &Scenario) -> Result<Self, PlannerError> {
        Self::new(scenario, "pursuit", Steering::Pursuit)
    }

    /// Optimal reciprocal collision avoidance along the shortest path, for the robots of a scenario.
    ///
    /// # Errors
    /// If the robot's drive is not differential.
    pub fn orca(scenario: &Scenario) -> Result<Self, PlannerError> {
        Self::new(scenario, "orca", Steering::Orca(Vec::new()))
    }

    fn new(
        scenario: &Scenario,
        name: &'static str,
        steering: Steering,
    ) -> Result<Self, PlannerError> {
        Ok(Self {
            drive: DifferentialModel::of(scenario, name)?,
            steering,
            states: PerEnv::new(),
        })
    }
}

impl Controller for RoutePlanner {
    fn begin_episode(&mut self, env: usize, _episode: u64) {
        self.states.reset(env, RouteState::default());
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
        let RouteState { route, action } = self.states.of(env);
        let route = route.get_or_insert_with(|| Route::plan(layout, &layout.robots[robot]));
        *action = match &mut self.steering {
            Steering::Pursuit => {
                let radius = layout.robots[robot].radius;
                pursuit::follow(&self.drive, route, radius, &snapshot.robots[robot])
            }
            Steering::Orca(planes) => {
                orca::avoid(&self.drive, route, robot, layout, snapshot, planes)
            }
        };
    }

    fn act(&mut self, envs: &[usize], _observations: &[f32], actions: &mut [f32]) {
        for (action, &env) in actions.chunks_exact_mut(2).zip(envs) {
            action.copy_from_slice(&self.states.of(env).action);
        }
    }
}
