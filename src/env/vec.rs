//! Many environments stepped together over a pool of threads.

use std::sync::{Arc, Mutex};

use super::pool::Pool;

use super::{
    EnvState, EpisodeStats, NavEnv, ObsLayout, Outcome, StepBuffers, TERM_NAMES, TERMS, VectorEnv,
};
use crate::scenario::{PlacementError, Scenario};
use crate::seed::{Root, Split};
use crate::sim::ACTIONS;

/// Environments that are stepped one after the other by one thread. Fixed, so that no sum depends
/// on the number of threads.
const SHARD: usize = 16;

/// Why a vector of environments could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VecEnvError {
    /// A layout could not be placed.
    #[error("environment {env}: {source}")]
    Placement {
        /// Which environment.
        env: usize,
        /// Why.
        source: PlacementError,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} simulation threads: {source}")]
    Threads {
        /// How many.
        threads: usize,
        /// Why.
        source: rayon::ThreadPoolBuildError,
    },
    /// Without any there is nothing to step.
    #[error("the number of environments must be at least 1")]
    Empty,
}

/// Navigation environments stepped together; see [`VectorEnv`]. Results are the same bits
/// whatever the number of threads.
pub struct VecEnv {
    shards: Vec<Shard>,
    num_envs: usize,
    obs_layout: Arc<ObsLayout>,
    pool: Pool,
}

struct Shard {
    envs: Vec<NavEnv>,
    stats: EpisodeStats,
    term_sums: [f64; TERMS],
}

/// One shard's rows of the buffers of a step.
struct Rows<'a> {
    actions: &'a [f32],
    obs: &'a mut [f32],
    reward: &'a mut [f32],
    outcome: &'a mut [Option<Outcome>],
    final_obs: &'a mut [f32],
}

impl VecEnv {
    /// `num_envs` environments of one scenario, stepped by `threads` threads (0: one for each
    /// core).
    ///
    /// # Errors
    /// If a first layout cannot be placed, or threads cannot be started.
    pub fn new(
        scenario: &Arc<Scenario>,
        root: Root,
        split: Split,
        num_envs: usize,
        threads: usize,
    ) -> Result<Self, VecEnvError> {
        let threads = match threads {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        let pool = Pool::new(threads).map_err(|source| VecEnvError::Threads { threads, source })?;
        let envs = (0..num_envs)
            .map(|env| {
                NavEnv::new(Arc::clone(scenario), root, split, env as u64)
                    .map_err(|source| VecEnvError::Placement { env, source })
            })
            .collect::<Result<Vec<_>, _>>()?;
        let obs_layout = Arc::clone(envs.first().ok_or(VecEnvError::Empty)?.obs_layout());
        let mut shards = Vec::new();
        let mut rest = envs.into_iter();
        while shards.len() * SHARD < num_envs {
            let envs = rest.by_ref().take(SHARD).collect();
            shards.push(Shard {
                envs,
                stats: EpisodeStats::default(),
                term_sums: [0.0; TERMS],
            });
        }
        Ok(Self {
            shards,
            num_envs,
            obs_layout,
            pool,
        })
    }

    /// The environments, in order.
    pub fn envs(&self) -> impl Iterator<Item = &NavEnv> {
        self.shards.iter().flat_map(|shard| &shard.envs)
    }

    fn for_each_shard(
        &mut self,
        actions: &[f32],
        buffers: &mut StepBuffers,
        work: impl Fn(&mut Shard, Rows<'_>) + Sync,
    ) {
        let dim = self.obs_layout.dim();
        assert_eq!(
            buffers.obs.len(),
            self.num_envs * dim,
            "the buffers are for another environment"
        );
        let pieces = self
            .shards
            .iter_mut()
            .zip(buffers.obs.chunks_mut(SHARD * dim))
            .zip(buffers.reward.chunks_mut(SHARD))
            .zip(buffers.outcome.chunks_mut(SHARD))
            .zip(buffers.final_obs.chunks_mut(SHARD * dim))
            .enumerate();
        self.pool.for_each(
            pieces,
            |(i, ((((shard, obs), reward), outcome), final_obs))| {
                let actions = shard_actions(actions, i, shard.envs.len());
                let rows = Rows {
                    actions,
                    obs,
                    reward,
                    outcome,
                    final_obs,
                };
                work(shard, rows);
            },
        );
    }
}

/// A shard's actions; none where the call has none.
fn shard_actions(actions: &[f32], shard: usize, envs: usize) -> &[f32] {
    if actions.is_empty() {
        return actions;
    }
    let first = shard * SHARD * ACTIONS;
    &actions[first..first + envs * ACTIONS]
}

impl VectorEnv for VecEnv {
    fn num_envs(&self) -> usize {
        self.num_envs
    }

    fn obs_layout(&self) -> &ObsLayout {
        &self.obs_layout
    }

    fn action_dim(&self) -> usize {
        ACTIONS
    }

    fn reset(&mut self, buffers: &mut StepBuffers) {
        let dim = self.obs_layout.dim();
        self.for_each_shard(&[], buffers, |shard, rows| {
            for (env, obs) in shard.envs.iter_mut().zip(rows.obs.chunks_exact_mut(dim)) {
                env.reset(0);
                env.observe(obs);
            }
        });
    }

    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers) {
        let dim = self.obs_layout.dim();
        assert_eq!(
            actions.len(),
            self.num_envs * ACTIONS,
            "an action for each environment"
        );
        self.for_each_shard(actions, buffers, |shard, rows| shard.step(dim, rows));
    }

    fn take_stats(&mut self) -> EpisodeStats {
        let mut all = EpisodeStats::default();
        for shard in &mut self.shards {
            let mut stats = std::mem::take(&mut shard.stats);
            let sums = std::mem::take(&mut shard.term_sums);
            stats.reward_terms = TERM_NAMES.into_iter().zip(sums).collect();
            all.merge(&stats);
        }
        all
    }

    fn state(&self) -> Vec<EnvState> {
        self.envs().map(NavEnv::state).collect()
    }

    fn restore(&mut self, states: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String> {
        if states.len() != self.num_envs {
            return Err(format!(
                "{} saved environments for {} here",
                states.len(),
                self.num_envs
            ));
        }
        let dim = self.obs_layout.dim();
        let failures = Mutex::new(Vec::new());
        let (shards, obs) = (self.shards.iter_mut(), buffers.obs.chunks_mut(SHARD * dim));
        let pieces = shards.zip(states.chunks(SHARD)).zip(obs).enumerate();
        self.pool
            .for_each(pieces, |(index, ((shard, states), obs))| {
                let rows = shard
                    .envs
                    .iter_mut()
                    .zip(states)
                    .zip(obs.chunks_exact_mut(dim));
                for (row, ((env, state), obs)) in rows.enumerate() {
                    match env.restore(state) {
                        Ok(()) => env.observe(obs),
                        Err(error) => {
                            let failure = (index * SHARD + row, error);
                            failures.lock().expect("no holder panics").push(failure);
                        }
                    }
                }
            });
        let failures = failures.into_inner().expect("no holder panics");
        match failures.into_iter().min() {
            Some((index, error)) => Err(format!("environment {index}: {error}")),
            None => Ok(()),
        }
    }
}

impl Shard {
    fn step(&mut self, dim: usize, rows: Rows<'_>) {
        let steps = self.envs.len() as u64;
        let per_env = self
            .envs
            .iter_mut()
            .zip(rows.actions.chunks_exact(ACTIONS))
            .zip(rows.obs.chunks_exact_mut(dim))
            .zip(rows.final_obs.chunks_exact_mut(dim))
            .zip(rows.reward)
            .zip(rows.outcome);
        for (((((env, action), obs), final_obs), reward), outcome) in per_env {
            let step = env.step(action);
            *reward = step.reward;
            *outcome = step.outcome;
            for (sum, term) in self.term_sums.iter_mut().zip(step.terms) {
                *sum += f64::from(term);
            }
            if let Some(outcome) = step.outcome {
                env.observe(final_obs);
                self.stats
                    .record(outcome, env.episode_return(), env.steps());
                env.reset(env.episode() + 1);
            }
            env.observe(obs);
        }
        self.stats.steps += steps;
    }
}
