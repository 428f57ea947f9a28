//! State that a planner keeps for each environment.

/// A `T` for each environment in which an episode has started.
#[derive(Clone, Debug)]
pub(super) struct PerEnv<T>(Vec<Option<T>>);

impl<T> PerEnv<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets the state of an environment.
    pub(super) fn reset(&mut self, env: usize, state: T) {
        if self.0.len() <= env {
            self.0.resize_with(env + 1, || None);
        }
        self.0[env] = Some(state);
    }

    /// The state of an environment.
    ///
    /// # Panics
    /// If no episode has started in the environment.
    pub(super) fn of(&mut self, env: usize) -> &mut T {
        let state = self.0.get_mut(env).and_then(Option::as_mut);
        state.expect("an episode is started before the first action")
    }
}
