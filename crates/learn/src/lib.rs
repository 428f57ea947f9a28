//! Networks, optimisers and training of the robot-navigation simulator `evenkeel`. The only crate
//! that computes with libtorch.

pub mod onnx;

pub mod nn;

pub mod optim;

pub mod learn;

/// Version of libtorch that this build was compiled against, such as `2.13.0+cpu`.
pub const LIBTORCH_VERSION: &str = env!("EVENKEEL_LIBTORCH_VERSION");

/// This build, as recordings store it.
pub fn build() -> evenkeel_runs::recording::messages::BuildInfo {
    evenkeel_runs::recording::messages::BuildInfo::current(Some(LIBTORCH_VERSION))
}
