//! The rows of a scorecard. The terminal and the report show the same values under the same names,
//! each with its own layout.

use super::{ArmScore, GradNormQuantiles, Proportion, RunMetric, Scorecard, StepsToSuccess};
use evenkeel_runs::stats::Average;
use evenkeel_runs::telemetry::format::{ABSENT, number, percent, steps};

/// One value of every arm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScorecardRow {
    /// Name of the value.
    pub name: &'static str,
    /// One cell for each arm, in order.
    pub cells: Vec<ScorecardCell>,
}

/// One value of one arm, formatted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScorecardCell {
    /// The value, or a dash if there is none.
    pub figure: String,
    /// Its uncertainty.
    pub uncertainty: Uncertainty,
    /// `[some, all]`: number of the arm's runs with the value, if some have none.
    pub runs: Option<[u64; 2]>,
}

/// The uncertainty of a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Uncertainty {
    /// Not known.
    #[default]
    Unknown,
    /// Ends of the 95 % interval.
    Interval([String; 2]),
    /// The values of the runs, which are few.
    Runs(Vec<String>),
}

/// Name of the row with the success of the best checkpoints.
pub const BEST_SUCCESS: &str = "held-out success, best checkpoint";
/// Name of the row with the success of the last checkpoints.
pub const LAST_SUCCESS: &str = "held-out success, last checkpoint";

/// Unit of a share.
const PERCENT: &str = " %";

/// The rows of a scorecard, in display order.
pub fn scorecard_rows(card: &Scorecard) -> Vec<ScorecardRow> {
    let row = |name: &'static str, cell: &dyn Fn(&ArmScore) -> ScorecardCell| ScorecardRow {
        name,
        cells: card.arms.iter().map(cell).collect(),
    };
    let has_spl = card.arms.iter().any(|arm| arm.spl.is_some());
    let rows = [
        Some(row("seeds", &|arm| {
            ScorecardCell::plain(arm.runs.len().to_string())
        })),
        Some(row(
            BEST_SUCCESS,
            &over_seeds(|arm| arm.success, |run| run.success, percent),
        )),
        Some(row(
            LAST_SUCCESS,
            &over_seeds(|arm| arm.last_success, |run| run.last_success, percent),
        )),
        Some(row(
            "held-out return, best checkpoint",
            &over_seeds(|arm| arm.episodic_return, |run| run.episodic_return, number),
        )),
        Some(row(
            "held-out return, last checkpoint",
            &over_seeds(
                |arm| arm.last_episodic_return,
                |run| run.last_episodic_return,
                number,
            ),
        )),
        has_spl.then(|| {
            row(
                "success weighted by path length, best",
                &over_seeds(|arm| arm.spl, |run| run.spl, number),
            )
        }),
        Some(row(
            "mean success during training",
            &over_seeds(
                |arm| arm.area_under_curve,
                |run| run.area_under_curve,
                percent,
            ),
        )),
        Some(row("steps to 50 % success, median", &|arm| {
            ScorecardCell::steps_to(arm.steps_to_50)
        })),
        Some(row("steps to 90 % success, median", &|arm| {
            ScorecardCell::steps_to(arm.steps_to_90)
        })),
        Some(row("diverged", &|arm| ScorecardCell::share(arm.diverged))),
        Some(row("collapsed", &|arm| ScorecardCell::share(arm.collapsed))),
        Some(row("ended far below their best", &|arm| {
            ScorecardCell::share(arm.fell)
        })),
        Some(row("optimiser steps clipped", &|arm| {
            ScorecardCell::plain(arm.clip_share.map_or("no clip".into(), percent))
        })),
        Some(row("gradient norm, median", &norm(|norm| norm.p50))),
        Some(row(
            "gradient norm, 90th percentile",
            &norm(|norm| norm.p90),
        )),
        Some(row(
            "gradient norm, 99th percentile",
            &norm(|norm| norm.p99),
        )),
        Some(row("gradient norm, largest", &norm(|norm| norm.max))),
    ];
    rows.into_iter().flatten().collect()
}

impl ScorecardCell {
    /// Ends of the interval, if there is one, without a percent sign that the value already has.
    pub fn interval(&self) -> Option<[&str; 2]> {
        let Uncertainty::Interval(ends) = &self.uncertainty else {
            return None;
        };
        let has_percent = self.figure.ends_with(PERCENT);
        Some(ends.each_ref().map(|end| match end.strip_suffix(PERCENT) {
            Some(number) if has_percent => number,
            _ => end.as_str(),
        }))
    }

    /// A value without uncertainty.
    fn plain(figure: String) -> Self {
        Self {
            figure,
            ..Self::default()
        }
    }

    /// A share of runs.
    fn share(share: Proportion) -> Self {
        Self {
            figure: format!("{} of {}", share.count, share.total),
            uncertainty: Uncertainty::Interval(
                [share.estimate.low, share.estimate.high].map(percent),
            ),
            runs: None,
        }
    }

    /// Steps to a success rate.
    fn steps_to(to: StepsToSuccess) -> Self {
        Self {
            figure: to.median.map_or(ABSENT.into(), steps),
            uncertainty: Uncertainty::Unknown,
            runs: Some([to.reached, to.total]),
        }
    }
}

/// An average over seeds, with its interval, or with the values of the runs if they are few.
fn over_seeds(
    average: fn(&ArmScore) -> Option<Average>,
    each: RunMetric,
    write: fn(f64) -> String,
) -> impl Fn(&ArmScore) -> ScorecardCell {
    move |arm| {
        let Some(average) = average(arm) else {
            return ScorecardCell::plain(ABSENT.into());
        };
        let values = arm.values(each);
        let [some, all] = [values.len(), arm.runs.len()].map(|count| count as u64);
        let uncertainty = match average.interval() {
            Some(interval) => Uncertainty::Interval(interval.map(write)),
            None if some > 1 => Uncertainty::Runs(values.into_iter().map(write).collect()),
            None => Uncertainty::Unknown,
        };
        ScorecardCell {
            figure: write(average.value),
            uncertainty,
            runs: (some < all).then_some([some, all]),
        }
    }
}

/// A quantile of the gradient norm.
fn norm(of: fn(&GradNormQuantiles) -> f64) -> impl Fn(&ArmScore) -> ScorecardCell {
    move |arm| {
        let norm = arm.grad_norm.as_ref().map(of);
        ScorecardCell::plain(norm.map_or(ABSENT.into(), number))
    }
}
