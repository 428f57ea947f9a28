//! Gathering a rollout: the policy acts in every environment for a while, and what it saw, did
//! and got is written into flat buffers.

use std::time::{Duration, Instant};

use tch::{Device, Tensor, no_grad};

use super::Workers;
use super::normaliser::{BatchSums, Moments, Normaliser};
use super::ppo::Columns;
use super::workers::shards;
use crate::env::{Outcome, StepBuffers, VectorEnv};
use crate::nn::{DiagonalGaussian, Policy};
use crate::seed::{Purpose, Rng, Root, Split, stream};

/// The least number of environments worth a part of its own when actions are chosen.
const LEAST_ENVS: usize = 256;

/// The least number of rows worth a part of its own when values are computed.
const LEAST_ROWS: usize = 2048;

/// What `N` environments did in `T` steps. Observations are normalised.
#[derive(Clone, Debug)]
pub(super) struct Rollout {
    /// What a row holds.
    pub(super) columns: Columns,
    /// N.
    pub(super) envs: usize,
    /// `[T, N, width]`.
    pub(super) rows: Vec<f32>,
    /// `[T, N]`.
    pub(super) rewards: Vec<f32>,
    /// `[T, N]`.
    pub(super) ends: Vec<Option<Outcome>>,
    /// Which of `T × N` were cut off by the time limit, ascending.
    pub(super) truncated: Vec<usize>,
    /// `[truncated, obs]`: the last observation of each.
    pub(super) final_obs: Vec<f32>,
    /// `[N, obs]`: what is seen after the last step.
    pub(super) next_obs: Vec<f32>,
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
    pub(super) fn new(columns: Columns, horizon: usize, envs: usize) -> Self {
        let rows = horizon * envs;
        Self {
            columns,
            envs,
            rows: vec![0.0; rows * columns.width()],
            rewards: vec![0.0; rows],
            ends: vec![None; rows],
            truncated: Vec::new(),
            final_obs: Vec::new(),
            next_obs: vec![0.0; envs * columns.obs],
        }
    }

    /// Notes what a step led to, before the next observation is acted on.
    fn record(&mut self, step: usize, buffers: &StepBuffers, normaliser: &Normaliser) {
        let (envs, obs) = (self.envs, self.columns.obs);
        let start = step * envs;
        self.rewards[start..start + envs].copy_from_slice(&buffers.reward);
        self.ends[start..start + envs].copy_from_slice(&buffers.outcome);
        for (env, outcome) in buffers.outcome.iter().enumerate() {
            if outcome.is_some_and(Outcome::is_truncation) {
                let end = self.final_obs.len();
                self.truncated.push(start + env);
                self.final_obs.resize(end + obs, 0.0);
                let raw = &buffers.final_obs[env * obs..(env + 1) * obs];
                normaliser.observation(raw, &mut self.final_obs[end..]);
            }
        }
    }
}

/// The weights that a rollout is gathered with, and where they are computed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acting<'a> {
    /// The policy.
    pub(super) policy: &'a Policy,
    /// θ, flat.
    pub(super) parameters: &'a Tensor,
    /// Frozen while the rollout is gathered.
    pub(super) normaliser: &'a Normaliser,
    /// Computes parts side by side.
    pub(super) workers: &'a Workers,
}

/// Some of the environments, whose actions are chosen together.
struct Shard {
    params: Vec<Tensor>,
    rngs: Vec<Rng>,
    seen: BatchSums,
}

/// A shard with its raw observations, its rows and its actions.
type ShardJob<'a> = (((&'a mut Shard, &'a [f32]), &'a mut [f32]), &'a mut [f32]);

/// Lets the policy act on `buffers.obs` and what follows until the rollout is full. Gives the
/// moments of the raw observations that were acted on.
///
/// The action noise of environment `i` comes from the stream (seed, train, `i`, iteration,
/// action), whoever else there is.
pub(super) fn collect<E: VectorEnv + ?Sized>(
    rollout: &mut Rollout,
    acting: &Acting,
    env: &mut E,
    buffers: &mut StepBuffers,
    seed: Root,
    iteration: u64,
) -> (Moments, RolloutTime) {
    let Columns { obs, action } = rollout.columns;
    let width = rollout.columns.width();
    let envs = rollout.envs;
    let device = acting.parameters.device();
    let parts = shards(
        envs,
        if device == Device::Cpu {
            LEAST_ENVS
        } else {
            envs
        },
    );
    let length = parts[0].len();
    let mut shards: Vec<Shard> = parts
        .into_iter()
        .map(|part| Shard {
            params: acting.policy.layout().views(acting.parameters),
            rngs: part
                .map(|env| stream(seed, Split::Train, env as u64, iteration, Purpose::Action))
                .collect(),
            seen: BatchSums::about(&acting.normaliser.moments().mean),
        })
        .collect();
    let gaussian = acting.policy.distribution(&shards[0].params);

    rollout.truncated.clear();
    rollout.final_obs.clear();
    let mut actions = vec![0.0; envs * action];
    let mut time = RolloutTime::default();
    for step in 0..rollout.rewards.len() / envs {
        let began = Instant::now();
        let rows = &mut rollout.rows[step * envs * width..(step + 1) * envs * width];
        let jobs = shards
            .iter_mut()
            .zip(buffers.obs.chunks(length * obs))
            .zip(rows.chunks_mut(length * width))
            .zip(actions.chunks_mut(length * action))
            .collect();
        let (policy, normaliser, columns) = (acting.policy, acting.normaliser, rollout.columns);
        acting
            .workers
            .map(jobs, |(((shard, raw), rows), actions): ShardJob| {
                normalise(shard, normaliser, columns, raw, rows);
                act(shard, policy, columns, &gaussian, rows, actions);
            });
        let acted = Instant::now();
        env.step(&actions, buffers);
        time.forward += acted - began;
        time.simulate += acted.elapsed();
        rollout.record(step, buffers, acting.normaliser);
    }
    for (raw, out) in buffers
        .obs
        .chunks_exact(obs)
        .zip(rollout.next_obs.chunks_exact_mut(obs))
    {
        acting.normaliser.observation(raw, out);
    }
    let mut seen = Moments::new(obs);
    for shard in &shards {
        seen.merge(&shard.seen.moments());
    }
    (seen, time)
}

/// Fills in the observation of each row.
fn normalise(
    shard: &mut Shard,
    normaliser: &Normaliser,
    columns: Columns,
    raw: &[f32],
    rows: &mut [f32],
) {
    for (raw, row) in raw
        .chunks_exact(columns.obs)
        .zip(rows.chunks_exact_mut(columns.width()))
    {
        shard.seen.add(raw);
        normaliser.observation(raw, &mut row[..columns.obs]);
    }
}

/// Fills in draw and log probability of each row, and the squashed actions.
fn act(
    shard: &mut Shard,
    policy: &Policy,
    columns: Columns,
    gaussian: &DiagonalGaussian,
    rows: &mut [f32],
    actions: &mut [f32],
) {
    let width = columns.width();
    let input = Tensor::from_slice(rows).view([-1, width as i64]);
    let input = columns
        .observations(&input)
        .to_device(shard.params[0].device());
    let mean = no_grad(|| policy.mean(&shard.params, &input)).to_device(Device::Cpu);
    let mut means = vec![0.0f32; actions.len()];
    mean.contiguous().copy_data(&mut means, actions.len());

    let squash = policy.gaussian().squash;
    let rows = rows
        .chunks_exact_mut(width)
        .zip(actions.chunks_exact_mut(columns.action));
    for (((row, action), mean), rng) in rows
        .zip(means.chunks_exact(columns.action))
        .zip(&mut shard.rngs)
    {
        let (draw, learnt) = row[columns.obs..].split_at_mut(columns.action);
        gaussian.sample(rng, mean, draw);
        for (action, &draw) in action.iter_mut().zip(&*draw) {
            *action = squash.apply(draw);
        }
        learnt[0] = gaussian.log_prob(mean, draw);
    }
}

/// Values, `[rows]`, of the observations at the start of each of `rows`, `[rows, width]`.
pub(super) fn values(acting: &Acting, rows: &[f32], width: usize) -> Vec<f32> {
    let count = rows.len() / width;
    if count == 0 {
        return Vec::new();
    }
    let obs = acting.policy.obs_dim() as i64;
    let device = acting.parameters.device();
    let jobs = shards(
        count,
        if device == Device::Cpu {
            LEAST_ROWS
        } else {
            count
        },
    )
    .into_iter()
    .map(|part| {
        let params = acting.policy.layout().views(acting.parameters);
        (params, &rows[part.start * width..part.end * width])
    })
    .collect();
    let policy = acting.policy;
    let parts = acting
        .workers
        .map(jobs, |(params, rows): (Vec<Tensor>, &[f32])| {
            let input = Tensor::from_slice(rows).view([-1, width as i64]);
            let input = input.narrow(1, 0, obs).to_device(device);
            let values = no_grad(|| policy.value(&params, &input));
            let mut read = vec![0.0; rows.len() / width];
            let length = read.len();
            values
                .to_device(Device::Cpu)
                .contiguous()
                .copy_data(&mut read, length);
            read
        });
    parts.concat()
}
