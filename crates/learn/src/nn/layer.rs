//! A hidden layer: a linear map, an optional normalisation, and an activation. It treats each row
//! separately, be it an observation or a patch of a lidar scan.

use tch::Tensor;

use crate::onnx::{GraphBuilder, ValueName};

use super::norm::{BufferLayout, Norm, SpectralNorm};
use super::params::{NetworkPart, ParamLayout, ParamRole, Weights};
use super::{Activation, NormLayer};

/// Settings of every hidden layer of a network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LayerOptions {
    pub(super) activation: Activation,
    pub(super) norm: NormLayer,
    pub(super) spectral_norm: bool,
}

/// A hidden layer: input → weight, bias → norm → activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HiddenLayer {
    /// Index of the weight `[out, in]`; the bias follows.
    weight: usize,
    norm: Option<Norm>,
    spectral: Option<SpectralNorm>,
    activation: Activation,
    /// Whether its output is as wide as its input.
    square: bool,
    /// Width of its output.
    width: i64,
}

impl HiddenLayer {
    /// Adds its parameters, `<name>.weight` `[units, inputs]`, `.bias` `[units]` and `.norm.…`.
    pub(super) fn build(
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        options: LayerOptions,
        inputs: i64,
        units: i64,
    ) -> Self {
        let width = options.activation.outputs(units);
        Self {
            weight: push_linear(layout, name, part, ParamRole::Weight, inputs, units),
            norm: options.norm.build(layout, buffers, name, part, units),
            spectral: options
                .spectral_norm
                .then(|| SpectralNorm::build(buffers, units)),
            activation: options.activation,
            square: inputs == width,
            width,
        }
    }

    /// Index of the weight.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Index of the gain of its normalisation.
    pub(super) fn norm_gain(&self) -> Option<usize> {
        self.norm.map(Norm::gain)
    }

    /// Whether its output is as wide as its input.
    pub(super) fn is_square(&self) -> bool {
        self.square
    }

    /// Width of its output.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// Whether it consists of a linear map and an activation only.
    pub(super) fn is_plain(&self) -> bool {
        self.norm.is_none() && self.spectral.is_none()
    }

    /// Applies the layer, `[rows, in]` → `[rows, out]`. Calls `observe` with the sums before
    /// normalisation and the outputs after activation.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        input: &Tensor,
        observe: &mut impl FnMut(&Self, &Tensor, &Tensor),
    ) -> Tensor {
        let sum = self
            .bias(weights)
            .addmm(input, &self.applied_weight(weights).tr());
        let normalised = match self.norm {
            Some(norm) => norm.forward(&weights.params, &weights.buffers, &sum),
            None => sum.shallow_clone(),
        };
        let output = self.activation.forward(&normalised);
        observe(self, &sum, &output);
        match self.norm {
            Some(norm) => norm.outputs(output),
            None => output,
        }
    }

    /// The weight `[out, in]` as the layer applies it, after normalisation of its rows or of its
    /// largest singular value.
    pub(super) fn applied_weight(&self, weights: &Weights) -> Tensor {
        let weight = &weights.params[self.weight];
        match (
            self.spectral,
            self.norm.and_then(|norm| norm.unit_rows(weight)),
        ) {
            (Some(spectral), _) => spectral.forward(&weights.buffers, weight),
            (None, Some(unit_rows)) => unit_rows,
            (None, None) => weight.shallow_clone(),
        }
    }

    /// The bias, `[out]`.
    pub(super) fn bias<'a>(&self, weights: &'a Weights) -> &'a Tensor {
        &weights.params[self.weight + 1]
    }

    /// Adds the layer to a graph, `[rows, in]` → `[rows, out]`, as [`Self::forward`]. Its constants
    /// are named after `name`.
    pub(super) fn export(
        &self,
        graph: &mut GraphBuilder,
        name: &str,
        weights: &Weights,
        input: &ValueName,
    ) -> ValueName {
        let sum = graph.linear(
            input,
            name,
            &self.applied_weight(weights),
            self.bias(weights),
        );
        self.export_after_sum(graph, name, weights, sum)
    }

    /// Adds normalisation and activation to a graph. The last axis of `sum` is that of the units.
    pub(super) fn export_after_sum(
        &self,
        graph: &mut GraphBuilder,
        name: &str,
        weights: &Weights,
        sum: ValueName,
    ) -> ValueName {
        let tensors = (weights.params.as_slice(), weights.buffers.as_slice());
        let normalised = match self.norm {
            Some(norm) => norm.export(graph, name, tensors, &sum),
            None => sum,
        };
        let output = self.activation.export(graph, &normalised);
        match self.norm {
            Some(norm) => norm.export_outputs(graph, output),
            None => output,
        }
    }

    /// Updates the buffers in place with a batch of sums `[rows, out]`; `batches` came before it.
    pub(super) fn update_buffers(&self, weights: &Weights, sum: &Tensor, batches: u64) {
        if let Some(norm) = self.norm {
            norm.update_buffers(&weights.buffers, sum, batches);
        }
        if let Some(spectral) = self.spectral {
            spectral.update_buffers(&weights.buffers, &weights.params[self.weight]);
        }
    }
}

/// Adds a weight `[out, in]` and a bias `[out]`. Returns the index of the weight.
pub(super) fn push_linear(
    layout: &mut ParamLayout,
    name: &str,
    part: NetworkPart,
    role: ParamRole,
    inputs: i64,
    outputs: i64,
) -> usize {
    let weight = layout.push(format!("{name}.weight"), part, role, &[outputs, inputs]);
    layout.push(format!("{name}.bias"), part, ParamRole::Bias, &[outputs]);
    weight
}
