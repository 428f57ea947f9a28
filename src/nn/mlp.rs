//! Fully connected networks of any depth and width.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{Activation, ParamLayout, Part};

/// The shape of a fully connected network between its input and its output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer, from the input on; empty for a linear map.
    pub hidden: Vec<u32>,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![64, 64],
        }
    }
}

/// A fully connected network: which parameters it uses, not their values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mlp {
    activation: Activation,
    /// Index of each layer's weight; its bias is the next.
    weights: Vec<usize>,
}

impl Mlp {
    /// Adds the network's parameters, `<name>.<layer>.weight` `[out, in]` and `.bias` `[out]`, to
    /// the layout.
    pub(super) fn new(
        layout: &mut ParamLayout,
        name: &str,
        part: Part,
        config: &MlpConfig,
        activation: Activation,
        inputs: usize,
        outputs: usize,
    ) -> Self {
        let widths: Vec<i64> = std::iter::once(inputs as i64)
            .chain(config.hidden.iter().map(|&width| i64::from(width)))
            .chain(std::iter::once(outputs as i64))
            .collect();
        let weights = widths
            .windows(2)
            .enumerate()
            .map(|(layer, width)| {
                let (inputs, outputs) = (width[0], width[1]);
                let weight =
                    layout.push(format!("{name}.{layer}.weight"), part, &[outputs, inputs]);
                layout.push(format!("{name}.{layer}.bias"), part, &[outputs]);
                weight
            })
            .collect();
        Self {
            activation,
            weights,
        }
    }

    /// Index of each layer's weight among the parameters, from the input on.
    pub(super) fn weights(&self) -> &[usize] {
        &self.weights
    }

    /// `[rows, in]` → `[rows, out]`, for parameters as given by [`ParamLayout::views`].
    pub fn forward(&self, params: &[Tensor], input: &Tensor) -> Tensor {
        let mut hidden = input.shallow_clone();
        for (layer, &weight) in self.weights.iter().enumerate() {
            if layer > 0 {
                hidden = self.activation.apply(&hidden);
            }
            hidden = params[weight + 1].addmm(&hidden, &params[weight].tr());
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forward_is_what_one_works_out_by_hand() {
        let mut layout = ParamLayout::default();
        let config = MlpConfig { hidden: vec![2] };
        let mlp = Mlp::new(
            &mut layout,
            "net",
            Part::Actor,
            &config,
            Activation::Relu,
            1,
            1,
        );
        // h = relu([2x + 1, -x]), y = 3 h0 - h1 + 0.5
        let flat = Tensor::from_slice(&[2.0f32, -1.0, 1.0, 0.0, 3.0, -1.0, 0.5]);
        let input = Tensor::from_slice(&[1.0f32, -2.0]).view([2, 1]);
        let output = mlp.forward(&layout.views(&flat), &input);
        assert_eq!(
            Vec::<f32>::try_from(&output.view([-1])).unwrap(),
            [9.5, -1.5]
        );
    }
}
