//! The action distribution.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evenkeel_sim::seed::{Rng, normal_pair};

/// ln √(2π).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// The distribution that actions are sampled from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionHead {
    /// An independent normal distribution for each entry of the action. The network outputs the
    /// means. The standard deviations are separate parameters that do not depend on the
    /// observation.
    Gaussian(GaussianSpec),
}

impl Default for ActionHead {
    fn default() -> Self {
        Self::Gaussian(GaussianSpec::default())
    }
}

/// Settings of the Gaussian head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianSpec {
    /// Logarithm of the initial standard deviation.
    pub log_std_init: f64,
    /// How an unbounded sample becomes an action in [-1, 1].
    pub squash: Squash,
}

impl Default for GaussianSpec {
    fn default() -> Self {
        Self {
            log_std_init: -0.5,
            squash: Squash::Clamp,
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
    /// Σ ln σ + ½ k ln 2π.
    offset: f32,
}

impl DiagonalGaussian {
    /// Creates the distribution from the logarithms of its standard deviations, `[act]`.
    pub fn new(log_std: &[f32]) -> Self {
        let offset: f64 = log_std
            .iter()
            .map(|&log_std| f64::from(log_std) + LN_SQRT_TAU)
            .sum();
        Self {
            std: log_std.iter().map(|log_std| log_std.exp()).collect(),
            inverse_std: log_std.iter().map(|log_std| (-log_std).exp()).collect(),
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

    /// Mean of the standard deviations.
    pub fn mean_std(&self) -> f64 {
        self.std.iter().map(|&std| f64::from(std)).sum::<f64>() / self.std.len() as f64
    }

    /// Samples around `mean` `[act]` into `sample` `[act]`, before squashing.
    pub fn sample(&self, rng: &mut Rng, mean: &[f32], sample: &mut [f32]) {
        for (index, pair) in sample.chunks_mut(2).enumerate() {
            let (a, b) = normal_pair(rng);
            for (offset, (entry, noise)) in pair.iter_mut().zip([a, b]).enumerate() {
                let i = 2 * index + offset;
                *entry = mean[i] + self.std[i] * noise as f32;
            }
        }
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

    /// [`Self::log_prob`], with its gradient: writes into `score`, `[act]`, for each entry of the
    /// action the derivatives with respect to its mean and to its ln σ.
    pub fn log_prob_and_score(
        &self,
        mean: &[f32],
        sample: &[f32],
        score: &mut [(f32, f32)],
    ) -> f32 {
        let mut squares = 0.0;
        let pairs = sample.iter().zip(mean).zip(&self.inverse_std);
        for (((sample, mean), inverse_std), score) in pairs.zip(score) {
            let z = (sample - mean) * inverse_std;
            squares += z * z;
            *score = (z * inverse_std, z * z - 1.0);
        }
        squares * -0.5 - self.offset
    }

    /// Differential entropy before squashing, nats. Its gradient with respect to each ln σ is 1.
    pub fn entropy(&self) -> f64 {
        f64::from(self.offset) + 0.5 * self.dim() as f64
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    const MEAN: [f32; 2] = [0.3, -0.7];
    const LOG_STD: [f32; 2] = [-0.5, 0.2];
    const SAMPLE: [f32; 2] = [0.9, 0.1];

    fn log_prob(mean: [f32; 2], log_std: [f32; 2]) -> f64 {
        let entry = |i: usize| {
            let std = f64::from(log_std[i]).exp();
            let z = f64::from(SAMPLE[i] - mean[i]) / std;
            -0.5 * z * z - (std * (2.0 * std::f64::consts::PI).sqrt()).ln()
        };
        entry(0) + entry(1)
    }

    #[test]
    fn log_probability_matches_the_formula() {
        let found = DiagonalGaussian::new(&LOG_STD).log_prob(&MEAN, &SAMPLE);
        assert!((f64::from(found) - log_prob(MEAN, LOG_STD)).abs() < 1e-6);
    }

    #[test]
    fn the_score_is_the_slope_of_the_log_probability() {
        let gaussian = DiagonalGaussian::new(&LOG_STD);
        let mut score = [(0.0, 0.0); 2];
        let found = gaussian.log_prob_and_score(&MEAN, &SAMPLE, &mut score);
        assert_eq!(found, gaussian.log_prob(&MEAN, &SAMPLE));
        let moved = |mut numbers: [f32; 2], i: usize, by: f32| {
            numbers[i] += by;
            numbers
        };
        for (i, (found_mean, found_log_std)) in score.into_iter().enumerate() {
            let slope = |f: &dyn Fn(f32) -> f64| (f(0.01) - f(-0.01)) / 0.02;
            let by_mean = slope(&|by| log_prob(moved(MEAN, i, by), LOG_STD));
            let by_log_std = slope(&|by| log_prob(MEAN, moved(LOG_STD, i, by)));
            assert!((f64::from(found_mean) - by_mean).abs() < 1e-3);
            assert!((f64::from(found_log_std) - by_log_std).abs() < 1e-3);
        }
    }

    #[test]
    fn entropy_is_minus_the_mean_log_probability() {
        // E[z²] = 1, which is z² of a sample one standard deviation from the mean.
        let gaussian = DiagonalGaussian::new(&LOG_STD);
        let sample = LOG_STD.map(f32::exp);
        let expected = -f64::from(gaussian.log_prob(&[0.0; 2], &sample));
        assert!((gaussian.entropy() - expected).abs() < 1e-6);
    }

    #[test]
    fn squashing_stays_in_bounds() {
        for squash in [Squash::Clamp, Squash::Tanh] {
            for sample in [-30.0, -1.0, -0.2, 0.0, 0.4, 1.5, 30.0] {
                let action = squash.apply(sample);
                assert!((-1.0..=1.0).contains(&action));
                assert!(action * sample >= 0.0);
            }
        }
        assert_eq!(Squash::Clamp.apply(0.4), 0.4);
    }
}
