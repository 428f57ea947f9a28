//! Tests whether a path exists: a grid of bits, stored as words, and a flood fill that processes whole
//! words. The test is conservative: a path that it finds exists among the exact shapes, but it may
//! miss a gap that is hardly wider than the robot.

use std::sync::Arc;

use nalgebra::{Point2, Vector2};

use super::{Layout, Map, Obstacle, Rect, Shape};

/// Side of a cell, metres.
pub(crate) const CELL_SIZE: f32 = 0.1;

/// A straight axis-aligned passage that is this much wider than the robot is always found, metres.
/// Half a cell is added on either side, and every passage of one cell contains a row of cell centres.
pub(crate) const PASSAGE_MARGIN: f32 = 2.0 * CELL_SIZE;

/// The free cells of a layout, and those that are reachable from a point.
#[derive(Clone, Debug, Default)]
pub(crate) struct FloodGrid {
    origin: Point2<f32>,
    columns: usize,
    rows: usize,
    /// Words per row.
    stride: usize,
    /// `[rows][stride]`: a bit is set if the robot's centre may be in the cell.
    free: Vec<u64>,
    /// `[rows][stride]`: the cells that the last fill reached. Empty after the cells have changed.
    reached: Vec<u64>,
    /// The map, the room and the radius of the marked cells, if the map has all obstacles. The next
    /// episode then reuses the marked cells.
    rasterized_map: Option<(Arc<Map>, Rect, f32)>,
}

impl FloodGrid {
    /// Marks the cells where the centre of a disc of `radius` may be. A cell is free if the disc at
    /// its centre has half a cell of clearance. Then the disc also fits on the way to a free
    /// neighbour, because the clearance changes by at most the distance moved.
    pub(crate) fn rasterize(&mut self, layout: &Layout, radius: f32) {
        let Layout { arena, map, .. } = layout;
        if let (Some((old, room, old_radius)), Some(map)) = (&self.rasterized_map, map)
            && Arc::ptr_eq(old, map)
            && layout.obstacles.is_empty()
            && (room, *old_radius) == (arena, radius)
        {
            return;
        }
        let inflate = self.reset_arena(*arena, radius);
        for obstacle in layout.all_obstacles() {
            self.block(obstacle, inflate);
        }
        let only_map = map.as_ref().filter(|_| layout.obstacles.is_empty());
        self.rasterized_map = only_map.map(|map| (map.clone(), *arena, radius));
    }

    /// Marks the cells where the centre of a disc of `radius` may be among points and the walls of
    /// the arena.
    pub(crate) fn rasterize_points(
        &mut self,
        arena: Rect,
        points: impl Iterator<Item = Point2<f32>>,
        radius: f32,
    ) {
        let inflate = self.reset_arena(arena, radius);
        for point in points {
            self.block_convex(&[point], inflate);
        }
    }

    /// Marks an empty arena. Returns the distance from obstacles within which cells are blocked, metres.
    fn reset_arena(&mut self, arena: Rect, radius: f32) -> f32 {
        self.rasterized_map = None;
        self.reached.clear();
        let inflate = radius + CELL_SIZE / 2.0;
        let size = arena.size();
        self.origin = arena.min;
        self.columns = ((size.x / CELL_SIZE) as usize).max(1);
        self.rows = ((size.y / CELL_SIZE) as usize).max(1);
        self.stride = self.columns.div_ceil(64);
        self.free.clear();
        self.free.resize(self.rows * self.stride, 0);
        let inner = Interval {
            low: arena.min.x + inflate,
            high: arena.max.x - inflate,
        };
        for row in 0..self.rows {
            let y = self.row_y(row);
            if y - arena.min.y >= inflate && arena.max.y - y >= inflate {
                self.set(row, inner, true);
            }
        }
        inflate
    }

    /// Whether `to` is reachable from `from`. Each point is moved to the nearest free cell centre
    /// within a cell's diagonal. False if there is none.
    pub(crate) fn is_reachable(&mut self, from: Point2<f32>, to: Point2<f32>) -> bool {
        let (Some(start), Some(end)) = (self.nearest_free_cell(from), self.nearest_free_cell(to))
        else {
            return false;
        };
        let target = end.1 * self.stride + end.0 / 64;
        let bit = 1_u64 << (end.0 % 64);
        let is_reached = |reached: &[u64], (column, row): (usize, usize)| {
            reached
                .get(row * self.stride + column / 64)
                .is_some_and(|word| word >> (column % 64) & 1 == 1)
        };
        // All cells of a fill are reachable from each other. A fill may have stopped early, so that
        // cells which it did not reach may be reachable too.
        if is_reached(&self.reached, start) && is_reached(&self.reached, end) {
            return true;
        }
        self.reached.clear();
        self.reached.resize(self.free.len(), 0);
        self.reached[start.1 * self.stride + start.0 / 64] |= 1 << (start.0 % 64);
        loop {
            let mut grew = self.spread_row(start.1, None);
            for row in start.1 + 1..self.rows {
                grew |= self.spread_row(row, Some(row - 1));
            }
            for row in (0..self.rows - 1).rev() {
                grew |= self.spread_row(row, Some(row + 1));
            }
            for row in 1..self.rows {
                grew |= self.spread_row(row, Some(row - 1));
            }
            if self.reached[target] & bit != 0 {
                return true;
            }
            if !grew {
                return false;
            }
        }
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.columns, self.rows)
    }

    /// Writes `free` or `taken` for each cell of a row, from its first column on.
    pub(crate) fn write_row<T: Copy>(&self, row: usize, cells: &mut [T], free: T, taken: T) {
        let words = &self.free[row * self.stride..][..self.stride];
        for (word, cells) in words.iter().zip(cells.chunks_mut(64)) {
            for (bit, cell) in cells.iter_mut().enumerate() {
                *cell = if word >> bit & 1 == 1 { free } else { taken };
            }
        }
    }

    /// Whether the robot's centre may be at the centre of a cell.
    fn is_free(&self, column: usize, row: usize) -> bool {
        self.free[row * self.stride + column / 64] >> (column % 64) & 1 == 1
    }

    /// The centre of a cell, metres.
    pub(crate) fn center(&self, (column, row): (usize, usize)) -> Point2<f32> {
        Point2::new(
            self.origin.x + (column as f32 + 0.5) * CELL_SIZE,
            self.row_y(row),
        )
    }

    /// The cell that contains a point, or the nearest cell. It may be blocked.
    pub(crate) fn nearest_cell(&self, point: Point2<f32>) -> (usize, usize) {
        let cell = (point - self.origin) / CELL_SIZE;
        let within = |value: f32, count: usize| (value.max(0.0) as usize).min(count - 1);
        (within(cell.x, self.columns), within(cell.y, self.rows))
    }

    fn row_y(&self, row: usize) -> f32 {
        self.origin.y + (row as f32 + 0.5) * CELL_SIZE
    }

    /// The nearest free cell within a cell's diagonal of a point: column and row.
    pub(crate) fn nearest_free_cell(&self, point: Point2<f32>) -> Option<(usize, usize)> {
        let cell = (point - self.origin) / CELL_SIZE;
        let near = |value: f32, count: usize| {
            let middle = value as isize;
            (middle - 1..=middle + 1).filter(move |i| (0..count as isize).contains(i))
        };
        let mut best = None;
        for row in near(cell.y, self.rows) {
            for column in near(cell.x, self.columns) {
                let (column, row) = (column as usize, row as usize);
                if !self.is_free(column, row) {
                    continue;
                }
                let offset = Vector2::new(cell.x - column as f32 - 0.5, cell.y - row as f32 - 0.5);
                let distance = offset.norm_squared();
                if distance <= 2.0 && best.is_none_or(|(nearest, _)| distance < nearest) {
                    best = Some((distance, (column, row)));
                }
            }
        }
        best.map(|(_, cell)| cell)
    }

    /// Copies the reached cells of the row `from`, then fills free runs sideways. True if the row
    /// changed.
    fn spread_row(&mut self, row: usize, from: Option<usize>) -> bool {
        let mut grew = false;
        let first = row * self.stride;
        if let Some(from) = from {
            for word in 0..self.stride {
                let reached = self.reached[from * self.stride + word] & self.free[first + word];
                grew |= reached & !self.reached[first + word] != 0;
                self.reached[first + word] |= reached;
            }
        }
        // From low to high words, then back. The carry is the border bit of the previous word.
        let mut carry = 0;
        for word in first..first + self.stride {
            let filled = fill_up(
                self.reached[word] | (carry & self.free[word]),
                self.free[word],
            );
            grew |= filled != self.reached[word];
            self.reached[word] = filled;
            carry = filled >> 63;
        }
        let mut carry = 0;
        for word in (first..first + self.stride).rev() {
            let filled = fill_down(
                self.reached[word] | (carry & self.free[word]),
                self.free[word],
            );
            grew |= filled != self.reached[word];
            self.reached[word] = filled;
            carry = filled << 63;
        }
        grew
    }

    /// Sets or clears the cells of a row whose centres are within the span.
    fn set(&mut self, row: usize, span: Interval, value: bool) {
        let low = ((span.low - self.origin.x) / CELL_SIZE - 0.5)
            .ceil()
            .max(0.0) as usize;
        let high = ((span.high - self.origin.x) / CELL_SIZE - 0.5).floor();
        if high < 0.0 {
            return;
        }
        let high = (high as usize).min(self.columns - 1);
        if low > high {
            return;
        }
        for word in low / 64..=high / 64 {
            let from = low.saturating_sub(word * 64).min(63);
            let to = (high - word * 64).min(63);
            let mask = (u64::MAX << from) & (u64::MAX >> (63 - to));
            let cell = &mut self.free[row * self.stride + word];
            *cell = if value { *cell | mask } else { *cell & !mask };
        }
    }

    /// Blocks the cells within `inflate` metres of an obstacle.
    fn block(&mut self, obstacle: &Obstacle, inflate: f32) {
        let center = obstacle.position;
        match &obstacle.shape {
            Shape::Disc { radius } => self.block_convex(&[center], radius + inflate),
            Shape::Box { half_extents: h } => {
                let corner = |x, y| obstacle.to_world(Vector2::new(x, y));
                let corners = [
                    corner(h.x, h.y),
                    corner(-h.x, h.y),
                    corner(-h.x, -h.y),
                    corner(h.x, -h.y),
                ];
                self.block_convex(&corners, inflate);
            }
            Shape::Segment { half } => {
                let ends = [obstacle.to_world(*half), obstacle.to_world(-half)];
                self.block_convex(&ends, inflate);
            }
            Shape::Polygon { vertices } => {
                let corners: Vec<_> = vertices.iter().map(|v| obstacle.to_world(*v)).collect();
                self.block_convex(&corners, inflate);
            }
        }
    }

    /// Blocks every cell whose centre is within `reach` of a convex polygon.
    fn block_convex(&mut self, corners: &[Point2<f32>], reach: f32) {
        let low = corners.iter().map(|c| c.y).fold(f32::INFINITY, f32::min) - reach;
        let high = corners
            .iter()
            .map(|c| c.y)
            .fold(f32::NEG_INFINITY, f32::max)
            + reach;
        let first = ((low - self.origin.y) / CELL_SIZE - 0.5).ceil().max(0.0) as usize;
        let last = ((high - self.origin.y) / CELL_SIZE - 0.5).floor();
        if last < 0.0 {
            return;
        }
        for row in first..=(last as usize).min(self.rows - 1) {
            let y = self.row_y(row);
            let mut span = Interval::EMPTY;
            for (i, corner) in corners.iter().enumerate() {
                span.add_disc(*corner, reach, y);
                if corners.len() > 1 {
                    span.add_edge(*corner, corners[(i + 1) % corners.len()], reach, y);
                }
            }
            if span.low <= span.high {
                self.set(row, span, false);
            }
        }
    }
}

/// An interval on the x axis, metres.
#[derive(Clone, Copy, Debug)]
struct Interval {
    low: f32,
    high: f32,
}

impl Interval {
    const EMPTY: Self = Self {
        low: f32::INFINITY,
        high: f32::NEG_INFINITY,
    };

    fn add(&mut self, x: f32) {
        self.low = self.low.min(x);
        self.high = self.high.max(x);
    }

    /// Adds the chord of a disc at height y.
    fn add_disc(&mut self, center: Point2<f32>, radius: f32, y: f32) {
        let dy = y - center.y;
        let square = radius * radius - dy * dy;
        if square >= 0.0 {
            let half = square.sqrt();
            self.add(center.x - half);
            self.add(center.x + half);
        }
    }

    /// Adds the points where the two parallels of an edge at distance `reach` cross height y.
    fn add_edge(&mut self, a: Point2<f32>, b: Point2<f32>, reach: f32, y: f32) {
        let edge = b - a;
        let length = edge.norm();
        if edge.y == 0.0 || length == 0.0 {
            return;
        }
        let normal = Vector2::new(edge.y, -edge.x) * (reach / length);
        for side in [normal, -normal] {
            let share = (y - a.y - side.y) / edge.y;
            if (0.0..=1.0).contains(&share) {
                self.add(a.x + side.x + share * edge.x);
            }
        }
    }
}

/// Fills free runs from every seed towards higher bits (a Kogge–Stone prefix network).
fn fill_up(mut seed: u64, mut free: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        seed |= free & (seed << shift);
        free &= free << shift;
    }
    seed
}

/// Fills free runs from every seed towards lower bits.
fn fill_down(mut seed: u64, mut free: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        seed |= free & (seed >> shift);
        free &= free >> shift;
    }
    seed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wall(x: f32, from: f32, to: f32) -> Obstacle {
        Obstacle {
            shape: Shape::Segment {
                half: Vector2::new(0.0, (to - from) / 2.0),
            },
            position: Point2::new(x, f32::midpoint(from, to)),
            axis: Vector2::new(1.0, 0.0),
        }
    }

    fn room(width: f32, height: f32, obstacles: &[Obstacle]) -> Layout {
        Layout {
            arena: Rect {
                min: Point2::origin(),
                max: Point2::new(width, height),
            },
            obstacles: obstacles.to_vec(),
            ..Layout::default()
        }
    }

    #[test]
    fn a_wall_separates_the_room_and_a_door_joins_it() {
        let (left, right) = (Point2::new(1.0, 5.0), Point2::new(9.0, 5.0));
        let mut grid = FloodGrid::default();
        grid.rasterize(&room(10.0, 10.0, &[wall(5.0, 0.0, 10.0)]), 0.2);
        assert!(!grid.is_reachable(left, right));
        grid.rasterize(&room(10.0, 10.0, &[wall(5.0, 0.0, 9.3)]), 0.2);
        assert!(
            grid.is_reachable(left, right),
            "a door of 0.7 m for a robot of 0.4 m"
        );
        grid.rasterize(&room(10.0, 10.0, &[wall(5.0, 0.0, 9.65)]), 0.2);
        assert!(!grid.is_reachable(left, right), "a door of 0.35 m");
    }

    #[test]
    fn the_end_of_a_winding_corridor_is_reachable() {
        let mut walls = Vec::new();
        for i in 1..9 {
            let (from, to) = if i % 2 == 0 { (0.0, 9.0) } else { (1.0, 10.0) };
            walls.push(wall(i as f32 * 2.0, from, to));
        }
        let mut grid = FloodGrid::default();
        grid.rasterize(&room(18.0, 10.0, &walls), 0.2);
        assert!(grid.is_reachable(Point2::new(1.0, 9.0), Point2::new(17.0, 1.0)));
    }

    /// Checks that a cell is blocked if and only if its centre is too near to the obstacle.
    fn agrees_with_distances(obstacle: &Obstacle, distance: impl Fn(Point2<f32>) -> f32) {
        let mut grid = FloodGrid::default();
        grid.rasterize(&room(7.0, 5.0, std::slice::from_ref(obstacle)), 0.2);
        for row in 0..grid.rows {
            for column in 0..grid.columns {
                let x = (column as f32 + 0.5) * CELL_SIZE;
                let center = Point2::new(x, grid.row_y(row));
                let wall = x.min(7.0 - x).min(center.y).min(5.0 - center.y);
                let clearance = distance(center).min(wall) - 0.25;
                let free = grid.free[row * grid.stride + column / 64] >> (column % 64) & 1 == 1;
                if clearance.abs() > 1e-4 {
                    assert_eq!(
                        free,
                        clearance > 0.0,
                        "{center:?} has a clearance of {clearance} m"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn discs_and_boxes_block_the_cells_near_them(
            x in 0.0..7.0_f32, y in 0.0..5.0_f32, a in 0.05..1.0_f32, b in 0.05..1.0_f32,
            yaw in 0.0..6.3_f32,
        ) {
            let position = Point2::new(x, y);
            let axis = Vector2::new(libm::cosf(yaw), libm::sinf(yaw));
            let disc = Obstacle { shape: Shape::Disc { radius: a }, position, axis };
            agrees_with_distances(&disc, |p| (p - position).norm() - a);
            let half_extents = Vector2::new(a, b);
            let rectangle = Obstacle { shape: Shape::Box { half_extents }, position, axis };
            agrees_with_distances(&rectangle, |p| {
                let q = rectangle.to_local(p).abs() - half_extents;
                Vector2::new(q.x.max(0.0), q.y.max(0.0)).norm() + q.x.max(q.y).min(0.0)
            });
        }
    }
}
