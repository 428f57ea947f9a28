//! Networks: activations, initial weights, action distributions, policies. The weights live in one
//! flat tensor outside; what is here knows shapes and formulas. This room must never know the
//! environment.

mod activation;
mod distribution;
mod init;
mod mlp;
mod noise;
mod params;
mod policy;

pub use activation::Activation;
pub use distribution::{DiagonalGaussian, GaussianSpec, Head, Squash};
pub use init::{
    GainSpec, Init, Layer, NormalSpec, OrthogonalSpec, RecurrentGainSpec, RecurrentInit,
};
pub use mlp::{Mlp, MlpConfig, Tape};
pub use noise::normal_pair;
pub use params::{ParamEntry, ParamLayout, Part};
pub use policy::{Outputs, Policy, PolicyConfig};
