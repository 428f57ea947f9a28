//! Optimisers on one flat tensor. Steps are pure: they give new tensors and leave the old ones,
//! so that a step can be tried and thrown away, and its state saved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// Turns a gradient into a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Optimiser {
    /// Adam (Kingma & Ba 2015, <https://arxiv.org/abs/1412.6980>, algorithm 1).
    Adam(Adam),
}

impl Default for Optimiser {
    fn default() -> Self {
        Self::Adam(Adam::default())
    }
}

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the mean of squares.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-5,
        }
    }
}

/// What Adam remembers between steps.
#[derive(Debug)]
pub struct AdamState {
    /// Mean of gradients, as long as the parameters.
    pub mean: Tensor,
    /// Mean of squared gradients, as long as the parameters.
    pub square: Tensor,
    /// Steps taken.
    pub steps: u64,
}

impl AdamState {
    /// The state before the first step.
    pub fn new(parameters: &Tensor) -> Self {
        Self {
            mean: parameters.zeros_like(),
            square: parameters.zeros_like(),
            steps: 0,
        }
    }
}

impl Clone for AdamState {
    /// Shares the tensors; steps never write into them.
    fn clone(&self) -> Self {
        Self {
            mean: self.mean.shallow_clone(),
            square: self.square.shallow_clone(),
            steps: self.steps,
        }
    }
}

impl Adam {
    /// Parameters and state after one step along a gradient.
    pub fn step(
        &self,
        parameters: &Tensor,
        gradient: &Tensor,
        state: &AdamState,
        learning_rate: f64,
    ) -> (Tensor, AdamState) {
        let steps = state.steps + 1;
        let mean = state.mean.lerp(gradient, 1.0 - self.beta1);
        let square = &state.square * self.beta2 + gradient.square() * (1.0 - self.beta2);
        let bias1 = 1.0 - self.beta1.powf(steps as f64);
        let bias2 = 1.0 - self.beta2.powf(steps as f64);
        let root = square.sqrt() * (1.0 / bias2.sqrt()) + self.epsilon;
        let parameters = parameters - (&mean / root) * (learning_rate / bias1);
        (
            parameters,
            AdamState {
                mean,
                square,
                steps,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::{self, OptimizerConfig};

    #[test]
    fn fifty_steps_agree_with_torch() {
        let start: Vec<f32> = (0..40).map(|i| (i as f32 * 0.37).sin()).collect();
        let target = Tensor::from_slice(&(0..40).map(|i| (i as f32).cos()).collect::<Vec<_>>());
        // Badly scaled, so that the second moment matters.
        let scale = Tensor::from_slice(&(0..40).map(|i| 1.3f32.powi(i - 20)).collect::<Vec<_>>());

        let store = nn::VarStore::new(tch::Device::Cpu);
        let theirs = store.root().var_copy("x", &Tensor::from_slice(&start));
        let mut torch = nn::Adam {
            beta1: 0.9,
            beta2: 0.999,
            wd: 0.0,
            eps: 1e-5,
            amsgrad: false,
        }
        .build(&store, 0.01)
        .unwrap();

        let adam = Adam::default();
        let mut ours = Tensor::from_slice(&start);
        let mut state = AdamState::new(&ours);
        for step in 0..50 {
            let learning_rate = 0.01 * (1.0 - f64::from(step) / 50.0);
            torch.set_lr(learning_rate);
            torch.backward_step(&((&theirs - &target).square() * &scale).sum(tch::Kind::Float));
            let gradient = (&ours - &target) * &scale * 2.0;
            (ours, state) = adam.step(&ours, &gradient, &state, learning_rate);
            let apart = (&ours - &theirs).abs().max().double_value(&[]);
            assert!(apart < 2e-6, "step {step}: {apart} apart");
        }
        assert_eq!(state.steps, 50);
        let moved = (&ours - Tensor::from_slice(&start))
            .abs()
            .max()
            .double_value(&[]);
        assert!(moved > 0.1, "nothing moved");
    }
}
