//! The path distance to the goal from every cell: one search from the goal over the grid of the flood
//! fill. The reward reads it in every step, for which the exact geodesic would be too slow.

use nalgebra::Point2;

use super::Layout;
use super::flood::{CELL_SIZE, FloodGrid};

/// Costs of a step to a neighbour, in fifths of a cell: 7 / 5 ≈ √2.
const STRAIGHT_COST: u32 = 5;
const DIAGONAL_COST: u32 = 7;

/// Number of buckets: at least one for each cost that can be open at once, and a power of two.
const BUCKETS: usize = 8;

/// The cost of a cell from which the goal is not reachable.
const UNREACHED: u32 = u32::MAX;

/// Cells on either side of a point that are searched for a reachable cell. The cell of a robot may
/// be blocked, because cells near obstacles are blocked conservatively.
const NEIGHBOURHOOD: isize = 2;

/// Path distances to one goal over the cells where the robot's centre may be. Paths go from cell to
/// cell in eight directions, so a distance is at most a twelfth longer than the shortest path.
/// Movers are ignored.
#[derive(Clone, Debug, Default)]
pub struct GoalDistanceField {
    origin: Point2<f32>,
    columns: usize,
    rows: usize,
    /// `[rows + 2][columns + 2]`: cost to the goal, fifths of a cell, or [`UNREACHED`].
    cell_costs: Vec<u32>,
    /// Open cells by cost, modulo [`BUCKETS`] (Dial 1969, <https://doi.org/10.1145/363269.363610>).
    open: [Vec<u32>; BUCKETS],
}

impl GoalDistanceField {
    /// Searches from the goal of a robot. `grid` must be marked for the layout.
    pub(super) fn fill(&mut self, layout: &Layout, robot: usize, grid: &FloodGrid) {
        (self.columns, self.rows) = grid.size();
        self.origin = layout.arena.min;
        // During the search, blocked cells have cost 0, so that no path improves them.
        self.cell_costs.clear();
        self.cell_costs.resize(self.width() * (self.rows + 2), 0);
        for row in 0..self.rows {
            let first = self.index(0, row);
            grid.write_row(
                row,
                &mut self.cell_costs[first..][..self.columns],
                UNREACHED,
                0,
            );
        }
        let goal = layout.robots.get(robot).map(|robot| robot.goal);
        let goal = goal.and_then(|goal| grid.nearest_free_cell(goal));
        let goal = goal.map(|(column, row)| self.index(column, row));
        if let Some(goal) = goal {
            self.search(goal);
        }
        for cost in &mut self.cell_costs {
            if *cost == 0 {
                *cost = UNREACHED;
            }
        }
        if let Some(goal) = goal {
            self.cell_costs[goal] = 0;
        }
    }

    fn width(&self) -> usize {
        self.columns + 2
    }

    fn index(&self, column: usize, row: usize) -> usize {
        (row + 1) * self.width() + column + 1
    }

    /// Dijkstra's algorithm with buckets, from the goal outwards.
    fn search(&mut self, goal: usize) {
        self.cell_costs[goal] = 0;
        self.open[0].push(goal as u32);
        let (mut cost, mut empty) = (0, 0);
        while empty < BUCKETS {
            let bucket = cost as usize % BUCKETS;
            if self.open[bucket].is_empty() {
                empty += 1;
            } else {
                empty = 0;
                let mut cells = std::mem::take(&mut self.open[bucket]);
                for cell in cells.drain(..) {
                    // A cell is in one bucket for each time that its cost fell.
                    if self.cell_costs[cell as usize] == cost {
                        self.relax_neighbours(cell as usize, cost);
                    }
                }
                self.open[bucket] = cells;
            }
            cost += 1;
        }
    }

    /// Improves the costs of the neighbours by a path through the cell.
    fn relax_neighbours(&mut self, cell: usize, cost: u32) {
        let width = self.width();
        let straight =
            [cell - width, cell - 1, cell + 1, cell + width].map(|next| (next, STRAIGHT_COST));
        let (below, above) = (cell - width, cell + width);
        let diagonal =
            [below - 1, below + 1, above - 1, above + 1].map(|next| (next, DIAGONAL_COST));
        for (next, step) in straight.into_iter().chain(diagonal) {
            let next_cost = cost + step;
            if next_cost < self.cell_costs[next] {
                self.cell_costs[next] = next_cost;
                self.open[next_cost as usize % BUCKETS].push(next as u32);
            }
        }
    }

    /// The path distance from a point to the goal, metres. `None` if no reachable cell is near.
    pub fn distance_at(&self, point: Point2<f32>) -> Option<f32> {
        let cell = (point - self.origin) / CELL_SIZE;
        let (column, row) = (cell.x as isize, cell.y as isize);
        let mut best: Option<f32> = None;
        for row in (row - NEIGHBOURHOOD).max(0)..=(row + NEIGHBOURHOOD).min(self.rows as isize - 1)
        {
            for column in (column - NEIGHBOURHOOD).max(0)
                ..=(column + NEIGHBOURHOOD).min(self.columns as isize - 1)
            {
                let cost = self.cell_costs[self.index(column as usize, row as usize)];
                if cost == UNREACHED {
                    continue;
                }
                let x = cell.x - column as f32 - 0.5;
                let y = cell.y - row as f32 - 0.5;
                let distance = cost as f32 / STRAIGHT_COST as f32 + (x * x + y * y).sqrt();
                best = Some(best.map_or(distance, |best| best.min(distance)));
            }
        }
        best.map(|cells| cells * CELL_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{EpisodeKey, Geodesic, LayoutSampler, resolve};
    use crate::seed::Split;

    #[test]
    fn distances_are_at_least_the_geodesic_and_little_more() {
        for name in ["u_trap", "reference", "maze", "barn_like"] {
            let scenario = resolve(name, &[]).expect("a shipped scenario");
            let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
            let mut field = GoalDistanceField::default();
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
                sampler.fill_goal_distances(&layout, 0, &mut field);
                let robot = &layout.robots[0];
                let exact = Geodesic::new(&layout, robot.passage_radius)
                    .distance(robot.start, robot.goal)
                    .expect("a path") as f32;
                let found = field.distance_at(robot.start).expect("a path");
                // The grid keeps half a cell more clearance than the geodesic.
                assert!(
                    (0.99 * exact..1.2 * exact + 0.5).contains(&found),
                    "{name} {episode}: {found} m, exactly {exact} m"
                );
            }
        }
    }
}
