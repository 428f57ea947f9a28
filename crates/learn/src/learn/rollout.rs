//! A rollout in flat buffers, the policy that collects it, and the returns and advantages that are
//! computed from both.

use tch::{Device, Tensor, no_grad};

use super::gae::{GaeInput, advantages};
use super::learner_pool::chunk_ranges;
use super::normaliser::{BatchSums, Normaliser};
use super::ppo::{RowLayout, standardise};
use super::sequences::{Sequences, inactive_mask};
use super::{
    AdvantageNormaliser, LearnerPool, ReturnMoments, ReturnNormaliser, ReturnRange, RunConfig,
};
use crate::nn::{Policy, Weights, entries};
use evenkeel_sim::env::{Outcome, StepBuffers};

/// Fewest rows whose values are computed as a task of their own.
const MIN_ROWS_PER_CHUNK: usize = 2048;

/// The policy that a rollout is collected with, frozen meanwhile.
#[derive(Clone, Copy, Debug)]
pub(super) struct RolloutPolicy<'a> {
    /// The policy.
    pub(super) policy: &'a Policy,
    /// θ, flat.
    pub(super) parameters: &'a Tensor,
    /// Buffers of the policy, flat.
    pub(super) buffers: &'a Tensor,
    /// Normalises observations.
    pub(super) normaliser: &'a Normaliser,
    /// Computes tasks side by side.
    pub(super) workers: &'a LearnerPool,
}

impl RolloutPolicy<'_> {
    pub(super) fn weights(&self) -> Weights {
        self.policy.weights(self.parameters, self.buffers)
    }

    /// Cuts `rows` into the tasks that are computed side by side, of at least `least` rows each;
    /// on a device all rows are one task.
    pub(super) fn chunks(&self, rows: usize, least: usize) -> Vec<std::ops::Range<usize>> {
        let least = match self.parameters.device() {
            Device::Cpu => least,
            _ => rows,
        };
        chunk_ranges(rows, least)
    }

    /// Normalised values, `[rows]`, of the observations that `rows`, `[rows, width]`, start with.
    /// `hidden` is `[rows, state]` for a policy with memory, and else empty.
    pub(super) fn values(&self, rows: &[f32], width: usize, hidden: &[f32]) -> Vec<f32> {
        let count = rows.len() / width;
        if count == 0 {
            return Vec::new();
        }
        let state = hidden.len() / count;
        let chunks = self.chunks(count, MIN_ROWS_PER_CHUNK).into_iter();
        let tasks = chunks.map(|chunk| {
            (
                self.weights(),
                &rows[chunk.start * width..chunk.end * width],
                &hidden[chunk.start * state..chunk.end * state],
            )
        });
        let policy = self.policy;
        let values = self.workers.map(
            tasks.collect(),
            |(weights, rows, hidden): (Weights, &[f32], &[f32])| {
                let device = weights.device();
                let input = Tensor::from_slice(rows).view([-1, width as i64]);
                let input = input
                    .narrow(1, 0, policy.obs_dim() as i64)
                    .to_device(device);
                let values = no_grad(|| {
                    if hidden.is_empty() {
                        return policy.value(&weights, &input);
                    }
                    let hidden = Tensor::from_slice(hidden).view([input.size()[0], -1]);
                    policy.act(&weights, &input, hidden.to_device(device)).value
                });
                entries(&values)
            },
        );
        values.concat()
    }
}

/// `T` steps of `N` robots. Observations are normalised. Where several robots share a world, the
/// rows of an inactive one are there as well, but have no part in the loss.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    /// Columns of a row.
    pub(super) row_layout: RowLayout,
    /// N.
    pub(super) envs: usize,
    /// `[T, N, width]`.
    pub(super) rows: Vec<f32>,
    /// `[T, N]`.
    pub(super) rewards: Vec<f32>,
    /// `[T, N]`: how the episode ended in the step, if it did.
    pub(super) ends: Vec<Option<Outcome>>,
    /// `[T, N]`: whether the robot was inactive in the step.
    pub(super) inactive: Vec<bool>,
    /// Which of `T × N` were truncated by the time limit, ascending.
    pub(super) truncated: Vec<usize>,
    /// `[truncated, obs]`: the last observation of each.
    pub(super) final_obs: Vec<f32>,
    /// `[N, obs]`: the observation after the last step.
    pub(super) next_obs: Vec<f32>,
    /// For a policy with memory.
    pub(super) memory: Option<RolloutMemory>,
    /// Mean standard deviation of the sampled actions, where it depends on the observation.
    pub(super) action_std: Option<f64>,
}

/// Hidden states of a policy with memory over a rollout, and its critic's values.
#[derive(Clone, Debug)]
pub(super) struct RolloutMemory {
    /// Length of a robot's hidden state.
    pub(super) state: usize,
    /// Steps of a sequence that gradients flow back through, L.
    pub(super) length: usize,
    /// `[T / L, N, state]`: hidden state before the first step of each sequence.
    pub(super) initial_hidden: Vec<f32>,
    /// `[T, N]`: 1 where an episode starts with the step.
    pub(super) episode_starts: Vec<f32>,
    /// `[T, N]`: normalised values.
    pub(super) values: Vec<f32>,
    /// `[truncated, state]`: hidden state at the time limit.
    pub(super) final_hidden: Vec<f32>,
}

/// Statistics of the rewards, values and returns of a rollout.
#[derive(Clone, Debug)]
pub(super) struct ReturnStatistics {
    /// Those that the return normaliser needs.
    pub(super) moments: ReturnMoments,
    /// 1 − Var(returns − values) / Var(returns), where it is finite.
    pub(super) explained_variance: Option<f64>,
    /// Largest |value|, in units of rewards, where it is finite.
    pub(super) value_max: Option<f64>,
    /// Largest finite |reward|.
    pub(super) reward_max: f64,
}

impl RolloutMemory {
    /// Copies `hidden`, `[N, state]`, where a sequence starts with this step.
    pub(super) fn store_sequence_start(&mut self, step: usize, hidden: &[f32]) {
        if step.is_multiple_of(self.length) {
            let start = step / self.length * hidden.len();
            self.initial_hidden[start..start + hidden.len()].copy_from_slice(hidden);
        }
    }

    /// Stores the hidden state of each episode that was truncated in this step, and clears those
    /// of all that ended. An `inactive` robot may start an episode with any later step, so its
    /// hidden state stays clear.
    fn handle_episode_ends(
        &mut self,
        step: usize,
        outcomes: &[Option<Outcome>],
        inactive: &[bool],
        hidden: &mut [f32],
    ) {
        let next = (step + 1) * outcomes.len();
        for (env, (outcome, &inactive)) in outcomes.iter().zip(inactive).enumerate() {
            let hidden = &mut hidden[env * self.state..(env + 1) * self.state];
            if outcome.is_some_and(Outcome::is_truncation) {
                self.final_hidden.extend_from_slice(hidden);
            }
            let ended = outcome.is_some() || inactive;
            if ended {
                hidden.fill(0.0);
            }
            if let Some(start) = self.episode_starts.get_mut(next + env) {
                *start = f32::from(u8::from(ended));
            }
        }
    }
}

impl Rollout {
    /// Empty buffers for the rollouts of a run.
    pub(super) fn new(config: &RunConfig, policy: &Policy) -> Self {
        let row_layout = RowLayout::of(policy);
        let (envs, horizon) = (
            config.train.num_envs as usize,
            config.train.horizon as usize,
        );
        let (rows, state) = (horizon * envs, policy.state_len());
        let length = config.sequence_length() as usize;
        Self {
            row_layout,
            envs,
            rows: vec![0.0; rows * row_layout.width()],
            rewards: vec![0.0; rows],
            ends: vec![None; rows],
            inactive: vec![false; rows],
            truncated: Vec::new(),
            final_obs: Vec::new(),
            next_obs: vec![0.0; envs * row_layout.obs],
            memory: (state > 0).then(|| RolloutMemory {
                state,
                length,
                initial_hidden: vec![0.0; horizon / length * envs * state],
                episode_starts: vec![0.0; rows],
                values: vec![0.0; rows],
                final_hidden: Vec::new(),
            }),
            action_std: None,
        }
    }

    /// Forgets the episode ends of the last rollout. Each robot starts with the hidden state that
    /// it has.
    pub(super) fn clear(&mut self) {
        self.truncated.clear();
        self.final_obs.clear();
        if let Some(memory) = &mut self.memory {
            memory.final_hidden.clear();
            memory.episode_starts[..self.envs].fill(0.0);
        }
    }

    /// Stores the result of a step, before the policy acts on the next observation. `hidden`,
    /// `[N, state]`, is cleared where an episode ended.
    pub(super) fn record(
        &mut self,
        step: usize,
        buffers: &StepBuffers,
        normaliser: &Normaliser,
        hidden: &mut [f32],
    ) {
        let (envs, obs) = (self.envs, self.row_layout.obs);
        let start = step * envs;
        self.rewards[start..start + envs].copy_from_slice(&buffers.reward);
        self.ends[start..start + envs].copy_from_slice(&buffers.outcome);
        for (env, outcome) in buffers.outcome.iter().enumerate() {
            if outcome.is_some_and(Outcome::is_truncation) {
                let end = self.final_obs.len();
                self.truncated.push(start + env);
                self.final_obs.resize(end + obs, 0.0);
                let raw = &buffers.final_obs[env * obs..(env + 1) * obs];
                normaliser.normalise_observation(raw, &mut self.final_obs[end..]);
            }
        }
        if let Some(memory) = &mut self.memory {
            let inactive = &self.inactive[start..start + envs];
            memory.handle_episode_ends(step, &buffers.outcome, inactive, hidden);
        }
    }

    /// Fills in value, advantage and return of each row. `hidden`, `[N, state]`, is the hidden
    /// state after the last step; values and returns are normalised by `normaliser`.
    ///
    /// Gives statistics of rewards, values and returns.
    pub(super) fn compute_returns(
        &mut self,
        rollout_policy: &RolloutPolicy,
        hidden: &[f32],
        normaliser: &ReturnNormaliser,
        config: &RunConfig,
    ) -> ReturnStatistics {
        let row_layout = self.row_layout;
        let (obs, width) = (row_layout.obs, row_layout.width());
        let denormalise = |values: &[f32]| -> Vec<f32> {
            let values = values.iter();
            values.map(|&value| normaliser.denormalise(value)).collect()
        };
        let (normalised, final_hidden) = match &self.memory {
            None => (rollout_policy.values(&self.rows, width, &[]), &[][..]),
            Some(memory) => (memory.values.clone(), &memory.final_hidden[..]),
        };
        let values = denormalise(&normalised);
        let next_values = denormalise(&rollout_policy.values(&self.next_obs, obs, hidden));
        let truncated = denormalise(&rollout_policy.values(&self.final_obs, obs, final_hidden));
        let mut final_values = vec![0.0; self.rewards.len()];
        for (&row, &value) in self.truncated.iter().zip(&truncated) {
            final_values[row] = value;
        }
        let mut advantage = advantages(&GaeInput {
            rewards: &self.rewards,
            values: &values,
            ends: &self.ends,
            final_values: &final_values,
            next_values: &next_values,
            gamma: config.train.gamma as f32,
            lambda: config.train.gae_lambda as f32,
        });

        let mut returns = BatchSums::about(&normaliser.statistics().moments.mean);
        let mut active_returns = Vec::new();
        let uses_range = normaliser.kind().uses_range();
        let mut errors = BatchSums::about(&[0.0]);
        let mut value_max = 0.0f32;
        let rows = self.rows.chunks_exact_mut(width).zip(&self.inactive);
        for (((row, &inactive), &advantage), (&value, &normalised)) in
            rows.zip(&advantage).zip(values.iter().zip(&normalised))
        {
            let target = advantage + value;
            if !inactive {
                returns.add(&[target]);
                if uses_range {
                    active_returns.push(target);
                }
                errors.add(&[advantage]);
                // Unlike `f32::max`, this keeps NaN.
                if value.is_nan() || value.abs() > value_max {
                    value_max = value.abs();
                }
            }
            row[row_layout.target()] = normaliser.normalise(target);
            row[row_layout.value()] = normalised;
        }
        let (returns, errors) = (returns.moments(), errors.moments());
        let explained_variance = 1.0 - errors.squares[0] / returns.squares[0];
        if config.stability.normalise.advantage == AdvantageNormaliser::Standardise {
            let (mean, scale) = standardise(errors.mean[0], errors.squares[0] / errors.count);
            for advantage in &mut advantage {
                *advantage = (*advantage - mean) * scale;
            }
        }
        for (row, &advantage) in self.rows.chunks_exact_mut(width).zip(&advantage) {
            row[row_layout.advantage()] = advantage;
        }
        let rewards = self.rewards.iter().map(|reward| reward.abs());
        let finite_rewards = rewards.filter(|reward| reward.is_finite());
        ReturnStatistics {
            moments: ReturnMoments {
                moments: returns,
                range: uses_range.then(|| ReturnRange::of(active_returns)),
            },
            explained_variance: Some(explained_variance).filter(|variance| variance.is_finite()),
            value_max: Some(f64::from(value_max)).filter(|value| value.is_finite()),
            reward_max: finite_rewards.fold(0.0, f32::max).into(),
        }
    }

    /// The rows on a device, `[T · N, width]`, and how they form sequences for a policy with
    /// memory.
    pub(super) fn to_device(&self, device: Device) -> (Tensor, Option<Sequences>) {
        let on_device = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device);
        let rows = on_device(&self.rows).view([-1, self.row_layout.width() as i64]);
        let sequences = self.memory.as_ref().map(|memory| Sequences {
            hidden: on_device(&memory.initial_hidden).view([-1, memory.state as i64]),
            episode_starts: on_device(&memory.episode_starts),
            inactive: (self.inactive.contains(&true))
                .then(|| inactive_mask(&self.inactive).to_device(device)),
            length: memory.length,
            envs: self.envs,
        });
        (rows, sequences)
    }
}
