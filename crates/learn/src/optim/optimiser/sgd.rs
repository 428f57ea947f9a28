//! Stochastic gradient descent, with and without momentum.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{OptimiserTechnique, StepInput, require_share};
use crate::optim::family::{InvalidSetting, require};

/// Settings of stochastic gradient descent: v ← `momentum`·v + g, θ ← θ − learning rate · v.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sgd {
    /// Decay of the velocity. 0: plain gradient descent.
    pub momentum: f64,
    /// Whether to use Nesterov momentum: the step is along g + `momentum`·v.
    pub nesterov: bool,
}

impl OptimiserTechnique for Sgd {
    fn example() -> Self {
        Self {
            momentum: 0.9,
            nesterov: true,
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_share("momentum", self.momentum)?;
        let holds = !self.nesterov || self.momentum > 0.0;
        require("nesterov", self.nesterov, holds, "false without momentum")
    }

    fn moments(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 {
            &["velocity"]
        } else {
            &[]
        }
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let [velocity] = moments else {
            return input.parameters - input.gradient * input.learning_rate;
        };
        *velocity = &*velocity * self.momentum + input.gradient;
        if self.nesterov {
            let ahead = input.gradient + &*velocity * self.momentum;
            input.parameters - ahead * input.learning_rate
        } else {
            input.parameters - &*velocity * input.learning_rate
        }
    }
}
