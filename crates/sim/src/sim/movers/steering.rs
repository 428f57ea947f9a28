//! What several kinds of movers need to choose a velocity.

use nalgebra::{Point2, Vector2};

use crate::scenario::{Layout, Obstacle};
use crate::sim::orca::{self, HalfPlane, MovingDisc};

/// Top speed of pedestrians, as a multiple of their preferred speed (Helbing & Molnár 1995).
pub(super) const MAX_SPEED_FACTOR: f32 = 1.3;

/// The velocity nearest to `preferred` with which the body enters no wall and no obstacle within
/// `dt_secs`, so that it slides along them.
pub(super) fn avoid_obstacles(
    layout: &Layout,
    body: &MovingDisc,
    preferred: Vector2<f32>,
    dt_secs: f32,
    planes: &mut Vec<HalfPlane>,
) -> Vector2<f32> {
    let MovingDisc {
        position, radius, ..
    } = *body;
    planes.clear();
    let speed = preferred.norm();
    orca::obstacle_planes(layout, position, radius, speed, dt_secs, planes);
    if planes.is_empty() {
        return preferred;
    }
    orca::new_velocity(preferred, speed, planes, planes.len())
}

/// Static obstacles nearer to a point than `distance` metres.
pub(super) fn obstacles_near(
    layout: &Layout,
    point: Point2<f32>,
    distance: f32,
) -> impl Iterator<Item = &Obstacle> {
    layout
        .all_obstacles_near(point, distance)
        .filter(move |obstacle| obstacle.signed_distance(point) < distance)
}

/// The velocity from one point towards another at `speed`, or slower to arrive there exactly within
/// `dt_secs`.
pub(super) fn velocity_towards(
    from: Point2<f32>,
    to: Point2<f32>,
    speed: f32,
    dt_secs: f32,
) -> Vector2<f32> {
    let offset = to - from;
    let distance = offset.norm();
    if distance <= speed * dt_secs {
        offset / dt_secs
    } else {
        offset * (speed / distance)
    }
}

/// The velocity, shortened to `max_speed` if it is faster.
pub(super) fn clamp_speed(velocity: Vector2<f32>, max_speed: f32) -> Vector2<f32> {
    let speed = velocity.norm();
    if speed > max_speed {
        velocity * (max_speed / speed)
    } else {
        velocity
    }
}

/// Whether a disc of `radius` at a point has a gap of more than `margin` metres to all of `others`.
pub(super) fn is_clear_of(
    others: &[MovingDisc],
    point: Point2<f32>,
    radius: f32,
    margin: f32,
) -> bool {
    others
        .iter()
        .all(|other| (other.position - point).norm() > other.radius + radius + margin)
}
