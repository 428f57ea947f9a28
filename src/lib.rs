//! evenkeel: a fast 2-D robot-navigation simulator whose policy-gradient training you can *see*
//! to be stable or not, and see *why*.
//!
//! The library is a house of rooms (modules); each uses only rooms listed above it, and a test
//! reads every path to keep it so. ARCHITECTURE.md is the map.

// The order is the order of the house. Blank lines keep rustfmt from sorting it.

pub mod seed;

pub mod stats;

// The numbers of the next two are the same on every machine: `libm`, never std (clippy.toml).
#[deny(clippy::disallowed_methods)]
pub mod scenario;

#[deny(clippy::disallowed_methods)]
pub mod sim;

pub mod env;

pub mod drivers;

pub mod eval;

pub mod telemetry;

pub mod runs;

pub mod record;

pub mod health;

#[cfg(feature = "learn")]
pub mod nn;

#[cfg(feature = "learn")]
pub mod optim;

#[cfg(feature = "learn")]
pub mod learn;

pub mod lab;

pub mod report;

#[cfg(feature = "bevy")]
pub mod bevy_env;

#[cfg(feature = "view")]
pub mod view;

pub mod cli;

/// evenkeel's version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The libtorch that this build was made against, as in `2.13.0+cpu`; `None` without the feature
/// `learn`.
pub const LIBTORCH_VERSION: Option<&str> = option_env!("EVENKEEL_LIBTORCH_VERSION");

/// The README's code, compiled and run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
