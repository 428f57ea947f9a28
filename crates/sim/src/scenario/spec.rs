//! The scenario file, version 1, as plain data. The doc comments here define the keys: the JSON Schema
//! and `docs/scenario-format.md` are generated from them.

mod defaults;
mod drive;
mod generator;
mod map;
mod mover;
mod observation;
mod obstacle;
mod position;
mod robot;
mod sensing;
mod task;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Quantity;
use defaults::zero_point;

pub use drive::{
    AckermannSpec, ActuationSpec, CommandRange, DifferentialSpec, DriveSpec, OmniSpec,
};
pub use generator::{
    CellsSpec, CorridorSpec, GeneratorSpec, MazeMethod, MazeSpec, RoomsSpec, ScatterBoxesSpec,
    ScatterDiscsSpec,
};
pub use map::{MapSpec, MovingAiSpec, RosSpec, SdfSpec, ShapesSpec, UnknownCells};
pub use mover::{
    BouncingSpec, CrowdModel, CrowdPattern, CrowdSpec, LinearEnd, LinearSpec, MoverSpec, OrcaSpec,
    SocialForceSpec, WaypointOrder, WaypointsSpec,
};
pub use observation::{ObservationBlock, ObservationSpec};
pub use obstacle::{BoxSpec, DiscSpec, ObstacleSpec, PolygonSpec, SegmentSpec};
pub use position::{ArrangementSpec, CircleSwapSpec, PointSpec, PositionSpec, RegionSpec};
pub use robot::{
    BoxFootprintSpec, DiscFootprintSpec, FootprintSpec, PolygonFootprintSpec, RobotSpec,
};
pub use sensing::{LidarSpec, OdometrySpec, is_full_circle};
pub use task::{
    ClearanceRewardSpec, NearObstacleRewardSpec, ProgressMetric, RewardShape, RewardSpec,
    RewardTermSpec, TaskSpec,
};

/// The format version that this build writes and reads.
pub const VERSION: u32 = 1;

/// A navigation scenario: the room with its obstacles and movers, the robot with its sensors, the
/// task, and training settings that suit it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// Format version; this build reads 1.
    pub version: u32,
    /// A readable name, one line.
    pub title: String,
    /// What the scenario teaches, one line, for `evenkeel scenario list`.
    #[serde(default)]
    pub description: String,
    /// The walled room.
    pub arena: ArenaSpec,
    /// Obstacles at given positions. A range in place of a number is drawn for every episode.
    #[serde(default)]
    pub obstacles: Vec<ObstacleSpec>,
    /// Obstacles that are generated for every episode.
    #[serde(default)]
    pub generate: Vec<GeneratorSpec>,
    /// Movers: dynamic obstacles, which the robot can touch and its lidar sees.
    #[serde(default)]
    pub movers: Vec<MoverSpec>,
    /// The robots: one entry. Its `count` sets the number of robots.
    pub robot: Vec<RobotSpec>,
    /// The task and the time limit.
    #[serde(default)]
    pub task: TaskSpec,
    /// Reward terms with their scales.
    #[serde(default)]
    pub reward: RewardSpec,
    /// The observation of the policy.
    #[serde(default)]
    pub observation: ObservationSpec,
    /// Training settings for this scenario. They replace the built-in defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub train: toml::Table,
    /// Policy settings for this scenario.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub policy: toml::Table,
    /// Stability settings for this scenario.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub stability: toml::Table,
}

impl ScenarioSpec {
    /// Number of obstacles: those of the map, the placed and the scattered ones. Obstacles of other
    /// generators (see [`GeneratorSpec::structure_name`]) are not counted.
    pub fn obstacle_count(&self) -> usize {
        let scattered = self.generate.iter().map(|generator| match generator {
            GeneratorSpec::Discs(discs) => discs.count as usize,
            GeneratorSpec::Boxes(boxes) => boxes.count as usize,
            GeneratorSpec::Cells(_)
            | GeneratorSpec::Maze(_)
            | GeneratorSpec::Rooms(_)
            | GeneratorSpec::Corridor(_) => 0,
        });
        let of_map = match &self.arena.map {
            Some(MapSpec::Shapes(shapes)) => shapes.boxes_m.len() + shapes.discs_m.len(),
            _ => 0,
        };
        of_map + self.obstacles.len() + scattered.sum::<usize>()
    }

    /// Number of robots in the world.
    pub fn robot_count(&self) -> usize {
        self.robot.first().map_or(0, |robot| robot.count as usize)
    }

    /// Number of movers.
    pub fn mover_count(&self) -> u32 {
        self.movers.iter().map(MoverSpec::count).sum()
    }
}

/// A rectangle with four walls. Coordinates are metres, x to the right and y up. Angles are radians,
/// counter-clockwise from +x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArenaSpec {
    /// Width and height inside the walls, metres. With a map, the default is the size of the map. The
    /// size of a grid is that of the rectangle around its free cells, and cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "[Quantity; 2]")]
    pub size_m: Option<[Quantity; 2]>,
    /// The lower left inner corner, metres. The default is (0, 0), or that of the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "[Quantity; 2]")]
    pub origin_m: Option<[Quantity; 2]>,
    /// A map with the obstacles of every episode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MapSpec")]
    pub map: Option<MapSpec>,
}

impl ArenaSpec {
    /// Width and height, metres. Zero in a scenario that has not been checked yet and has none.
    pub fn size(&self) -> [Quantity; 2] {
        self.size_m.unwrap_or_else(zero_point)
    }

    /// The lower left inner corner, metres.
    pub fn origin(&self) -> [Quantity; 2] {
        self.origin_m.unwrap_or_else(zero_point)
    }
}
