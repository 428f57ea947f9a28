//! Why a planner cannot be made.

/// Why a planner cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlannerError {
    /// There is no planner of that name.
    #[error("no planner '{name}'; {help}")]
    Unknown {
        /// The name.
        name: String,
        /// Names that may have been meant.
        help: String,
    },
    /// The scenario's observation lacks a block that the planner reads.
    #[error(
        "planner '{planner}' needs the observation block '{block}', which {scenario} does not have; add it to observation.blocks"
    )]
    MissingBlock {
        /// Name of the planner.
        planner: &'static str,
        /// Name of the block.
        block: &'static str,
        /// Name of the scenario.
        scenario: String,
    },
    /// The planner does not support the drive of the scenario's robot.
    #[error(
        "planner '{planner}' needs a differential drive, which the robot of {scenario} does not have; write drive = {{ differential = {{ … }} }}, or use planner:straight, which supports every drive"
    )]
    UnsupportedDrive {
        /// Name of the planner.
        planner: &'static str,
        /// Name of the scenario.
        scenario: String,
    },
}
