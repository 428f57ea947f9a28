//! How the robot failed while training, beside what training went through: an unhealthy learner
//! and a robot that spins or freezes are often one story.

use super::curves::over_seeds;
use super::{Chart, EventLane, LineChart, Series, StepAxis, ValueScale, diverged_at, divergences};
use crate::lab::RunRecord;
use crate::report::ArmRuns;
use evenkeel_runs::telemetry::{DrivingQualitySummary, EvalSummary};

/// A share of episodes that is as good as none.
const NEGLIGIBLE_SHARE: f64 = 0.005;

/// A way to fail.
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
        help: "share of held-out episodes that end at an obstacle, a mover or out of bounds",
        of: |summary| {
            let [_, standing, mover, outside, ..] = summary.outcomes;
            share(standing + mover + outside, summary)
        },
    },
    FailureMetric {
        id: "robot_time_limit",
        title: "out of time",
        unit: "",
        help: "share of held-out episodes that end at the time limit",
        of: |summary| share(summary.outcomes[4], summary),
    },
    FailureMetric {
        id: "robot_stuck",
        title: "stuck or freezing",
        unit: "",
        help: "share of held-out episodes with 10 s within 0.2 m and 15°",
        of: |summary| driving_quality(summary).map(|driving_quality| driving_quality.stuck.value),
    },
    FailureMetric {
        id: "robot_spinning",
        title: "spinning",
        unit: "",
        help: "share of held-out episodes with two net turns on the spot within 10 s",
        of: |summary| {
            driving_quality(summary).map(|driving_quality| driving_quality.spinning.value)
        },
    },
    FailureMetric {
        id: "robot_oscillating",
        title: "oscillating",
        unit: "",
        help: "share of held-out episodes with 10 s of going to and fro",
        of: |summary| {
            driving_quality(summary).map(|driving_quality| driving_quality.oscillating.value)
        },
    },
    FailureMetric {
        id: "robot_grazing",
        title: "grazing",
        unit: "",
        help: "share of held-out episodes in which the robot touches something and drives on",
        of: |summary| driving_quality(summary).map(|driving_quality| driving_quality.grazing.value),
    },
    FailureMetric {
        id: "robot_jerk",
        title: "jerk",
        unit: "m/s³",
        help: "mean |jerk| over held-out episodes: how roughly the robot drives",
        of: |summary| Some(summary.jerk_mps3.value),
    },
];

fn driving_quality(summary: &EvalSummary) -> Option<&DrivingQualitySummary> {
    summary.driving_quality.as_deref()
}

/// Of all robots in all episodes.
fn share(some: u64, summary: &EvalSummary) -> Option<f64> {
    let all = summary.episodes * summary.robots();
    (all > 0).then(|| some as f64 / all as f64)
}

/// A chart for each way in which the robot failed, with the events of training beneath each; and
/// the ways that were looked for and hardly ever seen.
pub(in crate::report) fn robot_failures(
    arms: &[ArmRuns],
    lanes: &[EventLane],
) -> (Vec<Chart>, Vec<&'static str>) {
    let mut charts = Vec::new();
    let mut never = Vec::new();
    for failing in &FAILURE_METRICS {
        let curve = |run: &RunRecord| -> Vec<(f64, f64)> {
            let end = diverged_at(run).unwrap_or(f64::INFINITY);
            let seen = run.evaluations.iter().filter_map(|evaluation| {
                let value = (failing.of)(&evaluation.summary)?;
                Some((evaluation.global_step as f64, value))
            });
            seen.filter(|(step, value)| *step <= end && value.is_finite())
                .collect()
        };
        let series = over_seeds(arms, curve, true);
        let values = |series: &Series| series.mid.iter().flatten().copied().reduce(f64::max);
        match series.iter().filter_map(values).reduce(f64::max) {
            None => continue,
            Some(most) if most < NEGLIGIBLE_SHARE => {
                never.push(failing.title);
                continue;
            }
            Some(_) => {}
        }
        let chart = LineChart {
            id: failing.id,
            title: failing.title.into(),
            unit: failing.unit,
            help: failing.help.into(),
            axis: StepAxis::environment(arms),
            scale: if failing.unit.is_empty() {
                ValueScale::Percent
            } else {
                ValueScale::Linear
            },
            bounds: None,
            runs: true,
            levels: Vec::new(),
            marks: divergences(arms, diverged_at),
            lanes: lanes.to_vec(),
            series,
        };
        charts.extend(chart.into_chart());
    }
    (charts, never)
}
