//! Activation functions and their hand-written gradients.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::onnx::{Attribute, GraphBuilder, ValueName};

/// The activation function between two linear layers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Hyperbolic tangent: bounded, smooth, the usual choice for PPO on continuous control.
    #[default]
    Tanh,
    /// Rectified linear unit, max(0, x) (Nair & Hinton 2010).
    Relu,
    /// Leaky rectifier: x above 0, 0.01 x below. No unit can die for good (Maas et al. 2013,
    /// Rectifier Nonlinearities Improve Neural Network Acoustic Models).
    LeakyRelu,
    /// Exponential linear unit: x above 0, exp(x) − 1 below (Clevert et al. 2016, with α = 1,
    /// <https://arxiv.org/abs/1511.07289>).
    Elu,
    /// Gaussian error linear unit: x·Φ(x) with the exact Φ(x) = ½(1 + erf(x/√2)) (Hendrycks &
    /// Gimpel 2016, <https://arxiv.org/abs/1606.08415>).
    Gelu,
    /// Sigmoid-weighted linear unit, x·σ(x), also called swish (Elfwing et al. 2018,
    /// <https://arxiv.org/abs/1702.03118>).
    Silu,
    /// Logistic sigmoid, σ(x) = 1 / (1 + exp(−x)) (Rumelhart et al. 1986). Its slope is at most
    /// 1/4; vanishing gradients were first described in deep stacks of it.
    Sigmoid,
    /// Concatenated rectifiers: max(0, x) of every unit, then max(0, −x), so a layer has twice as
    /// many outputs as units (Shang et al. 2016, <https://arxiv.org/abs/1603.05201>). Every unit
    /// passes a gradient on at every input but 0, which keeps networks able to learn (Abbas et al.
    /// 2023, <https://arxiv.org/abs/2303.07507>).
    Crelu,
}

/// Slope of the leaky rectifier below 0.
const LEAKY_RELU_SLOPE: f64 = 0.01;

impl Activation {
    /// Every activation.
    pub const ALL: [Self; 8] = [
        Self::Tanh,
        Self::Relu,
        Self::LeakyRelu,
        Self::Elu,
        Self::Gelu,
        Self::Silu,
        Self::Sigmoid,
        Self::Crelu,
    ];

    /// Outputs of a layer with this many units.
    pub fn outputs(self, units: i64) -> i64 {
        match self {
            Self::Crelu => 2 * units,
            _ => units,
        }
    }

    /// Applies it to the sums of a layer, `[…, units]` → `[…, outputs]`, and returns a new tensor.
    /// Torch can differentiate it.
    pub fn forward(self, input: &Tensor) -> Tensor {
        match self {
            Self::Tanh => input.tanh(),
            Self::Relu => input.relu(),
            Self::LeakyRelu => input.leaky_relu(),
            Self::Elu => input.elu(),
            Self::Gelu => input.gelu("none"),
            Self::Silu => input.silu(),
            Self::Sigmoid => input.sigmoid(),
            Self::Crelu => Tensor::cat(&[input, &-input], -1).relu(),
        }
    }

    /// As [`Self::forward`], in place where the number of entries stays the same.
    pub fn apply(self, mut input: Tensor) -> Tensor {
        match self {
            Self::Tanh => input.tanh_(),
            Self::Relu => input.relu_(),
            Self::LeakyRelu => input.leaky_relu_(),
            Self::Elu => input.elu_(),
            Self::Gelu => input.gelu_("none"),
            Self::Silu => input.silu_(),
            Self::Sigmoid => input.sigmoid_(),
            Self::Crelu => self.forward(&input),
        }
    }

    /// Adds it to a graph, as [`Self::forward`]. Operators of version 18 have no `gelu` and no `silu`.
    pub(super) fn export(self, graph: &mut GraphBuilder, input: &ValueName) -> ValueName {
        match self {
            Self::Tanh => graph.node("Tanh", &[input], Vec::new()),
            Self::Relu => graph.node("Relu", &[input], Vec::new()),
            Self::LeakyRelu => {
                let slope = vec![Attribute::float("alpha", LEAKY_RELU_SLOPE)];
                graph.node("LeakyRelu", &[input], slope)
            }
            Self::Elu => graph.node("Elu", &[input], Vec::new()),
            Self::Gelu => {
                let scale = graph.scalar("gelu.scale", std::f64::consts::FRAC_1_SQRT_2);
                let (half, one) = (
                    graph.scalar("gelu.half", 0.5),
                    graph.scalar("gelu.one", 1.0),
                );
                let scaled = graph.mul(input, &scale);
                let erf = graph.node("Erf", &[&scaled], Vec::new());
                let twice = graph.add(&erf, &one);
                let probability = graph.mul(&twice, &half);
                graph.mul(input, &probability)
            }
            Self::Silu => {
                let gate = graph.node("Sigmoid", &[input], Vec::new());
                graph.mul(input, &gate)
            }
            Self::Sigmoid => graph.node("Sigmoid", &[input], Vec::new()),
            Self::Crelu => {
                let negative = graph.node("Neg", &[input], Vec::new());
                let both = graph.concat(&[input, &negative], -1);
                graph.node("Relu", &[&both], Vec::new())
            }
        }
    }

    /// Whether its slope follows from its output. The others take the same value on both sides of
    /// their minimum; their backward pass needs the input.
    pub fn backward_from_output(self) -> bool {
        match self {
            Self::Tanh | Self::Relu | Self::LeakyRelu | Self::Elu | Self::Sigmoid | Self::Crelu => {
                true
            }
            Self::Gelu | Self::Silu => false,
        }
    }

    /// The gradient with respect to its input, given the gradient with respect to its output.
    /// `saved` is the output if [`Self::backward_from_output`], otherwise the input.
    pub fn backward(self, saved: &Tensor, gradient: &Tensor) -> Tensor {
        match self {
            Self::Tanh => Tensor::tanh_backward(gradient, saved),
            Self::Relu => saved.threshold_backward(gradient, 0.0),
            Self::LeakyRelu => saved.leaky_relu_backward(gradient, LEAKY_RELU_SLOPE, true),
            Self::Elu => Tensor::elu_backward(gradient, 1.0, 1.0, 1.0, true, saved),
            Self::Gelu => saved.gelu_backward(gradient, "none"),
            Self::Silu => saved.silu_backward(gradient),
            Self::Sigmoid => Tensor::sigmoid_backward(gradient, saved),
            Self::Crelu => {
                let half = |tensor: &Tensor, half: i64| {
                    let units = tensor.size()[tensor.dim() - 1] / 2;
                    tensor.narrow(-1, half * units, units)
                };
                let through =
                    |side: i64| half(saved, side).threshold_backward(&half(gradient, side), 0.0);
                through(0) - through(1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values on both sides of every kink and minimum, and large ones.
    const INPUTS: [f32; 13] = [
        -20.0, -6.0, -2.0, -1.278, -0.7518, -0.5, -0.01, 0.0, 0.01, 0.5, 1.3, 4.0, 20.0,
    ];

    /// The formulas of the papers, in double precision.
    fn formula(activation: Activation, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        match activation {
            Activation::Tanh => 1.0 - 2.0 / ((2.0 * x).exp() + 1.0),
            // The first half of the outputs.
            Activation::Relu | Activation::Crelu => x.max(0.0),
            Activation::LeakyRelu if x < 0.0 => 0.01 * x,
            Activation::Elu if x < 0.0 => x.exp() - 1.0,
            Activation::LeakyRelu | Activation::Elu => x,
            Activation::Gelu => 0.5 * x * (1.0 + libm::erf(x / std::f64::consts::SQRT_2)),
            Activation::Silu => x * sigmoid(x),
            Activation::Sigmoid => sigmoid(x),
        }
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor).unwrap()
    }

    #[test]
    fn values_match_the_formulas() {
        let input = Tensor::from_slice(&INPUTS);
        for activation in Activation::ALL {
            let fresh = activation.forward(&input);
            let in_place = activation.apply(input.copy());
            assert_eq!(numbers(&fresh), numbers(&in_place), "{activation:?}");
            for (x, y) in INPUTS.into_iter().zip(numbers(&fresh)) {
                let expected = formula(activation, f64::from(x));
                assert!(
                    (f64::from(y) - expected).abs() <= 1e-6 * expected.abs().max(1.0),
                    "{activation:?} at {x}: {y}, not {expected}"
                );
            }
        }
        assert_eq!(numbers(&input), INPUTS, "`forward` changed its input");
    }

    #[test]
    fn gradients_match_torchs_automatic_differentiation() {
        let upstream = Tensor::from_slice(&INPUTS.map(|x| 1.5 + 0.1 * x));
        for activation in Activation::ALL {
            let input = Tensor::from_slice(&INPUTS).set_requires_grad(true);
            let output = activation.forward(&input);
            let length = output.numel() as i64;
            let upstream = Tensor::cat(&[&upstream, &(&upstream * 0.3)], 0).narrow(0, 0, length);
            let total = (&output * &upstream).sum(tch::Kind::Float);
            let expected = Tensor::run_backward(&[&total], &[&input], false, false);
            let saved = if activation.backward_from_output() {
                output.detach()
            } else {
                input.detach()
            };
            let found = numbers(&activation.backward(&saved, &upstream));
            for ((x, found), expected) in INPUTS.into_iter().zip(found).zip(numbers(&expected[0])) {
                assert!(
                    (found - expected).abs() <= 2e-6 * expected.abs().max(1.0),
                    "{activation:?} at {x}: {found}, not {expected}"
                );
            }
        }
    }

    #[test]
    fn gradients_match_the_slopes_of_the_formulas() {
        for activation in Activation::ALL {
            for x in INPUTS.into_iter().filter(|x| *x != 0.0) {
                let at = f64::from(x);
                let slope =
                    (formula(activation, at + 1e-5) - formula(activation, at - 1e-5)) / 2e-5;
                let input = Tensor::from_slice(&[x]);
                let saved = if activation.backward_from_output() {
                    activation.forward(&input)
                } else {
                    input
                };
                let one = Tensor::from_slice(&[1.0f32, 0.0]).narrow(0, 0, activation.outputs(1));
                let found = numbers(&activation.backward(&saved, &one))[0];
                assert!(
                    (f64::from(found) - slope).abs() < 1e-5,
                    "{activation:?} at {x}: {found}, not {slope}"
                );
            }
        }
    }

    #[test]
    fn concatenated_rectifiers_match_a_hand_computed_example() {
        let input = Tensor::from_slice(&[2.0f32, -3.0, -5.0, 7.0]).view([2, 2]);
        let output = Activation::Crelu.forward(&input);
        assert_eq!(output.size(), [2, 4]);
        let expected = [2.0, 0.0, 0.0, 3.0, 0.0, 7.0, 5.0, 0.0];
        assert_eq!(numbers(&output.flatten(0, -1)), expected);
        let upstream = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        let gradient = Activation::Crelu.backward(&output, &upstream.view([2, 4]));
        assert_eq!(numbers(&gradient.flatten(0, -1)), [1.0, -4.0, -7.0, 6.0]);
    }

    #[test]
    fn names_in_a_configuration_are_stable() {
        let names = Activation::ALL.map(|one| serde_json::to_string(&one).unwrap());
        let expected = [
            "tanh",
            "relu",
            "leaky_relu",
            "elu",
            "gelu",
            "silu",
            "sigmoid",
            "crelu",
        ];
        assert_eq!(names, expected.map(|name| format!("{name:?}")));
    }
}
