//! Evaluation and recording of policies on held-out episodes.

use std::path::PathBuf;
use std::sync::Arc;

use pyo3::prelude::*;
use serde::Serialize;

use crate::errors::{os_error, value_error};
use crate::policy;
use crate::scenario::Scenario;
use evenkeel_runs::eval::{self, EvalMetric, EvalOptions, EvalReport, metrics};
use evenkeel_runs::recording::messages::{BuildInfo, PolicyIdentity, RecordingHeader};
use evenkeel_runs::recording::{HeldOutEpisodes, RecordError, RecordingWriter, record_episodes};
use evenkeel_runs::telemetry::format::{number, percent};

/// A report with the list of its metrics.
#[derive(Serialize)]
struct Evaluation {
    #[serde(flatten)]
    report: EvalReport,
    metrics: Vec<MetricRow>,
}

/// A metric, and its text in tables.
#[derive(Serialize)]
struct MetricRow {
    #[serde(flatten)]
    metric: EvalMetric,
    displayed: bool,
    /// Value, lower and upper bound; empty where there is none.
    text: [String; 3],
}

impl From<EvalMetric> for MetricRow {
    fn from(metric: EvalMetric) -> Self {
        let average = metric.average;
        let numbers = average.map_or([None; 3], |mean| [Some(mean.value), mean.low, mean.high]);
        let format = if metric.share { percent } else { number };
        Self {
            displayed: metric.is_displayed(),
            text: numbers.map(|number| number.map_or(String::new(), format)),
            metric,
        }
    }
}

/// Evaluates a policy on held-out episodes. Returns the report as JSON.
#[pyfunction]
pub(crate) fn evaluate(
    py: Python<'_>,
    policy: &Bound<'_, PyAny>,
    scenario: &Scenario,
    episodes: u64,
    seed: u64,
    threads: usize,
    name: Option<String>,
) -> PyResult<String> {
    let scenario = Arc::clone(&scenario.inner);
    let (mut controller, own_name) = policy::controller(policy, &scenario, seed)?;
    let options = EvalOptions {
        seed,
        threads,
        traces: 0,
        ..EvalOptions::for_report(name.unwrap_or(own_name), episodes)
    };
    let report = policy::run(py, || {
        eval::evaluate(&scenario, controller.as_mut(), &options)
    })?;
    let report = report.map_err(value_error)?;
    let evaluation = Evaluation {
        metrics: metrics(&report.summary)
            .into_iter()
            .map(MetricRow::from)
            .collect(),
        report,
    };
    serde_json::to_string(&evaluation).map_err(value_error)
}

/// Records held-out episodes of a policy in an MCAP file. Returns the number of control steps.
#[pyfunction]
pub(crate) fn record(
    py: Python<'_>,
    policy: &Bound<'_, PyAny>,
    scenario: &Scenario,
    path: PathBuf,
    episodes: u64,
    seed: u64,
    name: Option<String>,
) -> PyResult<u64> {
    let scenario = Arc::clone(&scenario.inner);
    let (mut controller, own_name) = policy::controller(policy, &scenario, seed)?;
    let identity = PolicyIdentity {
        name: name.unwrap_or(own_name),
        stochastic: controller.is_stochastic(),
        ..PolicyIdentity::default()
    };
    let header = RecordingHeader::of(&scenario, identity, seed, BuildInfo::current(None));
    let written = policy::run(py, || {
        let mut writer = RecordingWriter::create(&path, &header)?;
        let options = HeldOutEpisodes { episodes, seed };
        let controller = controller.as_mut();
        record_episodes(&scenario, controller, &options, &mut writer, &mut |_| true)?;
        writer.finish()
    })?;
    match written {
        Ok(summary) => Ok(summary.steps),
        Err(error @ (RecordError::Io { .. } | RecordError::Busy { .. })) => Err(os_error(error)),
        Err(error) => Err(value_error(error)),
    }
}
