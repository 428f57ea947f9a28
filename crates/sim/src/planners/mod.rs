//! Planners: controllers without learning, the baselines for policies. On the command line they are
//! named `planner:NAME`. Planners must not depend on trained policies.

mod differential;
mod dwa;
mod error;
mod orca;
mod per_env;
mod pursuit;
mod random;
mod route;
mod route_planner;
mod straight;
mod teleop;

use crate::config::suggest;
use crate::env::Controller;
use crate::scenario::Scenario;
use crate::seed::RootSeed;

pub use dwa::DwaPlanner;
pub use error::PlannerError;
pub use random::RandomPlanner;
pub use route_planner::RoutePlanner;
pub use straight::StraightPlanner;
pub use teleop::{Joystick, Teleop};

/// Names of the planners, as after `planner:`.
pub const NAMES: [&str; 5] = ["dwa", "orca", "pursuit", "random", "straight"];

/// The planner of a name, for the robots of a scenario. A stochastic planner takes its random
/// streams from `seed`.
///
/// # Errors
/// If there is no planner of that name, or it does not support the scenario's drive or observation.
pub fn by_name(
    name: &str,
    scenario: &Scenario,
    seed: RootSeed,
) -> Result<Box<dyn Controller + Send>, PlannerError> {
    match name {
        "dwa" => Ok(Box::new(DwaPlanner::new(scenario)?)),
        "orca" => Ok(Box::new(RoutePlanner::orca(scenario)?)),
        "pursuit" => Ok(Box::new(RoutePlanner::pursuit(scenario)?)),
        "random" => Ok(Box::new(RandomPlanner::new(seed))),
        "straight" => Ok(Box::new(StraightPlanner::new(scenario)?)),
        _ => Err(unknown(name)),
    }
}

/// Checks that there is a planner of a name.
///
/// # Errors
/// If there is none.
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
