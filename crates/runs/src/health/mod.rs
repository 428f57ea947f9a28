//! Detectors and guard: numbers about training in, verdicts out. This room must not know torch, nor
//! what will be done about a verdict; `docs/detectors.md` says how good the detectors are.

mod config;
mod guard;
mod level;
mod monitor;
mod robot;
mod trial;
mod vitals;

pub use config::{
    EntropyConfig, HealthConfig, OscillationConfig, PolicyShiftConfig, RobotConfig, SpikeConfig,
    UnitsConfig, VanishingConfig, WeightLeapConfig,
};
pub use guard::{Guard, GuardConfig, GuardState, Guardian, PreStep, Rollback, Ruling};
pub use level::spikes;
pub use monitor::{Monitor, MonitorState};
pub use robot::RobotState;
pub use trial::{Injection, Recall, recall, replay};
pub use vitals::{Anatomy, RobotVitals, StepVitals};
