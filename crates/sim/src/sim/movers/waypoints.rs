//! Discs that go from point to point.

use nalgebra::{Point2, Vector2};

/// A point counts as reached within this distance, metres.
const REACHED: f32 = 1e-3;

/// The velocity towards the next point of a round route; `next` moves on where it is reached.
pub(super) fn towards(
    route: &[Point2<f32>],
    next: &mut usize,
    position: Point2<f32>,
    speed: f32,
    dt_secs: f32,
) -> Vector2<f32> {
    if (route[*next] - position).norm() <= REACHED {
        *next = (*next + 1) % route.len();
    }
    super::towards(position, route[*next], speed, dt_secs)
}
