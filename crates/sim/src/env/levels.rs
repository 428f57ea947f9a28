//! The episodes that environments play under a curriculum.
//!
//! Without a plan, environment `i` plays its own episodes in turn. Under a plan all environments
//! play
//! *levels*: the episodes of environment 0. So a level is the same in every environment and can be
//! replayed.

use rand::{Rng as _, RngExt as _};
use serde::{Deserialize, Serialize};

use crate::seed::{Purpose, RootSeed, Split, stream};

/// The environment whose episodes are the levels.
pub const LEVEL_ENV: u64 = 0;

/// Level numbers have this many bits, so that programs that store them as `f64` read them exactly.
const LEVEL_BITS: u32 = 53;

/// The levels that environments play until the next plan.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LevelPlan {
    /// Root seed of the run.
    pub seed: RootSeed,
    /// Number of the plan within the run.
    pub round: u64,
    /// Levels to replay.
    pub replayed: Vec<u64>,
    /// Share of the episodes that play one of `replayed`, 0 to 1. The others play new levels, and
    /// so do all if `replayed` is empty.
    pub share: f64,
}

impl LevelPlan {
    /// The level that environment `env` plays after `count` levels under this plan.
    pub fn level(&self, env: usize, count: u32) -> u64 {
        let word = self.round << 24 | u64::from(count);
        let mut rng = stream(
            self.seed,
            Split::Train,
            env as u64,
            word,
            Purpose::Curriculum,
        );
        if !self.replayed.is_empty() && rng.random::<f64>() < self.share {
            self.replayed[rng.random_range(0..self.replayed.len())]
        } else {
            rng.next_u64() >> (u64::BITS - LEVEL_BITS)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_of_replayed_levels_is_as_set() {
        let plan = LevelPlan {
            seed: 3,
            round: 9,
            replayed: vec![5, 6, 7, 8],
            share: 0.25,
        };
        let levels: Vec<u64> = (0..4000).map(|env| plan.level(env, 0)).collect();
        let replayed = levels.iter().filter(|level| plan.replayed.contains(level));
        let share = replayed.count() as f64 / 4000.0;
        assert!((share - 0.25).abs() < 0.03, "{share}");
        for level in &plan.replayed {
            assert!(levels.contains(level), "{level} is not played");
        }
        assert!(levels.iter().all(|level| *level < 1 << LEVEL_BITS));
        let next = LevelPlan {
            round: 10,
            ..plan.clone()
        };
        let other = (0..4000).filter(|&env| next.level(env, 0) != levels[env]);
        assert!(other.count() > 3000, "another plan draws other levels");
        assert_ne!(plan.level(0, 0), plan.level(0, 1));
    }
}
