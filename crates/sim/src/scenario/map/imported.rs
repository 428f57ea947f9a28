//! What is read from a map file.

use super::grid_summary::GridSummary;
use crate::config::Diagnostic;
use crate::scenario::spec::ShapesSpec;

/// The contents of a map file, as a room with shapes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImportedMap {
    /// The lower left corner of the room, metres.
    pub origin_m: [f64; 2],
    /// Width and height of the room, metres.
    pub size_m: [f64; 2],
    /// The obstacles in the room.
    pub shapes: ShapesSpec,
    /// Figures of the grid that the room was made of. `None` for Gazebo worlds.
    pub grid: Option<GridSummary>,
    /// What a person should know about the map: what was left out, what decided about its cells.
    pub notes: Vec<Diagnostic>,
}
