//! A rollout's rows as sequences, which a policy with memory is unrolled over.

use tch::{Kind, Tensor};

use crate::nn::{UnrollInput, entries};

/// How a rollout's rows form sequences, for a policy with memory.
#[derive(Debug)]
pub struct Sequences {
    /// `[S, state]`: hidden state before the first step of each sequence.
    pub hidden: Tensor,
    /// `[B]`: 1 for the rows with which an episode starts, 0 for the rest.
    pub episode_starts: Tensor,
    /// `[B]`: 1 for the rows of inactive robots, which have no part in the loss, 0 for the rest;
    /// absent where all robots are active.
    pub inactive: Option<Tensor>,
    /// Steps of each sequence, L.
    pub length: usize,
    /// Environments of the rollout, N: sequence `s` is the `s / N`-th of environment `s % N`.
    pub envs: usize,
}

impl Sequences {
    /// The rows, `[L · M]`, of some sequences, `[M]`, and where they start.
    pub(super) fn select(&self, sequences: &Tensor) -> (Tensor, UnrollInput) {
        let (length, envs) = (self.length as i64, self.envs as i64);
        let first = sequences.divide_scalar_mode(envs, "floor") * (length * envs)
            + sequences.remainder(envs);
        let steps = Tensor::arange(length, (Kind::Int64, sequences.device())) * envs;
        let rows = (steps.unsqueeze(1) + first.unsqueeze(0)).flatten(0, -1);
        let unroll_input = UnrollInput {
            hidden: self.hidden.index_select(0, sequences),
            episode_starts: Some(
                self.episode_starts
                    .index_select(0, &rows)
                    .view([length, -1]),
            ),
        };
        (rows, unroll_input)
    }

    /// [`Self::inactive`] of these rows; empty where all robots are active.
    pub(super) fn inactive_in(&self, rows: &Tensor) -> Vec<f32> {
        let inactive = self.inactive.as_ref();
        inactive.map_or_else(Vec::new, |inactive| {
            entries(&inactive.index_select(0, rows))
        })
    }

    /// Shares the tensors.
    pub(super) fn shallow_clone(&self) -> Self {
        Self {
            hidden: self.hidden.shallow_clone(),
            episode_starts: self.episode_starts.shallow_clone(),
            inactive: self.inactive.as_ref().map(Tensor::shallow_clone),
            ..*self
        }
    }
}

/// [`Sequences::inactive`] of a rollout.
pub(super) fn inactive_mask(inactive: &[bool]) -> Tensor {
    let inactive = inactive
        .iter()
        .map(|&inactive| f32::from(u8::from(inactive)));
    Tensor::from_slice(&inactive.collect::<Vec<_>>())
}
