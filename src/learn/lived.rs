//! What an environment lived in a rollout, for a recording of training itself. It is read off the
//! rollout; nothing is drawn, and nothing of what is learnt from changes.

use std::io;

use tch::{Tensor, no_grad};

use super::normaliser::Normaliser;
use super::rollout::{Acting, Rollout};
use crate::env::{EnvState, Thoughts};
use crate::nn::entries;
use crate::record::Lived;
use crate::telemetry::{Event, Sink};

/// The environment that is recorded.
pub(super) const RECORDED: usize = 0;

/// What [`RECORDED`] lived in a rollout that `acting` has gathered, from `before` on; the values of
/// its rows are there, normalised by `returns`. Iteration and step are for the caller to fill in.
pub(super) fn lived(
    rollout: &Rollout,
    acting: &Acting,
    returns: &Normaliser,
    before: EnvState,
) -> Lived {
    let columns = rollout.columns;
    let rows = || {
        let all = rollout.rows.chunks_exact(columns.width());
        all.skip(RECORDED).step_by(rollout.envs)
    };
    let gaussian = acting.policy.gaussian();
    let draws = rows().flat_map(|row| &row[columns.obs..][..columns.action]);
    let values = rows().map(|row| returns.inverse(row[columns.value()]));
    let observations: Vec<f32> = rows()
        .flat_map(|row| &row[..columns.obs])
        .copied()
        .collect();
    let weights = acting.weights();
    Lived {
        env: RECORDED as u64,
        before,
        actions: draws.map(|&draw| gaussian.squash.apply(draw)).collect(),
        thoughts: Thoughts {
            mean: means(rollout, acting, &observations),
            std: acting.policy.distribution(&weights).std().to_vec(),
            value: values.collect(),
        },
        ..Lived::default()
    }
}

/// `[T, act]`: the means of the distributions that its actions were drawn from, given what it saw,
/// `[T, obs]`, normalised.
fn means(rollout: &Rollout, acting: &Acting, observations: &[f32]) -> Vec<f32> {
    let (policy, weights) = (acting.policy, acting.weights());
    let device = weights.device();
    let obs = rollout.columns.obs as i64;
    let rows = Tensor::from_slice(observations)
        .view([-1, obs])
        .to_device(device);
    let Some(memory) = &rollout.memory else {
        return entries(&no_grad(|| policy.mean(&weights, &rows)));
    };
    // What it remembered before the first step, and at each after it what the policy made of that.
    let first = &memory.before[RECORDED * memory.state..][..memory.state];
    let begin = |numbers: &[f32]| Tensor::from_slice(numbers).view([1, -1]).to_device(device);
    let mut hidden = begin(first);
    let mut means = Vec::new();
    for step in 0..rows.size()[0] {
        if memory.starts[step as usize * rollout.envs + RECORDED] > 0.0 {
            hidden = begin(&vec![0.0; memory.state]);
        }
        let acted = no_grad(|| policy.act(&weights, &rows.narrow(0, step, 1), hidden));
        means.extend(entries(&acted.mean));
        hidden = acted.hidden;
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
