//! Discs that move straight ahead until they reach a wall or a static obstacle.

use nalgebra::{Point2, Vector2};

use super::steering::is_clear_of;
use crate::scenario::spec::LinearEnd;
use crate::scenario::{Layout, MOVER_MARGIN, MoverPlacement};
use crate::sim::orca::MovingDisc;

/// The velocity of a disc that started at `home`. A disc that cannot move on is put back to its
/// start if `end` says so and no robot is there.
pub(super) fn linear_velocity(
    layout: &Layout,
    home: &MoverPlacement,
    end: LinearEnd,
    body: &mut MovingDisc,
    robots: &[MovingDisc],
    dt_secs: f32,
) -> Vector2<f32> {
    let radius = body.radius;
    let can_move_on = |from: Point2<f32>| layout.is_free(from + home.velocity * dt_secs, radius);
    if can_move_on(body.position) {
        return home.velocity;
    }
    if end == LinearEnd::Restart && is_clear_of(robots, home.position, radius, MOVER_MARGIN) {
        body.position = home.position;
        if can_move_on(home.position) {
            return home.velocity;
        }
    }
    Vector2::zeros()
}
