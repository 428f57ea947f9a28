//! Compares coasting, clearances and the lidar with the engine, which does the same more slowly.

use proptest::prelude::*;
use rapier2d::prelude::{QueryFilter, Ray};

use super::*;
use crate::config::Override;
use crate::scenario::spec::ShapesSpec;
use crate::scenario::{
    DriveLimits, EpisodeKey, Footprint, LayoutSampler, MoverPlacement, Obstacle, Rect, Shape,
};
use crate::seed::{Purpose, Split};
use crate::sim::lidar::{Beams, Pose2, ScanReadings};
use crate::sim::scene::Scene;
use crate::sim::testing::robot_at;

fn obstacle() -> impl Strategy<Value = Obstacle> {
    let shape = prop_oneof![
        (0.05..1.0_f32).prop_map(|radius| Shape::Disc { radius }),
        (0.05..1.0_f32, 0.05..1.0_f32).prop_map(|(x, y)| Shape::Box {
            half_extents: Vector2::new(x, y)
        }),
        (0.1..1.5_f32).prop_map(|x| Shape::Segment {
            half: Vector2::new(x, 0.0)
        }),
        (0.1..1.0_f32, 3..7_usize).prop_map(|(radius, count)| {
            let corner = |i: usize| {
                let angle = i as f32 * std::f32::consts::TAU / count as f32;
                Vector2::new(radius * libm::cosf(angle), 0.7 * radius * libm::sinf(angle))
            };
            Shape::Polygon {
                vertices: (0..count).map(corner).collect(),
            }
        }),
    ];
    (shape, 0.0..10.0_f32, 0.0..8.0_f32, 0.0..6.3_f32).prop_map(|(shape, x, y, yaw)| Obstacle {
        shape,
        position: Point2::new(x, y),
        axis: Vector2::new(libm::cosf(yaw), libm::sinf(yaw)),
    })
}

fn mover() -> impl Strategy<Value = MoverPlacement> {
    (0.0..10.0_f32, 0.0..8.0_f32, 0.1..0.5_f32).prop_map(|(x, y, radius)| MoverPlacement {
        position: Point2::new(x, y),
        velocity: Vector2::zeros(),
        radius,
    })
}

/// Reading of rapier's query pipeline along a ray, at most `range`.
fn rapier_reading(physics: &Physics, origin: [f32; 2], direction: [f32; 2], range: f32) -> f32 {
    let sets = &physics.sets;
    let robot = sets.bodies[physics.robots[0].handle].colliders()[0];
    let pipeline = sets.broad_phase.as_query_pipeline(
        sets.narrow_phase.query_dispatcher(),
        &sets.bodies,
        &sets.colliders,
        QueryFilter::default().exclude_collider(robot),
    );
    let ray = Ray::new(
        Vector::new(origin[0], origin[1]),
        Vector::new(direction[0], direction[1]),
    );
    pipeline
        .cast_ray(&ray, range, true)
        .map_or(range, |(_, t)| t)
}

/// Reading in double precision, computed edge by edge.
fn exact_reading(layout: &Layout, origin: [f32; 2], direction: [f32; 2], range: f32) -> f32 {
    let o = Vector2::from(origin).cast::<f64>();
    let d = Vector2::from(direction).cast::<f64>();
    let mut nearest = f64::from(range);
    let mut hit = |t: f64| {
        if t >= 0.0 {
            nearest = nearest.min(t);
        }
    };
    let inside = |obstacle: &Obstacle| obstacle.signed_distance(Point2::from(origin)) <= 0.0;
    let polygon = |corners: &[Point2<f32>], hit: &mut dyn FnMut(f64)| {
        for (i, a) in corners.iter().enumerate() {
            let a = a.coords.cast::<f64>();
            let b = corners[(i + 1) % corners.len()].coords.cast::<f64>();
            let edge = b - a;
            let across = d.perp(&edge);
            let along = (a - o).perp(&d) / across;
            if (0.0..=1.0).contains(&along) {
                hit((a - o).perp(&edge) / across);
            }
        }
    };
    let disc = |center: Point2<f32>, radius: f32, hit: &mut dyn FnMut(f64)| {
        let c = center.coords.cast::<f64>() - o;
        let (radius, across) = (f64::from(radius), d.perp(&c));
        let chord = radius * radius - across * across;
        if chord >= 0.0 {
            hit(d.dot(&c) - chord.sqrt());
        }
    };
    for obstacle in layout.all_obstacles() {
        if inside(obstacle) {
            return 0.0;
        }
        let corner = |x: f32, y: f32| obstacle.to_world(Vector2::new(x, y));
        match &obstacle.shape {
            Shape::Disc { radius } => disc(obstacle.position, *radius, &mut hit),
            Shape::Box { half_extents: h } => {
                let corners = [
                    corner(h.x, h.y),
                    corner(-h.x, h.y),
                    corner(-h.x, -h.y),
                    corner(h.x, -h.y),
                ];
                polygon(&corners, &mut hit);
            }
            Shape::Segment { half } => {
                polygon(
                    &[corner(half.x, half.y), corner(-half.x, -half.y)],
                    &mut hit,
                );
            }
            Shape::Polygon { vertices } => {
                let corners: Vec<_> = vertices.iter().map(|v| corner(v.x, v.y)).collect();
                polygon(&corners, &mut hit);
            }
        }
    }
    for mover in &layout.movers {
        if (mover.position - Point2::from(origin)).norm() <= mover.radius {
            return 0.0;
        }
        disc(mover.position, mover.radius, &mut hit);
    }
    let (min, max) = (layout.arena.min, layout.arena.max);
    let corners = [
        min,
        Point2::new(max.x, min.y),
        max,
        Point2::new(min.x, max.y),
    ];
    polygon(&corners, &mut hit);
    nearest as f32
}

/// Wherever a world coasts, the engine gives the same bits: among the obstacles of real episodes,
/// for as long as nothing is touched.
#[test]
fn coasting_is_bit_identical_to_the_engine() {
    for (footprint, passes_close) in [
        ("{ disc = { radius_m = 0.2 } }", true),
        (
            "{ box = { half_extents_m = [0.2, 0.1], center_m = [0.1, 0.0] } }",
            false,
        ),
        (
            "{ polygon = { vertices_m = [[0.2, 0], [-0.1, 0.2], [-0.2, -0.1]] } }",
            false,
        ),
    ] {
        let steps = compare_coasting("reference", footprint, passes_close);
        assert!(
            steps[0] > 3_000 && (steps[1] > 500 || !passes_close),
            "{steps:?}"
        );
    }
    for (scenario, radius) in [
        ("rooms", 0.15),
        ("maze", 0.15),
        ("barn_like", 0.25),
        ("slam_map", 0.15),
    ] {
        let footprint = format!("{{ disc = {{ radius_m = {radius} }} }}");
        let steps = compare_coasting(scenario, &footprint, true);
        assert!(steps[1] > 500, "{scenario}: {steps:?}");
    }
}

/// Compares coasting with the engine. Returns the number of steps compared: far from all obstacles,
/// and close to one.
fn compare_coasting(scenario: &str, footprint: &str, passes_close: bool) -> [u32; 2] {
    let footprint = Override::parse(&format!("robot.footprint={footprint}")).unwrap();
    let scenario = crate::scenario::resolve(scenario, &[footprint]).unwrap();
    let mut sampler = LayoutSampler::default();
    let (mut layout, mut scene) = (Layout::default(), Scene::default());
    let (beams, mut ranges) = (Beams::none(), ScanReadings::new(&Beams::none()));
    let mut compared = [0, 0];
    for episode in 0..1_000 {
        let key = EpisodeKey {
            root: 1,
            split: Split::Train,
            env: 0,
            episode,
        };
        sampler.sample(&scenario, key, &mut layout).unwrap();
        scene.load(&layout);
        let (mut coasting, mut engine) = (Physics::new(0.1), Physics::new(0.1));
        coasting.load(&layout);
        engine.load(&layout);
        let mut rng = key.stream(Purpose::Bench);
        loop {
            let speed: f32 = rng.random();
            let turn_rate = 4.0 * rng.random::<f32>() - 2.0;
            let state = coasting.robot(0);
            let (position, radius) = (state.position, layout.robots[0].radius);
            let pose = Pose2 {
                x: position.x,
                y: position.y,
                cos: 1.0,
                sin: 0.0,
            };
            let clearance = scene.sense(&beams, pose, 1.0, &mut ranges).fixed - radius;
            let velocity = state.heading * speed;
            let is_far = clearance > 0.1 * speed + 0.05;
            let passes = passes_close && scene.is_clear_ahead(position, velocity * 0.1, radius);
            if !is_far && !passes {
                break;
            }
            coasting.coast(0, velocity, turn_rate);
            engine.set_velocity(0, velocity, turn_rate);
            engine.step();
            assert_eq!(coasting.robot(0), engine.robot(0), "episode {episode}");
            compared[usize::from(!is_far)] += 1;
        }
    }
    compared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// The distance of a footprint from a shape equals rapier's within a thousandth, which is the
    /// accuracy of rapier's iteration.
    #[test]
    fn distances_of_footprints_equal_those_of_rapier(
        obstacle in obstacle(), x in 2.0..8.0_f32, y in 2.0..6.0_f32, yaw in 0.0..6.3_f32,
        count in 3..9_usize, radius in 0.1..1.0_f32,
    ) {
        let corners: Vec<_> = (0..count)
            .map(|i| {
                let angle = i as f32 * std::f32::consts::TAU / count as f32;
                Vector2::new(radius * libm::cosf(angle), 0.6 * radius * libm::sinf(angle))
            })
            .collect();
        let (sin, cos) = libm::sincosf(yaw);
        let footprint = Footprint::new(&corners).placed(Point2::new(x, y), Vector2::new(cos, sin));
        let placed = footprint.corners().iter().map(|v| vector(*v)).collect();
        let ours = ColliderBuilder::convex_polyline(placed).unwrap().build();
        let theirs = collider(&obstacle);
        let expected = rapier2d::parry::query::distance(
            ours.position(), ours.shape(), theirs.position(), theirs.shape(),
        ).unwrap().distance;
        let found = footprint.distance(&obstacle);
        prop_assert!(
            (found.max(0.0) - expected).abs() < 1e-3 * (1.0 + expected),
            "{found} m, but {expected} m in rapier: {obstacle:?}"
        );
    }

    /// Every reading equals rapier's within 1e-4 m. Where a beam grazes a shape, the last bit of a
    /// coordinate decides the reading. Then the reading must be, within 1e-4 m, in the range of
    /// those of rapier and of the computation in double precision for the beam moved to the side by
    /// up to five micrometres. (In single precision rapier is a millimetre off for beams almost
    /// along a segment.)
    #[test]
    fn readings_equal_those_of_rapiers_query_pipeline(
        obstacles in prop::collection::vec(obstacle(), 0..24),
        movers in prop::collection::vec(mover(), 0..4),
        x in 0.01..9.99_f32, y in 0.01..7.99_f32, heading in 0.0..6.3_f32,
        range in 1.0..12.0_f32, count in 1..200_usize, view in 0.5..6.3_f32,
        aim in any::<prop::sample::Index>(), graze in any::<bool>(),
    ) {
        let arena = Rect { min: Point2::origin(), max: Point2::new(10.0, 8.0) };
        let mut layout = Layout {
            arena, obstacles, movers, robots: vec![robot_at(Point2::new(x, y))],
            ..Layout::default()
        };
        // In half of the cases a beam grazes a disc.
        if graze && let Some(first) = layout.obstacles.first_mut() {
            let radius = 0.3;
            let ahead = 0.5 + 2.0 * (aim.index(100) as f32) / 100.0;
            let (sin, cos) = libm::sincosf(heading);
            first.shape = Shape::Disc { radius };
            first.position = Point2::new(x + ahead * cos - radius * sin, y + ahead * sin + radius * cos);
        }
        let mut physics = Physics::new(0.1);
        physics.load(&layout);
        // A step fills the engine's search tree. It may push the robot, but nothing else.
        physics.set_velocity(0, Vector2::zeros(), 0.0);
        physics.step();
        let mut scene = Scene::default();
        scene.load(&layout);
        let beams = Beams::new(count, view);
        let mut ranges = ScanReadings::new(&beams);
        let (sin, cos) = libm::sincosf(heading);
        let distances = scene.sense(&beams, Pose2 { x, y, cos, sin }, range, &mut ranges);
        let readings = ranges.readings();
        for (beam, &reading) in readings.iter().enumerate() {
            let [bx, by] = beams.direction(beam);
            let direction = [cos * bx - sin * by, sin * bx + cos * by];
            let expected = rapier_reading(&physics, [x, y], direction, range);
            if (reading - expected).abs() <= 1e-4 {
                continue;
            }
            let (mut low, mut high) = (expected, expected);
            for aside in [-5e-6, -2e-6, 0.0, 2e-6, 5e-6] {
                let origin = [x - aside * direction[1], y + aside * direction[0]];
                let engine = rapier_reading(&physics, origin, direction, range);
                let exact = exact_reading(&layout, origin, direction, range);
                low = low.min(engine).min(exact);
                high = high.max(engine).max(exact);
            }
            prop_assert!(
                reading >= low - 1e-4 && reading <= high + 1e-4,
                "beam {beam} reads {reading}, but {expected} in rapier ({low} to {high} beside it)",
            );
        }
        let walls = x.min(10.0 - x).min(y).min(8.0 - y);
        let fixed = layout.obstacles.iter()
            .map(|o| o.signed_distance(Point2::new(x, y)))
            .fold(walls, f32::min);
        prop_assert!((distances.fixed - fixed).abs() < 1e-5);
    }
}

/// The engine has the parts of a map that a robot can reach in a step, also when it is pushed.
#[test]
fn the_walls_of_a_map_stop_a_robot_that_is_pushed() {
    let at = Point2::new(3.75, 2.0);
    let mut robot = robot_at(at);
    if let DriveLimits::Differential(limits) = &mut robot.drive {
        limits.max_speed = 0.1;
    }
    let alone = Layout {
        arena: Rect {
            min: Point2::origin(),
            max: Point2::new(4.0, 4.0),
        },
        robots: vec![robot],
        movers: vec![MoverPlacement {
            position: at - Vector2::new(0.49, 0.0),
            velocity: Vector2::new(3.0, 0.0),
            radius: 0.3,
        }],
        ..Layout::default()
    };
    let corner = ShapesSpec {
        boxes_m: vec![[0.2, 0.2, 0.1, 0.1, 0.0]],
        discs_m: Vec::new(),
    };
    let mapped = Layout {
        map: Some(Arc::new(Map::new(&corner))),
        ..alone.clone()
    };
    let ends = [alone, mapped].map(|layout| {
        let mut physics = Physics::new(0.1);
        physics.load(&layout);
        physics.set_velocity(0, Vector2::zeros(), 0.0);
        physics.step();
        physics.robot(0).position
    });
    assert!(ends[0].x > at.x, "the robot was not pushed");
    assert!((ends[0] - ends[1]).norm() < 1e-3, "{ends:?}");
}
