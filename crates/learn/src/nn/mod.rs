//! Networks: layers, memories, initial weights, action distributions, policies. The weights live
//! in one flat tensor outside; what is here knows shapes and formulas. This room must never know
//! the environment.

mod activation;
mod activity;
mod distribution;
mod init;
mod layer;
mod lidar;
mod network;
mod norm;
mod params;
mod policy;
mod recurrent;

pub use activation::Activation;
pub use activity::UnitActivity;
pub use distribution::{DiagonalGaussian, GaussianSpec, Head, Squash};
pub use init::{
    GainSpec, Init, Layer, NormalSpec, OrthogonalSpec, RecurrentGainSpec, RecurrentInit,
};
pub use lidar::{Inputs, LidarConv};
pub use network::MlpConfig;
pub use norm::NormLayer;
pub use params::{ParamEntry, ParamLayout, Part, Role, dot, entries};
pub use policy::{Acted, Gradient, Outputs, Policy, PolicyConfig, TrunkSharing, Weights};
pub use recurrent::{GruSpec, LstmSpec, Memory, Recall, RnnActivation, RnnSpec};
