//! Optimisation on one flat tensor: gradient clipping, weight decay, optimisers whose state can be
//! saved, schedules, resets of weights. Each family of techniques has its own file. This module must not know PPO.

mod clip;
mod decay;
mod family;
mod optimiser;
mod reset;
mod schedule;

// Globs, so that a new technique is declared only in the file of its family.
pub use clip::*;
pub use decay::*;
pub use optimiser::*;
pub use reset::*;
pub use schedule::{AdaptiveKl, Schedule, warmup_factor};
