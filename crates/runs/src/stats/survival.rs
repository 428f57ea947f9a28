//! How long runs last: the product-limit estimate of Kaplan & Meier 1958, for runs some of which
//! ended well (are *censored*) before anything happened to them. Agrees with `lifelines`.

use serde::{Deserialize, Serialize};

use super::{Estimate, Z95};

/// How long one run was watched, and why no longer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lifetime {
    /// When it was last seen, at least 0, in any unit (optimiser steps, environment steps).
    pub time: f64,
    /// Whether it failed then. If not, it was still well.
    pub failed: bool,
}

/// A survival curve: a staircase that falls where runs failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Survival {
    /// How many runs there were.
    pub runs: u64,
    /// One point for each distinct time at which a run failed or was last seen, in order.
    pub points: Vec<SurvivalPoint>,
}

/// A survival curve from one time up to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SurvivalPoint {
    /// When.
    pub time: f64,
    /// Runs that were watched until then, those that failed then included.
    pub at_risk: u64,
    /// Runs that failed then.
    pub failed: u64,
    /// Runs last seen then, still well. A run that fails at the same time fails before.
    pub censored: u64,
    /// The chance to last longer than `time`. Its 95 % interval is the log-log transform of
    /// Greenwood's (Kalbfleisch & Prentice 1980): it stays within 0 and 1, and has no width where
    /// the estimate is 1 or 0. Before the first failure it therefore says nothing; Wilson's
    /// interval of the share that failed does.
    pub survival: Estimate,
    /// Variance of the estimate (Greenwood 1926); 0 where the estimate is 0.
    pub variance: f64,
}

/// Estimates a survival curve. Absent without runs, and where a time is negative or not finite.
pub fn kaplan_meier(lifetimes: &[Lifetime]) -> Option<Survival> {
    let valid = |one: &Lifetime| one.time.is_finite() && one.time >= 0.0;
    if lifetimes.is_empty() || !lifetimes.iter().all(valid) {
        return None;
    }
    let mut ordered = lifetimes.to_vec();
    ordered.sort_by(|a, b| a.time.total_cmp(&b.time));
    let mut at_risk = ordered.len() as u64;
    let (mut share, mut hazard_variance) = (1.0, 0.0);
    let mut points = Vec::new();
    for group in ordered.chunk_by(|a, b| a.time.total_cmp(&b.time).is_eq()) {
        let failed = group.iter().filter(|one| one.failed).count() as u64;
        let (n, d) = (at_risk as f64, failed as f64);
        share *= 1.0 - d / n;
        // Greenwood's sum. Where all that are left fail, it is infinite and the share is 0.
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

/// S^exp(±z √Σ / ln S), Σ being Greenwood's sum.
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
    /// The chance to last longer than `time`. What happens after the last run was seen is not
    /// known, and the last estimate is given for it.
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

    /// When half have failed: the first time with a survival of at most ½. Absent where more than
    /// half last.
    pub fn median(&self) -> Option<f64> {
        // A share of exactly ½ is a product of others, and may come out a little above it.
        const HALF: f64 = 0.5 + 1e-12;
        let half = self.points.iter().find(|p| p.survival.value <= HALF);
        half.map(|point| point.time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetimes(of: &[(f64, bool)]) -> Vec<Lifetime> {
        of.iter()
            .map(|&(time, failed)| Lifetime { time, failed })
            .collect()
    }

    #[test]
    fn a_curve_worked_out_by_hand() {
        // Five runs: failed at 2, well at 3, failed at 5 and 5, well at 9.
        let runs = lifetimes(&[
            (5.0, true),
            (3.0, false),
            (2.0, true),
            (9.0, false),
            (5.0, true),
        ]);
        let curve = kaplan_meier(&runs).unwrap();
        let seen: Vec<_> = curve
            .points
            .iter()
            .map(|p| (p.time, p.at_risk, p.failed, p.censored))
            .collect();
        assert_eq!(
            seen,
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
    fn the_median_is_when_exactly_half_have_failed() {
        // 1 − 1/20, and so on down to 10/20, multiplied up.
        let runs: Vec<Lifetime> = (1..=20)
            .map(|time| Lifetime {
                time: f64::from(time),
                failed: true,
            })
            .collect();
        assert_eq!(kaplan_meier(&runs).unwrap().median(), Some(10.0));
    }

    #[test]
    fn none_failing_and_all_failing_stay_within_bounds() {
        let well = kaplan_meier(&lifetimes(&[(4.0, false); 3])).unwrap();
        assert!((well.at(4.0).low - 1.0).abs() < 1e-12);
        assert_eq!(well.median(), None);
        let gone = kaplan_meier(&lifetimes(&[(4.0, true); 3])).unwrap();
        assert!(gone.points[0].variance.abs() < 1e-12 && gone.at(4.0).high.abs() < 1e-12);
        assert_eq!(gone.median(), Some(4.0));
    }

    #[test]
    fn what_is_no_lifetime_has_no_curve() {
        assert_eq!(kaplan_meier(&[]), None);
        for time in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(kaplan_meier(&lifetimes(&[(time, true)])), None);
        }
    }
}
