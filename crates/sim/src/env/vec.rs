//! Many environments stepped together by a pool of threads. Each robot is a row of the caller's
//! buffers, which the threads write in place.

use std::sync::Arc;

use super::probe::{Probe, ProbeSource};
use super::worker_pool::WorkerPool;
use super::{
    EnvState, EpisodeSequence, EpisodeStats, LevelPlan, MAX_REWARD_TERMS, NavEnv, ObsLayout,
    Outcome, StepBuffers, StepResult, VectorEnv, action_dim, obs_layout, reward_term_names,
};
use crate::scenario::{PlacementError, Scenario};
use crate::seed::{RootSeed, Split};

/// Environments that one thread steps one after the other. A constant, so that no sum depends on
/// the number of threads.
const SHARD_SIZE: usize = 16;

/// Most threads per core that are started: more only wait for each other.
const MAX_THREADS_PER_CORE: usize = 4;

/// The number of threads for a setting: 0 means one per core. More than [`max_threads`] are never
/// used.
pub fn thread_count(setting: usize) -> usize {
    match setting {
        0 => core_count(),
        threads => threads.min(max_threads()),
    }
}

/// The most threads that this machine uses: four per core.
pub fn max_threads() -> usize {
    MAX_THREADS_PER_CORE * core_count()
}

/// Number of logical processors available to the process.
fn core_count() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Why a vector of environments could not be made.
#[derive(Debug, thiserror::Error)]
pub enum VecEnvError {
    /// A layout could not be placed.
    #[error("environment {env}: {source}")]
    Placement {
        /// Index of the environment.
        env: usize,
        /// Why.
        source: PlacementError,
    },
    /// Threads could not be started.
    #[error("cannot start {threads} simulation threads: {source}")]
    Threads {
        /// Number of threads.
        threads: usize,
        /// Why.
        source: std::io::Error,
    },
    /// No environments.
    #[error("the number of environments must be at least 1")]
    Empty,
    /// The rows do not fill the last world.
    #[error("{rows} environments are not a multiple of the {robots} robots of a world")]
    PartialWorld {
        /// Number of rows.
        rows: usize,
        /// Robots of one world.
        robots: usize,
    },
}

/// Navigation environments stepped together; see [`VectorEnv`]. Results are bit-identical for any
/// number of threads.
pub struct VecEnv {
    worker_pool: WorkerPool,
    shards: Vec<EnvShard>,
    /// Robots, N.
    num_envs: usize,
    scenario: Arc<Scenario>,
    obs_layout: ObsLayout,
    action_dim: usize,
    probe: Option<ProbeSource>,
}

/// Up to [`SHARD_SIZE`] environments, stepped by one thread.
struct EnvShard {
    /// Index of the first environment.
    first: usize,
    envs: Vec<NavEnv>,
    /// Robots of one environment.
    robots: usize,
    obs_dim: usize,
    /// Scratch, `[robots]`: the results of a step in one environment.
    steps: Vec<StepResult>,
    /// `[envs]`: the outcomes of the episodes that ended in the last step.
    outcomes: Vec<Option<Outcome>>,
    stats: EpisodeStats,
    term_sums: [f64; MAX_REWARD_TERMS],
    /// `[envs]`: which episodes each plays.
    sequences: Vec<EpisodeSequence>,
}

/// The rows of the caller's [`StepBuffers`] that belong to one shard or one environment.
struct BufferRows<'a> {
    obs: &'a mut [f32],
    reward: &'a mut [f32],
    outcome: &'a mut [Option<Outcome>],
    inactive: &'a mut [bool],
    final_obs: &'a mut [f32],
}

impl<'a> BufferRows<'a> {
    /// Splits the rows into groups of `rows`, in order; the last group may be shorter.
    fn chunks(self, rows: usize, obs_dim: usize) -> impl Iterator<Item = BufferRows<'a>> {
        let obs = self.obs.chunks_mut(rows * obs_dim);
        let final_obs = self.final_obs.chunks_mut(rows * obs_dim);
        let reward = self.reward.chunks_mut(rows);
        let outcome = self.outcome.chunks_mut(rows);
        let inactive = self.inactive.chunks_mut(rows);
        let per_robot = reward.zip(outcome).zip(inactive);
        obs.zip(final_obs).zip(per_robot).map(
            |((obs, final_obs), ((reward, outcome), inactive))| BufferRows {
                obs,
                reward,
                outcome,
                inactive,
                final_obs,
            },
        )
    }

    /// Writes the rows of one environment at the start of an episode, without a step before it.
    fn observe_start(&mut self, env: &NavEnv) {
        self.reward.fill(0.0);
        self.outcome.fill(None);
        env.observe_all(self.obs, self.inactive);
    }
}

impl VecEnv {
    /// Environments of one scenario with `num_envs` robots in total, stepped by `threads` threads
    /// (0: one per core), the caller's among them.
    ///
    /// # Errors
    /// If a first layout cannot be placed, a thread cannot be started, or `num_envs` is not a
    /// positive multiple of the robots of a world.
    pub fn new(
        scenario: &Arc<Scenario>,
        root: RootSeed,
        split: Split,
        num_envs: usize,
        threads: usize,
    ) -> Result<Self, VecEnvError> {
        let threads = thread_count(threads);
        let robots = scenario.spec.robot_count();
        if !num_envs.is_multiple_of(robots) {
            return Err(VecEnvError::PartialWorld {
                rows: num_envs,
                robots,
            });
        }
        let obs_layout = obs_layout(scenario);
        let mut shards: Vec<EnvShard> = Vec::new();
        for index in 0..num_envs / robots {
            if index.is_multiple_of(SHARD_SIZE) {
                shards.push(EnvShard::new(index, robots, obs_layout.dim()));
            }
            let env = NavEnv::new(Arc::clone(scenario), root, split, index as u64)
                .map_err(|source| VecEnvError::Placement { env: index, source })?;
            let shard = &mut shards[index / SHARD_SIZE];
            shard.envs.push(env);
            shard.sequences.push(EpisodeSequence::new(index, None));
            shard.outcomes.push(None);
        }
        if shards.is_empty() {
            return Err(VecEnvError::Empty);
        }
        let worker_pool =
            WorkerPool::new(threads).map_err(|source| VecEnvError::Threads { threads, source })?;
        Ok(Self {
            worker_pool,
            shards,
            num_envs,
            scenario: Arc::clone(scenario),
            obs_layout,
            action_dim: action_dim(scenario),
            probe: None,
        })
    }

    /// Lets `probe` observe the first environments.
    pub fn set_probe(&mut self, probe: Arc<Probe>) {
        self.probe = Some(ProbeSource::new(probe));
    }

    /// Calls `work` for each shard, with its rows of the caller's buffers and one of `inputs`.
    fn for_each_shard<I: Send>(
        &mut self,
        buffers: &mut StepBuffers,
        inputs: impl Iterator<Item = I>,
        work: impl Fn(&mut EnvShard, BufferRows, I) + Sync,
    ) {
        let dim = self.obs_layout.dim();
        let rows = self.num_envs;
        assert_eq!(
            [
                buffers.obs.len(),
                buffers.final_obs.len(),
                buffers.reward.len(),
                buffers.outcome.len(),
                buffers.inactive.len(),
            ],
            [rows * dim, rows * dim, rows, rows, rows],
            "the buffers must be of {rows} robots with observations of length {dim}",
        );
        let robots = self.scenario.spec.robot_count();
        let all_rows = BufferRows {
            obs: &mut buffers.obs,
            reward: &mut buffers.reward,
            outcome: &mut buffers.outcome,
            inactive: &mut buffers.inactive,
            final_obs: &mut buffers.final_obs,
        };
        let rows = all_rows.chunks(SHARD_SIZE * robots, dim);
        self.worker_pool.run(
            self.shards.iter_mut().zip(rows).zip(inputs),
            |((shard, rows), input)| work(shard, rows, input),
        );
    }
}

impl VectorEnv for VecEnv {
    fn num_envs(&self) -> usize {
        self.num_envs
    }

    fn obs_layout(&self) -> &ObsLayout {
        &self.obs_layout
    }

    fn action_dim(&self) -> usize {
        self.action_dim
    }

    fn reset(&mut self, buffers: &mut StepBuffers) {
        self.for_each_shard(buffers, std::iter::repeat(()), |shard, rows, ()| {
            shard.reset(rows);
        });
    }

    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers) {
        assert_eq!(
            actions.len(),
            self.num_envs * self.action_dim,
            "an action for each robot"
        );
        let shard_actions = SHARD_SIZE * self.scenario.spec.robot_count() * self.action_dim;
        self.for_each_shard(
            buffers,
            actions.chunks(shard_actions),
            |shard, rows, actions| shard.step(actions, rows),
        );
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.is_open()) {
            let envs = self.shards.iter();
            probe.record(envs.flat_map(|shard| shard.envs.iter().zip(&shard.outcomes)));
        }
    }

    fn take_stats(&mut self) -> EpisodeStats {
        let mut all = EpisodeStats::default();
        for shard in &mut self.shards {
            let reward = &shard.envs[0].scenario().spec.reward;
            let names = reward_term_names(reward);
            let mut stats = std::mem::take(&mut shard.stats);
            let sums = std::mem::take(&mut shard.term_sums);
            stats.reward_terms = names.into_iter().zip(sums).collect();
            all.merge(&stats);
        }
        all
    }

    fn state(&self) -> Vec<EnvState> {
        let envs = self.shards.iter().flat_map(|shard| &shard.envs);
        envs.map(NavEnv::state).collect()
    }

    fn set_level_plan(&mut self, plan: &LevelPlan) {
        let plan = Arc::new(plan.clone());
        for shard in &mut self.shards {
            let first = shard.first;
            for (index, sequence) in shard.sequences.iter_mut().enumerate() {
                *sequence = EpisodeSequence::new(first + index, Some(Arc::clone(&plan)));
            }
            shard.envs.iter_mut().for_each(NavEnv::play_levels);
        }
    }

    fn scenario(&self) -> Option<&Arc<Scenario>> {
        Some(&self.scenario)
    }

    fn restore(&mut self, states: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String> {
        let worlds = self.num_envs / self.scenario.spec.robot_count();
        if states.len() != worlds {
            return Err(format!(
                "{} saved environments for {worlds} here",
                states.len()
            ));
        }
        let mut results = vec![Ok(()); self.shards.len()];
        self.for_each_shard(
            buffers,
            states.chunks(SHARD_SIZE).zip(&mut results),
            |shard, rows, (states, result)| *result = shard.restore(states, rows),
        );
        results.into_iter().collect()
    }
}

impl EnvShard {
    fn new(first: usize, robots: usize, obs_dim: usize) -> Self {
        Self {
            first,
            envs: Vec::with_capacity(SHARD_SIZE),
            robots,
            obs_dim,
            steps: vec![StepResult::INACTIVE; robots],
            outcomes: Vec::with_capacity(SHARD_SIZE),
            stats: EpisodeStats::default(),
            term_sums: [0.0; MAX_REWARD_TERMS],
            sequences: Vec::with_capacity(SHARD_SIZE),
        }
    }

    fn reset(&mut self, rows: BufferRows) {
        for (index, mut rows) in rows.chunks(self.robots, self.obs_dim).enumerate() {
            self.envs[index].reset(self.sequences[index].first());
            self.stats.redrawn_layouts += u64::from(self.envs[index].was_redrawn());
            rows.observe_start(&self.envs[index]);
        }
    }

    fn restore(&mut self, states: &[EnvState], rows: BufferRows) -> Result<(), String> {
        let env_rows = rows.chunks(self.robots, self.obs_dim);
        for ((index, state), mut rows) in states.iter().enumerate().zip(env_rows) {
            self.envs[index]
                .restore(state)
                .map_err(|error| format!("environment {}: {error}", self.first + index))?;
            rows.observe_start(&self.envs[index]);
        }
        Ok(())
    }

    /// One control step of each environment. `actions` is `[envs, robots, act]`.
    fn step(&mut self, actions: &[f32], rows: BufferRows) {
        let env_actions = actions.chunks_exact(actions.len() / self.envs.len());
        let env_rows = rows.chunks(self.robots, self.obs_dim);
        for ((index, actions), rows) in env_actions.enumerate().zip(env_rows) {
            let env = &mut self.envs[index];
            let is_active = |robot: &usize| env.outcome(*robot).is_none();
            self.stats.steps += (0..self.robots).filter(is_active).count() as u64;
            env.step_all(actions, &mut self.steps);
            let final_obs = rows.final_obs.chunks_exact_mut(self.obs_dim);
            for ((robot, step), final_obs) in self.steps.iter().enumerate().zip(final_obs) {
                rows.reward[robot] = step.reward;
                rows.outcome[robot] = step.outcome;
                for (sum, term) in self.term_sums.iter_mut().zip(step.terms) {
                    *sum += f64::from(term);
                }
                if let Some(outcome) = step.outcome {
                    env.observe_robot(robot, final_obs);
                    let episode_return = env.robot_return(robot);
                    self.stats
                        .record(outcome, episode_return, env.robot_steps(robot));
                }
            }
            self.outcomes[index] = env.episode_outcome();
            if self.outcomes[index].is_some() {
                let next = self.sequences[index].after(env.episode());
                env.reset(next);
                self.stats.redrawn_layouts += u64::from(env.was_redrawn());
            }
            env.observe_all(rows.obs, rows.inactive);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;

    #[test]
    fn episodes_with_layouts_that_were_drawn_again_are_counted() {
        // So crowded that a few per cent of the episodes fail at their first attempt.
        let flags = [
            "arena.size_m=[4, 4]",
            "generate=[{ discs = { count = 34, radius_m = 0.3 } }]",
            "task.min_start_goal_distance_m=2.5",
            "task.time_limit_secs=0.1",
        ];
        let flags = flags.map(|flag| Override::parse(flag).unwrap());
        let scenario = Arc::new(crate::scenario::resolve("open_field", &flags).unwrap());
        let mut envs = VecEnv::new(&scenario, 4, Split::Train, 16, 1).unwrap();
        let mut buffers = StepBuffers::new(16, envs.obs_layout().dim());
        envs.reset(&mut buffers);
        let actions = vec![0.0; 16 * envs.action_dim()];
        let mut expected = 0;
        for episode in 0..10 {
            for env in 0..16 {
                let mut alone = NavEnv::new(scenario.clone(), 4, Split::Train, env).unwrap();
                alone.try_reset(episode).unwrap();
                expected += u64::from(alone.was_redrawn());
                // What an environment plays does not depend on how it got there.
                let playing = &envs.shards[0].envs[env as usize];
                assert_eq!(
                    playing.layout(),
                    alone.layout(),
                    "episode {episode} of {env}"
                );
            }
            envs.step(&actions, &mut buffers);
        }
        let counted = envs.take_stats().redrawn_layouts;
        let ahead = envs.shards[0].envs.iter().filter(|env| env.was_redrawn());
        assert_eq!(counted, expected + ahead.count() as u64);
        assert!(expected > 0);
    }
}
