//! Free lengths of arcs for a robot that is covered by discs. Everything is in the robot's frame: x
//! ahead, y to the left, metres.

use std::f32::consts::TAU;

use nalgebra::Vector2;

/// Arcs with less curvature are treated as lines, 1/m.
const MIN_CURVATURE: f32 = 1e-3;

/// A disc that covers a part of the robot, metres.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FootprintDisc {
    pub(super) centre: Vector2<f32>,
    pub(super) radius: f32,
}

/// Length of an arc that the robot can drive before a disc touches a point, up to `max`, metres.
/// The curvature, 1/m, is positive to the left. A point that a disc overlaps already ends the arc
/// only if the disc would get nearer to it.
pub(super) fn free_arc_length(
    points: impl Iterator<Item = Vector2<f32>>,
    discs: &[FootprintDisc],
    curvature: f32,
    max: f32,
) -> f32 {
    let turn_radius = if curvature.abs() < MIN_CURVATURE {
        None
    } else {
        Some(1.0 / curvature.abs())
    };
    let side = 1.0_f32.copysign(curvature);
    let arc_lengths = points.map(|point| match turn_radius {
        None => min_over(discs, |disc| {
            distance_on_line(point - disc.centre, disc.radius)
        }),
        Some(radius) => radius * free_angle(point, discs, radius, side),
    });
    arc_lengths.fold(max, f32::min)
}

/// Angle that the robot can turn in place before a disc touches a point, up to `max`, radians. It
/// turns to the left for a `side` of 1, to the right for -1.
pub(super) fn free_turn(
    points: impl Iterator<Item = Vector2<f32>>,
    discs: &[FootprintDisc],
    side: f32,
    max: f32,
) -> f32 {
    let angles = points.map(|point| free_angle(point, discs, 0.0, side));
    angles.fold(max, f32::min)
}

/// The smallest of a length over the discs.
fn min_over(discs: &[FootprintDisc], arc_length: impl Fn(&FootprintDisc) -> f32) -> f32 {
    discs.iter().map(arc_length).fold(f32::INFINITY, f32::min)
}

/// Angle that the robot can turn around the point that is `turn_radius` metres to its side before a
/// disc touches `point`, radians.
fn free_angle(point: Vector2<f32>, discs: &[FootprintDisc], turn_radius: f32, side: f32) -> f32 {
    let from_centre = |p: Vector2<f32>| Vector2::new(p.x, side * p.y - turn_radius);
    let point = from_centre(point);
    min_over(discs, |disc| {
        angle_on_circle(point, from_centre(disc.centre), disc.radius)
    })
}

/// Distance that a disc at the origin moves ahead before it touches a point, metres.
fn distance_on_line(point: Vector2<f32>, radius: f32) -> f32 {
    if point.x < 0.0 || point.y.abs() >= radius {
        return f32::INFINITY;
    }
    (point.x - (radius * radius - point.y * point.y).sqrt()).max(0.0)
}

/// Angle that a disc moves around the origin, to the left, before it touches a point, radians.
fn angle_on_circle(point: Vector2<f32>, disc: Vector2<f32>, radius: f32) -> f32 {
    let (distance, turn) = (point.norm(), disc.norm());
    if (distance - turn).abs() >= radius || turn == 0.0 {
        return f32::INFINITY;
    }
    let mut to_point = libm::atan2f(disc.perp(&point), disc.dot(&point));
    if (point - disc).norm_squared() < radius * radius {
        return if to_point > 0.0 { 0.0 } else { f32::INFINITY };
    }
    // The law of cosines in the triangle of the origin, the point, and the disc when it touches.
    let cos = (turn * turn + distance * distance - radius * radius) / (2.0 * turn * distance);
    let between = libm::acosf(cos.clamp(-1.0, 1.0));
    if to_point < 0.0 {
        to_point += TAU;
    }
    (to_point - between).max(0.0)
}

/// End of an arc from the origin with a length, metres, and a turn, radians.
pub(super) fn end(length: f32, turn: f32) -> Vector2<f32> {
    let (sin, cos) = libm::sincosf(0.5 * turn);
    let chord = if turn.abs() < 1e-3 {
        length
    } else {
        length * sin / (0.5 * turn)
    };
    Vector2::new(cos, sin) * chord
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn round(radius: f32) -> [FootprintDisc; 1] {
        let centre = Vector2::zeros();
        [FootprintDisc { centre, radius }]
    }

    #[test]
    fn arc_lengths_match_values_computed_by_hand() {
        let ahead = [Vector2::new(2.0, 0.0)];
        let arc_length = free_arc_length(ahead.into_iter(), &round(0.5), 0.0, 9.0);
        assert!((arc_length - 1.5).abs() < 1e-6, "{arc_length}");
        assert!(
            (free_arc_length(ahead.into_iter(), &round(0.5), 0.0, 1.0) - 1.0).abs() < 1e-6,
            "no more than the maximum"
        );
        assert!(
            (free_arc_length([Vector2::new(-1.0, 0.0)].into_iter(), &round(0.5), 0.0, 9.0) - 9.0)
                .abs()
                < 1e-6,
            "behind"
        );
        // Half a circle of radius 1 m ends at (0, 2); a disc of 0.5 m touches a point there
        // 2 · asin(1/4) earlier.
        let left = [Vector2::new(0.0, 2.0)];
        let expected = std::f32::consts::PI - 2.0 * libm::asinf(0.25);
        assert!((free_arc_length(left.into_iter(), &round(0.5), 1.0, 9.0) - expected).abs() < 1e-5);
        assert!(
            (free_arc_length(left.into_iter(), &round(0.5), -1.0, 9.0) - 9.0).abs() < 1e-6,
            "turns to the other side"
        );
        let quarter = end(std::f32::consts::FRAC_PI_2, std::f32::consts::FRAC_PI_2);
        assert!((quarter - Vector2::new(1.0, 1.0)).norm() < 1e-6);
    }

    /// Whether a robot at the end of an arc overlaps a point.
    fn touches(
        arc_length: f32,
        turned: f32,
        discs: &[FootprintDisc],
        points: &[Vector2<f32>],
    ) -> bool {
        let (sin, cos) = libm::sincosf(turned);
        discs.iter().any(|disc| {
            let c = disc.centre;
            let centre = end(arc_length, turned)
                + Vector2::new(cos * c.x - sin * c.y, sin * c.x + cos * c.y);
            points
                .iter()
                .any(|point| (point - centre).norm() < disc.radius)
        })
    }

    proptest! {
        #[test]
        fn arc_lengths_match_a_simulation_in_small_steps(
            points in prop::collection::vec((-3.0_f32..3.0, -3.0_f32..3.0), 1..6),
            radius in 0.1_f32..0.5,
            ahead in 0.0_f32..0.4,
            curvature in -4.0_f32..4.0,
            turns in any::<bool>(),
        ) {
            let points: Vec<_> = points.into_iter().map(|(x, y)| Vector2::new(x, y)).collect();
            let discs = [ahead, -ahead].map(|x| FootprintDisc { centre: Vector2::new(x, 0.1), radius });
            prop_assume!(points.iter().all(|point| point.norm() > radius + ahead + 0.11));
            let max = match turns {
                true => 3.0,
                false if curvature.abs() > 1.0 => 0.99 * TAU / curvature.abs(),
                false => 5.0,
            };
            let at = |arc_length: f32| {
                if turns { (0.0, arc_length.copysign(curvature)) } else { (arc_length, arc_length * curvature) }
            };
            let found = if turns {
                free_turn(points.iter().copied(), &discs, 1.0_f32.copysign(curvature), max)
            } else {
                free_arc_length(points.iter().copied(), &discs, curvature, max)
            };
            let touched = |arc_length: f32, radius_less: f32| {
                let discs = discs.map(|d| FootprintDisc { radius: d.radius - radius_less, ..d });
                let (arc_length, turned) = at(arc_length);
                touches(arc_length, turned, &discs, &points)
            };
            let step = 0.002;
            let simulated = (0..=(max / step) as u32)
                .map(|count| count as f32 * step)
                .take_while(|&arc_length| arc_length < max)
                .find(|&arc_length| touched(arc_length, 0.0))
                .unwrap_or(max);
            // Small steps may miss a point that is only just grazed.
            let is_grazed = touched(found, -1e-3) && !touched(found, 1e-3);
            prop_assert!((found - simulated).abs() < 2.0 * step || (found < simulated && is_grazed),
                "{found} m, but {simulated} m in small steps");
        }
    }
}
