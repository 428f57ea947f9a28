//! Failures of the robot during training, with the events of training below: an unstable learner is
//! often the cause of a robot that spins or freezes.

use super::axis::{StepAxis, ValueScale};
use super::curves::over_seeds;
use super::line_chart::{EventLane, LineChart, Series, diverged_at, divergences};
use crate::lab::RunRecord;
use crate::report::arm_runs::ArmRuns;
use evenkeel_runs::telemetry::{DrivingQualitySummary, EvalSummary};

/// A failure below this share of episodes is not drawn.
const NEGLIGIBLE_SHARE: f64 = 0.005;

/// A kind of failure.
struct FailureMetric {
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    help: &'static str,
    of: fn(&EvalSummary) -> Option<f64>,
}

const FAILURE_METRICS: [FailureMetric; 7] = [
    FailureMetric {
        id: "robot_collision",
        title: "collisions",
        unit: "",
        help: "share of validation episodes that end at an obstacle, a mover or out of bounds",
        of: |summary| {
            let [_, static_collision, mover_collision, out_of_bounds, ..] = summary.outcomes;
            share(static_collision + mover_collision + out_of_bounds, summary)
        },
    },
    FailureMetric {
        id: "robot_time_limit",
        title: "out of time",
        unit: "",
        help: "share of validation episodes that end at the time limit",
        of: |summary| share(summary.outcomes[4], summary),
    },
    FailureMetric {
        id: "robot_stuck",
        title: "stuck or freezing",
        unit: "",
        help: "share of validation episodes with 10 s within 0.2 m and 15°",
        of: |summary| Some(driving_quality(summary)?.stuck.value),
    },
    FailureMetric {
        id: "robot_spinning",
        title: "spinning",
        unit: "",
        help: "share of validation episodes with two net turns on the spot within 10 s",
        of: |summary| Some(driving_quality(summary)?.spinning.value),
    },
    FailureMetric {
        id: "robot_oscillating",
        title: "oscillating",
        unit: "",
        help: "share of validation episodes with 10 s of going to and fro",
        of: |summary| Some(driving_quality(summary)?.oscillating.value),
    },
    FailureMetric {
        id: "robot_grazing",
        title: "grazing",
        unit: "",
        help: "share of validation episodes in which the robot touches something and drives on",
        of: |summary| Some(driving_quality(summary)?.grazing.value),
    },
    FailureMetric {
        id: "robot_jerk",
        title: "jerk",
        unit: "m/s³",
        help: "mean |jerk| over validation episodes: how roughly the robot drives",
        of: |summary| Some(summary.jerk_mps3.value),
    },
];

fn driving_quality(summary: &EvalSummary) -> Option<&DrivingQualitySummary> {
    summary.driving_quality.as_deref()
}

/// `some` as a share of all robots in all episodes.
fn share(some: u64, summary: &EvalSummary) -> Option<f64> {
    let all = summary.episodes * summary.robots();
    (all > 0).then(|| some as f64 / all as f64)
}

/// A chart for each kind of failure, with the events of training below, and the names of the kinds
/// that almost never occurred.
pub(in crate::report) fn robot_failures(
    arms: &[ArmRuns],
    lanes: &[EventLane],
) -> (Vec<LineChart>, Vec<&'static str>) {
    let mut charts = Vec::new();
    let mut negligible = Vec::new();
    for failure in &FAILURE_METRICS {
        let curve = |run: &RunRecord| -> Vec<(f64, f64)> {
            let end = diverged_at(run).unwrap_or(f64::INFINITY);
            let points = run.evaluations.iter().filter_map(|evaluation| {
                let value = (failure.of)(&evaluation.summary)?;
                Some((evaluation.global_step as f64, value))
            });
            points
                .filter(|(step, value)| *step <= end && value.is_finite())
                .collect()
        };
        let series = over_seeds(arms, curve, true);
        let maximum = |series: &Series| series.mid.iter().flatten().copied().reduce(f64::max);
        match series.iter().filter_map(maximum).reduce(f64::max) {
            None => continue,
            Some(most) if most < NEGLIGIBLE_SHARE => {
                negligible.push(failure.title);
                continue;
            }
            Some(_) => {}
        }
        let chart = LineChart {
            id: failure.id,
            title: failure.title.into(),
            unit: failure.unit,
            help: failure.help.into(),
            axis: StepAxis::environment(arms),
            scale: if failure.unit.is_empty() {
                ValueScale::Percent
            } else {
                ValueScale::Linear
            },
            bounds: None,
            aggregates_runs: true,
            levels: Vec::new(),
            marks: divergences(arms, diverged_at),
            lanes: lanes.to_vec(),
            series,
        };
        charts.extend(chart.non_empty());
    }
    (charts, negligible)
}
