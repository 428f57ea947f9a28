//! A grid of free and solid cells, and its conversion to a room with boxes.

use super::cover::cover;
use super::error::MapError;
use super::imported::ImportedMap;
use crate::scenario::spec::ShapesSpec;

/// The largest number of cells that is read.
pub(super) const MAX_CELLS: usize = 1 << 24;

/// The largest size and coordinate of a room, metres. Single precision is too coarse beyond it.
pub(super) const MAX_COORDINATE_M: f64 = 1000.0;

/// A grid of free and solid cells.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OccupancyGrid {
    pub(super) columns: usize,
    /// `[rows][columns]`, bottom row first.
    pub(super) solid: Vec<bool>,
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
        let free = (0..self.solid.len()).filter(|&cell| !self.solid[cell]);
        let bounds = free.fold(None, |bounds: Option<[usize; 4]>, cell| {
            let (x, y) = (cell % self.columns, cell / self.columns);
            let [left, bottom, right, top] = bounds.unwrap_or([x, y, x, y]);
            Some([left.min(x), bottom.min(y), right.max(x), top.max(y)])
        });
        let Some([left, bottom, right, top]) = bounds else {
            let help = "a robot needs free cells";
            return Err(MapError::new(0..0, "no cell of the map is free", help));
        };
        let (columns, rows) = (right - left + 1, top - bottom + 1);
        let inside: Vec<bool> = (bottom..=top)
            .flat_map(|y| &self.solid[y * self.columns + left..=y * self.columns + right])
            .copied()
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
        };
        let [width, length] = room.size_m;
        if width.max(length) > MAX_COORDINATE_M {
            let message = format!("the map is {width} × {length} m large");
            let help = format!("at most {MAX_COORDINATE_M} m; make its cells smaller, or cut it");
            return Err(MapError::new(0..0, message, help));
        }
        Ok(room)
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
