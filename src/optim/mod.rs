//! Optimisation on one flat tensor: gradient clipping, weight decay, optimisers whose state can be
//! saved, schedules. One family of techniques a file. This room must never know PPO.

mod clip;
mod decay;
mod family;
mod optimiser;
mod schedule;

pub use clip::{
    ActorCritic, Agc, AutoClip, Centralised, ClipStage, ClipState, Clipped, GlobalNorm, Normalised,
    PerLayer, Value, ZClip, clip_in_order, norm,
};
pub use decay::{Decay, Decoupled, L1, L2, couple, decouple};
pub use family::BadSetting;
pub use optimiser::{Adam, Moment, Optimiser, OptimiserState, RmsProp, Sgd};
pub use schedule::Schedule;
