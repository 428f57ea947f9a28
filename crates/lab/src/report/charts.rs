//! The charts of a report, one kind in each file, as data for the scripts in `assets/report/`.

mod axis;
mod curves;
mod heat_map;
mod histogram;
mod line_chart;
mod robot_failures;
mod step_bins;
mod step_charts;
mod survival;
mod sweep;

use serde::Serialize;

pub(super) use curves::{iteration_metric_chart, success_chart};
pub(super) use heat_map::{hidden_grad_norms, layers};
pub(super) use histogram::{clip_factors, norms};
pub(super) use line_chart::{EventLane, EventMark};
pub(super) use robot_failures::robot_failures;
pub(super) use step_bins::StepBins;
pub(super) use step_charts::{grad_norm, time_growth, update_cosine, update_ratio};
pub(super) use survival::survival;
pub(super) use sweep::sweep_charts;

use heat_map::HeatMap;
use histogram::Histogram;
use line_chart::LineChart;
use survival::SurvivalChart;
use sweep::SweepChart;

/// One chart, as the page's scripts read it.
#[derive(Debug, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Chart {
    /// Curves over steps.
    LineChart(LineChart),
    /// Colours over steps and rows.
    HeatMap(HeatMap),
    /// Histograms.
    Histogram(Histogram),
    /// Survival curves.
    Survival(SurvivalChart),
    /// Outcomes against a setting.
    Sweep(SweepChart),
}

impl From<LineChart> for Chart {
    fn from(chart: LineChart) -> Self {
        Self::LineChart(chart)
    }
}

impl From<HeatMap> for Chart {
    fn from(chart: HeatMap) -> Self {
        Self::HeatMap(chart)
    }
}

impl From<Histogram> for Chart {
    fn from(chart: Histogram) -> Self {
        Self::Histogram(chart)
    }
}

impl From<SurvivalChart> for Chart {
    fn from(chart: SurvivalChart) -> Self {
        Self::Survival(chart)
    }
}

impl From<SweepChart> for Chart {
    fn from(chart: SweepChart) -> Self {
        Self::Sweep(chart)
    }
}
