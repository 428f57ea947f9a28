//! Fully connected networks of any depth and width.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

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

/// What a forward pass leaves for the backward pass.
#[derive(Debug)]
pub struct Tape {
    /// The input of each layer.
    inputs: Vec<Tensor>,
    /// The input of each activation, where its output does not tell its slope; otherwise empty.
    before: Vec<Tensor>,
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
        self.record(params, input).0
    }

    /// As [`Self::forward`], with what [`Self::backward`] needs.
    pub fn record(&self, params: &[Tensor], input: &Tensor) -> (Tensor, Tape) {
        let mut inputs = Vec::with_capacity(self.weights.len());
        let mut before = Vec::new();
        let mut next = input.shallow_clone();
        for (layer, &weight) in self.weights.iter().enumerate() {
            if layer > 0 && self.activation.backward_from_output() {
                next = self.activation.apply(next);
            } else if layer > 0 {
                let after = self.activation.forward(&next);
                before.push(std::mem::replace(&mut next, after));
            }
            let output = params[weight + 1].addmm(&next, &params[weight].tr());
            inputs.push(std::mem::replace(&mut next, output));
        }
        (next, Tape { inputs, before })
    }

    /// Writes the gradient of each parameter of this network into `gradients`, views like
    /// `params`, given the gradient of its output.
    ///
    /// Written out, for a network of this size, it takes a third less time than torch's automatic
    /// differentiation, which is its oracle in the tests of the update.
    pub fn backward(&self, params: &[Tensor], tape: &Tape, output: Tensor, gradients: &[Tensor]) {
        let mut gradient = output;
        for (layer, &weight) in self.weights.iter().enumerate().rev() {
            let input = &tape.inputs[layer];
            let _ = gradient.tr().mm_out(&gradients[weight], input);
            let _ = gradient.sum_intlist_out(&gradients[weight + 1], 0, false, Kind::Float);
            if layer > 0 {
                let kept = tape.before.get(layer - 1).unwrap_or(input);
                gradient = self
                    .activation
                    .backward(kept, &gradient.mm(&params[weight]));
            }
        }
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

    #[test]
    fn the_gradient_is_the_one_that_torch_finds_for_every_activation() {
        for activation in Activation::ALL {
            let mut layout = ParamLayout::default();
            let config = MlpConfig { hidden: vec![5, 4] };
            let mlp = Mlp::new(&mut layout, "net", Part::Actor, &config, activation, 3, 2);
            let wave = |count: usize, scale: f64| {
                let numbers = (0..count).map(|i| (scale * (1.0 + i as f64).sin()) as f32);
                Tensor::from_slice(&numbers.collect::<Vec<_>>())
            };
            let flat = wave(layout.len(), 1.2).set_requires_grad(true);
            let (input, upstream) = (wave(21, 2.0).view([7, 3]), wave(14, 1.0).view([7, 2]));
            let output = mlp.forward(&layout.views(&flat), &input);
            let total = (output * &upstream).sum(Kind::Float);
            let expected = Tensor::run_backward(&[&total], &[&flat], false, false);
            let found = flat.detach().zeros_like();
            let params = layout.views(&flat.detach());
            let (_, tape) = mlp.record(&params, &input);
            assert_eq!(
                tape.before.len(),
                if activation.backward_from_output() {
                    0
                } else {
                    2
                }
            );
            mlp.backward(&params, &tape, upstream, &layout.views(&found));
            let apart = (&found - &expected[0]).norm() / expected[0].norm();
            assert!(apart.double_value(&[]) < 1e-6, "{activation:?}: {apart:?}");
        }
    }
}
