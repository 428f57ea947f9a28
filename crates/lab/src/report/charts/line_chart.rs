//! Line charts: curves over environment steps or optimiser steps, with marks and event lanes.

use serde::Serialize;

use super::axis::{StepAxis, ValueScale};
use crate::lab::RunRecord;
use crate::report::arm_runs::ArmRuns;

/// Curves over steps.
#[derive(Debug, Serialize)]
pub(in crate::report) struct LineChart {
    pub(super) id: &'static str,
    pub(super) title: String,
    pub(super) unit: &'static str,
    pub(super) help: String,
    pub(super) axis: StepAxis,
    pub(super) scale: ValueScale,
    /// Range that no value can leave, if there is one.
    pub(super) bounds: Option<[f64; 2]>,
    /// Whether the curves aggregate runs rather than optimiser steps.
    pub(super) aggregates_runs: bool,
    /// Horizontal lines: `(arm, value, label)`. A line without an arm belongs to all arms.
    pub(super) levels: Vec<(Option<usize>, f64, String)>,
    /// Divergences: `(arm, step)`.
    pub(super) marks: Vec<(usize, f64)>,
    /// Events below the curves.
    pub(super) lanes: Vec<EventLane>,
    pub(super) series: Vec<Series>,
}

/// One arm's curve. All vectors have the length of `x`. A value is absent where no run has one.
#[derive(Debug, Default, Serialize)]
pub(in crate::report) struct Series {
    pub(super) arm: usize,
    pub(super) x: Vec<f64>,
    pub(super) mid: Vec<Option<f64>>,
    pub(super) low: Vec<Option<f64>>,
    pub(super) high: Vec<Option<f64>>,
    /// Number of runs, or of optimiser steps, with a value.
    pub(super) n: Vec<usize>,
    /// The curve of each run, if runs are shown.
    pub(super) runs: Vec<Vec<Option<f64>>>,
}

/// A lane of events of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::report) struct EventLane {
    /// The kind of event.
    pub(in crate::report) name: String,
    /// What usually helps against this kind of event.
    pub(in crate::report) advice: Option<String>,
    pub(in crate::report) marks: Vec<EventMark>,
}

/// The mark of one event, or of several that are too close to draw separately.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::report) struct EventMark {
    pub(in crate::report) arm: usize,
    /// Its step on the axis.
    pub(in crate::report) x: f64,
    pub(in crate::report) critical: bool,
    /// Description.
    pub(in crate::report) text: String,
    /// Link to the incident.
    pub(in crate::report) href: Option<String>,
}

impl LineChart {
    /// The chart, if there is anything to draw.
    pub(super) fn non_empty(self) -> Option<Self> {
        let mut values = self.series.iter().flat_map(|series| &series.mid).flatten();
        let has_values = values.next().is_some();
        has_values.then_some(self)
    }
}

/// The divergences of all runs, as `(arm, step)`; `step` returns the step of a diverged run.
pub(super) fn divergences(
    arms: &[ArmRuns],
    step: impl Fn(&RunRecord) -> Option<f64>,
) -> Vec<(usize, f64)> {
    let runs = arms
        .iter()
        .flat_map(|arm| arm.runs.iter().map(move |run| (arm.index, run)));
    runs.filter_map(|(arm, run)| Some((arm, step(run)?)))
        .collect()
}

/// The environment step at which a run diverged.
pub(super) fn diverged_at(run: &RunRecord) -> Option<f64> {
    Some(run.diverged.as_ref()?.global_step as f64)
}

/// A sentence on how many runs each arm's curve contains at its end, if some diverged. The curve is
/// biased there: the missing runs are the diverged ones.
pub(super) fn survivor_note(arms: &[ArmRuns]) -> String {
    let counts: Vec<String> = arms
        .iter()
        .filter_map(|ArmRuns { name, runs, .. }| {
            let diverged = runs.iter().filter(|run| run.diverged.is_some()).count();
            (diverged > 0)
                .then(|| format!("{name} {} of {} runs", runs.len() - diverged, runs.len()))
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
