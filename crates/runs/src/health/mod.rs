//! Detectors of training symptoms and the update guard. They turn numbers about training into
//! events and decisions. This module must not depend on torch and must not act on its decisions.
//! The error rates of the detectors are in `docs/detectors.md`.

mod baseline;
mod config;
mod detection;
mod fault_injection;
mod guard;
mod inputs;
mod monitor;
mod robot;

pub use baseline::spike_indices;
pub use config::{
    EntropyConfig, HealthConfig, OscillationConfig, PolicyShiftConfig, RobotConfig, SpikeConfig,
    UnitsConfig, UpdateSpikeConfig, VanishingConfig,
};
pub use fault_injection::{DetectorRecall, InjectedFault, measure_recall, replay_log};
pub use guard::{
    GuardConfig, GuardDecision, GuardMode, GuardState, ProposedUpdate, Rollback, UpdateGuard,
};
pub use inputs::{DrivingMetrics, NetworkLayout, UpdateMetrics};
pub use monitor::{Monitor, MonitorState};
pub use robot::DrivingState;
