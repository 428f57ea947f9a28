//! Scenarios, physics, lidar, environments and planners.

pub mod seed;

pub mod config;

// Numbers in the next two modules are the same on every machine: `libm` instead of std (clippy.toml).
#[deny(clippy::disallowed_methods)]
pub mod scenario;

#[deny(clippy::disallowed_methods)]
pub mod sim;

pub mod env;

pub mod planners;
