//! How far it is to the goal from anywhere, around what stands in the way: one search outwards
//! from the goal over the grid of the flood fill. A reward reads it in every step, which the exact
//! geodesic would be too dear for.

use nalgebra::Point2;

use super::Layout;
use super::flood::{CELL, FloodGrid};

/// Costs of a step to a neighbour, in units of which a cell has [`NEAR`]: 1.4 ≈ √2.
const NEAR: u32 = 5;
const ASLANT: u32 = 7;

/// One bucket for each cost that may be open at once, and some to make a power of two.
const BUCKETS: usize = 8;

/// A cell that no way leads to.
const UNREACHED: u32 = u32::MAX;

/// Cells to either side of a point in which it looks for one that a way leads through. A robot may
/// be nearer to an obstacle than its centre is sure to get by, and then has none beneath it.
const AROUND: isize = 2;

/// Distances to one goal, over the cells where the robot's centre may be. Ways go from cell to
/// cell in eight directions: a distance is the shortest one's or at most a twelfth more, and it
/// does not know movers.
#[derive(Clone, Debug, Default)]
pub struct GoalField {
    origin: Point2<f32>,
    columns: usize,
    rows: usize,
    /// `[rows][columns]`, in fifths of a cell.
    units: Vec<u32>,
    /// Cells by cost, modulo [`BUCKETS`] (Dial 1969, <https://doi.org/10.1145/363269.363610>).
    open: [Vec<u32>; BUCKETS],
}

impl GoalField {
    /// Searches from the goal of one of a layout's robots. `grid` is marked for that layout.
    pub(super) fn fill(&mut self, layout: &Layout, robot: usize, grid: &FloodGrid) {
        (self.columns, self.rows) = grid.size();
        self.origin = layout.arena.min;
        self.units.clear();
        self.units.resize(self.columns * self.rows, UNREACHED);
        let Some((column, row)) = layout
            .robots
            .get(robot)
            .and_then(|r| grid.free_cell(r.goal))
        else {
            return;
        };
        let first = row * self.columns + column;
        self.units[first] = 0;
        self.open[0].push(first as u32);
        let (mut cost, mut empty) = (0, 0);
        while empty < BUCKETS {
            let bucket = cost as usize % BUCKETS;
            if self.open[bucket].is_empty() {
                empty += 1;
            } else {
                empty = 0;
                let mut cells = std::mem::take(&mut self.open[bucket]);
                for cell in cells.drain(..) {
                    // A cell stands in a bucket once for each time that its cost fell.
                    if self.units[cell as usize] == cost {
                        self.spread(cell as usize, cost, grid);
                    }
                }
                self.open[bucket] = cells;
            }
            cost += 1;
        }
    }

    fn spread(&mut self, cell: usize, cost: u32, grid: &FloodGrid) {
        let (column, row) = (cell % self.columns, cell / self.columns);
        for next_row in row.saturating_sub(1)..=(row + 1).min(self.rows - 1) {
            for next_column in column.saturating_sub(1)..=(column + 1).min(self.columns - 1) {
                if !grid.is_free(next_column, next_row) {
                    continue;
                }
                let aslant = next_row != row && next_column != column;
                let there = cost + if aslant { ASLANT } else { NEAR };
                let next = next_row * self.columns + next_column;
                if there < self.units[next] {
                    self.units[next] = there;
                    self.open[there as usize % BUCKETS].push(next as u32);
                }
            }
        }
    }

    /// The distance from a point to the goal, metres; `None` if no way leads by it.
    pub fn at(&self, point: Point2<f32>) -> Option<f32> {
        let cell = (point - self.origin) / CELL;
        let (column, row) = (cell.x as isize, cell.y as isize);
        let mut best: Option<f32> = None;
        for row in (row - AROUND).max(0)..=(row + AROUND).min(self.rows as isize - 1) {
            for column in
                (column - AROUND).max(0)..=(column + AROUND).min(self.columns as isize - 1)
            {
                let units = self.units[row as usize * self.columns + column as usize];
                if units == UNREACHED {
                    continue;
                }
                let x = cell.x - column as f32 - 0.5;
                let y = cell.y - row as f32 - 0.5;
                let there = units as f32 / NEAR as f32 + (x * x + y * y).sqrt();
                best = Some(best.map_or(there, |least| least.min(there)));
            }
        }
        best.map(|cells| cells * CELL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{EpisodeKey, Geodesic, LayoutSampler, resolve};
    use crate::seed::Split;

    #[test]
    fn distances_are_those_of_the_exact_paths_or_somewhat_more() {
        for name in ["u_trap", "reference", "maze", "barn_like"] {
            let scenario = resolve(name, &[]).expect("a shipped scenario");
            let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
            let mut field = GoalField::default();
            for episode in 0..20 {
                let key = EpisodeKey {
                    root: 5,
                    split: Split::Train,
                    env: 0,
                    episode,
                };
                sampler
                    .sample(&scenario, key, &mut layout)
                    .expect("a layout");
                sampler.field(&layout, 0, &mut field);
                let robot = &layout.robots[0];
                let exact = Geodesic::new(&layout, robot.passage_radius)
                    .distance(robot.start, robot.goal)
                    .expect("a path") as f32;
                let found = field.at(robot.start).expect("a way");
                // Cells are kept half a cell farther from obstacles than the exact path.
                assert!(
                    (0.99 * exact..1.2 * exact + 0.5).contains(&found),
                    "{name} {episode}: {found} m, exactly {exact} m"
                );
            }
        }
    }
}
