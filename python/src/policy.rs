//! Policies in Python as controllers, and planners by name.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use numpy::{
    PyArray1, PyArray2, PyArrayMethods as _, PyReadonlyArray2, PyUntypedArrayMethods as _,
};
use pyo3::intern;
use pyo3::prelude::*;

use crate::errors::value_error;
use evenkeel_sim::env::{Controller, action_dim, obs_layout};
use evenkeel_sim::planners;
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::RootSeed;

/// A policy in Python: a callable, or an object with the methods `begin_episode` and `act`.
struct PythonPolicy {
    policy: Py<PyAny>,
    obs_dim: usize,
    action_dim: usize,
    /// Whether the policy has `begin_episode` and `act`.
    has_memory: bool,
}

/// The payload of the panic that carries an exception of a policy through an evaluation.
struct PolicyException(PyErr);

/// Makes the controller of `policy`: `planner:NAME`, or a policy in Python. Returns its name too.
pub(crate) fn controller(
    policy: &Bound<'_, PyAny>,
    scenario: &Scenario,
    seed: RootSeed,
) -> PyResult<(Box<dyn Controller + Send>, String)> {
    if let Ok(name) = policy.extract::<String>() {
        let Some(planner) = name.strip_prefix("planner:") else {
            return Err(value_error(format_args!(
                "policy {name:?}: expected planner:NAME, such as planner:straight, or a callable"
            )));
        };
        let controller = planners::by_name(planner, scenario, seed).map_err(value_error)?;
        return Ok((controller, name));
    }
    let py = policy.py();
    let has_memory =
        policy.hasattr(intern!(py, "act"))? && policy.hasattr(intern!(py, "begin_episode"))?;
    if !has_memory && !policy.is_callable() {
        return Err(value_error(format_args!(
            "policy {}: expected a callable, an object with the methods begin_episode and act, or \
             the name of a planner",
            policy.repr()?
        )));
    }
    let name = policy
        .getattr(intern!(py, "__name__"))
        .and_then(|name| name.extract())
        .or_else(|_| policy.get_type().name().map(|name| name.to_string()))?;
    let controller = PythonPolicy {
        policy: policy.clone().unbind(),
        obs_dim: obs_layout(scenario).dim(),
        action_dim: action_dim(scenario),
        has_memory,
    };
    Ok((Box::new(controller), name))
}

/// Runs `work` without the GIL. An exception of a policy ends it.
pub(crate) fn run<T: Send>(py: Python<'_>, work: impl FnOnce() -> T + Send) -> PyResult<T> {
    py.detach(|| catch_unwind(AssertUnwindSafe(work)))
        .map_err(|payload| match payload.downcast::<PolicyException>() {
            Ok(exception) => exception.0,
            Err(payload) => resume_unwind(payload),
        })
}

impl PythonPolicy {
    /// Calls Python. `Controller` has no errors, so that an exception unwinds to [`run`].
    fn call(&self, call: impl FnOnce(Python<'_>, &Bound<'_, PyAny>) -> PyResult<()>) {
        let result = Python::attach(|py| {
            py.check_signals()?;
            call(py, self.policy.bind(py))
        });
        if let Err(exception) = result {
            resume_unwind(Box::new(PolicyException(exception)));
        }
    }
}

impl Controller for PythonPolicy {
    fn begin_episode(&mut self, env: usize, episode: u64) {
        if self.has_memory {
            self.call(|py, policy| {
                let name = intern!(py, "begin_episode");
                policy.call_method1(name, (env, episode)).map(drop)
            });
        }
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let (rows, obs_dim, action_dim) = (envs.len(), self.obs_dim, self.action_dim);
        self.call(|py, policy| {
            let observations = PyArray1::from_slice(py, observations).reshape([rows, obs_dim])?;
            let result = if self.has_memory {
                let envs: Vec<i64> = envs.iter().map(|&env| env as i64).collect();
                let envs = PyArray1::from_vec(py, envs);
                policy.call_method1(intern!(py, "act"), (envs, observations))?
            } else {
                policy.call1((observations,))?
            };
            let result = as_float32(&result)?;
            if result.shape() != [rows, action_dim] {
                return Err(value_error(format_args!(
                    "the policy returned actions of shape {:?} for {rows} observations; [{rows}, \
                     {action_dim}] is expected",
                    result.shape()
                )));
            }
            actions.copy_from_slice(result.as_slice()?);
            Ok(())
        });
    }
}

/// What a policy returned as an array of floats, `[rows, act]` if it is well-formed.
fn as_float32<'py>(result: &Bound<'py, PyAny>) -> PyResult<PyReadonlyArray2<'py, f32>> {
    let py = result.py();
    let numpy = py.import(intern!(py, "numpy"))?;
    let array = numpy.call_method1(intern!(py, "ascontiguousarray"), (result, "float32"))?;
    let array = array.cast_into::<PyArray2<f32>>().map_err(|error| {
        value_error(format_args!(
            "the policy's actions are no array of two dimensions: {error}"
        ))
    })?;
    Ok(array.readonly())
}
