//! The task around the world: observations by name, actions, named rewards, `Outcome`, and many
//! environments stepped together. This room must never know torch or Bevy.

mod api;
mod outcome;

pub use api::{Actor, EnvState, EpisodeStats, ObsLayout, StepBuffers, VectorEnv};
pub use outcome::Outcome;
