//! The window on a training run: some of its environments, and its metrics, live.
//!
//! Training runs on another thread and does not depend on the window. Before each frame the window
//! asks a [`Probe`] for snapshots of the environments and a [`SharedHistory`] for metrics. It draws
//! so seldom that training keeps its share of the CPU.
//!
//! [`Probe`]: evenkeel_sim::env::Probe
//! [`SharedHistory`]: evenkeel_runs::telemetry::SharedHistory

mod chart;
mod cpu_meter;
mod dashboard;
mod event_list;
mod frame_limiter;
mod header_footer;
mod heat_map;
mod keys;
mod legend;
mod screen;
mod screen_ui;
mod tiles;
mod training;
mod window;

pub use training::{LiveTraining, TrainingPhase};
pub use window::LiveWindow;
