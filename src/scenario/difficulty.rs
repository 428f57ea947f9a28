//! How hard a layout is to get through: one figure, cheap enough to be worked out at a reset.
//!
//! A careful driver slows down where it is narrow: beside something at distance c from its hull, a
//! robot of radius r takes 1 + r/c times as long over a metre as on an open plain. The difficulty
//! is 1 − s/t, where t is the time of the best way from start to goal for such a driver, and s that
//! of the straight way on an open plain. It joins in one figure what BARN measures along a path by
//! several (distance to the closest obstacle, characteristic dimension, tortuosity; Perille et al.
//! 2020): 0 is an open plain, 0.5 means that the way takes twice as long as it would there, because
//! it is narrow, or roundabout, or both. Movers are left out.

use nalgebra::Point2;

use super::Layout;
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

/// Works difficulties out, keeping its memory from one layout to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Difficulty {
    /// Cells in a row, one more than the grid has at either end.
    width: usize,
    /// Distance of each cell from what is not free, thirds of a cell.
    away: Vec<u16>,
    cost: Vec<u32>,
    /// Cells by the estimate of the whole way through them, modulo the number of buckets.
    open: Vec<Vec<u32>>,
}

impl Difficulty {
    /// The difficulty of a layout for its robots, the hardest way of theirs; `None` if one of them
    /// has none. `grid` is used as memory.
    pub(crate) fn of(&mut self, layout: &Layout, grid: &mut FloodGrid) -> Option<f32> {
        let mut hardest: f32 = 0.0;
        for robot in &layout.robots {
            grid.mark(layout, robot.passage_radius);
            hardest = hardest.max(self.way(grid, robot.start, robot.goal, robot.passage_radius)?);
        }
        Some(hardest)
    }

    fn way(
        &mut self,
        grid: &FloodGrid,
        start: Point2<f32>,
        goal: Point2<f32>,
        radius: f32,
    ) -> Option<f32> {
        let (start, goal) = (grid.free_cell(start)?, grid.free_cell(goal)?);
        self.measure(grid);
        let plain = octile(start, goal);
        if plain == 0 {
            return Some(0.0);
        }
        let slow = |away: u16| {
            // A free cell beside one that is not has half a cell to spare, or somewhat more.
            let clearance = f32::from(away) / f32::from(NEAR) * CELL;
            1.0 + radius / clearance
        };
        let table: Vec<f32> = (0..=FARTHEST).map(|away| slow(away.max(NEAR))).collect();
        let best = self.search(start, goal, &table)?;
        Some(1.0 - plain as f32 / best.max(plain) as f32)
    }

    /// Two passes over the grid give each free cell its distance from what is not free.
    fn measure(&mut self, grid: &FloodGrid) {
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

    /// The cost of the cheapest way (A* with buckets in place of a heap).
    fn search(&mut self, start: (usize, usize), goal: (usize, usize), slow: &[f32]) -> Option<u32> {
        let width = self.width;
        let place = |(column, row): (usize, usize)| (row + 1) * width + column + 1;
        let left = |cell: usize| octile((cell % width - 1, cell / width - 1), goal);
        self.cost.clear();
        self.cost.resize(self.away.len(), u32::MAX);
        self.open.resize_with(BUCKETS, Vec::new);
        self.open.iter_mut().for_each(Vec::clear);
        let (from, to) = (place(start), place(goal));
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
            for (next, step) in [
                (cell + 1, STRAIGHT),
                (cell - 1, STRAIGHT),
                (cell + width, STRAIGHT),
                (cell - width, STRAIGHT),
                (cell + width + 1, DIAGONAL),
                (cell + width - 1, DIAGONAL),
                (cell - width + 1, DIAGONAL),
                (cell - width - 1, DIAGONAL),
            ] {
                let away = self.away[next];
                if away == 0 {
                    continue;
                }
                let dear = slow[usize::from(away)] * step as f32;
                let through = cost + (dear as u32).min(BUCKETS as u32 / 4);
                if through < self.cost[next] {
                    self.cost[next] = through;
                    self.open[(through + left(next)) as usize % BUCKETS].push(next as u32);
                }
            }
        }
        None
    }
}

/// The cost of the way between two cells on an open plain.
fn octile(a: (usize, usize), b: (usize, usize)) -> u32 {
    let (dx, dy) = (a.0.abs_diff(b.0) as u32, a.1.abs_diff(b.1) as u32);
    STRAIGHT * dx.max(dy) + (DIAGONAL - STRAIGHT) * dx.min(dy)
}

#[cfg(test)]
mod tests {
    use nalgebra::Vector2;

    use crate::scenario::{EpisodeKey, Layout, LayoutSampler, Obstacle, Override, Shape, resolve};
    use crate::seed::Split;

    fn mean(name: &str, flags: &[&str]) -> f32 {
        let flags: Vec<_> = flags
            .iter()
            .map(|flag| Override::parse(flag).unwrap())
            .collect();
        let scenario = resolve(name, &flags).unwrap();
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let of_episode = |episode| {
            let key = EpisodeKey {
                root: 2,
                split: Split::Eval,
                env: 0,
                episode,
            };
            sampler.sample(&scenario, key, &mut layout).unwrap();
            let difficulty = sampler.difficulty(&layout).expect("it has a path");
            assert!((0.0..1.0).contains(&difficulty), "{name}: {difficulty}");
            difficulty
        };
        (0..40).map(of_episode).sum::<f32>() / 40.0
    }

    #[test]
    fn fuller_fields_and_narrower_mazes_are_harder() {
        let fill = |share: &str| mean("barn_like", &[&format!("generate.0.cells.fill={share}")]);
        let fields = ["0.0", "0.15", "0.20", "0.25", "0.30"].map(fill);
        assert!(fields.is_sorted(), "{fields:?}");
        assert!(fields[4] > fields[1] + 0.1, "{fields:?}");
        assert!(mean("open_field", &[]) < 0.2);
        assert!(mean("u_trap", &[]) > mean("open_field", &[]) + 0.2);
        assert!(mean("maze", &[]) > 0.5);
    }

    #[test]
    fn the_figure_is_that_of_a_corridor_worked_out_by_hand() {
        // Along the middle of a straight corridor the hull of a robot of radius 0.2 m has 0.32 m to
        // each wall, so that a metre takes 1 + 0.2/0.32 times as long as on an open plain.
        let scenario = resolve("open_field", &[]).unwrap();
        let (mut sampler, mut layout) = (LayoutSampler::default(), Layout::default());
        let key = EpisodeKey {
            root: 2,
            split: Split::Eval,
            env: 0,
            episode: 0,
        };
        sampler.sample(&scenario, key, &mut layout).unwrap();
        layout.arena.min = nalgebra::Point2::new(0.0, 0.0);
        layout.arena.max = nalgebra::Point2::new(20.0, 10.0);
        let wall = |y: f32| Obstacle {
            shape: Shape::Box {
                half_extents: Vector2::new(10.0, 0.5),
            },
            position: nalgebra::Point2::new(10.0, y),
            axis: Vector2::x(),
        };
        layout.obstacles = vec![wall(3.98), wall(6.02)];
        layout.robots[0].start = nalgebra::Point2::new(1.05, 5.05);
        layout.robots[0].goal = nalgebra::Point2::new(18.95, 5.05);
        layout.robots[0].radius = 0.2;
        layout.robots[0].passage_radius = 0.2;
        let found = sampler.difficulty(&layout).unwrap();
        let expected = 1.0 - 1.0 / (1.0 + 0.2 / 0.32);
        assert!((found - expected).abs() < 0.03, "{found} for {expected}");
    }
}
