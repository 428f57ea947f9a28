//! Shapes in blocks of eight lanes (a struct of arrays), laid out so that the compiler turns each
//! loop over the lanes into a few vector instructions.

use nalgebra::{Point2, Vector2};

use crate::scenario::{Obstacle, Shape};

/// Lanes of one block.
pub(crate) const LANES: usize = 8;

/// Eight numbers that are processed together.
pub(crate) type F32x8 = [f32; LANES];

/// Coordinate of unused lanes, metres: beyond the range of any lidar.
pub(crate) const FAR: f32 = 1.0e6;

/// Eight discs.
#[derive(Clone, Debug)]
pub(crate) struct DiscBlock {
    pub(crate) x: F32x8,
    pub(crate) y: F32x8,
    pub(crate) radius: F32x8,
}

impl DiscBlock {
    pub(crate) const EMPTY: Self = Self {
        x: [FAR; LANES],
        y: [FAR; LANES],
        radius: [0.0; LANES],
    };

    pub(crate) fn put(&mut self, lane: usize, center: Point2<f32>, radius: f32) {
        self.x[lane] = center.x;
        self.y[lane] = center.y;
        self.radius[lane] = radius;
    }

    /// Puts an obstacle, if it is a disc.
    pub(crate) fn put_obstacle(&mut self, lane: usize, obstacle: &Obstacle) {
        if let Shape::Disc { radius } = obstacle.shape {
            self.put(lane, obstacle.position, radius);
        }
    }
}

/// Eight boxes. A segment is a box without height.
#[derive(Clone, Debug)]
pub(crate) struct BoxBlock {
    pub(crate) x: F32x8,
    pub(crate) y: F32x8,
    /// Cosine and sine of the yaw.
    pub(crate) axis_x: F32x8,
    pub(crate) axis_y: F32x8,
    pub(crate) half_x: F32x8,
    pub(crate) half_y: F32x8,
    /// Radius of the enclosing circle.
    pub(crate) bound: F32x8,
}

impl BoxBlock {
    pub(crate) const EMPTY: Self = Self {
        x: [FAR; LANES],
        y: [FAR; LANES],
        axis_x: [1.0; LANES],
        axis_y: [0.0; LANES],
        half_x: [0.0; LANES],
        half_y: [0.0; LANES],
        bound: [0.0; LANES],
    };

    pub(crate) fn put(
        &mut self,
        lane: usize,
        center: Point2<f32>,
        axis: Vector2<f32>,
        half: Vector2<f32>,
    ) {
        self.x[lane] = center.x;
        self.y[lane] = center.y;
        self.axis_x[lane] = axis.x;
        self.axis_y[lane] = axis.y;
        self.half_x[lane] = half.x;
        self.half_y[lane] = half.y;
        self.bound[lane] = half.norm();
    }

    /// Puts an obstacle, if it is a box.
    pub(crate) fn put_obstacle(&mut self, lane: usize, obstacle: &Obstacle) {
        if let Shape::Box { half_extents } = obstacle.shape {
            self.put(lane, obstacle.position, obstacle.axis, half_extents);
        }
    }
}
