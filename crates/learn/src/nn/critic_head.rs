//! What the outputs of the critic mean: the value itself, or a distribution of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use evenkeel_sim::config::InvalidSetting;

/// What the critic outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CriticHead {
    /// The value. The loss is the squared error.
    #[default]
    Scalar,
    /// Logits of a categorical distribution over bins of values, whose mean is the value
    /// (HL-Gauss; Farebrother et al. 2024, <https://arxiv.org/abs/2403.03950>). The loss is the
    /// cross-entropy to a histogram of a normal distribution around the return, so its gradient is
    /// bounded however large the error is. It needs a `stability.normalise.return` without moving
    /// statistics, `"symlog"` or `"off"`, and no `value_clip`.
    HlGauss(HlGaussSpec),
}

/// Settings of the categorical critic.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HlGaussSpec {
    /// Number of bins.
    pub bins: u32,
    /// Lower edge of the first bin, in units of the normalised return. Returns below count as this.
    pub min: f64,
    /// Upper edge of the last bin. Returns above count as this.
    pub max: f64,
    /// Standard deviation of the normal distribution around a return, in widths of a bin.
    pub smoothing: f64,
}

impl Default for HlGaussSpec {
    fn default() -> Self {
        Self {
            bins: 51,
            min: -5.0,
            max: 5.0,
            smoothing: 0.75,
        }
    }
}

impl CriticHead {
    /// Checks each setting.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let Self::HlGauss(spec) = self else {
            return Ok(());
        };
        let HlGaussSpec {
            bins,
            min,
            max,
            smoothing,
        } = *spec;
        let holds = (2..=4096).contains(&bins);
        let expected = "a whole number from 2 to 4096";
        InvalidSetting::ensure(holds, "hl_gauss.bins", bins, expected)?;
        InvalidSetting::ensure(min.is_finite(), "hl_gauss.min", min, "finite")?;
        let (holds, expected) = (
            max.is_finite() && max > min,
            format!("finite and above {min}"),
        );
        InvalidSetting::ensure(holds, "hl_gauss.max", max, expected)?;
        let holds = (0.01..=100.0).contains(&smoothing);
        InvalidSetting::ensure(holds, "hl_gauss.smoothing", smoothing, "from 0.01 to 100")
    }

    /// Numbers that the critic outputs.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Scalar => 1,
            Self::HlGauss(spec) => spec.bins as usize,
        }
    }

    /// Values, `[rows]`, given the outputs of the critic, `[rows, outputs]`.
    pub fn values(&self, outputs: &Tensor) -> Tensor {
        match self {
            Self::Scalar => outputs.squeeze_dim(1),
            Self::HlGauss(spec) => {
                let centres: Vec<f32> = spec.centres().map(|centre| centre as f32).collect();
                let centres = Tensor::from_slice(&centres).to_device(outputs.device());
                outputs.softmax(1, Kind::Float).mv(&centres)
            }
        }
    }
}

impl HlGaussSpec {
    /// Width of a bin.
    fn width(&self) -> f64 {
        (self.max - self.min) / f64::from(self.bins)
    }

    fn centres(&self) -> impl Iterator<Item = f64> {
        let (min, width) = (self.min, self.width());
        (0..self.bins).map(move |bin| min + (f64::from(bin) + 0.5) * width)
    }

    /// Cross-entropy of the distribution with these logits, `[bins]`, to the histogram around a
    /// return. Writes its gradient into `by_output`, `[bins]`.
    pub fn loss(&self, logits: &[f32], target: f32, by_output: &mut [f32]) -> f64 {
        if !target.is_finite() {
            by_output.fill(f32::NAN);
            return f64::NAN;
        }
        let mean = f64::from(target).clamp(self.min, self.max);
        let scale = 1.0 / (std::f64::consts::SQRT_2 * self.smoothing * self.width());
        // Twice the cumulative distribution, up to a constant.
        let cumulative = |edge: f64| libm::erf((edge - mean) * scale);
        let total = cumulative(self.max) - cumulative(self.min);
        let largest = logits.iter().fold(f32::NEG_INFINITY, |a, &b| a.max(b));
        let exponential = |logit: f32| f64::from(logit - largest).exp();
        let sum: f64 = logits.iter().map(|&logit| exponential(logit)).sum();
        let log_sum = sum.ln() + f64::from(largest);
        let (mut loss, mut below) = (0.0, cumulative(self.min));
        for (bin, (&logit, by_logit)) in logits.iter().zip(by_output).enumerate() {
            let above = cumulative(self.min + (bin as f64 + 1.0) * self.width());
            let share = (above - below) / total;
            below = above;
            loss += share * (log_sum - f64::from(logit));
            *by_logit = (exponential(logit) / sum - share) as f32;
        }
        loss
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPEC: HlGaussSpec = HlGaussSpec {
        bins: 4,
        min: -2.0,
        max: 2.0,
        smoothing: 1.0,
    };

    #[test]
    fn the_loss_matches_a_hand_computed_example() {
        // Around 0, with a deviation of one bin, Φ(1) − Φ(0) = 0.341345 and Φ(2) − Φ(1) = 0.135905
        // of 0.954500 lie in the bins. Uniform logits: the cross-entropy is ln 4.
        let mut gradient = [0.0; 4];
        let loss = SPEC.loss(&[7.0; 4], 0.0, &mut gradient);
        assert!((loss - 4.0_f64.ln()).abs() < 1e-9);
        let (outer, inner) = (0.135_905 / 0.954_500, 0.341_345 / 0.954_500);
        for (found, share) in gradient.iter().zip([outer, inner, inner, outer]) {
            assert!((f64::from(*found) - (0.25 - share)).abs() < 1e-5);
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_loss() {
        let logits = [0.3_f32, -0.7, 1.1, 0.2];
        for target in [-9.0, -0.4, 1.7] {
            let (mut gradient, mut unused) = ([0.0; 4], [0.0; 4]);
            SPEC.loss(&logits, target, &mut gradient);
            for bin in 0..4 {
                let mut at = |by: f32| {
                    let mut moved = logits;
                    moved[bin] += by;
                    SPEC.loss(&moved, target, &mut unused)
                };
                let slope = (at(1e-2) - at(-1e-2)) / 2e-2;
                assert!((f64::from(gradient[bin]) - slope).abs() < 1e-4);
            }
        }
        let mut gradient = [0.0; 4];
        assert!(SPEC.loss(&logits, f32::NAN, &mut gradient).is_nan());
    }

    #[test]
    fn values_are_means_of_bins() {
        let head = CriticHead::HlGauss(SPEC);
        let logits = Tensor::from_slice(&[0.0f32, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 3f32.ln()]);
        let values = Vec::<f32>::try_from(&head.values(&logits.view([2, 4]))).unwrap();
        // The centres are −1.5, −0.5, 0.5 and 1.5; the last has weight 3 of 6.
        assert!(
            values[0].abs() < 1e-6 && (values[1] - 0.5).abs() < 1e-6,
            "{values:?}"
        );
    }
}
