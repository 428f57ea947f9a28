//! Statistics of runs and episodes: moments, quantiles and confidence intervals. Definitions are
//! in `docs/metrics.md`. Aggregates over seeds follow Agarwal et al. 2021 ("Deep Reinforcement
//! Learning at the Edge of the Statistical Precipice"). This module must not read the clock or use
//! ambient randomness.

mod average;
mod bootstrap;
mod median;
mod moments;
mod moving_moments;
mod recovery;
mod reliability;
mod survival;
mod tail_mean;
mod threshold;

pub use average::{Average, MIN_VALUES, mean_interval};
pub use bootstrap::{
    Bootstrap, DifferenceFinding, MIN_SEEDS, finding, probability_greater,
    probability_greater_interval, probability_of_improvement,
};
pub use median::median_interval;
pub use moments::Moments;
pub use moving_moments::MovingMoments;
pub use recovery::{steps_to_recover, steps_to_regain};
pub use reliability::{
    RISK_TAIL, Reliability, cvar_lowest, dispersion_across_runs, drawdown, interquartile_range,
    slopes,
};
pub use survival::{Lifetime, Survival, SurvivalPoint, kaplan_meier};
pub use tail_mean::tail_mean;
pub use threshold::Outcomes;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The 97.5 % point of the standard normal distribution.
const Z95: f64 = 1.959_963_984_540_054;

/// An estimate with its 95 % interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Estimate {
    /// The estimate.
    #[serde(with = "crate::json::nullable")]
    #[schemars(with = "f64")]
    pub value: f64,
    /// Lower end of the 95 % interval.
    #[serde(with = "crate::json::nullable")]
    #[schemars(with = "f64")]
    pub low: f64,
    /// Upper end of the 95 % interval.
    #[serde(with = "crate::json::nullable")]
    #[schemars(with = "f64")]
    pub high: f64,
}

impl Estimate {
    /// Whether a value lies within the interval, including its ends.
    pub fn contains(&self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// The share `successes / trials` with its 95 % score interval (Wilson 1927). Without trials the
/// share is 0 and the interval is `[0, 1]`.
pub fn wilson(successes: u64, trials: u64) -> Estimate {
    if trials == 0 {
        return Estimate {
            value: 0.0,
            low: 0.0,
            high: 1.0,
        };
    }
    wilson_of_share(successes as f64 / trials as f64, trials)
}

/// A share between 0 and 1 with its Wilson interval for `trials` independent trials, at least 1.
/// If trials come in dependent clusters, pass the number of clusters.
pub fn wilson_of_share(share: f64, trials: u64) -> Estimate {
    let n = trials as f64;
    let z2 = Z95 * Z95;
    let scale = 1.0 / (1.0 + z2 / n);
    let centre = (share + z2 / (2.0 * n)) * scale;
    let half = Z95 * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt() * scale;
    Estimate {
        value: share,
        // Exact ends, which rounding could exceed.
        low: if share <= 0.0 { 0.0 } else { centre - half },
        high: if share >= 1.0 { 1.0 } else { centre + half },
    }
}

/// The `q`-quantile of sorted values, `0 ≤ q ≤ 1`, with linear interpolation between the two
/// nearest values (Hyndman & Fan 1996, type 7; numpy's default). Returns `None` without values.
pub fn quantile(sorted: &[f64], q: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = q.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let weight = position - below as f64;
    Some(sorted[below] * (1.0 - weight) + sorted[above] * weight)
}

/// Interquartile mean (Agarwal et al. 2021, §4.3): the mean without the lowest and the highest
/// quarter of the values, each rounded down. Sorts `values`. Returns `None` without values.
pub fn interquartile_mean(values: &mut [f64]) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    values.sort_unstable_by(f64::total_cmp);
    let cut = values.len() / 4;
    let middle = &values[cut..values.len() - cut];
    Some(middle.iter().sum::<f64>() / middle.len() as f64)
}

/// Arithmetic mean. Returns `None` without values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wilson_is_bounded_and_exact_at_the_ends() {
        assert!(wilson(0, 50).low <= 0.0);
        assert!(wilson(50, 50).high >= 1.0);
        let nothing = wilson(0, 0);
        assert!(nothing.low <= 0.0 && nothing.high >= 1.0);
    }

    #[test]
    fn quantiles_of_no_value_and_of_one_value() {
        assert_eq!(quantile(&[], 0.5), None);
        assert_eq!(quantile(&[3.0], 0.99), Some(3.0));
    }

    proptest! {
        #[test]
        fn a_wilson_interval_contains_its_share(trials in 1_u64..5000, part in 0.0..=1.0) {
            let share = wilson((trials as f64 * part) as u64, trials);
            prop_assert!(0.0 <= share.low && share.high <= 1.0);
            prop_assert!(share.contains(share.value));
        }

        #[test]
        fn quantiles_rise_and_stay_within_the_values(
            mut values in prop::collection::vec(-1e6..1e6, 1..60),
            low in 0.0..=1.0,
            high in 0.0..=1.0,
        ) {
            values.sort_unstable_by(f64::total_cmp);
            let (low, high) = if low <= high { (low, high) } else { (high, low) };
            let (a, b) = (quantile(&values, low).unwrap(), quantile(&values, high).unwrap());
            prop_assert!(a <= b + 1e-9 * b.abs());
            prop_assert!(values[0] <= a + 1e-9 * a.abs());
        }
    }
}
