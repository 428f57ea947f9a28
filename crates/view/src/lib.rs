//! The environment as a headless Bevy plugin, and windows on it.

pub mod bevy_env;

#[cfg(feature = "window")]
pub mod view;
