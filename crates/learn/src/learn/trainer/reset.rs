//! Resets of weights between iterations.

use tch::{Tensor, no_grad};

use super::Trainer;
use crate::learn::metrics::sample;
use crate::nn::UnitActivity;
use crate::optim::{Reset, ResetInput};
use evenkeel_sim::env::VectorEnv;

impl<E: VectorEnv> Trainer<E> {
    /// Applies the resets that are due before the next rollout. Fresh weights are drawn from a
    /// stream of (seed, iteration), so a resumed run draws the same.
    pub(super) fn apply_resets(&mut self) {
        let (iteration, iterations) = (self.state.header.iteration, self.config().iterations());
        let resets = self.config().stability.reset.iter();
        let due: Vec<Reset> = resets
            .filter(|reset| reset.is_due(iteration, iterations))
            .copied()
            .collect();
        if due.is_empty() {
            return;
        }
        let layers = self.policy.layers();
        let fresh = self
            .policy
            .fresh_parameters(self.state.header.seed, iteration);
        for reset in due {
            let activity = if reset.reads_activity() {
                self.current_activity()
            } else {
                Vec::new()
            };
            let input = ResetInput {
                layout: self.policy.layout(),
                layers: &layers,
                fresh: &fresh,
                activity: &activity,
            };
            let state = &mut self.state;
            (state.parameters, state.optimiser) =
                reset.apply(&input, &state.parameters, &state.optimiser);
        }
    }

    /// Activity of the units on the observations at which the environments stand. A resumed run has
    /// the same ones.
    fn current_activity(&self) -> Vec<UnitActivity> {
        let (state, policy) = (&self.state, &self.policy);
        let mut observations = vec![0.0; self.buffers.obs.len()];
        let rows = self.buffers.obs.chunks_exact(policy.obs_dim());
        for (raw, row) in rows.zip(observations.chunks_exact_mut(policy.obs_dim())) {
            state.observation.normalise_observation(raw, row);
        }
        let device = state.parameters.device();
        let matrix = |numbers: &[f32], columns: usize| {
            let rows = Tensor::from_slice(numbers).view([-1, columns as i64]);
            sample(&rows).to_device(device)
        };
        let observations = matrix(&observations, policy.obs_dim());
        let remembers = policy.state_len() > 0;
        let hidden = remembers.then(|| matrix(&state.hidden, policy.state_len()));
        let weights = policy.weights(&state.parameters, &state.buffers);
        no_grad(|| policy.activity(&weights, &observations, hidden.as_ref()))
    }
}
