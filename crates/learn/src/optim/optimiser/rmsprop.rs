//! `RMSProp`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{OptimiserTechnique, StepInput, require_share};
use crate::optim::family::{InvalidSetting, require_positive};

/// Settings of `RMSProp`: each entry of the gradient is divided by its root mean square.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RmsProp {
    /// Decay of the running mean of squared gradients.
    pub decay: f64,
    /// Added to the root mean square.
    pub epsilon: f64,
    /// Decay of the velocity. 0: no momentum.
    pub momentum: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            decay: 0.99,
            epsilon: 1e-5,
            momentum: 0.0,
        }
    }
}

impl OptimiserTechnique for RmsProp {
    fn example() -> Self {
        Self {
            momentum: 0.5,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_share("decay", self.decay)?;
        require_positive("epsilon", self.epsilon)?;
        require_share("momentum", self.momentum)
    }

    fn moments(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 {
            &["square", "velocity"]
        } else {
            &["square"]
        }
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let (square, velocity) = moments.split_first_mut().expect("`RMSProp` has a moment");
        *square = &*square * self.decay + input.gradient.square() * (1.0 - self.decay);
        let direction = input.gradient / (square.sqrt() + self.epsilon);
        let [velocity] = velocity else {
            return input.parameters - direction * input.learning_rate;
        };
        *velocity = &*velocity * self.momentum + direction;
        input.parameters - &*velocity * input.learning_rate
    }
}
