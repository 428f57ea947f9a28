//! Map files of other programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A map file. Its path is relative to the scenario's folder. `evenkeel scenario import` converts a
/// map file to a scenario that does not need it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MapSpec {
    /// A grid of the `MovingAI` benchmarks (`.map`). `.`, `G` and `S` are free; `@`, `O`, `T` and `W`
    /// are solid. The lower left corner is (0, 0).
    MovingAi(MovingAiSpec),
    /// An occupancy grid of ROS's `map_server`: a YAML file and a PGM or PNG image, mode `trinary`.
    /// Origin and rotation are those of the YAML file.
    Ros(RosSpec),
    /// A Gazebo world (`SDFormat`, `.world` or `.sdf`), seen from above: the boxes, cylinders, spheres,
    /// capsules and cones of the models' collision geometry. By default the room is a metre larger than
    /// its contents on every side.
    Sdf(SdfSpec),
    /// The shapes of a map, as `evenkeel scenario import` writes them.
    Shapes(ShapesSpec),
}

/// A grid of the `MovingAI` benchmarks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovingAiSpec {
    /// Path of the `.map` file.
    pub file: String,
    /// Side of a cell, metres. The file does not contain it.
    #[serde(default = "one")]
    pub cell_m: f64,
}

impl MovingAiSpec {
    /// The range of `cell_m`, metres.
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
    /// How unknown cells are read.
    #[serde(default)]
    pub unknown: UnknownCells,
}

/// How unknown cells are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownCells {
    /// As solid.
    #[default]
    Occupied,
    /// As free.
    Free,
}

/// A Gazebo world.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SdfSpec {
    /// Path of the world file.
    pub file: String,
    /// Shapes that reach between these heights above the ground are obstacles, metres.
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
