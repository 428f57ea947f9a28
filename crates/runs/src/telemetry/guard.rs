//! What the guard of the room `health` did about an optimiser step, as a run's log keeps it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::DivergenceReason;
use super::health::significant_digits;

/// An optimiser step that the guard found fault with.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct GuardReport {
    /// Environment steps gathered before it.
    pub global_step: u64,
    /// The optimiser step.
    pub optimiser_step: u64,
    /// What is wrong with it.
    pub fault: GuardFault,
    /// What was done.
    pub action: GuardAction,
}

/// Why a step is refused.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardFault {
    /// With it, the run would have diverged.
    WouldDiverge(DivergenceReason),
    /// Its gradient's norm is too far above the recent level.
    GradNorm {
        /// The norm.
        grad_norm: f64,
        /// The most that it was allowed to be.
        threshold: f64,
    },
}

/// What is done with a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GuardAction {
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
            GuardFault::WouldDiverge(reason) => f.write_str(reason.description())?,
            GuardFault::GradNorm {
                grad_norm,
                threshold,
            } => write!(
                f,
                "gradient norm {}, threshold {}",
                significant_digits(grad_norm),
                significant_digits(threshold)
            )?,
        }
        match self.action {
            GuardAction::Proceed => f.write_str("; taken all the same"),
            GuardAction::Halt => f.write_str("; training ends before it"),
            GuardAction::Skip => f.write_str("; left out"),
            GuardAction::Rollback {
                learning_rate_scale,
            } => write!(
                f,
                "; back to the last healthy snapshot, on with {} times the learning rate",
                significant_digits(learning_rate_scale)
            ),
        }
    }
}
