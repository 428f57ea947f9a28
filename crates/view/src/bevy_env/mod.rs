//! The environment as a headless Bevy plugin: a [`NavSim`] is a [`NavEnv`] with its [`Controller`],
//! stepped in `FixedUpdate`; entities show its robots and movers. This module must never need a
//! window or a GPU.
//!
//! The simulation is one component, not spread over entities, so that Bevy does not decide the order
//! of its computations: whatever the frame times, trajectories are those of the plain [`NavEnv`], bit
//! for bit. Moving the entities has no effect on the simulation.
//!
//! ```
//! use std::sync::Arc;
//! use bevy::prelude::*;
//! use evenkeel_view::bevy_env::{NavPlugin, NavSim};
//! use evenkeel_sim::{env::NavEnv, planners, scenario, seed::Split};
//!
//! let scenario = Arc::new(scenario::resolve("open_field", &[])?);
//! let planner = planners::by_name("straight", &scenario, 0)?;
//! let env = NavEnv::new(scenario, 0, Split::Eval, 0)?;
//!
//! let mut app = App::new();
//! app.add_plugins((MinimalPlugins, NavPlugin));
//! app.world_mut().spawn(NavSim::new(env, planner));
//! app.update();
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`NavEnv`]: evenkeel_sim::env::NavEnv
//! [`Controller`]: evenkeel_sim::env::Controller

mod entities;
mod nav_clock;
mod plugin;
mod sim;

pub use entities::{NavMover, NavRobot};
pub use nav_clock::NavClock;
pub use plugin::{EpisodeBegan, EpisodeEnded, NavPlugin, NavSystems};
pub use sim::{NavSim, OnEpisodeEnd};
