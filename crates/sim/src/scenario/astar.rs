//! The best way across a grid for a driver who slows down beside things: A* over the cells of the
//! flood fill, with a cost that falls with the distance from what is not free.

use super::flood::{CELL_SIZE, FloodGrid};

/// Cost of a straight step on an open plain; of a diagonal one.
const STRAIGHT: u32 = 64;
const DIAGONAL: u32 = 91;

/// Weights of the chamfer distance (Borgefors 1986): thirds of a cell.
const CHAMFER_STRAIGHT: u16 = 3;
const CHAMFER_DIAGONAL: u16 = 4;

/// Farther things slow nobody down any more than this, thirds of a cell.
const MAX_CLEARANCE: u16 = 3 * 60;

/// Estimates of the open cells never span more than this: a step costs less.
const BUCKETS: usize = 4096;

/// A cell: column and row.
pub(crate) type CellIndex = (usize, usize);

/// What steps cost a driver, by the distance of where they lead from what is not free.
#[derive(Clone, Debug)]
pub(crate) struct TraversalCosts {
    /// By thirds of a cell: of a straight step and of a diagonal one; [`IMPASSABLE`] where nobody goes.
    steps: Vec<[u32; 2]>,
}

/// The cost of a step that nobody takes.
const IMPASSABLE: u32 = u32::MAX;

impl TraversalCosts {
    /// Of a careful driver of a robot of `radius`: 1 + radius / clearance, but as on an open plain
    /// where there are `free_clearance` metres of it. `through` is what a step takes where the robot is not
    /// sure to fit; infinite where it may not go there at all.
    pub(crate) fn by_clearance(radius: f32, free_clearance: f32, blocked_cost: f32) -> Self {
        let slow = |clearances: u16| {
            // A free cell beside one that is not has half a cell to spare, or somewhat more.
            let clearance = f32::from(clearances.max(CHAMFER_STRAIGHT))
                / f32::from(CHAMFER_STRAIGHT)
                * CELL_SIZE;
            (1.0 + radius / clearance - radius / free_clearance).max(1.0)
        };
        let step = |clearances: u16| {
            // How many times as long as on an open plain he takes.
            let slow = if clearances == 0 {
                blocked_cost
            } else {
                slow(clearances)
            };
            [STRAIGHT, DIAGONAL].map(|step| {
                if slow.is_infinite() {
                    IMPASSABLE
                } else {
                    ((slow * step as f32) as u32).min(BUCKETS as u32 / 4)
                }
            })
        };
        Self {
            steps: (0..=MAX_CLEARANCE).map(step).collect(),
        }
    }
}

/// Finds ways, keeping its memory from one grid to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct AStar {
    /// Columns and rows of the grid.
    size: (usize, usize),
    /// Cells in a row are two to the power of this: those of the grid from the second on, and at least
    /// one beyond them.
    shift: u32,
    /// Distance of each cell from what is not free, thirds of a cell.
    clearances: Vec<u16>,
    /// Of the best way that was found to a cell; 0 beyond the grid, which no way improves on.
    cost: Vec<u32>,
    /// Cells by the estimate of the whole way through them, modulo the number of buckets.
    open: Vec<Vec<u32>>,
}

impl AStar {
    /// Two passes over the grid give each free cell its distance from what is not free.
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
        // Of what is in the row beside, all cells at once; then from one to the next.
        let nearer = |row: &mut [u16], beside: &[u16]| {
            let beside = beside[..columns].iter().zip(&beside[1..]).zip(&beside[2..]);
            for (clearances, ((left, middle), right)) in row[1..=columns].iter_mut().zip(beside) {
                let diagonal = left.min(right) + CHAMFER_DIAGONAL;
                *clearances = (*clearances).min(middle + CHAMFER_STRAIGHT).min(diagonal);
            }
        };
        let step = |before: u16, clearances: &mut u16| {
            *clearances = (*clearances).min(before + CHAMFER_STRAIGHT);
            *clearances
        };
        for row in 1..=rows {
            let (above, below) = self.clearances.split_at_mut(row * width);
            nearer(below, &above[above.len() - width..]);
            below[1..=columns].iter_mut().fold(0, step);
        }
        for row in (1..=rows).rev() {
            let (above, below) = self.clearances.split_at_mut((row + 1) * width);
            let above = &mut above[row * width..];
            nearer(above, below);
            above[1..=columns].iter_mut().rfold(0, step);
        }
    }

    /// The cost of the cheapest way across the grid that was measured (A* with buckets in place of a
    /// heap); `None` if there is none.
    pub(crate) fn search(
        &mut self,
        start: CellIndex,
        goal: CellIndex,
        traversal_costs: &TraversalCosts,
    ) -> Option<u32> {
        let (width, shift) = (self.width(), self.shift);
        let (columns, rows) = self.size;
        let target = (goal.0 + 1, goal.1 + 1);
        let left = |cell: usize| octile_distance((cell & (width - 1), cell >> shift), target);
        self.cost.clear();
        self.cost.resize(self.clearances.len(), 0);
        for row in 1..=rows {
            self.cost[row * width + 1..][..columns].fill(u32::MAX);
        }
        self.open.resize_with(BUCKETS, Vec::new);
        self.open.iter_mut().for_each(Vec::clear);
        let (from, to) = (self.index(start), self.index(goal));
        self.cost[from] = 0;
        let mut estimate = left(from) as usize;
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
            if (cost + left(cell)) as usize != estimate {
                continue; // A cheaper way to it was found meanwhile.
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
                    self.open[(through + left(next)) as usize % BUCKETS].push(next as u32);
                }
            }
        }
        None
    }

    /// The cells of the way that the last search found, from its goal to its start.
    pub(crate) fn cells_to_start(&self, goal: CellIndex) -> impl Iterator<Item = CellIndex> {
        let (width, shift) = (self.width(), self.shift);
        let mut next = Some(self.index(goal));
        std::iter::from_fn(move || {
            let cell = next?;
            // Every cell but the start was reached from one that costs less.
            let before = self.neighbours(cell).map(|(near, _)| near);
            let inside = before.into_iter().filter(|&near| self.is_inside(near));
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

    /// The eight neighbours of a cell, and whether a step to them is a diagonal one.
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

/// The cost of the way between two cells on an open plain.
pub(crate) fn octile_distance(a: CellIndex, b: CellIndex) -> u32 {
    let (dx, dy) = (a.0.abs_diff(b.0) as u32, a.1.abs_diff(b.1) as u32);
    STRAIGHT * dx.max(dy) + (DIAGONAL - STRAIGHT) * dx.min(dy)
}
