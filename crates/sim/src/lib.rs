//! The simulator: scenarios, physics, lidar, environments and planners.
//!
//! The layers, from bottom to top: [`seed`] and [`config`], [`scenario`], [`sim`], [`env`](mod@env)
//! and [`planners`]. This crate must not know torch, runs or windows.

pub mod hash;

pub mod seed;

pub mod config;

// These two modules compute the same numbers on every machine: they use `libm` instead of std
// (see clippy.toml).
#[deny(clippy::disallowed_methods)]
pub mod scenario;

#[deny(clippy::disallowed_methods)]
pub mod sim;

pub mod env;

pub mod planners;
