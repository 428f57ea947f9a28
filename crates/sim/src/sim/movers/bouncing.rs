//! Discs that move straight ahead and bounce off walls and static obstacles.

use nalgebra::{Point2, Vector2};

use crate::scenario::Layout;
use crate::sim::orca::MovingDisc;

/// The velocity of a mover for the next step: reflected at each surface that it would enter within
/// `dt_secs`, at the same speed.
pub(super) fn bounce(layout: &Layout, body: &MovingDisc, dt_secs: f32) -> Vector2<f32> {
    let MovingDisc {
        position,
        mut velocity,
        radius,
    } = *body;
    let next = position + velocity * dt_secs;
    let (min, max) = (layout.arena.min, layout.arena.max);
    if next.x < min.x + radius {
        velocity.x = velocity.x.abs();
    } else if next.x > max.x - radius {
        velocity.x = -velocity.x.abs();
    }
    if next.y < min.y + radius {
        velocity.y = velocity.y.abs();
    } else if next.y > max.y - radius {
        velocity.y = -velocity.y.abs();
    }
    // Reflections do not change the speed, so no obstacle farther away can be entered.
    let reach = radius + velocity.norm() * dt_secs + 1e-3;
    for obstacle in layout.all_obstacles_near(position, reach) {
        if obstacle.signed_distance(position + velocity * dt_secs) < radius {
            let normal = outward(|p| obstacle.signed_distance(p), position);
            let inward = velocity.dot(&normal);
            if inward < 0.0 {
                velocity -= normal * (2.0 * inward);
            }
        }
    }
    velocity
}

/// Unit vector of the gradient of a distance, by central differences.
fn outward(distance: impl Fn(Point2<f32>) -> f32, at: Point2<f32>) -> Vector2<f32> {
    const H: f32 = 1e-2;
    let along = |step: Vector2<f32>| distance(at + step) - distance(at - step);
    let gradient = Vector2::new(along(Vector2::new(H, 0.0)), along(Vector2::new(0.0, H)));
    gradient
        .try_normalize(1e-9)
        .unwrap_or_else(|| Vector2::new(1.0, 0.0))
}
