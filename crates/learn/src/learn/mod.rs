//! Learning: rollout, generalised advantages, the PPO objective, the one optimiser step, the one
//! training loop, checkpoints. This room must never print, draw, or know which command called it.

mod checkpoint;
mod config;
mod contribution;
mod curriculum;
mod error;
mod experiment;
mod flight_recorder;
mod gae;
mod incident;
mod learner;
mod learner_pool;
mod limit;
mod metrics;
mod normaliser;
mod policy_controller;
mod ppo;
mod reference;
mod resume;
mod rollout;
mod telemetry_bench;
mod tensors;
mod tiny;
mod train_bench;
mod trainer;
mod trajectory;
mod update;

pub use checkpoint::{Checkpoint, SavedPolicy, TrainState};
pub use config::{
    AdvantageNormaliser, Device, NormaliseConfig, RunConfig, RunningNormaliser, StabilityConfig,
    TrainConfig,
};
pub use contribution::{GradientBreakdown, TransitionContribution, gradient_breakdown};
pub use curriculum::{Curriculum, CurriculumState, DifficultyCurriculum, LearnabilityCurriculum};
pub use error::{CheckpointError, EvaluateError, LearnError};
pub use experiment::{Experiment, ExperimentError};
pub use flight_recorder::FlightRecorderConfig;
pub use gae::{GaeInput, advantages};
pub use incident::{Incident, IncidentFolder, incident_severity};
pub use learner::{UpdateAttempt, UpdatePosition};
pub use learner_pool::{LEARNER_THREAD_PREFIX, LearnerPool};
pub use limit::Limit;
pub use metrics::MetricsLevel;
pub use normaliser::{Normaliser, RunningMoments};
pub use policy_controller::PolicyController;
pub use ppo::{Objective, RowLayout};
pub use reference::settings_markdown;
pub use resume::REMEDY_SETTINGS;
pub use telemetry_bench::{TelemetryBench, bench_telemetry};
pub use tiny::TinyEnv;
pub use train_bench::{TrainBench, bench_learner, bench_train};
pub use trainer::{EvaluateFn, RecordFn, RunOutcome, TrainHooks, Trainer};
pub use update::{AppliedUpdate, RejectedUpdate, UpdateInput, UpdateRule, update};
