//! Actors without learning: what a policy has to beat. On the command line they are policies
//! named `driver:NAME`.

mod course;
mod differential;
mod dwa;
mod memory;
mod orca;
mod pursuit;
mod random;
mod route;
mod straight;
mod teleop;

use crate::config::did_you_mean;
use crate::env::Actor;
use crate::scenario::Scenario;
use crate::seed::Root;

pub use dwa::Dwa;
pub use orca::Orca;
pub use pursuit::Pursuit;
pub use random::Random;
pub use straight::Straight;
pub use teleop::{Lever, Teleop};

/// Names of the drivers, as after `driver:`.
pub const NAMES: [&str; 5] = ["dwa", "orca", "pursuit", "random", "straight"];

/// Why there is no such driver here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
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
        "driver '{driver}' needs the observation block '{block}', which {scenario} does not have; add it to observation.blocks"
    )]
    Blind {
        /// The driver.
        driver: &'static str,
        /// What it needs.
        block: &'static str,
        /// The scenario.
        scenario: String,
    },
    /// The scenario's robot moves in a way that the driver does not know.
    #[error(
        "driver '{driver}' steers two driven wheels, and the robot of {scenario} has another drive; write drive = {{ differential = {{ … }} }}, or take driver:straight, which drives any"
    )]
    Drive {
        /// The driver.
        driver: &'static str,
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
    seed: Root,
) -> Result<Box<dyn Actor + Send>, DriverError> {
    match name {
        "dwa" => Ok(Box::new(Dwa::new(scenario)?)),
        "orca" => Ok(Box::new(Orca::new(scenario)?)),
        "pursuit" => Ok(Box::new(Pursuit::new(scenario)?)),
        "random" => Ok(Box::new(Random::new(seed))),
        "straight" => Ok(Box::new(Straight::new(scenario)?)),
        _ => Err(unknown(name)),
    }
}

/// Refuses a name that no driver has.
///
/// # Errors
/// If nobody has that name.
pub fn check_name(name: &str) -> Result<(), DriverError> {
    if NAMES.contains(&name) {
        Ok(())
    } else {
        Err(unknown(name))
    }
}

fn unknown(name: &str) -> DriverError {
    DriverError::Unknown {
        name: name.to_owned(),
        help: did_you_mean(name, &NAMES).unwrap_or_default(),
    }
}
