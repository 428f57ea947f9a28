//! The half-planes are held to motion at constant velocity, the linear programmes to slow searches.

use std::f32::consts::{PI, TAU};

use proptest::prelude::*;

use super::*;
use crate::scenario::Rect;

fn vector(most: f32) -> impl Strategy<Value = Vector2<f32>> {
    (-most..most, -most..most).prop_map(|(x, y)| Vector2::new(x, y))
}

fn unit(angle: f32) -> Vector2<f32> {
    Vector2::new(libm::cosf(angle), libm::sinf(angle))
}

fn plane() -> impl Strategy<Value = HalfPlane> {
    (-PI..PI, -1.5_f32..1.5)
        .prop_map(|(angle, offset)| HalfPlane::from_normal(unit(angle).cast(), f64::from(offset)))
}

/// The optimum lies where it was wished for, on one line or the rim nearest to that, or where two
/// of them meet: all of them are tried, in double precision.
fn slow_optimum(wish: Vector2<f32>, speed: f32, planes: &[HalfPlane]) -> Option<Vector2<f64>> {
    let (wish, speed) = (wish.cast::<f64>(), f64::from(speed));
    let lines: Vec<_> = planes
        .iter()
        .map(|plane| (plane.point, plane.direction))
        .collect();
    let mut tried = vec![wish, wish.normalize() * speed];
    for (index, (point, along)) in lines.iter().enumerate() {
        tried.push(point + along * along.dot(&(wish - point)));
        let middle = -point.dot(along);
        let half = (middle * middle + speed * speed - point.norm_squared()).sqrt();
        tried.extend([
            point + along * (middle - half),
            point + along * (middle + half),
        ]);
        for (other, other_along) in &lines[..index] {
            let at = other_along.perp(&(point - other)) / along.perp(other_along);
            tried.push(point + along * at);
        }
    }
    let permitted = |velocity: &Vector2<f64>| {
        velocity.norm() <= speed + 1e-6
            && lines
                .iter()
                .all(|(point, along)| along.perp(&(point - velocity)) <= 1e-6)
    };
    tried
        .into_iter()
        .filter(permitted)
        .min_by(|a, b| (a - wish).norm().total_cmp(&(b - wish).norm()))
}

/// The most by which a velocity leaves any of the half-planes, metres per second; not negative.
fn worst(velocity: Vector2<f32>, planes: &[HalfPlane]) -> f64 {
    let excess = planes.iter().map(|plane| plane.excess(velocity));
    excess.fold(0.0, f64::max)
}

/// Velocities all over a disc, one of them at most `step` from any.
fn everywhere(speed: f32, step: f32) -> impl Iterator<Item = Vector2<f32>> {
    let most = (speed / step).ceil() as i32;
    (-most..=most)
        .flat_map(move |i| (-most..=most).map(move |j| Vector2::new(i as f32, j as f32) * step))
        .filter(move |velocity| velocity.norm() <= speed)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_velocity_is_the_nearest_that_is_permitted(
        wish in vector(2.0),
        speed in 0.3_f32..2.0,
        planes in prop::collection::vec(plane(), 0..8),
    ) {
        let found = new_velocity(wish, speed, &planes, 0);
        prop_assert!(found.norm() <= speed + 1e-4);
        if let Some(best) = slow_optimum(wish, speed, &planes) {
            // Where less than rounding is left, there may as well be nothing.
            prop_assert!(worst(found, &planes) <= 2e-3, "leaves by {}", worst(found, &planes));
            let (far, least) = ((found - wish).norm(), (best.cast() - wish).norm());
            prop_assert!(far <= least + 1e-2, "{far} m/s from the wish, and {least} was to be had");
        }
    }

    #[test]
    fn where_nothing_is_permitted_the_worst_is_the_least(
        wish in vector(2.0),
        speed in 0.3_f32..2.0,
        planes in prop::collection::vec(plane(), 3..8),
    ) {
        let found = new_velocity(wish, speed, &planes, 0);
        let least = everywhere(speed, 0.02)
            .map(|velocity| worst(velocity, &planes))
            .fold(f64::INFINITY, f64::min);
        prop_assert!(worst(found, &planes) <= least + 1e-3);
    }

    #[test]
    fn what_is_fixed_is_kept_whatever_else_must_give(
        wish in vector(2.0),
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
        let found = new_velocity(wish, speed, &planes, fixed);
        prop_assert!(worst(found, &planes[..fixed]) <= 1e-3);
        let least = everywhere(speed, 0.02)
            .filter(|&velocity| worst(velocity, &planes[..fixed]) <= 0.0)
            .map(|velocity| worst(velocity, &planes[fixed..]))
            .fold(f64::INFINITY, f64::min);
        prop_assert!(worst(found, &planes[fixed..]) <= least + 1e-3);
    }

    #[test]
    fn two_that_keep_to_their_half_planes_do_not_meet(
        between in vector(4.0),
        velocities in (vector(1.5), vector(1.5)),
        chosen in (vector(1.5), vector(1.5)),
        radii in (0.1_f32..0.5, 0.1_f32..0.5),
        share in 0.0_f32..1.0,
        horizon in 0.5_f32..5.0,
    ) {
        prop_assume!(between.norm() > radii.0 + radii.1 + 1e-2);
        let me = MovingDisc { position: Point2::origin(), velocity: velocities.0, radius: radii.0 };
        let other = MovingDisc { position: between.into(), velocity: velocities.1, radius: radii.1 };
        let planes = [
            agent_plane(&me, &other, share, horizon, 0.1),
            agent_plane(&other, &me, 1.0 - share, horizon, 0.1),
        ];
        prop_assert!((planes[0].direction.norm() - 1.0).abs() < 1e-4);
        // Each takes the velocity in its half-plane that is nearest to any.
        let mine = new_velocity(chosen.0, 100.0, &planes[..1], 0);
        let theirs = new_velocity(chosen.1, 100.0, &planes[1..], 0);
        for tick in 0..=100 {
            let time = horizon * tick as f32 / 100.0;
            let gap = (between + (theirs - mine) * time).norm() - radii.0 - radii.1;
            prop_assert!(gap > -2e-3, "{gap} m after {time} s of {horizon} s");
        }
    }

    #[test]
    fn the_nearest_point_of_an_obstacle_is_where_its_distance_says(
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
    fn a_disc_that_keeps_to_its_half_planes_hits_no_obstacle(
        shapes in prop::collection::vec((shape(), vector(2.0), -PI..PI), 1..5),
        start in vector(2.5),
        wish in vector(1.5),
    ) {
        let layout = room(shapes);
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
        let velocity = new_velocity(wish, speed, &planes, planes.len());
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

fn room(shapes: Vec<(Shape, Vector2<f32>, f32)>) -> Layout {
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
fn two_that_meet_head_on_each_step_aside_by_half() {
    // 4 m apart, 0.5 m each, at 1 m/s towards each other, τ = 2 s. The cut-off circle is of
    // radius 0.5 m/s about (2, 0), and the relative velocity (2, 0) is its centre, where the cone
    // has half an angle of asin(1/4): its legs are 2 · sin = 0.5 away as well.
    let disc = |x: f32, speed: f32| MovingDisc {
        position: Point2::new(x, 0.0),
        velocity: Vector2::new(speed, 0.0),
        radius: 0.5,
    };
    let plane = agent_plane(&disc(0.0, 1.0), &disc(4.0, -1.0), 0.5, 2.0, 0.1);
    let excess = plane.excess(Vector2::new(1.0, 0.0));
    assert!((excess - 0.25).abs() < 1e-5, "{excess}");
    // Standing still is on the safe side, by a good half of a metre per second.
    assert!(plane.excess(Vector2::zeros()) < 0.1);
}

#[test]
fn bodies_at_one_place_part() {
    let disc = MovingDisc {
        position: Point2::new(1.0, 2.0),
        velocity: Vector2::zeros(),
        radius: 0.3,
    };
    let plane = agent_plane(&disc, &disc, 0.5, 2.0, 0.1);
    // 0.6 m to part in 0.1 s, half of it each.
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
    let mut least = f32::INFINITY;
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
                let wish = to_goal / to_goal.norm().max(1.0);
                // Each keeps to its right: perfect symmetry would be a jam, where no velocity is free.
                let wish = wish + Vector2::new(-wish.y, wish.x) * 0.3;
                new_velocity(wish, 1.0, &planes, 0)
            })
            .collect();
        for (disc, velocity) in discs.iter_mut().zip(velocities) {
            disc.velocity = velocity;
            disc.position += velocity * DT;
        }
        for (index, one) in discs.iter().enumerate() {
            for other in &discs[..index] {
                least = least.min((one.position - other.position).norm() - 2.0 * RADIUS);
            }
        }
    }
    assert!(least > -1e-3, "two overlap by {} m", -least);
    for (index, disc) in discs.iter().enumerate() {
        let left = (disc.position.coords + place(index)).norm();
        assert!(left < 0.5, "{index} is {left} m from its goal");
    }
}
