//! Mazes: perfect mazes, in which exactly one path joins any two cells, and braided mazes, in which
//! some dead ends are opened.

use crate::scenario::spec::{MazeMethod, MazeSpec};
use crate::scenario::{Obstacle, Rect};
use crate::seed::Rng;

use super::draw::{random_bool, random_index_below};
use super::walls::wall;

pub(super) fn build(
    spec: &MazeSpec,
    arena: &Rect,
    obstacles: &mut Vec<Obstacle>,
    difficulty_rng: &mut Rng,
    rng: &mut Rng,
) {
    let thickness = spec.wall_m.sample(difficulty_rng) as f32;
    let braid = spec.braid.sample(difficulty_rng) as f32;
    let mut maze = Maze::walled(spec.columns as usize, spec.rows as usize);
    match spec.method {
        MazeMethod::DepthFirst => maze.carve_depth_first(rng),
        MazeMethod::Wilson => maze.carve_by_walks(rng),
    }
    maze.braid(braid, rng);
    maze.walls(arena, thickness, obstacles);
}

/// Sides of a cell: right, up, left, down. The opposite of side s is (s + 2) mod 4.
const SIDES: usize = 4;

struct Maze {
    columns: usize,
    rows: usize,
    /// `[rows · columns]`: bit s is set if side s is open.
    open: Vec<u8>,
}

impl Maze {
    /// Makes a maze with all sides closed.
    fn walled(columns: usize, rows: usize) -> Self {
        Self {
            columns,
            rows,
            open: vec![0; columns * rows],
        }
    }

    fn neighbour(&self, cell: usize, side: usize) -> Option<usize> {
        let (column, row) = (cell % self.columns, cell / self.columns);
        match side {
            0 if column + 1 < self.columns => Some(cell + 1),
            1 if row + 1 < self.rows => Some(cell + self.columns),
            2 if column > 0 => Some(cell - 1),
            3 if row > 0 => Some(cell - self.columns),
            _ => None,
        }
    }

    /// Draws one of the sides that `accept(side, neighbour)` holds for. Returns the side and the neighbour.
    fn side_where(
        &self,
        cell: usize,
        accept: impl Fn(usize, usize) -> bool,
        rng: &mut Rng,
    ) -> Option<(usize, usize)> {
        let mut found = [(0, 0); SIDES];
        let mut count = 0;
        for side in 0..SIDES {
            if let Some(next) = self.neighbour(cell, side)
                && accept(side, next)
            {
                found[count] = (side, next);
                count += 1;
            }
        }
        (count > 0).then(|| found[random_index_below(count, rng)])
    }

    /// Opens the side between two cells.
    fn join(&mut self, cell: usize, side: usize, next: usize) {
        self.open[cell] |= 1 << side;
        self.open[next] |= 1 << ((side + 2) % SIDES);
    }

    /// Randomised depth-first search: long winding passages, few dead ends.
    fn carve_depth_first(&mut self, rng: &mut Rng) {
        let mut trail = vec![random_index_below(self.open.len(), rng)];
        while let Some(&cell) = trail.last() {
            // Every visited cell has an open side, except the first cell at the start.
            let first = trail[0];
            let is_new = |_, next: usize| self.open[next] == 0 && next != first;
            match self.side_where(cell, is_new, rng) {
                Some((side, next)) => {
                    self.join(cell, side, next);
                    trail.push(next);
                }
                None => {
                    trail.pop();
                }
            }
        }
    }

    /// Loop-erased random walks (Wilson 1996): every perfect maze is as likely as any other.
    fn carve_by_walks(&mut self, rng: &mut Rng) {
        let cells = self.open.len();
        let mut in_tree = vec![false; cells];
        in_tree[random_index_below(cells, rng)] = true;
        // The side by which the walk last left each cell. Overwriting it erases loops.
        let mut left_by = vec![0; cells];
        for start in 0..cells {
            let mut cell = start;
            while !in_tree[cell] {
                let Some((side, next)) = self.side_where(cell, |_, _| true, rng) else {
                    return; // A single cell.
                };
                left_by[cell] = side;
                cell = next;
            }
            cell = start;
            while !in_tree[cell] {
                in_tree[cell] = true;
                let side = left_by[cell];
                let next = self
                    .neighbour(cell, side)
                    .expect("the walk left by this side");
                self.join(cell, side, next);
                cell = next;
            }
        }
    }

    /// Whether exactly one side is open.
    fn is_dead_end(&self, cell: usize) -> bool {
        self.open[cell].is_power_of_two()
    }

    /// Opens a share of the dead ends, preferably to a neighbouring dead end.
    fn braid(&mut self, share: f32, rng: &mut Rng) {
        if share <= 0.0 {
            return;
        }
        for cell in 0..self.open.len() {
            if !self.is_dead_end(cell) || !random_bool(share, rng) {
                continue;
            }
            let closed = |side: usize| self.open[cell] >> side & 1 == 0;
            let chosen = self
                .side_where(
                    cell,
                    |side, next| closed(side) && self.is_dead_end(next),
                    rng,
                )
                .or_else(|| self.side_where(cell, |side, _| closed(side), rng));
            if let Some((side, next)) = chosen {
                self.join(cell, side, next);
            }
        }
    }

    /// Adds the walls between cells, one box per straight run.
    fn walls(&self, arena: &Rect, thickness: f32, obstacles: &mut Vec<Obstacle>) {
        let counts = [self.columns, self.rows];
        let size = arena.size();
        let line = |axis: usize, index: usize| {
            arena.min[axis] + size[axis] * index as f32 / counts[axis] as f32
        };
        // Walls along x are at the upper sides of cells, walls along y at the right sides.
        for (axis, side) in [(0, 1), (1, 0)] {
            for across in 1..counts[1 - axis] {
                let is_wall = |along: usize| {
                    let cell = match axis {
                        0 => (across - 1) * self.columns + along,
                        _ => along * self.columns + across - 1,
                    };
                    self.open[cell] >> side & 1 == 0
                };
                let mut along = 0;
                while along < counts[axis] {
                    let first = along;
                    while along < counts[axis] && is_wall(along) {
                        along += 1;
                    }
                    if along > first {
                        // Walls extend by half their thickness, so that they cover the corners.
                        let from = line(axis, first) - thickness / 2.0;
                        let to = line(axis, along) + thickness / 2.0;
                        let at = line(1 - axis, across);
                        let from = from.max(arena.min[axis]);
                        let to = to.min(arena.max[axis]);
                        obstacles.push(wall(axis, at, from, to, thickness));
                    }
                    along += 1;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::{Purpose, Split, stream};

    fn maze(method: MazeMethod, braid: f32, episode: u64) -> Maze {
        let mut rng = stream(3, Split::Eval, 0, episode, Purpose::Layout);
        let mut maze = Maze::walled(9, 7);
        match method {
            MazeMethod::DepthFirst => maze.carve_depth_first(&mut rng),
            MazeMethod::Wilson => maze.carve_by_walks(&mut rng),
        }
        maze.braid(braid, &mut rng);
        maze
    }

    fn doors(maze: &Maze) -> u32 {
        maze.open.iter().map(|open| open.count_ones()).sum::<u32>() / 2
    }

    fn reached(maze: &Maze) -> usize {
        let mut seen = vec![false; maze.open.len()];
        let mut open = vec![0];
        while let Some(cell) = open.pop() {
            if !std::mem::replace(&mut seen[cell], true) {
                let open_sides = (0..SIDES).filter(|side| maze.open[cell] >> side & 1 == 1);
                open.extend(open_sides.map(|side| maze.neighbour(cell, side).unwrap()));
            }
        }
        seen.iter().filter(|seen| **seen).count()
    }

    #[test]
    fn a_perfect_maze_is_a_tree_and_a_braided_one_has_no_dead_ends() {
        for method in [MazeMethod::DepthFirst, MazeMethod::Wilson] {
            for episode in 0..50 {
                let perfect = maze(method, 0.0, episode);
                assert_eq!(reached(&perfect), 63, "{method:?}");
                assert_eq!(doors(&perfect), 62, "{method:?}");
                let braided = maze(method, 1.0, episode);
                assert_eq!(reached(&braided), 63);
                let dead = |maze: &Maze| (0..63).filter(|&cell| maze.is_dead_end(cell)).count();
                assert_eq!(dead(&braided), 0);
                assert!(dead(&maze(method, 0.5, episode)) < dead(&perfect));
            }
        }
    }

    #[test]
    fn depth_first_leaves_fewer_dead_ends_than_walks_do() {
        let share = |method| -> f64 {
            let dead = |episode| {
                let maze = maze(method, 0.0, episode);
                (0..63).filter(|&cell| maze.is_dead_end(cell)).count() as f64
            };
            (0..100).map(dead).sum::<f64>() / 6300.0
        };
        // About 10 % for depth-first search; 29 % for uniform spanning trees of a large grid.
        assert!(share(MazeMethod::DepthFirst) < 0.17);
        assert!(share(MazeMethod::Wilson) > 0.22);
    }
}
