//! Training: rollouts, generalised advantages, the PPO objective, the optimiser step, the training
//! loop, checkpoints and incidents. This module must never print, draw, or depend on the command
//! that called it.

mod attempt;
mod batch;
mod checkpoint;
mod collect;
mod config;
mod contribution;
mod curriculum;
mod device;
mod error;
mod flight_recorder;
mod gae;
mod incident;
mod kl_penalty;
mod learner_pool;
mod limit;
mod metrics;
mod normaliser;
mod objective_check;
mod policy_controller;
mod policy_export;
mod ppo;
mod reference;
mod resume;
mod return_normaliser;
mod rollout;
mod run_definition;
mod sequences;
mod short_runs;
mod stability_config;
mod start_policy;
mod surrogate;
mod telemetry_bench;
mod tensors;
mod tiny;
mod train_bench;
mod train_state;
mod train_state_header;
mod trainer;
mod trajectory;
mod update;

pub use attempt::{IterationProgress, UpdateAttempt};
pub use checkpoint::SavedPolicy;
pub use config::{REMEDY_SETTINGS, RunConfig, TrainConfig};
pub use contribution::{GradientBreakdown, TransitionContribution, gradient_breakdown};
pub use curriculum::{Curriculum, CurriculumState, DifficultyCurriculum, LearnabilityCurriculum};
pub use device::{Device, NoCuda};
pub use error::{EvaluateError, LearnError, SavedStateError};
pub use gae::{GaeInput, advantages};
pub use incident::folder::IncidentFolder;
pub use incident::{Incident, incident_severity};
pub use kl_penalty::{AdaptiveKl, KlPenalty, KlPenaltyState};
pub use learner_pool::{LEARNER_THREAD_PREFIX, LearnerPool};
pub use limit::Limit;
pub use metrics::MetricsLevel;
pub use normaliser::{Normaliser, RunningMoments};
pub use policy_controller::PolicyController;
pub use policy_export::{ExportError, OnnxPolicy, export_onnx};
pub use ppo::{Objective, RowLayout};
pub use reference::settings_markdown;
pub use return_normaliser::{ReturnMoments, ReturnNormaliser, ReturnRange, ReturnScaling};
pub use run_definition::{RunDefinition, TrainError};
pub use short_runs::FEW_ITERATIONS;
pub use stability_config::{
    AdvantageNormaliser, FlightRecorderConfig, NormaliseConfig, RunningNormaliser, StabilityConfig,
};
pub use start_policy::StartPolicy;
pub use surrogate::Surrogate;
pub use telemetry_bench::{TelemetryBenchResult, bench_telemetry};
pub use tiny::TinyEnv;
pub use train_bench::{TrainBenchResult, bench_learner, bench_train};
pub use train_state::TrainState;
pub use train_state_header::TrainStateHeader;
pub use trainer::{EvaluateFn, RecordFn, RunOutcome, TrainHooks, Trainer};
pub use update::{FiniteUpdate, NonFiniteUpdate, UpdateInput, UpdateRule, update};
