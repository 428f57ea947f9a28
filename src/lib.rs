//! evenkeel: a fast 2-D robot-navigation simulator whose policy-gradient training you can *see*
//! to be stable or not, and see *why*.

pub use evenkeel_lab::{lab, report};
#[cfg(feature = "learn")]
pub use evenkeel_learn::{learn, nn, optim};
pub use evenkeel_runs::{eval, health, recording, runs, stats, telemetry};
pub use evenkeel_sim::{config, env, planners, scenario, seed, sim};
#[cfg(feature = "bevy")]
pub use evenkeel_view::bevy_env;
#[cfg(feature = "view")]
pub use evenkeel_view::view;

/// evenkeel's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The libtorch that this build was made against, as in `2.13.0+cpu`; `None` without the feature
/// `learn`.
#[cfg(feature = "learn")]
pub const LIBTORCH_VERSION: Option<&str> = Some(evenkeel_learn::LIBTORCH_VERSION);
/// `None`: this build has no libtorch.
#[cfg(not(feature = "learn"))]
pub const LIBTORCH_VERSION: Option<&str> = None;

/// This build, as recordings name it.
pub fn build() -> recording::messages::BuildInfo {
    recording::messages::BuildInfo::current(LIBTORCH_VERSION)
}

/// The README's code, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
