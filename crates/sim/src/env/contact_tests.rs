//! Contacts against the shapes that lidar, clearance and drawing use: no robot enters or passes a
//! shape, and no mover passes a robot unnoticed.

use std::fmt::Write as _;
use std::sync::Arc;

use nalgebra::{Point2, Vector2};
use proptest::prelude::*;

use super::{NavEnv, Outcome, StepResult};
use crate::config::Override;
use crate::scenario::{Footprint, Layout, Obstacle, RobotParameters, Scenario, Shape};
use crate::seed::Split;

/// The depth of an outline in a shape that is accepted, metres: three millimetres, and what single
/// precision adds.
const MAX_DEPTH: f32 = 3.2e-3;

/// A scenario with a robot, obstacles, movers and a task of their own.
fn scenario(robot: &str, world: &str, task: &str) -> Scenario {
    let text = format!(
        "version = 1\ntitle = \"contacts\"\n[arena]\nsize_m = [10.0, 8.0]\n{world}\n\
         [[robot]]\nlidar = {{ beams = 8, range_m = 20.0 }}\n{robot}\n\
         [task]\nmin_start_goal_distance_m = 0.5\n{task}\n"
    );
    Scenario::from_text("contacts", "contacts.toml", &text, &[])
        .unwrap_or_else(|error| panic!("{error}"))
}

fn differential(speed: f64, turn_rate: f64) -> String {
    format!(
        "drive = {{ differential = {{ max_speed_mps = {speed}, max_reverse_mps = {speed}, \
         max_turn_rate_radps = {turn_rate}, max_accel_mps2 = 900.0, \
         max_turn_accel_radps2 = 900.0 }} }}"
    )
}

/// Points on and in a robot's outline, and the outline itself.
fn outline(robot: &RobotParameters, at: Point2<f32>, heading: Vector2<f32>) -> Vec<Point2<f32>> {
    match &robot.footprint {
        None => (0..64)
            .map(|i| {
                let (sin, cos) = libm::sincosf(i as f32 * std::f32::consts::TAU / 64.0);
                at + Vector2::new(cos, sin) * robot.radius
            })
            .collect(),
        Some(footprint) => edge_points(footprint.placed(at, heading).corners()),
    }
}

fn edge_points(corners: &[Vector2<f32>]) -> Vec<Point2<f32>> {
    (0..corners.len())
        .flat_map(|i| {
            let (from, to) = (corners[i], corners[(i + 1) % corners.len()]);
            (0..24).map(move |k| Point2::from(from + (to - from) * (k as f32 / 24.0)))
        })
        .collect()
}

/// Points on the outline of an obstacle.
fn obstacle_points(obstacle: &Obstacle) -> Vec<Point2<f32>> {
    let corners: Vec<Vector2<f32>> = match &obstacle.shape {
        Shape::Disc { .. } => return Vec::new(),
        Shape::Box { half_extents: h } => {
            [(-h.x, -h.y), (h.x, -h.y), (h.x, h.y), (-h.x, h.y)].map(|(x, y)| Vector2::new(x, y))
        }
        .to_vec(),
        Shape::Segment { half } => (-32..=32).map(|k| half * (k as f32 / 32.0)).collect(),
        Shape::Polygon { vertices } => vertices.clone(),
    };
    let corners = corners.into_iter().map(|corner| obstacle.to_world(corner));
    corners.collect()
}

/// How deep a robot is in a wall or a static obstacle, metres, found point by point.
fn depth(layout: &Layout, robot: &RobotParameters, at: Point2<f32>, heading: Vector2<f32>) -> f32 {
    let placed = robot
        .footprint
        .map(|footprint| footprint.placed(at, heading));
    let inside_robot = |point: Point2<f32>| match &placed {
        None => robot.radius - (point - at).norm(),
        Some(footprint) => -Footprint::distance_to_disc(footprint, point, 0.0),
    };
    let mut deepest = f32::NEG_INFINITY;
    for point in outline(robot, at, heading) {
        let (low, high) = (point - layout.arena.min, layout.arena.max - point);
        deepest = deepest.max(-low.inf(&high).min());
        for obstacle in &layout.obstacles {
            deepest = deepest.max(-obstacle.signed_distance(point));
        }
    }
    for obstacle in &layout.obstacles {
        for point in obstacle_points(obstacle) {
            deepest = deepest.max(inside_robot(point));
        }
    }
    deepest
}

fn heading_of(env: &NavEnv, robot: usize) -> Vector2<f32> {
    let mut snapshot = crate::sim::WorldSnapshot::default();
    env.snapshot(&mut snapshot);
    let (sin, cos) = libm::sincosf(snapshot.robots[robot].heading_rad);
    Vector2::new(cos, sin)
}

/// An obstacle of any kind as a line of a scenario file.
fn obstacle() -> impl Strategy<Value = String> {
    let place = || (1.0..9.0_f64, 1.0..7.0_f64, 0.0..6.3_f64);
    prop_oneof![
        (place(), 0.01..1.0_f64).prop_map(|((x, y, _), r)| format!(
            "disc = {{ center_m = [{x}, {y}], radius_m = {r} }}"
        )),
        (place(), 0.001..1.5_f64, 0.001..1.0_f64).prop_map(|((x, y, yaw), a, b)| format!(
            "box = {{ center_m = [{x}, {y}], half_extents_m = [{a}, {b}], yaw_rad = {yaw} }}"
        )),
        (place(), 0.1..2.0_f64).prop_map(|((x, y, yaw), length)| {
            let (to_x, to_y) = (x + length * yaw.cos(), y + length * yaw.sin());
            format!("segment = {{ from_m = [{x}, {y}], to_m = [{to_x}, {to_y}] }}")
        }),
        // Arcs whose corners turn by 0.01 to 0.1 rad, and so also very flat triangles.
        (place(), 1..40_u32, 0.01..0.1_f64, 2.0..20.0_f64).prop_map(
            |((x, y, yaw), edges, turn, radius)| {
                let turn = turn.min(2.5 / f64::from(edges));
                let corners: Vec<String> = (0..=edges + 1)
                    .map(|i| {
                        let angle = turn * f64::from(i);
                        format!(
                            "[{}, {}]",
                            radius * angle.sin(),
                            radius * (1.0 - angle.cos())
                        )
                    })
                    .collect();
                format!(
                    "polygon = {{ vertices_m = [{}], offset_m = [{x}, {y}], yaw_rad = {yaw} }}",
                    corners.join(", ")
                )
            }
        ),
    ]
}

fn footprint() -> impl Strategy<Value = String> {
    prop_oneof![
        (0.05..0.5_f64).prop_map(|r| format!("disc = {{ radius_m = {r} }}")),
        (0.05..0.8_f64, 0.02..0.2_f64, -0.5..0.5_f64).prop_map(|(a, b, c)| format!(
            "box = {{ half_extents_m = [{a}, {b}], center_m = [{c}, 0.0] }}"
        )),
        // A flat nose, whose corners turn by 0.025 rad.
        (0.2..0.6_f64, 1..5_u32).prop_map(|(length, half)| {
            let corner = |i: i32| {
                let angle = 0.1 * f64::from(i);
                format!("[{}, {}]", length * angle.cos(), 4.0 * length * angle.sin())
            };
            let mut corners: Vec<String> = (-(half as i32)..=half as i32).map(corner).collect();
            corners.push("[-0.1, 0.0]".to_owned());
            format!("polygon = {{ vertices_m = [{}] }}", corners.join(", "))
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// After any step of any robot, its outline is in no wall and no obstacle by more than
    /// three millimetres.
    #[test]
    fn no_robot_is_in_a_shape_after_a_step(
        footprint in footprint(), obstacles in prop::collection::vec(obstacle(), 0..7),
        speed in prop_oneof![0.2..3.0_f64, 3.0..60.0_f64],
        turn_rate in prop_oneof![0.2..3.0_f64, 3.0..60.0_f64],
        step_secs in prop_oneof![Just(0.1), 0.02..1.0_f64],
        physics in 1..4_u32, ends in any::<bool>(), count in 1..3_u32, episode in 0..1000_u64,
        actions in prop::collection::vec([-1.0..1.0_f32, -1.0..1.0_f32], 12),
    ) {
        let mut world = String::new();
        for obstacle in &obstacles {
            writeln!(world, "[[obstacles]]\n{obstacle}").unwrap();
        }
        let drive = differential(speed, turn_rate);
        let robot = format!(
            "count = {count}\nfootprint = {{ {footprint} }}\n{drive}"
        );
        let task = format!(
            "control_step_secs = {step_secs}\nphysics_steps = {physics}\n\
             contact_ends_episode = {ends}\ngoal_radius_m = 0.01\ntime_limit_secs = 400.0"
        );
        let text = format!(
            "version = 1\ntitle = \"contacts\"\n[arena]\nsize_m = [10.0, 8.0]\n{world}\n\
             [[robot]]\nlidar = {{ beams = 8, range_m = 20.0 }}\n{robot}\n\
             [task]\nmin_start_goal_distance_m = 0.5\n{task}\n"
        );
        // Some arcs are thinner than a millimetre, and some lie outside the room.
        let Ok(scenario) = Scenario::from_text("contacts", "contacts.toml", &text, &[]) else {
            return Ok(());
        };
        let Ok(mut env) = NavEnv::new(Arc::new(scenario), episode, Split::Train, 0) else {
            return Ok(());
        };
        let mut steps = vec![StepResult::INACTIVE; count as usize];
        for step in 0..60 {
            // Each action is held for a while, so that robots press against shapes.
            let action = &actions[step / 5];
            let all: Vec<f32> = (0..count).flat_map(|_| *action).collect();
            env.step_all(&all, &mut steps);
            for index in 0..count as usize {
                let at = env.robot_position(index);
                let robot = &env.layout().robots[index];
                let deep = depth(env.layout(), robot, at, heading_of(&env, index));
                prop_assert!(
                    deep <= MAX_DEPTH,
                    "robot {index} is {} mm inside after step {step}, at {at}: {text}",
                    1e3 * deep
                );
            }
            if env.is_over() {
                break;
            }
        }
    }

    /// A room of walls without thickness is never left, however long the steps are.
    #[test]
    fn a_closed_room_is_never_left(
        speed in 0.5..80.0_f64, turn_rate in 0.1..40.0_f64, step_secs in 0.05..2.0_f64,
        long in any::<bool>(), episode in 0..1000_u64,
        actions in prop::collection::vec([-1.0..1.0_f32, -1.0..1.0_f32], 10),
    ) {
        let corners = [[3.0, 2.0], [7.0, 2.0], [7.0, 6.0], [3.0, 6.0]];
        let mut world = String::new();
        for (index, from) in corners.iter().enumerate() {
            let to = corners[(index + 1) % 4];
            writeln!(world, "[[obstacles]]\nsegment = {{ from_m = {from:?}, to_m = {to:?} }}").unwrap();
        }
        let footprint = if long {
            "footprint = { box = { half_extents_m = [0.6, 0.1], center_m = [0.3, 0.0] } }"
        } else {
            "footprint = { disc = { radius_m = 0.15 } }"
        };
        let room = "region = { min_m = [3, 2], max_m = [7, 6] }";
        let robot = format!(
            "{footprint}\nstart = {{ {room} }}\ngoal = {{ {room} }}\n{}",
            differential(speed, turn_rate)
        );
        let task = format!(
            "control_step_secs = {step_secs}\ncontact_ends_episode = false\n\
             goal_radius_m = 0.001\ntime_limit_secs = 900.0"
        );
        let scenario = scenario(&robot, &world, &task);
        let mut env = NavEnv::new(Arc::new(scenario), episode, Split::Train, 0).unwrap();
        for step in 0..100 {
            let result = env.step(&actions[step / 10]);
            let at = env.position();
            prop_assert!(
                at.x > 3.0 && at.x < 7.0 && at.y > 2.0 && at.y < 6.0,
                "the robot is at {at} after step {step}"
            );
            if result.outcome.is_some() {
                break;
            }
        }
    }

    /// A mover that goes over a standing robot hits it, however fast it is and wherever it starts.
    #[test]
    fn no_mover_passes_a_robot_unnoticed(
        speed in 0.5..30.0_f64, radius in 0.05..0.4_f64, step_secs in 0.05..1.0_f64,
        physics in 1..4_u32, ahead in 1.5..4.0_f64, aside in -0.85..0.85_f64, kind in 0..2_usize,
        long in any::<bool>(),
    ) {
        let (x, y) = (5.0 - ahead, 4.0 + aside * (radius + 0.15));
        let mover = if kind == 0 {
            format!(
                "linear = {{ radius_m = {radius}, speed_mps = {speed}, heading_rad = 0.0, \
                 start = {{ at = {{ position_m = [{x}, {y}] }} }}, at_end = \"stop\" }}"
            )
        } else {
            format!(
                "waypoints = {{ radius_m = {radius}, speed_mps = {speed}, \
                 points_m = [[1.0, {y}], [9.0, {y}]] }}"
            )
        };
        let footprint = if long {
            "footprint = { box = { half_extents_m = [0.15, 0.3] } }"
        } else {
            "footprint = { disc = { radius_m = 0.15 } }"
        };
        let robot = format!(
            "{footprint}\nstart = {{ at = {{ position_m = [5, 4] }} }}\nstart_heading_rad = 0.0\n\
             goal = {{ at = {{ position_m = [5, 7] }} }}\n{}",
            differential(0.001, 0.001)
        );
        let task = format!(
            "control_step_secs = {step_secs}\nphysics_steps = {physics}\ntime_limit_secs = 60.0"
        );
        let scenario = scenario(&robot, &format!("[[movers]]\n{mover}"), &task);
        let Ok(mut env) = NavEnv::new(Arc::new(scenario), 0, Split::Train, 0) else {
            return Ok(());
        };
        let outcome = loop {
            if let Some(outcome) = env.step(&[0.0, 0.0]).outcome {
                break outcome;
            }
        };
        prop_assert_eq!(outcome, Outcome::CollisionMover);
    }
}

#[test]
fn contact_lidar_and_clearance_see_one_arc() {
    // The lower side of the obstacle is an arc of 24 edges that turn by 0.015 rad each.
    let corner = |i: i32| {
        let angle = 0.015 * f64::from(i);
        [5.0 + 12.0 * angle.sin(), 17.0 - 12.0 * angle.cos()]
    };
    let mut corners: Vec<[f64; 2]> = (-12..=12).map(corner).collect();
    corners.extend([[7.0, 7.5], [3.0, 7.5]]);
    let world = format!("[[obstacles]]\npolygon = {{ vertices_m = {corners:?} }}");
    let robot = format!(
        "footprint = {{ disc = {{ radius_m = 0.25 }} }}\nstart = {{ at = {{ position_m = [5, 1] }} }}\n\
         start_heading_rad = {}\ngoal = {{ at = {{ position_m = [9, 1] }} }}\n{}",
        std::f64::consts::FRAC_PI_2,
        differential(1.0, 1.0)
    );
    let env = scenario(&robot, &world, "contact_ends_episode = false");
    let mut env = NavEnv::new(Arc::new(env), 0, Split::Train, 0).unwrap();
    for _ in 0..100 {
        env.step(&[1.0, 0.0]);
    }
    // The lowest corner is at y = 5.
    let at = env.position();
    assert!((at.y - 4.75).abs() < 2e-3, "{at}");
    let mut snapshot = crate::sim::WorldSnapshot::default();
    env.snapshot(&mut snapshot);
    let robot = &snapshot.robots[0];
    assert!(robot.contact && robot.clearance_m < 1e-3);
    assert!(
        (robot.ranges_m[0] - 0.25).abs() < 2e-3,
        "{}",
        robot.ranges_m[0]
    );
}

#[test]
fn flat_polygons_are_obstacles_and_footprints() {
    let flat = "[[2.0, 3.0], [3.5, 3.0], [5.0, 3.03]]";
    let world = format!("[[obstacles]]\npolygon = {{ vertices_m = {flat} }}");
    let robot = format!(
        "footprint = {{ polygon = {{ vertices_m = [[-0.2, -0.1], [0.1, -0.1], [0.4, -0.094], [0.3, 0.1]] }} }}\n{}",
        differential(2.0, 3.0)
    );
    let scenario = Arc::new(scenario(&robot, &world, "contact_ends_episode = false"));
    for episode in 0..20 {
        let mut env = NavEnv::new(scenario.clone(), episode, Split::Train, 0).unwrap();
        for step in 0..100 {
            if env
                .step(&[1.0, if step % 20 < 10 { 0.6 } else { -0.3 }])
                .outcome
                .is_some()
            {
                break;
            }
            let robot = &env.layout().robots[0];
            let deep = depth(env.layout(), robot, env.position(), heading_of(&env, 0));
            assert!(deep <= MAX_DEPTH, "{deep} in episode {episode}");
        }
    }
}

#[test]
fn shapes_that_single_precision_would_lose_are_refused() {
    let refused = |old: &str, new: &str, expected: &str| {
        let text = include_str!("../../../../scenarios/reference.toml").replacen(old, new, 1);
        let error = Scenario::from_text("mine", "mine.toml", &text, &[]).unwrap_err();
        let message = error.to_string();
        assert!(
            message.contains(expected) && message.starts_with("mine.toml:"),
            "{new}: {message}"
        );
    };
    for (shape, expected) in [
        (
            "polygon = { vertices_m = [[1, 1], [3, 1], [3, 1.0008]] }",
            "less than a millimetre apart",
        ),
        (
            "polygon = { vertices_m = [[1, 1], [2, 1.0001], [3, 1.0008]] }",
            "only 0.3",
        ),
        (
            "polygon = { vertices_m = [[1, 1], [2, 1.000001], [3, 1], [2, 2]] }",
            "lies on a straight line",
        ),
        (
            "polygon = { vertices_m = [[1, 1], [2, 2], [2, 1], [1, 2]] }",
            "not convex",
        ),
        (
            "box = { center_m = [5, 5], half_extents_m = [1, 1e-9] }",
            "thinner than a millimetre",
        ),
        (
            "disc = { center_m = [5, 5], radius_m = { uniform = [1e-6, 0.2] } }",
            "thinner than a millimetre",
        ),
        (
            "segment = { from_m = [1, 1], to_m = [1.0005, 1] }",
            "the same point",
        ),
    ] {
        refused(
            "[arena]",
            &format!("[[obstacles]]\n{shape}\n[arena]"),
            expected,
        );
    }
    let disc = "footprint = { disc = { radius_m = 0.2 } }";
    for (footprint, expected) in [
        ("disc = { radius_m = 1e-7 }", "thinner than a millimetre"),
        (
            "polygon = { vertices_m = [[0, 0], [0.4, 0], [0.2, 0.004]], scale = 0.1 }",
            "only 0.4",
        ),
    ] {
        refused(disc, &format!("footprint = {{ {footprint} }}"), expected);
    }
    refused(
        "range_m = 5.0",
        "range_m = 5.0\nposition_m = [1000, 0]",
        "the lidar is 1000 m from the robot's origin",
    );
}

#[test]
fn steps_that_no_number_of_physics_steps_mends_are_refused_with_the_figure() {
    let set = |flags: &[&str]| {
        let flags: Vec<_> = flags.iter().map(|f| Override::parse(f).unwrap()).collect();
        crate::scenario::resolve("open_field", &flags)
    };
    let mover = "movers=[{ linear = { radius_m = 0.01, speed_mps = 900 } }]";
    let error = set(&[mover, "task.control_step_secs=1"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("control_step_secs = 0.00"), "{error}");
    let tiny = "robot.footprint={ disc = { radius_m = 0.001 } }";
    let fast = "robot.drive.differential.max_speed_mps=1000";
    let error = set(&[tiny, fast]).unwrap_err().to_string();
    assert!(error.contains("write physics_steps = 7"), "{error}");
    assert!(set(&[tiny, fast, "task.physics_steps=7"]).is_ok());
}

/// Where the engine keeps robots out of shapes, which it does among separate obstacles, nothing is
/// corrected, so that results do not depend on the check.
#[test]
fn nothing_is_corrected_among_separate_obstacles() {
    use rand::RngExt as _;
    let corrections = || crate::sim::sweep::CORRECTIONS.with(std::cell::Cell::get);
    for name in ["open_field", "reference", "shift"] {
        let scenario = Arc::new(crate::scenario::resolve(name, &[]).unwrap());
        let mut env = NavEnv::new(scenario, 11, Split::Train, 0).unwrap();
        let mut rng = crate::seed::stream(1, Split::Train, 0, 0, crate::seed::Purpose::Bench);
        let mut steps = vec![StepResult::INACTIVE; env.robot_count()];
        let mut actions = vec![0.0; env.robot_count() * env.action_dim()];
        let before = corrections();
        for episode in 0..150 {
            env.reset(episode);
            while !env.is_over() {
                if env.steps().is_multiple_of(10) {
                    let ahead = episode % 2 == 0;
                    actions.fill_with(|| {
                        if ahead {
                            1.0
                        } else {
                            2.0 * rng.random::<f32>() - 1.0
                        }
                    });
                    if ahead {
                        let turns = actions.iter_mut().skip(1).step_by(2);
                        turns.for_each(|turn| *turn = 0.4 * rng.random::<f32>() - 0.2);
                    }
                }
                env.step_all(&actions, &mut steps);
            }
        }
        assert_eq!(corrections() - before, 0, "{name}");
    }
}
