//! The measures of METRICS.md as a list, for whoever shows or averages all of them.

use serde::Serialize;

use super::PROXEMIC_M;
use crate::stats::{Average, Estimate};
use crate::telemetry::{DrivingQualitySummary, EvalSummary};
use evenkeel_sim::env::Outcome;

/// One figure over the episodes of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EvalMetric {
    /// What tables call it.
    pub name: String,
    /// Its unit; empty for a bare number and for a share.
    pub unit: &'static str,
    /// Whether it is a share of episodes or of time, shown in per cent.
    pub share: bool,
    #[serde(skip)]
    display: DisplayRule,
    /// The figure; absent where there is none.
    pub average: Option<Average>,
}

/// When one evaluation's table shows a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum DisplayRule {
    /// Always, be it as a dash.
    Always,
    /// Where there is a figure: of movers, where there are any.
    IfMeasured,
    /// Where it came about: an ending other than the goal.
    IfNonZero,
}

impl EvalMetric {
    /// Whether it has something to say of one evaluation.
    pub fn is_displayed(&self) -> bool {
        match self.display {
            DisplayRule::Always => true,
            DisplayRule::IfMeasured => self.average.is_some(),
            DisplayRule::IfNonZero => self.average.is_some_and(|average| average.value > 0.0),
        }
    }
}

/// Every measure, in the order in which tables show them: the same for every evaluation.
pub fn metrics(summary: &EvalSummary) -> Vec<EvalMetric> {
    let mut all = vec![rate("success rate", Some(summary.success))];
    for (index, outcome) in Outcome::ALL.iter().enumerate() {
        if *outcome != Outcome::Goal {
            let name = format!("ended by {}", outcome.name().replace('_', " "));
            let ends = summary.outcome_rates.map(|rates| rates[index]);
            all.push(EvalMetric {
                display: DisplayRule::IfNonZero,
                ..rate(&name, ends)
            });
        }
    }
    all.extend([
        mean("SPL, success weighted by path length", "", summary.spl),
        mean("SoftSPL", "", summary.soft_spl),
        mean("SCT, success weighted by time", "", summary.sct),
        mean("time to goal, successes", "s", summary.time_to_goal_secs),
        mean("return", "", Some(summary.episodic_return)),
        mean("episode length", "control steps", Some(summary.length)),
        mean("least clearance", "m", Some(summary.min_clearance_m)),
    ]);
    add_driving_quality(&mut all, summary.driving_quality.as_deref());
    all.push(mean("mean |jerk|", "m/s³", Some(summary.jerk_mps3)));
    all
}

fn add_driving_quality(all: &mut Vec<EvalMetric>, driving_quality: Option<&DrivingQualitySummary>) {
    let margin = driving_quality.map_or(super::SAFETY_MARGIN_M, |driving_quality| {
        driving_quality.margin_m
    });
    let below = format!("time with less than {margin} m of clearance");
    let secs = driving_quality.map(|driving_quality| driving_quality.below_margin_secs);
    all.push(mean(&below, "s an episode", secs));
    for (band, distance) in PROXEMIC_M.iter().enumerate() {
        let within =
            driving_quality.and_then(|driving_quality| Some(driving_quality.proxemics?[band]));
        let name = format!("share of time within {distance} m of a mover");
        all.push(EvalMetric {
            share: true,
            display: DisplayRule::IfMeasured,
            ..mean(&name, "", within)
        });
    }
    let irregularity =
        driving_quality.and_then(|driving_quality| driving_quality.irregularity_radpm);
    all.push(mean("path irregularity", "rad/m", irregularity));
    all.extend([
        rate(
            "stuck at some time",
            driving_quality.map(|driving_quality| driving_quality.stuck),
        ),
        rate(
            "spinning at some time",
            driving_quality.map(|driving_quality| driving_quality.spinning),
        ),
        rate(
            "oscillating at some time",
            driving_quality.map(|driving_quality| driving_quality.oscillating),
        ),
        rate(
            "grazing at some time",
            driving_quality.map(|driving_quality| driving_quality.grazing),
        ),
    ]);
}

/// A share of episodes. Wilson's interval holds for few of them, too.
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

/// The mean of one measure over several evaluations, each weighing the same, with the interval
/// that theirs make (Zou & Donner 2008, "method of variance estimates recovery"): for one alone it
/// is that one's. Absent where one of them has no figure, without an interval where one has none.
pub(super) fn mean_over_scenarios(figures: &[Option<Average>]) -> Option<Average> {
    let figures: Vec<Average> = figures.iter().copied().collect::<Option<_>>()?;
    let count = figures.len() as f64;
    let value = figures.iter().map(|average| average.value).sum::<f64>() / count;
    let root = |distance: fn(&Average) -> Option<f64>| {
        let squares = figures
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
    fn a_mean_has_the_interval_that_its_parts_make() {
        // Half-widths 0.3 and 0.4 below, 0.6 and 0.8 above: 0.5 and 1.0 together, halved.
        let parts = [average(1.0, 0.7, 1.6), average(3.0, 2.6, 3.8)].map(Some);
        let mean = mean_over_scenarios(&parts).unwrap();
        let expect = [2.0, 2.0 - 0.25, 2.0 + 0.5];
        for (found, expect) in [mean.value, mean.low.unwrap(), mean.high.unwrap()]
            .into_iter()
            .zip(expect)
        {
            assert!((found - expect).abs() < 1e-12, "{found} is not {expect}");
        }
        let alone = mean_over_scenarios(&parts[..1]).unwrap();
        assert!((alone.low.unwrap() - 0.7).abs() < 1e-12);
        assert_eq!(mean_over_scenarios(&[parts[0], None]), None);
        assert_eq!(mean_over_scenarios(&[]), None);
    }
}
