//! Compares the half-planes with motion at constant velocity, and the linear programmes with slow
//! searches.

use std::f32::consts::{PI, TAU};

use proptest::prelude::*;

use super::*;
use crate::scenario::Rect;

fn vector(max: f32) -> impl Strategy<Value = Vector2<f32>> {
    (-max..max, -max..max).prop_map(|(x, y)| Vector2::new(x, y))
}

fn unit(angle: f32) -> Vector2<f32> {
    Vector2::new(libm::cosf(angle), libm::sinf(angle))
}

fn plane() -> impl Strategy<Value = HalfPlane> {
    (-PI..PI, -1.5_f32..1.5)
        .prop_map(|(angle, offset)| HalfPlane::from_normal(unit(angle).cast(), f64::from(offset)))
}

/// The optimum by trying all candidates in double precision: the preferred velocity, the nearest
/// points of each line and of the circle of `speed`, and the points where two of them intersect.
fn slow_optimum(preferred: Vector2<f32>, speed: f32, planes: &[HalfPlane]) -> Option<Vector2<f64>> {
    let (preferred, speed) = (preferred.cast::<f64>(), f64::from(speed));
    let lines: Vec<_> = planes
        .iter()
        .map(|plane| (plane.point, plane.direction))
        .collect();
    let mut candidates = vec![preferred, preferred.normalize() * speed];
    for (index, (point, along)) in lines.iter().enumerate() {
        candidates.push(point + along * along.dot(&(preferred - point)));
        let middle = -point.dot(along);
        let half = (middle * middle + speed * speed - point.norm_squared()).sqrt();
        candidates.extend([
            point + along * (middle - half),
            point + along * (middle + half),
        ]);
        for (other, other_along) in &lines[..index] {
            let at = other_along.perp(&(point - other)) / along.perp(other_along);
            candidates.push(point + along * at);
        }
    }
    let permitted = |velocity: &Vector2<f64>| {
        velocity.norm() <= speed + 1e-6
            && lines
                .iter()
                .all(|(point, along)| along.perp(&(point - velocity)) <= 1e-6)
    };
    candidates
        .into_iter()
        .filter(permitted)
        .min_by(|a, b| (a - preferred).norm().total_cmp(&(b - preferred).norm()))
}

/// The largest excess of a velocity over any of the half-planes, metres per second; not negative.
fn max_excess(velocity: Vector2<f32>, planes: &[HalfPlane]) -> f64 {
    let excess = planes.iter().map(|plane| plane.excess(velocity.cast()));
    excess.fold(0.0, f64::max)
}

/// A grid of velocities over the disc of `speed`.
fn velocity_grid(speed: f32, step: f32) -> impl Iterator<Item = Vector2<f32>> {
    let count = (speed / step).ceil() as i32;
    (-count..=count)
        .flat_map(move |i| (-count..=count).map(move |j| Vector2::new(i as f32, j as f32) * step))
        .filter(move |velocity| velocity.norm() <= speed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_velocity_is_the_nearest_that_is_permitted(
        preferred in vector(2.0),
        speed in 0.3_f32..2.0,
        planes in prop::collection::vec(plane(), 0..8),
    ) {
        let found = new_velocity(preferred, speed, &planes, 0);
        prop_assert!(found.norm() <= speed + 1e-4);
        if let Some(best) = slow_optimum(preferred, speed, &planes) {
            // The permitted region may be smaller than rounding errors, hence the tolerance.
            let excess = max_excess(found, &planes);
            prop_assert!(excess <= 2e-3, "an excess of {excess} m/s");
            let (distance, min_distance) = ((found - preferred).norm(), (best.cast() - preferred).norm());
            prop_assert!(
                distance <= min_distance + 1e-2,
                "{distance} m/s from the preferred velocity, {min_distance} is possible"
            );
        }
    }

    #[test]
    fn where_nothing_is_permitted_the_largest_excess_is_minimal(
        preferred in vector(2.0),
        speed in 0.3_f32..2.0,
        planes in prop::collection::vec(plane(), 3..8),
    ) {
        let found = new_velocity(preferred, speed, &planes, 0);
        let min_excess = velocity_grid(speed, 0.02)
            .map(|velocity| max_excess(velocity, &planes))
            .fold(f64::INFINITY, f64::min);
        prop_assert!(max_excess(found, &planes) <= min_excess + 1e-3);
    }

    #[test]
    fn fixed_half_planes_hold_where_the_others_cannot(
        preferred in vector(2.0),
        speed in 0.3_f32..2.0,
        walls in prop::collection::vec((-PI..PI, -1.5_f32..-0.05), 1..4),
        others in prop::collection::vec(plane(), 2..6),
    ) {
        let walls = walls.into_iter().map(|(angle, offset)| {
            HalfPlane::from_normal(unit(angle).cast(), f64::from(offset))
        });
        let mut planes: Vec<_> = walls.collect();
        let fixed = planes.len();
        planes.extend(others);
        let found = new_velocity(preferred, speed, &planes, fixed);
        prop_assert!(max_excess(found, &planes[..fixed]) <= 1e-3);
        let min_excess = velocity_grid(speed, 0.02)
            .filter(|&velocity| max_excess(velocity, &planes[..fixed]) <= 0.0)
            .map(|velocity| max_excess(velocity, &planes[fixed..]))
            .fold(f64::INFINITY, f64::min);
        prop_assert!(max_excess(found, &planes[fixed..]) <= min_excess + 1e-3);
    }

    #[test]
    fn two_discs_within_their_half_planes_do_not_collide(
        offset in vector(4.0),
        velocities in (vector(1.5), vector(1.5)),
        preferred in (vector(1.5), vector(1.5)),
        radii in (0.1_f32..0.5, 0.1_f32..0.5),
        share in 0.0_f32..1.0,
        horizon in 0.5_f32..5.0,
    ) {
        prop_assume!(offset.norm() > radii.0 + radii.1 + 1e-2);
        let me = MovingDisc { position: Point2::origin(), velocity: velocities.0, radius: radii.0 };
        let other = MovingDisc { position: offset.into(), velocity: velocities.1, radius: radii.1 };
        let planes = [
            agent_plane(&me, &other, share, horizon, 0.1),
            agent_plane(&other, &me, 1.0 - share, horizon, 0.1),
        ];
        prop_assert!((planes[0].direction.norm() - 1.0).abs() < 1e-4);
        let mine = new_velocity(preferred.0, 100.0, &planes[..1], 0);
        let theirs = new_velocity(preferred.1, 100.0, &planes[1..], 0);
        for tick in 0..=100 {
            let time = horizon * tick as f32 / 100.0;
            let gap = (offset + (theirs - mine) * time).norm() - radii.0 - radii.1;
            prop_assert!(gap > -2e-3, "{gap} m after {time} s of {horizon} s");
        }
    }

    #[test]
    fn the_nearest_surface_matches_the_signed_distance(
        shape in shape(),
        yaw in -PI..PI,
        point in vector(2.0),
    ) {
        let obstacle = Obstacle {
            shape,
            position: Point2::new(0.3, -0.2),
            axis: unit(yaw),
        };
        let (distance, outward) = nearest_surface(&obstacle, point.into());
        prop_assert!((distance - obstacle.signed_distance(point.into())).abs() < 1e-4);
        prop_assert!((outward.norm() - 1.0).abs() < 1e-4);
        let surface = Point2::from(point - outward * distance);
        prop_assert!(obstacle.signed_distance(surface).abs() < 1e-3);
    }

    #[test]
    fn a_disc_within_its_half_planes_hits_no_obstacle(
        shapes in prop::collection::vec((shape(), vector(2.0), -PI..PI), 1..5),
        start in vector(2.5),
        preferred in vector(1.5),
    ) {
        let layout = layout_of(shapes);
        let gap = |at: Point2<f32>| {
            let (low, high) = (at - layout.arena.min, layout.arena.max - at);
            let walls = low.x.min(low.y).min(high.x).min(high.y);
            let obstacles = layout.obstacles.iter().map(|o| o.signed_distance(at));
            obstacles.fold(walls, f32::min) - 0.2
        };
        prop_assume!(gap(start.into()) > 0.0);
        let (speed, horizon) = (1.2, 1.5);
        let mut planes = Vec::new();
        obstacle_planes(&layout, start.into(), 0.2, speed, horizon, &mut planes);
        let velocity = new_velocity(preferred, speed, &planes, planes.len());
        for tick in 0..=50 {
            let time = horizon * tick as f32 / 50.0;
            let gap = gap(Point2::from(start + velocity * time));
            prop_assert!(gap > -1e-3, "{gap} m after {time} s");
        }
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    prop_oneof![
        (0.05_f32..0.6).prop_map(|radius| Shape::Disc { radius }),
        (0.05_f32..0.6, 0.05_f32..0.6).prop_map(|(x, y)| Shape::Box {
            half_extents: Vector2::new(x, y)
        }),
        (0.1_f32..1.0, 0.1_f32..1.0).prop_map(|(x, y)| Shape::Segment {
            half: Vector2::new(x, y)
        }),
        (3_usize..7, 0.1_f32..0.6).prop_map(|(corners, radius)| Shape::Polygon {
            vertices: (0..corners)
                .map(|corner| TAU * corner as f32 / corners as f32)
                .map(|angle| unit(angle) * radius)
                .collect()
        }),
    ]
}

fn layout_of(shapes: Vec<(Shape, Vector2<f32>, f32)>) -> Layout {
    let obstacles = shapes.into_iter().map(|(shape, at, yaw)| Obstacle {
        shape,
        position: at.into(),
        axis: unit(yaw),
    });
    Layout {
        arena: Rect {
            min: Point2::new(-3.0, -3.0),
            max: Point2::new(3.0, 3.0),
        },
        obstacles: obstacles.collect(),
        ..Layout::default()
    }
}

#[test]
fn two_discs_head_on_each_make_half_of_the_change() {
    // 4 m apart, radius 0.5 m each, at 1 m/s towards each other, τ = 2 s. The cut-off circle has
    // radius 0.5 m/s around (2, 0), and the relative velocity (2, 0) is its centre. The half angle
    // of the cone is asin(1/4), so its legs are 2 · sin = 0.5 m/s away too.
    let disc = |x: f32, speed: f32| MovingDisc {
        position: Point2::new(x, 0.0),
        velocity: Vector2::new(speed, 0.0),
        radius: 0.5,
    };
    let plane = agent_plane(&disc(0.0, 1.0), &disc(4.0, -1.0), 0.5, 2.0, 0.1);
    let excess = plane.excess(Vector2::new(1.0, 0.0));
    assert!((excess - 0.25).abs() < 1e-5, "{excess}");
    // Standing still is permitted, or nearly so.
    assert!(plane.excess(Vector2::zeros()) < 0.1);
}

#[test]
fn discs_at_the_same_position_separate() {
    let disc = MovingDisc {
        position: Point2::new(1.0, 2.0),
        velocity: Vector2::zeros(),
        radius: 0.3,
    };
    let plane = agent_plane(&disc, &disc, 0.5, 2.0, 0.1);
    // They must move 0.6 m apart in 0.1 s, and each makes half of it.
    assert!((plane.excess(Vector2::zeros()) - 3.0).abs() < 1e-4);
}

#[test]
fn fifty_cross_a_circle_without_touching() {
    const COUNT: usize = 50;
    const RADIUS: f32 = 0.3;
    const DT: f32 = 0.1;
    let place = |index: usize| {
        let angle = TAU * index as f32 / COUNT as f32;
        unit(angle) * 10.0
    };
    let mut discs: Vec<MovingDisc> = (0..COUNT)
        .map(|index| MovingDisc {
            position: place(index).into(),
            velocity: Vector2::zeros(),
            radius: RADIUS,
        })
        .collect();
    let mut min_gap = f32::INFINITY;
    for _ in 0..1200 {
        let velocities: Vec<_> = discs
            .iter()
            .enumerate()
            .map(|(index, me)| {
                let others = discs
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != index);
                let planes: Vec<_> = others
                    .map(|(_, other)| agent_plane(me, other, 0.5, 1.5, DT))
                    .collect();
                let to_goal = -place(index) - me.position.coords;
                let ahead = to_goal / to_goal.norm().max(1.0);
                // All pass on the same side, because perfect symmetry would end in a jam.
                let preferred = ahead + Vector2::new(-ahead.y, ahead.x) * 0.3;
                new_velocity(preferred, 1.0, &planes, 0)
            })
            .collect();
        for (disc, velocity) in discs.iter_mut().zip(velocities) {
            disc.velocity = velocity;
            disc.position += velocity * DT;
        }
        for (index, one) in discs.iter().enumerate() {
            for other in &discs[..index] {
                min_gap = min_gap.min((one.position - other.position).norm() - 2.0 * RADIUS);
            }
        }
    }
    assert!(min_gap > -1e-3, "two overlap by {} m", -min_gap);
    for (index, disc) in discs.iter().enumerate() {
        let left = (disc.position.coords + place(index)).norm();
        assert!(left < 0.5, "{index} is {left} m from its goal");
    }
}
