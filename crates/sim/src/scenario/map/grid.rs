//! A grid of free, occupied and unknown cells, and its conversion to a room with boxes.

use super::cover::cover;
use super::error::MapError;
use super::grid_summary::GridSummary;
use super::imported::ImportedMap;
use crate::scenario::spec::{ShapesSpec, UnknownCells};

/// The largest number of cells that is read: 8192 × 8192.
pub(super) const MAX_CELLS: usize = 1 << 26;

/// The help of an error about more than [`MAX_CELLS`] cells.
pub(super) const TOO_MANY_CELLS: &str =
    "a map has at most 67108864 cells (8192 × 8192): crop it, or make its cells twice as large";

/// The largest number of cells of a room: 4096 × 4096.
const MAX_ROOM_CELLS: usize = 1 << 24;

/// The largest size and coordinate of a room, metres. Single precision is too coarse beyond it.
pub(super) const MAX_COORDINATE_M: f64 = 1000.0;

/// What a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Free,
    Occupied,
    Unknown,
}

/// A grid of cells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OccupancyGrid {
    pub(super) columns: usize,
    /// `[rows][columns]`, bottom row first.
    pub(super) cells: Vec<Cell>,
    /// How unknown cells are read.
    pub(super) unknown: UnknownCells,
    /// Side of a cell, metres.
    pub(super) cell_m: f64,
    /// The lower left corner, metres.
    pub(super) origin_m: [f64; 2],
    /// Rotation of the grid about that corner, radians counter-clockwise.
    pub(super) yaw_rad: f64,
}

impl OccupancyGrid {
    /// Converts the grid to a room: the rectangle around the free cells, with few boxes whose union
    /// is the solid cells in it. Cells inside walls are covered too, so that nothing can be placed
    /// or pushed there.
    ///
    /// # Errors
    /// If no cell is free, or the room is too large.
    pub(super) fn to_map(&self) -> Result<ImportedMap, MapError> {
        let mut summary = GridSummary::new(&self.cells, self.columns, self.cell_m);
        summary.unknown_is_free = self.unknown == UnknownCells::Free;
        let free = (0..self.cells.len()).filter(|&cell| !self.is_solid(self.cells[cell]));
        let bounds = free.fold(None, |bounds: Option<[usize; 4]>, cell| {
            let (x, y) = (cell % self.columns, cell / self.columns);
            let [left, bottom, right, top] = bounds.unwrap_or([x, y, x, y]);
            Some([left.min(x), bottom.min(y), right.max(x), top.max(y)])
        });
        let Some([left, bottom, right, top]) = bounds else {
            let GridSummary {
                occupied, unknown, ..
            } = summary;
            let (message, help) = match unknown {
                0 => (
                    "no cell of the map is free".to_owned(),
                    "a robot needs free cells",
                ),
                _ => (
                    format!(
                        "no cell of the map is free: {occupied} are occupied, {unknown} unknown"
                    ),
                    "a robot needs free cells; --unknown-is-free makes the unknown ones free",
                ),
            };
            return Err(MapError::new(0..0, message, help));
        };
        let (columns, rows) = (right - left + 1, top - bottom + 1);
        if columns * rows > MAX_ROOM_CELLS {
            let message = format!("the free cells of the map span {columns} × {rows} cells");
            let help = format!(
                "a room has at most {MAX_ROOM_CELLS} cells (4096 × 4096): crop the map, or make \
                 its cells twice as large"
            );
            return Err(MapError::new(0..0, message, help));
        }
        summary.kept_cells = [columns, rows];
        let inside: Vec<bool> = (bottom..=top)
            .flat_map(|y| &self.cells[y * self.columns + left..=y * self.columns + right])
            .map(|cell| self.is_solid(*cell))
            .collect();
        let half = |low: usize, high: usize| (high - low) as f64 * self.cell_m / 2.0;
        let middle = |low: usize, high: usize| f64::midpoint(low as f64, high as f64) * self.cell_m;
        let mut boxes_m: Vec<[f64; 5]> = cover(&inside, columns)
            .into_iter()
            .map(|[x0, y0, x1, y1]| {
                let center = [
                    middle(left + x0, left + x1),
                    middle(bottom + y0, bottom + y1),
                ];
                self.rotated_box(center, [half(x0, x1), half(y0, y1)])
            })
            .collect();
        let center = [middle(left, right + 1), middle(bottom, top + 1)];
        let sides = [half(0, columns), half(0, rows)];
        let [x, y, ..] = self.rotated_box(center, sides);
        let (sin, cos) = libm::sincos(self.yaw_rad);
        // The upright room around the rotated rectangle. The parts of the room outside the rectangle
        // are right-angled triangles, one at each side. A box of the triangle's height covers it.
        let room_half = [
            sides[0] * cos.abs() + sides[1] * sin.abs(),
            sides[0] * sin.abs() + sides[1] * cos.abs(),
        ];
        let triangle_height = |side: f64| (side * sin * cos).abs();
        for axis in [0, 1] {
            let thickness = triangle_height(sides[1 - axis]);
            if round_to_nanometre(thickness) == 0.0 {
                continue;
            }
            for side in [-1.0, 1.0] {
                let (mut beside, mut half) = (center, sides);
                beside[axis] += side * (sides[axis] + thickness);
                half[axis] = thickness;
                boxes_m.push(self.rotated_box(beside, half));
            }
        }
        let room = ImportedMap {
            origin_m: [x - room_half[0], y - room_half[1]].map(round_to_nanometre),
            size_m: room_half.map(|half| round_to_nanometre(2.0 * half)),
            shapes: ShapesSpec {
                boxes_m,
                discs_m: Vec::new(),
            },
            grid: Some(summary),
            notes: Vec::new(),
        };
        let [width, length] = room.size_m;
        if width.max(length) > MAX_COORDINATE_M {
            let message = format!("the map is {width} × {length} m large");
            let help = format!("at most {MAX_COORDINATE_M} m; make its cells smaller, or cut it");
            return Err(MapError::new(0..0, message, help));
        }
        Ok(room)
    }

    fn is_solid(&self, cell: Cell) -> bool {
        match cell {
            Cell::Free => false,
            Cell::Occupied => true,
            Cell::Unknown => self.unknown == UnknownCells::Occupied,
        }
    }

    /// Converts a box from grid coordinates to world coordinates: x, y, half width, half height, yaw.
    fn rotated_box(&self, [x, y]: [f64; 2], [half_x, half_y]: [f64; 2]) -> [f64; 5] {
        let (sin, cos) = libm::sincos(self.yaw_rad);
        [
            self.origin_m[0] + cos * x - sin * y,
            self.origin_m[1] + sin * x + cos * y,
            half_x,
            half_y,
            self.yaw_rad,
        ]
        .map(round_to_nanometre)
    }
}

/// Rounds a length to the nanometre, so that files contain short numbers.
pub(super) fn round_to_nanometre(metres: f64) -> f64 {
    (metres * 1e9).round() / 1e9
}
