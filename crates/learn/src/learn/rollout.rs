//! Gathering a rollout: the policy acts in every environment for a while, and what it saw, did
//! and got is written into flat buffers.

use std::time::{Duration, Instant};

use tch::{Device, Tensor, no_grad};

use super::LearnerPool;
use super::learner_pool::chunk_ranges;
use super::normaliser::{BatchSums, Normaliser, RunningMoments};
use super::ppo::RowLayout;
use crate::nn::{DiagonalGaussian, Policy, Weights};
use evenkeel_sim::env::{Outcome, StepBuffers, VectorEnv};
use evenkeel_sim::seed::{Purpose, Rng, RootSeed, Split, stream};

/// The least number of environments worth a part of its own when actions are chosen.
const MIN_ENVS_PER_CHUNK: usize = 256;

/// The least number of rows worth a part of its own when values are computed.
const MIN_ROWS_PER_CHUNK: usize = 2048;

/// What `N` robots did in `T` steps. Observations are normalised. Where several share a world, the
/// rows of one that waits for the others are there as well, but nothing is learnt from them.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    /// What a row holds.
    pub(super) row_layout: RowLayout,
    /// N.
    pub(super) envs: usize,
    /// `[T, N, width]`.
    pub(super) rows: Vec<f32>,
    /// `[T, N]`.
    pub(super) rewards: Vec<f32>,
    /// `[T, N]`.
    pub(super) ends: Vec<Option<Outcome>>,
    /// `[T, N]`: whether the robot waited through the step.
    pub(super) inactive: Vec<bool>,
    /// Which of `T × N` were cut off by the time limit, ascending.
    pub(super) truncated: Vec<usize>,
    /// `[truncated, obs]`: the last observation of each.
    pub(super) final_obs: Vec<f32>,
    /// `[N, obs]`: what is seen after the last step.
    pub(super) next_obs: Vec<f32>,
    /// What a policy with memory remembers meanwhile.
    pub(super) memory: Option<RolloutMemory>,
}

/// What a policy remembers over a rollout, and what its critic made of it on the way.
#[derive(Clone, Debug)]
pub(super) struct RolloutMemory {
    /// Numbers remembered of each robot's episode.
    pub(super) state: usize,
    /// Steps of a sequence that gradients flow back through, L.
    pub(super) length: usize,
    /// `[N, state]`: what is remembered now; zeros where an episode begins.
    pub(super) hidden: Vec<f32>,
    /// `[T / L, N, state]`: what was remembered before the first step of each sequence.
    pub(super) initial_hidden: Vec<f32>,
    /// `[T, N]`: 1 where an episode begins with the step.
    pub(super) episode_starts: Vec<f32>,
    /// `[T, N]`: normalised values.
    pub(super) values: Vec<f32>,
    /// `[truncated, state]`: what was remembered when the time limit struck.
    pub(super) final_hidden: Vec<f32>,
}

impl RolloutMemory {
    /// Nothing yet, of `envs` environments, for `horizon` steps cut into sequences of `length`.
    pub(super) fn new(state: usize, length: usize, horizon: usize, envs: usize) -> Self {
        Self {
            state,
            length,
            hidden: vec![0.0; envs * state],
            initial_hidden: vec![0.0; horizon / length * envs * state],
            episode_starts: vec![0.0; horizon * envs],
            values: vec![0.0; horizon * envs],
            final_hidden: Vec::new(),
        }
    }

    /// Notes what a sequence starts from where one begins with this step.
    fn store_sequence_start(&mut self, step: usize) {
        if step.is_multiple_of(self.length) {
            let start = step / self.length * self.hidden.len();
            self.initial_hidden[start..start + self.hidden.len()].copy_from_slice(&self.hidden);
        }
    }

    /// Notes and forgets what was remembered of the episodes that ended in this step. A robot that
    /// `waited` through it may begin one with the next, and remembers nothing till then.
    fn handle_episode_ends(&mut self, step: usize, outcomes: &[Option<Outcome>], waited: &[bool]) {
        let next = (step + 1) * outcomes.len();
        for (env, (outcome, &waited)) in outcomes.iter().zip(waited).enumerate() {
            let hidden = &mut self.hidden[env * self.state..(env + 1) * self.state];
            if outcome.is_some_and(Outcome::is_truncation) {
                self.final_hidden.extend_from_slice(hidden);
            }
            let ended = outcome.is_some() || waited;
            if ended {
                hidden.fill(0.0);
            }
            if let Some(start) = self.episode_starts.get_mut(next + env) {
                *start = f32::from(u8::from(ended));
            }
        }
    }
}

/// Where a rollout's time went.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RolloutTime {
    /// Stepping environments.
    pub(super) simulate: Duration,
    /// Choosing actions.
    pub(super) forward: Duration,
}

impl Rollout {
    /// Buffers for `horizon` steps of `envs` environments.
    pub(super) fn new(
        row_layout: RowLayout,
        horizon: usize,
        envs: usize,
        memory: Option<RolloutMemory>,
    ) -> Self {
        let rows = horizon * envs;
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
            memory,
        }
    }

    /// Notes what a step led to, before the next observation is acted on.
    fn record(&mut self, step: usize, buffers: &StepBuffers, normaliser: &Normaliser) {
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
            memory.handle_episode_ends(step, &buffers.outcome, &self.inactive[start..start + envs]);
        }
    }
}

/// The weights that a rollout is gathered with, and where they are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct RolloutPolicy<'a> {
    /// The policy.
    pub(super) policy: &'a Policy,
    /// θ, flat.
    pub(super) parameters: &'a Tensor,
    /// What the policy carries besides, flat.
    pub(super) buffers: &'a Tensor,
    /// Frozen while the rollout is gathered.
    pub(super) normaliser: &'a Normaliser,
    /// Computes parts side by side.
    pub(super) workers: &'a LearnerPool,
}

impl RolloutPolicy<'_> {
    pub(super) fn weights(&self) -> Weights {
        self.policy.weights(self.parameters, self.buffers)
    }
}

/// Some of the environments, whose actions are chosen together.
struct ActionShard {
    weights: Weights,
    rngs: Vec<Rng>,
    seen: BatchSums,
}

/// What a shard reads and fills in at one step.
struct ActionTask<'a> {
    shard: &'a mut ActionShard,
    /// `[envs, obs]`: raw observations.
    raw: &'a [f32],
    /// `[envs]`: whether the robot waits.
    inactive: &'a [bool],
    /// `[envs, width]`.
    rows: &'a mut [f32],
    /// `[envs, act]`.
    actions: &'a mut [f32],
    /// With a memory: what is remembered, `[envs, state]`, and values, `[envs]`.
    memory: Option<(&'a mut [f32], &'a mut [f32])>,
}

/// Lets the policy act on `buffers.obs` and what follows until the rollout is full. Gives the
/// moments of the raw observations that were acted on.
///
/// The action noise of environment `i` comes from the stream (seed, train, `i`, iteration,
/// action), whoever else there is.
pub(super) fn collect<E: VectorEnv + ?Sized>(
    rollout: &mut Rollout,
    rollout_policy: &RolloutPolicy,
    env: &mut E,
    buffers: &mut StepBuffers,
    seed: RootSeed,
    iteration: u64,
) -> (RunningMoments, RolloutTime) {
    let RowLayout { obs, action } = rollout.row_layout;
    let width = rollout.row_layout.width();
    let envs = rollout.envs;
    let device = rollout_policy.parameters.device();
    let parts = chunk_ranges(
        envs,
        if device == Device::Cpu {
            MIN_ENVS_PER_CHUNK
        } else {
            envs
        },
    );
    let length = parts[0].len();
    let mut shards: Vec<ActionShard> = parts
        .into_iter()
        .map(|part| ActionShard {
            weights: rollout_policy.weights(),
            rngs: part
                .map(|env| stream(seed, Split::Train, env as u64, iteration, Purpose::Action))
                .collect(),
            seen: BatchSums::about(&rollout_policy.normaliser.moments().mean),
        })
        .collect();
    let gaussian = rollout_policy.policy.distribution(&shards[0].weights);

    rollout.truncated.clear();
    rollout.final_obs.clear();
    if let Some(memory) = &mut rollout.memory {
        memory.final_hidden.clear();
        memory.episode_starts[..envs].fill(0.0);
    }
    let mut actions = vec![0.0; envs * action];
    let mut time = RolloutTime::default();
    for step in 0..rollout.rewards.len() / envs {
        let began = Instant::now();
        rollout.inactive[step * envs..(step + 1) * envs].copy_from_slice(&buffers.inactive);
        let rows = &mut rollout.rows[step * envs * width..(step + 1) * envs * width];
        let mut memories: Vec<Option<(&mut [f32], &mut [f32])>> = Vec::new();
        match &mut rollout.memory {
            None => memories.resize_with(shards.len(), || None),
            Some(memory) => {
                memory.store_sequence_start(step);
                let values = &mut memory.values[step * envs..(step + 1) * envs];
                let hidden = memory.hidden.chunks_mut(length * memory.state);
                memories.extend(hidden.zip(values.chunks_mut(length)).map(Some));
            }
        }
        let jobs = shards
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
            )
            .collect();
        let (policy, normaliser, row_layout) = (
            rollout_policy.policy,
            rollout_policy.normaliser,
            rollout.row_layout,
        );
        rollout_policy.workers.map(jobs, |mut job: ActionTask| {
            normalise(&mut job, normaliser, row_layout);
            act(&mut job, policy, row_layout, &gaussian);
        });
        let acted = Instant::now();
        env.step(&actions, buffers);
        time.forward += acted - began;
        time.simulate += acted.elapsed();
        rollout.record(step, buffers, rollout_policy.normaliser);
    }
    for (raw, out) in buffers
        .obs
        .chunks_exact(obs)
        .zip(rollout.next_obs.chunks_exact_mut(obs))
    {
        rollout_policy.normaliser.normalise_observation(raw, out);
    }
    let mut seen = RunningMoments::new(obs);
    for shard in &shards {
        seen.merge(&shard.seen.moments());
    }
    (seen, time)
}

/// Fills in the observation of each row.
fn normalise(job: &mut ActionTask, normaliser: &Normaliser, row_layout: RowLayout) {
    let raw = job.raw.chunks_exact(row_layout.obs).zip(job.inactive);
    for ((raw, &inactive), row) in raw.zip(job.rows.chunks_exact_mut(row_layout.width())) {
        if !inactive {
            job.shard.seen.add(raw);
        }
        normaliser.normalise_observation(raw, &mut row[..row_layout.obs]);
    }
}

/// Mean actions, `[rows, act]`, of a policy that remembers `[rows, state]` or nothing; what is
/// remembered and the values are written in their place.
pub(super) fn mean_actions(
    policy: &Policy,
    weights: &Weights,
    obs: &Tensor,
    memory: Option<(&mut [f32], &mut [f32])>,
    means: &mut [f32],
) {
    let Some((hidden, values)) = memory else {
        copy(&no_grad(|| policy.mean(weights, obs)), means);
        return;
    };
    let before = Tensor::from_slice(hidden).view([obs.size()[0], -1]);
    let before = before.to_device(obs.device());
    let acted = no_grad(|| policy.act(weights, obs, before));
    copy(&acted.mean, means);
    copy(&acted.value, values);
    copy(&acted.hidden, hidden);
}

/// The entries of a tensor, in order, into a slice as long.
fn copy(tensor: &Tensor, out: &mut [f32]) {
    let tensor = tensor.to_device(Device::Cpu).contiguous();
    tensor.copy_data(out, out.len());
}

/// Fills in draw and log probability of each row, the squashed actions, and what is remembered.
fn act(job: &mut ActionTask, policy: &Policy, row_layout: RowLayout, gaussian: &DiagonalGaussian) {
    let width = row_layout.width();
    let input = Tensor::from_slice(job.rows).view([-1, width as i64]);
    let weights = &job.shard.weights;
    let input = row_layout.observations(&input).to_device(weights.device());
    let mut means = vec![0.0f32; job.actions.len()];
    mean_actions(policy, weights, &input, job.memory.take(), &mut means);

    let squash = policy.gaussian().squash;
    let rows = job
        .rows
        .chunks_exact_mut(width)
        .zip(job.actions.chunks_exact_mut(row_layout.action));
    for (((row, action), mean), rng) in rows
        .zip(means.chunks_exact(row_layout.action))
        .zip(&mut job.shard.rngs)
    {
        let (draw, learnt) = row[row_layout.obs..].split_at_mut(row_layout.action);
        gaussian.sample(rng, mean, draw);
        for (action, &draw) in action.iter_mut().zip(&*draw) {
            *action = squash.apply(draw);
        }
        learnt[0] = gaussian.log_prob(mean, draw);
    }
}

/// Values, `[rows]`, of the observations at the start of each of `rows`, `[rows, width]`, for a
/// policy that remembers `hidden`, `[rows, state]`, if it remembers anything.
pub(super) fn compute_values(
    rollout_policy: &RolloutPolicy,
    rows: &[f32],
    width: usize,
    hidden: &[f32],
) -> Vec<f32> {
    let count = rows.len() / width;
    if count == 0 {
        return Vec::new();
    }
    let obs = rollout_policy.policy.obs_dim() as i64;
    let device = rollout_policy.parameters.device();
    let jobs = chunk_ranges(
        count,
        if device == Device::Cpu {
            MIN_ROWS_PER_CHUNK
        } else {
            count
        },
    )
    .into_iter()
    .map(|part| {
        let state = hidden.len() / count;
        (
            rollout_policy.weights(),
            &rows[part.start * width..part.end * width],
            &hidden[part.start * state..part.end * state],
        )
    })
    .collect();
    let policy = rollout_policy.policy;
    let parts = rollout_policy.workers.map(
        jobs,
        |(weights, rows, hidden): (Weights, &[f32], &[f32])| {
            let input = Tensor::from_slice(rows).view([-1, width as i64]);
            let input = input.narrow(1, 0, obs).to_device(device);
            let values = no_grad(|| {
                if hidden.is_empty() {
                    return policy.value(&weights, &input);
                }
                let hidden = Tensor::from_slice(hidden).view([input.size()[0], -1]);
                policy.act(&weights, &input, hidden.to_device(device)).value
            });
            let mut read = vec![0.0; rows.len() / width];
            copy(&values, &mut read);
            read
        },
    );
    parts.concat()
}
