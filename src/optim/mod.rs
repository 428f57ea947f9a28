//! Optimisation on one flat tensor: gradient clipping, optimisers whose state can be saved,
//! schedules. This room must never know PPO.

mod adam;
mod clip;
mod schedule;

pub use adam::{Adam, AdamState, Optimiser};
pub use clip::{ClipStage, GlobalNorm, clip_in_order, norm};
pub use schedule::Schedule;
