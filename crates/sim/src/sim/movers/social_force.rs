//! Pedestrians under social forces (Helbing & Molnár, Social force model for pedestrian dynamics,
//! Phys. Rev. E 51, 1995; equations in its numbering). Attractions and fluctuations are left out.

use nalgebra::Vector2;

use super::obstacles_near;
use crate::scenario::Layout;
use crate::scenario::spec::SocialForceSpec;
use crate::sim::orca::{self, MovingDisc};

/// Forces of what is farther away are left out, as a multiple of their range: e⁻¹⁰ of them is left.
const MAX_RANGES: f32 = 10.0;

/// The acceleration of one of the bodies that would like the velocity `preferred`, metres per second
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
    // Equation 2: the wished velocity is taken up within the relaxation time.
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

/// Equations 3 and 4: away from where another is and will step next. The potential is exponential
/// (equation 13) in the half minor axis of an ellipse around both.
fn repulsion(model: &SocialForceSpec, me: &MovingDisc, other: &MovingDisc) -> Vector2<f32> {
    let range = model.range_m as f32;
    let away = me.position - other.position;
    let step = other.velocity * model.stride_secs as f32;
    let beyond = away - step;
    let (near, far) = (away.norm(), beyond.norm());
    let sum = near + far;
    let square = sum * sum - step.norm_squared();
    let minor = 0.5 * square.max(0.0).sqrt();
    if minor > MAX_RANGES * range {
        return Vector2::zeros();
    }
    // On the very line that the other is about to walk the ellipse has no width.
    let minor = minor.max(1e-3);
    let unit = |v: Vector2<f32>, length: f32| {
        if length > 1e-6 {
            v / length
        } else {
            Vector2::x()
        }
    };
    let gradient = (unit(away, near) + unit(beyond, far)) * (sum / (4.0 * minor));
    let strength = model.repulsion_m2ps2 as f32 / range * libm::expf(-minor / range);
    // Near that line the gradient grows beyond all bounds, where the force is meant to be finite.
    super::clamp_speed(gradient, 3.0) * strength
}

/// Equation 8: what is out of sight is felt less. `towards` is the direction of what is felt.
fn sight_weight(model: &SocialForceSpec, ahead: Vector2<f32>, towards: Vector2<f32>) -> f32 {
    let cos = libm::cosf((model.view_deg as f32 / 2.0).to_radians());
    if ahead.dot(&towards) >= towards.norm() * cos {
        1.0
    } else {
        model.out_of_view_weight as f32
    }
}
