//! What stands between two linear layers.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

/// What stands between two linear layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Hyperbolic tangent: bounded, smooth, the usual choice for PPO on continuous control.
    #[default]
    Tanh,
    /// max(0, x).
    Relu,
}

impl Activation {
    /// Its value at every entry, in a tensor of its own, which torch can differentiate.
    pub fn forward(self, input: &Tensor) -> Tensor {
        match self {
            Self::Tanh => input.tanh(),
            Self::Relu => input.relu(),
        }
    }

    /// Applies it to every entry, in place.
    pub fn apply(self, mut input: Tensor) -> Tensor {
        match self {
            Self::Tanh => input.tanh_(),
            Self::Relu => input.relu_(),
        }
    }

    /// The gradient of its input, given its output and the gradient of its output.
    pub fn backward(self, output: &Tensor, gradient: &Tensor) -> Tensor {
        match self {
            Self::Tanh => Tensor::tanh_backward(gradient, output),
            Self::Relu => output.threshold_backward(gradient, 0.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_those_of_the_formulas() {
        let input = Tensor::from_slice(&[-2.0f32, -0.5, 0.0, 0.5, 2.0]);
        let tanh = Vec::<f32>::try_from(&Activation::Tanh.apply(input.copy())).unwrap();
        let relu = Vec::<f32>::try_from(&Activation::Relu.apply(input.copy())).unwrap();
        for (x, y) in [-2.0f32, -0.5, 0.0, 0.5, 2.0].into_iter().zip(tanh) {
            assert!((x.tanh() - y).abs() < 1e-6);
        }
        assert_eq!(relu, [0.0, 0.0, 0.0, 0.5, 2.0]);
    }
}
