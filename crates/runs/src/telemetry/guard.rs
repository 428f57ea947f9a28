//! Reports of the update guard in module `health`, as written to a run's log.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::DivergenceReason;
use super::health::significant_digits;

/// An optimiser step in which the guard found a fault.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GuardReport {
    /// Environment steps collected before the optimiser step.
    pub global_step: u64,
    /// Index of the optimiser step.
    pub optimiser_step: u64,
    /// What is wrong with the step.
    pub fault: GuardFault,
    /// What the guard did.
    pub action: GuardAction,
}

/// Why the guard refuses an optimiser step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardFault {
    /// The step would make the run diverge.
    WouldDiverge(DivergenceReason),
    /// The gradient norm is too far above its recent level.
    GradNorm {
        /// Gradient norm before any clip.
        #[serde(with = "crate::json::nullable")]
        #[schemars(with = "f64")]
        grad_norm: f64,
        /// Largest allowed norm.
        #[serde(with = "crate::json::nullable")]
        #[schemars(with = "f64")]
        threshold: f64,
    },
}

/// What the guard does with an optimiser step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GuardAction {
    /// Applies the step.
    Proceed,
    /// Ends the run before the step.
    Halt,
    /// Drops the step and continues training.
    Skip,
    /// Restores the last healthy snapshot and continues with a lower learning rate.
    Rollback {
        /// Factor on the configured learning rate: the product over all rollbacks so far.
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
            GuardAction::Proceed => f.write_str("; step applied"),
            GuardAction::Halt => f.write_str("; training ends before it"),
            GuardAction::Skip => f.write_str("; step skipped"),
            GuardAction::Rollback {
                learning_rate_scale,
            } => write!(
                f,
                "; back to the last healthy snapshot, with {} times the learning rate",
                significant_digits(learning_rate_scale)
            ),
        }
    }
}
