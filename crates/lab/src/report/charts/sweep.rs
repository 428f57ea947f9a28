//! Charts of outcomes against a swept setting.

use serde::Serialize;

use super::axis::round_to_four_digits;
use crate::lab::{RunRecord, SweepPoint, sweeps};

/// Success and the share of diverged runs against one setting.
#[derive(Debug, Serialize)]
pub(in crate::report) struct SweepChart {
    title: String,
    help: String,
    /// Path of the setting.
    path: String,
    /// Its values, ascending. An absent value means no clip.
    values: Vec<Option<f64>>,
    series: Vec<SweepLine>,
}

/// One line of the chart.
#[derive(Debug, Serialize)]
struct SweepLine {
    label: String,
    /// One for each value.
    points: Vec<Option<SweepDot>>,
}

/// The runs at one value.
#[derive(Debug, Serialize)]
struct SweepDot {
    success: Option<f64>,
    interval: Option<[f64; 2]>,
    runs: Vec<f64>,
    /// Number of runs that diverged, and of all runs.
    diverged: [u64; 2],
}

/// A chart for each setting that the runs of one scenario sweep over.
pub(in crate::report) fn sweep_charts(runs: &[&RunRecord]) -> Vec<SweepChart> {
    sweeps(runs)
        .into_iter()
        .map(|sweep| {
            let setting = match sweep.path.strip_prefix("stability.clip.") {
                Some(_) => "clip threshold",
                None => "learning rate",
            };
            SweepChart {
                title: format!("outcomes by {setting}"),
                help: "above, success of the best checkpoints over held-out episodes (line: interquartile mean over \
                       seeds, dots: runs; a diverged run counts as 0); below, the share of runs \
                       that diverged. A wide plateau means that the setting is robust"
                    .into(),
                path: sweep.path,
                values: sweep.values,
                series: sweep
                    .series
                    .into_iter()
                    .map(|series| SweepLine {
                        label: series.label,
                        points: series.points.into_iter().map(|p| p.map(dot)).collect(),
                    })
                    .collect(),
            }
        })
        .collect()
}

fn dot(point: SweepPoint) -> SweepDot {
    SweepDot {
        success: point
            .success
            .map(|success| round_to_four_digits(success.value)),
        interval: point.success.and_then(|success| success.interval()),
        runs: point.runs.into_iter().map(round_to_four_digits).collect(),
        diverged: [point.diverged.count, point.diverged.total],
    }
}
