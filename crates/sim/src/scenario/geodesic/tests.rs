use std::f64::consts::{FRAC_PI_2, PI};

use nalgebra::Vector2;
use proptest::prelude::*;

use super::*;
use crate::scenario::{Obstacle, Rect, Shape};

const RADIUS: f32 = 0.2;

fn room(half: f32, obstacles: Vec<Obstacle>) -> Layout {
    let arena = Rect {
        min: Point2::new(-half, -half),
        max: Point2::new(half, half),
    };
    Layout {
        arena,
        obstacles,
        ..Layout::default()
    }
}

fn obstacle(shape: Shape, x: f32, y: f32, yaw: f32) -> Obstacle {
    let (sin, cos) = libm::sincosf(yaw);
    Obstacle {
        shape,
        position: Point2::new(x, y),
        axis: Vector2::new(cos, sin),
    }
}

fn disc(x: f32, y: f32, radius: f32) -> Obstacle {
    obstacle(Shape::Disc { radius }, x, y, 0.0)
}

fn boxed(x: f32, y: f32, width: f32, height: f32) -> Obstacle {
    obstacle(
        Shape::Box {
            half_extents: Vector2::new(width, height) / 2.0,
        },
        x,
        y,
        0.0,
    )
}

fn length(layout: &Layout, from: (f32, f32), to: (f32, f32)) -> Option<f64> {
    let from = Point2::new(from.0, from.1);
    let path = Geodesic::new(layout, RADIUS).path(from, Point2::new(to.0, to.1))?;
    let drawn: f64 = path
        .points
        .windows(2)
        .map(|p| f64::from((p[1] - p[0]).norm()))
        .sum();
    assert!(
        drawn <= path.length_m + 1e-4 && drawn >= 0.998 * path.length_m,
        "the polyline has the path's length"
    );
    Some(path.length_m)
}

#[track_caller]
fn assert_length(found: Option<f64>, expected: f64) {
    let found = found.expect("there is a path");
    assert!((found - expected).abs() < 1e-5, "{found} is not {expected}");
}

#[test]
fn the_path_through_an_empty_room_is_straight() {
    assert_length(length(&room(5.0, vec![]), (-3.0, -4.0), (3.0, 4.0)), 10.0);
    assert_length(length(&room(5.0, vec![]), (1.0, 1.0), (1.0, 1.0)), 0.0);
}

#[test]
fn around_one_disc() {
    let rim = f64::from(RADIUS) + 1.0;
    let expected = 2.0 * (9.0 - rim * rim).sqrt() + rim * (PI - 2.0 * libm::acos(rim / 3.0));
    assert_length(
        length(
            &room(5.0, vec![disc(0.0, 0.0, 1.0)]),
            (-3.0, 0.0),
            (3.0, 0.0),
        ),
        expected,
    );
}

#[test]
fn around_the_corner_of_a_box() {
    // The corner (1, 1), seen from (0, 1.5) and (1.5, 0): symmetric about the diagonal.
    let rim = f64::from(RADIUS);
    let apart = 1.25_f64.sqrt();
    let seen = TAU - libm::acos(-1.0 / 1.25);
    let expected =
        2.0 * (apart * apart - rim * rim).sqrt() + rim * (seen - 2.0 * libm::acos(rim / apart));
    assert_length(
        length(
            &room(5.0, vec![boxed(0.0, 0.0, 2.0, 2.0)]),
            (0.0, 1.5),
            (1.5, 0.0),
        ),
        expected,
    );
}

#[test]
fn along_the_side_of_a_box_and_a_wall_without_thickness() {
    let rim = f64::from(RADIUS);
    // From the left of the box's middle, around both upper corners, to its right.
    let apart = (1.0_f64 + 1.0).sqrt();
    let turn = libm::asin(1.0 / apart) + libm::asin(rim / apart);
    let expected = 2.0 * (2.0 - rim * rim).sqrt() + 2.0 + 2.0 * rim * turn;
    assert_length(
        length(
            &room(5.0, vec![boxed(0.0, 0.0, 2.0, 2.0)]),
            (-2.0, 0.0),
            (2.0, 0.0),
        ),
        expected,
    );

    let wall = obstacle(
        Shape::Segment {
            half: Vector2::new(0.0, 1.0),
        },
        0.0,
        0.0,
        0.0,
    );
    let expected = 2.0 * ((2.0 - rim * rim).sqrt() + rim * turn);
    assert_length(
        length(&room(5.0, vec![wall]), (-1.0, 0.0), (1.0, 0.0)),
        expected,
    );
}

#[test]
fn out_of_a_trap() {
    // A U that is open to the left, with its back at x = 1. The path goes around the upper arm.
    let trap = vec![
        boxed(1.0, 0.0, 0.1, 2.1),
        boxed(0.0, 1.0, 2.1, 0.1),
        boxed(0.0, -1.0, 2.1, 0.1),
    ];
    let rim = f64::from(RADIUS);
    let (left, right, inner, outer) = (-1.05, 1.05, 0.95, 1.05);
    let to_tip = libm::hypot(left, inner);
    let to_goal = libm::hypot(3.0 - right, outer);
    let first = libm::atan2(inner, left) + libm::asin(rim / to_tip);
    let last = -libm::atan2(outer, 3.0 - right) - libm::asin(rim / to_goal);
    // The path leaves to the upper left and turns clockwise up to the goal.
    let turned = first - last;
    let expected = (to_tip * to_tip - rim * rim).sqrt()
        + (outer - inner)
        + (right - left)
        + (to_goal * to_goal - rim * rim).sqrt()
        + rim * turned;
    assert_length(length(&room(5.0, trap), (0.0, 0.0), (3.0, 0.0)), expected);
}

#[test]
fn a_gap_of_the_robots_width_is_open_and_a_smaller_one_is_not() {
    let gate = |gap: f32| {
        let wall = 5.0 - gap / 2.0;
        let middle = gap / 2.0 + wall / 2.0;
        room(
            5.0,
            vec![
                boxed(0.0, middle, 0.1, wall),
                boxed(0.0, -middle, 0.1, wall),
            ],
        )
    };
    assert_length(length(&gate(0.4), (-2.0, 0.0), (2.0, 0.0)), 4.0);
    assert_eq!(length(&gate(0.39), (-2.0, 0.0), (2.0, 0.0)), None);
}

#[test]
fn no_path_leads_between_overlapping_obstacles() {
    let pair = vec![disc(0.0, 0.3, 0.4), disc(0.0, -0.3, 0.4)];
    let rim = 0.6;
    // Over the upper disc. By symmetry its top is halfway.
    let apart = libm::hypot(2.0, 0.3);
    let touch = libm::acos(rim / apart);
    let seen = FRAC_PI_2 + libm::atan2(0.3, 2.0);
    let expected = 2.0 * ((apart * apart - rim * rim).sqrt() + rim * (seen - touch));
    assert_length(length(&room(5.0, pair), (-2.0, 0.0), (2.0, 0.0)), expected);
}

#[test]
fn an_end_inside_an_obstacle_moves_to_the_nearest_free_position() {
    let layout = room(5.0, vec![disc(0.0, 0.0, 1.0)]);
    // 5 cm too deep, then straight away from the disc.
    assert_length(length(&layout, (-1.15, 0.0), (-3.0, 0.0)), 0.05 + 1.8);
    // Into a wall.
    assert_length(length(&layout, (-4.95, 4.0), (-4.0, 4.0)), 0.15 + 0.8);
    // Between two discs and a wall, where moving away from one obstacle is not enough.
    let crowd = room(5.0, vec![disc(-4.5, 0.3, 0.3), disc(-4.5, -0.3, 0.3)]);
    let found = length(&crowd, (-4.6, 0.0), (0.0, 0.0)).unwrap();
    assert!((found - 4.6).abs() < 0.05, "{found}");
}

#[test]
fn a_sealed_room_has_no_path() {
    let cell = vec![
        boxed(0.0, 1.0, 2.2, 0.1),
        boxed(0.0, -1.0, 2.2, 0.1),
        boxed(1.0, 0.0, 0.1, 2.2),
        boxed(-1.0, 0.0, 0.1, 2.2),
    ];
    assert_eq!(length(&room(5.0, cell), (0.0, 0.0), (3.0, 0.0)), None);
    assert_eq!(length(&room(0.1, vec![]), (0.0, 0.0), (0.0, 0.0)), None);
}

/// A slow reference: each boundary is replaced by a polygon around it, and Dijkstra's algorithm
/// searches all pairs of corners. Its path is feasible, so the shortest path is not longer.
mod oracle {
    use super::*;

    const CORNERS: usize = 24;

    fn distance(obstacle: &Obstacle, point: Vec2) -> f64 {
        let local = obstacle.to_local(Point2::from(point.cast())).cast::<f64>();
        match &obstacle.shape {
            Shape::Disc { radius } => (local.norm() - f64::from(*radius)).max(0.0),
            Shape::Box { half_extents } => (local.abs() - half_extents.cast::<f64>())
                .sup(&Vec2::zeros())
                .norm(),
            _ => unreachable!("the oracle knows discs and boxes only"),
        }
    }

    pub(super) fn is_free(layout: &Layout, point: Vec2, slack: f64) -> bool {
        let radius = f64::from(RADIUS) - slack;
        layout
            .arena
            .contains(Point2::from(point.cast()), radius as f32)
            && layout
                .obstacles
                .iter()
                .all(|obstacle| distance(obstacle, point) >= radius)
    }

    /// The distance to a convex set is convex along a line, so that a ternary search finds its minimum.
    fn is_clear(layout: &Layout, from: Vec2, to: Vec2) -> bool {
        let radius = f64::from(RADIUS) - 1e-5;
        layout.obstacles.iter().all(|obstacle| {
            let at = |t: f64| distance(obstacle, from + (to - from) * t);
            if at(0.5) > radius + (to - from).norm() / 2.0 {
                return true;
            }
            let (mut low, mut high) = (0.0, 1.0);
            for _ in 0..60 {
                let third = (high - low) / 3.0;
                if at(low + third) < at(high - third) {
                    high -= third;
                } else {
                    low += third;
                }
            }
            at(f64::midpoint(low, high)) >= radius
        })
    }

    pub(super) fn shortest(layout: &Layout, from: Vec2, to: Vec2) -> Option<f64> {
        let around = |center: Vec2, rim: f64| {
            let radius = rim / libm::cos(PI / CORNERS as f64);
            (0..CORNERS).map(move |corner| {
                let (sin, cos) = libm::sincos(TAU * corner as f64 / CORNERS as f64);
                center + Vec2::new(cos, sin) * radius
            })
        };
        let rim = f64::from(RADIUS);
        let mut points = vec![from, to];
        for obstacle in &layout.obstacles {
            match &obstacle.shape {
                Shape::Disc { radius } => points.extend(around(
                    obstacle.position.coords.cast(),
                    rim + f64::from(*radius),
                )),
                Shape::Box { half_extents: half } => {
                    for (x, y) in [(1.0, 1.0), (1.0, -1.0), (-1.0, 1.0), (-1.0, -1.0)] {
                        let corner = obstacle.to_world(Vector2::new(x * half.x, y * half.y));
                        points.extend(around(corner.coords.cast(), rim));
                    }
                }
                _ => {}
            }
        }
        points.retain(|&point| is_free(layout, point, 1e-5));
        let mut cost = vec![f64::INFINITY; points.len()];
        let mut settled = vec![false; points.len()];
        cost[0] = 0.0;
        loop {
            let next = (0..points.len())
                .filter(|&i| !settled[i] && cost[i].is_finite())
                .min_by(|&a, &b| cost[a].total_cmp(&cost[b]))?;
            if next == 1 {
                return Some(cost[1]);
            }
            settled[next] = true;
            for other in 0..points.len() {
                let longer = cost[next] + (points[other] - points[next]).norm();
                if longer < cost[other] && is_clear(layout, points[next], points[other]) {
                    cost[other] = longer;
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..Default::default() })]

    #[test]
    fn paths_are_free_and_not_longer_than_those_of_the_slow_reference(
        shapes in proptest::collection::vec(
            (-5.0_f32..5.0, -5.0_f32..5.0, 0.15_f32..0.4, 0.15_f32..0.4, 0.0_f32..6.3, any::<bool>()),
            20,
        ),
        ends in proptest::array::uniform4(-4.7_f32..4.7),
    ) {
        let obstacles = shapes
            .into_iter()
            .map(|(x, y, a, b, yaw, round)| {
                if round {
                    disc(x, y, a)
                } else {
                    obstacle(Shape::Box { half_extents: Vector2::new(a, b) }, x, y, yaw)
                }
            })
            .collect();
        let layout = room(5.0, obstacles);
        let ends = [Point2::new(ends[0], ends[1]), Point2::new(ends[2], ends[3])];
        let [from, to] = ends.map(|end| end.coords.cast::<f64>());
        prop_assume!(oracle::is_free(&layout, from, 0.0) && oracle::is_free(&layout, to, 0.0));
        let map = Geodesic::new(&layout, RADIUS);
        let found = map.path(ends[0], ends[1]);
        let slow = oracle::shortest(&layout, from, to);
        prop_assert!(slow.is_none() || found.is_some());
        let Some(found) = found else { return Ok(()) };
        if let Some(slow) = slow {
            prop_assert!(found.length_m <= slow + 1e-4, "{} > {slow}", found.length_m);
            prop_assert!(found.length_m >= 0.99 * slow, "{} < {slow}", found.length_m);
        }
        // Chords cut arcs of 0.6 m by at most 0.6 (1 − cos 0.05) = 0.8 mm.
        for pair in found.points.windows(2) {
            for step in 0_u8..=50 {
                let point = pair[0] + (pair[1] - pair[0]) * f32::from(step) / 50.0;
                prop_assert!(oracle::is_free(&layout, point.coords.cast(), 1e-3));
            }
        }
        let back = map.distance(ends[1], ends[0]).expect("the path back exists");
        prop_assert!((back - found.length_m).abs() < 1e-6);
    }
}
