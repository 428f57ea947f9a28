//! Normal distributions of actions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Score;
use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::seed::{Rng, normal_pair};

/// ln √(2π).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// Settings of the Gaussian head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianSpec {
    /// Logarithm of the initial standard deviation.
    pub log_std_init: f64,
    /// How the logarithms of the standard deviations are kept in a range.
    pub log_std_bound: LogStdBound,
    /// Whether the actor outputs a standard deviation for each entry of the action, which then
    /// depends on the observation. Otherwise they are separate parameters.
    pub state_dependent_std: bool,
    /// How an unbounded sample becomes an action in [-1, 1].
    pub squash: Squash,
}

impl Default for GaussianSpec {
    fn default() -> Self {
        Self {
            log_std_init: -0.5,
            log_std_bound: LogStdBound::Off,
            state_dependent_std: false,
            squash: Squash::Clamp,
        }
    }
}

impl GaussianSpec {
    /// Checks each setting.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        self.log_std_bound
            .check()
            .map_err(|bad| bad.under_path("log_std_bound"))?;
        let (value, (min, max)) = (self.log_std_init, self.log_std_bound.initial_range());
        let expected = format!("from {min} to {max}");
        let holds = (min..=max).contains(&value);
        InvalidSetting::ensure(holds, "log_std_init", value, expected)
    }

    /// The parameter, or output, that gives the initial standard deviation.
    pub(super) fn initial_log_std(&self) -> f32 {
        self.log_std_bound.inverse(self.log_std_init) as f32
    }
}

/// Keeps the logarithm of a standard deviation, ln σ, in a range. A deviation without bounds can
/// grow until actions are noise, or vanish so that log probabilities overflow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LogStdBound {
    /// No bounds.
    #[default]
    Off,
    /// Clamps it. Beyond a bound the gradient is 0: a parameter that has left the range comes back
    /// by momentum or weight decay only.
    Clamp(LogStdRange),
    /// Bends it smoothly: c + h·tanh((x − c)/h), where c is the middle of the range and h half its
    /// width. In the middle it changes nothing. Implementations of soft actor-critic bound it like
    /// this (Haarnoja et al. 2018, <https://arxiv.org/abs/1801.01290>).
    Tanh(LogStdRange),
}

/// The range of ln σ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogStdRange {
    /// Smallest ln σ.
    pub min: f64,
    /// Largest ln σ.
    pub max: f64,
}

impl Default for LogStdRange {
    fn default() -> Self {
        Self {
            min: -5.0,
            max: 2.0,
        }
    }
}

impl LogStdRange {
    /// Half its width.
    fn half(self) -> f64 {
        0.5 * (self.max - self.min)
    }

    /// Its middle.
    fn middle(self) -> f64 {
        0.5 * (self.max + self.min)
    }
}

impl LogStdBound {
    fn check(self) -> Result<(), InvalidSetting> {
        let (name, range) = match self {
            Self::Off => return Ok(()),
            Self::Clamp(range) => ("clamp", range),
            Self::Tanh(range) => ("tanh", range),
        };
        let LogStdRange { min, max } = range;
        let holds = (-20.0..=5.0).contains(&min);
        InvalidSetting::ensure(holds, format!("{name}.min"), min, "from -20 to 5")?;
        let (holds, expected) = (max > min && max <= 5.0, format!("above {min}, at most 5"));
        InvalidSetting::ensure(holds, format!("{name}.max"), max, expected)
    }

    /// Smallest and largest initial ln σ. The smooth bound takes no finite parameter to the ends of
    /// its range.
    fn initial_range(self) -> (f64, f64) {
        match self {
            Self::Off => (-10.0, 5.0),
            Self::Clamp(range) => (range.min, range.max),
            Self::Tanh(range) => {
                let margin = 0.01 * range.half();
                (range.min + margin, range.max - margin)
            }
        }
    }

    /// ln σ for a parameter or output x, and its derivative.
    pub(super) fn apply(self, x: f32) -> (f32, f32) {
        match self {
            Self::Off => (x, 1.0),
            Self::Clamp(range) => {
                let (min, max) = (range.min as f32, range.max as f32);
                let inside = (min..=max).contains(&x);
                (x.clamp(min, max), f32::from(u8::from(inside)))
            }
            Self::Tanh(range) => {
                let (middle, half) = (range.middle() as f32, range.half() as f32);
                let bent = ((x - middle) / half).tanh();
                (middle + half * bent, 1.0 - bent * bent)
            }
        }
    }

    /// The parameter that gives this ln σ.
    fn inverse(self, log_std: f64) -> f64 {
        match self {
            Self::Off | Self::Clamp(_) => log_std,
            Self::Tanh(range) => {
                let (middle, half) = (range.middle(), range.half());
                middle + half * ((log_std - middle) / half).atanh()
            }
        }
    }
}

/// How an unbounded sample becomes an action in [-1, 1]. Probabilities are those of the sample
/// before squashing: in the ratio of two policies the squashing cancels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Squash {
    /// Clamp the sample to the bounds.
    #[default]
    Clamp,
    /// Take the hyperbolic tangent of the sample.
    Tanh,
}

impl Squash {
    /// The action entry for one entry of a sample.
    pub fn apply(self, sample: f32) -> f32 {
        match self {
            Self::Clamp => sample.clamp(-1.0, 1.0),
            Self::Tanh => sample.tanh(),
        }
    }
}

/// An independent normal distribution for each entry of the action. The mean is an argument of each
/// method; the standard deviations do not depend on the observation.
#[derive(Clone, Debug, PartialEq)]
pub struct DiagonalGaussian {
    std: Vec<f32>,
    inverse_std: Vec<f32>,
    /// Derivative of each ln σ with respect to its parameter.
    slopes: Vec<f32>,
    /// Σ ln σ + ½ k ln 2π.
    offset: f32,
}

impl DiagonalGaussian {
    /// Creates the distribution from the parameters of its standard deviations, `[act]`.
    pub fn new(parameters: &[f32], bound: LogStdBound) -> Self {
        let bounded = parameters.iter().map(|&parameter| bound.apply(parameter));
        let (log_std, slopes): (Vec<f32>, Vec<f32>) = bounded.unzip();
        let offset: f64 = log_std
            .iter()
            .map(|&log_std| f64::from(log_std) + LN_SQRT_TAU)
            .sum();
        Self {
            std: log_std.iter().map(|log_std| log_std.exp()).collect(),
            inverse_std: log_std.iter().map(|log_std| (-log_std).exp()).collect(),
            slopes,
            offset: offset as f32,
        }
    }

    /// Length of an action.
    pub fn dim(&self) -> usize {
        self.std.len()
    }

    /// Standard deviations, `[act]`.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// Derivative of the entropy with respect to each parameter, `[act]`.
    pub(super) fn entropy_slopes(&self) -> &[f32] {
        &self.slopes
    }

    /// Samples around `mean` `[act]` into `sample` `[act]`, before squashing.
    pub fn sample(&self, rng: &mut Rng, mean: &[f32], sample: &mut [f32]) {
        sample_normal(rng, mean, |i| self.std[i], sample);
    }

    /// ln p(sample) for a mean; both are `[act]`.
    pub fn log_prob(&self, mean: &[f32], sample: &[f32]) -> f32 {
        let pairs = sample.iter().zip(mean).zip(&self.inverse_std);
        let squares = pairs.map(|((sample, mean), inverse_std)| {
            let z = (sample - mean) * inverse_std;
            z * z
        });
        squares.sum::<f32>() * -0.5 - self.offset
    }

    /// [`Self::log_prob`], with its gradient.
    pub fn log_prob_and_score(&self, mean: &[f32], sample: &[f32], score: &mut Score) -> f32 {
        let mut squares = 0.0;
        let pairs = sample.iter().zip(mean).zip(&self.inverse_std);
        let slopes = score.by_output.iter_mut().zip(&mut score.by_parameter);
        for ((((sample, mean), inverse_std), slope), (by_mean, by_parameter)) in
            pairs.zip(&self.slopes).zip(slopes)
        {
            let z = (sample - mean) * inverse_std;
            squares += z * z;
            *by_mean = z * inverse_std;
            *by_parameter = (z * z - 1.0) * slope;
        }
        squares * -0.5 - self.offset
    }

    /// Differential entropy before squashing, nats.
    pub fn entropy(&self) -> f64 {
        f64::from(self.offset) + 0.5 * self.dim() as f64
    }
}

/// An independent normal distribution for each entry of the action, whose means and standard
/// deviations are outputs of the actor: k means, then k numbers that give ln σ.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StateGaussian {
    dim: usize,
    bound: LogStdBound,
}

impl StateGaussian {
    /// The distribution of actions of length `dim`.
    pub fn new(dim: usize, bound: LogStdBound) -> Self {
        Self { dim, bound }
    }

    /// Length of an action.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// The standard deviation of entry `i`.
    pub(super) fn std(&self, outputs: &[f32], i: usize) -> f32 {
        self.bound.apply(outputs[self.dim + i]).0.exp()
    }

    /// Samples into `sample` `[act]`, before squashing.
    pub(super) fn sample(&self, rng: &mut Rng, outputs: &[f32], sample: &mut [f32]) {
        sample_normal(rng, outputs, |i| self.std(outputs, i), sample);
    }

    /// ln p(sample), before squashing.
    pub(super) fn log_prob(&self, outputs: &[f32], sample: &[f32]) -> f32 {
        let (mean, log_std) = outputs.split_at(self.dim);
        let mut log_prob = -(self.dim as f64 * LN_SQRT_TAU) as f32;
        for ((sample, mean), &log_std) in sample.iter().zip(mean).zip(log_std) {
            let (log_std, _) = self.bound.apply(log_std);
            let z = (sample - mean) * (-log_std).exp();
            log_prob -= 0.5 * z * z + log_std;
        }
        log_prob
    }

    /// [`Self::log_prob`], with its gradient.
    pub(super) fn log_prob_and_score(
        &self,
        outputs: &[f32],
        sample: &[f32],
        score: &mut Score,
    ) -> f32 {
        let (mean, log_std) = outputs.split_at(self.dim);
        let (by_mean, by_log_std) = score.by_output.split_at_mut(self.dim);
        let mut log_prob = -(self.dim as f64 * LN_SQRT_TAU) as f32;
        let entries = sample.iter().zip(mean).zip(log_std);
        for (((sample, mean), &log_std), (by_mean, by_log_std)) in
            entries.zip(by_mean.iter_mut().zip(by_log_std))
        {
            let (log_std, slope) = self.bound.apply(log_std);
            let inverse_std = (-log_std).exp();
            let z = (sample - mean) * inverse_std;
            log_prob -= 0.5 * z * z + log_std;
            *by_mean = z * inverse_std;
            *by_log_std = (z * z - 1.0) * slope;
        }
        log_prob
    }

    /// Differential entropy before squashing, nats, with its gradient with respect to the outputs.
    pub(super) fn entropy_and_score(&self, outputs: &[f32], by_output: &mut [f32]) -> f64 {
        let (by_mean, by_log_std) = by_output.split_at_mut(self.dim);
        by_mean.fill(0.0);
        let mut entropy = self.dim as f64 * (LN_SQRT_TAU + 0.5);
        for (&log_std, by_log_std) in outputs[self.dim..].iter().zip(by_log_std) {
            let (log_std, slope) = self.bound.apply(log_std);
            entropy += f64::from(log_std);
            *by_log_std = slope;
        }
        entropy
    }
}

/// Samples entry `i` of `sample` around `mean[i]` with the standard deviation `std(i)`.
fn sample_normal(rng: &mut Rng, mean: &[f32], std: impl Fn(usize) -> f32, sample: &mut [f32]) {
    for (index, pair) in sample.chunks_mut(2).enumerate() {
        let (a, b) = normal_pair(rng);
        for (offset, (entry, noise)) in pair.iter_mut().zip([a, b]).enumerate() {
            let i = 2 * index + offset;
            *entry = mean[i] + std(i) * noise as f32;
        }
    }
}
