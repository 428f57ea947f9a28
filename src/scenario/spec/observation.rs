//! What the policy sees.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the policy sees: blocks of numbers, one after the other in the order written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ObservationSpec {
    /// The blocks.
    pub blocks: Vec<ObservationBlock>,
    /// The goal is shown for this long from the episode's start, seconds; afterwards its block
    /// reads three zeros, as no goal ever does. Left out, it is shown throughout. With a goal that
    /// is one of several this is the cue of a memory task, as the sign at the entrance of a T-maze
    /// is (Bakker, Reinforcement Learning with Long Short-Term Memory, NIPS 2001); such a task
    /// leaves the block `previous_action` out, which would remember in the policy's stead.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub goal_shown_secs: Option<f64>,
}

impl Default for ObservationSpec {
    fn default() -> Self {
        use ObservationBlock::{Goal, Lidar, PreviousAction, Velocity};
        Self {
            blocks: vec![Lidar, Goal, Velocity, PreviousAction],
            goal_shown_secs: None,
        }
    }
}

/// A block of the observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObservationBlock {
    /// One number a beam: d / (d + 0.5) for a reading of d metres, so that what is near is told
    /// apart finely; 0 at the sensor, 1/2 at half a metre.
    Lidar,
    /// Forward speed and turn rate, each over its bound, -1 to 1.
    Velocity,
    /// The goal in polar form: distance in metres / 10, then cosine and sine of its bearing
    /// relative to the heading; zeros once it is no longer shown.
    Goal,
    /// The action of the step before, -1 to 1; zeros at the start.
    PreviousAction,
}
