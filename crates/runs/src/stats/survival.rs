//! Survival curves: the product-limit estimate (Kaplan & Meier 1958) of how long runs last without
//! a failure. Runs that end without a failure are *censored*. Results agree with `lifelines`.

use serde::{Deserialize, Serialize};

use super::{Estimate, Z95};

/// Observation time of one run, and whether it ended with a failure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lifetime {
    /// Time of the failure or of the end of the run, at least 0. Any unit, such as optimiser steps
    /// or environment steps.
    pub time: f64,
    /// Whether the run failed at that time. Otherwise it is censored.
    pub failed: bool,
}

/// A survival curve: a step function that falls where runs failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Survival {
    /// Number of runs.
    pub runs: u64,
    /// One point for each distinct time at which a run failed or was censored, in order.
    pub points: Vec<SurvivalPoint>,
}

/// The value of a survival curve from `time` up to the next point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurvivalPoint {
    /// Start of the interval, in the unit of [`Lifetime::time`].
    pub time: f64,
    /// Number of runs that lasted until `time`, including those that fail at it.
    pub at_risk: u64,
    /// Number of runs that failed at `time`.
    pub failed: u64,
    /// Number of runs censored at `time`. Failures at the same time count as earlier.
    pub censored: u64,
    /// Probability of lasting longer than `time`. The 95 % interval is the log-log transform of
    /// Greenwood's interval (Kalbfleisch & Prentice 1980). It stays within 0 and 1, and has no
    /// width where the estimate is 0 or 1; before the first failure, use the Wilson interval of the
    /// share of failed runs instead.
    pub survival: Estimate,
    /// Variance of the estimate (Greenwood 1926); 0 where the estimate is 0.
    pub variance: f64,
}

/// Estimates a survival curve. Returns `None` without runs, or if a time is negative or not finite.
pub fn kaplan_meier(lifetimes: &[Lifetime]) -> Option<Survival> {
    let valid = |lifetime: &Lifetime| lifetime.time.is_finite() && lifetime.time >= 0.0;
    if lifetimes.is_empty() || !lifetimes.iter().all(valid) {
        return None;
    }
    let mut ordered = lifetimes.to_vec();
    ordered.sort_by(|a, b| a.time.total_cmp(&b.time));
    let mut at_risk = ordered.len() as u64;
    let (mut share, mut hazard_variance) = (1.0, 0.0);
    let mut points = Vec::new();
    for group in ordered.chunk_by(|a, b| a.time.total_cmp(&b.time).is_eq()) {
        let failed = group.iter().filter(|lifetime| lifetime.failed).count() as u64;
        let (n, d) = (at_risk as f64, failed as f64);
        share *= 1.0 - d / n;
        // Greenwood's sum. If all remaining runs fail, the sum is infinite and the share is 0.
        hazard_variance += if failed < at_risk {
            d / (n * (n - d))
        } else {
            0.0
        };
        points.push(SurvivalPoint {
            time: group[0].time,
            at_risk,
            failed,
            censored: group.len() as u64 - failed,
            survival: log_log(share, hazard_variance),
            variance: share * share * hazard_variance,
        });
        at_risk -= group.len() as u64;
    }
    Some(Survival {
        runs: lifetimes.len() as u64,
        points,
    })
}

/// The interval S^exp(±z √Σ / ln S), where Σ is Greenwood's sum.
fn log_log(share: f64, hazard_variance: f64) -> Estimate {
    if share <= 0.0 || share >= 1.0 {
        return Estimate {
            value: share,
            low: share,
            high: share,
        };
    }
    let width = Z95 * hazard_variance.sqrt() / share.ln();
    Estimate {
        value: share,
        low: share.powf((-width).exp()),
        high: share.powf(width.exp()),
    }
}

impl Survival {
    /// Probability of lasting longer than `time`. Beyond the last point, this is the last estimate.
    pub fn at(&self, time: f64) -> Estimate {
        let passed = self.points.partition_point(|point| point.time <= time);
        passed.checked_sub(1).map_or(
            Estimate {
                value: 1.0,
                low: 1.0,
                high: 1.0,
            },
            |last| self.points[last].survival,
        )
    }

    /// Median survival time: the first time with a survival of at most ½. Returns `None` if the
    /// curve stays above ½.
    pub fn median(&self) -> Option<f64> {
        // An exact ½ is computed as a product and may be slightly above ½.
        const HALF: f64 = 0.5 + 1e-12;
        let half = self.points.iter().find(|p| p.survival.value <= HALF);
        half.map(|point| point.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetimes(runs: &[(f64, bool)]) -> Vec<Lifetime> {
        runs.iter()
            .map(|&(time, failed)| Lifetime { time, failed })
            .collect()
    }

    #[test]
    fn a_curve_matches_values_computed_by_hand() {
        // Five runs: failures at 2, 5 and 5; censored at 3 and 9.
        let runs = lifetimes(&[
            (5.0, true),
            (3.0, false),
            (2.0, true),
            (9.0, false),
            (5.0, true),
        ]);
        let curve = kaplan_meier(&runs).unwrap();
        let points: Vec<_> = curve
            .points
            .iter()
            .map(|p| (p.time, p.at_risk, p.failed, p.censored))
            .collect();
        assert_eq!(
            points,
            [
                (2.0, 5, 1, 0),
                (3.0, 4, 0, 1),
                (5.0, 3, 2, 0),
                (9.0, 1, 0, 1)
            ]
        );
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} is not {b}");
        near(curve.at(1.9).value, 1.0);
        near(curve.at(4.0).value, 4.0 / 5.0);
        near(curve.at(5.0).value, 4.0 / 5.0 * 1.0 / 3.0);
        near(curve.at(1e9).value, 4.0 / 15.0);
        near(curve.points[1].variance, 0.64 * (1.0 / 20.0));
        near(
            curve.points[2].variance,
            (4.0_f64 / 15.0).powi(2) * (1.0 / 20.0 + 2.0 / 3.0),
        );
        assert_eq!(curve.median(), Some(5.0));
    }

    #[test]
    fn the_median_is_the_time_at_which_exactly_half_have_failed() {
        // The survival of 10/20 is the product 19/20 · 18/19 · … · 10/11.
        let runs: Vec<Lifetime> = (1..=20)
            .map(|time| Lifetime {
                time: f64::from(time),
                failed: true,
            })
            .collect();
        assert_eq!(kaplan_meier(&runs).unwrap().median(), Some(10.0));
    }

    #[test]
    fn survival_stays_within_bounds_if_no_run_or_every_run_fails() {
        let censored = kaplan_meier(&lifetimes(&[(4.0, false); 3])).unwrap();
        assert!((censored.at(4.0).low - 1.0).abs() < 1e-12);
        assert_eq!(censored.median(), None);
        let failed = kaplan_meier(&lifetimes(&[(4.0, true); 3])).unwrap();
        assert!(failed.points[0].variance.abs() < 1e-12 && failed.at(4.0).high.abs() < 1e-12);
        assert_eq!(failed.median(), Some(4.0));
    }

    #[test]
    fn invalid_lifetimes_have_no_curve() {
        assert_eq!(kaplan_meier(&[]), None);
        for time in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(kaplan_meier(&lifetimes(&[(time, true)])), None);
        }
    }
}
