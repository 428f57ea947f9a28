//! Initialisation of weights, from the random streams of the seed.

use rand::RngExt as _;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::seed::{Rng, normal_pair};

/// Initialisation of the weights. Biases start at 0.
///
/// Each scheme sets the scale of a weight matrix, and the layer's gain multiplies it. The default
/// gain of the actor's output layer is 0.01 in every scheme: the first actions are almost pure
/// noise, and arms with different schemes start alike (Andrychowicz et al. 2021, section 3.2,
/// <https://arxiv.org/abs/2006.05990>). The *fan-in* of a layer is the number of its inputs, the
/// *fan-out* the number of its outputs. For a convolution they are input channels · kernel and
/// output channels · kernel, for any stride.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Init {
    /// A random matrix with orthonormal rows or columns, times a gain (Saxe et al. 2014,
    /// <https://arxiv.org/abs/1312.6120>).
    Orthogonal(OrthogonalSpec),
    /// Uniform within ±√(6 / (fan-in + fan-out)) (Glorot & Bengio 2010, equation 16).
    XavierUniform(GainSpec),
    /// Normal with variance 2 / (fan-in + fan-out) (Glorot & Bengio 2010, equation 12).
    XavierNormal(GainSpec),
    /// Uniform within ±√(6 / fan-in), which has the variance of `he_normal`.
    HeUniform(GainSpec),
    /// Normal with variance 2 / fan-in, made for rectifiers (He et al. 2015, equation 10,
    /// <https://arxiv.org/abs/1502.01852>).
    HeNormal(GainSpec),
    /// Normal with variance 1 / fan-in (LeCun et al. 1998, Efficient BackProp, section 4.6).
    LecunNormal(GainSpec),
    /// Normal with the same standard deviation for every layer size. The outputs of a layer grow
    /// with the square root of its fan-in: a deliberately bad choice.
    Normal(NormalSpec),
}

impl Default for Init {
    fn default() -> Self {
        Self::Orthogonal(OrthogonalSpec::default())
    }
}

/// Default gain of the actor's output layer.
const ACTOR_GAIN: f64 = 0.01;
/// Default gain of the critic's output layer.
const CRITIC_GAIN: f64 = 1.0;

/// Gains of orthogonal initialisation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrthogonalSpec {
    /// Gain of the hidden layers.
    pub hidden_gain: f64,
    /// Gain of the actor's output layer. Small, so that the first actions are almost pure noise.
    pub actor_gain: f64,
    /// Gain of the critic's output layer.
    pub critic_gain: f64,
}

impl Default for OrthogonalSpec {
    fn default() -> Self {
        Self {
            hidden_gain: std::f64::consts::SQRT_2,
            actor_gain: ACTOR_GAIN,
            critic_gain: CRITIC_GAIN,
        }
    }
}

/// Gains of a scheme that scales each layer by its size.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GainSpec {
    /// Gain of the hidden layers. 1 as in the paper.
    pub hidden_gain: f64,
    /// Gain of the actor's output layer. Small, so that the first actions are almost pure noise.
    pub actor_gain: f64,
    /// Gain of the critic's output layer.
    pub critic_gain: f64,
}

impl Default for GainSpec {
    fn default() -> Self {
        Self {
            hidden_gain: 1.0,
            actor_gain: ACTOR_GAIN,
            critic_gain: CRITIC_GAIN,
        }
    }
}

/// The same standard deviation for all layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NormalSpec {
    /// Standard deviation of the weights.
    pub std: f64,
    /// Gain of the actor's output layer.
    #[serde(default = "actor_gain")]
    pub actor_gain: f64,
    /// Gain of the critic's output layer.
    #[serde(default = "critic_gain")]
    pub critic_gain: f64,
}

fn actor_gain() -> f64 {
    ACTOR_GAIN
}

fn critic_gain() -> f64 {
    CRITIC_GAIN
}

/// Initialisation of the recurrent matrix, which maps the hidden state of one step to the next. A
/// gated cell has one square matrix for each gate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecurrentInit {
    /// An orthogonal matrix times a gain. With a gain of 1, the state neither grows nor shrinks
    /// (Saxe et al. 2014, <https://arxiv.org/abs/1312.6120>).
    Orthogonal(RecurrentGainSpec),
    /// The identity times a gain. With a gain of 1, the state is unchanged. With the activation
    /// `relu` this is the IRNN (Le et al. 2015, <https://arxiv.org/abs/1504.00941>).
    Identity(RecurrentGainSpec),
    /// Like a hidden layer of the same size.
    AsHidden,
}

impl Default for RecurrentInit {
    fn default() -> Self {
        Self::Orthogonal(RecurrentGainSpec::default())
    }
}

/// Gain of a recurrent matrix.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RecurrentGainSpec {
    /// Every singular value of the matrix. Gradients through time grow above 1 and vanish below 1,
    /// as far as the activation permits.
    pub gain: f64,
}

impl Default for RecurrentGainSpec {
    fn default() -> Self {
        Self { gain: 1.0 }
    }
}

/// The kind of layer that a weight matrix belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// A hidden layer, or the input matrix of a recurrent cell.
    Hidden,
    /// A convolution. It is initialised like a hidden layer with its fan-in and fan-out.
    Convolution {
        /// Positions that one output reads.
        kernel: usize,
    },
    /// The actor's output layer.
    ActorOutput,
    /// The critic's output layer.
    CriticOutput,
}

/// Checks that a gain is finite and not negative.
pub(super) fn require_gain(path: &str, gain: f64) -> Result<(), InvalidSetting> {
    let holds = gain.is_finite() && gain >= 0.0;
    InvalidSetting::ensure(holds, path, gain, "finite and at least 0")
}

impl Init {
    /// Checks each setting.
    ///
    /// # Errors
    /// The first setting that is invalid.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        for (layer, name) in [
            (LayerKind::Hidden, "hidden_gain"),
            (LayerKind::ActorOutput, "actor_gain"),
            (LayerKind::CriticOutput, "critic_gain"),
        ] {
            require_gain(name, self.gain(layer)).map_err(|bad| bad.under_path(self.name()))?;
        }
        match self {
            Self::Normal(spec) => require_gain("normal.std", spec.std),
            _ => Ok(()),
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Self::Orthogonal(_) => "orthogonal",
            Self::XavierUniform(_) => "xavier_uniform",
            Self::XavierNormal(_) => "xavier_normal",
            Self::HeUniform(_) => "he_uniform",
            Self::HeNormal(_) => "he_normal",
            Self::LecunNormal(_) => "lecun_normal",
            Self::Normal(_) => "normal",
        }
    }

    /// Samples a weight matrix `[rows, cols]` = `[out, in]`, row by row. For a convolution it is
    /// `[output channels, input channels · kernel]`.
    pub fn sample_weights(
        &self,
        layer: LayerKind,
        rows: usize,
        cols: usize,
        rng: &mut Rng,
    ) -> Vec<f32> {
        let gain = self.gain(layer);
        let kernel = match layer {
            LayerKind::Convolution { kernel } => kernel,
            LayerKind::Hidden | LayerKind::ActorOutput | LayerKind::CriticOutput => 1,
        };
        let (fan_in, fan_out) = (cols as f64, (rows * kernel) as f64);
        let count = rows * cols;
        match self {
            Self::Orthogonal(_) => orthogonal(rows, cols, gain, rng),
            Self::XavierUniform(_) => uniform(count, gain * (6.0 / (fan_in + fan_out)).sqrt(), rng),
            Self::XavierNormal(_) => normal(count, gain * (2.0 / (fan_in + fan_out)).sqrt(), rng),
            Self::HeUniform(_) => uniform(count, gain * (6.0 / fan_in).sqrt(), rng),
            Self::HeNormal(_) => normal(count, gain * (2.0 / fan_in).sqrt(), rng),
            Self::LecunNormal(_) => normal(count, gain * (1.0 / fan_in).sqrt(), rng),
            Self::Normal(spec) => normal(count, gain * spec.std, rng),
        }
    }

    /// Samples the recurrent matrix of one gate, `[width, width]`, row by row.
    pub fn sample_recurrent_weights(
        &self,
        init: RecurrentInit,
        width: usize,
        rng: &mut Rng,
    ) -> Vec<f32> {
        match init {
            RecurrentInit::Orthogonal(spec) => orthogonal(width, width, spec.gain, rng),
            RecurrentInit::Identity(spec) => identity(width, spec.gain),
            RecurrentInit::AsHidden => self.sample_weights(LayerKind::Hidden, width, width, rng),
        }
    }

    fn gain(&self, layer: LayerKind) -> f64 {
        let (hidden, actor, critic) = match self {
            Self::Orthogonal(spec) => (spec.hidden_gain, spec.actor_gain, spec.critic_gain),
            Self::XavierUniform(spec)
            | Self::XavierNormal(spec)
            | Self::HeUniform(spec)
            | Self::HeNormal(spec)
            | Self::LecunNormal(spec) => (spec.hidden_gain, spec.actor_gain, spec.critic_gain),
            Self::Normal(spec) => (1.0, spec.actor_gain, spec.critic_gain),
        };
        match layer {
            LayerKind::Hidden | LayerKind::Convolution { .. } => hidden,
            LayerKind::ActorOutput => actor,
            LayerKind::CriticOutput => critic,
        }
    }
}

/// Samples from the uniform distribution over [-bound, bound).
fn uniform(count: usize, bound: f64, rng: &mut Rng) -> Vec<f32> {
    (0..count)
        .map(|_| (bound * (2.0 * rng.random::<f64>() - 1.0)) as f32)
        .collect()
}

/// Samples from the normal distribution with mean 0.
fn normal(count: usize, std: f64, rng: &mut Rng) -> Vec<f32> {
    let pairs = std::iter::repeat_with(|| normal_pair(rng));
    pairs
        .flat_map(|(a, b)| [a, b])
        .take(count)
        .map(|number| (std * number) as f32)
        .collect()
}

/// The identity times `gain`, `[width, width]`, row by row.
fn identity(width: usize, gain: f64) -> Vec<f32> {
    (0..width * width)
        .map(|entry| {
            if entry % (width + 1) == 0 {
                gain as f32
            } else {
                0.0
            }
        })
        .collect()
}

/// Samples a `[rows, cols]` matrix, row by row: its rows, or columns if they are fewer, are
/// orthonormal, times `gain`.
///
/// Gram–Schmidt on normal samples: the result is uniformly distributed over all such matrices.
fn orthogonal(rows: usize, cols: usize, gain: f64, rng: &mut Rng) -> Vec<f32> {
    let (count, length) = (rows.min(cols), rows.max(cols));
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(count);
    while basis.len() < count {
        let mut vector = Vec::with_capacity(length + 1);
        while vector.len() < length {
            let (a, b) = normal_pair(rng);
            vector.extend([a, b]);
        }
        vector.truncate(length);
        // Two passes give orthogonality to machine precision (Giraud et al. 2005).
        for _ in 0..2 {
            for other in &basis {
                let projection: f64 = vector.iter().zip(other).map(|(v, o)| v * o).sum();
                vector
                    .iter_mut()
                    .zip(other)
                    .for_each(|(v, o)| *v -= projection * o);
            }
        }
        let norm = vector.iter().map(|v| v * v).sum::<f64>().sqrt();
        if norm > 1e-6 {
            basis.push(vector.iter().map(|v| v / norm).collect());
        }
    }
    let entry = |row: usize, col: usize| {
        if rows <= cols {
            basis[row][col]
        } else {
            basis[col][row]
        }
    };
    (0..rows)
        .flat_map(|row| (0..cols).map(move |col| (row, col)))
        .map(|(row, col)| (gain * entry(row, col)) as f32)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::seed::{Purpose, Split, stream};

    fn gram(matrix: &[f32], rows: usize, cols: usize, i: usize, j: usize) -> f32 {
        if rows <= cols {
            (0..cols)
                .map(|k| matrix[i * cols + k] * matrix[j * cols + k])
                .sum()
        } else {
            (0..rows)
                .map(|k| matrix[k * cols + i] * matrix[k * cols + j])
                .sum()
        }
    }

    #[test]
    fn the_shorter_side_is_orthonormal_times_the_gain() {
        for (rows, cols, gain) in [(64, 72, 1.5), (64, 64, 1.0), (5, 3, 0.01), (1, 7, 1.0)] {
            let mut rng = stream(1, Split::Train, 0, 0, Purpose::Init);
            let matrix = orthogonal(rows, cols, gain, &mut rng);
            assert_eq!(matrix.len(), rows * cols);
            for i in 0..rows.min(cols) {
                for j in 0..rows.min(cols) {
                    let expected = if i == j { (gain * gain) as f32 } else { 0.0 };
                    let found = gram(&matrix, rows, cols, i, j);
                    assert!(
                        (found - expected).abs() < 1e-5,
                        "{rows}×{cols} {i},{j}: {found}"
                    );
                }
            }
        }
    }

    /// Weights of a layer with 300 inputs and 200 outputs.
    fn sampled(init: &Init, layer: LayerKind) -> Vec<f64> {
        let mut rng = stream(3, Split::Train, 0, 0, Purpose::Init);
        let weights = init.sample_weights(layer, 200, 300, &mut rng);
        assert_eq!(weights.len(), 60_000);
        weights.into_iter().map(f64::from).collect()
    }

    /// Mean, variance and kurtosis.
    fn moments(weights: &[f64]) -> (f64, f64, f64) {
        let count = weights.len() as f64;
        let mean = weights.iter().sum::<f64>() / count;
        let central = |k: i32| weights.iter().map(|w| (w - mean).powi(k)).sum::<f64>() / count;
        (mean, central(2), central(4) / central(2).powi(2))
    }

    #[test]
    fn moments_and_ranges_match_the_formulas() {
        let gains = GainSpec::default();
        let normal_spec = NormalSpec {
            std: 0.7,
            actor_gain: 0.01,
            critic_gain: 1.0,
        };
        // The bound is that of a uniform distribution; its variance is a third of the bound
        // squared.
        let hidden = LayerKind::Hidden;
        // 60 input and 200 output channels: a fan-in of 300 and a fan-out of 1000.
        let convolution = LayerKind::Convolution { kernel: 5 };
        for (init, layer, bound, variance) in [
            (
                Init::XavierUniform(gains),
                hidden,
                Some(0.012_f64.sqrt()),
                0.004,
            ),
            (Init::XavierNormal(gains), hidden, None, 0.004),
            (
                Init::HeUniform(gains),
                hidden,
                Some(0.02_f64.sqrt()),
                2.0 / 300.0,
            ),
            (Init::HeNormal(gains), hidden, None, 2.0 / 300.0),
            (Init::LecunNormal(gains), hidden, None, 1.0 / 300.0),
            (Init::Normal(normal_spec), hidden, None, 0.49),
            (Init::XavierNormal(gains), convolution, None, 2.0 / 1300.0),
            (Init::HeNormal(gains), convolution, None, 2.0 / 300.0),
        ] {
            let weights = sampled(&init, layer);
            let (mean, found, kurtosis) = moments(&weights);
            // Five standard deviations of each estimate.
            let count = weights.len() as f64;
            assert!(
                mean.abs() < 5.0 * (variance / count).sqrt(),
                "{init:?}: mean {mean}"
            );
            assert!(
                (found / variance - 1.0).abs() < 0.03,
                "{init:?}: variance {found}"
            );
            let expected = if bound.is_some() { 1.8 } else { 3.0 };
            assert!(
                (kurtosis - expected).abs() < 0.12,
                "{init:?}: kurtosis {kurtosis}"
            );
            let largest = weights.iter().fold(0.0_f64, |most, w| most.max(w.abs()));
            match bound {
                Some(bound) => assert!(
                    largest <= bound * (1.0 + 1e-6) && largest > 0.999 * bound,
                    "{init:?}: {largest} for {bound}"
                ),
                None => assert!(largest > 3.5 * variance.sqrt(), "{init:?}: {largest}"),
            }
        }
    }

    #[test]
    fn output_layers_have_their_gains_in_every_scheme() {
        let gains = GainSpec {
            hidden_gain: 0.5,
            actor_gain: 0.25,
            critic_gain: 2.0,
        };
        let [hidden_gain, actor_gain, critic_gain] = [0.5, 0.25, 2.0];
        for init in [
            Init::Orthogonal(OrthogonalSpec {
                hidden_gain,
                actor_gain,
                critic_gain,
            }),
            Init::XavierUniform(gains),
            Init::XavierNormal(gains),
            Init::HeUniform(gains),
            Init::HeNormal(gains),
            Init::LecunNormal(gains),
            // Its hidden layers have a gain of 1.
            Init::Normal(NormalSpec {
                std: 0.5,
                actor_gain: 0.5,
                critic_gain: 4.0,
            }),
        ] {
            let [hidden, actor, critic] = [
                LayerKind::Hidden,
                LayerKind::ActorOutput,
                LayerKind::CriticOutput,
            ]
            .map(|layer| sampled(&init, layer));
            for ((hidden, actor), critic) in hidden.iter().zip(&actor).zip(&critic) {
                assert!((actor - 0.5 * hidden).abs() < 1e-6 * hidden.abs());
                assert!((critic - 4.0 * hidden).abs() < 1e-6 * critic.abs());
            }
        }
    }

    #[test]
    fn recurrent_matrices_scale_the_state_by_their_gain() {
        let rng = || stream(1, Split::Train, 0, 0, Purpose::Init);
        let init = Init::HeNormal(GainSpec::default());
        let gain = RecurrentGainSpec { gain: 1.5 };
        let orthogonal =
            init.sample_recurrent_weights(RecurrentInit::Orthogonal(gain), 8, &mut rng());
        let identity = init.sample_recurrent_weights(RecurrentInit::Identity(gain), 8, &mut rng());
        for matrix in [&orthogonal, &identity] {
            for (i, j) in (0..8).flat_map(|i| (0..8).map(move |j| (i, j))) {
                let expected = if i == j { 2.25 } else { 0.0 };
                assert!((gram(matrix, 8, 8, i, j) - expected).abs() < 1e-5);
            }
        }
        let entries = (identity[0], identity[1], identity[9], identity[63]);
        assert_eq!(entries, (1.5, 0.0, 1.5, 1.5));
        let hidden = init.sample_weights(LayerKind::Hidden, 8, 8, &mut rng());
        assert_eq!(
            init.sample_recurrent_weights(RecurrentInit::AsHidden, 8, &mut rng()),
            hidden
        );
    }

    #[test]
    fn a_scheme_is_read_from_a_configuration() {
        let read = |text: &str| toml::from_str::<std::collections::BTreeMap<String, Init>>(text);
        let found = read("init = { he_normal = {} }").unwrap();
        assert_eq!(found["init"], Init::HeNormal(GainSpec::default()));
        let found = read("init = { normal = { std = 0.5 } }").unwrap();
        let expected = NormalSpec {
            std: 0.5,
            actor_gain: 0.01,
            critic_gain: 1.0,
        };
        assert_eq!(found["init"], Init::Normal(expected));
        assert!(
            read("init = { normal = {} }").is_err(),
            "`std` has no default"
        );
        assert!(read("init = { xavier_uniform = { gain = 2.0 } }").is_err());
    }
}
