//! Learning: rollout, generalised advantages, the PPO objective, the one optimiser step, the one
//! training loop, checkpoints. This room must never print, draw, or know which command called it.

mod bench;
mod checkpoint;
mod config;
mod contribution;
mod cost;
mod curriculum;
mod error;
mod experiment;
mod gae;
mod incident;
mod learner;
mod limit;
mod lived;
mod measure;
mod normaliser;
mod policy_actor;
mod ppo;
mod recorder;
mod reference;
mod resume;
mod rollout;
mod tensors;
mod tiny;
mod trainer;
mod update;
mod workers;

pub use bench::{TrainBench, bench_learn, bench_train};
pub use checkpoint::{Checkpoint, SavedPolicy, SavedState};
pub use config::{
    AdvantageNormaliser, Device, NormaliseConfig, RunConfig, RunningNormaliser, StabilityConfig,
    TrainConfig,
};
pub use contribution::{Contribution, Contributions, contributions};
pub use cost::{TelemetryBench, bench_telemetry};
pub use curriculum::{ByDifficulty, ByLearnability, Curriculum, CurriculumState};
pub use error::{CheckpointError, EvaluateError, LearnError};
pub use experiment::{Experiment, ExperimentError};
pub use gae::{GaeInput, advantages};
pub use incident::{Incident, IncidentFolder, incident_severity};
pub use learner::{Place, Tried};
pub use limit::Limit;
pub use measure::Measure;
pub use normaliser::{Moments, Normaliser};
pub use policy_actor::PolicyActor;
pub use ppo::{Columns, Objective};
pub use recorder::RecorderConfig;
pub use reference::settings_markdown;
pub use resume::REMEDY_SETTINGS;
pub use tiny::TinyEnv;
pub use trainer::{Ended, Evaluate, Record, Session, Trainer};
pub use update::{Applied, Refused, Remedy, UpdateInput, update};
pub use workers::{THREADS, Workers};
