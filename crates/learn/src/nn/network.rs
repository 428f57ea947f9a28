//! A network: hidden layers of any depth and width, an optional recurrent layer, and a linear
//! output.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::onnx::{GraphBuilder, ValueName};

use super::layer::{HiddenLayer, LayerOptions, push_linear};
use super::lidar::LidarEncoder;
use super::norm::BufferLayout;
use super::recurrent::{RecurrentCell, UnrollOutput};
use super::simba::SimbaBlocks;
use super::{
    Activation, HiddenBlock, InputLayout, LayerKind, LidarConv, NetworkPart, ParamLayout,
    ParamRole, PolicyLayer, RecurrentConfig, UnitActivity, UnrollInput, Weights,
};

/// Hidden layers of a fully connected network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MlpConfig {
    /// Width of each hidden layer, from input to output. Empty: a linear map.
    pub hidden: Vec<u32>,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: vec![64, 64],
        }
    }
}

/// Settings that all networks of a policy share.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct NetworkOptions<'a> {
    pub(super) lidar_conv: Option<&'a LidarConv>,
    pub(super) layer: LayerOptions,
    pub(super) block: HiddenBlock,
    pub(super) residual: bool,
    pub(super) memory: Option<RecurrentConfig>,
}

/// All of a network before its output layer. It holds indices of parameters, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trunk {
    activation: Activation,
    residual: bool,
    lidar_encoder: Option<LidarEncoder>,
    layers: Vec<HiddenLayer>,
    /// Blocks in place of the hidden layers.
    simba: Option<SimbaBlocks>,
    memory: Option<RecurrentCell>,
    /// Layers or blocks.
    depth: usize,
    /// Features for each row.
    width: i64,
}

impl Trunk {
    /// Adds the parameters of the convolutions, `<name>.lidar.…`, of the hidden layers,
    /// `<name>.<layer>.weight` `[out, in]`, `.bias` `[out]` and `.norm.…`, and of the recurrent
    /// cell, `<name>.memory.…`.
    pub(super) fn build(
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        hidden: &[u32],
        options: &NetworkOptions,
        inputs: &InputLayout,
    ) -> Self {
        let lidar_encoder = options.lidar_conv.map(|config| {
            LidarEncoder::build(layout, buffers, name, part, config, options.layer, inputs)
        });
        let mut width = lidar_encoder
            .as_ref()
            .map_or(inputs.len as i64, LidarEncoder::width);
        let mut layers = Vec::with_capacity(hidden.len());
        let mut simba = None;
        if let (HiddenBlock::Simba, Some(&units)) = (options.block, hidden.first()) {
            let shape = (width, i64::from(units), hidden.len());
            let blocks = SimbaBlocks::build(layout, buffers, name, part, shape, options.layer);
            simba = Some(blocks);
            width = i64::from(units);
        } else {
            for (index, &units) in hidden.iter().enumerate() {
                let (name, units, layer) = (format!("{name}.{index}"), units.into(), options.layer);
                let layer = HiddenLayer::build(layout, buffers, &name, part, layer, width, units);
                width = layer.width();
                layers.push(layer);
            }
        }
        let memory = options.memory.map(|memory| {
            let name = format!("{name}.memory");
            let spectral = options.layer.spectral_norm;
            let cell = RecurrentCell::build(layout, buffers, &name, part, memory, width, spectral);
            width = memory.size() as i64;
            cell
        });
        Self {
            activation: options.layer.activation,
            residual: options.residual,
            lidar_encoder,
            layers,
            simba,
            memory,
            depth: hidden.len(),
            width,
        }
    }

    /// Features for each row.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// Number of hidden layers or blocks.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The recurrent cell.
    pub(super) fn memory(&self) -> Option<&RecurrentCell> {
        self.memory.as_ref()
    }

    /// Length of the hidden state; 0 without a recurrent cell.
    pub(super) fn state_len(&self) -> usize {
        self.memory.as_ref().map_or(0, RecurrentCell::state_len)
    }

    /// Convolutions and hidden layers, from input to output.
    fn all_layers(&self) -> impl Iterator<Item = &HiddenLayer> {
        let convolutions = self
            .lidar_encoder
            .as_ref()
            .map_or(&[][..], LidarEncoder::layers);
        convolutions.iter().chain(&self.layers)
    }

    /// Index and kind of the weight of each convolution and hidden layer, from input to output.
    pub(super) fn weights(&self) -> impl Iterator<Item = (usize, LayerKind)> {
        let convolution = self.lidar_encoder.iter().flat_map(|lidar_encoder| {
            let kind = LayerKind::Convolution {
                kernel: lidar_encoder.kernel(),
            };
            lidar_encoder
                .layers()
                .iter()
                .map(move |layer| (layer.weight(), kind))
        });
        let hidden = self.layers.iter().map(HiddenLayer::weight);
        let hidden = hidden.chain(self.simba.iter().flat_map(SimbaBlocks::weights));
        convolution.chain(hidden.map(|weight| (weight, LayerKind::Hidden)))
    }

    /// Index of the gain of each normalisation layer.
    pub(super) fn norm_gains(&self) -> impl Iterator<Item = usize> {
        let blocks = self.simba.iter().flat_map(SimbaBlocks::norm_gains);
        let layers = self.all_layers().filter_map(HiddenLayer::norm_gain);
        layers.chain(blocks)
    }

    /// The hidden layers and the recurrent cell, from input to output. `outputs` are the weights of
    /// the output layers that read the last one.
    pub(super) fn policy_layers(
        &self,
        layout: &ParamLayout,
        outputs: &[usize],
    ) -> Vec<PolicyLayer> {
        // The parameters of a layer are adjacent, and their names begin with the layer's.
        let parameters = |weight: usize, suffix: &str| {
            let entries = layout.entries();
            let layer = entries[weight].name.strip_suffix(suffix);
            let layer = layer.expect("a weight's name ends with its role");
            let all = weight..entries.len();
            all.take_while(|&index| entries[index].name.starts_with(layer))
                .collect()
        };
        let mut readers = outputs.to_vec();
        let mut layers = Vec::new();
        if let Some(cell) = &self.memory {
            layers.push(PolicyLayer {
                parameters: parameters(cell.input(), "input.weight"),
                readers: Vec::new(),
                from_output: 1,
            });
            readers = vec![cell.input()];
        }
        for layer in self.layers.iter().rev() {
            layers.push(PolicyLayer {
                parameters: parameters(layer.weight(), "weight"),
                readers: std::mem::replace(&mut readers, vec![layer.weight()]),
                from_output: layers.len() + 1,
            });
        }
        layers.reverse();
        layers
    }

    /// Whether it consists of plain hidden layers only, so that [`Network::forward_with_tape`] and
    /// [`Network::backward`] support it.
    pub(super) fn is_plain(&self) -> bool {
        !self.residual
            && self.lidar_encoder.is_none()
            && self.memory.is_none()
            && self.simba.is_none()
            && self.layers.iter().all(HiddenLayer::is_plain)
    }

    /// Applies the convolutions and hidden layers, `[rows, in]` → `[rows, width]`. Calls `observe`
    /// with the sums of each layer before normalisation and its outputs after activation.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        input: &Tensor,
        mut observe: impl FnMut(&HiddenLayer, &Tensor, &Tensor),
    ) -> Tensor {
        let mut next = match &self.lidar_encoder {
            Some(lidar_encoder) => lidar_encoder.forward(weights, input, &mut observe),
            None => input.shallow_clone(),
        };
        for layer in &self.layers {
            let output = layer.forward(weights, &next, &mut observe);
            next = if self.residual && layer.is_square() {
                next + output
            } else {
                output
            };
        }
        match &self.simba {
            Some(blocks) => blocks.forward(weights, &next, &mut observe),
            None => next,
        }
    }

    /// Adds the convolutions, the hidden layers and one step of the recurrent cell to a graph,
    /// `[rows, in]` → `[rows, width]`. `length` is that of a row.
    fn export(
        &self,
        graph: &mut GraphBuilder,
        name: &str,
        weights: &Weights,
        input: &ValueName,
        length: i64,
    ) -> ValueName {
        let mut next = match &self.lidar_encoder {
            Some(lidar_encoder) => lidar_encoder.export(graph, name, weights, input, length),
            None => input.clone(),
        };
        for (index, layer) in self.layers.iter().enumerate() {
            let output = layer.export(graph, &format!("{name}.{index}"), weights, &next);
            next = if self.residual && layer.is_square() {
                graph.add(&next, &output)
            } else {
                output
            };
        }
        if let Some(blocks) = &self.simba {
            next = blocks.export(graph, name, weights, &next);
        }
        if let Some(cell) = &self.memory {
            let tensors = (weights.params.as_slice(), weights.buffers.as_slice());
            next = cell.export(graph, &format!("{name}.memory"), tensors, &next);
        }
        next
    }

    /// Runs over `M` sequences with inputs `[L · M, in]`. The initial hidden states are the columns
    /// `state` of `unroll_input.hidden`. Without a recurrent cell, the hidden states are empty.
    pub(super) fn unroll(
        &self,
        weights: &Weights,
        input: &Tensor,
        unroll_input: &UnrollInput,
        state: Range<usize>,
    ) -> UnrollOutput {
        let hidden = self.forward(weights, input, |_, _, _| ());
        let Some(cell) = &self.memory else {
            return UnrollOutput {
                outputs: hidden,
                hidden: Vec::new(),
                state: unroll_input.hidden.narrow(1, 0, 0),
            };
        };
        let initial = unroll_input
            .hidden
            .narrow(1, state.start as i64, state.len() as i64);
        cell.unroll(
            &weights.params,
            &weights.buffers,
            &hidden,
            &initial,
            unroll_input.episode_starts.as_ref(),
        )
    }

    /// Updates the buffers in place with a batch of inputs `[rows, in]`; `batches` came before it.
    /// Those of layers with frozen weights stay.
    pub(super) fn update_buffers(
        &self,
        weights: &Weights,
        input: &Tensor,
        batches: u64,
        layout: &ParamLayout,
    ) {
        let frozen = |weight: usize| layout.entries()[weight].frozen;
        let _ = self.forward(weights, input, |layer, sum, _| {
            if !frozen(layer.weight()) {
                layer.update_buffers(weights, sum, batches);
            }
        });
        if let Some(cell) = self
            .memory
            .as_ref()
            .filter(|cell| !frozen(cell.recurrent()))
        {
            cell.update_buffers(&weights.params, &weights.buffers);
        }
    }

    /// Activity of the hidden units on inputs `[rows, in]`, and of the recurrent units in the
    /// hidden states `[rows, state]`.
    pub(super) fn activity(
        &self,
        layout: &ParamLayout,
        weights: &Weights,
        input: &Tensor,
        state: Option<&Tensor>,
    ) -> Vec<UnitActivity> {
        let name = |index: usize| layout.entries()[index].name.clone();
        let mut all = Vec::new();
        let _ = self.forward(weights, input, |layer, _, output| {
            all.push(UnitActivity::of(
                name(layer.weight()),
                output,
                Some(self.activation),
            ));
        });
        if let (Some(cell), Some(state)) = (&self.memory, state) {
            let name = name(cell.recurrent());
            all.push(UnitActivity::of(
                name,
                &cell.outputs_of(state),
                cell.bounded_activation(),
            ));
        }
        all
    }
}

/// What a forward pass stores for the backward pass.
#[derive(Debug)]
pub(super) struct Tape {
    /// The input of each layer.
    inputs: Vec<Tensor>,
    /// The input of each activation. Empty for activations whose slope follows from their output
    /// ([`Activation::backward_from_output`]).
    pre_activations: Vec<Tensor>,
}

/// A network. It holds indices of parameters, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Network {
    pub(super) trunk: Trunk,
    /// Index of the output layer's weight `[out, width]`; its bias follows.
    pub(super) output: usize,
    /// Index of each layer's weight, from input to output.
    weights: Vec<usize>,
}

impl Network {
    /// Adds the parameters of the output layer after those of the trunk.
    pub(super) fn build(
        layout: &mut ParamLayout,
        name: &str,
        part: NetworkPart,
        trunk: Trunk,
        outputs: i64,
    ) -> Self {
        let name = format!("{name}.{}", trunk.depth());
        let output = push_linear(
            layout,
            &name,
            part,
            ParamRole::Output,
            trunk.width(),
            outputs,
        );
        let hidden = trunk.weights().map(|(weight, _)| weight);
        let weights = hidden.chain([output]).collect();
        Self {
            trunk,
            output,
            weights,
        }
    }

    /// The output layer, `[rows, width]` → `[rows, out]`.
    pub(super) fn output(&self, weights: &Weights, features: &Tensor) -> Tensor {
        let weight = &weights.params[self.output];
        weights.params[self.output + 1].addmm(features, &weight.tr())
    }

    /// Adds the network to a graph, `[rows, in]` → `[rows, out]`. `length` is that of a row.
    pub(super) fn export(
        &self,
        graph: &mut GraphBuilder,
        names: (&str, &str),
        weights: &Weights,
        input: &ValueName,
        length: i64,
    ) -> ValueName {
        let (trunk, output) = names;
        let features = self.trunk.export(graph, trunk, weights, input, length);
        let name = format!("{output}.{}", self.trunk.depth());
        let params = &weights.params;
        graph.linear(
            &features,
            &name,
            &params[self.output],
            &params[self.output + 1],
        )
    }

    /// The output `[rows, out]` for inputs `[rows, in]`, and what [`Self::backward`] needs. The
    /// trunk must be plain.
    pub(super) fn forward_with_tape(&self, weights: &Weights, input: &Tensor) -> (Tensor, Tape) {
        let (params, activation) = (&weights.params, self.trunk.activation);
        let mut inputs = Vec::with_capacity(self.weights.len());
        let mut pre_activations = Vec::new();
        let mut next = input.shallow_clone();
        for &weight in &self.weights {
            let mut output = params[weight + 1].addmm(&next, &params[weight].tr());
            // The output layer is linear.
            let hidden = weight != self.output;
            if hidden && activation.backward_from_output() {
                output = activation.apply(output);
            } else if hidden {
                let after = activation.forward(&output);
                pre_activations.push(std::mem::replace(&mut output, after));
            }
            inputs.push(std::mem::replace(&mut next, output));
        }
        let tape = Tape {
            inputs,
            pre_activations,
        };
        (next, tape)
    }

    /// Writes the gradient of each parameter of this network into `gradients`, views like
    /// `params`, given the gradient of its output `[rows, out]`.
    ///
    /// For networks of the usual size this takes a third less time than torch's automatic
    /// differentiation. The tests of the update compare it with that.
    pub(super) fn backward(
        &self,
        params: &[Tensor],
        tape: &Tape,
        output: Tensor,
        gradients: &[Tensor],
    ) {
        let mut gradient = output;
        for (layer, &weight) in self.weights.iter().enumerate().rev() {
            let input = &tape.inputs[layer];
            let _ = gradient.tr().mm_out(&gradients[weight], input);
            let _ = gradient.sum_intlist_out(&gradients[weight + 1], 0, false, Kind::Float);
            if layer > 0 {
                let saved = tape.pre_activations.get(layer - 1).unwrap_or(input);
                gradient = self
                    .trunk
                    .activation
                    .backward(saved, &gradient.mm(&params[weight]));
            }
        }
    }
}
