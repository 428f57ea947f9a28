//! The environment as a Bevy plugin, and the window on it.

pub mod bevy_env;

#[cfg(feature = "window")]
pub mod view;
