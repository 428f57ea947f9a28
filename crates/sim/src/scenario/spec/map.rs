//! Maps of other programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A map from a file, whose path is relative to the scenario's own folder. `evenkeel scenario
/// import` turns one into a scenario that needs the file no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MapSpec {
    /// A grid of the `MovingAI` benchmarks (`.map`). Free are `.`, `G` and `S`; `@`, `O`, `T` and
    /// `W` stand in the way. The lower left corner is (0, 0).
    MovingAi(MovingAiSpec),
    /// An occupancy grid as ROS's `map_server` writes it: YAML beside a PGM or PNG image, mode
    /// `trinary`. The origin is the file's, and a map that it turns stands turned in the room.
    Ros(RosSpec),
    /// A Gazebo world (`SDFormat`, `.world` or `.sdf`) seen from above: boxes, cylinders and spheres
    /// with which models collide. The room is a metre larger than what stands in it, unless
    /// `size_m` and `origin_m` say otherwise.
    Sdf(SdfSpec),
    /// The shapes themselves, as importing a map wrote them.
    Shapes(ShapesSpec),
}

/// A grid of the `MovingAI` benchmarks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovingAiSpec {
    /// Path of the `.map` file.
    pub file: String,
    /// Side of a cell, metres, which the file does not say.
    #[serde(default = "one")]
    pub cell_m: f64,
}

impl MovingAiSpec {
    /// Sides that a cell may have, metres.
    pub const CELL_M: std::ops::RangeInclusive<f64> = 1e-3..=100.0;
}

fn one() -> f64 {
    1.0
}

/// An occupancy grid of ROS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RosSpec {
    /// Path of the YAML file.
    pub file: String,
    /// What a cell that was never seen counts as.
    #[serde(default)]
    pub unknown: UnknownCells,
}

/// What cells of unknown occupancy count as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCells {
    /// Solid: the room is what was seen to be free.
    #[default]
    Occupied,
    /// Free: only what was seen to be occupied stands in the way.
    Free,
}

/// A Gazebo world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SdfSpec {
    /// Path of the world.
    pub file: String,
    /// Only what reaches between these heights above the ground is in the way, metres.
    #[serde(default = "robot_heights")]
    pub height_m: [f64; 2],
}

fn robot_heights() -> [f64; 2] {
    [0.05, 1.0]
}

/// The shapes of a map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShapesSpec {
    /// Filled rectangles: centre x and y, half the width and half the height, all in metres, and
    /// the rotation in radians.
    pub boxes_m: Vec<[f64; 5]>,
    /// Filled circles: centre x and y, and radius, metres.
    pub discs_m: Vec<[f64; 3]>,
}
