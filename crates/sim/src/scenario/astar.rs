//! A* over the cells of a [`FloodGrid`]. The cost of a step falls with the distance from blocked
//! cells, as for a robot that slows down near obstacles.

use super::flood::{CELL_SIZE, FloodGrid};

/// Cost of a straight step on an open plain.
const STRAIGHT: u32 = 64;
/// Cost of a diagonal step on an open plain.
const DIAGONAL: u32 = 91;

/// Weights of the chamfer distance (Borgefors 1986), thirds of a cell.
const CHAMFER_STRAIGHT: u16 = 3;
const CHAMFER_DIAGONAL: u16 = 4;

/// The largest clearance that is computed, thirds of a cell. Larger ones count as this.
const MAX_CLEARANCE: u16 = 3 * 60;

/// Number of buckets. The estimates of open cells span less than this, because a step costs less.
const BUCKETS: usize = 4096;

/// A cell: column and row.
pub(crate) type CellIndex = (usize, usize);

/// Costs of steps by the clearance of the cell that they lead to.
#[derive(Clone, Debug)]
pub(crate) struct TraversalCosts {
    /// `[clearance]`, in thirds of a cell: the cost of a straight and of a diagonal step, or
    /// [`IMPASSABLE`].
    steps: Vec<[u32; 2]>,
}

/// The cost of a step that is not allowed.
const IMPASSABLE: u32 = u32::MAX;

impl TraversalCosts {
    /// Costs that grow near obstacles: a step takes 1 + radius / clearance times as long as on an
    /// open plain. At a clearance of `free_clearance` metres or more it takes as long as there.
    /// `blocked_cost` is the factor for cells where the robot may not fit; infinite if it must not
    /// enter them.
    pub(crate) fn by_clearance(radius: f32, free_clearance: f32, blocked_cost: f32) -> Self {
        let near_obstacles = |clearance: u16| {
            // A free cell beside a blocked one has a clearance of at least half a cell.
            let clearance = f32::from(clearance.max(CHAMFER_STRAIGHT))
                / f32::from(CHAMFER_STRAIGHT)
                * CELL_SIZE;
            (1.0 + radius / clearance - radius / free_clearance).max(1.0)
        };
        let step = |clearance: u16| {
            // Factor on the time on an open plain.
            let factor = if clearance == 0 {
                blocked_cost
            } else {
                near_obstacles(clearance)
            };
            [STRAIGHT, DIAGONAL].map(|step| {
                if factor.is_infinite() {
                    IMPASSABLE
                } else {
                    ((factor * step as f32) as u32).min(BUCKETS as u32 / 4)
                }
            })
        };
        Self {
            steps: (0..=MAX_CLEARANCE).map(step).collect(),
        }
    }
}

/// Searches paths. Reuses its buffers from one grid to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct AStar {
    /// Columns and rows of the grid.
    size: (usize, usize),
    /// A row of the buffers has 2^shift cells: one before the cells of the grid and at least one after
    /// them.
    shift: u32,
    /// Distance of each cell from blocked cells, thirds of a cell.
    clearances: Vec<u16>,
    /// Cost of the best path to each cell so far. 0 beyond the grid, so that no path leads there.
    cost: Vec<u32>,
    /// Open cells by the estimated cost of the whole path through them, modulo [`BUCKETS`].
    open: Vec<Vec<u32>>,
}

impl AStar {
    /// Computes the distance of each free cell from blocked cells, in two passes over the grid.
    pub(crate) fn compute_clearances(&mut self, grid: &FloodGrid) {
        let (columns, rows) = grid.size();
        self.size = (columns, rows);
        self.shift = (columns + 2).next_power_of_two().trailing_zeros();
        let width = self.width();
        self.clearances.clear();
        self.clearances.resize(width * (rows + 2), 0);
        for row in 0..rows {
            let first = (row + 1) * width + 1;
            grid.write_row(
                row,
                &mut self.clearances[first..][..columns],
                MAX_CLEARANCE,
                0,
            );
        }
        // First from the row beside, all cells at once; then from cell to cell in the row.
        let from_row = |row: &mut [u16], beside: &[u16]| {
            let beside = beside[..columns].iter().zip(&beside[1..]).zip(&beside[2..]);
            for (clearance, ((left, middle), right)) in row[1..=columns].iter_mut().zip(beside) {
                let diagonal = left.min(right) + CHAMFER_DIAGONAL;
                *clearance = (*clearance).min(middle + CHAMFER_STRAIGHT).min(diagonal);
            }
        };
        let step = |previous: u16, clearance: &mut u16| {
            *clearance = (*clearance).min(previous + CHAMFER_STRAIGHT);
            *clearance
        };
        for row in 1..=rows {
            let (above, below) = self.clearances.split_at_mut(row * width);
            from_row(below, &above[above.len() - width..]);
            below[1..=columns].iter_mut().fold(0, step);
        }
        for row in (1..=rows).rev() {
            let (above, below) = self.clearances.split_at_mut((row + 1) * width);
            let above = &mut above[row * width..];
            from_row(above, below);
            above[1..=columns].iter_mut().rfold(0, step);
        }
    }

    /// The cost of the cheapest path, or `None` if there is none. Uses the clearances of the last
    /// [`Self::compute_clearances`]. A* with buckets in place of a heap.
    pub(crate) fn search(
        &mut self,
        start: CellIndex,
        goal: CellIndex,
        traversal_costs: &TraversalCosts,
    ) -> Option<u32> {
        let (width, shift) = (self.width(), self.shift);
        let (columns, rows) = self.size;
        let target = (goal.0 + 1, goal.1 + 1);
        let remaining = |cell: usize| octile_distance((cell & (width - 1), cell >> shift), target);
        self.cost.clear();
        self.cost.resize(self.clearances.len(), 0);
        for row in 1..=rows {
            self.cost[row * width + 1..][..columns].fill(u32::MAX);
        }
        self.open.resize_with(BUCKETS, Vec::new);
        self.open.iter_mut().for_each(Vec::clear);
        let (from, to) = (self.index(start), self.index(goal));
        self.cost[from] = 0;
        let mut estimate = remaining(from) as usize;
        self.open[estimate % BUCKETS].push(from as u32);
        let mut empty = 0;
        while empty < BUCKETS {
            let Some(cell) = self.open[estimate % BUCKETS].pop() else {
                estimate += 1;
                empty += 1;
                continue;
            };
            empty = 0;
            let cell = cell as usize;
            let cost = self.cost[cell];
            if (cost + remaining(cell)) as usize != estimate {
                continue; // A cheaper path to the cell was found since it was opened.
            }
            if cell == to {
                return Some(cost);
            }
            for (next, is_diagonal) in self.neighbours(cell) {
                let step = traversal_costs.steps[usize::from(self.clearances[next])]
                    [usize::from(is_diagonal)];
                if step == IMPASSABLE {
                    continue;
                }
                let through = cost + step;
                if through < self.cost[next] {
                    self.cost[next] = through;
                    self.open[(through + remaining(next)) as usize % BUCKETS].push(next as u32);
                }
            }
        }
        None
    }

    /// The cells of the path that the last search found, from the goal to the start.
    pub(crate) fn cells_to_start(&self, goal: CellIndex) -> impl Iterator<Item = CellIndex> {
        let (width, shift) = (self.width(), self.shift);
        let mut next = Some(self.index(goal));
        std::iter::from_fn(move || {
            let cell = next?;
            // Every cell but the start was reached from a neighbour of lower cost.
            let neighbours = self.neighbours(cell).map(|(near, _)| near);
            let inside = neighbours.into_iter().filter(|&near| self.is_inside(near));
            let least = inside.min_by_key(|&near| self.cost[near]);
            next = least.filter(|&near| self.cost[near] < self.cost[cell]);
            Some(((cell & (width - 1)) - 1, (cell >> shift) - 1))
        })
    }

    fn width(&self) -> usize {
        1 << self.shift
    }

    fn index(&self, (column, row): CellIndex) -> usize {
        ((row + 1) << self.shift) + column + 1
    }

    fn is_inside(&self, cell: usize) -> bool {
        let (column, row) = (cell & (self.width() - 1), cell >> self.shift);
        (1..=self.size.0).contains(&column) && (1..=self.size.1).contains(&row)
    }

    /// The eight neighbours of a cell, and whether the step to each is diagonal.
    fn neighbours(&self, cell: usize) -> [(usize, bool); 8] {
        let width = self.width();
        [
            (cell + 1, false),
            (cell - 1, false),
            (cell + width, false),
            (cell - width, false),
            (cell + width + 1, true),
            (cell + width - 1, true),
            (cell - width + 1, true),
            (cell - width - 1, true),
        ]
    }
}

/// The cost of the shortest path between two cells on an open plain.
pub(crate) fn octile_distance(a: CellIndex, b: CellIndex) -> u32 {
    let (dx, dy) = (a.0.abs_diff(b.0) as u32, a.1.abs_diff(b.1) as u32);
    STRAIGHT * dx.max(dy) + (DIAGONAL - STRAIGHT) * dx.min(dy)
}
