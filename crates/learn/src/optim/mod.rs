//! Optimisation on one flat tensor: gradient clipping, weight decay, optimisers whose state can be
//! saved, schedules. One family of techniques a file. This room must never know PPO.

mod clip;
mod decay;
mod family;
mod optimiser;
mod schedule;

// Of the families, all that is public: a technique is declared in its family's file alone.
pub use clip::*;
pub use decay::*;
pub use optimiser::*;
pub use schedule::Schedule;
