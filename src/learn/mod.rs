//! Learning: rollout, generalised advantages, the PPO objective, the one optimiser step, the one
//! training loop, checkpoints. This room must never print, draw, or know which command called it.

mod config;

pub use config::{
    AdvantageNormaliser, ConfigError, Device, NormaliseConfig, RunConfig, RunningNormaliser,
    StabilityConfig, TrainConfig,
};
