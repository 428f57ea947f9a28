//! Discs that move from point to point of a closed route.

use nalgebra::{Point2, Vector2};

use super::steering;

/// A point counts as reached within this distance, metres.
const POINT_TOLERANCE_M: f32 = 1e-3;

/// The velocity towards the next point of a closed route. Advances `next` when the point is
/// reached.
pub(super) fn velocity_towards(
    route: &[Point2<f32>],
    next: &mut usize,
    position: Point2<f32>,
    speed: f32,
    dt_secs: f32,
) -> Vector2<f32> {
    if (route[*next] - position).norm() <= POINT_TOLERANCE_M {
        *next = (*next + 1) % route.len();
    }
    steering::velocity_towards(position, route[*next], speed, dt_secs)
}
