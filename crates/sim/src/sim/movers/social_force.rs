//! Pedestrians by the social force model (Helbing & Molnár, Social force model for pedestrian
//! dynamics, Phys. Rev. E 51, 1995, whose equation numbers are used here). Attractions and
//! fluctuations are left out.

use nalgebra::Vector2;

use super::steering::{clamp_speed, obstacles_near};
use crate::scenario::Layout;
use crate::scenario::spec::SocialForceSpec;
use crate::sim::orca::{self, MovingDisc};

/// Distance beyond which a force is ignored, as a multiple of its range: it has fallen by e⁻¹⁰.
const MAX_RANGES: f32 = 10.0;

/// Acceleration of the body `index` with the preferred velocity `preferred`, metres per second
/// squared (equation 9).
pub(super) fn force(
    model: &SocialForceSpec,
    layout: &Layout,
    bodies: &[MovingDisc],
    index: usize,
    robots: &[MovingDisc],
    preferred: Vector2<f32>,
) -> Vector2<f32> {
    let me = &bodies[index];
    let ahead = preferred.try_normalize(1e-6).unwrap_or_else(Vector2::zeros);
    // Equation 2: the velocity relaxes to the preferred one.
    let mut sum = (preferred - me.velocity) / model.relaxation_secs as f32;
    let others = bodies.iter().enumerate().filter(|(i, _)| *i != index);
    for other in others.map(|(_, other)| other).chain(robots) {
        let push = repulsion(model, me, other);
        sum += push * sight_weight(model, ahead, -push);
    }
    let range = model.wall_range_m as f32;
    let strength = model.wall_repulsion_m2ps2 as f32 / range;
    let mut wall = |distance: f32, outward: Vector2<f32>| {
        // Equation 5, with an exponential potential (equation 13).
        sum += outward * (strength * libm::expf(-distance.max(0.0) / range));
    };
    let (low, high) = (
        me.position - layout.arena.min,
        layout.arena.max - me.position,
    );
    wall(low.x, Vector2::x());
    wall(low.y, Vector2::y());
    wall(high.x, -Vector2::x());
    wall(high.y, -Vector2::y());
    for obstacle in obstacles_near(layout, me.position, MAX_RANGES * range) {
        let (distance, outward) = orca::nearest_surface(obstacle, me.position);
        wall(distance, outward);
    }
    sum
}

/// Equations 3 and 4: repulsion from another body and from where its next stride ends. The
/// potential is exponential (equation 13) in the semi-minor axis of an ellipse with these two
/// points as foci.
fn repulsion(model: &SocialForceSpec, me: &MovingDisc, other: &MovingDisc) -> Vector2<f32> {
    let range = model.range_m as f32;
    let offset = me.position - other.position;
    let stride = other.velocity * model.stride_secs as f32;
    let offset_after = offset - stride;
    let (distance, distance_after) = (offset.norm(), offset_after.norm());
    let sum = distance + distance_after;
    let square = sum * sum - stride.norm_squared();
    let minor = 0.5 * square.max(0.0).sqrt();
    if minor > MAX_RANGES * range {
        return Vector2::zeros();
    }
    // On the line of the stride the ellipse has no width.
    let minor = minor.max(1e-3);
    let unit = |v: Vector2<f32>, length: f32| {
        if length > 1e-6 {
            v / length
        } else {
            Vector2::x()
        }
    };
    let gradient =
        (unit(offset, distance) + unit(offset_after, distance_after)) * (sum / (4.0 * minor));
    let strength = model.repulsion_m2ps2 as f32 / range * libm::expf(-minor / range);
    // Near that line the gradient is unbounded, but the force must be finite.
    clamp_speed(gradient, 3.0) * strength
}

/// Equation 8: forces from outside the field of view are weaker. `towards` points to their source.
fn sight_weight(model: &SocialForceSpec, ahead: Vector2<f32>, towards: Vector2<f32>) -> f32 {
    let cos = libm::cosf((model.view_deg as f32 / 2.0).to_radians());
    if ahead.dot(&towards) >= towards.norm() * cos {
        1.0
    } else {
        model.out_of_view_weight as f32
    }
}
