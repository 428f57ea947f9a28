//! Errors of training, and of reading checkpoints and incidents.

use std::path::PathBuf;

use super::NoCuda;
use super::config::{CHANGEABLE_ON_RESUME, REMEDY_SETTINGS};
use evenkeel_runs::recording::RecordError;
use evenkeel_sim::config::InvalidSetting;

/// Why an evaluation failed: any error of the evaluation function.
pub type EvaluateError = Box<dyn std::error::Error + Send + Sync>;

/// An error of training.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// An invalid setting.
    #[error(transparent)]
    Config(#[from] InvalidSetting),
    /// CUDA is requested but not available.
    #[error(transparent)]
    NoCuda(#[from] NoCuda),
    /// The number of environments is not that of the settings.
    #[error("the settings say {expected} environments, but {found} were made")]
    EnvCount {
        /// `train.num_envs`.
        expected: usize,
        /// Environments that were made.
        found: usize,
    },
    /// A run cannot be resumed with changed settings.
    #[error(
        "this run was started with a different `{}`; only {} may change when a run is resumed: \
         leave the rest as it was, or start a new run",
        keys.join("`, `"),
        CHANGEABLE_ON_RESUME.join(", ")
    )]
    SettingsChanged {
        /// The settings, as `--set` names them.
        keys: Vec<String>,
    },
    /// A run cannot be forked with changed settings that are not remedies.
    #[error(
        "an optimiser step cannot be repeated with a different `{}`: the weights or the rollout \
         would have been different; only {} may change",
        keys.join("`, `"),
        REMEDY_SETTINGS.join(", ")
    )]
    NotUpdateSetting {
        /// The settings, as `--set` names them.
        keys: Vec<String>,
    },
    /// Simulated again, the rollout of an incident is different.
    #[error(
        "simulated again, the rollout of optimiser step {optimiser_step} gives environment {env} \
         a different observation at step {step}: another build or machine recorded the incident, \
         and training cannot continue from it here"
    )]
    ReplayMismatch {
        /// The optimiser step.
        optimiser_step: u64,
        /// The environment.
        env: usize,
        /// The step of the rollout.
        step: usize,
    },
    /// A run cannot be resumed to fewer steps than it has done.
    #[error(
        "`train.total_steps` is {total_steps}, but the run is already at {global_step} steps; it \
         must be at least that"
    )]
    BeyondTotalSteps {
        /// Requested steps.
        total_steps: u64,
        /// Steps that are done.
        global_step: u64,
    },
    /// A run cannot start from a policy with another network, or other normalisers.
    #[error(
        "the policy of {policy} does not fit these settings: {}; leave them out, and the policy's own \
         are taken",
        differences.join("; ")
    )]
    StartSettings {
        /// The policy's run, or checkpoint.
        policy: String,
        /// The settings that differ, each with both values.
        differences: Vec<String>,
    },
    /// A run cannot start from a policy for other observations.
    #[error(
        "the policy of {policy} does not fit this scenario: it observes {trained}, and the scenario \
         gives {found}"
    )]
    StartObservations {
        /// The policy's run, or checkpoint.
        policy: String,
        /// The blocks of the policy's observation and their lengths.
        trained: String,
        /// Those of the scenario.
        found: String,
    },
    /// A run cannot start from a policy for other actions.
    #[error(
        "the policy of {policy} does not fit this scenario: it gives {trained} actions, and the robot \
         takes {found}"
    )]
    StartActions {
        /// The policy's run, or checkpoint.
        policy: String,
        /// Length of the policy's actions.
        trained: usize,
        /// Length of the robot's actions.
        found: usize,
    },
    /// Threads could not be started.
    #[error("cannot start worker threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// The environments could not be restored to the state in the checkpoint.
    #[error("cannot restore the environments of the checkpoint: {0}")]
    Restore(String),
    /// A curriculum is set, but the environments have no levels.
    #[error("`train.curriculum` chooses levels, and these environments have none; leave it out")]
    NoLevels,
    /// An evaluation failed.
    #[error("cannot evaluate: {0}")]
    Evaluate(EvaluateError),
    /// An event could not be recorded.
    #[error("cannot write the events of training: {0}")]
    Sink(std::io::Error),
    /// Training could not be recorded.
    #[error("cannot record an episode of training: {0}")]
    Record(RecordError),
    /// An incident could not be written.
    #[error("cannot write an incident: {0}")]
    Incident(std::io::Error),
    /// A checkpoint or an incident could not be written or read.
    #[error(transparent)]
    SavedState(#[from] SavedStateError),
}

/// An error of a saved state: a checkpoint or an incident.
#[derive(Debug, thiserror::Error)]
pub enum SavedStateError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A file is missing in the folder.
    #[error("{path} is no checkpoint and no incident, or not all of one: it has no `{missing}`")]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// The missing file.
        missing: &'static str,
    },
    /// A JSON file is invalid.
    #[error("{path}: {reason}; the file was damaged, or written by another version")]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor file is invalid.
    #[error("{path}: {reason}; the file was cut off or damaged")]
    Tensors {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor does not have the shape that the policy's settings give.
    #[error(
        "{path}: `{tensor}` has shape {found:?}, but the policy's settings make it {expected:?}"
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The expected shape.
        expected: Vec<usize>,
    },
    /// The policy was trained on other observations.
    #[error(
        "the policy was trained on observations {trained}, but these are {found}; use the \
         scenario that it was trained on, or one with the same sensors"
    )]
    Observations {
        /// Observations that it was trained on.
        trained: String,
        /// Observations that are there.
        found: String,
    },
    /// The policy was trained for other actions.
    #[error("the policy gives {trained} actions, but the robot takes {found}")]
    Actions {
        /// Length of the policy's actions.
        trained: usize,
        /// Length of the robot's actions.
        found: usize,
    },
}
