//! A* over the cells of a [`FloodGrid`]. A step costs more the nearer it is to blocked cells, as for a
//! robot that slows down near obstacles.

use super::flood::{CELL_SIZE, FloodGrid};

/// Cost of a step to the side, far from all obstacles.
const STRAIGHT_COST: u32 = 64;
/// Cost of a diagonal step, far from all obstacles: 91 / 64 ≈ √2.
const DIAGONAL_COST: u32 = 91;

/// Weights of the chamfer distance (Borgefors 1986), thirds of a cell.
const CHAMFER_STRAIGHT: u16 = 3;
const CHAMFER_DIAGONAL: u16 = 4;

/// The largest distance from blocked cells that is told apart, thirds of a cell. Larger ones count as
/// this.
const MAX_CLEARANCE: u16 = 3 * 60;

/// Number of buckets, each for the open cells whose estimates are equal modulo this. A step raises the
/// estimate by less, so all cells of a bucket have the same estimate.
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
    /// Costs that grow near obstacles: far from all obstacles a step costs [`STRAIGHT_COST`] or
    /// [`DIAGONAL_COST`], and at a clearance of c metres 1 + `radius` / c − `radius` / `free_clearance`
    /// times that, but no less. So the costs stop falling at `free_clearance` metres. `blocked_cost` is
    /// the factor for blocked cells, in which the robot may not fit; infinite if it must not enter them.
    pub(crate) fn by_clearance(radius: f32, free_clearance: f32, blocked_cost: f32) -> Self {
        let factor_of_free_cell = |clearance: u16| {
            // A free cell beside a blocked one has a clearance of at least half a cell.
            let clearance = f32::from(clearance.max(CHAMFER_STRAIGHT))
                / f32::from(CHAMFER_STRAIGHT)
                * CELL_SIZE;
            (1.0 + radius / clearance - radius / free_clearance).max(1.0)
        };
        let step = |clearance: u16| {
            let factor = if clearance == 0 {
                blocked_cost
            } else {
                factor_of_free_cell(clearance)
            };
            [STRAIGHT_COST, DIAGONAL_COST].map(|step| {
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
    /// The buffers have a border of cells around the grid. One of their rows has 2^shift cells, of which
    /// one is before the cells of the grid and at least one after them.
    shift: u32,
    /// Distance of each cell from blocked cells, thirds of a cell.
    clearances: Vec<u16>,
    /// Cost of the cheapest path to each cell so far. 0 in the border, so that no path improves it.
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
        // Each pass lowers the clearances of a row to what the adjacent row permits, all cells at
        // once, and then to what the adjacent cell in the row permits, from cell to cell.
        let lower_by_row = |row: &mut [u16], adjacent: &[u16]| {
            let adjacent = adjacent[..columns]
                .iter()
                .zip(&adjacent[1..])
                .zip(&adjacent[2..]);
            for (clearance, ((left, middle), right)) in row[1..=columns].iter_mut().zip(adjacent) {
                let diagonal = left.min(right) + CHAMFER_DIAGONAL;
                *clearance = (*clearance).min(middle + CHAMFER_STRAIGHT).min(diagonal);
            }
        };
        let lower_by_cell = |previous: u16, clearance: &mut u16| {
            *clearance = (*clearance).min(previous + CHAMFER_STRAIGHT);
            *clearance
        };
        for row in 1..=rows {
            let (above, below) = self.clearances.split_at_mut(row * width);
            lower_by_row(below, &above[above.len() - width..]);
            below[1..=columns].iter_mut().fold(0, lower_by_cell);
        }
        for row in (1..=rows).rev() {
            let (above, below) = self.clearances.split_at_mut((row + 1) * width);
            let above = &mut above[row * width..];
            lower_by_row(above, below);
            above[1..=columns].iter_mut().rfold(0, lower_by_cell);
        }
    }

    /// Searches the cheapest path by A*, with buckets in place of a heap, and returns its cost; `None` if
    /// there is no path. Uses the clearances of the last [`Self::compute_clearances`].
    pub(crate) fn search(
        &mut self,
        start: CellIndex,
        goal: CellIndex,
        traversal_costs: &TraversalCosts,
    ) -> Option<u32> {
        let (width, shift) = (self.width(), self.shift);
        let (columns, rows) = self.size;
        let goal_in_buffer = (goal.0 + 1, goal.1 + 1);
        let cost_left =
            |cell: usize| octile_distance((cell & (width - 1), cell >> shift), goal_in_buffer);
        self.cost.clear();
        self.cost.resize(self.clearances.len(), 0);
        for row in 1..=rows {
            self.cost[row * width + 1..][..columns].fill(u32::MAX);
        }
        self.open.resize_with(BUCKETS, Vec::new);
        self.open.iter_mut().for_each(Vec::clear);
        let (start, goal) = (self.index(start), self.index(goal));
        self.cost[start] = 0;
        let mut estimate = cost_left(start) as usize;
        self.open[estimate % BUCKETS].push(start as u32);
        let mut empty_buckets = 0;
        while empty_buckets < BUCKETS {
            let Some(cell) = self.open[estimate % BUCKETS].pop() else {
                estimate += 1;
                empty_buckets += 1;
                continue;
            };
            empty_buckets = 0;
            let cell = cell as usize;
            let cost = self.cost[cell];
            if (cost + cost_left(cell)) as usize != estimate {
                continue; // A cheaper path to the cell was found since it was opened.
            }
            if cell == goal {
                return Some(cost);
            }
            for (next, is_diagonal) in self.neighbours(cell) {
                let step = traversal_costs.steps[usize::from(self.clearances[next])]
                    [usize::from(is_diagonal)];
                if step == IMPASSABLE {
                    continue;
                }
                let next_cost = cost + step;
                if next_cost < self.cost[next] {
                    self.cost[next] = next_cost;
                    self.open[(next_cost + cost_left(next)) as usize % BUCKETS].push(next as u32);
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
            let cheapest = inside.min_by_key(|&near| self.cost[near]);
            next = cheapest.filter(|&near| self.cost[near] < self.cost[cell]);
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

/// The cost of the cheapest path between two cells without obstacles.
pub(crate) fn octile_distance(a: CellIndex, b: CellIndex) -> u32 {
    let (dx, dy) = (a.0.abs_diff(b.0) as u32, a.1.abs_diff(b.1) as u32);
    STRAIGHT_COST * dx.max(dy) + (DIAGONAL_COST - STRAIGHT_COST) * dx.min(dy)
}
