//! Networks, optimisers and training. The only crate that uses libtorch.

pub mod nn;

pub mod optim;

pub mod learn;

/// The libtorch that this build was made against, as in `2.13.0+cpu`.
pub const LIBTORCH_VERSION: &str = env!("EVENKEEL_LIBTORCH_VERSION");

/// This build, as recordings name it.
pub fn build() -> evenkeel_runs::recording::messages::BuildInfo {
    evenkeel_runs::recording::messages::BuildInfo::current(Some(LIBTORCH_VERSION))
}
