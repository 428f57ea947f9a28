//! What an environment lived in a rollout, for a recording of training itself. It is read off the
//! rollout; nothing is drawn, and nothing of what is learnt from changes.

use std::io;
use std::ops::Range;

use tch::{Tensor, no_grad};

use super::normaliser::Normaliser;
use super::rollout::{Acting, Rollout};
use crate::nn::entries;
use evenkeel_runs::record::Lived;
use evenkeel_runs::telemetry::{Event, Sink};
use evenkeel_sim::env::{EnvState, Thought};

/// The environment that is recorded.
pub(super) const RECORDED: usize = 0;

/// What [`RECORDED`] lived in a rollout that `acting` has gathered, from `before` on; the values of
/// its rows are there, normalised by `returns`. There are so many `robots` in it. Iteration and step
/// are for the caller to fill in.
pub(super) fn lived(
    rollout: &Rollout,
    acting: &Acting,
    returns: &Normaliser,
    before: EnvState,
    robots: usize,
) -> Lived {
    let columns = rollout.columns;
    let own = own(robots);
    let rows = || {
        let steps = rollout.rows.chunks_exact(rollout.envs * columns.width());
        steps.flat_map(|rows| {
            rows.chunks_exact(columns.width())
                .skip(own.start)
                .take(robots)
        })
    };
    let gaussian = acting.policy.gaussian();
    let draws = rows().flat_map(|row| &row[columns.obs..][..columns.action]);
    let observations: Vec<f32> = rows()
        .flat_map(|row| &row[..columns.obs])
        .copied()
        .collect();
    let means = means(rollout, acting, &observations, robots);
    let std = acting.policy.distribution(&acting.weights()).std().to_vec();
    let thoughts = rows().zip(means.chunks_exact(columns.action));
    Lived {
        env: RECORDED as u64,
        before,
        actions: draws.map(|&draw| gaussian.squash.apply(draw)).collect(),
        thoughts: thoughts
            .map(|(row, mean)| Thought {
                mean: mean.to_vec(),
                std: std.clone(),
                value: returns.inverse(row[columns.value()]),
            })
            .collect(),
        ..Lived::default()
    }
}

/// The rows of [`RECORDED`] among those of one step.
fn own(robots: usize) -> Range<usize> {
    RECORDED * robots..(RECORDED + 1) * robots
}

/// `[T, robots, act]`: the means of the distributions that its actions were drawn from, given what
/// it saw, `[T, robots, obs]`, normalised.
fn means(rollout: &Rollout, acting: &Acting, observations: &[f32], robots: usize) -> Vec<f32> {
    let (policy, weights) = (acting.policy, acting.weights());
    let device = weights.device();
    let obs = rollout.columns.obs as i64;
    let rows = Tensor::from_slice(observations)
        .view([-1, obs])
        .to_device(device);
    let Some(memory) = &rollout.memory else {
        return entries(&no_grad(|| policy.mean(&weights, &rows)));
    };
    // What was remembered before the first step, and at each after it what the policy made of that.
    let (own, state) = (own(robots), memory.state);
    let mut hidden = memory.before[own.start * state..own.end * state].to_vec();
    let mut means = Vec::new();
    for step in 0..rows.size()[0] / robots as i64 {
        let starts = &memory.starts[step as usize * rollout.envs..][own.clone()];
        for (hidden, &starts) in hidden.chunks_exact_mut(state).zip(starts) {
            if starts > 0.0 {
                hidden.fill(0.0);
            }
        }
        let seen = rows.narrow(0, step * robots as i64, robots as i64);
        let before = Tensor::from_slice(&hidden)
            .view([robots as i64, -1])
            .to_device(device);
        let acted = no_grad(|| policy.act(&weights, &seen, before));
        means.extend(entries(&acted.mean));
        hidden = entries(&acted.hidden);
    }
    means
}

/// Passes events on, and keeps them for a recording if one is due.
pub(super) struct Heard<'a> {
    pub(super) sink: &'a mut dyn Sink,
    pub(super) kept: Option<Vec<Event>>,
}

impl Sink for Heard<'_> {
    fn record(&mut self, event: &Event) -> io::Result<()> {
        self.kept
            .iter_mut()
            .for_each(|kept| kept.push(event.clone()));
        self.sink.record(event)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
