//! Islands of free space: the parts of a map between which a robot cannot drive.

use std::sync::Arc;

use nalgebra::Point2;

use super::flood::{CELL_SIZE, FloodGrid};
use super::free_space::POSITION_MARGIN;
use super::{ImportedMap, Layout, Map, Rect};

impl ImportedMap {
    /// The areas in which the centre of a robot of a radius can be, square metres, largest first. A
    /// robot can drive between any two points of one, and between no two of different ones, with the
    /// clearance that layouts need.
    pub fn islands_m2(&self, radius_m: f64) -> Vec<f64> {
        let point = |[x, y]: [f64; 2]| Point2::new(x as f32, y as f32);
        let far = [0, 1].map(|axis| self.origin_m[axis] + self.size_m[axis]);
        let layout = Layout {
            arena: Rect {
                min: point(self.origin_m),
                max: point(far),
            },
            map: Some(Arc::new(Map::new(&self.shapes))),
            ..Layout::default()
        };
        let mut grid = FloodGrid::default();
        grid.rasterize(&layout, (radius_m as f32).max(POSITION_MARGIN));
        let mut cells: Vec<usize> = island_cells(&grid);
        cells.sort_unstable_by(|a, b| b.cmp(a));
        let cell_m2 = f64::from(CELL_SIZE * CELL_SIZE);
        cells
            .into_iter()
            .map(|count| count as f64 * cell_m2)
            .collect()
    }
}

/// A run of free cells in one row: its first column and the one after its last.
struct Run {
    start: usize,
    end: usize,
}

/// The number of cells of each island. Cells are neighbours along rows and columns.
fn island_cells(grid: &FloodGrid) -> Vec<usize> {
    let (columns, rows) = grid.size();
    let mut free = vec![false; columns];
    let mut islands = DisjointSets::default();
    // The runs of the row before, with the set of each.
    let mut before: Vec<(Run, usize)> = Vec::new();
    for row in 0..rows {
        grid.write_row(row, &mut free, true, false);
        let mut runs = Vec::new();
        let mut column = 0;
        while column < columns {
            let length = free[column..].iter().take_while(|free| **free).count();
            if length > 0 {
                let run = Run {
                    start: column,
                    end: column + length,
                };
                runs.push((run, islands.add(length)));
            }
            column += length.max(1);
        }
        let mut below = before.iter().peekable();
        for (run, set) in &runs {
            while let Some((other, other_set)) = below.peek() {
                if other.start < run.end && run.start < other.end {
                    islands.join(*set, *other_set);
                }
                // A run that goes on may touch the next run of this row too.
                if other.end > run.end {
                    break;
                }
                below.next();
            }
        }
        before = runs;
    }
    islands.sizes()
}

/// Sets of cells that can be joined (union-find).
#[derive(Default)]
struct DisjointSets {
    /// Another member of the set, or the set itself for the member that stands for it.
    parents: Vec<usize>,
    /// The number of cells, for the member that stands for the set.
    sizes: Vec<usize>,
}

impl DisjointSets {
    fn add(&mut self, size: usize) -> usize {
        self.parents.push(self.parents.len());
        self.sizes.push(size);
        self.parents.len() - 1
    }

    fn root(&mut self, mut set: usize) -> usize {
        while self.parents[set] != set {
            self.parents[set] = self.parents[self.parents[set]];
            set = self.parents[set];
        }
        set
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            let (large, small) = if self.sizes[a] >= self.sizes[b] {
                (a, b)
            } else {
                (b, a)
            };
            self.parents[small] = large;
            self.sizes[large] += self.sizes[small];
        }
    }

    /// The sizes of all sets.
    fn sizes(&self) -> Vec<usize> {
        let all = self.parents.iter().enumerate().zip(&self.sizes);
        let roots = all.filter(|((set, parent), _)| set == *parent);
        roots.map(|(_, size)| *size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::spec::ShapesSpec;

    /// A room of 6 × 4 m.
    fn room(boxes_m: &[[f64; 5]]) -> ImportedMap {
        ImportedMap {
            origin_m: [-1.0, 2.0],
            size_m: [6.0, 4.0],
            shapes: ShapesSpec {
                boxes_m: boxes_m.to_vec(),
                discs_m: Vec::new(),
            },
            ..ImportedMap::default()
        }
    }

    #[test]
    fn a_wall_makes_two_islands_and_a_door_joins_them() {
        let areas = |boxes: &[[f64; 5]], radius_m| room(boxes).islands_m2(radius_m);
        let check = |boxes: &[[f64; 5]], radius_m: f64, expected: &[f64]| {
            let found = areas(boxes, radius_m);
            assert_eq!(found.len(), expected.len(), "{found:?}");
            for (found, expected) in found.iter().zip(expected) {
                // The outermost cells are lost.
                assert!(
                    (found - expected).abs() < 1.2,
                    "{found} m², not {expected} m²"
                );
            }
        };
        check(&[], 0.2, &[5.6 * 3.6]);
        // A wall at x = 1, 0.2 m thick.
        let wall = [1.0, 4.0, 0.1, 2.0, 0.0];
        check(&[wall], 0.2, &[3.5 * 3.6, 1.5 * 3.6]);
        // With a door of 0.8 m, which is too narrow for a robot of 1 m.
        let door = [1.0, 3.6, 0.1, 1.6, 0.0];
        check(&[door], 0.2, &[5.0 * 3.6 + 0.2]);
        check(&[door], 0.5, &[2.9 * 3.0, 0.9 * 3.0]);
        check(&[[2.0, 4.0, 3.0, 2.0, 0.0]], 0.2, &[]);
    }

    #[test]
    fn winding_islands_are_one() {
        // A comb, whose teeth meet in the last row only.
        let teeth = [0.0, 1.0, 2.0, 3.0, 4.0].map(|x| [x, 3.5, 0.1, 1.5, 0.0]);
        assert_eq!(room(&teeth).islands_m2(0.2).len(), 1);
        let upside_down = teeth.map(|[x, _, half_x, half_y, yaw]| [x, 4.5, half_x, half_y, yaw]);
        assert_eq!(room(&upside_down).islands_m2(0.2).len(), 1);
    }
}
