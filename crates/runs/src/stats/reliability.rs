//! How reliably an algorithm trains, from its learning curves: Chan et al. 2020 ("Measuring the
//! Reliability of Reinforcement Learning Algorithms", <https://arxiv.org/abs/1912.05663>, §4), as
//! the authors' package `rl-reliability-metrics` computes them with its window set to the whole
//! curve and no low-pass filter.

use serde::{Deserialize, Serialize};

use super::{mean, quantile};

/// The tail that risks are the mean of, as in the paper.
pub const RISK_TAIL: f64 = 0.05;

/// What one learning curve says about reliability. The unit is the curve's own, for the first two
/// per unit of its time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reliability {
    /// Dispersion across time: interquartile range of the curve's [`slopes`]. Taking differences
    /// removes the trend, so that learning itself is no dispersion. Less is better.
    pub dispersion_across_time: f64,
    /// Short-term risk across time: mean of the worst 5 % of the [`slopes`]. Below 0 where the
    /// curve falls; higher is better.
    pub short_term_risk: f64,
    /// Long-term risk across time: mean of the largest 5 % of the [`drawdown`]. At least 0; less is
    /// better.
    pub long_term_risk: f64,
}

impl Reliability {
    /// Reads a curve: `values[i]` at `times[i]`, times rising. Absent with fewer than two points,
    /// where the two are not of one length, where times do not rise, and where a number is not
    /// finite.
    pub fn of(times: &[f64], values: &[f64]) -> Option<Self> {
        let slopes = slopes(times, values)?;
        Some(Self {
            dispersion_across_time: interquartile_range(&slopes)?,
            short_term_risk: cvar_lowest(&slopes, RISK_TAIL)?,
            long_term_risk: -cvar_lowest(&negated(&drawdown(values)), RISK_TAIL)?,
        })
    }
}

/// Dispersion across runs: at each point, the interquartile range over curves that were read at
/// the same times. Absent without curves, where they are not of one length, and where a number is
/// not finite.
pub fn dispersion_across_runs(curves: &[&[f64]]) -> Option<Vec<f64>> {
    let length = curves.first()?.len();
    let alike = |curve: &&[f64]| curve.len() == length;
    if !curves.iter().all(alike) {
        return None;
    }
    (0..length)
        .map(|point| {
            let column: Vec<f64> = curves.iter().map(|curve| curve[point]).collect();
            interquartile_range(&column)
        })
        .collect()
}

/// Slope from each point of a curve to the next, which does not depend on how often it was read.
/// Absent where [`Reliability::of`] is.
pub fn slopes(times: &[f64], values: &[f64]) -> Option<Vec<f64>> {
    let known = finite(times) && finite(values);
    if values.len() < 2 || times.len() != values.len() || !known {
        return None;
    }
    let steps = times.windows(2).zip(values.windows(2));
    steps
        .map(|(time, value)| {
            let passed = time[1] - time[0];
            (passed > 0.0).then(|| (value[1] - value[0]) / passed)
        })
        .collect()
}

/// At each point of a curve, how far it is below its highest value so far.
pub fn drawdown(values: &[f64]) -> Vec<f64> {
    let mut peak = f64::NEG_INFINITY;
    let below = |&value: &f64| {
        peak = peak.max(value);
        peak - value
    };
    values.iter().map(below).collect()
}

/// The 75 % quantile less the 25 % quantile. Absent without values, and where one is not finite.
pub fn interquartile_range(values: &[f64]) -> Option<f64> {
    let sorted = sorted(values)?;
    Some(quantile(&sorted, 0.75)? - quantile(&sorted, 0.25)?)
}

/// Conditional value at risk: the mean of the values up to the `tail`-quantile, `0 ≤ tail ≤ 1`,
/// which is counted in (expected shortfall; Acerbi & Tasche 2002). Absent without values, and where
/// one is not finite.
pub fn cvar_lowest(values: &[f64], tail: f64) -> Option<f64> {
    let sorted = sorted(values)?;
    let last = sorted.len().checked_sub(1)?;
    // Those up to the quantile, which lies between this one and the next, and its equals.
    let limit = sorted[(tail.clamp(0.0, 1.0) * last as f64) as usize];
    let within = sorted.partition_point(|&value| value <= limit);
    mean(&sorted[..within])
}

fn sorted(values: &[f64]) -> Option<Vec<f64>> {
    let mut sorted = finite(values).then(|| values.to_vec())?;
    sorted.sort_unstable_by(f64::total_cmp);
    Some(sorted)
}

fn negated(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| -value).collect()
}

fn finite(values: &[f64]) -> bool {
    values.iter().all(|value| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-12, "{a} is not {b}");
    }

    #[test]
    fn a_curve_worked_out_by_hand() {
        let values = [0.0, 0.4, 0.2, 0.8, 0.5];
        // Slopes over two units of time: 0.2, −0.1, 0.3, −0.15; quartiles −0.1125 and 0.225.
        let read = Reliability::of(&[0.0, 2.0, 4.0, 6.0, 8.0], &values).unwrap();
        near(read.dispersion_across_time, 0.3375);
        near(read.short_term_risk, -0.15);
        // 0, 0, 0.2, 0, 0.3.
        near(read.long_term_risk, 0.3);
    }

    #[test]
    fn a_steady_rise_has_neither_dispersion_nor_risk_of_loss() {
        let times: Vec<f64> = (0..50).map(f64::from).collect();
        let values: Vec<f64> = times.iter().map(|time| 3.0 * time).collect();
        let read = Reliability::of(&times, &values).unwrap();
        near(read.dispersion_across_time, 0.0);
        near(read.short_term_risk, 3.0);
        near(read.long_term_risk, 0.0);
    }

    #[test]
    fn the_tail_holds_its_quantile() {
        let values: Vec<f64> = (1..=21).map(f64::from).collect();
        // The 10 % quantile is 3, and the mean of 1, 2, 3 is 2.
        near(cvar_lowest(&values, 0.1).unwrap(), 2.0);
        near(cvar_lowest(&values, 0.0).unwrap(), 1.0);
        near(cvar_lowest(&values, 1.0).unwrap(), 11.0);
    }

    #[test]
    fn runs_apart_are_dispersed_where_they_are_apart() {
        let curves: [&[f64]; 3] = [&[1.0, 0.0], &[1.0, 4.0], &[1.0, 2.0]];
        assert_eq!(dispersion_across_runs(&curves), Some(vec![0.0, 2.0]));
        assert_eq!(dispersion_across_runs(&[&[1.0], &[1.0, 2.0]]), None);
        assert_eq!(dispersion_across_runs(&[]), None);
    }

    #[test]
    fn what_is_no_curve_has_no_reliability() {
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
