//! Circular convolutions over a lidar scan. The caller says where the scan is in an observation,
//! and must make sure that it covers 360°.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::onnx::{Attribute, GraphBuilder, ValueName};

use super::layer::{HiddenLayer, LayerOptions};
use super::norm::BufferLayout;
use super::{NetworkPart, ParamLayout, Weights};
use evenkeel_sim::config::InvalidSetting;

/// A stack of convolutions over a 360° lidar scan, in front of a network's hidden layers. Padding
/// is circular: the last beam is a neighbour of the first. So rotating the scan by one stride
/// shifts the features by one position, and the appearance of an obstacle is learned once for all
/// directions (LeCun et al. 1989, <https://doi.org/10.1162/neco.1989.1.4.541>; for lidar scans,
/// Schubert et al. 2019, <https://doi.org/10.1109/IVS.2019.8813862>). Activation, normalisation,
/// spectral norm and initial weights are those of the hidden layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LidarConv {
    /// Output channels of each convolution, from the scan on.
    pub channels: Vec<u32>,
    /// Kernel size: neighbouring positions that one output reads. Odd, and at most the number of
    /// positions.
    pub kernel: u32,
    /// Positions between two outputs. It must divide the number of positions that each convolution
    /// reads: with a stride of 2, 64 beams become 32 positions, then 16.
    pub stride: u32,
}

impl Default for LidarConv {
    fn default() -> Self {
        Self {
            channels: vec![16, 16],
            kernel: 5,
            stride: 2,
        }
    }
}

impl LidarConv {
    /// Checks the settings that do not depend on the scan.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let Self {
            channels,
            kernel,
            stride,
        } = self;
        let some = "the channels of at least one convolution, such as [16, 16]";
        InvalidSetting::ensure(!channels.is_empty(), "channels", "[]", some)?;
        for (index, &channels) in channels.iter().enumerate() {
            let (holds, path) = ((1..=4096).contains(&channels), format!("channels.{index}"));
            InvalidSetting::ensure(holds, path, channels, "a whole number from 1 to 4096")?;
        }
        let odd = "an odd number, for the same number of neighbours on both sides";
        InvalidSetting::ensure(kernel % 2 == 1, "kernel", kernel, odd)?;
        InvalidSetting::ensure(*stride > 0, "stride", stride, "at least 1")
    }

    /// Checks the settings against the number of beams, given that [`Self::check`] passed.
    pub(super) fn check_beams(&self, beams: usize) -> Result<(), InvalidSetting> {
        let (kernel, stride) = (self.kernel as usize, self.stride as usize);
        let mut positions = beams;
        for index in 0..self.channels.len() {
            let read = format!("{positions}, the positions that convolution {index} reads");
            let most = format!("odd and at most {read}");
            InvalidSetting::ensure(kernel <= positions, "kernel", kernel, most)?;
            let divisor = format!("a divisor of {read}");
            InvalidSetting::ensure(positions.is_multiple_of(stride), "stride", stride, divisor)?;
            positions /= stride;
        }
        Ok(())
    }
}

/// The layout of the observations that a policy reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLayout {
    /// Length of an observation.
    pub len: usize,
    /// The range of the lidar scan in it, in the order of the beams.
    pub lidar: Option<Range<usize>>,
}

impl From<usize> for InputLayout {
    /// Observations of this length, without a known lidar scan.
    fn from(len: usize) -> Self {
        Self { len, lidar: None }
    }
}

/// The convolutions of one network. It holds indices of parameters, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LidarEncoder {
    /// The range of the scan in an observation.
    block: Range<i64>,
    kernel: i64,
    stride: i64,
    /// Each reads patches, `[rows · positions, channels · kernel]`.
    layers: Vec<HiddenLayer>,
    /// Length of an observation after its scan is replaced by features.
    width: i64,
}

impl LidarEncoder {
    /// Adds the parameters of the convolutions, `<name>.lidar.<index>.weight`
    /// `[channels out, channels in · kernel]`, and `.bias`, `.norm.…` `[channels out]`.
    ///
    /// # Panics
    /// If the observations have no lidar scan.
    pub(super) fn build(
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        config: &LidarConv,
        options: LayerOptions,
        inputs: &InputLayout,
    ) -> Self {
        let block = inputs.lidar.clone();
        let block = block.expect("`lidar_conv` is checked against the observations beforehand");
        let block = block.start as i64..block.end as i64;
        let (kernel, stride) = (i64::from(config.kernel), i64::from(config.stride));
        let (mut positions, mut channels) = (block.end - block.start, 1);
        let mut layers = Vec::with_capacity(config.channels.len());
        for (index, &units) in config.channels.iter().enumerate() {
            let (name, units) = (format!("{name}.lidar.{index}"), i64::from(units));
            let reads = channels * kernel;
            let layer = HiddenLayer::build(layout, buffers, &name, part, options, reads, units);
            (positions, channels) = (positions / stride, layer.width());
            layers.push(layer);
        }
        let width = inputs.len as i64 - (block.end - block.start) + positions * channels;
        Self {
            block,
            kernel,
            stride,
            layers,
            width,
        }
    }

    /// Length of each row of [`Self::forward`].
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// The convolutions, from the scan on.
    pub(super) fn layers(&self) -> &[HiddenLayer] {
        &self.layers
    }

    /// Neighbouring positions that one output reads.
    pub(super) fn kernel(&self) -> usize {
        self.kernel as usize
    }

    /// Replaces the scan by its features, `[rows, in]` → `[rows, width]`: the channels of the first
    /// position, then those of the next. Other entries are unchanged. Calls `observe` for each
    /// convolution; a position is a row and a channel is a unit.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        input: &Tensor,
        observe: &mut impl FnMut(&HiddenLayer, &Tensor, &Tensor),
    ) -> Tensor {
        let (rows, length) = input.size2().expect("rows of observations");
        let Range { start, end } = self.block;
        // [rows, positions, channels]
        let mut next = input.narrow(1, start, end - start).unsqueeze(2);
        for layer in &self.layers {
            let positions = next.size()[1] / self.stride;
            let output = layer.forward(weights, &self.patches(&next), observe);
            next = output.view([rows, positions, output.size()[1]]);
        }
        let [before, after] =
            [(0, start), (end, length - end)].map(|(first, length)| input.narrow(1, first, length));
        Tensor::cat(&[before, next.flatten(1, 2), after], 1)
    }

    /// Adds the convolutions to a graph, `[rows, in]` → `[rows, width]`, as [`Self::forward`].
    /// `length` is that of a row.
    pub(super) fn export(
        &self,
        graph: &mut GraphBuilder,
        name: &str,
        weights: &Weights,
        input: &ValueName,
        length: i64,
    ) -> ValueName {
        let Range { start, end } = self.block;
        let scan = graph.slice(input, start, end, 1);
        let axis = graph.integers("lidar.axis", &[1]);
        // [rows, channels, positions]
        let mut next = graph.node("Unsqueeze", &[&scan, &axis], Vec::new());
        let (mut positions, mut channels) = (end - start, 1);
        let swap = || vec![Attribute::ints("perm", &[0, 2, 1])];
        let mut features = next.clone();
        for (index, layer) in self.layers.iter().enumerate() {
            let name = format!("{name}.lidar.{index}");
            let reach = self.kernel / 2;
            if reach > 0 {
                let last = graph.slice(&next, positions - reach, positions, 2);
                let first = graph.slice(&next, 0, reach, 2);
                next = graph.concat(&[&last, &next, &first], 2);
            }
            let weight = layer
                .applied_weight(weights)
                .view([-1, channels, self.kernel]);
            let weight = graph.constant(&format!("{name}.weight"), &weight);
            let bias = graph.constant(&format!("{name}.bias"), layer.bias(weights));
            let strides = vec![Attribute::ints("strides", &[self.stride])];
            let sum = graph.node("Conv", &[&next, &weight, &bias], strides);
            // [rows, positions, channels]
            let sum = graph.node("Transpose", &[&sum], swap());
            features = layer.export_after_sum(graph, &name, weights, sum);
            next = graph.node("Transpose", &[&features], swap());
            (positions, channels) = (positions / self.stride, layer.width());
        }
        let features = graph.node("Flatten", &[&features], vec![Attribute::int("axis", 1)]);
        let before = (start > 0).then(|| graph.slice(input, 0, start, 1));
        let after = (end < length).then(|| graph.slice(input, end, length, 1));
        let parts = [before.as_ref(), Some(&features), after.as_ref()];
        let parts: Vec<&ValueName> = parts.into_iter().flatten().collect();
        graph.concat(&parts, 1)
    }

    /// The inputs of each output, `[rows, positions, channels]` →
    /// `[rows · positions / stride, channels · kernel]`. A convolution is a layer applied to every
    /// patch.
    fn patches(&self, input: &Tensor) -> Tensor {
        let (reach, positions) = (self.kernel / 2, input.size()[1]);
        let last = input.narrow(1, positions - reach, reach);
        let first = input.narrow(1, 0, reach);
        Tensor::cat(&[&last, input, &first], 1)
            .unfold(1, self.kernel, self.stride)
            .flatten(0, 1)
            .flatten(1, 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Activation, NormLayer};
    use evenkeel_sim::seed::{Purpose, Split, normal_pair, stream};
    use tch::Kind;

    const ROWS: i64 = 3;
    const BEAMS: i64 = 12;
    /// Entries before and after the scan.
    const BESIDE: (i64, i64) = (2, 3);
    const LENGTH: i64 = BESIDE.0 + BEAMS + BESIDE.1;

    fn noise(seed: u64, shape: &[i64]) -> Tensor {
        let mut rng = stream(seed, Split::Train, 0, 0, Purpose::Bench);
        let count = shape.iter().product::<i64>();
        let numbers: Vec<f32> = (0..count).map(|_| normal_pair(&mut rng).0 as f32).collect();
        Tensor::from_slice(&numbers).view(shape)
    }

    fn kinds() -> [LidarConv; 4] {
        [
            (vec![4], 1, 1),
            (vec![4], 3, 2),
            (vec![3, 5], 3, 2),
            (vec![2, 3], 5, 1),
        ]
        .map(|(channels, kernel, stride)| LidarConv {
            channels,
            kernel,
            stride,
        })
    }

    fn scan(config: &LidarConv) -> (LidarEncoder, ParamLayout) {
        let (mut layout, mut buffers) = (ParamLayout::default(), BufferLayout::default());
        let options = LayerOptions {
            norm: NormLayer::Off,
            spectral_norm: false,
            activation: Activation::Tanh,
        };
        let first = BESIDE.0 as usize;
        let inputs = InputLayout {
            len: LENGTH as usize,
            lidar: Some(first..first + BEAMS as usize),
        };
        let part = NetworkPart::Actor;
        let scan = LidarEncoder::build(
            &mut layout,
            &mut buffers,
            "actor",
            part,
            config,
            options,
            &inputs,
        );
        (scan, layout)
    }

    fn forward(scan: &LidarEncoder, layout: &ParamLayout, flat: &Tensor, obs: &Tensor) -> Tensor {
        let weights = Weights {
            flat: flat.shallow_clone(),
            params: layout.views(flat),
            buffers: Vec::new(),
        };
        scan.forward(&weights, obs, &mut |_, _, _| ())
    }

    /// The same with torch's convolution of a scan padded by hand.
    fn oracle(config: &LidarConv, layout: &ParamLayout, flat: &Tensor, obs: &Tensor) -> Tensor {
        let params = layout.views(flat);
        let (kernel, stride) = (i64::from(config.kernel), i64::from(config.stride));
        let mut next = obs.narrow(1, BESIDE.0, BEAMS).unsqueeze(1);
        for pair in params.chunks_exact(2) {
            let (reach, channels) = (kernel / 2, next.size()[1]);
            let last = next.slice(2, -reach, None, 1);
            let last = if reach == 0 {
                last.narrow(2, 0, 0)
            } else {
                last
            };
            let padded = Tensor::cat(&[&last, &next, &next.narrow(2, 0, reach)], 2);
            let weight = pair[0].view([-1, channels, kernel]);
            next = padded
                .f_conv1d(&weight, Some(&pair[1]), [stride], [0], [1], 1)
                .unwrap()
                .tanh();
        }
        let behind = obs.narrow(1, BESIDE.0 + BEAMS, BESIDE.1);
        let features = next.transpose(1, 2).flatten(1, 2);
        Tensor::cat(&[obs.narrow(1, 0, BESIDE.0), features, behind], 1)
    }

    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        assert_eq!(a.size(), b.size());
        (a - b).abs().max().double_value(&[])
    }

    #[test]
    fn values_and_gradients_match_torchs_convolution() {
        for config in kinds() {
            let (scan, layout) = scan(&config);
            let obs = noise(2, &[ROWS, LENGTH]);
            let flat = (noise(1, &[layout.len() as i64]) * 0.5).set_requires_grad(true);
            let found = forward(&scan, &layout, &flat, &obs);
            let expected = oracle(&config, &layout, &flat, &obs);
            assert_eq!(found.size(), [ROWS, scan.width()], "{config:?}");
            assert!(apart(&found, &expected) < 1e-6, "{config:?}");
            let by = noise(3, &[ROWS, scan.width()]);
            let [mine, torchs] = [found, expected].map(|features| {
                let loss = (features * &by).sum(Kind::Float);
                Tensor::run_backward(&[loss], &[&flat], false, false).remove(0)
            });
            assert!(torchs.abs().min().double_value(&[]) > 1e-6, "{config:?}");
            assert!(apart(&mine, &torchs) < 1e-5, "{config:?}");
        }
    }

    #[test]
    fn a_rotated_scan_gives_shifted_features() {
        for config in kinds() {
            let (scan, layout) = scan(&config);
            let flat = noise(1, &[layout.len() as i64]) * 0.5;
            let obs = noise(2, &[ROWS, LENGTH]);
            let rotated = obs.copy();
            let beams = obs.narrow(1, BESIDE.0, BEAMS);
            let by = config.stride.pow(config.channels.len() as u32);
            rotated
                .narrow(1, BESIDE.0, BEAMS)
                .copy_(&beams.roll([i64::from(by)], [1]));
            let features = |obs: &Tensor| {
                let all = forward(&scan, &layout, &flat, obs);
                all.narrow(1, BESIDE.0, scan.width() - BESIDE.0 - BESIDE.1)
            };
            let channels = i64::from(*config.channels.last().unwrap());
            let expected = features(&obs).roll([channels], [1]);
            assert!(apart(&features(&rotated), &expected) < 1e-6, "{config:?}");
            assert!(apart(&features(&rotated), &features(&obs)) > 0.01);
        }
    }

    #[test]
    fn parameters_are_matrices_with_one_row_for_each_channel() {
        let (_, layout) = scan(&kinds()[2]);
        let named = layout.entries().iter();
        let named: Vec<_> = named
            .map(|e| (e.name.as_str(), e.shape.as_slice()))
            .collect();
        assert_eq!(
            named,
            [
                ("actor.lidar.0.weight", &[3, 3][..]),
                ("actor.lidar.0.bias", &[3]),
                ("actor.lidar.1.weight", &[5, 9]),
                ("actor.lidar.1.bias", &[5]),
            ]
        );
    }

    #[test]
    fn invalid_settings_are_refused_with_the_expected_value() {
        let conv = |channels: &[u32], kernel, stride| LidarConv {
            channels: channels.to_vec(),
            kernel,
            stride,
        };
        for (config, path, expected) in [
            (conv(&[], 3, 1), "channels", "at least"),
            (conv(&[4, 0], 3, 1), "channels.1", "from 1 to 4096"),
            (conv(&[4], 4, 1), "kernel", "an odd number"),
            (conv(&[4], 0, 1), "kernel", "an odd number"),
            (conv(&[4], 3, 0), "stride", "at least 1"),
            (conv(&[4], 13, 1), "kernel", "at most 12"),
            (conv(&[4, 4], 7, 2), "kernel", "at most 6"),
            (conv(&[4], 3, 5), "stride", "a divisor of 12"),
            (
                conv(&[4, 4, 4], 3, 2),
                "stride",
                "a divisor of 3, the positions that convolution 2",
            ),
        ] {
            let checked = config.check().and_then(|()| config.check_beams(12));
            let bad = checked.unwrap_err();
            assert_eq!(bad.path, path, "{config:?}");
            assert!(bad.expected.contains(expected), "{config:?}: {bad}");
        }
        for config in kinds().into_iter().chain([conv(&[4], 11, 12)]) {
            assert_eq!(config.check(), Ok(()));
            assert_eq!(config.check_beams(12), Ok(()));
        }
    }
}
