//! Figures of a grid by which a person can check that it was read as it was meant.

use super::grid::Cell;

/// Figures of a grid of cells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GridSummary {
    /// Columns and rows of the file.
    pub cells: [usize; 2],
    /// Columns and rows of the room: the smallest rectangle around the cells that robots may enter.
    pub kept_cells: [usize; 2],
    /// Side of a cell, metres.
    pub cell_m: f64,
    /// Number of free cells of the file.
    pub free: usize,
    /// Number of occupied cells of the file.
    pub occupied: usize,
    /// Number of unknown cells of the file.
    pub unknown: usize,
    /// Whether unknown cells are free in the room. Otherwise they are solid.
    pub unknown_is_free: bool,
    /// What decided about each cell. `None` if the file names its cells.
    pub decision: Option<CellDecision>,
}

/// What decides about a cell of a ROS map. Its darkness is p: 0 for white and 1 for black, or the
/// reverse with `negate`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellDecision {
    /// Cells with a larger p are occupied.
    pub occupied_thresh: f64,
    /// Cells with a smaller p are free.
    pub free_thresh: f64,
    /// Whether white is occupied.
    pub negate: bool,
    /// Whether the image has an alpha channel, which counts as a further channel.
    pub has_alpha: bool,
}

impl GridSummary {
    /// Counts the cells of a grid.
    pub(super) fn new(cells: &[Cell], columns: usize, cell_m: f64) -> Self {
        let count = |kind: Cell| cells.iter().filter(|cell| **cell == kind).count();
        let size = [columns, cells.len() / columns];
        Self {
            cells: size,
            kept_cells: size,
            cell_m,
            free: count(Cell::Free),
            occupied: count(Cell::Occupied),
            unknown: count(Cell::Unknown),
            unknown_is_free: false,
            decision: None,
        }
    }
}
