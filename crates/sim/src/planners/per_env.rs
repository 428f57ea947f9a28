//! What a driver remembers of each environment.

/// One of `T` for each environment that an episode has begun in.
#[derive(Clone, Debug)]
pub(super) struct PerEnv<T>(Vec<Option<T>>);

impl<T> PerEnv<T> {
    pub(super) fn new() -> Self {
        Self(Vec::new())
    }

    /// Remembers this of an environment, and nothing else.
    pub(super) fn reset(&mut self, env: usize, per_env: T) {
        if self.0.len() <= env {
            self.0.resize_with(env + 1, || None);
        }
        self.0[env] = Some(per_env);
    }

    /// What is remembered of an environment.
    ///
    /// # Panics
    /// If no episode has begun in it.
    pub(super) fn of(&mut self, env: usize) -> &mut T {
        let per_env = self.0.get_mut(env).and_then(Option::as_mut);
        per_env.expect("an episode is begun before it is acted in")
    }
}
