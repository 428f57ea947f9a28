//! Networks: layers, recurrent cells, initialisation, action distributions, policies. The weights
//! are in one flat tensor that the caller owns; this module knows shapes and formulas. It must not
//! know the environment.

mod activation;
mod activity;
mod critic_head;
mod distribution;
mod init;
mod layer;
mod lidar;
mod network;
mod norm;
mod params;
mod policy;
mod policy_config;
mod policy_layer;
mod policy_output;
mod recurrent;
mod simba;

pub use activation::Activation;
pub use activity::UnitActivity;
pub use critic_head::{CriticHead, HlGaussSpec};
pub use distribution::{
    ActionDistribution, ActionHead, BetaDistribution, DiagonalGaussian, GaussianSpec, LogStdBound,
    LogStdRange, Score, Squash, StateGaussian,
};
pub use init::{
    GainSpec, Init, LayerKind, NormalSpec, OrthogonalSpec, RecurrentGainSpec, RecurrentInit,
};
pub use lidar::{InputLayout, LidarConv};
pub use network::MlpConfig;
pub use norm::NormLayer;
pub use params::{NetworkPart, ParamEntry, ParamLayout, ParamRole, Weights, dot, entries};
pub use policy::Policy;
pub use policy_config::{PolicyConfig, TrunkSharing};
pub use policy_layer::PolicyLayer;
pub use policy_output::{ActOutput, Gradient, PolicyOutput};
pub use recurrent::{GruSpec, LstmSpec, RecurrentConfig, RnnActivation, RnnSpec, UnrollInput};
pub use simba::HiddenBlock;
