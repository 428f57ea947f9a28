//! A grid of cells that are free or solid, and the room that it is.

use super::cover::cover;
use super::{ImportedMap, MapError};
use crate::scenario::spec::ShapesSpec;

/// More cells than this are refused: no map of a building is as large.
pub(super) const MAX_CELLS: usize = 1 << 24;

/// The largest room, and the largest coordinate, metres; beyond it single precision is too coarse.
pub(super) const MAX_COORDINATE_M: f64 = 1000.0;

/// Cells, free or solid.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OccupancyGrid {
    pub(super) columns: usize,
    /// `[rows][columns]`, the lowest row first.
    pub(super) solid: Vec<bool>,
    /// Side of a cell, metres.
    pub(super) cell_m: f64,
    /// The lower left corner, metres.
    pub(super) origin_m: [f64; 2],
    /// By how much the grid is turned about that corner, radians counter-clockwise.
    pub(super) yaw_rad: f64,
}

impl OccupancyGrid {
    /// The rectangle about the free cells, and the solid ones in it as few boxes. Their union is
    /// the solid cells and nothing else, insides of walls and all, so that nothing can be placed
    /// or pushed there.
    pub(super) fn to_map(&self) -> Result<ImportedMap, MapError> {
        let free = (0..self.solid.len()).filter(|&cell| !self.solid[cell]);
        let bounds = free.fold(None, |bounds: Option<[usize; 4]>, cell| {
            let (x, y) = (cell % self.columns, cell / self.columns);
            let [left, bottom, right, top] = bounds.unwrap_or([x, y, x, y]);
            Some([left.min(x), bottom.min(y), right.max(x), top.max(y)])
        });
        let Some([left, bottom, right, top]) = bounds else {
            let help = "a room needs free cells for a robot";
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
        // The upright room about the turned rectangle, and what is beyond the rectangle in it: a
        // right-angled triangle at each side, which a box of its height covers.
        let [reach_x, reach_y] = [
            sides[0] * cos.abs() + sides[1] * sin.abs(),
            sides[0] * sin.abs() + sides[1] * cos.abs(),
        ];
        let height = |side: f64| (side * sin * cos).abs();
        for axis in [0, 1] {
            let thick = height(sides[1 - axis]);
            if round_to_nanometre(thick) == 0.0 {
                continue;
            }
            for way in [-1.0, 1.0] {
                let (mut beside, mut half) = (center, sides);
                beside[axis] += way * (sides[axis] + thick);
                half[axis] = thick;
                boxes_m.push(self.rotated_box(beside, half));
            }
        }
        let room = ImportedMap {
            origin_m: [x - reach_x, y - reach_y].map(round_to_nanometre),
            size_m: [2.0 * reach_x, 2.0 * reach_y].map(round_to_nanometre),
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

    /// A box of the grid's own coordinates in the world's.
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

/// To the nanometre, which is how people would write it.
pub(super) fn round_to_nanometre(metres: f64) -> f64 {
    (metres * 1e9).round() / 1e9
}
