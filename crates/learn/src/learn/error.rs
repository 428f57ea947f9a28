//! What can go wrong while learning.

use std::path::PathBuf;

use evenkeel_runs::recording::RecordError;
use evenkeel_sim::config::InvalidSetting;

/// Why an evaluation failed; whatever the evaluator says.
pub type EvaluateError = Box<dyn std::error::Error + Send + Sync>;

/// What can go wrong while learning.
#[derive(Debug, thiserror::Error)]
pub enum LearnError {
    /// A setting that cannot work.
    #[error(transparent)]
    Config(#[from] InvalidSetting),
    /// CUDA was asked for and is not there.
    #[error(
        "no CUDA device can be used: this libtorch was built without CUDA, or the system shows no \
         GPU; take `cpu`, or install a libtorch with CUDA (`cargo xtask setup --cuda`)"
    )]
    NoCuda,
    /// The environment is not the one that the settings speak of.
    #[error("the settings say {expected} environments, but {found} were made")]
    EnvCount {
        /// `train.num_envs`.
        expected: usize,
        /// What the environment has.
        found: usize,
    },
    /// A run was to go on with other settings than it began with.
    #[error(
        "this run began with another `{}`; only {} may change when a run goes on: leave the rest \
         as it was, or begin a new run",
        keys.join("`, `"),
        super::resume::CHANGEABLE_ON_RESUME.join(", ")
    )]
    SettingsChanged {
        /// The settings, as `--set` names them.
        keys: Vec<String>,
    },
    /// A step was to be run again with settings that it has nothing to do with.
    #[error(
        "an optimiser step cannot be run again with another `{}`: the weights or the rollout would \
         have been others; what can differ is {}",
        keys.join("`, `"),
        super::resume::REMEDY_SETTINGS.join(", ")
    )]
    NotUpdateSetting {
        /// The settings, as `--set` names them.
        keys: Vec<String>,
    },
    /// The rollout of an incident came out differently.
    #[error(
        "simulated again, the rollout of optimiser step {optimiser_step} shows environment {env} \
         something else at step {step}: another build or machine recorded the incident, and \
         training cannot go on from it here"
    )]
    ReplayMismatch {
        /// The step.
        optimiser_step: u64,
        /// The environment.
        env: usize,
        /// The step of the rollout.
        step: usize,
    },
    /// A run was to go on to an end that it has passed.
    #[error(
        "`train.total_steps` is {total_steps}, but the run is already at {global_step} steps; it \
         must be at least that"
    )]
    BeyondTotalSteps {
        /// Steps asked for.
        total_steps: u64,
        /// Steps done.
        global_step: u64,
    },
    /// The system gave no threads.
    #[error("cannot start worker threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// Environments could not go back to where the checkpoint left them.
    #[error("cannot restore the environments of the checkpoint: {0}")]
    Restore(String),
    /// A curriculum was asked for where there is nothing to choose.
    #[error("`train.curriculum` chooses levels, and these environments have none; leave it out")]
    NoLevels,
    /// An evaluation failed.
    #[error("cannot evaluate: {0}")]
    Evaluate(EvaluateError),
    /// An event could not be recorded.
    #[error("cannot record what training does: {0}")]
    Sink(std::io::Error),
    /// Training could not be recorded.
    #[error("cannot record an episode of training: {0}")]
    Record(RecordError),
    /// An incident could not be written.
    #[error("cannot keep an incident: {0}")]
    Incident(std::io::Error),
    /// A checkpoint could not be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// What can be wrong with a checkpoint.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder does not hold what it should.
    #[error("{path} is no checkpoint and no incident, or not all of one: it has no `{missing}`")]
    Incomplete {
        /// The folder.
        path: PathBuf,
        /// The file that should be there.
        missing: &'static str,
    },
    /// `state.json` does not say what it should.
    #[error("{path}: {reason}; the file was damaged, or written by another version")]
    State {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor file does not hold what it should.
    #[error("{path}: {reason}; the file was cut off or damaged")]
    Tensors {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A tensor has another shape than the policy's settings give.
    #[error(
        "{path}: `{tensor}` has shape {found:?}, but the policy's settings make it {expected:?}"
    )]
    Shape {
        /// Which file.
        path: PathBuf,
        /// Which tensor.
        tensor: String,
        /// What the file has.
        found: Vec<usize>,
        /// What it should be.
        expected: Vec<usize>,
    },
    /// The policy was trained on other observations.
    #[error(
        "the policy was trained on observations {trained}, but these are {found}; use the \
         scenario that it was trained on, or one with the same sensors"
    )]
    Observations {
        /// What it knows.
        trained: String,
        /// What it was given.
        found: String,
    },
    /// The policy was trained for other actions.
    #[error("the policy gives {trained} actions, but the robot takes {found}")]
    Actions {
        /// What it gives.
        trained: usize,
        /// What is wanted.
        found: usize,
    },
}
