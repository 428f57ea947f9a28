//! Random points and free positions in a layout.

use nalgebra::{Point2, Vector2};
use rand::RngExt as _;

use super::layout::Layout;
use super::quantity::Quantity;
use super::spec::PositionSpec;
use crate::seed::Rng;

/// Positions that are tried for one start, goal or mover in a layout.
pub(super) const MAX_POSITION_TRIES: u32 = 50;

/// Free space around a start or a goal, beyond the robot's radius, metres. It prevents episodes that
/// start in contact.
pub(super) const POSITION_MARGIN: f32 = 0.05;

/// The free space of a layout.
pub(super) struct FreeSpace<'a> {
    pub(super) layout: &'a Layout,
    /// Distance from a position to walls and obstacles, metres.
    pub(super) margin: f32,
}

impl FreeSpace<'_> {
    /// Draws positions until one is free and accepted, at most [`MAX_POSITION_TRIES`] times.
    pub(super) fn sample_position(
        &self,
        spec: &PositionSpec,
        rng: &mut Rng,
        accept: impl Fn(Point2<f32>) -> bool,
    ) -> Option<Point2<f32>> {
        (0..MAX_POSITION_TRIES)
            .map(|_| self.sample_once(spec, rng))
            .find(|&point| accept(point) && self.is_free(point))
    }

    fn sample_once(&self, spec: &PositionSpec, rng: &mut Rng) -> Point2<f32> {
        let arena = self.layout.arena;
        let corner = |[x, y]: [f64; 2]| Point2::new(x as f32, y as f32);
        match spec {
            PositionSpec::Anywhere => uniform_in(arena.min, arena.max, rng),
            PositionSpec::Region(region) => {
                uniform_in(corner(region.min_m), corner(region.max_m), rng)
            }
            PositionSpec::At(point) => sample_point(&point.position_m, rng),
            PositionSpec::OneOf(alternatives) => {
                self.sample_once(&alternatives[random_index(alternatives.len(), rng)], rng)
            }
        }
    }

    /// Whether a position keeps the margin.
    pub(super) fn is_free(&self, point: Point2<f32>) -> bool {
        self.layout.is_free(point, self.margin)
    }
}

/// Draws both coordinates of a point, metres.
pub(super) fn sample_point(point: &[Quantity; 2], rng: &mut Rng) -> Point2<f32> {
    let x = point[0].sample(rng) as f32;
    Point2::new(x, point[1].sample(rng) as f32)
}

/// The unit vector of an angle: (cos yaw, sin yaw).
pub(super) fn axis_of(yaw_rad: f32) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(yaw_rad);
    Vector2::new(cos, sin)
}

/// Draws a point in an upright rectangle.
pub(super) fn uniform_in(min: Point2<f32>, max: Point2<f32>, rng: &mut Rng) -> Point2<f32> {
    let x = min.x + (max.x - min.x) * rng.random::<f32>();
    Point2::new(x, min.y + (max.y - min.y) * rng.random::<f32>())
}

/// Draws an index below `count`. A count of 1 draws nothing from the stream.
pub(super) fn random_index(count: usize, rng: &mut Rng) -> usize {
    match count as u32 {
        0 | 1 => 0,
        count => rng.random_range(0..count) as usize,
    }
}
