//! Worlds that are made anew for every episode, one family a file. Each adds what stands to a
//! layout; whether the robot can get from its start to its goal is for the sampler to see, which
//! asks for another layout where it cannot.

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

/// Adds what a generator makes to the layout, whose room is known.
///
/// How hard the world is to be (its numbers, as far as they are ranges) is drawn from `difficulty_rng`,
/// which is the same in every attempt at an episode; what it looks like from `rng`. So those of
/// the hard worlds that turn out to have no path are replaced by equally hard ones, rather than by
/// easy ones. `width` is that of the widest robot, metres.
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

/// An upright rectangle between two corners that stands in the way.
fn block(min: Point2<f32>, max: Point2<f32>) -> Obstacle {
    Obstacle {
        shape: Shape::Box {
            half_extents: (max - min) / 2.0,
        },
        position: nalgebra::center(&min, &max),
        axis: Vector2::x(),
    }
}

/// A wall of some thickness that goes along one axis (0: x, 1: y) from one place on it to another,
/// with its middle at a place on the other axis.
fn wall(axis: usize, at: f32, from: f32, to: f32, thickness: f32) -> Obstacle {
    let (mut min, mut max) = (Point2::origin(), Point2::origin());
    (min[axis], max[axis]) = (from, to);
    (min[1 - axis], max[1 - axis]) = (at - thickness / 2.0, at + thickness / 2.0);
    block(min, max)
}

/// A number between two others; the smaller where they are the wrong way about.
fn uniform_between(low: f32, high: f32, rng: &mut Rng) -> f32 {
    use rand::RngExt as _;
    low + (high - low).max(0.0) * rng.random::<f32>()
}

/// A whole number below `count`, which is at least 1.
fn random_index_below(count: usize, rng: &mut Rng) -> usize {
    use rand::RngExt as _;
    rng.random_range(0..count as u32) as usize
}

/// True with this probability.
fn random_bool(probability: f32, rng: &mut Rng) -> bool {
    use rand::RngExt as _;
    rng.random::<f32>() < probability
}

#[cfg(test)]
mod tests;
