//! Files of a checkpoint, all in one folder.
//!
//! ```text
//! policy.safetensors    weights by name, buffers, observation normaliser: enough to act
//! trainer.safetensors   optimiser moments, return normaliser, environments, hidden states
//! state.json            settings, layouts, counters; states of the clip stages, the update guard,
//!                       the detectors and the curriculum
//! ```
//!
//! [`TrainState`](super::TrainState) writes and reads all of them, [`SavedPolicy`] reads what acts.

use std::fs;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::normaliser::RunningMoments;
use super::tensors::TensorReader;
use super::{ReturnNormaliser, ReturnScaling, SavedStateError, TrainStateHeader};
use evenkeel_runs::runs::recover_dir;

/// The format that this build reads and writes.
pub(super) const FORMAT: u32 = 4;

pub(super) const POLICY: &str = "policy.safetensors";
pub(super) const TRAINER: &str = "trainer.safetensors";
pub(super) const STATE: &str = "state.json";

/// The largest count in a checkpoint. Counts are added to and multiplied, and all are far below.
pub(super) const MAX_COUNT: u64 = 1 << 53;

/// The tensor that holds a policy's buffers.
pub(super) const BUFFERS: &str = "buffers";
/// The tensors that hold the moments of the observation normaliser.
pub(super) const OBSERVATION: &str = "normaliser.observation";
/// The tensors that hold the statistics of the return normaliser.
pub(super) const RETURNS: &str = "normaliser.return";
/// The tensors that hold the states of the environments.
pub(super) const ENVIRONMENT: &str = "environment";
/// The tensor that holds the initial parameters of a run that started from a policy.
pub(super) const INITIAL: &str = "initial_parameters";
/// The tensor that holds the hidden state of the policy in each environment.
pub(super) const HIDDEN: &str = "memory.hidden";

/// What a policy needs to act.
#[derive(Clone, Debug, PartialEq)]
pub struct SavedPolicy {
    /// Settings, layouts and counters of the run.
    pub header: TrainStateHeader,
    /// θ, flat.
    pub parameters: Vec<f32>,
    /// Buffers of the policy, flat.
    pub buffers: Vec<f32>,
    /// Moments of the observation normaliser.
    pub observation: RunningMoments,
}

impl SavedPolicy {
    /// Reads what a policy needs to act from a checkpoint's folder.
    pub fn load(folder: &Path) -> Result<Self, SavedStateError> {
        recover_dir(folder).map_err(|source| SavedStateError::Io {
            path: folder.to_owned(),
            source,
        })?;
        let header: TrainStateHeader = read_json(folder, STATE, FORMAT)?;
        let path = folder.join(STATE);
        let broken = |reason| SavedStateError::State { path, reason };
        header.check().map_err(broken)?;
        let policy = header.policy();
        let bytes = read(folder, POLICY)?;
        let file = TensorReader::open(folder.join(POLICY), &bytes)?;
        let mut parameters = Vec::with_capacity(policy.layout().len());
        for entry in policy.layout().entries() {
            let shape: Vec<usize> = entry.shape.iter().map(|&side| side as usize).collect();
            parameters.extend(file.f32(&entry.name, &shape)?);
        }
        let buffers = file.f32(BUFFERS, &[policy.initial_buffers().len()])?;
        let observation = file.moments(OBSERVATION, policy.obs_dim())?;
        if let Some(index) = parameters.iter().position(|weight| !weight.is_finite()) {
            let reason = format!("weight {index} is {}", parameters[index]);
            return Err(file.broken(reason));
        }
        Ok(Self {
            header,
            parameters,
            buffers,
            observation,
        })
    }
}

/// A checkpoint's return normaliser of this kind; `None` where the folder holds a policy only.
pub(super) fn load_return_normaliser(
    folder: &Path,
    kind: ReturnScaling,
) -> Option<ReturnNormaliser> {
    let bytes = fs::read(folder.join(TRAINER)).ok()?;
    let file = TensorReader::open(folder.join(TRAINER), &bytes).ok()?;
    let statistics = file.return_moments(RETURNS, kind).ok()?;
    Some(ReturnNormaliser::new(kind, statistics))
}

/// Reads a JSON file that a checkpoint or an incident must have, and whose `format` must be this
/// build's.
pub(super) fn read_json<T: DeserializeOwned>(
    folder: &Path,
    name: &'static str,
    format: u32,
) -> Result<T, SavedStateError> {
    let broken = |reason| SavedStateError::State {
        path: folder.join(name),
        reason,
    };
    let bytes = read(folder, name)?;
    let value: Value = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    let found = value.get("format").and_then(Value::as_u64);
    if found != Some(format.into()) {
        let found = found.map_or("none".into(), |found| found.to_string());
        return Err(broken(format!(
            "format {found}, where this build reads {format}"
        )));
    }
    check_counts(&value, "").map_err(broken)?;
    serde_json::from_value(value).map_err(|error| broken(error.to_string()))
}

/// Refuses whole numbers that no counter reaches. Only seeds may be as large.
fn check_counts(value: &Value, key: &str) -> Result<(), String> {
    match value {
        Value::Number(number) if key != "seed" => match number.as_u64() {
            Some(count) if count > MAX_COUNT => Err(format!(
                "`{key}` is {count}, which is more than a run can count"
            )),
            _ => Ok(()),
        },
        Value::Array(values) => values.iter().try_for_each(|value| check_counts(value, key)),
        Value::Object(entries) => entries
            .iter()
            .try_for_each(|(key, value)| check_counts(value, key)),
        _ => Ok(()),
    }
}

/// Reads a file that a checkpoint or an incident must have.
pub(super) fn read(folder: &Path, name: &'static str) -> Result<Vec<u8>, SavedStateError> {
    let path = folder.join(name);
    fs::read(&path).map_err(|source| match source.kind() {
        std::io::ErrorKind::NotFound => SavedStateError::Incomplete {
            path: folder.to_owned(),
            missing: name,
        },
        _ => SavedStateError::Io { path, source },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_beyond_any_run_are_refused_and_seeds_are_not() {
        let largest = u64::MAX;
        assert_eq!(
            check_counts(&json!({"seed": largest, "steps": 7}), ""),
            Ok(())
        );
        let deep = json!({"guard": [{"level": {"count": largest}}]});
        let message = check_counts(&deep, "").unwrap_err();
        assert_eq!(
            message,
            "`count` is 18446744073709551615, which is more than a run can count"
        );
    }
}
