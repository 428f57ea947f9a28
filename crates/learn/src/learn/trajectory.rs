//! The [`Trajectory`] of one environment in a rollout, for recordings of training. It is read from the
//! rollout: recording draws no random numbers and does not change training.

use std::io;
use std::ops::Range;

use tch::{Tensor, no_grad};

use super::ReturnNormaliser;
use super::rollout::{Rollout, RolloutPolicy};
use crate::nn::{ActionDistribution, entries};
use evenkeel_runs::telemetry::{Event, Sink};
use evenkeel_sim::env::{EnvState, PolicyPrediction, Trajectory};

/// The environment that is recorded.
pub(super) const RECORDED_ENV: usize = 0;

/// The trajectory of [`RECORDED_ENV`], which has `robots` robots, in a rollout of `rollout_policy`.
/// The rows must have their values, which `returns` normalises. The caller sets iteration, global step
/// and levels.
pub(super) fn rollout_trajectory(
    rollout: &Rollout,
    rollout_policy: &RolloutPolicy,
    returns: &ReturnNormaliser,
    initial_state: EnvState,
    robots: usize,
) -> Trajectory {
    let row_layout = rollout.row_layout;
    let own = env_rows(robots);
    let rows = || {
        let steps = rollout.rows.chunks_exact(rollout.envs * row_layout.width());
        steps.flat_map(|rows| {
            rows.chunks_exact(row_layout.width())
                .skip(own.start)
                .take(robots)
        })
    };
    let head = rollout_policy.policy.head();
    let draws = rows().flat_map(|row| &row[row_layout.obs..][..row_layout.action]);
    let observations: Vec<f32> = rows()
        .flat_map(|row| &row[..row_layout.obs])
        .copied()
        .collect();
    let outputs = actor_outputs(rollout, rollout_policy, &observations, robots);
    let distribution = rollout_policy
        .policy
        .distribution(&rollout_policy.weights());
    let predictions = rows().zip(outputs.chunks_exact(distribution.outputs()));
    Trajectory {
        env: RECORDED_ENV as u64,
        initial_state,
        actions: draws.map(|&draw| head.action(draw)).collect(),
        predictions: predictions
            .map(|(row, outputs)| {
                let value = returns.denormalise(row[row_layout.value()]);
                prediction(&distribution, outputs, value)
            })
            .collect(),
        ..Trajectory::default()
    }
}

/// The rows of [`RECORDED_ENV`] among those of one step.
fn env_rows(robots: usize) -> Range<usize> {
    RECORDED_ENV * robots..(RECORDED_ENV + 1) * robots
}

/// The prediction of a policy whose actor has these outputs, `[outputs]`.
pub(super) fn prediction(
    distribution: &ActionDistribution,
    outputs: &[f32],
    value: f32,
) -> PolicyPrediction {
    let (mut mean, mut std) = (vec![0.0; distribution.dim()], vec![0.0; distribution.dim()]);
    distribution.mean(outputs, &mut mean);
    distribution.std(outputs, &mut std);
    PolicyPrediction { mean, std, value }
}

/// `[T, robots, outputs]`: outputs of the actor, for normalised observations `[T, robots, obs]`.
fn actor_outputs(
    rollout: &Rollout,
    rollout_policy: &RolloutPolicy,
    observations: &[f32],
    robots: usize,
) -> Vec<f32> {
    let (policy, weights) = (rollout_policy.policy, rollout_policy.weights());
    let device = weights.device();
    let obs = rollout.row_layout.obs as i64;
    let rows = Tensor::from_slice(observations)
        .view([-1, obs])
        .to_device(device);
    let Some(memory) = &rollout.memory else {
        return entries(&no_grad(|| policy.actor_outputs(&weights, &rows)));
    };
    // The hidden state before the first step; each step computes the next one.
    let (env_rows, state) = (env_rows(robots), memory.state);
    let mut hidden = memory.initial_hidden[env_rows.start * state..env_rows.end * state].to_vec();
    let mut outputs = Vec::new();
    for step in 0..rows.size()[0] / robots as i64 {
        let episode_starts =
            &memory.episode_starts[step as usize * rollout.envs..][env_rows.clone()];
        for (hidden, &episode_start) in hidden.chunks_exact_mut(state).zip(episode_starts) {
            if episode_start > 0.0 {
                hidden.fill(0.0);
            }
        }
        let observation = rows.narrow(0, step * robots as i64, robots as i64);
        let before = Tensor::from_slice(&hidden)
            .view([robots as i64, -1])
            .to_device(device);
        let output = no_grad(|| policy.act(&weights, &observation, before));
        outputs.extend(entries(&output.actor));
        hidden = entries(&output.hidden);
    }
    outputs
}

/// Passes events on, and keeps a copy if the iteration is recorded.
pub(super) struct TeeSink<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) events: Option<Vec<Event>>,
}

impl Sink for TeeSink<'_> {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.events
            .iter_mut()
            .for_each(|events| events.push(event.clone()));
        self.sink.record(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
