//! What the guard of the room `health` did about an optimiser step, as a run's log keeps it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DivergenceReason;
use super::health::short;

/// An optimiser step that the guard found fault with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardReport {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The optimiser step.
    pub optimiser_step: u64,
    /// What is wrong with it.
    pub fault: Fault,
    /// What was done.
    pub action: Action,
}

/// Why a step is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// With it, the run would have diverged.
    Diverges(DivergenceReason),
    /// Its gradient's norm is too far above the recent level.
    Norm {
        /// The norm.
        norm: f64,
        /// The most that it was allowed to be.
        threshold: f64,
    },
}

/// What is done with a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It is taken.
    Proceed,
    /// The run ends without it.
    Halt,
    /// Training goes on without it.
    Skip,
    /// Training goes back to the last healthy snapshot, and goes on with this times the configured
    /// learning rate.
    Rollback {
        /// The product of the factors of all rollbacks so far.
        learning_rate_scale: f64,
    },
}

impl fmt::Display for GuardReport {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "guard, optimiser step {}: ", self.optimiser_step)?;
        match self.fault {
            Fault::Diverges(reason) => f.write_str(reason.words())?,
            Fault::Norm { norm, threshold } => write!(
                f,
                "gradient norm {}, threshold {}",
                short(norm),
                short(threshold)
            )?,
        }
        match self.action {
            Action::Proceed => f.write_str("; taken all the same"),
            Action::Halt => f.write_str("; training ends before it"),
            Action::Skip => f.write_str("; left out"),
            Action::Rollback {
                learning_rate_scale,
            } => write!(
                f,
                "; back to the last healthy snapshot, on with {} times the learning rate",
                short(learning_rate_scale)
            ),
        }
    }
}
