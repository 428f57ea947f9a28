//! Actors without learning: what a policy has to beat. On the command line they are policies
//! named `planner:NAME`.

mod differential;
mod dwa;
mod orca;
mod per_env;
mod pursuit;
mod random;
mod route;
mod route_state;
mod straight;
mod teleop;

use crate::config::suggest;
use crate::env::Controller;
use crate::scenario::Scenario;
use crate::seed::RootSeed;

pub use dwa::DwaPlanner;
pub use orca::OrcaPlanner;
pub use pursuit::PursuitPlanner;
pub use random::RandomPlanner;
pub use straight::StraightPlanner;
pub use teleop::{Joystick, Teleop};

/// Names of the drivers, as after `planner:`.
pub const NAMES: [&str; 5] = ["dwa", "orca", "pursuit", "random", "straight"];

/// Why there is no such driver here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlannerError {
    /// Nobody of that name.
    #[error("no driver '{name}'; {help}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        help: String,
    },
    /// The scenario's robot does not tell it what it needs.
    #[error(
        "driver '{planner}' needs the observation block '{block}', which {scenario} does not have; add it to observation.blocks"
    )]
    MissingBlock {
        /// The driver.
        planner: &'static str,
        /// What it needs.
        block: &'static str,
        /// The scenario.
        scenario: String,
    },
    /// The scenario's robot moves in a way that the driver does not know.
    #[error(
        "driver '{planner}' steers two driven wheels, and the robot of {scenario} has another drive; write drive = {{ differential = {{ … }} }}, or take planner:straight, which drives any"
    )]
    UnsupportedDrive {
        /// The driver.
        planner: &'static str,
        /// The scenario.
        scenario: String,
    },
}

/// The driver of this name for the robot of a scenario; `seed` is the root of what it draws, if it
/// draws anything.
///
/// # Errors
/// If nobody has that name, or the robot's observation lacks what the driver needs.
pub fn by_name(
    name: &str,
    scenario: &Scenario,
    seed: RootSeed,
) -> Result<Box<dyn Controller + Send>, PlannerError> {
    match name {
        "dwa" => Ok(Box::new(DwaPlanner::new(scenario)?)),
        "orca" => Ok(Box::new(OrcaPlanner::new(scenario)?)),
        "pursuit" => Ok(Box::new(PursuitPlanner::new(scenario)?)),
        "random" => Ok(Box::new(RandomPlanner::new(seed))),
        "straight" => Ok(Box::new(StraightPlanner::new(scenario)?)),
        _ => Err(unknown(name)),
    }
}

/// Refuses a name that no driver has.
///
/// # Errors
/// If nobody has that name.
pub fn check_name(name: &str) -> Result<(), PlannerError> {
    if NAMES.contains(&name) {
        Ok(())
    } else {
        Err(unknown(name))
    }
}

fn unknown(name: &str) -> PlannerError {
    PlannerError::Unknown {
        name: name.to_owned(),
        help: suggest(name, &NAMES).unwrap_or_default(),
    }
}
