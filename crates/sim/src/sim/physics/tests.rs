//! The engine against what does its work faster: coasting, clearances, and the lidar.

use proptest::prelude::*;
use rapier2d::prelude::{QueryFilter, Ray};

use super::*;
use crate::config::Override;
use crate::scenario::spec::ShapesSpec;
use crate::scenario::{
    DriveLimits, EpisodeKey, Footprint, LayoutSampler, MoverPlacement, Obstacle, Rect, Shape,
};
use crate::seed::{Purpose, Split};
use crate::sim::lidar::{Beams, Ranges, SensorPose};
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

/// What rapier's query pipeline reads along a ray, at most `range`.
fn oracle(physics: &Physics, origin: [f32; 2], direction: [f32; 2], range: f32) -> f32 {
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

/// The same in double precision, edge by edge.
fn referee(layout: &Layout, origin: [f32; 2], direction: [f32; 2], range: f32) -> f32 {
    let o = Vector2::from(origin).cast::<f64>();
    let d = Vector2::from(direction).cast::<f64>();
    let mut nearest = f64::from(range);
    let mut meet = |t: f64| {
        if t >= 0.0 {
            nearest = nearest.min(t);
        }
    };
    let inside = |obstacle: &Obstacle| obstacle.signed_distance(Point2::from(origin)) <= 0.0;
    let footprint = |corners: &[Point2<f32>], meet: &mut dyn FnMut(f64)| {
        for (i, a) in corners.iter().enumerate() {
            let a = a.coords.cast::<f64>();
            let b = corners[(i + 1) % corners.len()].coords.cast::<f64>();
            let edge = b - a;
            let across = d.perp(&edge);
            let along = (a - o).perp(&d) / across;
            if (0.0..=1.0).contains(&along) {
                meet((a - o).perp(&edge) / across);
            }
        }
    };
    let disc = |center: Point2<f32>, radius: f32, meet: &mut dyn FnMut(f64)| {
        let c = center.coords.cast::<f64>() - o;
        let (radius, across) = (f64::from(radius), d.perp(&c));
        let chord = radius * radius - across * across;
        if chord >= 0.0 {
            meet(d.dot(&c) - chord.sqrt());
        }
    };
    for obstacle in layout.all_obstacles() {
        if inside(obstacle) {
            return 0.0;
        }
        let corner = |x: f32, y: f32| obstacle.to_world(Vector2::new(x, y));
        match &obstacle.shape {
            Shape::Disc { radius } => disc(obstacle.position, *radius, &mut meet),
            Shape::Box { half_extents: h } => {
                let corners = [
                    corner(h.x, h.y),
                    corner(-h.x, h.y),
                    corner(-h.x, -h.y),
                    corner(h.x, -h.y),
                ];
                footprint(&corners, &mut meet);
            }
            Shape::Segment { half } => {
                footprint(
                    &[corner(half.x, half.y), corner(-half.x, -half.y)],
                    &mut meet,
                );
            }
            Shape::Polygon { vertices } => {
                let corners: Vec<_> = vertices.iter().map(|v| corner(v.x, v.y)).collect();
                footprint(&corners, &mut meet);
            }
        }
    }
    for mover in &layout.movers {
        if (mover.position - Point2::from(origin)).norm() <= mover.radius {
            return 0.0;
        }
        disc(mover.position, mover.radius, &mut meet);
    }
    let (min, max) = (layout.arena.min, layout.arena.max);
    let corners = [
        min,
        Point2::new(max.x, min.y),
        max,
        Point2::new(min.x, max.y),
    ];
    footprint(&corners, &mut meet);
    nearest as f32
}

/// Coasting is no second physics: wherever the world coasts, the engine's solver gives the
/// same bits, among the obstacles of real episodes and for as long as nothing is touched.
#[test]
fn coasting_gives_the_engines_own_bits() {
    for (footprint, passes_by) in [
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
        let steps = coasting_gives_bits("reference", footprint, passes_by);
        assert!(
            steps[0] > 3_000 && (steps[1] > 500 || !passes_by),
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
        let steps = coasting_gives_bits(scenario, &footprint, true);
        assert!(steps[1] > 500, "{scenario}: {steps:?}");
    }
}

/// The steps that were compared: far from everything, and past something near.
fn coasting_gives_bits(scenario: &str, footprint: &str, passes_by: bool) -> [u32; 2] {
    let footprint = Override::parse(&format!("robot.footprint={footprint}")).unwrap();
    let scenario = crate::scenario::resolve(scenario, &[footprint]).unwrap();
    let mut sampler = LayoutSampler::default();
    let (mut layout, mut scene) = (Layout::default(), Scene::default());
    let (beams, mut ranges) = (Beams::none(), Ranges::new(&Beams::none()));
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
            let pose = SensorPose {
                x: position.x,
                y: position.y,
                cos: 1.0,
                sin: 0.0,
            };
            let clearance = scene.sense(&beams, pose, 1.0, &mut ranges).fixed - radius;
            let velocity = state.heading * speed;
            let free = clearance > 0.1 * speed + 0.05;
            let passes = passes_by && scene.is_clear_ahead(position, velocity * 0.1, radius);
            if !free && !passes {
                break;
            }
            coasting.coast(0, velocity, turn_rate);
            engine.set_velocity(0, velocity, turn_rate);
            engine.step();
            assert_eq!(coasting.robot(0), engine.robot(0), "episode {episode}");
            compared[usize::from(!free)] += 1;
        }
    }
    compared
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    /// A hull is as far from every shape as rapier's query pipeline has it, to a part in a
    /// thousand: rapier's search ends that near to the truth, and never below it.
    #[test]
    fn hulls_are_as_far_from_things_as_rapier_says(
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
        // Rapier's iteration stops at about a thousandth; ours is a distance between points.
        prop_assert!(
            (found.max(0.0) - expected).abs() < 1e-3 * (1.0 + expected),
            "{found} m, where rapier has {expected}: {obstacle:?}"
        );
    }

    /// Every beam equals rapier's within 1e-4 m. Where a beam grazes a shape, the last bit of
    /// a coordinate decides what it reads; there the reading must be, within 1e-4 m, among
    /// those that rapier and a referee in double precision give for the same beam moved aside
    /// by up to five micrometres. (Rapier's own single precision is a millimetre off for beams
    /// almost along a segment.)
    #[test]
    fn every_beam_reads_what_rapiers_query_pipeline_reads(
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
        // Half of the scenes have a beam that touches a disc.
        if graze && let Some(first) = layout.obstacles.first_mut() {
            let radius = 0.3;
            let ahead = 0.5 + 2.0 * (aim.index(100) as f32) / 100.0;
            let (sin, cos) = libm::sincosf(heading);
            first.shape = Shape::Disc { radius };
            first.position = Point2::new(x + ahead * cos - radius * sin, y + ahead * sin + radius * cos);
        }
        let mut physics = Physics::new(0.1);
        physics.load(&layout);
        // Fills the engine's search tree; the standing robot may be pushed, the rest not.
        physics.set_velocity(0, Vector2::zeros(), 0.0);
        physics.step();
        let mut scene = Scene::default();
        scene.load(&layout);
        let beams = Beams::new(count, view);
        let mut ranges = Ranges::new(&beams);
        let (sin, cos) = libm::sincosf(heading);
        let distances = scene.sense(&beams, SensorPose { x, y, cos, sin }, range, &mut ranges);
        let read = ranges.readings();
        for (beam, &seen) in read.iter().enumerate() {
            let [bx, by] = beams.direction(beam);
            let direction = [cos * bx - sin * by, sin * bx + cos * by];
            let expected = oracle(&physics, [x, y], direction, range);
            if (seen - expected).abs() <= 1e-4 {
                continue;
            }
            let (mut low, mut high) = (expected, expected);
            for aside in [-5e-6, -2e-6, 0.0, 2e-6, 5e-6] {
                let origin = [x - aside * direction[1], y + aside * direction[0]];
                let engine = oracle(&physics, origin, direction, range);
                let exact = referee(&layout, origin, direction, range);
                low = low.min(engine).min(exact);
                high = high.max(engine).max(exact);
            }
            prop_assert!(
                seen >= low - 1e-4 && seen <= high + 1e-4,
                "beam {beam} reads {} where rapier reads {expected} ({low} to {high} beside it)",
                seen,
            );
        }
        let walls = x.min(10.0 - x).min(y).min(8.0 - y);
        let fixed = layout.obstacles.iter()
            .map(|o| o.signed_distance(Point2::new(x, y)))
            .fold(walls, f32::min);
        prop_assert!((distances.fixed - fixed).abs() < 1e-5);
    }
}

/// The engine has of a map what a robot may reach in a step, by itself or pushed.
#[test]
fn a_robot_that_is_pushed_meets_the_walls_about_a_map() {
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
    assert!(ends[0].x > at.x, "it was not pushed");
    assert!((ends[0] - ends[1]).norm() < 1e-3, "{ends:?}");
}
