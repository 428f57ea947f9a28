//! Many environments stepped together, with the choice of when an ended episode is followed by the
//! next. This module must not know Python.

use std::sync::Arc;

use evenkeel_sim::env::{
    NavEnv, Outcome, StepResult, VecEnvError, WorkerPool, action_dim, obs_layout,
    reward_term_names, thread_count,
};
use evenkeel_sim::scenario::{PlacementError, Scenario};
use evenkeel_sim::seed::{RootSeed, Split};

/// Worlds that one thread steps one after the other.
const SHARD_SIZE: usize = 16;

/// When an episode that has ended is followed by the next, as in Gymnasium's `AutoresetMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AutoReset {
    /// Within the step that ends it.
    SameStep,
    /// In the next step, whose action is ignored.
    NextStep,
    /// When the caller resets it.
    Disabled,
}

/// What the environments play.
#[derive(Clone, Debug)]
pub(crate) struct BatchOptions {
    pub(crate) scenario: Arc<Scenario>,
    pub(crate) seed: RootSeed,
    pub(crate) split: Split,
    pub(crate) auto_reset: AutoReset,
}

/// Error of a batch of environments.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BatchError {
    /// The environments cannot be made.
    #[error(transparent)]
    Create(#[from] VecEnvError),
    /// A layout cannot be placed.
    #[error("episode {episode} cannot be placed: {reason}; make more room in the scenario")]
    Placement {
        episode: u64,
        reason: PlacementError,
    },
    /// An episode has ended and was not reset.
    #[error(
        "environment {row} has ended its episode; reset it, with options={{\"reset_mask\": …}} if \
         others go on"
    )]
    Ended { row: usize },
    /// Some robots of a world are to be reset, and others not.
    #[error("the robots of a world can only be reset together: rows {first} to {last}")]
    SplitWorld { first: usize, last: usize },
}

/// Which worlds to reset, and to what.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reset<'a> {
    /// The new root seed; the episodes then start from 0.
    pub(crate) seed: Option<RootSeed>,
    /// `[N]`: the rows to reset; all by default.
    pub(crate) mask: Option<&'a [bool]>,
    /// The episode; the next by default.
    pub(crate) episode: Option<u64>,
}

/// The results of a step.
#[derive(Debug, Default)]
pub(crate) struct BatchStep {
    /// `[N]`.
    pub(crate) reward: Vec<f32>,
    /// `[N]`: whether the step ended the episode, other than by the time limit.
    pub(crate) terminated: Vec<bool>,
    /// `[N]`: whether the step ended the episode by the time limit.
    pub(crate) truncated: Vec<bool>,
    /// `[N, terms]`, in the order of `reward_term_names`.
    pub(crate) terms: Vec<f32>,
    /// `[N]`: whether the robot's part had ended before the step, while others of its world go on.
    pub(crate) inactive: Vec<bool>,
    /// The parts of episodes that ended in the step.
    pub(crate) ended: EndedRows,
}

/// Parts of episodes that ended in a step, in the order of their rows.
#[derive(Debug, Default)]
pub(crate) struct EndedRows {
    pub(crate) rows: Vec<i64>,
    /// Indices into `Outcome::ALL`.
    pub(crate) outcomes: Vec<i64>,
    pub(crate) returns: Vec<f64>,
    /// Control steps.
    pub(crate) lengths: Vec<i64>,
    /// `[ended, obs]`: their last observations.
    pub(crate) final_obs: Vec<f32>,
}

impl EndedRows {
    fn append(&mut self, other: &mut Self) {
        self.rows.append(&mut other.rows);
        self.outcomes.append(&mut other.outcomes);
        self.returns.append(&mut other.returns);
        self.lengths.append(&mut other.lengths);
        self.final_obs.append(&mut other.final_obs);
    }
}

/// Environments of one scenario. Rows are robots: those of a world are adjacent.
pub(crate) struct EnvBatch {
    options: BatchOptions,
    worker_pool: WorkerPool,
    shards: Vec<Shard>,
    /// Robots, N.
    rows: usize,
    /// Robots of a world.
    robots: usize,
    obs_dim: usize,
    action_dim: usize,
    /// Reward terms of the scenario.
    reward_terms: usize,
}

/// Worlds that one thread steps one after the other.
struct Shard {
    worlds: Vec<World>,
    /// Row of the first robot.
    first_row: usize,
    /// Scratch, `[robots]`.
    steps: Vec<StepResult>,
    /// Results of the current step.
    ended: EndedRows,
}

struct World {
    env: NavEnv,
    /// Index of the environment.
    index: usize,
    /// Whether no episode has been started by a reset.
    is_new: bool,
}

/// The rows of one shard in the buffers of a step.
struct StepRows<'a> {
    obs: &'a mut [f32],
    reward: &'a mut [f32],
    terminated: &'a mut [bool],
    truncated: &'a mut [bool],
    terms: &'a mut [f32],
    inactive: &'a mut [bool],
}

impl EnvBatch {
    /// `num_envs` robots in total, stepped by `threads` threads (0: one per core).
    pub(crate) fn new(
        options: BatchOptions,
        num_envs: usize,
        threads: usize,
    ) -> Result<Self, BatchError> {
        let robots = options.scenario.spec.robot_count();
        if num_envs == 0 {
            return Err(VecEnvError::Empty.into());
        }
        if !num_envs.is_multiple_of(robots) {
            return Err(VecEnvError::PartialWorld {
                rows: num_envs,
                robots,
            }
            .into());
        }
        let mut shards: Vec<Shard> = Vec::new();
        for index in 0..num_envs / robots {
            if index.is_multiple_of(SHARD_SIZE) {
                shards.push(Shard {
                    worlds: Vec::with_capacity(SHARD_SIZE),
                    first_row: index * robots,
                    steps: vec![StepResult::INACTIVE; robots],
                    ended: EndedRows::default(),
                });
            }
            let env = options
                .new_env(index)
                .map_err(|source| VecEnvError::Placement { env: index, source })?;
            shards[index / SHARD_SIZE].worlds.push(World {
                env,
                index,
                is_new: true,
            });
        }
        let threads = thread_count(threads).min(shards.len());
        let worker_pool =
            WorkerPool::new(threads).map_err(|source| VecEnvError::Threads { threads, source })?;
        Ok(Self {
            worker_pool,
            shards,
            rows: num_envs,
            robots,
            obs_dim: obs_layout(&options.scenario).dim(),
            action_dim: action_dim(&options.scenario),
            reward_terms: reward_term_names(&options.scenario.spec.reward).len(),
            options,
        })
    }

    /// Number of rows, N.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// Length of an observation.
    pub(crate) fn obs_dim(&self) -> usize {
        self.obs_dim
    }

    /// Number of reward terms.
    pub(crate) fn reward_terms(&self) -> usize {
        self.reward_terms
    }

    /// Length of an action.
    pub(crate) fn action_dim(&self) -> usize {
        self.action_dim
    }

    /// The environment of a row, and the row's robot in it.
    pub(crate) fn env(&self, row: usize) -> (&NavEnv, usize) {
        let world = row / self.robots;
        let shard = &self.shards[world / SHARD_SIZE];
        (&shard.worlds[world % SHARD_SIZE].env, row % self.robots)
    }

    /// Resets worlds, and writes the observations of all rows, `[N, obs]`.
    pub(crate) fn reset(&mut self, reset: Reset, obs: &mut [f32]) -> Result<(), BatchError> {
        if let Some(mask) = reset.mask {
            for (world, rows) in mask.chunks(self.robots).enumerate() {
                if rows.iter().any(|row| *row != rows[0]) {
                    let first = world * self.robots;
                    let last = first + self.robots - 1;
                    return Err(BatchError::SplitWorld { first, last });
                }
            }
        }
        if let (Some(seed), None) = (reset.seed, reset.mask) {
            self.options.seed = seed;
        }
        let (robots, obs_dim, options) = (self.robots, self.obs_dim, &self.options);
        let mut results: Vec<Result<(), BatchError>> = Vec::new();
        results.resize_with(self.shards.len(), || Ok(()));
        let obs = obs.chunks_mut(SHARD_SIZE * robots * obs_dim);
        let tasks = self.shards.iter_mut().zip(obs).zip(&mut results);
        self.worker_pool.run(tasks, |((shard, obs), result)| {
            *result = shard.reset(options, reset, robots);
            let worlds = shard
                .worlds
                .iter()
                .zip(obs.chunks_exact_mut(robots * obs_dim));
            worlds.for_each(|(world, obs)| observe(&world.env, obs));
        });
        results.into_iter().collect()
    }

    /// One control step. `actions` is `[N, act]`; writes `obs`, `[N, obs]`.
    pub(crate) fn step(
        &mut self,
        actions: &[f32],
        obs: &mut [f32],
    ) -> Result<BatchStep, BatchError> {
        if self.options.auto_reset == AutoReset::Disabled {
            let mut worlds = self.shards.iter().flat_map(|shard| &shard.worlds);
            if let Some(over) = worlds.find(|world| world.env.is_over()) {
                let row = over.index * self.robots;
                return Err(BatchError::Ended { row });
            }
        }
        let rows = self.rows;
        let mut step = BatchStep {
            reward: vec![0.0; rows],
            terminated: vec![false; rows],
            truncated: vec![false; rows],
            terms: vec![0.0; rows * self.reward_terms],
            inactive: vec![false; rows],
            ended: EndedRows::default(),
        };
        let (robots, obs_dim) = (self.robots, self.obs_dim);
        let auto_reset = self.options.auto_reset;
        let chunk = SHARD_SIZE * robots;
        let buffers = obs
            .chunks_mut(chunk * obs_dim)
            .zip(step.reward.chunks_mut(chunk))
            .zip(step.terminated.chunks_mut(chunk))
            .zip(step.truncated.chunks_mut(chunk))
            .zip(step.terms.chunks_mut(chunk * self.reward_terms))
            .zip(step.inactive.chunks_mut(chunk))
            .map(
                |(((((obs, reward), terminated), truncated), terms), inactive)| StepRows {
                    obs,
                    reward,
                    terminated,
                    truncated,
                    terms,
                    inactive,
                },
            );
        let actions = actions.chunks(chunk * self.action_dim);
        let tasks = self.shards.iter_mut().zip(buffers).zip(actions);
        self.worker_pool.run(tasks, |((shard, mut rows), actions)| {
            shard.step(auto_reset, actions, &mut rows, robots);
        });
        for shard in &mut self.shards {
            step.ended.append(&mut shard.ended);
        }
        Ok(step)
    }
}

impl BatchOptions {
    /// Environment `index`, at the start of its episode 0.
    fn new_env(&self, index: usize) -> Result<NavEnv, PlacementError> {
        let scenario = Arc::clone(&self.scenario);
        NavEnv::new(scenario, self.seed, self.split, index as u64)
    }
}

impl Shard {
    fn reset(
        &mut self,
        options: &BatchOptions,
        reset: Reset,
        robots: usize,
    ) -> Result<(), BatchError> {
        for (position, world) in self.worlds.iter_mut().enumerate() {
            let row = self.first_row + position * robots;
            if reset.mask.is_some_and(|mask| !mask[row]) {
                continue;
            }
            world.reset(options, reset)?;
        }
        Ok(())
    }

    /// One control step of each world. `actions` is `[worlds, robots, act]`.
    fn step(&mut self, auto_reset: AutoReset, actions: &[f32], rows: &mut StepRows, robots: usize) {
        let count = self.worlds.len();
        let terms = rows.terms.len() / rows.reward.len();
        let actions = actions.chunks_exact(actions.len() / count);
        let obs = rows.obs.chunks_exact_mut(rows.obs.len() / count);
        let worlds = self.worlds.iter_mut().zip(actions).zip(obs);
        for (position, ((world, actions), obs)) in worlds.enumerate() {
            let env = &mut world.env;
            if env.is_over() {
                // Only with `AutoReset::NextStep`. The buffers are already those of no step.
                env.reset(env.episode() + 1);
                observe(env, obs);
                continue;
            }
            let first = position * robots;
            for robot in 0..robots {
                rows.inactive[first + robot] = env.outcome(robot).is_some();
            }
            env.step_all(actions, &mut self.steps);
            for (robot, step) in self.steps.iter().enumerate() {
                let row = first + robot;
                rows.reward[row] = step.reward;
                rows.terms[row * terms..][..terms].copy_from_slice(&step.terms[..terms]);
                if let Some(outcome) = step.outcome {
                    rows.truncated[row] = outcome.is_truncation();
                    rows.terminated[row] = !outcome.is_truncation();
                    self.ended.push(self.first_row + row, env, robot, outcome);
                }
            }
            if auto_reset == AutoReset::SameStep && env.is_over() {
                env.reset(env.episode() + 1);
            }
            // Now, while the world is in the processor's cache.
            observe(env, obs);
        }
    }
}

/// Writes the observations of a world, `[robots, obs]`.
fn observe(env: &NavEnv, obs: &mut [f32]) {
    let rows = obs.chunks_exact_mut(env.obs_layout().dim());
    for (robot, row) in rows.enumerate() {
        env.observe_robot(robot, row);
    }
}

impl World {
    fn reset(&mut self, options: &BatchOptions, reset: Reset) -> Result<(), BatchError> {
        if let Some(seed) = reset.seed {
            let options = BatchOptions {
                seed,
                ..options.clone()
            };
            self.env = options
                .new_env(self.index)
                .map_err(|reason| BatchError::Placement { episode: 0, reason })?;
            self.is_new = true;
        }
        if let Some(episode) = reset.episode {
            self.env
                .try_reset(episode)
                .map_err(|reason| BatchError::Placement { episode, reason })?;
        } else if !self.is_new {
            self.env.reset(self.env.episode() + 1);
        }
        self.is_new = false;
        Ok(())
    }
}

impl EndedRows {
    fn push(&mut self, row: usize, env: &NavEnv, robot: usize, outcome: Outcome) {
        self.rows.push(row as i64);
        self.outcomes.push(outcome as i64);
        self.returns.push(env.robot_return(robot));
        self.lengths.push(i64::from(env.robot_steps(robot)));
        let dim = env.obs_layout().dim();
        let start = self.final_obs.len();
        self.final_obs.resize(start + dim, 0.0);
        env.observe_robot(robot, &mut self.final_obs[start..]);
    }
}
