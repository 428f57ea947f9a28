//! Run folders as arrays and JSON.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde::Serialize;

use crate::arrays::flat;
use crate::errors::{os_error, value_error};
use evenkeel_runs::eval::EvalReport;
use evenkeel_runs::runs::{RunDir, RunError, RunInfo};
use evenkeel_runs::telemetry::{
    EVALUATION_METRICS, EvalSummary, EvaluationReport, Event, ITERATION_METRICS, IterationReport,
    Metric, UpdateReport,
};

/// What a run's folder holds, other than its metrics.
#[derive(Serialize)]
struct RunContents {
    name: String,
    info: RunInfo,
    settings: toml::Table,
    events: Vec<Event>,
    evaluation: Option<EvalReport>,
    last_evaluation: Option<EvalReport>,
    random_evaluation: Option<EvalSummary>,
    incidents: Vec<PathBuf>,
    recordings: Vec<PathBuf>,
}

/// What [`read_run`] returns.
type RunParts<'py> = (
    String,
    Bound<'py, PyDict>,
    Bound<'py, PyDict>,
    Bound<'py, PyDict>,
);

/// A number of an optimiser step.
type UpdateMetric = (&'static str, fn(&UpdateReport) -> Option<f64>);

/// The numbers of an optimiser step that are arrays in Python, besides `global_step` and
/// `optimiser_step`.
const UPDATE_METRICS: &[UpdateMetric] = &[
    ("grad_norm", |step| step.grad_norm),
    ("grad_norm_actor", |step| step.grad_norm_actor),
    ("grad_norm_critic", |step| step.grad_norm_critic),
    ("grad_max", |step| step.grad_max),
    ("grad_nonfinite", |step| Some(step.grad_nonfinite as f64)),
    ("clipped", |step| Some(f64::from(u8::from(step.clipped())))),
    ("clip_threshold", UpdateReport::clip_threshold),
    ("update_ratio", |step| step.update_ratio),
    ("update_cosine", |step| step.update_cosine),
    ("param_norm", |step| step.param_norm),
    ("policy_loss", |step| step.policy_loss),
    ("value_loss", |step| step.value_loss),
    ("entropy", |step| step.entropy),
    ("approx_kl", |step| step.approx_kl),
    ("ratio_clip_share", |step| step.ratio_clip_share),
    ("ratio_max", |step| step.ratio_max),
    ("hidden_grad_growth", |step| step.hidden_grad_growth),
];

/// Reads a run's folder. Returns its contents as JSON, and dicts of arrays: the metrics of
/// iterations, of optimiser steps, and of evaluations during training.
#[pyfunction]
pub(crate) fn read_run(py: Python<'_>, path: PathBuf) -> PyResult<RunParts<'_>> {
    let contents = py.detach(|| read(&path)).map_err(|error| match error {
        RunError::Io { .. } | RunError::NotARun { .. } => os_error(error),
        error => value_error(error),
    })?;
    let events = contents.events.iter();
    let mut iterations: Vec<&IterationReport> = Vec::new();
    let mut updates: Vec<&UpdateReport> = Vec::new();
    let mut evaluations: Vec<&EvaluationReport> = Vec::new();
    for event in events {
        match event {
            Event::Step(report) => updates.push(report),
            Event::Iteration(report) => iterations.push(report),
            Event::Evaluation(report) => evaluations.push(report),
            _ => {}
        }
    }
    let counts = |of: Vec<u64>| flat(py, of);
    let iteration_dict = metric_arrays(py, ITERATION_METRICS, &iterations)?;
    let steps = iterations.iter().map(|report| report.global_step);
    iteration_dict.set_item("global_step", counts(steps.collect()))?;
    let steps = iterations.iter().map(|report| report.iteration);
    iteration_dict.set_item("iteration", counts(steps.collect()))?;
    let evaluation_dict = metric_arrays(py, EVALUATION_METRICS, &evaluations)?;
    let steps = evaluations.iter().map(|report| report.global_step);
    evaluation_dict.set_item("global_step", counts(steps.collect()))?;
    let update_dict = PyDict::new(py);
    for (name, value) in UPDATE_METRICS {
        let values = updates
            .iter()
            .map(|report| value(report).unwrap_or(f64::NAN));
        update_dict.set_item(name, flat(py, values.collect()))?;
    }
    let steps = updates.iter().map(|report| report.global_step);
    update_dict.set_item("global_step", counts(steps.collect()))?;
    let steps = updates.iter().map(|report| report.optimiser_step);
    update_dict.set_item("optimiser_step", counts(steps.collect()))?;
    let text = serde_json::to_string(&contents).map_err(value_error)?;
    Ok((text, iteration_dict, update_dict, evaluation_dict))
}

fn read(path: &std::path::Path) -> Result<RunContents, RunError> {
    let run = RunDir::open(path)?;
    Ok(RunContents {
        name: run.name(),
        info: run.info()?,
        settings: run.config()?,
        events: run.events()?,
        evaluation: run.evaluation()?,
        last_evaluation: run.last_evaluation()?,
        random_evaluation: run.random_evaluation()?,
        incidents: run.incidents()?,
        recordings: run.recordings()?,
    })
}

/// An array for each metric, `[reports]`, with NaN for values that were not measured.
fn metric_arrays<'py, R>(
    py: Python<'py>,
    metrics: &[Metric<R>],
    reports: &[&R],
) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for metric in metrics {
        let values = reports.iter();
        let values = values.map(|report| metric.read(report).unwrap_or(f64::NAN));
        dict.set_item(metric.tag, flat(py, values.collect()))?;
    }
    Ok(dict)
}
