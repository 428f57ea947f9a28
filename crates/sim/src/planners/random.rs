//! Uniformly random actions: the weakest baseline, and the return that a diverged run counts with.

use rand::RngExt as _;

use super::per_env::PerEnv;
use crate::env::Controller;
use crate::seed::{Purpose, Rng, RootSeed, Split, stream};

/// Draws each entry of an action uniformly from [-1, 1]. The draws of an episode come from the
/// stream (seed, eval, rollout, episode, action), so they are the same in every environment.
#[derive(Clone, Debug)]
pub struct RandomPlanner {
    seed: RootSeed,
    rollout: u64,
    rngs: PerEnv<Rng>,
}

impl RandomPlanner {
    /// A planner whose draws come from `seed`.
    pub fn new(seed: RootSeed) -> Self {
        Self {
            seed,
            rollout: 0,
            rngs: PerEnv::new(),
        }
    }
}

impl Controller for RandomPlanner {
    fn begin_episode(&mut self, env: usize, episode: u64) {
        let rng = stream(
            self.seed,
            Split::Eval,
            self.rollout,
            episode,
            Purpose::Action,
        );
        self.rngs.reset(env, rng);
    }

    fn act(&mut self, envs: &[usize], _observations: &[f32], actions: &mut [f32]) {
        let width = actions.len() / envs.len().max(1);
        for (action, &env) in actions.chunks_exact_mut(width.max(1)).zip(envs) {
            let rng = self.rngs.of(env);
            action.fill_with(|| rng.random::<f32>() * 2.0 - 1.0);
        }
    }

    fn is_stochastic(&self) -> bool {
        true
    }

    fn set_rollout(&mut self, rollout: u64) {
        self.rollout = rollout;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first `count` actions of an episode in the environment `env`, `[count, 2]`.
    fn actions(planner: &mut RandomPlanner, env: usize, episode: u64, count: usize) -> Vec<f32> {
        planner.begin_episode(env, episode);
        let mut action = [0.0; 2];
        (0..count)
            .flat_map(|_| {
                planner.act(&[env], &[], &mut action);
                action
            })
            .collect()
    }

    #[test]
    fn actions_are_uniform_over_their_range() {
        let values = actions(&mut RandomPlanner::new(1), 0, 0, 10_000);
        assert!(values.iter().all(|action| (-1.0..=1.0).contains(action)));
        let mean = |of: &dyn Fn(f64) -> f64| {
            values.iter().map(|&a| of(f64::from(a))).sum::<f64>() / values.len() as f64
        };
        assert!(mean(&|a| a).abs() < 0.02);
        assert!((mean(&|a| a * a) - 1.0 / 3.0).abs() < 0.01);
        // The two entries of an action are uncorrelated.
        let product = values.chunks(2).map(|pair| f64::from(pair[0] * pair[1]));
        assert!((product.sum::<f64>() / 10_000.0).abs() < 0.02);
    }

    #[test]
    fn an_episode_is_the_same_in_every_environment_and_differs_between_rollouts() {
        let alone = actions(&mut RandomPlanner::new(3), 0, 7, 5);
        let mut planner = RandomPlanner::new(3);
        actions(&mut planner, 4, 2, 9);
        assert_eq!(actions(&mut planner, 5, 7, 5), alone);
        assert_ne!(actions(&mut planner, 5, 8, 5), alone);
        assert_ne!(actions(&mut RandomPlanner::new(4), 0, 7, 5), alone);
        planner.set_rollout(1);
        assert_ne!(actions(&mut planner, 5, 7, 5), alone);
        planner.set_rollout(0);
        assert_eq!(actions(&mut planner, 5, 7, 5), alone);
    }
}
