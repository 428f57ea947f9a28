//! What drivers along a route remember: the route of each environment, planned when the map is
//! first seen in an episode, and the action that was chosen there.

use super::per_env::PerEnv;
use super::route::Route;
use crate::scenario::{Layout, RobotPlacement};

/// A course for each environment that an episode has begun in.
#[derive(Clone, Debug)]
pub(super) struct RouteStates(PerEnv<RouteState>);

#[derive(Clone, Debug, Default)]
struct RouteState {
    /// Absent until the map was seen.
    route: Option<Route>,
    action: [f32; 2],
}

impl RouteStates {
    pub(super) fn new() -> Self {
        Self(PerEnv::new())
    }

    /// Forgets the course of an environment, whose episode begins anew.
    pub(super) fn reset(&mut self, env: usize) {
        self.0.reset(env, RouteState::default());
    }

    /// Remembers the action that `choose` takes on the route of a robot through a layout.
    pub(super) fn observe_world(
        &mut self,
        env: usize,
        layout: &Layout,
        robot: &RobotPlacement,
        choose: impl FnOnce(&mut Route) -> [f32; 2],
    ) {
        let route_state = self.0.of(env);
        route_state.action = choose(
            route_state
                .route
                .get_or_insert_with(|| Route::plan(layout, robot)),
        );
    }

    /// Writes the actions that were chosen in these environments, `[envs, 2]`.
    pub(super) fn act(&mut self, envs: &[usize], actions: &mut [f32]) {
        for (action, &env) in actions.chunks_exact_mut(2).zip(envs) {
            action.copy_from_slice(&self.0.of(env).action);
        }
    }
}
