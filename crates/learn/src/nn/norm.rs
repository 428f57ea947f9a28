//! Normalisation inside a network: of the sums of a hidden layer before its activation, and of its
//! weights.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::onnx::{Attribute, GraphBuilder, ValueName};

use super::params::{NetworkPart, ParamLayout, ParamRole};

/// Added to a variance before taking the square root.
const EPSILON: f64 = 1e-5;

/// Added to the squared length of a row of weights.
const MIN_SQUARE: f64 = 1e-12;

/// Smallest weight of a batch in the running statistics. The first batch has weight 1, the second
/// 1/2, the third 1/3, down to this.
const MOMENTUM: f64 = 0.1;

/// Iterations of the power method for each update of a spectral norm.
const POWER_ITERATIONS: usize = 3;

/// Normalisation of a hidden layer before its activation. Each kind has a learned gain. Those that
/// subtract a mean also have a learned offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NormLayer {
    /// No normalisation.
    #[default]
    Off,
    /// Layer normalisation: each row to mean 0 and variance 1 over its units (Ba, Kiros & Hinton
    /// 2016, <https://arxiv.org/abs/1607.06450>).
    Layer,
    /// RMS normalisation: each row to a root mean square of 1 over its units, without subtracting
    /// the mean (Zhang & Sennrich 2019, <https://arxiv.org/abs/1910.07467>).
    Rms,
    /// Batch normalisation: each unit to mean 0 and variance 1 over the samples (Ioffe & Szegedy
    /// 2015, <https://arxiv.org/abs/1502.03167>), with running statistics. They are updated from
    /// rollouts and frozen within an iteration, so the policy that acts and the policy that learns
    /// are the same. Gradients do not flow through them.
    Batch,
    /// Features and weights on spheres: each row of the weight matrix has length 1, and the outputs
    /// after the activation have a root mean square of 1 over the units, so that they lie on a
    /// sphere. What a layer computes is a cosine, scaled by the gain; neither weights nor features
    /// can grow. From `SimbaV2` (Lee et al. 2025, <https://arxiv.org/abs/2502.15280>), which also
    /// has other residual connections and a categorical critic.
    Sphere,
}

/// The normalisation of one hidden layer. It holds indices of parameters and buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Norm {
    Layer { gain: usize },
    Rms { gain: usize },
    Batch { gain: usize, buffers: usize },
    Sphere { gain: usize },
}

impl NormLayer {
    /// Adds the parameters and buffers of a layer of this width; none for [`Self::Off`].
    pub(super) fn build(
        self,
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        width: i64,
    ) -> Option<Norm> {
        if self == Self::Off {
            return None;
        }
        let gain = layout.push(format!("{name}.norm.gain"), part, ParamRole::Norm, &[width]);
        if !matches!(self, Self::Rms | Self::Sphere) {
            layout.push(
                format!("{name}.norm.offset"),
                part,
                ParamRole::Norm,
                &[width],
            );
        }
        Some(match self {
            Self::Layer => Norm::Layer { gain },
            Self::Rms => Norm::Rms { gain },
            Self::Sphere => Norm::Sphere { gain },
            Self::Off | Self::Batch => Norm::Batch {
                gain,
                buffers: buffers.push(&[(0.0, width), (1.0, width)]),
            },
        })
    }
}

impl Norm {
    /// Index of the gain among the parameters.
    pub(super) fn gain(self) -> usize {
        match self {
            Self::Layer { gain }
            | Self::Rms { gain }
            | Self::Batch { gain, .. }
            | Self::Sphere { gain } => gain,
        }
    }

    /// Normalises `[rows, width]`, with the running statistics for batch normalisation.
    pub(super) fn forward(self, params: &[Tensor], buffers: &[Tensor], input: &Tensor) -> Tensor {
        match self {
            Self::Layer { gain } => {
                let width = input.size()[1];
                let (gain, offset) = (&params[gain], &params[gain + 1]);
                input.layer_norm([width], Some(gain), Some(offset), EPSILON, false)
            }
            Self::Rms { gain } => rms_normalised(input) * &params[gain],
            Self::Sphere { gain } => input * &params[gain],
            Self::Batch { gain, buffers: at } => {
                let scale = (&buffers[at + 1] + EPSILON).rsqrt() * &params[gain];
                (input - &buffers[at]) * scale + &params[gain + 1]
            }
        }
    }

    /// Adds it to a graph, as [`Self::forward`]; the last axis is that of the units.
    pub(super) fn export(
        self,
        graph: &mut GraphBuilder,
        name: &str,
        (params, buffers): (&[Tensor], &[Tensor]),
        input: &ValueName,
    ) -> ValueName {
        let gain = |graph: &mut GraphBuilder, gain: usize| {
            graph.constant(&format!("{name}.norm.gain"), &params[gain])
        };
        match self {
            Self::Layer { gain: index } => {
                let gain = gain(graph, index);
                let offset = graph.constant(&format!("{name}.norm.offset"), &params[index + 1]);
                let settings = vec![
                    Attribute::int("axis", -1),
                    Attribute::float("epsilon", EPSILON),
                ];
                graph.node("LayerNormalization", &[input, &gain, &offset], settings)
            }
            Self::Rms { gain: index } => {
                let normalised = export_rms_normalised(graph, input);
                let gain = gain(graph, index);
                graph.mul(&normalised, &gain)
            }
            Self::Sphere { gain: index } => {
                let gain = gain(graph, index);
                graph.mul(input, &gain)
            }
            Self::Batch {
                gain: index,
                buffers: at,
            } => {
                let scale = (&buffers[at + 1] + EPSILON).rsqrt() * &params[index];
                let offset = &params[index + 1] - &buffers[at] * &scale;
                let scale = graph.constant(&format!("{name}.norm.scale"), &scale);
                let offset = graph.constant(&format!("{name}.norm.offset"), &offset);
                let scaled = graph.mul(input, &scale);
                graph.add(&scaled, &offset)
            }
        }
    }

    /// Adds [`Self::outputs`] to a graph.
    pub(super) fn export_outputs(self, graph: &mut GraphBuilder, outputs: ValueName) -> ValueName {
        match self {
            Self::Sphere { .. } => export_rms_normalised(graph, &outputs),
            Self::Layer { .. } | Self::Rms { .. } | Self::Batch { .. } => outputs,
        }
    }

    /// The weight `[out, in]` with rows of length 1, where a layer applies it like this.
    pub(super) fn unit_rows(self, weight: &Tensor) -> Option<Tensor> {
        let Self::Sphere { .. } = self else {
            return None;
        };
        let squares = weight.square();
        let sums = squares.sum_dim_intlist([1].as_slice(), true, Kind::Float);
        Some(weight * (sums + MIN_SQUARE).rsqrt())
    }

    /// The outputs `[rows, width]` of a layer, given those of its activation.
    pub(super) fn outputs(self, outputs: Tensor) -> Tensor {
        match self {
            Self::Sphere { .. } => rms_normalised(&outputs),
            Self::Layer { .. } | Self::Rms { .. } | Self::Batch { .. } => outputs,
        }
    }

    /// Updates the running statistics in place with a batch `[rows, width]`; `batches` came before
    /// it.
    pub(super) fn update_buffers(self, buffers: &[Tensor], input: &Tensor, batches: u64) {
        let Self::Batch { buffers: at, .. } = self else {
            return;
        };
        let momentum = MOMENTUM.max(1.0 / (batches as f64 + 1.0));
        let (variance, mean) = input.var_mean_dim(Some([0].as_slice()), false, false);
        for (running, batch) in [(at, mean), (at + 1, variance)] {
            let _ = buffers[running].shallow_clone().lerp_(&batch, momentum);
        }
    }
}

/// Divides each row by its root mean square.
fn rms_normalised(rows: &Tensor) -> Tensor {
    let squares = rows.square();
    let mean = squares.mean_dim(Some([1].as_slice()), true, Kind::Float);
    rows * (mean + EPSILON).rsqrt()
}

/// Adds [`rms_normalised`] over the last axis to a graph.
fn export_rms_normalised(graph: &mut GraphBuilder, rows: &ValueName) -> ValueName {
    let (axes, epsilon) = (
        graph.integers("rms.axes", &[-1]),
        graph.scalar("rms.epsilon", EPSILON),
    );
    let squares = graph.mul(rows, rows);
    let mean = graph.node(
        "ReduceMean",
        &[&squares, &axes],
        vec![Attribute::int("keepdims", 1)],
    );
    let above_zero = graph.add(&mean, &epsilon);
    let root = graph.node("Sqrt", &[&above_zero], Vec::new());
    graph.node("Div", &[rows, &root], Vec::new())
}

/// Spectral normalisation: divides a weight matrix by its largest singular value, estimated with
/// the power method (Miyato et al. 2018, <https://arxiv.org/abs/1802.05957>, algorithm 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SpectralNorm {
    /// Index of the left singular vector among the buffers.
    buffers: usize,
}

impl SpectralNorm {
    /// Adds the buffer for a matrix with `rows` rows.
    pub(super) fn build(buffers: &mut BufferLayout, rows: i64) -> Self {
        // Any start works that is not orthogonal to the left singular vector.
        let start = 1.0 / (rows as f32).sqrt();
        Self {
            buffers: buffers.push(&[(start, rows)]),
        }
    }

    /// `weight / σ`. Gradients treat the singular vectors as constants.
    pub(super) fn forward(self, buffers: &[Tensor], weight: &Tensor) -> Tensor {
        let left = &buffers[self.buffers];
        let right = unit(&weight.detach().tr().mv(left));
        weight / left.dot(&weight.mv(&right))
    }

    /// Updates the singular vector in place.
    pub(super) fn update_buffers(self, buffers: &[Tensor], weight: &Tensor) {
        let mut left = buffers[self.buffers].shallow_clone();
        for _ in 0..POWER_ITERATIONS {
            let right = unit(&weight.tr().mv(&left));
            left.copy_(&unit(&weight.mv(&right)));
        }
    }
}

fn unit(vector: &Tensor) -> Tensor {
    vector / (vector.norm() + 1e-12)
}

/// The layout of a policy's buffers: numbers that are updated, but not by gradients. Like the
/// parameters, they are one flat tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BufferLayout {
    lengths: Vec<i64>,
    initial: Vec<f32>,
}

impl BufferLayout {
    /// Adds vectors with these `(initial value, length)`. Returns the index of the first.
    fn push(&mut self, vectors: &[(f32, i64)]) -> usize {
        let index = self.lengths.len();
        for &(value, length) in vectors {
            self.lengths.push(length);
            self.initial
                .extend(std::iter::repeat_n(value, length as usize));
        }
        index
    }

    /// The initial buffers, flat.
    pub(super) fn initial(&self) -> &[f32] {
        &self.initial
    }

    /// Each vector as a view of the flat tensor.
    pub(super) fn views(&self, flat: &Tensor) -> Vec<Tensor> {
        let mut start = 0;
        self.lengths
            .iter()
            .map(|&length| {
                start += length;
                flat.narrow(0, start - length, length)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(kind: NormLayer) -> (Norm, Vec<Tensor>, Vec<Tensor>) {
        let (mut layout, mut buffers) = (ParamLayout::default(), BufferLayout::default());
        let norm = kind
            .build(&mut layout, &mut buffers, "net.0", NetworkPart::Actor, 3)
            .unwrap();
        let params = Tensor::from_slice(&[2.0f32, 1.0, 1.0, 0.5, 0.0, 0.0]);
        let params = layout.views(&params.narrow(0, 0, layout.len() as i64));
        let flat = Tensor::from_slice(buffers.initial());
        (norm, params, buffers.views(&flat))
    }

    fn numbers(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(&tensor.flatten(0, -1)).unwrap()
    }

    fn near(found: &Tensor, expected: &[f32]) {
        let found = numbers(found);
        let apart = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        assert!(
            found.len() == expected.len() && apart.fold(0.0, f32::max) < 1e-4,
            "{found:?} {expected:?}"
        );
    }

    #[test]
    fn normalised_rows_match_a_hand_computed_example() {
        let row = Tensor::from_slice(&[1.0f32, 4.0, 7.0]).view([1, 3]);
        // Mean 4, variance 6.
        let (layer, params, buffers) = build(NormLayer::Layer);
        let unit = 3.0 / 6.0f32.sqrt();
        near(
            &layer.forward(&params, &buffers, &row),
            &[0.5 - 2.0 * unit, 0.0, unit],
        );
        let (sphere, params, buffers) = build(NormLayer::Sphere);
        near(&sphere.forward(&params, &buffers, &row), &[2.0, 4.0, 7.0]);
        let weight = Tensor::from_slice(&[3.0f32, 4.0, 0.0, -2.0]).view([2, 2]);
        near(&sphere.unit_rows(&weight).unwrap(), &[0.6, 0.8, 0.0, -1.0]);
        let root = 22.0f32.sqrt();
        let outputs = sphere.outputs(row.shallow_clone());
        near(&outputs, &[1.0 / root, 4.0 / root, 7.0 / root]);
        // Mean square 22.
        let (rms, params, buffers) = build(NormLayer::Rms);
        let root = 22.0f32.sqrt();
        near(
            &rms.forward(&params, &buffers, &row),
            &[2.0 / root, 4.0 / root, 7.0 / root],
        );
    }

    #[test]
    fn running_statistics_are_updated_from_batches() {
        let (batch, params, buffers) = build(NormLayer::Batch);
        let rows = Tensor::from_slice(&[1.0f32, 5.0, 0.0, 3.0, 5.0, 2.0]).view([2, 3]);
        // The initial mean is 0 and the initial variance 1.
        near(
            &batch.forward(&params, &buffers, &rows),
            &[2.5, 5.0, 0.0, 6.5, 5.0, 2.0],
        );
        batch.update_buffers(&buffers, &(&rows + 1.0), 0);
        near(&buffers[0], &[3.0, 6.0, 2.0]);
        near(&buffers[1], &[1.0, 0.0, 1.0]);
        batch.update_buffers(&buffers, &rows, 1);
        near(&buffers[0], &[2.5, 5.5, 1.5]);
        for batches in 2..200 {
            batch.update_buffers(&buffers, &rows, batches);
        }
        let normalised = batch.forward(&params, &buffers, &rows.narrow(1, 0, 3));
        near(&normalised.select(1, 2), &[-1.0, 1.0]);
        near(&normalised.select(1, 0), &[-1.5, 2.5]);
    }

    #[test]
    fn spectral_normalisation_divides_by_the_largest_singular_value() {
        let mut buffers = BufferLayout::default();
        let spectral = SpectralNorm::build(&mut buffers, 2);
        let flat = Tensor::from_slice(buffers.initial());
        let views = buffers.views(&flat);
        // Singular values 3 √5 and √5.
        let weight = Tensor::from_slice(&[3.0f32, 0.0, 4.0, 5.0]).view([2, 2]);
        for _ in 0..10 {
            spectral.update_buffers(&views, &weight);
        }
        let scaled = spectral.forward(&views, &weight);
        let largest = 3.0 * 5.0f32.sqrt();
        near(&scaled, &[3.0 / largest, 0.0, 4.0 / largest, 5.0 / largest]);
    }
}
