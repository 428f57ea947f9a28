//! The navigation metrics of `docs/metrics.md` as a list, to display or average all of them.

use serde::Serialize;

use super::PROXEMIC_M;
use crate::stats::{Average, Estimate};
use crate::telemetry::{DrivingQualitySummary, EvalSummary};
use evenkeel_sim::env::Outcome;

/// One metric over the episodes of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvalMetric {
    /// Display name.
    pub name: String,
    /// Unit; empty for a plain number and for a share.
    pub unit: &'static str,
    /// Whether it is a share of episodes or of time, displayed in per cent.
    pub share: bool,
    #[serde(skip)]
    display: DisplayRule,
    /// Average over episodes; `None` if not measured.
    pub average: Option<Average>,
}

/// When the table of one evaluation displays a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
enum DisplayRule {
    /// Always, with a dash for a missing value.
    Always,
    /// If it was measured. For metrics of movers.
    IfMeasured,
    /// If it is above 0. For outcomes other than the goal.
    IfNonZero,
}

impl EvalMetric {
    /// Whether the table of one evaluation displays it.
    pub fn is_displayed(&self) -> bool {
        match self.display {
            DisplayRule::Always => true,
            DisplayRule::IfMeasured => self.average.is_some(),
            DisplayRule::IfNonZero => self.average.is_some_and(|average| average.value > 0.0),
        }
    }
}

/// All metrics of an evaluation in the order of tables. Number and order are the same for each
/// evaluation.
pub fn metrics(summary: &EvalSummary) -> Vec<EvalMetric> {
    let mut metrics = vec![rate("success rate", Some(summary.success))];
    for (index, outcome) in Outcome::ALL.iter().enumerate() {
        if *outcome != Outcome::Goal {
            let end = match outcome {
                Outcome::CollisionStatic => "collision with an obstacle".to_owned(),
                Outcome::CollisionMover => "collision with a mover".to_owned(),
                other => other.name().replace('_', " "),
            };
            let name = format!("ended by {end}");
            let outcome_rate = summary.outcome_rates.map(|rates| rates[index]);
            metrics.push(EvalMetric {
                display: DisplayRule::IfNonZero,
                ..rate(&name, outcome_rate)
            });
        }
    }
    metrics.extend([
        mean("SPL, success weighted by path length", "", summary.spl),
        mean("SoftSPL", "", summary.soft_spl),
        mean("SCT, success weighted by time", "", summary.sct),
        mean("time to goal, successes", "s", summary.time_to_goal_secs),
        mean("return", "", Some(summary.episodic_return)),
        mean("episode length", "control steps", Some(summary.length)),
        mean("least clearance", "m", Some(summary.min_clearance_m)),
    ]);
    metrics.extend(driving_quality_metrics(summary.driving_quality.as_deref()));
    metrics.push(mean("mean |jerk|", "m/s³", Some(summary.jerk_mps3)));
    metrics
}

fn driving_quality_metrics(quality: Option<&DrivingQualitySummary>) -> Vec<EvalMetric> {
    let mut metrics = Vec::new();
    let margin = quality.map_or(super::SAFETY_MARGIN_M, |quality| quality.margin_m);
    let below = format!("time with less than {margin} m of clearance");
    let secs = quality.map(|quality| quality.below_margin_secs);
    metrics.push(mean(&below, "s per episode", secs));
    for (band, distance) in PROXEMIC_M.iter().enumerate() {
        let within = quality.and_then(|quality| Some(quality.proxemics?[band]));
        let name = format!("share of time within {distance} m of a mover");
        metrics.push(EvalMetric {
            share: true,
            display: DisplayRule::IfMeasured,
            ..mean(&name, "", within)
        });
    }
    let irregularity = quality.and_then(|quality| quality.irregularity_radpm);
    metrics.push(mean("path irregularity", "rad/m", irregularity));
    let stuck = quality.map(|quality| quality.stuck);
    let spinning = quality.map(|quality| quality.spinning);
    let oscillating = quality.map(|quality| quality.oscillating);
    let grazing = quality.map(|quality| quality.grazing);
    metrics.extend([
        rate("stuck at some time", stuck),
        rate("spinning at some time", spinning),
        rate("oscillating at some time", oscillating),
        rate("grazing at some time", grazing),
    ]);
    metrics
}

/// A share of episodes. Its Wilson interval is valid for few episodes, too.
fn rate(name: &str, rate: Option<Estimate>) -> EvalMetric {
    let average = rate.map(|rate| Average {
        value: rate.value,
        low: Some(rate.low),
        high: Some(rate.high),
    });
    EvalMetric {
        share: true,
        ..mean(name, "", average)
    }
}

fn mean(name: &str, unit: &'static str, average: Option<Average>) -> EvalMetric {
    EvalMetric {
        name: name.to_owned(),
        unit,
        share: false,
        display: DisplayRule::Always,
        average,
    }
}

/// Mean of one metric over several scenarios with equal weights. Its interval combines those of the
/// scenarios ("method of variance estimates recovery", Zou & Donner 2008). Returns `None` without
/// scenarios or if one has no value, and no interval if one has none.
pub(super) fn mean_over_scenarios(averages: &[Option<Average>]) -> Option<Average> {
    let averages: Vec<Average> = averages.iter().copied().collect::<Option<_>>()?;
    let count = averages.len() as f64;
    let value = averages.iter().map(|average| average.value).sum::<f64>() / count;
    let root = |distance: fn(&Average) -> Option<f64>| {
        let squares = averages
            .iter()
            .map(|average| Some(distance(average)?.powi(2)));
        let sum: Option<f64> = squares.sum();
        Some(sum?.sqrt() / count)
    };
    let below = root(|average| Some(average.value - average.low?));
    let above = root(|average| Some(average.high? - average.value));
    (count > 0.0).then(|| Average {
        value,
        low: below.map(|below| value - below),
        high: above.map(|above| value + above),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average(value: f64, low: f64, high: f64) -> Average {
        Average {
            value,
            low: Some(low),
            high: Some(high),
        }
    }

    #[test]
    fn the_interval_of_a_mean_combines_those_of_the_scenarios() {
        // Distances 0.3 and 0.4 below, 0.6 and 0.8 above: the roots of the sums of squares are 0.5
        // and 1.0, divided by two scenarios.
        let averages = [average(1.0, 0.7, 1.6), average(3.0, 2.6, 3.8)].map(Some);
        let mean = mean_over_scenarios(&averages).unwrap();
        let expected = [2.0, 2.0 - 0.25, 2.0 + 0.5];
        for (actual, expected) in [mean.value, mean.low.unwrap(), mean.high.unwrap()]
            .into_iter()
            .zip(expected)
        {
            assert!(
                (actual - expected).abs() < 1e-12,
                "{actual} is not {expected}"
            );
        }
        let single = mean_over_scenarios(&averages[..1]).unwrap();
        assert!((single.low.unwrap() - 0.7).abs() < 1e-12);
        assert_eq!(mean_over_scenarios(&[averages[0], None]), None);
        assert_eq!(mean_over_scenarios(&[]), None);
    }
}
