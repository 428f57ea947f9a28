//! The observation of the policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The observation: blocks of numbers, in the order written.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ObservationSpec {
    /// The blocks.
    pub blocks: Vec<ObservationBlock>,
    /// Time from the episode's start for which the goal is shown, seconds. Afterwards its block is three
    /// zeros, which no visible goal has. Shown throughout by default. With a goal that is `one_of`
    /// several, the goal is the cue of a memory task, like the sign at the entrance of a T-maze
    /// (Bakker, Reinforcement Learning with Long Short-Term Memory, NIPS 2001). Such a task should not
    /// have the block `previous_action`, which can carry the memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "f64")]
    pub goal_shown_secs: Option<f64>,
    /// Number of sectors that the scan is pooled into. A sector is the shortest reading of its beams.
    /// The number of beams must be a multiple of it. No pooling by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub lidar_sectors: Option<u32>,
    /// Number of control steps in an observation, 1 to 32: all blocks of the newest step, then all of
    /// the step before, and so on. At the start of an episode, the first step replaces the missing
    /// ones (Mnih et al., Nature 518, 2015).
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
    /// One number per beam or sector: d / (d + 0.5) for a reading of d metres, which resolves near
    /// obstacles finely. 0 at the sensor, 1/2 at half a metre.
    Lidar,
    /// Velocity of the wheels, each number divided by its limit, -1 to 1: forward speed and turn rate.
    /// An omnidirectional drive has the speed to the left between them. A car has the steering angle
    /// in place of the turn rate.
    Velocity,
    /// The goal in polar form: distance in metres / 10, then cosine and sine of its bearing relative to
    /// the heading. Zeros when it is no longer shown. For a robot with `odometry` it is relative to
    /// the estimated pose.
    Goal,
    /// A planned path to the goal: its length in metres / 10, then cosine and sine of the bearings of
    /// the points 0.5, 1 and 2 metres along the path. At every fifth control step the robot adds its
    /// scan to a map and plans by A*. Unseen cells count as free. This corresponds to the costmap and
    /// the global planner of a navigation stack (Marder-Eppstein et al. 2010), with the policy as the
    /// local planner. The size of the arena is known. Zeros when the goal is no longer shown.
    Path,
    /// The action of the previous step, -1 to 1. Zeros at the start.
    PreviousAction,
}
