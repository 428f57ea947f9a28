//! Robots of every kind as a user drives them: kinematics against closed forms, senses against
//! what they promise, and that nothing which a scenario may say breaks anything.

use std::sync::Arc;

use evenkeel::env::{NavEnv, Outcome, StepBuffers, VecEnv, VectorEnv};
use evenkeel::scenario::{self, Override, Scenario};
use evenkeel::seed::Split;
use evenkeel::sim::Frame;
use proptest::prelude::*;

const OMNI: &str = "robot.drive={ omni = { max_speed_mps = 1.0, max_turn_rate_radps = 2.0, \
     max_accel_mps2 = 1.0, max_turn_accel_radps2 = 4.0 } }";
const CAR: &str = "robot.drive={ ackermann = { wheelbase_m = 0.3, max_steering_rad = 0.5, \
     max_steering_rate_radps = 1.0, max_speed_mps = 1.0, max_reverse_mps = 0.5, \
     max_accel_mps2 = 1.0 } }";
const BOX: &str = "robot.footprint={ box = { half_extents_m = [0.254, 0.215] } }";

/// A shipped scenario with settings changed.
fn scenario(name: &str, overrides: &[&str]) -> Arc<Scenario> {
    let overrides: Vec<Override> = overrides
        .iter()
        .map(|text| Override::parse(text).expect("a valid override"))
        .collect();
    Arc::new(scenario::resolve(name, &overrides).unwrap_or_else(|error| panic!("{error}")))
}

/// A robot alone in a wide room, at (50, 50) heading along +x, with 0.01 s from action to action.
fn alone(overrides: &[&str]) -> NavEnv {
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

/// The robot's way from (50, 50) and its last frame.
fn drive(
    env: &mut NavEnv,
    steps: usize,
    action: impl Fn(usize) -> Vec<f32>,
) -> (Vec<[f64; 2]>, Frame) {
    let mut frame = Frame::default();
    let mut way = Vec::new();
    for step in 0..steps {
        env.step(&action(step));
        let at = env.position();
        way.push([f64::from(at.x) - 50.0, f64::from(at.y) - 50.0]);
    }
    env.frame(&mut frame);
    (way, frame)
}

/// Radius of the circle through three points of a way.
fn radius(way: &[[f64; 2]]) -> f64 {
    let [a, b, c] = [0, way.len() / 3, 2 * way.len() / 3].map(|i| way[i]);
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
        let mut env = alone(overrides);
        // Long enough to be at full speed first.
        drive(&mut env, 200, |_| action.clone());
        let (way, _) = drive(&mut env, 300, |_| action.clone());
        let found = radius(&way);
        assert!(
            (found / expected - 1.0).abs() < 1e-3,
            "{overrides:?}: {found} m, not {expected}"
        );
    }
}

#[test]
fn a_car_that_steers_at_a_constant_rate_drives_a_clothoid() {
    // At full speed its curvature is tan(rate · t) / L, so its heading and place are integrals,
    // taken here a thousand times as finely.
    let mut env = alone(&[CAR, "robot.drive.ackermann.max_steering_rate_radps=0.25"]);
    drive(&mut env, 150, |_| vec![1.0, 0.0]);
    let from = env.position();
    let (way, frame) = drive(&mut env, 150, |_| vec![1.0, 1.0]);
    let end = way[149];
    let (mut x, mut y, mut heading) = (f64::from(from.x) - 50.0, f64::from(from.y) - 50.0, 0.0);
    let dt = 1e-5;
    for i in 0..150_000 {
        let steering = 0.25 * (f64::from(i) + 0.5) * dt;
        heading += 0.5 * dt * steering.tan() / 0.3;
        x += f64::cos(heading) * dt;
        y += f64::sin(heading) * dt;
        heading += 0.5 * dt * steering.tan() / 0.3;
    }
    // The steering of a control step is that of its end: half a step ahead, 0.005 s · 0.25 rad/s
    // of steering, which makes up to 0.6 % of the heading turned.
    assert!((f64::from(frame.robots[0].heading_rad) - heading).abs() < 0.008 * heading);
    assert!(
        (end[0] - x).hypot(end[1] - y) < 0.01,
        "{end:?}, not {x}, {y}"
    );
    assert!(heading > 0.9, "it turned");
}

#[test]
fn braking_takes_the_distance_of_the_closed_form_and_a_delay_adds_to_it() {
    for (delay, overrides) in [
        (0.0, &[][..]),
        (0.3, &["robot.actuation.delay_secs=0.3"]),
        (0.0, &[CAR]),
        (0.2, &[OMNI, "robot.actuation.delay_secs=0.2"]),
    ] {
        let mut env = alone(overrides);
        let full = |forward: f32| {
            let mut action = vec![0.0; 3];
            action[0] = forward;
            action
        };
        let width = env.action_dim();
        drive(&mut env, 200, |_| full(1.0)[..width].to_vec());
        let from = env.position();
        // Standing still is -1 for the differential drive without reverse, -1/3 for the car.
        let stand = match overrides.first() {
            Some(&CAR) => -1.0 / 3.0,
            Some(&OMNI) => 0.0,
            _ => -1.0,
        };
        drive(&mut env, 200, |_| full(stand)[..width].to_vec());
        let distance = env.position().x - from.x;
        // v²/2a, less half a control step at v as the speed of a step is that of its end.
        let expected = 1.0 * delay + 0.5 - 0.5 * 0.01;
        assert!(
            (distance - expected).abs() < 1e-3,
            "{overrides:?}: {distance}, not {expected}"
        );
    }
}

#[test]
fn an_omnidirectional_robot_moves_straight_in_any_direction() {
    for angle in [0.3_f64, 2.0, 4.5] {
        let mut env = alone(&[OMNI]);
        let action = vec![angle.cos() as f32, angle.sin() as f32, 0.0];
        let (way, frame) = drive(&mut env, 300, |_| action.clone());
        let [x, y] = way[299];
        // At 50 m from the origin, single precision rounds each step to 4e-6 m.
        assert!((y.atan2(x) - angle).sin().abs() < 1e-3);
        // 1 m/s² up to 1 m/s: 0.5 m less half a step and then 2 m.
        assert!((x.hypot(y) - 2.505).abs() < 2e-3, "{}", x.hypot(y));
        assert_eq!(frame.robots[0].heading_rad, 0.0);
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
        let mut env = alone(overrides);
        let mut frame = Frame::default();
        let (mut velocity, mut acceleration) = ([0.0_f32; 2], [0.0_f32; 2]);
        let mut top = 0.0_f32;
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
            env.frame(&mut frame);
            let robot = &frame.robots[0];
            let now = [robot.speed_mps, robot.side_speed_mps];
            let change = [0, 1].map(|i| (now[i] - velocity[i]) / 0.01);
            let jerk = [0, 1].map(|i| (change[i] - acceleration[i]) / 0.01);
            let speed = now[0].hypot(now[1]);
            // Single precision: a speed of 1 m/s is known to 1e-7, a jerk to 1e-3 of its kind.
            let at_most = |what: f32, bound: f32| what <= bound * 1.01 + 0.01;
            assert!(
                at_most(change[0].hypot(change[1]), 1.0),
                "{overrides:?}: {change:?}"
            );
            assert!(at_most(speed, 1.0), "{overrides:?}: {speed} m/s");
            // An omnidirectional drive's bound gives way at its top speed.
            let held = dims == 1 || speed < 0.999;
            assert!(
                !held || at_most(jerk[0].hypot(jerk[1]), 3.0),
                "{overrides:?} {step}: {jerk:?}"
            );
            (velocity, acceleration) = (now, change);
            top = top.max(speed);
        }
        assert!(top > 0.3, "it moved: {top} m/s");
    }
}

#[test]
fn slip_takes_its_share_of_the_motion_and_odometry_does_not_notice() {
    let overrides = ["robot.actuation.slip=0.2", "robot.odometry={}"];
    let mut env = alone(&overrides);
    let (way, frame) = drive(&mut env, 300, |_| vec![1.0, 0.0]);
    let [x, _] = way[299];
    assert!((x - 0.8 * 2.505).abs() < 1e-3, "{x} m");
    assert!((frame.robots[0].speed_mps - 0.8).abs() < 1e-5);
    // The goal is 49 m to the right of the start in x and y; believed nearer by what was rolled.
    let mut seen = vec![0.0; env.obs_layout().dim()];
    env.observe(&mut seen);
    let goal = seen[env.obs_layout().block("goal").unwrap().start] * 10.0;
    assert!(
        (goal - (49.0_f32 - 2.505).hypot(49.0)).abs() < 1e-3,
        "{goal} m"
    );
    let velocity = env.obs_layout().block("velocity").unwrap();
    assert!(
        (seen[velocity.start] - 1.0).abs() < 1e-5,
        "the wheels are at full speed"
    );
}

/// Frames of a robot that drives through the reference room, for as long as its episode lasts.
fn frames(overrides: &[&str], steps: usize) -> Vec<Frame> {
    let mut all = vec!["task.contact_ends_episode=false"];
    all.extend(overrides);
    let mut env = NavEnv::new(scenario("reference", &all), 5, Split::Train, 0).unwrap();
    let mut frames = Vec::new();
    for step in 0..=steps {
        let mut frame = Frame::default();
        env.frame(&mut frame);
        frames.push(frame);
        let turn = if step % 40 < 20 { 0.4 } else { -0.5 };
        if env.step(&[0.6, turn]).outcome.is_some() {
            break;
        }
    }
    frames
}

fn ranges(frames: &[Frame]) -> Vec<&[f32]> {
    frames
        .iter()
        .map(|frame| &*frame.robots[0].ranges_m)
        .collect()
}

#[test]
fn latency_and_period_shift_and_hold_scans_exactly() {
    let exact = frames(&[], 120);
    let late = frames(&["robot.lidar.latency_secs=0.3"], 120);
    let slow = frames(&["robot.lidar.period_secs=0.5"], 120);
    let both = frames(
        &[
            "robot.lidar.period_secs=0.4",
            "robot.lidar.latency_secs=0.2",
        ],
        120,
    );
    assert!(exact.len() > 50);
    let truth = ranges(&exact);
    for step in 0..exact.len() {
        assert_eq!(
            ranges(&late)[step],
            truth[step.saturating_sub(3)],
            "late, step {step}"
        );
        assert_eq!(
            ranges(&slow)[step],
            truth[step / 5 * 5],
            "slow, step {step}"
        );
        let scan = step.saturating_sub(2) / 4 * 4;
        assert_eq!(ranges(&both)[step], truth[scan], "both, step {step}");
        // What is true stays true.
        assert_eq!(
            slow[step].robots[0].clearance_m,
            exact[step].robots[0].clearance_m
        );
    }
}

#[test]
fn noise_has_the_deviation_that_it_says_and_no_mean() {
    let exact = frames(&[], 400);
    let noisy = frames(&["robot.lidar.range_noise_m=0.05"], 400);
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (truth, read) in ranges(&exact).iter().zip(ranges(&noisy)) {
        for (truth, read) in truth.iter().zip(read) {
            if *truth >= 5.0 {
                assert_eq!(*read, 5.0, "nothing was hit");
            } else if (0.3..4.7).contains(truth) {
                let error = f64::from(read - truth);
                (count, sum, squares) = (count + 1.0, sum + error, squares + error * error);
            }
        }
    }
    let (mean, deviation) = (sum / count, (squares / count).sqrt());
    assert!(count > 5_000.0, "{count} readings");
    // Four deviations of the mean and of the deviation.
    assert!(
        mean.abs() < 4.0 * 0.05 / f64::sqrt(count),
        "{mean} of {count}"
    );
    assert!(
        (deviation / 0.05 - 1.0).abs() < 4.0 / f64::sqrt(2.0 * count),
        "{deviation}"
    );
}

#[test]
fn dropout_resolution_and_bearing_do_what_they_say() {
    let exact = frames(&[], 300);
    let truth = ranges(&exact);
    let dropped = frames(&["robot.lidar.dropout=0.1"], 300);
    let (mut hits, mut lost) = (0.0, 0.0);
    for (truth, read) in truth.iter().zip(ranges(&dropped)) {
        for (truth, read) in truth.iter().zip(read).filter(|(truth, _)| **truth < 5.0) {
            assert!(read == truth || *read == 5.0);
            hits += 1.0;
            lost += f64::from(u8::from(*read == 5.0));
        }
    }
    let spread = (0.1_f64 * 0.9 / hits).sqrt();
    assert!(
        (lost / hits - 0.1_f64).abs() < 4.0 * spread,
        "{lost} of {hits}"
    );

    let coarse = frames(&["robot.lidar.resolution_m=0.25"], 300);
    for (truth, read) in truth.iter().zip(ranges(&coarse)) {
        for (truth, read) in truth.iter().zip(read) {
            assert!((read - truth).abs() <= 0.1251);
            assert!((read / 0.25).fract() == 0.0 || *read == 5.0, "{read}");
        }
    }

    // Beams that waver by 0.02 rad read a smooth surface 0.02 rad aside: in a bare room, along a
    // wall at distance d and angle a, about d tan a / cos a · 0.02 off.
    let room = [
        "robot.lidar.range_m=200",
        "robot.lidar.beams=720",
        "robot.lidar.bearing_noise_rad=0.02",
    ];
    let mut env = alone(&room);
    let mut frame = Frame::default();
    let (mut count, mut squares) = (0.0, 0.0);
    for _ in 0..50 {
        env.step(&[-1.0, 0.0]);
        env.frame(&mut frame);
        for (beam, read) in frame.robots[0].ranges_m.iter().enumerate() {
            let angle = (beam as f64).to_radians() / 2.0;
            let aside = (f64::from(*read).recip() * 50.0).clamp(-1.0, 1.0).acos();
            let expected = (angle % std::f64::consts::FRAC_PI_2)
                .min(std::f64::consts::FRAC_PI_2 - angle % std::f64::consts::FRAC_PI_2);
            if (0.15..0.65).contains(&expected) {
                count += 1.0;
                squares += (aside - expected).powi(2);
            }
        }
    }
    let deviation = f64::sqrt(squares / count);
    assert!((deviation / 0.02 - 1.0).abs() < 0.03, "{deviation} rad");
}

#[test]
fn a_mounted_lidar_sees_from_where_it_is() {
    // In a room of 100 m, 0.2 m ahead and turned to the left: beam 0 reads the wall at y = 100,
    // the last one at a right angle to it the wall at x = 100.
    let mut env = alone(&[
        "robot.lidar={ beams = 3, range_m = 200.0, field_of_view_deg = 180.0, position_m = [0.2, 0.1], yaw_rad = 1.5707963 }",
    ]);
    let mut frame = Frame::default();
    env.frame(&mut frame);
    let read = &frame.robots[0].ranges_m;
    for (read, expected) in read.iter().zip([49.8, 49.9, 50.2]) {
        assert!((read - expected).abs() < 1e-3, "{read}, not {expected}");
    }
    assert!(
        (frame.robots[0].clearance_m - 49.8).abs() < 1e-4,
        "from the robot itself"
    );
    env.step(&[1.0, 0.0]);
}

#[test]
fn switching_one_noise_on_shifts_no_other() {
    let alone = frames(&["robot.lidar.range_noise_m=0.05"], 60);
    let both = frames(
        &[
            "robot.lidar.range_noise_m=0.05",
            "robot.lidar.dropout=0.3",
            "robot.actuation.slip_std=0.0",
            "robot.odometry={ distance_noise_m = 0.1 }",
        ],
        60,
    );
    for (alone, both) in ranges(&alone).iter().zip(ranges(&both)) {
        assert!(
            alone
                .iter()
                .zip(both)
                .all(|(alone, both)| both == alone || *both == 5.0)
        );
    }
}

#[test]
fn sectors_are_the_nearest_of_their_beams_and_a_stack_is_newest_first() {
    let one = scenario("reference", &["robot.lidar.beams=72"]);
    let many = scenario(
        "reference",
        &[
            "robot.lidar.beams=72",
            "observation.lidar_sectors=12",
            "observation.stack=4",
        ],
    );
    let mut one = NavEnv::new(one, 3, Split::Train, 0).unwrap();
    let mut many = NavEnv::new(many, 3, Split::Train, 0).unwrap();
    let width = 12 + 3 + 2 + 2;
    assert_eq!(many.obs_layout().dim(), 4 * width);
    assert_eq!(many.obs_layout().block("goal"), Some(12..15));
    assert_eq!(
        many.obs_layout().block("goal.1"),
        Some(width + 12..width + 15)
    );
    let mut seen = vec![0.0; one.obs_layout().dim()];
    let mut stacked = vec![0.0; 4 * width];
    let mut history: Vec<Vec<f32>> = Vec::new();
    for step in 0..12_usize {
        one.observe(&mut seen);
        many.observe(&mut stacked);
        let pooled = seen[..72]
            .chunks(6)
            .map(|beams| beams.iter().copied().fold(1.0, f32::min));
        history.push(pooled.chain(seen[72..].iter().copied()).collect());
        for (age, row) in stacked.chunks(width).enumerate() {
            assert_eq!(
                row,
                history[step.saturating_sub(age)],
                "step {step}, {age} before it"
            );
        }
        assert!(one.step(&[0.5, 0.1]).outcome.is_none());
        many.step(&[0.5, 0.1]);
    }
}

#[test]
fn a_box_touches_with_its_side_and_not_with_the_circle_about_it() {
    // 0.254 m long and 0.215 m wide; the circle about it has a radius of 0.333 m.
    let place = |x: f64, heading: f64| {
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
    let mut frame = Frame::default();
    let mut env = place(9.0, 0.0);
    env.frame(&mut frame);
    assert!((frame.robots[0].clearance_m - (1.0 - 0.254)).abs() < 1e-5);
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
    // Turned aslant its corner is nearer.
    place(9.0, 0.5).frame(&mut frame);
    let reach = 0.254 * 0.5_f32.cos() + 0.215 * 0.5_f32.sin();
    assert!((frame.robots[0].clearance_m - (1.0 - reach)).abs() < 1e-5);
    // Beside a wall, along which it fits, it cannot turn: its corners reach 0.333 m.
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

/// Every feature at once.
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
fn a_state_with_every_feature_on_is_restored_bit_for_bit() {
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

/// Settings of a robot that a scenario may have, most of them at their edges now and then.
fn robot() -> impl Strategy<Value = Vec<String>> {
    let size = 0.02..0.5_f64;
    let footprint = prop_oneof![
        size.clone()
            .prop_map(|r| format!("{{ disc = {{ radius_m = {r} }} }}")),
        (size.clone(), size.clone(), -0.3..0.3_f64).prop_map(|(a, b, c)| format!(
            "{{ box = {{ half_extents_m = [{a}, {b}], center_m = [{c}, 0] }} }}"
        )),
        (size, 3..12_usize, 0.3..1.0_f64).prop_map(|(r, n, flat)| {
            let corner = |i: usize| {
                let angle = i as f64 * std::f64::consts::TAU / n as f64;
                format!("[{}, {}]", r * angle.cos(), flat * r * angle.sin())
            };
            let corners: Vec<String> = (0..n).map(corner).collect();
            format!(
                "{{ polygon = {{ vertices_m = [{}] }} }}",
                corners.join(", ")
            )
        }),
    ];
    let bound = || prop_oneof![0.01..3.0_f64, Just(100.0)];
    let jerk = |key: &'static str| {
        proptest::option::of(0.05..50.0_f64)
            .prop_map(move |jerk| jerk.map_or(String::new(), |jerk| format!(", {key} = {jerk}")))
    };
    let differential = (bound(), 0.0..1.0_f64, bound(), bound(), bound(), jerk("max_jerk_mps3"), jerk("max_turn_jerk_radps3")).prop_map(
        |(v, back, w, a, b, j, k)| format!("{{ differential = {{ max_speed_mps = {v}, max_reverse_mps = {back}, max_turn_rate_radps = {w}, max_accel_mps2 = {a}, max_turn_accel_radps2 = {b}{j}{k} }} }}"));
    let omni = (bound(), bound(), bound(), bound(), jerk("max_jerk_mps3"), jerk("max_turn_jerk_radps3")).prop_map(
        |(v, w, a, b, j, k)| format!("{{ omni = {{ max_speed_mps = {v}, max_turn_rate_radps = {w}, max_accel_mps2 = {a}, max_turn_accel_radps2 = {b}{j}{k} }} }}"));
    let ackermann = (0.05..1.0_f64, 0.001..1.5_f64, bound(), bound(), 0.0..1.0_f64, bound(), jerk("max_jerk_mps3")).prop_map(
        |(l, s, r, v, back, a, j)| format!("{{ ackermann = {{ wheelbase_m = {l}, max_steering_rad = {s}, max_steering_rate_radps = {r}, max_speed_mps = {v}, max_reverse_mps = {back}, max_accel_mps2 = {a}{j} }} }}"));
    let drive = prop_oneof![differential, omni, ackermann];
    let or_off = |range: std::ops::Range<f64>| prop_oneof![Just(0.0), range];
    let actuation = (or_off(0.0..0.6), or_off(-0.9..0.9), or_off(0.0..0.5))
        .prop_map(|(d, s, n)| format!("{{ delay_secs = {d}, slip = {s}, slip_std = {n} }}"));
    let lidar = (
        (1..90_u32, 0.5..20.0_f64, 1.0..360.0_f64, any::<bool>()),
        (-0.4..0.4_f64, -0.4..0.4_f64, -4.0..4.0_f64),
        (or_off(0.0..2.0), or_off(0.0..0.2), or_off(0.0..1.0), or_off(0.0..1.0)),
        (or_off(0.0..0.7), or_off(0.0..0.9)),
    )
        .prop_map(|((n, range, view, full), (x, y, yaw), (r, b, d, q), (late, period))| {
            let view = if full { 360.0 } else { view };
            format!(
                "{{ beams = {n}, range_m = {range}, field_of_view_deg = {view}, position_m = [{x}, {y}], \
                 yaw_rad = {yaw}, range_noise_m = {r}, bearing_noise_rad = {b}, dropout = {d}, \
                 resolution_m = {q}, latency_secs = {late}, period_secs = {period} }}"
            )
        });
    let odometry = (or_off(0.0..1.0), or_off(0.0..1.0), or_off(0.0..1.0), 0.5..2.0_f64).prop_map(|(d, m, r, s)| {
        format!("{{ distance_noise_m = {d}, heading_noise_rad_per_m = {m}, heading_noise_rad_per_rad = {r}, distance_scale = {s} }}")
    });
    (
        footprint,
        drive,
        actuation,
        lidar,
        odometry,
        1..5_u32,
        1..4_u32,
        any::<bool>(),
    )
        .prop_map(
            |(footprint, drive, actuation, lidar, odometry, stack, physics, ends)| {
                vec![
                    format!("robot.footprint={footprint}"),
                    format!("robot.drive={drive}"),
                    format!("robot.actuation={actuation}"),
                    format!("robot.lidar={lidar}"),
                    format!("robot.odometry={odometry}"),
                    format!("observation.stack={stack}"),
                    format!("task.physics_steps={physics}"),
                    format!("task.contact_ends_episode={ends}"),
                    "reward.clearance={ scale = -0.1, margin_m = 0.3 }".to_owned(),
                ]
            },
        )
}

fn entry() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -1.0..1.0_f32,
        1 => Just(f32::NAN),
        1 => Just(f32::INFINITY),
        1 => Just(f32::NEG_INFINITY),
        1 => Just(f32::MAX),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever robot a scenario asks for and whatever it is told to do: nothing panics, every
    /// number seen is finite, and so is the world.
    #[test]
    fn no_robot_and_no_action_breaks_anything(
        robot in robot(), movers in any::<bool>(), episode in 0..1000_u64,
        actions in prop::collection::vec([entry(), entry(), entry()], 60),
    ) {
        let overrides: Vec<Override> = robot.iter().map(|flag| Override::parse(flag).unwrap()).collect();
        let name = if movers { "movers" } else { "reference" };
        let scenario = scenario::resolve(name, &overrides);
        let scenario = Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")));
        // Some robots are too large for some rooms.
        let Ok(mut env) = NavEnv::new(scenario, episode, Split::Train, 0) else {
            return Ok(());
        };
        let mut seen = vec![0.0; env.obs_layout().dim()];
        let mut frame = Frame::default();
        for (step, action) in actions.iter().cycle().take(180).enumerate() {
            let made = env.step(&action[..env.action_dim()]);
            env.observe(&mut seen);
            env.frame(&mut frame);
            prop_assert!(seen.iter().all(|number| number.is_finite()), "step {step}: {seen:?}");
            prop_assert!(made.reward.is_finite(), "step {step}: {made:?}");
            prop_assert!(made.outcome != Some(Outcome::NonFinite), "step {step}");
            let robot = &frame.robots[0];
            let state = [robot.position[0], robot.position[1], robot.heading_rad, robot.speed_mps,
                robot.side_speed_mps, robot.turn_rate_radps, robot.clearance_m];
            prop_assert!(state.iter().all(|number| number.is_finite()), "step {step}: {robot:?}");
            let range = robot.ranges_m.iter().copied().fold(0.0, f32::max);
            prop_assert!(range <= env.layout().robots[0].lidar_range);
            if made.outcome.is_some() {
                env.reset(env.episode() + 1);
            }
        }
    }
}
