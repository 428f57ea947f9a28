//! The policy that a run starts from, instead of drawn weights: its weights, buffers and normalisers.
//! A run folder keeps them in `start.safetensors`, so that the run can be repeated and resumed without
//! the run that they are from. The optimiser, the schedules and the curriculum start fresh.

use std::path::Path;

use serde_json::Value;
use tch::Tensor;

use super::checkpoint::{BUFFERS, OBSERVATION, RETURNS, SavedPolicy, load_return_normaliser};
use super::normaliser::{Normaliser, RunningMoments};
use super::resume::different_settings;
use super::tensors::{TensorReader, TensorWriter};
use super::train_state_header::describe;
use super::{
    LearnError, ReturnMoments, ReturnNormaliser, ReturnScaling, RunConfig, RunningNormaliser,
    SavedStateError, TrainState,
};
use crate::nn::{Policy, PolicyConfig};
use crate::optim::norm;
use evenkeel_runs::runs::{PolicyOrigin, RunDir, RunError};
use evenkeel_sim::env::ObsLayout;
use evenkeel_sim::hash::fnv1a_64;

/// The policy that a run starts from.
#[derive(Clone, Debug, PartialEq)]
pub struct StartPolicy {
    /// Where it is from.
    pub origin: PolicyOrigin,
    /// The settings of its networks.
    config: PolicyConfig,
    /// The kinds of its normalisers.
    normalise: (RunningNormaliser, ReturnScaling),
    obs_layout: ObsLayout,
    action_dim: usize,
    parameters: Vec<f32>,
    buffers: Vec<f32>,
    observation: RunningMoments,
    /// Statistics of returns; absent where the checkpoint holds nothing but what acts.
    returns: Option<ReturnMoments>,
}

impl StartPolicy {
    /// Reads the policy of a checkpoint's folder, in the folder of `run` if it is in one.
    ///
    /// # Errors
    /// If the checkpoint cannot be read.
    pub fn from_checkpoint(folder: &Path, run: Option<&RunDir>) -> Result<Self, SavedStateError> {
        let saved = SavedPolicy::load(folder)?;
        let normalise = saved.header.config.stability.normalise;
        let returns = load_return_normaliser(folder, normalise.returns);
        let checkpoint = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Ok(Self {
            origin: PolicyOrigin {
                run: run.map(RunDir::name),
                checkpoint: checkpoint.display().to_string(),
                global_step: saved.header.global_step,
                weights: hash(&saved.parameters, &saved.buffers),
            },
            obs_layout: saved.header.obs_layout(),
            action_dim: saved.header.action_dim,
            normalise: (normalise.observation, normalise.returns),
            config: saved.header.config.policy,
            parameters: saved.parameters,
            buffers: saved.buffers,
            observation: saved.observation,
            returns: returns.map(|returns| returns.statistics().clone()),
        })
    }

    /// Reads the policy that the run in a folder started from; `None` if it started from drawn
    /// weights. The other arguments are those of the run.
    ///
    /// # Errors
    /// If the run's files cannot be read, or are not those of this policy.
    pub(super) fn of_run(
        run: &RunDir,
        config: &RunConfig,
        obs_layout: ObsLayout,
        action_dim: usize,
    ) -> Result<Option<Self>, LearnError> {
        let info = run.info().map_err(|error| unreadable(run, &error))?;
        let Some(origin) = info.from else {
            return Ok(None);
        };
        let path = run.start_path();
        let bytes = std::fs::read(&path).map_err(|source| SavedStateError::Io {
            path: path.clone(),
            source,
        })?;
        let file = TensorReader::open(path, &bytes)?;
        let policy = Policy::new(&config.policy, &obs_layout, action_dim);
        let mut parameters = Vec::with_capacity(policy.layout().len());
        for entry in policy.layout().entries() {
            let shape: Vec<usize> = entry.shape.iter().map(|&side| side as usize).collect();
            parameters.extend(file.f32(&entry.name, &shape)?);
        }
        let buffers = file.f32(BUFFERS, &[policy.initial_buffers().len()])?;
        if hash(&parameters, &buffers) != origin.weights {
            let reason = "its weights are not those that `run.json` names".to_owned();
            return Err(file.broken(reason).into());
        }
        let normalise = config.stability.normalise;
        Ok(Some(Self {
            observation: file.moments(OBSERVATION, policy.obs_dim())?,
            returns: file.return_moments(RETURNS, normalise.returns).ok(),
            origin,
            config: config.policy.clone(),
            normalise: (normalise.observation, normalise.returns),
            obs_layout,
            action_dim,
            parameters,
            buffers,
        }))
    }

    /// The contents of `start.safetensors`.
    ///
    /// # Errors
    /// If they cannot be written; never for a policy that was read.
    pub(super) fn bytes(&self) -> std::io::Result<Vec<u8>> {
        let policy = Policy::new(&self.config, &self.obs_layout, self.action_dim);
        let mut file = TensorWriter::default();
        for entry in policy.layout().entries() {
            let shape = entry.shape.iter().map(|&side| side as usize).collect();
            file.f32(&entry.name, shape, &self.parameters[entry.range.clone()]);
        }
        file.f32(BUFFERS, vec![self.buffers.len()], &self.buffers);
        file.moments(OBSERVATION, &self.observation);
        if let Some(returns) = &self.returns {
            file.return_moments(RETURNS, returns);
        }
        file.bytes()
    }

    /// The settings that a run takes over from the policy: its networks without what is frozen, and
    /// the kinds of its normalisers.
    pub(super) fn settings(&self) -> StartSettings {
        StartSettings {
            policy: PolicyConfig {
                freeze: Vec::new(),
                ..self.config.clone()
            },
            stability: StartStability {
                normalise: StartNormalise {
                    observation: self.normalise.0,
                    returns: self.normalise.1,
                },
            },
        }
    }

    /// Refuses settings, observations and actions that the weights do not fit.
    ///
    /// # Errors
    /// What does not fit, with both shapes.
    pub fn check_fits(
        &self,
        config: &RunConfig,
        layout: &ObsLayout,
        action_dim: usize,
    ) -> Result<(), LearnError> {
        let policy = || {
            let origin = &self.origin;
            origin.run.clone().unwrap_or(origin.checkpoint.clone())
        };
        if self.obs_layout != *layout {
            return Err(LearnError::StartObservations {
                policy: policy(),
                trained: describe(&self.obs_layout.blocks),
                found: describe(&layout.blocks),
            });
        }
        if self.action_dim != action_dim {
            return Err(LearnError::StartActions {
                policy: policy(),
                trained: self.action_dim,
                found: action_dim,
            });
        }
        let own = self.settings();
        let mut wanted = own.clone();
        wanted.policy = PolicyConfig {
            freeze: Vec::new(),
            // Only weights that a reset draws depend on it.
            init: own.policy.init,
            ..config.policy.clone()
        };
        let normalise = config.stability.normalise;
        wanted.stability.normalise.observation = normalise.observation;
        wanted.stability.normalise.returns = normalise.returns;
        let differences = different_settings(&own, &wanted);
        if differences.is_empty() {
            return Ok(());
        }
        let value = |value: &Value| match value {
            Value::Null => "left out".to_owned(),
            value => value.to_string(),
        };
        Err(LearnError::StartSettings {
            policy: policy(),
            differences: differences
                .iter()
                .map(|(path, own, here)| {
                    format!("`{path}` is {} there and {} here", value(own), value(here))
                })
                .collect(),
        })
    }
}

/// What a run takes over from a policy, as a layer of settings.
#[derive(Clone, Debug, serde::Serialize)]
pub(super) struct StartSettings {
    policy: PolicyConfig,
    stability: StartStability,
}

#[derive(Clone, Debug, serde::Serialize)]
struct StartStability {
    normalise: StartNormalise,
}

#[derive(Clone, Debug, serde::Serialize)]
struct StartNormalise {
    observation: RunningNormaliser,
    #[serde(rename = "return")]
    returns: ReturnScaling,
}

impl TrainState {
    /// Takes over the weights and normalisers of a policy, before the first iteration.
    pub(super) fn start_from(&mut self, start: &StartPolicy) {
        self.parameters = Tensor::from_slice(&start.parameters);
        self.initial_parameters = self.parameters.shallow_clone();
        self.buffers = Tensor::from_slice(&start.buffers);
        self.header.initial_norm = norm(&self.parameters);
        self.header.starts_from_policy = true;
        let normalise = self.header.config.stability.normalise;
        self.observation = Normaliser::new(normalise.observation, start.observation.clone());
        if let Some(returns) = &start.returns {
            self.returns = ReturnNormaliser::new(normalise.returns, returns.clone());
        }
    }
}

/// The hash of weights and buffers in `run.json`.
fn hash(parameters: &[f32], buffers: &[f32]) -> String {
    let numbers = parameters.iter().chain(buffers);
    let hash = fnv1a_64(numbers.flat_map(|number| number.to_le_bytes()));
    format!("{hash:016x}")
}

fn unreadable(run: &RunDir, error: &RunError) -> SavedStateError {
    SavedStateError::State {
        path: run.path().to_owned(),
        reason: error.to_string(),
    }
}
