//! Checkpoints: all that the next optimiser step reads, in one folder.
//!
//! ```text
//! policy.safetensors    weights by name, statistics, observation normaliser: enough to act
//! trainer.safetensors   optimiser moments, return normaliser, environments, memories of them
//! state.json            counters, settings, observation layout, what clip stages and detectors
//!                       remember
//! ```

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::normaliser::RunningMoments;
use super::tensors::{TensorReader, TensorWriter};
use super::{CheckpointError, CurriculumState, RunConfig};
use crate::nn::Policy;
use crate::optim::{ClipStage, ClipState};
use evenkeel_runs::health::{GuardState, MonitorState};
use evenkeel_runs::runs::{recover_dir, replace_dir};
use evenkeel_runs::telemetry::{DivergedReport, Severity};
use evenkeel_sim::env::{EnvState, ObsLayout};

/// The format that this build reads and writes.
const FORMAT: u32 = 3;

const POLICY: &str = "policy.safetensors";
const TRAINER: &str = "trainer.safetensors";
const STATE: &str = "state.json";

/// The tensor that holds a policy's statistics.
const BUFFERS: &str = "buffers";
/// The tensors that hold what the return normaliser has seen.
const RETURNS: &str = "normaliser.return";
/// The tensors that hold where the environments stand.
const ENVIRONMENT: &str = "environment";
/// The tensor that holds what is remembered of each environment.
const HIDDEN: &str = "memory.hidden";

/// What a policy needs to act.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedPolicy {
    /// Counters, settings and layout.
    pub state: TrainState,
    /// θ, flat.
    pub parameters: Vec<f32>,
    /// What the policy carries besides its parameters, flat.
    pub buffers: Vec<f32>,
    /// What the observation normaliser has seen.
    pub observation: RunningMoments,
}

/// All that the next optimiser step reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Checkpoint {
    /// What acts.
    pub policy: SavedPolicy,
    /// What the optimiser remembers of each parameter, by name.
    pub moments: Vec<(&'static str, Vec<f32>)>,
    /// What the return normaliser has seen.
    pub returns: RunningMoments,
    /// `[N, state]`: what the policy remembers of each environment; empty without a memory.
    pub hidden: Vec<f32>,
    /// Where each environment stands.
    pub environments: Vec<EnvState>,
}

/// Counters, settings and layout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainState {
    /// Format version.
    pub(super) format: u32,
    /// Root seed of the run.
    pub seed: u64,
    /// Iterations completed.
    pub iteration: u64,
    /// Environment steps gathered.
    pub global_step: u64,
    /// Optimiser steps tried, those that the guard refused included.
    pub optimiser_step: u64,
    /// Optimiser steps that the optimiser remembers.
    pub steps_taken: u64,
    /// Seconds of wall clock, summed over resumptions.
    pub elapsed_secs: f64,
    /// ‖θ₀‖.
    pub initial_norm: f64,
    /// What each clip stage remembers.
    pub clip: Vec<ClipState>,
    /// What the detectors remember.
    pub health: MonitorState,
    /// What the guard remembers.
    pub guard: GuardState,
    /// Where the run diverged, if it went on nevertheless.
    pub diverged: Option<DivergedReport>,
    /// The last optimiser step that the flight recorder set aside, and how bad it was.
    pub last_capture: Option<(u64, Severity)>,
    /// Success and return of the best evaluation so far.
    pub best: Option<(f64, f64)>,
    /// How far the curriculum has come.
    #[serde(default)]
    pub curriculum: CurriculumState,
    /// `(name, first, length)` of each block of an observation.
    pub obs_blocks: Vec<(String, usize, usize)>,
    /// Length of an action.
    pub action_dim: usize,
    /// All settings of the run.
    pub config: RunConfig,
}

impl TrainState {
    /// The state before the first iteration.
    pub(super) fn initial(
        config: RunConfig,
        seed: u64,
        layout: &ObsLayout,
        action_dim: usize,
        initial_norm: f64,
    ) -> Self {
        Self {
            format: FORMAT,
            seed,
            iteration: 0,
            global_step: 0,
            optimiser_step: 0,
            steps_taken: 0,
            elapsed_secs: 0.0,
            initial_norm,
            clip: config
                .stability
                .clip
                .iter()
                .map(ClipStage::initial_state)
                .collect(),
            health: MonitorState::default(),
            guard: GuardState::default(),
            diverged: None,
            last_capture: None,
            best: None,
            curriculum: CurriculumState::default(),
            obs_blocks: layout.blocks.clone(),
            action_dim,
            config,
        }
    }

    /// Says what is wrong where a file holds what no run can have.
    pub(super) fn check(&self) -> Result<(), String> {
        self.config.check().map_err(|error| error.to_string())?;
        let stages = &self.config.stability.clip;
        let mut remembered = stages.iter().zip(&self.clip);
        if stages.len() != self.clip.len()
            || !remembered.all(|(stage, own)| stage.accepts_state(own))
        {
            return Err(
                "what is remembered under `clip` is not of the stages of `stability.clip`".into(),
            );
        }
        let gaps = self.obs_blocks.iter().scan(0, |next, (_, first, length)| {
            let fits = first == next;
            *next = first.saturating_add(*length);
            Some(fits)
        });
        if !gaps.into_iter().all(|fits| fits) || !(1..1 << 24).contains(&self.obs_layout().dim()) {
            return Err("the blocks of the observation do not follow one another".into());
        }
        let fits = self.config.check_observations(&self.obs_layout());
        fits.map_err(|error| error.to_string())?;
        Ok(())
    }

    /// The policy that the settings describe.
    pub fn policy(&self) -> Policy {
        Policy::new(&self.config.policy, &self.obs_layout(), self.action_dim)
    }

    /// Layout of an observation.
    pub fn obs_layout(&self) -> ObsLayout {
        ObsLayout {
            blocks: self.obs_blocks.clone(),
        }
    }

    /// Refuses observations and actions that the policy was not trained on.
    pub fn check_compatible(
        &self,
        layout: &ObsLayout,
        action_dim: usize,
    ) -> Result<(), CheckpointError> {
        if self.obs_blocks != layout.blocks {
            return Err(CheckpointError::Observations {
                trained: describe(&self.obs_blocks),
                found: describe(&layout.blocks),
            });
        }
        if self.action_dim != action_dim {
            return Err(CheckpointError::Actions {
                trained: self.action_dim,
                found: action_dim,
            });
        }
        Ok(())
    }
}

/// The tensor that holds an optimiser's moment.
fn moment_tensor(name: &str) -> String {
    format!("optimiser.{name}")
}

/// `lidar[64] goal[3]`.
fn describe(blocks: &[(String, usize, usize)]) -> String {
    let blocks: Vec<String> = blocks
        .iter()
        .map(|(name, _, length)| format!("{name}[{length}]"))
        .collect();
    blocks.join(" ")
}

impl Checkpoint {
    /// Replaces the folder; a crash leaves the old one or the new one.
    pub fn save(&self, folder: &Path) -> Result<(), CheckpointError> {
        let at = |source| CheckpointError::Io {
            path: folder.to_owned(),
            source,
        };
        let policy = self.policy.state.policy();
        let mut weights = TensorWriter::default();
        for entry in policy.layout().entries() {
            let shape = entry.shape.iter().map(|&side| side as usize).collect();
            weights.f32(
                &entry.name,
                shape,
                &self.policy.parameters[entry.range.clone()],
            );
        }
        let buffers = &self.policy.buffers;
        weights.f32(BUFFERS, vec![buffers.len()], buffers);
        weights.moments("normaliser.observation", &self.policy.observation);

        let mut trainer = TensorWriter::default();
        for (name, entries) in &self.moments {
            trainer.f32(&moment_tensor(name), vec![entries.len()], entries);
        }
        trainer.moments(RETURNS, &self.returns);
        trainer.f32(HIDDEN, vec![self.hidden.len()], &self.hidden);
        trainer.environments(ENVIRONMENT, &self.environments);

        let state = serde_json::to_vec_pretty(&self.policy.state)
            .map_err(|error| at(std::io::Error::other(error)))?;
        replace_dir(folder, |folder| {
            fs::write(folder.join(POLICY), weights.bytes()?)?;
            fs::write(folder.join(TRAINER), trainer.bytes()?)?;
            fs::write(folder.join(STATE), &state)
        })
        .map_err(at)
    }

    /// Reads a folder that [`Self::save`] wrote.
    pub fn load(folder: &Path) -> Result<Self, CheckpointError> {
        let policy = SavedPolicy::load(folder)?;
        let bytes = read(folder, TRAINER)?;
        let file = TensorReader::open(folder.join(TRAINER), &bytes)?;
        let length = policy.parameters.len();
        let environments = file.environments(ENVIRONMENT)?;
        let train = &policy.state.config.train;
        let moments = train.optimiser.moments().iter();
        let moments = moments.map(|name| Ok((*name, file.f32(&moment_tensor(name), &[length])?)));
        let remembered = train.num_envs as usize * policy.state.policy().state_len();
        Ok(Self {
            moments: moments.collect::<Result<_, CheckpointError>>()?,
            returns: file.moments(RETURNS, 1)?,
            hidden: file.f32(HIDDEN, &[remembered])?,
            environments,
            policy,
        })
    }
}

impl SavedPolicy {
    /// Reads what a policy needs to act from a checkpoint's folder.
    pub fn load(folder: &Path) -> Result<Self, CheckpointError> {
        recover_dir(folder).map_err(|source| CheckpointError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let state: TrainState = read_json(folder, STATE, FORMAT)?;
        let path = folder.join(STATE);
        let broken = |reason| CheckpointError::State { path, reason };
        state.check().map_err(broken)?;
        let policy = state.policy();
        let bytes = read(folder, POLICY)?;
        let file = TensorReader::open(folder.join(POLICY), &bytes)?;
        let mut parameters = Vec::with_capacity(policy.layout().len());
        for entry in policy.layout().entries() {
            let shape: Vec<usize> = entry.shape.iter().map(|&side| side as usize).collect();
            parameters.extend(file.f32(&entry.name, &shape)?);
        }
        let buffers = file.f32(BUFFERS, &[policy.initial_buffers().len()])?;
        let observation = file.moments("normaliser.observation", policy.obs_dim())?;
        if let Some(index) = parameters.iter().position(|weight| !weight.is_finite()) {
            let reason = format!("weight {index} is {}", parameters[index]);
            return Err(file.broken(reason));
        }
        Ok(Self {
            state,
            parameters,
            buffers,
            observation,
        })
    }
}

/// What a checkpoint's return normaliser has seen, if the folder holds more than enough to act.
pub(super) fn load_return_moments(folder: &Path) -> Option<RunningMoments> {
    let bytes = fs::read(folder.join(TRAINER)).ok()?;
    let file = TensorReader::open(folder.join(TRAINER), &bytes).ok()?;
    file.moments(RETURNS, 1).ok()
}

/// Reads a JSON file that a checkpoint or an incident must have, and whose `format` must be this
/// build's.
pub(super) fn read_json<T: DeserializeOwned>(
    folder: &Path,
    name: &'static str,
    format: u32,
) -> Result<T, CheckpointError> {
    let broken = |reason| CheckpointError::State {
        path: folder.join(name),
        reason,
    };
    let bytes = read(folder, name)?;
    let value: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    let found = value.get("format").and_then(serde_json::Value::as_u64);
    if found != Some(format.into()) {
        let found = found.map_or("none".into(), |found| found.to_string());
        return Err(broken(format!(
            "format {found}, where this build reads {format}"
        )));
    }
    serde_json::from_value(value).map_err(|error| broken(error.to_string()))
}

/// Reads a file that a checkpoint or an incident must have.
pub(super) fn read(folder: &Path, name: &'static str) -> Result<Vec<u8>, CheckpointError> {
    let path = folder.join(name);
    fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => CheckpointError::Incomplete {
            path: folder.to_owned(),
            missing: name,
        },
        _ => CheckpointError::Io { path, source },
    })
}
