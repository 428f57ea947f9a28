//! The environment as a headless Bevy plugin: a [`NavSim`] is a [`NavEnv`] with an [`Controller`] that
//! drives it, stepped in `FixedUpdate`; its robots and movers are entities that follow it. This
//! room must never need a window or a GPU.
//!
//! The simulation lives in one component, not spread over entities, so that its order of doing
//! things is its own: whatever the frame times, the trajectories are those of the plain
//! [`NavEnv`], bit for bit. The entities are a picture of it; moving them moves nothing.
//!
//! ```
//! use std::sync::Arc;
//! use bevy::prelude::*;
//! use evenkeel::bevy_env::{NavPlugin, NavSim};
//! use evenkeel::{drivers, env::NavEnv, scenario, seed::Split};
//!
//! let scenario = Arc::new(scenario::resolve("open_field", &[])?);
//! let driver = drivers::by_name("straight", &scenario, 0)?;
//! let env = NavEnv::new(scenario, 0, Split::Eval, 0)?;
//!
//! let mut app = App::new();
//! app.add_plugins((MinimalPlugins, NavPlugin));
//! app.world_mut().spawn(NavSim::new(env, driver));
//! app.update();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`NavEnv`]: evenkeel_sim::env::NavEnv
//! [`Controller`]: evenkeel_sim::env::Actor

mod entities;
mod nav_clock;
mod plugin;
mod sim;

pub use entities::{NavMover, NavRobot};
pub use nav_clock::NavClock;
pub use plugin::{EpisodeBegan, EpisodeEnded, NavPlugin, NavSystems};
pub use sim::{NavSim, OnEpisodeEnd};
