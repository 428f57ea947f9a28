//! Discs that travel straight on until something stands in their way.

use nalgebra::{Point2, Vector2};

use super::clear_of;
use crate::scenario::spec::LinearEnd;
use crate::scenario::{Layout, MOVER_MARGIN, MoverPlacement};
use crate::sim::orca::MovingDisc;

/// The velocity with which a disc goes on that began at `home`; where it may start again, it is
/// put there.
pub(super) fn linear_velocity(
    layout: &Layout,
    home: &MoverPlacement,
    end: LinearEnd,
    body: &mut MovingDisc,
    robots: &[MovingDisc],
    dt_secs: f32,
) -> Vector2<f32> {
    let radius = body.radius;
    let can_go_on = |from: Point2<f32>| layout.is_free(from + home.velocity * dt_secs, radius);
    if can_go_on(body.position) {
        return home.velocity;
    }
    if end == LinearEnd::Restart && clear_of(robots, home.position, radius, MOVER_MARGIN) {
        body.position = home.position;
        if can_go_on(home.position) {
            return home.velocity;
        }
    }
    Vector2::zeros()
}
