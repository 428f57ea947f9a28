//! The boxes that generators build walls of.

use nalgebra::{Point2, Vector2};

use crate::scenario::{Obstacle, Shape};

/// An upright box between two corners.
pub(super) fn block(min: Point2<f32>, max: Point2<f32>) -> Obstacle {
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
pub(super) fn wall(axis: usize, at: f32, from: f32, to: f32, thickness: f32) -> Obstacle {
    let (mut min, mut max) = (Point2::origin(), Point2::origin());
    (min[axis], max[axis]) = (from, to);
    (min[1 - axis], max[1 - axis]) = (at - thickness / 2.0, at + thickness / 2.0);
    block(min, max)
}
