//! Arcs that a round robot drives from where it is, and what they lead into. All in the robot's
//! frame: x ahead, y to the left, metres.

use std::f32::consts::TAU;

use nalgebra::Vector2;

/// Straighter arcs are lines, 1/m.
const STRAIGHT: f32 = 1e-3;

/// How far a disc of `radius` at the origin gets along the arc of a curvature, 1/m, left positive,
/// before it touches a point; `most` if that is less, metres. A point that it overlaps already
/// stops it only if it is ahead.
pub(super) fn free_way(
    points: impl Iterator<Item = Vector2<f32>>,
    radius: f32,
    curvature: f32,
    most: f32,
) -> f32 {
    let ways = points.map(|point| {
        if point.norm_squared() < radius * radius {
            if point.x > 0.0 { 0.0 } else { f32::INFINITY }
        } else if curvature.abs() < STRAIGHT {
            way_on_line(point, radius)
        } else {
            let mirrored = Vector2::new(point.x, point.y.copysign(point.y * curvature));
            way_on_circle(mirrored, radius, 1.0 / curvature.abs())
        }
    });
    ways.fold(most, f32::min)
}

fn way_on_line(point: Vector2<f32>, radius: f32) -> f32 {
    if point.x < 0.0 || point.y.abs() >= radius {
        return f32::INFINITY;
    }
    point.x - (radius * radius - point.y * point.y).sqrt()
}

/// On the circle of radius `turn` whose centre is to the left.
fn way_on_circle(point: Vector2<f32>, radius: f32, turn: f32) -> f32 {
    let from_centre = Vector2::new(point.x, point.y - turn);
    let distance = from_centre.norm();
    if (distance - turn).abs() >= radius {
        return f32::INFINITY;
    }
    // The law of cosines in the triangle of the circle's centre, the point, and the robot as it
    // touches the point.
    let cos = (turn * turn + distance * distance - radius * radius) / (2.0 * turn * distance);
    let between = libm::acosf(cos.clamp(-1.0, 1.0));
    let mut to_point = libm::atan2f(from_centre.x, -from_centre.y);
    if to_point < 0.0 {
        to_point += TAU;
    }
    turn * (to_point - between).max(0.0)
}

/// Where an arc of this length, metres, that turns by this much, radians, ends.
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

    #[test]
    fn ways_are_those_worked_out_by_hand() {
        let ahead = [Vector2::new(2.0, 0.0)];
        let way = free_way(ahead.into_iter(), 0.5, 0.0, 9.0);
        assert!((way - 1.5).abs() < 1e-6, "{way}");
        assert!(
            (free_way(ahead.into_iter(), 0.5, 0.0, 1.0) - 1.0).abs() < 1e-6,
            "no more than asked for"
        );
        assert!(
            (free_way([Vector2::new(-1.0, 0.0)].into_iter(), 0.5, 0.0, 9.0) - 9.0).abs() < 1e-6,
            "behind"
        );
        // Half a circle of radius 1 m ends at (0, 2); a disc of 0.5 m touches a point there
        // 2 · asin(1/4) earlier.
        let left = [Vector2::new(0.0, 2.0)];
        let expect = std::f32::consts::PI - 2.0 * libm::asinf(0.25);
        assert!((free_way(left.into_iter(), 0.5, 1.0, 9.0) - expect).abs() < 1e-5);
        assert!(
            (free_way(left.into_iter(), 0.5, -1.0, 9.0) - 9.0).abs() < 1e-6,
            "turns the other way"
        );
        let quarter = end(std::f32::consts::FRAC_PI_2, std::f32::consts::FRAC_PI_2);
        assert!((quarter - Vector2::new(1.0, 1.0)).norm() < 1e-6);
    }

    proptest! {
        #[test]
        fn a_way_is_as_far_as_small_steps_get(
            points in prop::collection::vec((-3.0_f32..3.0, -3.0_f32..3.0), 1..6),
            radius in 0.1_f32..0.5,
            curvature in -4.0_f32..4.0,
        ) {
            let points: Vec<_> = points.into_iter().map(|(x, y)| Vector2::new(x, y)).collect();
            prop_assume!(points.iter().all(|point| point.norm() > radius + 0.01));
            let most = if curvature.abs() > 1.0 { 0.99 * TAU / curvature.abs() } else { 5.0 };
            let found = free_way(points.iter().copied(), radius, curvature, most);
            let step = 0.002;
            let walked = (0..=(most / step) as u32)
                .map(|count| count as f32 * step)
                .take_while(|&way| way < most)
                .find(|&way| {
                    let at = end(way, way * curvature);
                    points.iter().any(|point| (point - at).norm() < radius)
                })
                .unwrap_or(most);
            // A point that is only just grazed may be missed by the steps.
            let grazed = points.iter().any(|point| {
                let at = end(found, found * curvature);
                ((point - at).norm() - radius).abs() < 1e-3
            });
            prop_assert!((found - walked).abs() < 2.0 * step || (found < walked && grazed),
                "{found} m, and small steps get {walked} m");
        }
    }
}
