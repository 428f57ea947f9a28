//! Which episode an environment plays next. Training and every replay of it follow this one rule.

use std::sync::Arc;

use super::{LEVEL_ENV, LevelPlan};

/// The episodes of one environment, in order: its own, counted from 0, or the levels of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct EpisodeSequence {
    env: usize,
    plan: Option<Arc<LevelPlan>>,
    /// Levels taken from the plan so far.
    levels: u32,
}

impl EpisodeSequence {
    /// The episodes that environment `env` plays from now on.
    pub fn new(env: usize, plan: Option<Arc<LevelPlan>>) -> Self {
        Self {
            env,
            plan,
            levels: 0,
        }
    }

    /// The environment that the episode numbers refer to (`env` of [`NavEnv::new`]): levels are
    /// episodes of [`LEVEL_ENV`].
    ///
    /// [`NavEnv::new`]: super::NavEnv::new
    pub fn population(&self) -> u64 {
        match self.plan {
            Some(_) => LEVEL_ENV,
            None => self.env as u64,
        }
    }

    /// The number of the first episode.
    pub fn first(&mut self) -> u64 {
        self.next_level().unwrap_or(0)
    }

    /// The number of the episode that follows `episode`.
    pub fn after(&mut self, episode: u64) -> u64 {
        self.next_level().unwrap_or(episode + 1)
    }

    fn next_level(&mut self) -> Option<u64> {
        let level = self.plan.as_ref()?.level(self.env, self.levels);
        self.levels += 1;
        Some(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_plan_episodes_are_counted_and_under_one_they_are_its_levels() {
        let mut own = EpisodeSequence::new(3, None);
        assert_eq!((own.population(), own.first(), own.after(7)), (3, 0, 8));
        let plan = Arc::new(LevelPlan {
            seed: 5,
            replayed: vec![11],
            share: 0.5,
            ..LevelPlan::default()
        });
        let mut levels = EpisodeSequence::new(3, Some(Arc::clone(&plan)));
        assert_eq!(levels.population(), LEVEL_ENV);
        let played = [levels.first(), levels.after(7), levels.after(7)];
        assert_eq!(played, [0, 1, 2].map(|count| plan.level(3, count)));
    }
}
