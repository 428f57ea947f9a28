//! Generators of obstacles, one kind per file. A generator adds obstacles to a layout. It does not test
//! whether a path exists: the sampler does, and draws another layout if there is none.

mod cells;
mod corridor;
mod maze;
mod rooms;
mod scatter;

use nalgebra::{Point2, Vector2};

use super::spec::GeneratorSpec;
use super::{Layout, Obstacle, Shape};
use crate::seed::Rng;

pub(super) use cells::MAX_COLUMNS;

/// Adds the obstacles of a generator to a layout whose arena is set.
///
/// The generator's own parameters are drawn from `difficulty_rng`, which is the same in every try of
/// an episode; everything else is drawn from `rng`. A layout without a path is therefore replaced by
/// one of the same difficulty, not by an easier one. `width` is the width of the robot, metres.
pub(super) fn generate(
    generator: &GeneratorSpec,
    width: f32,
    layout: &mut Layout,
    difficulty_rng: &mut Rng,
    rng: &mut Rng,
) {
    let Layout {
        arena, obstacles, ..
    } = layout;
    match generator {
        GeneratorSpec::Discs(discs) => scatter::discs(discs, arena, obstacles, rng),
        GeneratorSpec::Boxes(boxes) => scatter::boxes(boxes, arena, obstacles, rng),
        GeneratorSpec::Cells(cells) => cells::grow(cells, width, obstacles, difficulty_rng, rng),
        GeneratorSpec::Maze(maze) => maze::build(maze, arena, obstacles, difficulty_rng, rng),
        GeneratorSpec::Rooms(rooms) => rooms::build(rooms, arena, obstacles, difficulty_rng, rng),
        GeneratorSpec::Corridor(corridor) => {
            corridor::build(corridor, arena, obstacles, difficulty_rng, rng);
        }
    }
}

/// An upright box between two corners.
fn block(min: Point2<f32>, max: Point2<f32>) -> Obstacle {
    Obstacle {
        shape: Shape::Box {
            half_extents: (max - min) / 2.0,
        },
        position: nalgebra::center(&min, &max),
        axis: Vector2::x(),
    }
}

/// A wall along one axis (0: x, 1: y), from one coordinate to another. `at` is the coordinate of its
/// centre line on the other axis.
fn wall(axis: usize, at: f32, from: f32, to: f32, thickness: f32) -> Obstacle {
    let (mut min, mut max) = (Point2::origin(), Point2::origin());
    (min[axis], max[axis]) = (from, to);
    (min[1 - axis], max[1 - axis]) = (at - thickness / 2.0, at + thickness / 2.0);
    block(min, max)
}

/// Draws a number from `low` to `high`. Returns `low` if `high` is smaller.
fn uniform_between(low: f32, high: f32, rng: &mut Rng) -> f32 {
    use rand::RngExt as _;
    low + (high - low).max(0.0) * rng.random::<f32>()
}

/// Draws an index below `count`, which must be at least 1.
fn random_index_below(count: usize, rng: &mut Rng) -> usize {
    use rand::RngExt as _;
    rng.random_range(0..count as u32) as usize
}

/// Returns true with this probability.
fn random_bool(probability: f32, rng: &mut Rng) -> bool {
    use rand::RngExt as _;
    rng.random::<f32>() < probability
}

#[cfg(test)]
mod tests;
