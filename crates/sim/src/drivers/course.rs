//! What drivers along a route remember: the route of each environment, planned when the map is
//! first seen in an episode, and the action that was chosen there.

use super::memory::Memory;
use super::route::Route;
use crate::scenario::{Layout, RobotPlacement};

/// A course for each environment that an episode has begun in.
#[derive(Clone, Debug)]
pub(super) struct Courses(Memory<Course>);

#[derive(Clone, Debug, Default)]
struct Course {
    /// Absent until the map was seen.
    route: Option<Route>,
    action: [f32; 2],
}

impl Courses {
    pub(super) fn new() -> Self {
        Self(Memory::new())
    }

    /// Forgets the course of an environment, whose episode begins anew.
    pub(super) fn begin(&mut self, env: usize) {
        self.0.begin(env, Course::default());
    }

    /// Remembers the action that `choose` takes on the route of a robot through a layout.
    pub(super) fn watch(
        &mut self,
        env: usize,
        layout: &Layout,
        robot: &RobotPlacement,
        choose: impl FnOnce(&mut Route) -> [f32; 2],
    ) {
        let course = self.0.of(env);
        course.action = choose(
            course
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
