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
pub use distribution::{ActionHead, DiagonalGaussian, GaussianSpec, Squash};
pub use init::{
    GainSpec, Init, LayerKind, NormalSpec, OrthogonalSpec, RecurrentGainSpec, RecurrentInit,
};
pub use lidar::{InputLayout, LidarConv};
pub use network::MlpConfig;
pub use norm::NormLayer;
pub use params::{NetworkPart, ParamEntry, ParamLayout, ParamRole, dot, entries};
pub use policy::{ActOutput, Gradient, Policy, PolicyConfig, PolicyOutput, TrunkSharing, Weights};
pub use recurrent::{GruSpec, LstmSpec, RecurrentConfig, RnnActivation, RnnSpec, UnrollInput};
