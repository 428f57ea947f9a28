//! Which episode a layout is drawn for.

use crate::seed::{Purpose, Rng, RootSeed, Split, derive_seed, stream};

/// Identifies one episode of one environment, for which a layout is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpisodeKey {
    /// Root seed of the run.
    pub root: RootSeed,
    /// The set of episodes.
    pub split: Split,
    /// Index of the environment.
    pub env: u64,
    /// Index of the episode in its environment.
    pub episode: u64,
}

impl EpisodeKey {
    /// Returns this episode's random stream for a purpose.
    pub fn stream(self, purpose: Purpose) -> Rng {
        stream(self.root, self.split, self.env, self.episode, purpose)
    }

    /// The key of a layout that is drawn again because those of the attempts before could not be
    /// placed. Attempt 0 has the episode's own key.
    #[must_use]
    pub(super) fn for_attempt(self, attempt: u32) -> Self {
        // Other than the indices of robots.
        const ATTEMPTS: u64 = 1 << 32;
        match attempt {
            0 => self,
            _ => Self {
                root: derive_seed(self.root, ATTEMPTS + u64::from(attempt)),
                ..self
            },
        }
    }

    /// The key for what is drawn for one robot, such as slip and sensor noise, so that robots differ.
    /// The key of robot 0 is the episode's own.
    #[must_use]
    pub fn for_robot(self, robot: usize) -> Self {
        Self {
            root: derive_seed(self.root, robot as u64),
            ..self
        }
    }
}
