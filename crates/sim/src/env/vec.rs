//! Many environments stepped together by a crew of threads: each robot in them is a row of the
//! caller's buffers.

use std::sync::Arc;

use super::probe::{Probe, ProbeSource};
use super::worker_pool::WorkerPool;
use super::{
    EnvState, EpisodeStats, LevelPlan, NavEnv, ObsLayout, Outcome, REWARD_TERM_NAMES, REWARD_TERMS,
    StepBuffers, StepResult, VectorEnv,
};
use crate::scenario::{PlacementError, Scenario};
use crate::seed::{RootSeed, Split};

/// Environments that are stepped one after the other by one thread. Fixed, so that no sum depends
/// on the number of threads.
pub(super) const SHARD_SIZE: usize = 16;

/// The number of threads that a setting asks for: 0 is one for each core.
pub fn thread_count(setting: usize) -> usize {
    match setting {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        given => given,
    }
}

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
        source: std::io::Error,
    },
    /// Without any there is nothing to step.
    #[error("the number of environments must be at least 1")]
    Empty,
    /// Worlds are whole.
    #[error("{rows} environments are not a multiple of the {robots} robots of a world")]
    PartialWorld {
        /// Rows asked for.
        rows: usize,
        /// Robots of one world.
        robots: usize,
    },
}

/// Navigation environments stepped together; see [`VectorEnv`]. Results are the same bits
/// whatever the number of threads.
pub struct VecEnv {
    worker_pool: WorkerPool<EnvShard>,
    /// Robots, N.
    num_envs: usize,
    scenario: Arc<Scenario>,
    obs_layout: Arc<ObsLayout>,
    action_dim: usize,
    probe: Option<ProbeSource>,
}

/// Environments with what goes in and comes out of a round of work on them.
struct EnvShard {
    /// Index of the first.
    first: usize,
    envs: Vec<NavEnv>,
    /// Robots in each.
    robots: usize,
    command: ShardCommand,
    /// `[envs, robots, act]`.
    actions: Vec<f32>,
    /// `[robots]`: what came of a step in one of them.
    steps: Vec<StepResult>,
    /// `[envs]`: how their episodes ended in it, if they did.
    outcomes: Vec<Option<Outcome>>,
    buffers: StepBuffers,
    stats: EpisodeStats,
    term_sums: [f64; REWARD_TERMS],
    /// Which episodes follow; without, each environment's own in turn.
    plan: Option<Arc<LevelPlan>>,
    /// `[envs]`: episodes begun under it.
    levels_begun: Vec<u32>,
    failure: Option<String>,
}

/// What a round is to do.
enum ShardCommand {
    Reset,
    Step,
    /// To a state for each environment.
    Restore(Vec<EnvState>),
}

impl VecEnv {
    /// Environments of one scenario with `num_envs` robots in all, stepped by `threads` threads (0:
    /// one for each core), the caller's among them.
    ///
    /// # Errors
    /// If a first layout cannot be placed, threads cannot be started, or the robots do not make
    /// whole worlds.
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
        let mut shards: Vec<EnvShard> = Vec::new();
        for env in 0..num_envs / robots {
            if env.is_multiple_of(SHARD_SIZE) {
                shards.push(EnvShard::starting_at(env, robots));
            }
            let made = NavEnv::new(Arc::clone(scenario), root, split, env as u64)
                .map_err(|source| VecEnvError::Placement { env, source })?;
            shards[env / SHARD_SIZE].envs.push(made);
        }
        let first = shards.first().ok_or(VecEnvError::Empty)?;
        let obs_layout = Arc::clone(first.envs[0].obs_layout());
        let action_dim = first.envs[0].action_dim();
        for shard in &mut shards {
            shard.outcomes = vec![None; shard.envs.len()];
            let rows = shard.envs.len() * robots;
            shard.actions = vec![0.0; rows * action_dim];
            shard.buffers = StepBuffers::new(rows, obs_layout.dim());
        }
        let worker_pool = WorkerPool::new(shards, threads, EnvShard::work)
            .map_err(|source| VecEnvError::Threads { threads, source })?;
        Ok(Self {
            worker_pool,
            num_envs,
            scenario: Arc::clone(scenario),
            obs_layout,
            action_dim,
            probe: None,
        })
    }

    /// Hangs a tap on the first environments, so that somebody may look on.
    pub fn set_probe(&mut self, probe: Arc<Probe>) {
        self.probe = Some(ProbeSource::new(probe));
    }

    /// One round: each shard gets its job, and what came out goes to the caller's buffers.
    fn run_shards(&mut self, prepare: impl Fn(&mut EnvShard), buffers: &mut StepBuffers) {
        let dim = self.obs_layout.dim();
        assert_eq!(
            (buffers.obs.len(), buffers.final_obs.len()),
            (self.num_envs * dim, self.num_envs * dim),
            "the buffers are for other environments"
        );
        self.worker_pool
            .tasks()
            .for_each(|mut shard| prepare(&mut shard));
        self.worker_pool.run();
        for shard in self.worker_pool.tasks() {
            let (envs, rows) = (shard.rows(1), shard.rows(dim));
            buffers.obs[rows.clone()].copy_from_slice(&shard.buffers.obs);
            buffers.reward[envs.clone()].copy_from_slice(&shard.buffers.reward);
            buffers.outcome[envs.clone()].copy_from_slice(&shard.buffers.outcome);
            buffers.inactive[envs].copy_from_slice(&shard.buffers.inactive);
            let finals = buffers.final_obs[rows].chunks_exact_mut(dim);
            let ended = shard
                .buffers
                .final_obs
                .chunks_exact(dim)
                .zip(&shard.buffers.outcome);
            for (to, (from, outcome)) in finals.zip(ended) {
                if outcome.is_some() {
                    to.copy_from_slice(from);
                }
            }
        }
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
        self.run_shards(|shard| shard.command = ShardCommand::Reset, buffers);
    }

    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers) {
        assert_eq!(
            actions.len(),
            self.num_envs * self.action_dim,
            "an action for each robot"
        );
        let action_dim = self.action_dim;
        let prepare = |shard: &mut EnvShard| {
            shard.command = ShardCommand::Step;
            let rows = shard.rows(action_dim);
            shard.actions.copy_from_slice(&actions[rows]);
        };
        self.run_shards(prepare, buffers);
        if let Some(probe) = self.probe.as_mut().filter(|probe| probe.is_open())
            && let Some(first) = self.worker_pool.tasks().next()
        {
            probe.record(&first.envs, &first.outcomes);
        }
    }

    fn take_stats(&mut self) -> EpisodeStats {
        let mut all = EpisodeStats::default();
        for mut shard in self.worker_pool.tasks() {
            let mut stats = std::mem::take(&mut shard.stats);
            let sums = std::mem::take(&mut shard.term_sums);
            stats.reward_terms = REWARD_TERM_NAMES.into_iter().zip(sums).collect();
            all.merge(&stats);
        }
        all
    }

    fn state(&self) -> Vec<EnvState> {
        let of_shard = |shard: &EnvShard| shard.envs.iter().map(NavEnv::state).collect::<Vec<_>>();
        self.worker_pool
            .tasks()
            .flat_map(|shard| of_shard(&shard))
            .collect()
    }

    fn set_level_plan(&mut self, plan: &LevelPlan) {
        let plan = Arc::new(plan.clone());
        for mut shard in self.worker_pool.tasks() {
            shard.levels_begun = vec![0; shard.envs.len()];
            shard.plan = Some(Arc::clone(&plan));
            shard.envs.iter_mut().for_each(NavEnv::play_levels);
        }
    }

    fn scenario(&self) -> Option<&Arc<Scenario>> {
        Some(&self.scenario)
    }

    fn restore(&mut self, states: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String> {
        let worlds: usize = self.worker_pool.tasks().map(|shard| shard.envs.len()).sum();
        if states.len() != worlds {
            return Err(format!(
                "{} saved environments for {worlds} here",
                states.len()
            ));
        }
        let prepare = |shard: &mut EnvShard| {
            let own = shard.first..shard.first + shard.envs.len();
            shard.command = ShardCommand::Restore(states[own].to_vec());
        };
        self.run_shards(prepare, buffers);
        let failure = self
            .worker_pool
            .tasks()
            .find_map(|mut shard| shard.failure.take());
        failure.map_or(Ok(()), Err)
    }
}

impl EnvShard {
    fn starting_at(first: usize, robots: usize) -> Self {
        Self {
            first,
            envs: Vec::with_capacity(SHARD_SIZE),
            robots,
            steps: vec![StepResult::INACTIVE; robots],
            outcomes: Vec::new(),
            command: ShardCommand::Reset,
            actions: Vec::new(),
            buffers: StepBuffers::default(),
            stats: EpisodeStats::default(),
            term_sums: [0.0; REWARD_TERMS],
            plan: None,
            levels_begun: Vec::new(),
            failure: None,
        }
    }

    /// Where this shard's rows of `width` numbers lie among everyone's.
    fn rows(&self, width: usize) -> std::ops::Range<usize> {
        let width = self.robots * width;
        self.first * width..(self.first + self.envs.len()) * width
    }

    fn work(&mut self) {
        match std::mem::replace(&mut self.command, ShardCommand::Step) {
            ShardCommand::Reset => self.reset(),
            ShardCommand::Step => self.step(),
            ShardCommand::Restore(states) => self.failure = self.restore(&states).err(),
        }
    }

    fn reset(&mut self) {
        self.buffers.outcome.fill(None);
        for index in 0..self.envs.len() {
            let first = match &self.plan {
                Some(plan) => next_level(plan, &mut self.levels_begun, self.first, index),
                None => 0,
            };
            self.envs[index].reset(first);
            self.observe(index);
        }
    }

    fn restore(&mut self, states: &[EnvState]) -> Result<(), String> {
        self.buffers.outcome.fill(None);
        for (index, state) in states.iter().enumerate() {
            self.envs[index]
                .restore(state)
                .map_err(|error| format!("environment {}: {error}", self.first + index))?;
            self.observe(index);
        }
        Ok(())
    }

    /// Writes what is to be acted on next in an environment.
    fn observe(&mut self, index: usize) {
        let env = &self.envs[index];
        let dim = env.obs_layout().dim();
        let rows = self.buffers.obs[index * self.robots * dim..].chunks_exact_mut(dim);
        let inactive = &mut self.buffers.inactive[index * self.robots..][..self.robots];
        for ((robot, obs), inactive) in rows.enumerate().zip(inactive) {
            env.observe_robot(robot, obs);
            *inactive = env.outcome(robot).is_some();
        }
    }

    fn step(&mut self) {
        let dim = self.envs[0].obs_layout().dim();
        let width = self.robots * self.envs[0].action_dim();
        for index in 0..self.envs.len() {
            let env = &mut self.envs[index];
            env.step_all(
                &self.actions[index * width..(index + 1) * width],
                &mut self.steps,
            );
            let rows = index * self.robots..(index + 1) * self.robots;
            for ((robot, row), step) in rows.enumerate().zip(&self.steps) {
                // Whether it waited is still what was told before this step.
                self.stats.steps += u64::from(!self.buffers.inactive[row]);
                self.buffers.reward[row] = step.reward;
                self.buffers.outcome[row] = step.outcome;
                for (sum, term) in self.term_sums.iter_mut().zip(step.terms) {
                    *sum += f64::from(term);
                }
                if let Some(outcome) = step.outcome {
                    let end = &mut self.buffers.final_obs[row * dim..(row + 1) * dim];
                    env.observe_robot(robot, end);
                    self.stats
                        .record(outcome, env.robot_return(robot), env.robot_steps(robot));
                }
            }
            self.outcomes[index] = env.episode_outcome();
            if env.is_over() {
                let next = match &self.plan {
                    Some(plan) => next_level(plan, &mut self.levels_begun, self.first, index),
                    None => env.episode() + 1,
                };
                env.reset(next);
            }
            self.observe(index);
        }
    }
}

/// What an environment of a shard plays next.
fn next_level(plan: &LevelPlan, levels_begun: &mut [u32], first: usize, index: usize) -> u64 {
    let count = levels_begun[index];
    levels_begun[index] += 1;
    plan.level(first + index, count)
}
