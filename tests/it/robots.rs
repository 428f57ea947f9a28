//! Robots of every kind: kinematics against closed forms, sensors against their settings, and random
//! robots.

#![expect(clippy::float_cmp, reason = "exact values are compared exactly")]

mod random_robots;
mod sensors;

use evenkeel::env::{NavEnv, Outcome, StepBuffers, VecEnv, VectorEnv};
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;

use crate::helpers::scenario;

const OMNI: &str = "robot.drive={ omni = { max_speed_mps = 1.0, max_turn_rate_radps = 2.0, \
     max_accel_mps2 = 1.0, max_turn_accel_radps2 = 4.0 } }";
const CAR: &str = "robot.drive={ ackermann = { wheelbase_m = 0.3, max_steering_rad = 0.5, \
     max_steering_rate_radps = 1.0, max_speed_mps = 1.0, max_reverse_mps = 0.5, \
     max_accel_mps2 = 1.0 } }";
const BOX: &str = "robot.footprint={ box = { half_extents_m = [0.254, 0.215] } }";

/// A robot in a large empty arena, at (50, 50) with heading 0 and a control step of 0.01 s.
fn lone_robot(overrides: &[&str]) -> NavEnv {
    let mut all = vec![
        "arena.size_m=[100, 100]",
        "robot.start={ at = { position_m = [50.0, 50.0] } }",
        "robot.goal={ at = { position_m = [99.0, 99.0] } }",
        "robot.start_heading_rad=0",
        "task.control_step_secs=0.01",
        "task.time_limit_secs=100",
    ];
    all.extend(overrides);
    NavEnv::new(scenario("open_field", &all), 0, Split::Train, 0).unwrap()
}

/// Steps the environment. Returns the robot's path relative to (50, 50), metres, and the last
/// snapshot.
fn drive(
    env: &mut NavEnv,
    steps: usize,
    action: impl Fn(usize) -> Vec<f32>,
) -> (Vec<[f64; 2]>, WorldSnapshot) {
    let mut snapshot = WorldSnapshot::default();
    let mut path = Vec::new();
    for step in 0..steps {
        env.step(&action(step));
        let at = env.position();
        path.push([f64::from(at.x) - 50.0, f64::from(at.y) - 50.0]);
    }
    env.snapshot(&mut snapshot);
    (path, snapshot)
}

/// Radius of the circle through three points of a path, metres.
fn radius(path: &[[f64; 2]]) -> f64 {
    let [a, b, c] = [0, path.len() / 3, 2 * path.len() / 3].map(|i| path[i]);
    let side = |p: [f64; 2], q: [f64; 2]| (p[0] - q[0]).hypot(p[1] - q[1]);
    let area = 0.5 * ((b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])).abs();
    side(a, b) * side(b, c) * side(c, a) / (4.0 * area)
}

#[test]
fn circles_have_the_radius_of_the_closed_form() {
    // v / ω of a differential drive, L / tan δ of a car.
    for (overrides, action, expected) in [
        (&[][..], vec![1.0, 0.25], 1.0 / 0.5),
        (&[CAR], vec![1.0, 0.8], 0.3 / 0.4_f64.tan()),
        (&[OMNI], vec![0.0, -1.0, 0.5], 1.0),
    ] {
        let mut env = lone_robot(overrides);
        // Reach full speed first.
        drive(&mut env, 200, |_| action.clone());
        let (path, _) = drive(&mut env, 300, |_| action.clone());
        let found = radius(&path);
        assert!(
            (found / expected - 1.0).abs() < 1e-3,
            "{overrides:?}: {found} m, not {expected}"
        );
    }
}

#[test]
fn constant_steering_rate_gives_a_clothoid() {
    // At full speed the curvature is tan(rate · t) / L. Heading and position are its integrals,
    // computed here with a thousand times smaller steps.
    let mut env = lone_robot(&[CAR, "robot.drive.ackermann.max_steering_rate_radps=0.25"]);
    drive(&mut env, 150, |_| vec![1.0, 0.0]);
    let from = env.position();
    let (path, snapshot) = drive(&mut env, 150, |_| vec![1.0, 1.0]);
    let end = path[149];
    let (mut x, mut y, mut heading) = (f64::from(from.x) - 50.0, f64::from(from.y) - 50.0, 0.0);
    let dt = 1e-5;
    for i in 0..150_000 {
        let steering = 0.25 * (f64::from(i) + 0.5) * dt;
        heading += 0.5 * dt * steering.tan() / 0.3;
        x += f64::cos(heading) * dt;
        y += f64::sin(heading) * dt;
        heading += 0.5 * dt * steering.tan() / 0.3;
    }
    // The steering angle of a control step is the one at its end. It leads by half a step, 0.005 s ·
    // 0.25 rad/s, which changes the heading by up to 0.6 %.
    assert!((f64::from(snapshot.robots[0].heading_rad) - heading).abs() < 0.008 * heading);
    assert!(
        (end[0] - x).hypot(end[1] - y) < 0.01,
        "{end:?}, not {x}, {y}"
    );
    assert!(heading > 0.9, "it did not turn enough: {heading} rad");
}

#[test]
fn braking_distance_matches_the_closed_form() {
    for (delay, overrides) in [
        (0.0, &[][..]),
        (0.3, &["robot.actuation.delay_secs=0.3"]),
        (0.0, &[CAR]),
        (0.2, &[OMNI, "robot.actuation.delay_secs=0.2"]),
    ] {
        let mut env = lone_robot(overrides);
        let full = |forward: f32| {
            let mut action = vec![0.0; 3];
            action[0] = forward;
            action
        };
        let width = env.action_dim();
        drive(&mut env, 200, |_| full(1.0)[..width].to_vec());
        let from = env.position();
        // Zero speed is action -1 for the differential drive without reverse and -1/3 for the car.
        let stand = match overrides.first() {
            Some(&CAR) => -1.0 / 3.0,
            Some(&OMNI) => 0.0,
            _ => -1.0,
        };
        drive(&mut env, 200, |_| full(stand)[..width].to_vec());
        let distance = env.position().x - from.x;
        // v²/2a, less half a control step at v, because the speed of a step is the one at its end.
        let expected = 1.0 * delay + 0.5 - 0.5 * 0.01;
        assert!(
            (distance - expected).abs() < 1e-3,
            "{overrides:?}: {distance}, not {expected}"
        );
    }
}

#[test]
fn omnidirectional_robot_moves_straight_in_any_direction() {
    for angle in [0.3_f64, 2.0, 4.5] {
        let mut env = lone_robot(&[OMNI]);
        let action = vec![angle.cos() as f32, angle.sin() as f32, 0.0];
        let (path, snapshot) = drive(&mut env, 300, |_| action.clone());
        let [x, y] = path[299];
        // At 50 m from the origin, single precision rounds each step to 4e-6 m.
        assert!((y.atan2(x) - angle).sin().abs() < 1e-3);
        // Accelerating at 1 m/s² to 1 m/s takes 0.5 m plus half a step; then 2 m at full speed.
        assert!((x.hypot(y) - 2.505).abs() < 2e-3, "{}", x.hypot(y));
        assert_eq!(snapshot.robots[0].heading_rad, 0.0);
    }
}

#[test]
fn jerk_is_bounded_over_random_actions() {
    for (overrides, dims) in [
        (
            &[
                "robot.drive.differential.max_jerk_mps3=3.0",
                "robot.drive.differential.max_turn_jerk_radps3=9.0",
            ][..],
            1,
        ),
        (&[CAR, "robot.drive.ackermann.max_jerk_mps3=3.0"], 1),
        (&[OMNI, "robot.drive.omni.max_jerk_mps3=3.0"], 2),
    ] {
        let mut env = lone_robot(overrides);
        let mut snapshot = WorldSnapshot::default();
        let (mut velocity, mut acceleration) = ([0.0_f32; 2], [0.0_f32; 2]);
        let mut top_speed = 0.0_f32;
        let mut state = 1_u32;
        let mut action = vec![0.0; env.action_dim()];
        for step in 0..5_000 {
            if step % 7 == 0 {
                for entry in &mut action {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *entry = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
                }
            }
            env.step(&action);
            env.snapshot(&mut snapshot);
            let robot = &snapshot.robots[0];
            let now = [robot.speed_mps, robot.side_speed_mps];
            let change = [0, 1].map(|i| (now[i] - velocity[i]) / 0.01);
            let jerk = [0, 1].map(|i| (change[i] - acceleration[i]) / 0.01);
            let speed = now[0].hypot(now[1]);
            // In single precision a speed of 1 m/s has an error of 1e-7, a jerk of about 1e-3.
            let at_most = |what: f32, bound: f32| what <= bound * 1.01 + 0.01;
            assert!(
                at_most(change[0].hypot(change[1]), 1.0),
                "{overrides:?}: {change:?}"
            );
            assert!(at_most(speed, 1.0), "{overrides:?}: {speed} m/s");
            // An omnidirectional drive does not bound jerk at its top speed.
            let is_bounded = dims == 1 || speed < 0.999;
            assert!(
                !is_bounded || at_most(jerk[0].hypot(jerk[1]), 3.0),
                "{overrides:?} {step}: {jerk:?}"
            );
            (velocity, acceleration) = (now, change);
            top_speed = top_speed.max(speed);
        }
        assert!(top_speed > 0.3, "it hardly moved: {top_speed} m/s");
    }
}

#[test]
fn slip_reduces_motion_but_not_odometry() {
    let overrides = ["robot.actuation.slip=0.2", "robot.odometry={}"];
    let mut env = lone_robot(&overrides);
    let (path, snapshot) = drive(&mut env, 300, |_| vec![1.0, 0.0]);
    let [x, _] = path[299];
    assert!((x - 0.8 * 2.505).abs() < 1e-3, "{x} m");
    assert!((snapshot.robots[0].speed_mps - 0.8).abs() < 1e-5);
    // The goal is 49 m away in x and in y. Odometry counts the distance that the wheels rolled.
    let mut observation = vec![0.0; env.obs_layout().dim()];
    env.observe(&mut observation);
    let goal = observation[env.obs_layout().block("goal").unwrap().start] * 10.0;
    assert!(
        (goal - (49.0_f32 - 2.505).hypot(49.0)).abs() < 1e-3,
        "{goal} m"
    );
    let velocity = env.obs_layout().block("velocity").unwrap();
    assert!(
        (observation[velocity.start] - 1.0).abs() < 1e-5,
        "the wheels are at full speed"
    );
}

#[test]
fn box_collides_with_its_outline() {
    // Half extents 0.254 m and 0.215 m; the enclosing circle has a radius of 0.333 m.
    let env_at = |x: f64, heading: f64| {
        let start = format!("robot.0.start={{ at = {{ position_m = [{x}, 5.0] }} }}");
        let heading = format!("robot.0.start_heading_rad={heading}");
        let overrides = [
            BOX,
            "robot.0.goal={ at = { position_m = [1.0, 1.0] } }",
            &start,
            &heading,
        ];
        NavEnv::new(scenario("open_field", &overrides), 0, Split::Train, 0).unwrap()
    };
    let mut snapshot = WorldSnapshot::default();
    let mut env = env_at(9.0, 0.0);
    env.snapshot(&mut snapshot);
    assert!((snapshot.robots[0].clearance_m - (1.0 - 0.254)).abs() < 1e-5);
    let outcome = loop {
        if let Some(outcome) = env.step(&[1.0, 0.0]).outcome {
            break outcome;
        }
    };
    assert_eq!(outcome, Outcome::CollisionStatic);
    assert!(
        (env.position().x - (10.0 - 0.254)).abs() < 5e-3,
        "{}",
        env.position()
    );
    // When it is rotated, its corner is nearer.
    env_at(9.0, 0.5).snapshot(&mut snapshot);
    let reach = 0.254 * 0.5_f32.cos() + 0.215 * 0.5_f32.sin();
    assert!((snapshot.robots[0].clearance_m - (1.0 - reach)).abs() < 1e-5);
    // Parallel to a wall it fits, but it cannot turn, because its corners reach 0.333 m.
    let overrides = [
        BOX,
        OMNI,
        "robot.0.start={ at = { position_m = [9.5, 5.0] } }",
        "robot.0.goal={ at = { position_m = [1.0, 1.0] } }",
        "robot.0.start_heading_rad=1.5707963",
    ];
    let mut env = NavEnv::new(scenario("open_field", &overrides), 0, Split::Train, 0).unwrap();
    while env.position().x < 9.72 {
        assert_eq!(env.step(&[0.0, -0.1, 0.0]).outcome, None);
    }
    for _ in 0..10 {
        assert_eq!(env.step(&[0.0, 0.0, 0.0]).outcome, None);
    }
    let touched = (0..30).find_map(|_| env.step(&[0.0, 0.0, 0.3]).outcome);
    assert_eq!(touched, Some(Outcome::CollisionStatic));
}

/// Overrides that turn on every feature.
const EVERYTHING: [&str; 16] = [
    "robot.footprint={ polygon = { vertices_m = [[-0.2, -0.15], [0.25, -0.1], [0.3, 0.0], [0.25, 0.1], [-0.2, 0.15]], scale = { uniform = [0.8, 1.0] } } }",
    "robot.actuation={ delay_secs = { uniform = [0, 0.3] }, slip = { uniform = [0, 0.1] }, slip_std = 0.05 }",
    "robot.odometry={ distance_noise_m = 0.05, heading_noise_rad_per_m = 0.02, heading_noise_rad_per_rad = 0.02, distance_scale = { uniform = [0.97, 1.03] } }",
    "robot.lidar.field_of_view_deg=270",
    "robot.lidar.position_m=[0.1, 0.02]",
    "robot.lidar.yaw_rad=0.1",
    "robot.lidar.range_noise_m=0.02",
    "robot.lidar.bearing_noise_rad=0.01",
    "robot.lidar.dropout=0.02",
    "robot.lidar.resolution_m=0.01",
    "robot.lidar.latency_secs={ uniform = [0, 0.25] }",
    "robot.lidar.period_secs=0.2",
    "robot.mass_kg={ uniform = [8, 12] }",
    "observation.stack=3",
    "observation.lidar_sectors=16",
    "task.contact_ends_episode=false",
];

#[test]
fn state_with_every_feature_is_restored_bit_for_bit() {
    for drive in ["task.physics_steps=1", OMNI, CAR] {
        for world in ["reference", "movers"] {
            let mut overrides = EVERYTHING.to_vec();
            overrides.push(drive);
            let scenario = scenario(world, &overrides);
            let envs = 6;
            let mut first = VecEnv::new(&scenario, 1, Split::Train, envs, 1).unwrap();
            let mut buffers = StepBuffers::new(envs, first.obs_layout().dim());
            first.reset(&mut buffers);
            let width = envs * first.action_dim();
            let actions = |step: usize| -> Vec<f32> {
                let entry = |i: usize| ((i * 7 + step / 10 * 13) % 21) as f32 / 10.0 - 0.8;
                (0..width).map(entry).collect()
            };
            for step in 0..333 {
                first.step(&actions(step), &mut buffers);
            }
            let mut second = VecEnv::new(&scenario, 1, Split::Train, envs, 2).unwrap();
            let mut restored = StepBuffers::new(envs, second.obs_layout().dim());
            second.restore(&first.state(), &mut restored).unwrap();
            assert_eq!(
                buffers.obs, restored.obs,
                "{world}, {drive}: at the restored step"
            );
            for step in 333..400 {
                first.step(&actions(step), &mut buffers);
                second.step(&actions(step), &mut restored);
                assert_eq!(buffers.obs, restored.obs, "{world}, {drive}: step {step}");
            }
        }
    }
}
