//! The native part of the Python package `evenkeel`: environments, evaluation, recordings and runs.
//! Python code in `python/evenkeel` is the interface for users; this module gives it numpy arrays
//! and JSON, and must not depend on libtorch or Bevy.

#![allow(
    clippy::needless_pass_by_value,
    reason = "pyo3 passes the arguments of Python functions by value"
)]

mod arrays;
mod batch;
mod environments;
mod errors;
mod evaluation;
mod monitor;
mod policy;
mod recordings;
mod render;
mod runs;
mod scenario;

use pyo3::prelude::*;

/// As in the program, mimalloc saves time in scenarios with short episodes. Python does not use it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[pymodule]
mod _evenkeel {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::environments::Environments;
    #[pymodule_export]
    use super::evaluation::{evaluate, record};
    #[pymodule_export]
    use super::monitor::RunLog;
    #[pymodule_export]
    use super::recordings::read_recording;
    #[pymodule_export]
    use super::runs::read_run;
    #[pymodule_export]
    use super::scenario::{Scenario, scenario_names};

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))?;
        module.add("OUTCOMES", super::outcome_names())
    }
}

/// Names of the outcomes, in the order of their numbers.
fn outcome_names() -> Vec<&'static str> {
    let outcomes = evenkeel_sim::env::Outcome::ALL.iter();
    outcomes.map(|outcome| outcome.name()).collect()
}
