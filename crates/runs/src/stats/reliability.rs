//! Reliability metrics of learning curves (Chan et al. 2020, "Measuring the Reliability of
//! Reinforcement Learning Algorithms", <https://arxiv.org/abs/1912.05663>, §4). They equal those of
//! the authors' package `rl-reliability-metrics` with the whole curve as the window and without
//! a low-pass filter.

use serde::{Deserialize, Serialize};

use super::{mean, quantile};

/// Share of the values in the tail of the risk metrics, as in the paper.
pub const RISK_TAIL: f64 = 0.05;

/// Reliability of one learning curve. The unit is that of the curve, for the first two metrics per
/// unit of its time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Dispersion across time: interquartile range of the [`slopes`]. Slopes remove the trend, so
    /// that steady learning does not count as dispersion. Lower is better.
    pub dispersion_across_time: f64,
    /// Short-term risk across time: mean of the lowest 5 % of the [`slopes`]. Negative if the curve
    /// falls; higher is better.
    pub short_term_risk: f64,
    /// Long-term risk across time: mean of the highest 5 % of the [`drawdown`]. At least 0; lower
    /// is better.
    pub long_term_risk: f64,
}

impl Reliability {
    /// Computes the metrics of the curve with `values[i]` at `times[i]`. Returns `None` with fewer
    /// than two points, if the slices differ in length, if times do not strictly increase, or if a
    /// number is not finite.
    pub fn of(times: &[f64], values: &[f64]) -> Option<Self> {
        let slopes = slopes(times, values)?;
        Some(Self {
            dispersion_across_time: interquartile_range(&slopes)?,
            short_term_risk: cvar_lowest(&slopes, RISK_TAIL)?,
            long_term_risk: -cvar_lowest(&negated(&drawdown(values)), RISK_TAIL)?,
        })
    }
}

/// Dispersion across runs: the interquartile range over runs at each point. `curves[run][point]`
/// are values at the same times for all runs; the result has one value per point. Returns `None`
/// without curves, if they differ in length, or if a number is not finite.
pub fn dispersion_across_runs(curves: &[&[f64]]) -> Option<Vec<f64>> {
    let length = curves.first()?.len();
    if curves.iter().any(|curve| curve.len() != length) {
        return None;
    }
    (0..length)
        .map(|point| {
            let column: Vec<f64> = curves.iter().map(|curve| curve[point]).collect();
            interquartile_range(&column)
        })
        .collect()
}

/// Slopes between consecutive points of a curve, one fewer than points. Returns `None` where
/// [`Reliability::of`] does.
pub fn slopes(times: &[f64], values: &[f64]) -> Option<Vec<f64>> {
    let finite = all_finite(times) && all_finite(values);
    if values.len() < 2 || times.len() != values.len() || !finite {
        return None;
    }
    let steps = times.windows(2).zip(values.windows(2));
    steps
        .map(|(time, value)| {
            let elapsed = time[1] - time[0];
            (elapsed > 0.0).then(|| (value[1] - value[0]) / elapsed)
        })
        .collect()
}

/// Drawdown at each point of a curve: the highest value so far minus the value.
pub fn drawdown(values: &[f64]) -> Vec<f64> {
    let mut peak = f64::NEG_INFINITY;
    let below = |&value: &f64| {
        peak = peak.max(value);
        peak - value
    };
    values.iter().map(below).collect()
}

/// The 75 % quantile minus the 25 % quantile. Returns `None` without values, or if one is not
/// finite.
pub fn interquartile_range(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values)?;
    Some(quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?)
}

/// Conditional value at risk, also called expected shortfall (Acerbi & Tasche 2002): the mean of
/// the values up to and including the `tail`-quantile, `0 ≤ tail ≤ 1`. Returns `None` without
/// values, or if one is not finite.
pub fn cvar_lowest(values: &[f64], tail: f64) -> Option<f64> {
    let sorted = sorted(values)?;
    let last = sorted.len().checked_sub(1)?;
    // The quantile lies between this value and the next. All values equal to it are included.
    let limit = sorted[(tail.clamp(0.0, 1.0) * last as f64) as usize];
    let within = sorted.partition_point(|&value| value <= limit);
    mean(&sorted[..within])
}

fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    let mut sorted = all_finite(values).then(|| values.to_vec())?;
    sorted.sort_unstable_by(f64::total_cmp);
    Some(sorted)
}

fn negated(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| -value).collect()
}

fn all_finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn a_curve_matches_values_computed_by_hand() {
        let values = [0.0, 0.4, 0.2, 0.8, 0.5];
        // Slopes over steps of two time units: 0.2, −0.1, 0.3, −0.15; quartiles −0.1125 and 0.225.
        let reliability = Reliability::of(&[0.0, 2.0, 4.0, 6.0, 8.0], &values).unwrap();
        near(reliability.dispersion_across_time, 0.3375);
        near(reliability.short_term_risk, -0.15);
        // The drawdown is 0, 0, 0.2, 0, 0.3.
        near(reliability.long_term_risk, 0.3);
    }

    #[test]
    fn a_steady_rise_has_no_dispersion_and_no_drawdown() {
        let times: Vec<f64> = (0..50).map(f64::from).collect();
        let values: Vec<f64> = times.iter().map(|time| 3.0 * time).collect();
        let reliability = Reliability::of(&times, &values).unwrap();
        near(reliability.dispersion_across_time, 0.0);
        near(reliability.short_term_risk, 3.0);
        near(reliability.long_term_risk, 0.0);
    }

    #[test]
    fn the_tail_includes_its_quantile() {
        let values: Vec<f64> = (1..=21).map(f64::from).collect();
        // The 10 % quantile is 3, and the mean of 1, 2, 3 is 2.
        near(cvar_lowest(&values, 0.1).unwrap(), 2.0);
        near(cvar_lowest(&values, 0.0).unwrap(), 1.0);
        near(cvar_lowest(&values, 1.0).unwrap(), 11.0);
    }

    #[test]
    fn dispersion_across_runs_is_computed_at_each_point() {
        let curves: [&[f64]; 3] = [&[1.0, 0.0], &[1.0, 4.0], &[1.0, 2.0]];
        assert_eq!(dispersion_across_runs(&curves), Some(vec![0.0, 2.0]));
        assert_eq!(dispersion_across_runs(&[&[1.0], &[1.0, 2.0]]), None);
        assert_eq!(dispersion_across_runs(&[]), None);
    }

    #[test]
    fn invalid_curves_have_no_reliability() {
        for (times, values) in [
            (&[0.0][..], &[1.0][..]),
            (&[0.0, 1.0], &[1.0]),
            (&[1.0, 1.0], &[1.0, 2.0]),
            (&[0.0, 1.0], &[1.0, f64::NAN]),
            (&[0.0, f64::INFINITY], &[1.0, 2.0]),
        ] {
            assert_eq!(Reliability::of(times, values), None, "{times:?} {values:?}");
        }
        assert_eq!(cvar_lowest(&[], 0.1), None);
    }
}
