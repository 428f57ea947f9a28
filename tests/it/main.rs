//! Integration tests, one module per subject, in one binary so that libtorch is linked once.

#[cfg(feature = "learn")]
mod autopsy;

mod barn;

#[cfg(feature = "bevy")]
mod bevy_env;

mod cli;

mod compare;

#[cfg(feature = "learn")]
mod curriculum;
mod damaged_recordings;

#[cfg(feature = "view")]
#[cfg_attr(
    not(feature = "learn"),
    allow(dead_code, reason = "the window on a training run needs all of it")
)]
mod display;

mod own_runs;

mod planners;

mod evaluation;

mod files;

#[cfg(feature = "learn")]
mod grid;

#[cfg(feature = "learn")]
mod guard;

mod health;

mod helpers;

#[cfg(feature = "learn")]
mod incidents;

#[cfg(feature = "learn")]
mod learning;

#[cfg(all(feature = "learn", feature = "view"))]
mod live_window;

mod maps;

#[cfg(feature = "learn")]
mod margin;

mod memory_task;

#[cfg(feature = "learn")]
mod metrics_export;

#[cfg(feature = "learn")]
mod networks;

#[cfg(feature = "learn")]
mod onnx;

#[cfg(feature = "learn")]
mod python;

mod recording_commands;
mod recordings;

#[cfg(feature = "learn")]
mod update_rules;

#[cfg(feature = "view")]
mod replay_window;

mod report;

mod requirements;

mod rewards;

mod layers;
mod robots;

#[cfg(feature = "learn")]
mod determinism;

#[cfg(feature = "learn")]
mod fine_tuning;

mod scenario_errors;

#[cfg(feature = "learn")]
mod settings;

#[cfg(feature = "learn")]
mod signals;

mod simulation;

mod stats;

mod multi_robot;

mod suite;

mod synthetic_runs;

#[cfg(feature = "learn")]
mod training_recordings;

mod generated_worlds;

#[cfg(feature = "view")]
mod screenshots;
