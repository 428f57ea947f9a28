//! The page's charts, one kind a file: what the scripts in `web/` draw. Here is what they share.

mod curves;
mod heat_map;
mod histogram;
mod robot_failures;
mod step_bins;
mod step_charts;
mod survival;
mod sweep;

use serde::Serialize;

pub(super) use curves::{iteration, success};
pub(super) use heat_map::{hidden_grad_norms, layers};
pub(super) use histogram::{clip_factors, norms};
pub(super) use robot_failures::robot_failures;
pub(super) use step_bins::StepBins;
pub(super) use step_charts::{grad_norm, time_growth, update_cosine, update_ratio};
pub(super) use survival::survival;
pub(super) use sweep::sweeps;

use super::ArmRuns;
use crate::lab::RunRecord;

/// One chart, as the page's scripts read it.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Chart {
    /// Curves over time.
    LineChart(LineChart),
    /// Colours over time and rows.
    HeatMap(heat_map::HeatMap),
    /// Histograms.
    Histogram(histogram::Histogram),
    /// Staircases of what is left.
    Survival(survival::SurvivalChart),
    /// Outcomes against a setting.
    Sweep(sweep::SweepChart),
}

/// Curves over time.
#[derive(Debug, Serialize)]
pub(super) struct LineChart {
    id: &'static str,
    title: String,
    unit: &'static str,
    help: String,
    axis: StepAxis,
    scale: ValueScale,
    /// What no value can be beyond, where there is such.
    bounds: Option<[f64; 2]>,
    /// Whether the curves are over runs, rather than over optimiser steps.
    runs: bool,
    /// Horizontal lines: `(arm, value, label)`; those of no arm belong to all.
    levels: Vec<(Option<usize>, f64, String)>,
    /// Where runs diverged: `(arm, place on the axis)`.
    marks: Vec<(usize, f64)>,
    /// Events, below the curves.
    lanes: Vec<EventLane>,
    series: Vec<Series>,
}

/// The horizontal axis of what is drawn over training, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct StepAxis {
    /// What it counts.
    name: &'static str,
    /// Where it ends.
    end: f64,
    /// Whether it is logarithmic, so that a run that is soon over can be seen beside a long one.
    log: bool,
    /// Whether a place is a step that reaches to the next, rather than a point in time.
    whole: bool,
}

/// The vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ValueScale {
    /// Shares, from 0 to 100 %.
    Percent,
    /// Plain numbers.
    Linear,
    /// Powers of ten.
    Log,
}

/// One arm's curve. All vectors are as long as `x`; a value is absent where no run has one.
#[derive(Debug, Default, Serialize)]
pub(super) struct Series {
    arm: usize,
    x: Vec<f64>,
    mid: Vec<Option<f64>>,
    low: Vec<Option<f64>>,
    high: Vec<Option<f64>>,
    /// Runs, or optimiser steps, that have a value.
    n: Vec<usize>,
    /// Each run by itself, where that is worth showing.
    runs: Vec<Vec<Option<f64>>>,
}

/// Events of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct EventLane {
    /// What they have in common.
    pub(super) name: String,
    /// What usually helps, where that is one thing for all of them.
    pub(super) advice: Option<String>,
    pub(super) marks: Vec<EventMark>,
}

/// An event, or several that are too near to be told apart.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct EventMark {
    pub(super) arm: usize,
    /// Its place on the axis.
    pub(super) x: f64,
    pub(super) critical: bool,
    /// What was seen.
    pub(super) text: String,
    /// Where more is told.
    pub(super) href: Option<String>,
}

impl StepAxis {
    /// Environment steps, up to the end of the longest run, or of the budget where a run diverged
    /// before.
    pub(super) fn environment(arms: &[ArmRuns]) -> Self {
        let runs = arms.iter().flat_map(|arm| &arm.runs);
        let ends = runs.map(|run| match run.diverged {
            Some(_) => run.budget(),
            None => run.iterations.last().map_or(0, |i| i.global_step),
        });
        Self {
            name: "environment steps",
            end: ends.max().unwrap_or(1).max(1) as f64,
            log: false,
            whole: false,
        }
    }
}

impl LineChart {
    /// Whether there is anything to draw.
    fn into_chart(self) -> Option<Chart> {
        let told = self.series.iter().flat_map(|series| &series.mid);
        let told = told.flatten().next().is_some();
        told.then_some(Chart::LineChart(self))
    }
}

/// Where runs diverged.
fn divergences(arms: &[ArmRuns], place: impl Fn(&RunRecord) -> Option<f64>) -> Vec<(usize, f64)> {
    let runs = arms
        .iter()
        .flat_map(|arm| arm.runs.iter().map(move |run| (arm.index, run)));
    runs.filter_map(|(arm, run)| Some((arm, place(run)?)))
        .collect()
}

/// Environment steps at which a run diverged.
fn diverged_at(run: &RunRecord) -> Option<f64> {
    Some(run.diverged.as_ref()?.global_step as f64)
}

/// How many runs are left at the end of an arm's curve, where some diverged: what a diverged run
/// would have logged from there on is missing, and not at random.
fn survivor_note(arms: &[ArmRuns]) -> String {
    let counts: Vec<String> = arms
        .iter()
        .filter_map(|ArmRuns { name, runs, .. }| {
            let lost = runs.iter().filter(|run| run.diverged.is_some()).count();
            (lost > 0).then(|| format!("{name} {} of {} runs", runs.len() - lost, runs.len()))
        })
        .collect();
    if counts.is_empty() {
        return String::new();
    }
    format!(
        "; a diverged run is in the curve only until it diverged, which leaves at the end: {}",
        counts.join(", ")
    )
}

/// Four significant digits: more cannot be seen, and cost space.
fn round_to_four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shortened_not_changed() {
        assert_eq!(
            [0.123_456, 98_765.0, 0.0]
                .map(round_to_four_digits)
                .map(|v| v.to_string())
                .join(" "),
            "0.1235 98760 0"
        );
    }
}
