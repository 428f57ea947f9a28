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
    /// The scan is pooled into this many sectors of neighbouring beams, each the shortest of its
    /// readings; it divides the number of beams. Left out, every beam is seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub lidar_sectors: Option<u32>,
    /// Control steps that are seen at once, 1 to 32: all blocks of the newest, then all of the one
    /// before, and so on. Before there are as many, the first stands in for those that are
    /// missing (Mnih et al., Nature 518, 2015).
    pub stack: u32,
}

impl Default for ObservationSpec {
    fn default() -> Self {
        use ObservationBlock::{Goal, Lidar, PreviousAction, Velocity};
        Self {
            blocks: vec![Lidar, Goal, Velocity, PreviousAction],
            goal_shown_secs: None,
            lidar_sectors: None,
            stack: 1,
        }
    }
}

/// A block of the observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ObservationBlock {
    /// One number a beam, or a sector: d / (d + 0.5) for a reading of d metres, so that what is
    /// near is told apart finely; 0 at the sensor, 1/2 at half a metre.
    Lidar,
    /// What the wheels do, each number over its bound, -1 to 1: forward speed and turn rate, for
    /// an omnidirectional drive the speed to the left between them, for a car the steering angle
    /// in place of the turn rate.
    Velocity,
    /// The goal in polar form: distance in metres / 10, then cosine and sine of its bearing
    /// relative to the heading; zeros once it is no longer shown. A robot with `odometry` sees it
    /// from where it believes to be.
    Goal,
    /// The way to the goal by what the lidar has seen so far in the episode: length in metres / 10,
    /// then cosine and sine of the bearings of its points 0.5, 1 and 2 metres along it. In every
    /// fifth control step the robot enters its scan in a map and plans by A*, taking what it has
    /// not seen to be free, as the costmap and the global planner of a navigation stack do
    /// (Marder-Eppstein et al. 2010): the policy is the local planner. Of the world it knows the
    /// arena's size; zeros once the goal is no longer shown.
    Path,
    /// The action of the step before, -1 to 1; zeros at the start.
    PreviousAction,
}
