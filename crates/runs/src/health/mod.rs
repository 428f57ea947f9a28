//! Detectors and guard: numbers about training in, verdicts out. This room must not know torch, nor
//! what will be done about a verdict; `docs/detectors.md` says how good the detectors are.

mod baseline;
mod config;
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
