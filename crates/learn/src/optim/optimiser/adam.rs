//! Adam, and Adam with a step count of its own for each rollout.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{OptimiserTechnique, StepInput, require_share};
use crate::optim::family::{InvalidSetting, require_positive};

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// Decay of the running mean of gradients, β₁.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, β₂. Equal to β₁, it keeps steps small where
    /// the gradient suddenly grows (Dohare et al. 2023,
    /// <https://openreview.net/forum?id=m9Jfdz4ymO>).
    pub beta2: f64,
    /// Added to the root mean square, ε.
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

impl OptimiserTechnique for Adam {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_share("beta1", self.beta1)?;
        require_share("beta2", self.beta2)?;
        require_positive("epsilon", self.epsilon)
    }

    fn moments(&self) -> &'static [&'static str] {
        &["mean", "square"]
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let [mean, square] = moments else {
            unreachable!("Adam has two moments")
        };
        *mean = mean.lerp(input.gradient, 1.0 - self.beta1);
        *square = &*square * self.beta2 + input.gradient.square() * (1.0 - self.beta2);
        let bias1 = 1.0 - self.beta1.powf(input.step as f64);
        let bias2 = 1.0 - self.beta2.powf(input.step as f64);
        let root = square.sqrt() * (1.0 / bias2.sqrt()) + self.epsilon;
        input.parameters - (&*mean / root) * (input.learning_rate / bias1)
    }
}

/// Settings of Adam-Rel.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdamRel {
    /// Decay of the running mean of gradients, β₁.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, β₂.
    pub beta2: f64,
    /// Added to the root mean square, ε.
    pub epsilon: f64,
}

impl Default for AdamRel {
    fn default() -> Self {
        let Adam {
            beta1,
            beta2,
            epsilon,
        } = Adam::default();
        Self {
            beta1,
            beta2,
            epsilon,
        }
    }
}

impl AdamRel {
    /// Adam with these settings, whose steps are counted by the caller.
    fn adam(&self) -> Adam {
        Adam {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
        }
    }
}

impl OptimiserTechnique for AdamRel {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        self.adam().check()
    }

    fn moments(&self) -> &'static [&'static str] {
        &["mean", "square"]
    }

    fn counts_from_rollout(&self) -> bool {
        true
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        self.adam().step(input, moments)
    }
}
