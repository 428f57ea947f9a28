//! The scenario file, version 1, as plain data. What each key means is said here and nowhere
//! else: the JSON Schema and `docs/scenario-format.md` are generated from these comments.

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

pub use drive::{AckermannSpec, ActuationSpec, DifferentialSpec, DriveSpec, OmniSpec};
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
pub use sensing::{LidarSpec, OdometrySpec};
pub use task::{ClearanceRewardSpec, ProgressMetric, RewardSpec, TaskSpec};

/// The format version that this build writes and reads.
pub const VERSION: u32 = 1;

/// A navigation scenario: where the robot is, what stands and moves around it, what it senses,
/// what it is asked to do, and how a policy for it is best trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioSpec {
    /// Format version; this build reads 1.
    pub version: u32,
    /// A name for people, one line.
    pub title: String,
    /// What the scenario teaches, one line, for `evenkeel scenario list`.
    #[serde(default)]
    pub description: String,
    /// The walled room.
    pub arena: ArenaSpec,
    /// Obstacles that the file places. A range in place of a number moves them at each episode.
    #[serde(default)]
    pub obstacles: Vec<ObstacleSpec>,
    /// Obstacles that are made anew for every episode.
    #[serde(default)]
    pub generate: Vec<GeneratorSpec>,
    /// Things that move by themselves, solid to the robot and seen by its lidar.
    #[serde(default)]
    pub movers: Vec<MoverSpec>,
    /// The robots: one entry, of which there may be several (see `count`).
    pub robot: Vec<RobotSpec>,
    /// What the robot is asked to do, and for how long.
    #[serde(default)]
    pub task: TaskSpec,
    /// Named reward terms with their scales.
    #[serde(default)]
    pub reward: RewardSpec,
    /// What the policy sees.
    #[serde(default)]
    pub observation: ObservationSpec,
    /// Training settings that suit this scenario; they stand in for the built-in defaults.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub train: toml::Table,
    /// Policy settings that suit this scenario.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub policy: toml::Table,
    /// Stability settings that suit this scenario.
    #[serde(default, skip_serializing_if = "toml::Table::is_empty")]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub stability: toml::Table,
}

impl ScenarioSpec {
    /// How many things stand in the room, scattered ones included; what else is generated (see
    /// [`GeneratorSpec::world`]) is not counted.
    pub fn obstacle_count(&self) -> usize {
        let scattered = self.generate.iter().map(|generator| match generator {
            GeneratorSpec::Discs(discs) => discs.count as usize,
            GeneratorSpec::Boxes(boxes) => boxes.count as usize,
            GeneratorSpec::Cells(_)
            | GeneratorSpec::Maze(_)
            | GeneratorSpec::Rooms(_)
            | GeneratorSpec::Corridor(_) => 0,
        });
        let mapped = match &self.arena.map {
            Some(MapSpec::Shapes(shapes)) => shapes.boxes_m.len() + shapes.discs_m.len(),
            _ => 0,
        };
        mapped + self.obstacles.len() + scattered.sum::<usize>()
    }

    /// How many robots share the world.
    pub fn robot_count(&self) -> usize {
        self.robot.first().map_or(0, |robot| robot.count as usize)
    }

    /// How many things move by themselves.
    pub fn mover_count(&self) -> u32 {
        self.movers.iter().map(MoverSpec::count).sum()
    }
}

/// A rectangle closed by four walls. Coordinates are metres, x to the right and y up, angles in
/// radians counter-clockwise from +x.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ArenaSpec {
    /// Width and height inside the walls, metres. A map brings its own: that of a grid is the
    /// rectangle about its free cells, and cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "[Quantity; 2]")]
    pub size_m: Option<[Quantity; 2]>,
    /// The lower left inner corner, metres; (0, 0), or what the map says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "[Quantity; 2]")]
    pub origin_m: Option<[Quantity; 2]>,
    /// What stands in the room in every episode, read from a file of another program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MapSpec")]
    pub map: Option<MapSpec>,
}

impl ArenaSpec {
    /// Width and height, metres; nothing in a scenario that has not been checked yet.
    pub fn size(&self) -> [Quantity; 2] {
        self.size_m.unwrap_or_else(zero_point)
    }

    /// The lower left inner corner, metres.
    pub fn origin(&self) -> [Quantity; 2] {
        self.origin_m.unwrap_or_else(zero_point)
    }
}

fn zero_point() -> [Quantity; 2] {
    [Quantity::Fixed(0.0); 2]
}

fn zero() -> Quantity {
    Quantity::Fixed(0.0)
}

fn any_yaw() -> Quantity {
    Quantity::Range {
        uniform: [0.0, std::f64::consts::TAU],
    }
}
