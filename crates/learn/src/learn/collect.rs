//! Collecting a rollout: the policy acts in every environment for `horizon` steps.

use std::time::{Duration, Instant};

use tch::{Device, Tensor, no_grad};

use super::normaliser::{BatchSums, Normaliser, RunningMoments};
use super::ppo::RowLayout;
use super::rollout::{Rollout, RolloutPolicy};
use crate::nn::{ActionDistribution, Policy, Weights};
use evenkeel_sim::env::{StepBuffers, VectorEnv};
use evenkeel_sim::seed::{Purpose, Rng, RootSeed, Split, stream};

/// Fewest environments whose actions are computed as a task of their own.
const MIN_ENVS_PER_CHUNK: usize = 256;

/// Where the time of a rollout went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RolloutTime {
    /// Stepping environments.
    pub(super) simulate: Duration,
    /// Computing actions.
    pub(super) forward: Duration,
}

/// Some of the environments, whose actions are computed together.
struct ActionShard {
    weights: Weights,
    rngs: Vec<Rng>,
    /// Sums over the raw observations of active robots.
    observations: BatchSums,
    /// Sums over the mean standard deviations of active robots' actions, where they depend on the
    /// observation.
    std: BatchSums,
}

/// Input and output of a shard in one step.
struct ActionTask<'a> {
    shard: &'a mut ActionShard,
    /// `[envs, obs]`: raw observations.
    raw: &'a [f32],
    /// `[envs]`: whether the robot is inactive.
    inactive: &'a [bool],
    /// `[envs, width]`.
    rows: &'a mut [f32],
    /// `[envs, act]`.
    actions: &'a mut [f32],
    /// For a policy with memory: its hidden states, `[envs, state]`, and values, `[envs]`.
    memory: Option<(&'a mut [f32], &'a mut [f32])>,
}

impl Rollout {
    /// Lets the policy act until the rollout is full, first on `buffers.obs`. `hidden` is the
    /// hidden state of the policy, `[N, state]`. Gives the moments of the raw observations.
    ///
    /// The action noise of environment `i` comes from the stream (seed, train, `i`, iteration,
    /// action), however many environments there are.
    pub(super) fn collect<E: VectorEnv + ?Sized>(
        &mut self,
        rollout_policy: &RolloutPolicy,
        hidden: &mut [f32],
        env: &mut E,
        buffers: &mut StepBuffers,
        (seed, iteration): (RootSeed, u64),
    ) -> (RunningMoments, RolloutTime) {
        let (row_layout, envs) = (self.row_layout, self.envs);
        let RowLayout { obs, action } = row_layout;
        let width = row_layout.width();
        let (policy, normaliser) = (rollout_policy.policy, rollout_policy.normaliser);
        let chunks = rollout_policy.chunks(envs, MIN_ENVS_PER_CHUNK);
        let length = chunks[0].len();
        let shards = chunks.into_iter().map(|chunk| ActionShard {
            weights: rollout_policy.weights(),
            rngs: chunk
                .map(|env| stream(seed, Split::Train, env as u64, iteration, Purpose::Action))
                .collect(),
            observations: BatchSums::about(&normaliser.moments().mean),
            std: BatchSums::about(&[0.0]),
        });
        let mut shards: Vec<ActionShard> = shards.collect();
        let distribution = policy.distribution(&shards[0].weights);

        self.clear();
        let mut actions = vec![0.0; envs * action];
        let mut time = RolloutTime::default();
        for step in 0..self.rewards.len() / envs {
            let started = Instant::now();
            self.inactive[step * envs..(step + 1) * envs].copy_from_slice(&buffers.inactive);
            let rows = &mut self.rows[step * envs * width..(step + 1) * envs * width];
            let mut memories: Vec<Option<(&mut [f32], &mut [f32])>> = Vec::new();
            match &mut self.memory {
                None => memories.resize_with(shards.len(), || None),
                Some(memory) => {
                    memory.store_sequence_start(step, hidden);
                    let values = &mut memory.values[step * envs..(step + 1) * envs];
                    let hidden = hidden.chunks_mut(length * memory.state);
                    memories.extend(hidden.zip(values.chunks_mut(length)).map(Some));
                }
            }
            let tasks = shards
                .iter_mut()
                .zip(buffers.obs.chunks(length * obs))
                .zip(buffers.inactive.chunks(length))
                .zip(rows.chunks_mut(length * width))
                .zip(actions.chunks_mut(length * action))
                .zip(memories)
                .map(
                    |(((((shard, raw), inactive), rows), actions), memory)| ActionTask {
                        shard,
                        raw,
                        inactive,
                        rows,
                        actions,
                        memory,
                    },
                );
            rollout_policy
                .workers
                .map(tasks.collect(), |mut task: ActionTask| {
                    task.normalise(normaliser, row_layout);
                    task.act(policy, row_layout, &distribution);
                });
            let acted = Instant::now();
            env.step(&actions, buffers);
            time.forward += acted - started;
            time.simulate += acted.elapsed();
            self.record(step, buffers, normaliser, hidden);
        }
        for (raw, out) in buffers
            .obs
            .chunks_exact(obs)
            .zip(self.next_obs.chunks_exact_mut(obs))
        {
            normaliser.normalise_observation(raw, out);
        }
        let mut moments = RunningMoments::new(obs);
        for shard in &shards {
            moments.merge(&shard.observations.moments());
        }
        let mut std = RunningMoments::new(1);
        for shard in &shards {
            std.merge(&shard.std.moments());
        }
        self.action_std = (std.count > 0.0).then_some(std.mean[0]);
        (moments, time)
    }
}

impl ActionTask<'_> {
    /// Fills in the observation of each row.
    fn normalise(&mut self, normaliser: &Normaliser, row_layout: RowLayout) {
        let raw = self.raw.chunks_exact(row_layout.obs).zip(self.inactive);
        for ((raw, &inactive), row) in raw.zip(self.rows.chunks_exact_mut(row_layout.width())) {
            if !inactive {
                self.shard.observations.add(raw);
            }
            normaliser.normalise_observation(raw, &mut row[..row_layout.obs]);
        }
    }

    /// Fills in draw and log probability of each row, the squashed actions, hidden states and
    /// values.
    fn act(&mut self, policy: &Policy, row_layout: RowLayout, distribution: &ActionDistribution) {
        let width = row_layout.width();
        let input = Tensor::from_slice(self.rows).view([-1, width as i64]);
        let weights = &self.shard.weights;
        let input = row_layout.observations(&input).to_device(weights.device());
        let outputs = distribution.outputs();
        let mut actor = vec![0.0f32; self.inactive.len() * outputs];
        actor_outputs(policy, weights, &input, self.memory.take(), &mut actor);

        let (head, varies) = (policy.head(), distribution.fixed_mean_std().is_none());
        let mut std = vec![0.0; row_layout.action];
        let rows = self
            .rows
            .chunks_exact_mut(width)
            .zip(self.actions.chunks_exact_mut(row_layout.action));
        let rngs = self.shard.rngs.iter_mut().zip(self.inactive);
        for (((row, action), outputs), (rng, &inactive)) in
            rows.zip(actor.chunks_exact(outputs)).zip(rngs)
        {
            let (draw, rest) = row[row_layout.obs..].split_at_mut(row_layout.action);
            distribution.sample(rng, outputs, draw);
            for (action, &draw) in action.iter_mut().zip(&*draw) {
                *action = head.action(draw);
            }
            rest[0] = distribution.log_prob(outputs, draw);
            if varies && !inactive {
                distribution.std(outputs, &mut std);
                let mean = std.iter().sum::<f32>() / std.len() as f32;
                self.shard.std.add(&[mean]);
            }
        }
    }
}

/// Writes outputs of the actor, `[rows, outputs]`, for observations `[rows, obs]`. For a policy with
/// memory, `memory` is its hidden states, `[rows, state]`, which are replaced by the next ones, and
/// `[rows]` to write values into.
pub(super) fn actor_outputs(
    policy: &Policy,
    weights: &Weights,
    obs: &Tensor,
    memory: Option<(&mut [f32], &mut [f32])>,
    outputs: &mut [f32],
) {
    let Some((hidden, values)) = memory else {
        copy(&no_grad(|| policy.actor_outputs(weights, obs)), outputs);
        return;
    };
    let before = Tensor::from_slice(hidden).view([obs.size()[0], -1]);
    let before = before.to_device(obs.device());
    let output = no_grad(|| policy.act(weights, obs, before));
    copy(&output.actor, outputs);
    copy(&output.value, values);
    copy(&output.hidden, hidden);
}

/// Copies the entries of a tensor, in order, into a slice of the same length.
fn copy(tensor: &Tensor, out: &mut [f32]) {
    let tensor = tensor.to_device(Device::Cpu).contiguous();
    tensor.copy_data(out, out.len());
}
