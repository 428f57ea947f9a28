//! Convolutions around a lidar's scan. Which numbers of an observation are the scan is told from
//! outside; that they go full circle is the caller's to know.

use std::ops::Range;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::layer::HiddenLayer;
use super::network::NetworkOptions;
use super::norm::BufferLayout;
use super::{Activation, NetworkPart, ParamLayout, Weights};
use evenkeel_sim::config::InvalidSetting;

/// Convolutions over the scan of a lidar that sees all around, one after the other, in front of a
/// network's hidden layers. The last beam is the first one's neighbour (circular padding), so that
/// a scan turned by the stride gives the same features, turned by one place: what an obstacle
/// looks like is learnt once for all directions (LeCun et al. 1989,
/// <https://doi.org/10.1162/neco.1989.1.4.541>; around a scan, Schubert et al. 2019,
/// <https://doi.org/10.1109/IVS.2019.8813862>). Activation, normalisation, spectral norm and
/// initial weights are those of the hidden layers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LidarConv {
    /// Channels that each convolution gives, from the scan on.
    pub channels: Vec<u32>,
    /// Neighbouring places that one output reads: odd, and no more than there are.
    pub kernel: u32,
    /// Places from one output to the next; it divides the number of places that each convolution
    /// reads: 64 beams and a stride of 2 give 32 places, then 16.
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
    /// Refuses settings that can work with no scan.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let Self {
            channels,
            kernel,
            stride,
        } = self;
        let some = "the channels of one convolution at least, such as [16, 16]";
        InvalidSetting::ensure(!channels.is_empty(), "channels", "[]", some)?;
        for (index, &channels) in channels.iter().enumerate() {
            let (holds, path) = ((1..=4096).contains(&channels), format!("channels.{index}"));
            InvalidSetting::ensure(holds, path, channels, "a whole number from 1 to 4096")?;
        }
        let odd = "an odd number: as many neighbours on either side";
        InvalidSetting::ensure(kernel % 2 == 1, "kernel", kernel, odd)?;
        InvalidSetting::ensure(*stride > 0, "stride", stride, "at least 1")
    }

    /// Refuses a scan of so many beams, given that [`Self::check`] passed.
    pub(super) fn check_beams(&self, beams: usize) -> Result<(), InvalidSetting> {
        let (kernel, stride) = (self.kernel as usize, self.stride as usize);
        let mut places = beams;
        for index in 0..self.channels.len() {
            let read = format!("{places}, the places that convolution {index} reads");
            let most = format!("odd and at most {read}");
            InvalidSetting::ensure(kernel <= places, "kernel", kernel, most)?;
            let divisor = format!("a divisor of {read}");
            InvalidSetting::ensure(places.is_multiple_of(stride), "stride", stride, divisor)?;
            places /= stride;
        }
        Ok(())
    }
}

/// What a policy must know of the observations that it reads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputLayout {
    /// Length of an observation.
    pub len: usize,
    /// Where a lidar's scan lies in it, beam after neighbouring beam.
    pub lidar: Option<Range<usize>>,
}

impl From<usize> for InputLayout {
    /// Observations of this length of which nothing else is known.
    fn from(len: usize) -> Self {
        Self { len, lidar: None }
    }
}

/// The convolutions of one network: which parameters they use, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LidarEncoder {
    block: Range<i64>,
    kernel: i64,
    stride: i64,
    /// Each reads patches, `[rows · places, channels · kernel]`.
    layers: Vec<HiddenLayer>,
    /// Length of an observation whose scan gave way to its features.
    width: i64,
}

impl LidarEncoder {
    /// Adds the parameters of the convolutions, `<name>.lidar.<index>.weight`
    /// `[channels out, channels in · kernel]`, and `.bias`, `.norm.…` `[channels out]`.
    ///
    /// # Panics
    /// If the observations have no scan.
    pub(super) fn build(
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        config: &LidarConv,
        options: &NetworkOptions,
        inputs: &InputLayout,
    ) -> Self {
        let block = inputs.lidar.clone();
        let block = block.expect("`lidar_conv` is checked against the observations beforehand");
        let block = block.start as i64..block.end as i64;
        let (kernel, stride) = (i64::from(config.kernel), i64::from(config.stride));
        let (mut places, mut channels) = (block.end - block.start, 1);
        let mut layers = Vec::with_capacity(config.channels.len());
        for (index, &units) in config.channels.iter().enumerate() {
            let (name, units) = (format!("{name}.lidar.{index}"), i64::from(units));
            let reads = channels * kernel;
            layers.push(HiddenLayer::build(
                layout, buffers, &name, part, options, reads, units,
            ));
            (places, channels) = (places / stride, units);
        }
        let width = inputs.len as i64 - (block.end - block.start) + places * channels;
        Self {
            block,
            kernel,
            stride,
            layers,
            width,
        }
    }

    /// Numbers that it gives for each row.
    pub(super) fn width(&self) -> i64 {
        self.width
    }

    /// The convolutions, from the scan on.
    pub(super) fn layers(&self) -> &[HiddenLayer] {
        &self.layers
    }

    /// Neighbouring places that one output reads.
    pub(super) fn kernel(&self) -> usize {
        self.kernel as usize
    }

    /// Observations `[rows, in]` → `[rows, width]`: in the place of the scan the channels of its
    /// first place, then those of the next, and all else as it was. For `watch` each place is a
    /// row and each channel a unit.
    pub(super) fn forward(
        &self,
        weights: &Weights,
        activation: Activation,
        input: &Tensor,
        watch: &mut impl FnMut(&HiddenLayer, &Tensor, &Tensor),
    ) -> Tensor {
        let (rows, length) = input.size2().expect("rows of observations");
        let Range { start, end } = self.block;
        // [rows, places, channels]
        let mut next = input.narrow(1, start, end - start).unsqueeze(2);
        for layer in &self.layers {
            let places = next.size()[1] / self.stride;
            let output = layer.forward(weights, activation, &self.patches(&next), watch);
            next = output.view([rows, places, output.size()[1]]);
        }
        let [before, after] =
            [(0, start), (end, length - end)].map(|(first, length)| input.narrow(1, first, length));
        Tensor::cat(&[before, next.flatten(1, 2), after], 1)
    }

    /// What each output reads, `[rows, places, channels]` →
    /// `[rows · places / stride, channels · kernel]`: a convolution is a layer that all patches
    /// share.
    fn patches(&self, input: &Tensor) -> Tensor {
        let (reach, places) = (self.kernel / 2, input.size()[1]);
        let last = input.narrow(1, places - reach, reach);
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
    use crate::nn::{NormLayer, Policy, PolicyConfig, TrunkSharing, entries};
    use evenkeel_sim::seed::{Purpose, Split, normal_pair, stream};
    use tch::Kind;

    const ROWS: i64 = 3;
    const BEAMS: i64 = 12;
    /// Numbers in front of the scan, and behind it.
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
        let options = NetworkOptions {
            lidar_conv: Some(config),
            activation: Activation::Tanh,
            norm: NormLayer::Off,
            residual: false,
            spectral_norm: false,
            memory: None,
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
            &options,
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
        scan.forward(&weights, Activation::Tanh, obs, &mut |_, _, _| ())
    }

    /// By torch's own convolution of a scan padded by hand.
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
    fn values_and_gradients_are_those_of_torchs_convolution() {
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
    fn a_turned_scan_gives_turned_features() {
        for config in kinds() {
            let (scan, layout) = scan(&config);
            let flat = noise(1, &[layout.len() as i64]) * 0.5;
            let obs = noise(2, &[ROWS, LENGTH]);
            let turned = obs.copy();
            let beams = obs.narrow(1, BESIDE.0, BEAMS);
            let by = config.stride.pow(config.channels.len() as u32);
            turned
                .narrow(1, BESIDE.0, BEAMS)
                .copy_(&beams.roll([i64::from(by)], [1]));
            let features = |obs: &Tensor| {
                let all = forward(&scan, &layout, &flat, obs);
                all.narrow(1, BESIDE.0, scan.width() - BESIDE.0 - BESIDE.1)
            };
            let channels = i64::from(*config.channels.last().unwrap());
            let expected = features(&obs).roll([channels], [1]);
            assert!(apart(&features(&turned), &expected) < 1e-6, "{config:?}");
            assert!(apart(&features(&turned), &features(&obs)) > 0.01);
        }
    }

    #[test]
    fn parameters_are_matrices_of_a_row_for_each_channel() {
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
    fn either_network_has_convolutions_of_its_own_unless_the_trunk_is_shared() {
        let inputs = InputLayout {
            len: 15,
            lidar: Some(3..15),
        };
        for (trunk, expected) in [
            (TrunkSharing::Separate, &["actor", "critic"][..]),
            (TrunkSharing::Shared, &["trunk"]),
        ] {
            let config = PolicyConfig {
                lidar_conv: Some(kinds()[2].clone()),
                trunk,
                ..PolicyConfig::default()
            };
            let policy = Policy::new(&config, inputs.clone(), 2);
            let flat = Tensor::from_slice(&policy.initial_parameters(1));
            let weights = policy.weights(&flat, &Tensor::from_slice(policy.initial_buffers()));
            // A channel is a unit, whatever the place.
            let units = policy.activity(&weights, &noise(2, &[ROWS, 15]), None);
            let named: Vec<&str> = units.iter().map(|units| units.name.as_str()).collect();
            let layers = ["lidar.0", "lidar.1", "0", "1"];
            let both = expected
                .iter()
                .flat_map(|network| layers.map(|layer| format!("{network}.{layer}.weight")));
            assert_eq!(named, both.collect::<Vec<_>>());
            let first = &policy.layout().entries()[0];
            assert_eq!(first.name, format!("{}.lidar.0.weight", expected[0]));
            // Drawn orthogonal, three rows of three.
            let square: f32 = entries(&weights.parameters()[0])
                .iter()
                .map(|w| w * w)
                .sum();
            assert!((square - 6.0).abs() < 1e-4, "{square}");
            // Twelve beams are three places of five channels.
            for network in expected {
                let name = format!("{network}.0.weight");
                let mut entries = policy.layout().entries().iter();
                let dense = entries.find(|entry| entry.name == name).unwrap();
                assert_eq!(dense.shape, [64, 3 + 15]);
            }
        }
    }

    #[test]
    fn what_cannot_work_is_refused_with_what_would_be_right() {
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
                "a divisor of 3, the places that convolution 2",
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
