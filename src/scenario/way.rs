//! The best way across a grid for a driver who slows down beside things: A* over the cells of the
//! flood fill, with a cost that falls with the distance from what is not free.

use super::flood::{CELL, FloodGrid};

/// Cost of a straight step on an open plain; of a diagonal one.
const STRAIGHT: u32 = 64;
const DIAGONAL: u32 = 91;

/// Weights of the chamfer distance (Borgefors 1986): thirds of a cell.
const NEAR: u16 = 3;
const ASLANT: u16 = 4;

/// Farther things slow nobody down any more than this, thirds of a cell.
const FARTHEST: u16 = 3 * 60;

/// Estimates of the open cells never span more than this: a step costs less.
const BUCKETS: usize = 4096;

/// A cell: column and row.
pub(crate) type Cell = (usize, usize);

/// How many times as long as on an open plain a driver takes over a step, by the distance from
/// what is not free.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// By thirds of a cell; infinite where nobody goes.
    table: Vec<f32>,
}

impl Pace {
    /// Of a careful driver of a robot of `radius`: 1 + radius / clearance, but as on an open plain
    /// where there are `at_ease` metres of it. `through` is what a step takes where the robot is not
    /// sure to fit; infinite where it may not go there at all.
    pub(crate) fn careful(radius: f32, at_ease: f32, through: f32) -> Self {
        let slow = |away: u16| {
            // A free cell beside one that is not has half a cell to spare, or somewhat more.
            let clearance = f32::from(away.max(NEAR)) / f32::from(NEAR) * CELL;
            (1.0 + radius / clearance - radius / at_ease).max(1.0)
        };
        let mut table: Vec<f32> = (0..=FARTHEST).map(slow).collect();
        table[0] = through;
        Self { table }
    }
}

/// Finds ways, keeping its memory from one grid to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ways {
    /// Cells in a row, one more than the grid has at either end.
    width: usize,
    /// Distance of each cell from what is not free, thirds of a cell.
    away: Vec<u16>,
    /// Of the best way that was found to a cell; 0 beyond the grid, which no way improves on.
    cost: Vec<u32>,
    /// Cells by the estimate of the whole way through them, modulo the number of buckets.
    open: Vec<Vec<u32>>,
}

impl Ways {
    /// Two passes over the grid give each free cell its distance from what is not free.
    pub(crate) fn measure(&mut self, grid: &FloodGrid) {
        let (columns, rows) = grid.size();
        self.width = columns + 2;
        let width = self.width;
        self.away.clear();
        self.away.resize(width * (rows + 2), 0);
        for row in 0..rows {
            let first = (row + 1) * width + 1;
            for column in 0..columns {
                if grid.is_free(column, row) {
                    self.away[first + column] = FARTHEST;
                }
            }
        }
        let cells = self.away.len();
        let mut pass = |cell: usize, around: [usize; 4]| {
            if self.away[cell] > 0 {
                let near = self.away[around[0]].min(self.away[around[2]]) + NEAR;
                let aslant = self.away[around[1]].min(self.away[around[3]]) + ASLANT;
                self.away[cell] = self.away[cell].min(near).min(aslant);
            }
        };
        for cell in width + 1..cells - width - 1 {
            pass(
                cell,
                [cell - 1, cell - width - 1, cell - width, cell - width + 1],
            );
        }
        for cell in (width + 1..cells - width - 1).rev() {
            pass(
                cell,
                [cell + 1, cell + width + 1, cell + width, cell + width - 1],
            );
        }
    }

    /// The cost of the cheapest way across the grid that was measured (A* with buckets in place of a
    /// heap); `None` if there is none.
    pub(crate) fn search(&mut self, start: Cell, goal: Cell, pace: &Pace) -> Option<u32> {
        let width = self.width;
        let left = |cell: usize| octile((cell % width - 1, cell / width - 1), goal);
        self.cost.clear();
        self.cost.resize(self.away.len(), u32::MAX);
        let rows = self.away.len() / width;
        self.cost[..width].fill(0);
        self.cost[(rows - 1) * width..].fill(0);
        for row in 0..rows {
            self.cost[row * width] = 0;
            self.cost[row * width + width - 1] = 0;
        }
        self.open.resize_with(BUCKETS, Vec::new);
        self.open.iter_mut().for_each(Vec::clear);
        let (from, to) = (self.place(start), self.place(goal));
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
            for (next, step) in self.around(cell) {
                let slow = pace.table[usize::from(self.away[next])];
                if slow.is_infinite() {
                    continue;
                }
                let dear = slow * step as f32;
                let through = cost + (dear as u32).min(BUCKETS as u32 / 4);
                if through < self.cost[next] {
                    self.cost[next] = through;
                    self.open[(through + left(next)) as usize % BUCKETS].push(next as u32);
                }
            }
        }
        None
    }

    /// The cells of the way that the last search found, from its goal to its start.
    pub(crate) fn trace(&self, goal: Cell) -> impl Iterator<Item = Cell> {
        let width = self.width;
        let mut next = Some(self.place(goal));
        std::iter::from_fn(move || {
            let cell = next?;
            // Every cell but the start was reached from one that costs less.
            let before = self.around(cell).map(|(near, _)| near);
            let inside = before.into_iter().filter(|&near| self.is_inside(near));
            let least = inside.min_by_key(|&near| self.cost[near]);
            next = least.filter(|&near| self.cost[near] < self.cost[cell]);
            Some((cell % width - 1, cell / width - 1))
        })
    }

    fn place(&self, (column, row): Cell) -> usize {
        (row + 1) * self.width + column + 1
    }

    fn is_inside(&self, cell: usize) -> bool {
        let (column, row) = (cell % self.width, cell / self.width);
        let rows = self.away.len() / self.width;
        (1..self.width - 1).contains(&column) && (1..rows - 1).contains(&row)
    }

    /// The eight neighbours of a cell, and what a step to each costs on an open plain.
    fn around(&self, cell: usize) -> [(usize, u32); 8] {
        let width = self.width;
        [
            (cell + 1, STRAIGHT),
            (cell - 1, STRAIGHT),
            (cell + width, STRAIGHT),
            (cell - width, STRAIGHT),
            (cell + width + 1, DIAGONAL),
            (cell + width - 1, DIAGONAL),
            (cell - width + 1, DIAGONAL),
            (cell - width - 1, DIAGONAL),
        ]
    }
}

/// The cost of the way between two cells on an open plain.
pub(crate) fn octile(a: Cell, b: Cell) -> u32 {
    let (dx, dy) = (a.0.abs_diff(b.0) as u32, a.1.abs_diff(b.1) as u32);
    STRAIGHT * dx.max(dy) + (DIAGONAL - STRAIGHT) * dx.min(dy)
}
