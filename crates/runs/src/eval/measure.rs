//! The measures of METRICS.md as a list, for whoever shows or averages all of them.

use serde::Serialize;

use super::PROXEMIC_M;
use crate::stats::{Average, Estimate};
use crate::telemetry::{ConductSummary, EvalSummary};
use evenkeel_sim::env::Outcome;

/// One figure over the episodes of an evaluation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measure {
    /// What tables call it.
    pub name: String,
    /// Its unit; empty for a bare number and for a share.
    pub unit: &'static str,
    /// Whether it is a share of episodes or of time, shown in per cent.
    pub share: bool,
    #[serde(skip)]
    shown: Shown,
    /// The figure; absent where there is none.
    pub figure: Option<Average>,
}

/// When one evaluation's table shows a measure.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shown {
    /// Always, be it as a dash.
    Always,
    /// Where there is a figure: of movers, where there are any.
    Measured,
    /// Where it came about: an ending other than the goal.
    Happened,
}

impl Measure {
    /// Whether it has something to say of one evaluation.
    pub fn is_telling(&self) -> bool {
        match self.shown {
            Shown::Always => true,
            Shown::Measured => self.figure.is_some(),
            Shown::Happened => self.figure.is_some_and(|figure| figure.value > 0.0),
        }
    }
}

/// Every measure, in the order in which tables show them: the same for every evaluation.
pub fn measures(summary: &EvalSummary) -> Vec<Measure> {
    let mut all = vec![rate("success rate", Some(summary.success))];
    for (index, outcome) in Outcome::ALL.iter().enumerate() {
        if *outcome != Outcome::Goal {
            let name = format!("ended by {}", outcome.name().replace('_', " "));
            let ends = summary.outcome_rates.map(|rates| rates[index]);
            all.push(Measure {
                shown: Shown::Happened,
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
    conduct(&mut all, summary.conduct.as_deref());
    all.push(mean("mean |jerk|", "m/s³", Some(summary.jerk_mps3)));
    all
}

fn conduct(all: &mut Vec<Measure>, conduct: Option<&ConductSummary>) {
    let margin = conduct.map_or(super::SAFETY_MARGIN_M, |conduct| conduct.margin_m);
    let below = format!("time with less than {margin} m of clearance");
    let secs = conduct.map(|conduct| conduct.below_margin_secs);
    all.push(mean(&below, "s an episode", secs));
    for (band, distance) in PROXEMIC_M.iter().enumerate() {
        let within = conduct.and_then(|conduct| Some(conduct.proxemics?[band]));
        let name = format!("share of time within {distance} m of a mover");
        all.push(Measure {
            share: true,
            shown: Shown::Measured,
            ..mean(&name, "", within)
        });
    }
    let irregularity = conduct.and_then(|conduct| conduct.irregularity_radpm);
    all.push(mean("path irregularity", "rad/m", irregularity));
    all.extend([
        rate("stuck at some time", conduct.map(|conduct| conduct.stuck)),
        rate(
            "spinning at some time",
            conduct.map(|conduct| conduct.spinning),
        ),
        rate(
            "oscillating at some time",
            conduct.map(|conduct| conduct.oscillating),
        ),
        rate(
            "grazing at some time",
            conduct.map(|conduct| conduct.grazing),
        ),
    ]);
}

/// A share of episodes. Wilson's interval holds for few of them, too.
fn rate(name: &str, rate: Option<Estimate>) -> Measure {
    let figure = rate.map(|rate| Average {
        value: rate.value,
        low: Some(rate.low),
        high: Some(rate.high),
    });
    Measure {
        share: true,
        ..mean(name, "", figure)
    }
}

fn mean(name: &str, unit: &'static str, figure: Option<Average>) -> Measure {
    Measure {
        name: name.to_owned(),
        unit,
        share: false,
        shown: Shown::Always,
        figure,
    }
}

/// The mean of one measure over several evaluations, each weighing the same, with the interval
/// that theirs make (Zou & Donner 2008, "method of variance estimates recovery"): for one alone it
/// is that one's. Absent where one of them has no figure, without an interval where one has none.
pub(super) fn mean_of(figures: &[Option<Average>]) -> Option<Average> {
    let figures: Vec<Average> = figures.iter().copied().collect::<Option<_>>()?;
    let count = figures.len() as f64;
    let value = figures.iter().map(|figure| figure.value).sum::<f64>() / count;
    let root = |distance: fn(&Average) -> Option<f64>| {
        let squares = figures.iter().map(|figure| Some(distance(figure)?.powi(2)));
        let sum: Option<f64> = squares.sum();
        Some(sum?.sqrt() / count)
    };
    let below = root(|figure| Some(figure.value - figure.low?));
    let above = root(|figure| Some(figure.high? - figure.value));
    (count > 0.0).then(|| Average {
        value,
        low: below.map(|below| value - below),
        high: above.map(|above| value + above),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(value: f64, low: f64, high: f64) -> Average {
        Average {
            value,
            low: Some(low),
            high: Some(high),
        }
    }

    #[test]
    fn a_mean_has_the_interval_that_its_parts_make() {
        // Half-widths 0.3 and 0.4 below, 0.6 and 0.8 above: 0.5 and 1.0 together, halved.
        let parts = [figure(1.0, 0.7, 1.6), figure(3.0, 2.6, 3.8)].map(Some);
        let mean = mean_of(&parts).unwrap();
        let expect = [2.0, 2.0 - 0.25, 2.0 + 0.5];
        for (found, expect) in [mean.value, mean.low.unwrap(), mean.high.unwrap()]
            .into_iter()
            .zip(expect)
        {
            assert!((found - expect).abs() < 1e-12, "{found} is not {expect}");
        }
        let alone = mean_of(&parts[..1]).unwrap();
        assert!((alone.low.unwrap() - 0.7).abs() < 1e-12);
        assert_eq!(mean_of(&[parts[0], None]), None);
        assert_eq!(mean_of(&[]), None);
    }
}
