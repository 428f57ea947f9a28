//! The distribution that actions are drawn from.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

/// ln √(2π).
const LN_SQRT_TAU: f64 = 0.918_938_533_204_672_8;

/// The distribution that actions are drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Head {
    /// A normal distribution in each action, its mean from the network, its standard deviation a
    /// parameter of its own that does not depend on what is seen.
    Gaussian(GaussianSpec),
}

impl Default for Head {
    fn default() -> Self {
        Self::Gaussian(GaussianSpec::default())
    }
}

/// A Gaussian head.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GaussianSpec {
    /// Logarithm of the initial standard deviation.
    pub log_std_init: f64,
    /// How an unbounded draw becomes an action in [-1, 1].
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

/// How an unbounded draw becomes an action in [-1, 1]. Probabilities are those of the draw: for
/// the ratio of two policies, what follows the draw cancels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Squash {
    /// Draws beyond a bound become the bound.
    #[default]
    Clamp,
    /// The draw's hyperbolic tangent.
    Tanh,
}

impl Squash {
    /// The action for one entry of a draw.
    pub fn apply(self, draw: f32) -> f32 {
        match self {
            Self::Clamp => draw.clamp(-1.0, 1.0),
            Self::Tanh => draw.tanh(),
        }
    }
}

impl GaussianSpec {
    /// ln p(draw), `[rows]`, for means and draws `[rows, act]` and log standard deviations
    /// `[act]`.
    pub fn log_prob(mean: &Tensor, log_std: &Tensor, draw: &Tensor) -> Tensor {
        let z = (draw - mean) * (-log_std).exp();
        let constant = LN_SQRT_TAU * mean.size()[1] as f64;
        z.square().sum_dim_intlist(1, false, Kind::Float) * -0.5
            - (log_std.sum(Kind::Float) + constant)
    }

    /// As [`Self::log_prob`], one row, on plain numbers.
    pub fn log_prob_row(mean: &[f32], log_std: &[f32], draw: &[f32]) -> f32 {
        let mut squares = 0.0f32;
        let mut scale = 0.0f32;
        for ((&mean, &log_std), &draw) in mean.iter().zip(log_std).zip(draw) {
            let z = (draw - mean) * (-log_std).exp();
            squares += z * z;
            scale += log_std;
        }
        squares * -0.5 - (scale + (LN_SQRT_TAU * mean.len() as f64) as f32)
    }

    /// Differential entropy of the draw, nats, a scalar.
    pub fn entropy(log_std: &Tensor) -> Tensor {
        log_std.sum(Kind::Float) + (0.5 + LN_SQRT_TAU) * log_std.size()[0] as f64
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn log_probability_is_the_formula_and_both_forms_agree() {
        let (mean, log_std, draw) = ([0.3f32, -0.7], [-0.5f32, 0.2], [0.9f32, 0.1]);
        let expected: f64 = (0..2)
            .map(|i| {
                let std = f64::from(log_std[i]).exp();
                let z = f64::from(draw[i] - mean[i]) / std;
                -0.5 * z * z - (std * (2.0 * std::f64::consts::PI).sqrt()).ln()
            })
            .sum();
        let row = GaussianSpec::log_prob_row(&mean, &log_std, &draw);
        let tensor = GaussianSpec::log_prob(
            &Tensor::from_slice(&mean).view([1, 2]),
            &Tensor::from_slice(&log_std),
            &Tensor::from_slice(&draw).view([1, 2]),
        );
        assert!((f64::from(row) - expected).abs() < 1e-6);
        assert!((tensor.double_value(&[0]) - expected).abs() < 1e-6);
    }

    #[test]
    fn entropy_is_minus_the_mean_log_probability() {
        // E[z²] = 1 at draws one deviation from the mean.
        let log_std = Tensor::from_slice(&[-0.5f32, 0.3]);
        let mean = Tensor::zeros([1, 2], tch::kind::FLOAT_CPU);
        let draw = log_std.exp().view([1, 2]);
        let expected = -GaussianSpec::log_prob(&mean, &log_std, &draw).double_value(&[0]);
        assert!((GaussianSpec::entropy(&log_std).double_value(&[]) - expected).abs() < 1e-6);
    }

    #[test]
    fn squashing_stays_in_bounds() {
        for squash in [Squash::Clamp, Squash::Tanh] {
            for draw in [-30.0, -1.0, -0.2, 0.0, 0.4, 1.5, 30.0] {
                let action = squash.apply(draw);
                assert!((-1.0..=1.0).contains(&action));
                assert!(action * draw >= 0.0);
            }
        }
        assert_eq!(Squash::Clamp.apply(0.4), 0.4);
    }
}
