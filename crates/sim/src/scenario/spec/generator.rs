//! Obstacles that are made anew for every episode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{any_yaw, zero, zero_point};
use crate::scenario::Quantity;

/// Obstacles that are made anew at every reset. They may overlap one another, but never a start or
/// a goal, and a path for the robot always exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GeneratorSpec {
    /// Discs scattered uniformly over the arena.
    Discs(ScatterDiscsSpec),
    /// Boxes scattered uniformly over the arena.
    Boxes(ScatterBoxesSpec),
    /// A field of small cylinders grown by a cellular automaton, like the worlds of BARN.
    Cells(CellsSpec),
    /// A maze that fills the arena.
    Maze(MazeSpec),
    /// Rooms and doorways that fill the arena.
    Rooms(RoomsSpec),
    /// A corridor from the arena's left side to its right one; all else is solid.
    Corridor(CorridorSpec),
}

impl GeneratorSpec {
    /// What the layout alone says how many obstacles it is; `None` for what is counted.
    pub fn structure_name(&self) -> Option<&'static str> {
        match self {
            Self::Discs(_) | Self::Boxes(_) => None,
            Self::Cells(_) => Some("a field of cylinders"),
            Self::Maze(_) => Some("a maze"),
            Self::Rooms(_) => Some("rooms and doors"),
            Self::Corridor(_) => Some("a corridor"),
        }
    }
}

/// Scattered discs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterDiscsSpec {
    /// How many.
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// Scattered boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterBoxesSpec {
    /// How many.
    pub count: u32,
    /// Half the width and half the height, metres.
    pub half_extents_m: [Quantity; 2],
    /// Rotation, radians; any by default.
    #[serde(default = "any_yaw")]
    pub yaw_rad: Quantity,
}

/// A field of small cylinders between two walls of them, grown by a cellular automaton in the
/// manner of the BARN dataset (Perille et al., Benchmarking Metric Ground Navigation, 2020). The
/// way leads upwards: in at the bottom of the field, out at its top. Cells are filled at random,
/// then smoothed: each time, a cell with more than four filled neighbours of its eight is filled,
/// one with fewer than two emptied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CellsSpec {
    /// Share of the cells that are filled at first; BARN has 0.15, 0.20, 0.25 and 0.30. It is what
    /// makes the field hard.
    pub fill: Quantity,
    /// How often it is smoothed, a whole number; both ends of a range are among them. BARN has 2,
    /// 3 and 4.
    #[serde(default = "barn_smoothing")]
    pub smoothing: Quantity,
    /// Columns of cells, walls included, 3 to 62.
    #[serde(default = "barn_field")]
    pub columns: u32,
    /// Rows of the field, 1 to 1000.
    #[serde(default = "barn_field")]
    pub rows: u32,
    /// Rows before the field that are free between the walls, the first of them closed by a wall
    /// across. The worlds of BARN have 34.
    #[serde(default)]
    pub lead_rows: u32,
    /// Side of a cell, metres. A cylinder is as wide.
    #[serde(default = "barn_cell")]
    pub cell_m: Quantity,
    /// Where the lower left corner of the lower left cell is, metres.
    #[serde(default = "zero_point")]
    pub corner_m: [Quantity; 2],
}

fn barn_smoothing() -> Quantity {
    Quantity::Range {
        uniform: [2.0, 4.0],
    }
}

fn barn_field() -> u32 {
    30
}

fn barn_cell() -> Quantity {
    Quantity::Fixed(0.15)
}

/// A maze of square cells (as square as the arena lets them be) that fills the arena.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MazeSpec {
    /// Cells from left to right, 1 to 100.
    pub columns: u32,
    /// Cells from bottom to top, 1 to 100.
    pub rows: u32,
    /// How its ways are chosen.
    #[serde(default)]
    pub method: MazeMethod,
    /// Share of the dead ends that are opened, 0 to 1. 0 is a perfect maze: a single way joins any
    /// two cells. 1 is one without dead ends.
    #[serde(default = "zero")]
    pub braid: Quantity,
    /// Thickness of its walls, metres.
    #[serde(default = "thin_wall")]
    pub wall_m: Quantity,
}

/// How the ways of a maze are chosen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MazeMethod {
    /// Randomised depth-first search: long winding ways, few dead ends.
    #[default]
    DepthFirst,
    /// Loop-erased random walks (Wilson 1996): every maze as likely as any other, with many short
    /// dead ends.
    Wilson,
}

fn thin_wall() -> Quantity {
    Quantity::Fixed(0.1)
}

/// Rooms and doorways: the arena is halved again and again by a wall with a door in it, as long as
/// both halves are large enough.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomsSpec {
    /// No side of a room is shorter, metres.
    pub min_side_m: Quantity,
    /// Width of the doors, metres; at least 0.2 m more than the robot's.
    pub door_m: Quantity,
    /// Probability that a wall has a second door, 0 to 1. With none there is one way only from a
    /// room to another.
    #[serde(default = "zero")]
    pub second_doors: Quantity,
    /// Thickness of the walls, metres.
    #[serde(default = "thin_wall")]
    pub wall_m: Quantity,
}

/// A corridor from the arena's left side to its right one, with bends and with lay-bys: niches in
/// which one can let another pass. All else is solid.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorridorSpec {
    /// Width, metres; at least 0.2 m more than the robot's.
    pub width_m: Quantity,
    /// How often it changes its height on the way, a whole number; both ends of a range are among
    /// them.
    #[serde(default = "zero")]
    pub bends: Quantity,
    /// How many lay-bys it has, a whole number; both ends of a range are among them.
    #[serde(default = "zero")]
    pub lay_bys: Quantity,
    /// Length along the corridor and depth of a lay-by, metres. The arena's walls cut off what
    /// would reach beyond them.
    #[serde(default = "usual_lay_by")]
    pub lay_by_m: [Quantity; 2],
}

fn usual_lay_by() -> [Quantity; 2] {
    [Quantity::Fixed(1.2), Quantity::Fixed(0.8)]
}
