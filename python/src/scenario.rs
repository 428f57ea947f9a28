//! Scenarios: loading with settings, and what Python needs to know about one.

use std::path::PathBuf;
use std::sync::Arc;

use numpy::{IntoPyArray as _, PyArray1};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::errors::value_error;
use evenkeel_sim::config::Override;
use evenkeel_sim::env::{action_dim, obs_bounds, obs_layout, reward_term_names};
use evenkeel_sim::scenario::{self, resolve};

/// A checked scenario.
#[pyclass(frozen, module = "evenkeel")]
pub(crate) struct Scenario {
    pub(crate) inner: Arc<scenario::Scenario>,
}

#[pymethods]
impl Scenario {
    /// Loads a shipped scenario by its name, or a scenario file.
    #[new]
    #[pyo3(signature = (name, settings = None))]
    fn new(name: PathBuf, settings: Option<&Bound<'_, PyDict>>) -> PyResult<Self> {
        let overrides = settings.map_or(Ok(Vec::new()), parse_settings)?;
        let inner = resolve(&name.to_string_lossy(), &overrides).map_err(value_error)?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    #[getter]
    fn name(&self) -> &str {
        &self.inner.name
    }

    #[getter]
    fn title(&self) -> &str {
        &self.inner.spec.title
    }

    #[getter]
    fn description(&self) -> &str {
        &self.inner.spec.description
    }

    #[getter]
    fn robots(&self) -> usize {
        self.inner.spec.robot_count()
    }

    #[getter]
    fn control_step_secs(&self) -> f64 {
        self.inner.spec.task.control_step_secs
    }

    #[getter]
    fn time_limit_steps(&self) -> u32 {
        self.inner.spec.task.time_limit_steps()
    }

    #[getter]
    fn obs_dim(&self) -> usize {
        obs_layout(&self.inner).dim()
    }

    #[getter]
    fn action_dim(&self) -> usize {
        action_dim(&self.inner)
    }

    #[getter]
    fn action_names(&self) -> Vec<&'static str> {
        self.inner.spec.robot[0].drive.actions().to_vec()
    }

    #[getter]
    fn reward_terms(&self) -> Vec<&'static str> {
        reward_term_names(&self.inner.spec.reward)
    }

    #[getter]
    fn obs_blocks(&self) -> Vec<(String, usize, usize)> {
        obs_layout(&self.inner).blocks
    }

    #[getter]
    fn obs_low<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        let bounds = obs_bounds(&self.inner).into_iter();
        bounds
            .map(|[low, _]| low)
            .collect::<Vec<_>>()
            .into_pyarray(py)
    }

    #[getter]
    fn obs_high<'py>(&self, py: Python<'py>) -> Bound<'py, PyArray1<f32>> {
        let bounds = obs_bounds(&self.inner).into_iter();
        bounds
            .map(|[_, high]| high)
            .collect::<Vec<_>>()
            .into_pyarray(py)
    }

    fn to_toml(&self) -> String {
        self.inner.to_toml()
    }

    fn __repr__(&self) -> String {
        format!("Scenario({:?})", self.inner.name)
    }
}

/// Names of the shipped scenarios, easiest first.
#[pyfunction]
pub(crate) fn scenario_names() -> Vec<&'static str> {
    let shipped = scenario::shipped_scenarios().iter();
    shipped.map(|scenario| scenario.name).collect()
}

/// Reads `{"robot.0.lidar.beams": 128}` as overrides.
fn parse_settings(settings: &Bound<'_, PyDict>) -> PyResult<Vec<Override>> {
    settings
        .iter()
        .map(|(path, value)| {
            let path: String = path.extract()?;
            let text = format!("{path}={}", toml_value(&path, &value)?);
            let parsed = Override::parse(&text).map_err(value_error)?;
            if parsed.affects_training() {
                return Err(value_error(format_args!(
                    "{path}: [{}] is a training setting, and environments have none; only settings \
                     of the scenario can be changed here",
                    parsed.section()
                )));
            }
            Ok(parsed)
        })
        .collect()
}

/// A Python value as TOML. `path` is the setting, for messages.
fn toml_value(path: &str, value: &Bound<'_, PyAny>) -> PyResult<toml::Value> {
    if let Ok(flag) = value.extract::<bool>() {
        return Ok(flag.into());
    }
    if let Ok(count) = value.extract::<i64>() {
        return Ok(count.into());
    }
    if let Ok(number) = value.extract::<f64>() {
        return Ok(number.into());
    }
    if let Ok(text) = value.extract::<String>() {
        return Ok(text.into());
    }
    if value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>() {
        let entries = value.try_iter()?;
        let entries = entries.map(|entry| toml_value(path, &entry?));
        return Ok(toml::Value::Array(entries.collect::<PyResult<_>>()?));
    }
    if let Ok(table) = value.cast::<PyDict>() {
        let entries = table.iter().map(|(key, value)| {
            let key: String = key.extract()?;
            let value = toml_value(path, &value)?;
            Ok((key, value))
        });
        return Ok(toml::Value::Table(entries.collect::<PyResult<_>>()?));
    }
    Err(value_error(format_args!(
        "{path}: {} is no value of a setting; give a number, a string, a bool, a list or a dict",
        value.repr()?
    )))
}
