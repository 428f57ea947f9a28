//! The log of a training that another program does.

use std::path::PathBuf;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::{os_error, value_error};
use crate::scenario::Scenario;
use evenkeel_runs::eval::EvalReport;
use evenkeel_runs::external::{ExternalRun, ExternalTraining, IterationMetrics};
use evenkeel_runs::health::NetworkLayout;
use evenkeel_runs::telemetry::{ClipReport, EvalSummary, HealthEvent, UpdateReport};
use evenkeel_sim::env::Outcome;

/// A run's folder that is being written, with the detectors over it.
#[pyclass(module = "evenkeel")]
pub(crate) struct RunLog {
    run: Option<ExternalRun>,
}

#[pymethods]
impl RunLog {
    /// Creates the folder.
    #[new]
    #[expect(
        clippy::too_many_arguments,
        reason = "they are the fields of a training"
    )]
    fn new(
        path: PathBuf,
        scenario: &Scenario,
        arm: &str,
        seed: u64,
        total_steps: u64,
        settings: &str,
        layers: Vec<String>,
        action_dim: usize,
        initial_norm: f64,
    ) -> PyResult<Self> {
        let training = ExternalTraining {
            scenario: &scenario.inner,
            arm,
            seed,
            total_steps,
            settings: toml::from_str(settings).map_err(value_error)?,
            network: NetworkLayout {
                action_dim,
                layers,
                ..NetworkLayout::default()
            },
            initial_norm,
        };
        let run = ExternalRun::create(&path, &training).map_err(os_error)?;
        Ok(Self { run: Some(run) })
    }

    /// Logs one optimiser step; the keys of `report` are those of a `step` event. Returns the
    /// symptoms that begin with it as JSON.
    fn update(&mut self, report: &Bound<'_, PyDict>) -> PyResult<String> {
        let report = update_report(report)?;
        let symptoms = self.run()?.update(report).map_err(os_error)?;
        to_json(&symptoms)
    }

    /// Counts an episode that has ended.
    fn episode(&mut self, outcome: &str, episodic_return: f64, length: f64) -> PyResult<()> {
        let found = Outcome::ALL.iter().find(|one| one.name() == outcome);
        let Some(found) = found else {
            let names: Vec<&str> = Outcome::ALL.iter().map(|outcome| outcome.name()).collect();
            return Err(value_error(format!(
                "outcome {outcome:?}; the outcomes are {}",
                names.join(", ")
            )));
        };
        self.run()?.episode(*found, episodic_return, length);
        Ok(())
    }

    /// Logs the end of an iteration. Returns the symptoms that begin with it as JSON.
    fn iteration(&mut self, metrics: &Bound<'_, PyDict>) -> PyResult<String> {
        let required = |key| -> PyResult<f64> {
            number(metrics, key)?.ok_or_else(|| value_error(format!("no {key}")))
        };
        let units = metrics.get_item("units")?;
        let metrics = IterationMetrics {
            global_step: required("global_step")? as u64,
            learning_rate: required("learning_rate")?,
            explained_variance: number(metrics, "explained_variance")?,
            value_max: number(metrics, "value_max")?,
            value_bound: number(metrics, "value_bound")?,
            action_std: number(metrics, "action_std")?,
            epochs: required("epochs")? as u32,
            units: units.map_or(Ok(Vec::new()), |units| units.extract())?,
        };
        let symptoms = self.run()?.iteration(metrics).map_err(os_error)?;
        to_json(&symptoms)
    }

    /// Logs an evaluation during training; `summary` is JSON.
    fn evaluation(&mut self, global_step: u64, summary: &str) -> PyResult<()> {
        let summary: EvalSummary = serde_json::from_str(summary).map_err(value_error)?;
        let logged = self.run()?.evaluation(global_step, summary);
        logged.map_err(os_error)
    }

    /// Ends the log; `evaluation` is a report as JSON.
    #[pyo3(signature = (evaluation = None, stopped = false))]
    fn finish(&mut self, evaluation: Option<&str>, stopped: bool) -> PyResult<()> {
        let report = evaluation.map(serde_json::from_str::<EvalReport>);
        let report = report.transpose().map_err(value_error)?;
        self.run()?;
        let run = self.run.take();
        run.map_or(Ok(()), |run| {
            run.finish(report.as_ref(), stopped).map_err(os_error)
        })
    }
}

impl RunLog {
    fn run(&mut self) -> PyResult<&mut ExternalRun> {
        let closed = || PyRuntimeError::new_err("the monitor is closed");
        self.run.as_mut().ok_or_else(closed)
    }
}

fn to_json(symptoms: &[HealthEvent]) -> PyResult<String> {
    serde_json::to_string(symptoms).map_err(value_error)
}

/// A number that may be missing or None. NaN and infinities stay as they are.
fn number(dict: &Bound<'_, PyDict>, key: &str) -> PyResult<Option<f64>> {
    let value = dict.get_item(key)?;
    value.map_or(Ok(None), |value| value.extract())
}

fn update_report(dict: &Bound<'_, PyDict>) -> PyResult<UpdateReport> {
    let get = |key: &str| number(dict, key);
    let numbers = |key: &str| -> PyResult<Vec<Option<f64>>> {
        let value = dict.get_item(key)?;
        value.map_or(Ok(Vec::new()), |value| value.extract())
    };
    let count = |key: &str| -> PyResult<u64> { Ok(get(key)?.unwrap_or(0.0) as u64) };
    let grad_norm = get("grad_norm")?;
    let threshold = get("clip_threshold")?;
    let after = get("clipped_norm")?;
    let clip = threshold.map(|_| ClipReport {
        stage: "global_norm".to_owned(),
        norm_before: grad_norm,
        norm_after: after,
        acted: after < grad_norm,
        bounds: true,
        threshold,
    });
    Ok(UpdateReport {
        global_step: count("global_step")?,
        optimiser_step: count("optimiser_step")?,
        grad_norm,
        grad_norm_actor: get("grad_norm_actor")?,
        grad_norm_critic: get("grad_norm_critic")?,
        layer_norms: numbers("layer_norms")?,
        grad_max: get("grad_max")?,
        grad_nonfinite: count("grad_nonfinite")?,
        clip: clip.into_iter().collect(),
        update_ratio: get("update_ratio")?,
        layer_update_ratios: numbers("layer_update_ratios")?,
        update_cosine: get("update_cosine")?,
        param_norm: get("param_norm")?,
        policy_loss: get("policy_loss")?,
        value_loss: get("value_loss")?,
        entropy: get("entropy")?,
        approx_kl: get("approx_kl")?,
        ratio_clip_share: get("ratio_clip_share")?,
        ratio_max: get("ratio_max")?,
        ..UpdateReport::default()
    })
}
