//! State of planners that follow a route: for each environment the route, which is planned at the
//! first step of an episode, and the last action.

use super::per_env::PerEnv;
use super::route::Route;
use crate::scenario::{Layout, RobotParameters};

/// The state of each environment.
#[derive(Clone, Debug)]
pub(super) struct RouteStates(PerEnv<RouteState>);

#[derive(Clone, Debug, Default)]
struct RouteState {
    /// `None` before the first step of an episode.
    route: Option<Route>,
    action: [f32; 2],
}

impl RouteStates {
    pub(super) fn new() -> Self {
        Self(PerEnv::new())
    }

    /// Starts an episode in an environment.
    pub(super) fn reset(&mut self, env: usize) {
        self.0.reset(env, RouteState::default());
    }

    /// Stores the action that `choose` returns for the route of a robot, and plans the route first
    /// if there is none.
    pub(super) fn observe_world(
        &mut self,
        env: usize,
        layout: &Layout,
        robot: &RobotParameters,
        choose: impl FnOnce(&mut Route) -> [f32; 2],
    ) {
        let state = self.0.of(env);
        let route = state
            .route
            .get_or_insert_with(|| Route::plan(layout, robot));
        state.action = choose(route);
    }

    /// Writes the stored actions of these environments, `[envs, 2]`.
    pub(super) fn act(&mut self, envs: &[usize], actions: &mut [f32]) {
        for (action, &env) in actions.chunks_exact_mut(2).zip(envs) {
            action.copy_from_slice(&self.0.of(env).action);
        }
    }
}
