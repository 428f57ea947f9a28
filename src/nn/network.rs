//! A network: hidden layers of any depth and width, perhaps a memory, and a linear output.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::norm::{Norm, Spectral, StatisticLayout};
use super::recurrent::{Cell, Unrolled};
use super::{
    Activation, Memory, NormLayer, ParamLayout, Part, Recall, Role, UnitActivity, Weights,
};

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

/// What the networks of a policy have in common.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Style {
    pub(super) activation: Activation,
    pub(super) norm: NormLayer,
    pub(super) residual: bool,
    pub(super) spectral_norm: bool,
    pub(super) memory: Option<Memory>,
}

/// Everything in a network before its output: which parameters it uses, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trunk {
    activation: Activation,
    residual: bool,
    layers: Vec<Layer>,
    memory: Option<Cell>,
    /// Numbers that it gives.
    width: i64,
}

/// A hidden layer: input → weight, bias → norm → activation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Layer {
    /// Index of the weight `[out, in]`; the bias is the next.
    weight: usize,
    norm: Option<Norm>,
    spectral: Option<Spectral>,
    /// Whether it is as wide as what comes in.
    square: bool,
}

impl Layer {
    /// What it gives before its normalisation.
    fn sum(&self, weights: &Weights, input: &Tensor) -> Tensor {
        let weight = &weights.params[self.weight];
        let bias = &weights.params[self.weight + 1];
        match self.spectral {
            None => bias.addmm(input, &weight.tr()),
            Some(spectral) => {
                bias.addmm(input, &spectral.forward(&weights.statistics, weight).tr())
            }
        }
    }
}

impl Trunk {
    /// Adds the parameters of the hidden layers, `<name>.<layer>.weight` `[out, in]`, `.bias`
    /// `[out]` and `.norm.…`, and those of the memory, `<name>.memory.…`.
    pub(super) fn build(
        layout: &mut ParamLayout,
        statistics: &mut StatisticLayout,
        name: &str,
        part: Part,
        hidden: &[u32],
        style: &Style,
        inputs: i64,
    ) -> Self {
        let mut width = inputs;
        let mut layers = Vec::with_capacity(hidden.len());
        for (index, &units) in hidden.iter().enumerate() {
            let (name, units) = (format!("{name}.{index}"), i64::from(units));
            let weight = push_linear(layout, &name, part, Role::Weight, width, units);
            layers.push(Layer {
                weight,
                norm: style.norm.build(layout, statistics, &name, part, units),
                spectral: style
                    .spectral_norm
                    .then(|| Spectral::build(statistics, units)),
                square: width == units,
            });
            width = units;
        }
        let memory = style.memory.map(|memory| {
            let name = format!("{name}.memory");
            let spectral = style.spectral_norm;
            let cell = Cell::build(layout, statistics, &name, part, memory, width, spectral);
            width = memory.size() as i64;
            cell
        });
        Self {
            activation: style.activation,
            residual: style.residual,
            layers,
            memory,
            width,
        }
    }

    /// Numbers that it gives for each row.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// Hidden layers.
    pub(super) fn depth(&self) -> usize {
        self.layers.len()
    }

    /// The recurrent cell, if there is one.
    pub(super) fn memory(&self) -> Option<&Cell> {
        self.memory.as_ref()
    }

    /// Numbers remembered for each environment.
    pub(super) fn state_len(&self) -> usize {
        self.memory.as_ref().map_or(0, Cell::state_len)
    }

    /// Index of each hidden layer's weight, from the input on.
    pub(super) fn weights(&self) -> impl Iterator<Item = usize> {
        self.layers.iter().map(|layer| layer.weight)
    }

    /// Index of each gain of a normalisation layer.
    pub(super) fn norm_gains(&self) -> impl Iterator<Item = usize> {
        self.layers
            .iter()
            .filter_map(|layer| Some(layer.norm?.gain()))
    }

    /// Whether nothing but hidden layers and activations is in it.
    fn is_plain(&self) -> bool {
        let plain = |layer: &Layer| layer.norm.is_none() && layer.spectral.is_none();
        !self.residual && self.memory.is_none() && self.layers.iter().all(plain)
    }

    /// The hidden layers, `[rows, in]` → `[rows, width]`; `watch` sees what each gives before its
    /// normalisation and after its activation.
    fn hidden(
        &self,
        weights: &Weights,
        input: &Tensor,
        mut watch: impl FnMut(&Layer, &Tensor, &Tensor),
    ) -> Tensor {
        let mut next = input.shallow_clone();
        for layer in &self.layers {
            let sum = layer.sum(weights, &next);
            let normalised = match layer.norm {
                Some(norm) => norm.forward(&weights.params, &weights.statistics, &sum),
                None => sum.shallow_clone(),
            };
            let output = self.activation.forward(&normalised);
            watch(layer, &sum, &output);
            next = if self.residual && layer.square {
                next + output
            } else {
                output
            };
        }
        next
    }

    /// `[rows, in]` → `[rows, width]` of a network without memory.
    pub(super) fn forward(&self, weights: &Weights, input: &Tensor) -> Tensor {
        self.hidden(weights, input, |_, _, _| ())
    }

    /// Runs over `M` sequences, whose inputs are `[L · M, in]`, from what is remembered of each,
    /// the columns `state` of `recall.hidden`. A network without memory remembers nothing.
    pub(super) fn unroll(
        &self,
        weights: &Weights,
        input: &Tensor,
        recall: &Recall,
        state: Range<usize>,
    ) -> Unrolled {
        let hidden = self.forward(weights, input);
        let Some(cell) = &self.memory else {
            return Unrolled {
                outputs: hidden,
                hidden: Vec::new(),
                state: recall.hidden.narrow(1, 0, 0),
            };
        };
        let from = recall
            .hidden
            .narrow(1, state.start as i64, state.len() as i64);
        cell.unroll(
            &weights.params,
            &weights.statistics,
            &hidden,
            &from,
            recall.starts.as_ref(),
        )
    }

    /// Writes the statistics that follow from those that are and a batch of inputs `[rows, in]`, of
    /// which `before` were seen before.
    pub(super) fn learn(&self, weights: &Weights, input: &Tensor, before: u64) {
        let _ = self.hidden(weights, input, |layer, sum, _| {
            if let Some(norm) = layer.norm {
                norm.learn(&weights.statistics, sum, before);
            }
            if let Some(spectral) = layer.spectral {
                spectral.learn(&weights.statistics, &weights.params[layer.weight]);
            }
        });
        if let Some(cell) = &self.memory {
            cell.learn(&weights.params, &weights.statistics);
        }
    }
}

impl Trunk {
    /// What the units do on inputs `[rows, in]`, and those of the memory on what it remembered,
    /// `[rows, state]`.
    pub(super) fn activity(
        &self,
        layout: &ParamLayout,
        weights: &Weights,
        input: &Tensor,
        state: Option<&Tensor>,
    ) -> Vec<UnitActivity> {
        let name = |index: usize| layout.entries()[index].name.clone();
        let mut all = Vec::new();
        let _ = self.hidden(weights, input, |layer, _, output| {
            all.push(UnitActivity::of(
                name(layer.weight),
                output,
                Some(self.activation),
            ));
        });
        if let (Some(cell), Some(state)) = (&self.memory, state) {
            let name = name(cell.recurrent());
            all.push(UnitActivity::of(
                name,
                &cell.outputs_of(state),
                cell.bounded(),
            ));
        }
        all
    }
}

/// What a forward pass leaves for the backward pass.
#[derive(Debug)]
pub(super) struct Tape {
    /// The input of each layer.
    inputs: Vec<Tensor>,
    /// The input of each activation, where its output does not tell its slope; otherwise empty.
    before: Vec<Tensor>,
}

/// A network: which parameters it uses, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) trunk: Trunk,
    /// Index of the output's weight `[out, width]`; its bias is the next.
    pub(super) output: usize,
}

impl Network {
    /// Adds the output's parameters to those of a trunk.
    pub(super) fn build(
        layout: &mut ParamLayout,
        name: &str,
        part: Part,
        trunk: Trunk,
        outputs: i64,
    ) -> Self {
        let name = format!("{name}.{}", trunk.depth());
        let output = push_linear(layout, &name, part, Role::Output, trunk.width(), outputs);
        Self { trunk, output }
    }

    /// The output for what the trunk gave.
    pub(super) fn output(&self, weights: &Weights, features: &Tensor) -> Tensor {
        let weight = &weights.params[self.output];
        weights.params[self.output + 1].addmm(features, &weight.tr())
    }

    /// `[rows, in]` → `[rows, out]` of a network without memory.
    pub(super) fn forward(&self, weights: &Weights, input: &Tensor) -> Tensor {
        self.output(weights, &self.trunk.forward(weights, input))
    }

    /// Whether [`Self::record`] and [`Self::backward`] can do it.
    pub(super) fn is_plain(&self) -> bool {
        self.trunk.is_plain()
    }

    /// Index of each layer's weight, from the input on.
    fn weights(&self) -> Vec<usize> {
        self.trunk
            .weights()
            .chain(std::iter::once(self.output))
            .collect()
    }

    /// As [`Self::forward`], with what [`Self::backward`] needs.
    pub(super) fn record(&self, weights: &Weights, input: &Tensor) -> (Tensor, Tape) {
        let mut inputs = Vec::with_capacity(self.trunk.depth() + 1);
        let mut before = Vec::new();
        let mut next = input.shallow_clone();
        for layer in &self.trunk.layers {
            let activation = self.trunk.activation;
            let mut output = layer.sum(weights, &next);
            if activation.backward_from_output() {
                output = activation.apply(output);
            } else {
                let after = activation.forward(&output);
                before.push(std::mem::replace(&mut output, after));
            }
            inputs.push(std::mem::replace(&mut next, output));
        }
        let output = self.output(weights, &next);
        inputs.push(next);
        (output, Tape { inputs, before })
    }

    /// Writes the gradient of each parameter of this network into `gradients`, views like
    /// `params`, given the gradient of its output.
    ///
    /// Written out, for a network of this size, it takes a third less time than torch's automatic
    /// differentiation, which is its oracle in the tests of the update.
    pub(super) fn backward(
        &self,
        params: &[Tensor],
        tape: &Tape,
        output: Tensor,
        gradients: &[Tensor],
    ) {
        let mut gradient = output;
        for (layer, &weight) in self.weights().iter().enumerate().rev() {
            let input = &tape.inputs[layer];
            let _ = gradient.tr().mm_out(&gradients[weight], input);
            let _ = gradient.sum_intlist_out(&gradients[weight + 1], 0, false, Kind::Float);
            if layer > 0 {
                let kept = tape.before.get(layer - 1).unwrap_or(input);
                gradient = self
                    .trunk
                    .activation
                    .backward(kept, &gradient.mm(&params[weight]));
            }
        }
    }
}

/// Adds a weight `[out, in]` and a bias `[out]`; the index of the weight.
fn push_linear(
    layout: &mut ParamLayout,
    name: &str,
    part: Part,
    role: Role,
    inputs: i64,
    outputs: i64,
) -> usize {
    let weight = layout.push(format!("{name}.weight"), part, role, &[outputs, inputs]);
    layout.push(format!("{name}.bias"), part, Role::Bias, &[outputs]);
    weight
}
