//! evenkeel: a fast 2-D robot-navigation simulator whose policy-gradient training you can *see*
//! to be stable or not, and see *why*.
//!
//! The library is a house of rooms (modules); each uses only rooms listed above it, and a test
//! reads every path to keep it so. ARCHITECTURE.md is the map.

pub mod seed;
pub mod stats;

pub mod scenario;

pub mod sim;

pub mod env;

pub mod drivers;

pub mod telemetry;

pub mod runs;

pub mod eval;

#[cfg(feature = "learn")]
pub mod nn;
#[cfg(feature = "learn")]
pub mod optim;
#[cfg(feature = "learn")]
pub mod learn;

pub mod lab;
pub mod report;

pub mod cli;
