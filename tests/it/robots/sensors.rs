//! What a lidar and an observation give, held to what the scenario says of them.

use evenkeel::env::NavEnv;
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;

use super::{alone, scenario};

/// Frames of a robot that drives through the reference room, for as long as its episode lasts.
fn frames(overrides: &[&str], steps: usize) -> Vec<WorldSnapshot> {
    let mut all = vec!["task.contact_ends_episode=false"];
    all.extend(overrides);
    let mut env = NavEnv::new(scenario("reference", &all), 5, Split::Train, 0).unwrap();
    let mut frames = Vec::new();
    for step in 0..=steps {
        let mut frame = WorldSnapshot::default();
        env.snapshot(&mut frame);
        frames.push(frame);
        let turn = if step % 40 < 20 { 0.4 } else { -0.5 };
        if env.step(&[0.6, turn]).outcome.is_some() {
            break;
        }
    }
    frames
}

fn ranges(frames: &[WorldSnapshot]) -> Vec<&[f32]> {
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
    let mut frame = WorldSnapshot::default();
    let (mut count, mut squares) = (0.0, 0.0);
    for _ in 0..50 {
        env.step(&[-1.0, 0.0]);
        env.snapshot(&mut frame);
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
    let mut frame = WorldSnapshot::default();
    env.snapshot(&mut frame);
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
