//! A hidden layer: a linear map, perhaps normalised, and an activation. Every row goes through by
//! itself, whether it is an observation or a patch of a scan.

use tch::Tensor;

use super::network::NetworkOptions;
use super::norm::{BufferLayout, Norm, SpectralNorm};
use super::{Activation, NetworkPart, ParamLayout, ParamRole, Weights};

/// A hidden layer: input → weight, bias → norm → activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HiddenLayer {
    /// Index of the weight `[out, in]`; the bias is the next.
    weight: usize,
    norm: Option<Norm>,
    spectral: Option<SpectralNorm>,
    /// Whether it is as wide as what comes in.
    square: bool,
}

impl HiddenLayer {
    /// Adds its parameters, `<name>.weight` `[units, inputs]`, `.bias` `[units]` and `.norm.…`.
    pub(super) fn build(
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        options: &NetworkOptions,
        inputs: i64,
        units: i64,
    ) -> Self {
        Self {
            weight: push_linear(layout, name, part, ParamRole::Weight, inputs, units),
            norm: options.norm.build(layout, buffers, name, part, units),
            spectral: options
                .spectral_norm
                .then(|| SpectralNorm::build(buffers, units)),
            square: inputs == units,
        }
    }

    /// Index of the weight.
    pub(super) fn weight(&self) -> usize {
        self.weight
    }

    /// Index of the gain of its normalisation, if it has one.
    pub(super) fn norm_gain(&self) -> Option<usize> {
        self.norm.map(Norm::gain)
    }

    /// Whether it is as wide as what comes in.
    pub(super) fn is_square(&self) -> bool {
        self.square
    }

    /// Whether nothing but a linear map and an activation is in it.
    pub(super) fn is_plain(&self) -> bool {
        self.norm.is_none() && self.spectral.is_none()
    }

    /// What it gives before its normalisation, `[rows, in]` → `[rows, out]`.
    pub(super) fn linear(&self, weights: &Weights, input: &Tensor) -> Tensor {
        let weight = &weights.params[self.weight];
        let bias = &weights.params[self.weight + 1];
        match self.spectral {
            None => bias.addmm(input, &weight.tr()),
            Some(spectral) => bias.addmm(input, &spectral.forward(&weights.buffers, weight).tr()),
        }
    }

    /// `[rows, in]` → `[rows, out]`; `watch` sees what it gives before its normalisation and after
    /// its activation.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        activation: Activation,
        input: &Tensor,
        watch: &mut impl FnMut(&Self, &Tensor, &Tensor),
    ) -> Tensor {
        let sum = self.linear(weights, input);
        let normalised = match self.norm {
            Some(norm) => norm.forward(&weights.params, &weights.buffers, &sum),
            None => sum.shallow_clone(),
        };
        let output = activation.forward(&normalised);
        watch(self, &sum, &output);
        output
    }

    /// Writes the statistics that follow from those that are and a batch of sums `[rows, out]`, of
    /// which `before` were seen before.
    pub(super) fn update_buffers(&self, weights: &Weights, sum: &Tensor, before: u64) {
        if let Some(norm) = self.norm {
            norm.update_buffers(&weights.buffers, sum, before);
        }
        if let Some(spectral) = self.spectral {
            spectral.update_buffers(&weights.buffers, &weights.params[self.weight]);
        }
    }
}

/// Adds a weight `[out, in]` and a bias `[out]`; the index of the weight.
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
