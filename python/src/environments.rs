//! `Environments`: many environments stepped together, on numpy arrays.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use numpy::{PyReadonlyArray1, PyReadonlyArray2, PyReadwriteArray2, PyUntypedArrayMethods as _};
use pyo3::prelude::*;

use crate::arrays::{flat, shaped};
use crate::batch::{AutoReset, BatchOptions, BatchStep, EndedRows, EnvBatch, Reset};
use crate::errors::value_error;
use crate::render;
use crate::scenario::Scenario;
use evenkeel_sim::scenario::Layout;
use evenkeel_sim::seed::Split;
use evenkeel_sim::sim::WorldSnapshot;

/// Environments of one scenario, stepped together by a pool of threads without the GIL.
#[pyclass(frozen, module = "evenkeel")]
pub(crate) struct Environments {
    /// Locked only while the GIL is released, so that no two threads wait for each other.
    batch: Mutex<EnvBatch>,
    rows: usize,
    obs_dim: usize,
    action_dim: usize,
    reward_terms: usize,
}

/// Arrays of a step, in the order of `_evenkeel.pyi`.
type StepArrays = (
    Py<PyAny>,
    Py<PyAny>,
    Py<PyAny>,
    Py<PyAny>,
    Py<PyAny>,
    Option<EndedArrays>,
);

/// Arrays of the ended rows, in the order of `_evenkeel.pyi`.
type EndedArrays = (Py<PyAny>, Py<PyAny>, Py<PyAny>, Py<PyAny>, Py<PyAny>);

#[pymethods]
impl Environments {
    #[new]
    #[pyo3(signature = (scenario, num_envs, seed, threads, autoreset, split = "train"))]
    fn new(
        py: Python<'_>,
        scenario: &Scenario,
        num_envs: usize,
        seed: u64,
        threads: usize,
        autoreset: &str,
        split: &str,
    ) -> PyResult<Self> {
        let options = BatchOptions {
            scenario: Arc::clone(&scenario.inner),
            seed,
            split: parse_split(split)?,
            auto_reset: parse_autoreset(autoreset)?,
        };
        let batch = py
            .detach(|| EnvBatch::new(options, num_envs, threads))
            .map_err(value_error)?;
        Ok(Self {
            rows: batch.rows(),
            obs_dim: batch.obs_dim(),
            action_dim: batch.action_dim(),
            reward_terms: batch.reward_terms(),
            batch: Mutex::new(batch),
        })
    }

    /// Starts episodes, and writes the observations of all rows to `obs`, `[N, obs]`.
    #[pyo3(signature = (obs, seed = None, mask = None, episode = None))]
    fn reset(
        &self,
        py: Python<'_>,
        mut obs: PyReadwriteArray2<'_, f32>,
        seed: Option<u64>,
        mask: Option<PyReadonlyArray1<'_, bool>>,
        episode: Option<u64>,
    ) -> PyResult<()> {
        self.check_shape("obs", obs.shape(), self.obs_dim)?;
        if let Some(mask) = &mask
            && mask.len() != self.rows
        {
            return Err(value_error(format_args!(
                "the reset mask has length {}, and there are {} environments",
                mask.len(),
                self.rows
            )));
        }
        let obs = obs.as_slice_mut()?;
        let mask = mask.as_ref().map(PyReadonlyArray1::as_slice).transpose()?;
        let reset = Reset {
            seed,
            mask,
            episode,
        };
        py.detach(|| self.lock().reset(reset, obs))
            .map_err(value_error)
    }

    /// One control step of every environment. `actions` is `[N, act]`; writes the next observations
    /// to `obs`, `[N, obs]`.
    fn step(
        &self,
        py: Python<'_>,
        actions: PyReadonlyArray2<'_, f32>,
        mut obs: PyReadwriteArray2<'_, f32>,
    ) -> PyResult<StepArrays> {
        self.check_shape("actions", actions.shape(), self.action_dim)?;
        self.check_shape("obs", obs.shape(), self.obs_dim)?;
        let (actions, obs) = (actions.as_slice()?, obs.as_slice_mut()?);
        let step = py
            .detach(|| self.lock().step(actions, obs))
            .map_err(value_error)?;
        self.step_arrays(py, step)
    }

    /// `[N]`: the number of each row's episode.
    fn episodes(&self, py: Python<'_>) -> Py<PyAny> {
        let episodes = self.each_row(py, |batch, row| batch.env(row).0.episode());
        flat(py, episodes)
    }

    /// `[N, 3]`: x and y of each robot's origin, metres, and its heading, radians.
    fn poses(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let poses = py.detach(|| {
            let batch = self.lock();
            let mut snapshot = WorldSnapshot::default();
            let mut poses = Vec::with_capacity(self.rows * 3);
            for row in 0..self.rows {
                let (env, robot) = batch.env(row);
                if robot == 0 {
                    env.snapshot(&mut snapshot);
                }
                let robot = &snapshot.robots[robot];
                poses.extend(robot.position);
                poses.push(robot.heading_rad);
            }
            poses
        });
        shaped(py, poses, &[self.rows, 3])
    }

    /// `[N, 3]`: x and y of each robot's goal and its radius, metres.
    fn goals(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        let goals = self.each_row(py, |batch, row| {
            let (env, robot) = batch.env(row);
            let robot = &env.layout().robots[robot];
            [robot.goal.x, robot.goal.y, robot.goal_radius]
        });
        shaped(py, goals.into_iter().flatten().collect(), &[self.rows, 3])
    }

    /// `[N]`: a hash of the bits of each row's world: see `NavEnv::state_hash`.
    fn state_hashes(&self, py: Python<'_>) -> Py<PyAny> {
        let hashes = self.each_row(py, |batch, row| batch.env(row).0.state_hash());
        flat(py, hashes)
    }

    /// An image of the world of a row, `[height, width, 3]`, at most `max_side` pixels high and wide.
    fn render(&self, py: Python<'_>, row: usize, max_side: u32) -> PyResult<Py<PyAny>> {
        if row >= self.rows {
            return Err(value_error(format_args!(
                "there is no environment {row}; there are {}",
                self.rows
            )));
        }
        let image = py.detach(|| {
            let (layout, snapshot): (Layout, WorldSnapshot) = {
                let batch = self.lock();
                let (env, _) = batch.env(row);
                let mut snapshot = WorldSnapshot::default();
                env.snapshot(&mut snapshot);
                (env.layout().clone(), snapshot)
            };
            render::image(layout, &snapshot, max_side)
        });
        let image = image.map_err(value_error)?;
        shaped(py, image.rgb, &[image.height, image.width, 3])
    }
}

impl Environments {
    fn lock(&self) -> MutexGuard<'_, EnvBatch> {
        self.batch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn each_row<T: Send>(
        &self,
        py: Python<'_>,
        value: impl Fn(&EnvBatch, usize) -> T + Sync,
    ) -> Vec<T> {
        py.detach(|| {
            let batch = self.lock();
            (0..self.rows).map(|row| value(&batch, row)).collect()
        })
    }

    /// Checks that an array is `[N, width]`.
    fn check_shape(&self, name: &str, shape: &[usize], width: usize) -> PyResult<()> {
        let expected = [self.rows, width];
        if shape == expected {
            return Ok(());
        }
        Err(value_error(format_args!(
            "{name} has shape {shape:?}, and {expected:?} is expected"
        )))
    }

    fn step_arrays(&self, py: Python<'_>, step: BatchStep) -> PyResult<StepArrays> {
        let ended = &step.ended.rows;
        let ended = (!ended.is_empty()).then(|| self.ended_arrays(py, step.ended));
        Ok((
            flat(py, step.reward),
            flat(py, step.terminated),
            flat(py, step.truncated),
            shaped(py, step.terms, &[self.rows, self.reward_terms])?,
            flat(py, step.inactive),
            ended.transpose()?,
        ))
    }

    fn ended_arrays(&self, py: Python<'_>, ended: EndedRows) -> PyResult<EndedArrays> {
        let count = ended.rows.len();
        Ok((
            flat(py, ended.rows),
            flat(py, ended.outcomes),
            flat(py, ended.returns),
            flat(py, ended.lengths),
            shaped(py, ended.final_obs, &[count, self.obs_dim])?,
        ))
    }
}

fn parse_split(name: &str) -> PyResult<Split> {
    match name {
        "train" => Ok(Split::Train),
        "validation" => Ok(Split::Validation),
        "eval" => Ok(Split::Eval),
        _ => Err(value_error(format_args!(
            "no split {name:?}; expected \"train\", \"validation\" or \"eval\""
        ))),
    }
}

fn parse_autoreset(name: &str) -> PyResult<AutoReset> {
    match name {
        "SameStep" => Ok(AutoReset::SameStep),
        "NextStep" => Ok(AutoReset::NextStep),
        "Disabled" => Ok(AutoReset::Disabled),
        _ => Err(value_error(format_args!(
            "no autoreset mode {name:?}; expected \"SameStep\", \"NextStep\" or \"Disabled\""
        ))),
    }
}
