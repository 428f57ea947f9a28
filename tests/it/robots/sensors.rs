//! Lidar scans and observations match the scenario's settings.

use evenkeel::env::NavEnv;
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;

use super::lone_robot;
use crate::helpers::scenario;

/// Snapshots of a robot that drives in the reference scenario, up to the end of its episode.
fn snapshots(overrides: &[&str], steps: usize) -> Vec<WorldSnapshot> {
    let mut all = vec!["task.contact_ends_episode=false"];
    all.extend(overrides);
    let mut env = NavEnv::new(scenario("reference", &all), 5, Split::Train, 0).unwrap();
    let mut snapshots = Vec::new();
    for step in 0..=steps {
        let mut snapshot = WorldSnapshot::default();
        env.snapshot(&mut snapshot);
        snapshots.push(snapshot);
        let turn = if step % 40 < 20 { 0.4 } else { -0.5 };
        if env.step(&[0.6, turn]).outcome.is_some() {
            break;
        }
    }
    snapshots
}

fn ranges(snapshots: &[WorldSnapshot]) -> Vec<&[f32]> {
    snapshots
        .iter()
        .map(|snapshot| &*snapshot.robots[0].ranges_m)
        .collect()
}

#[test]
fn latency_and_period_delay_and_hold_scans() {
    let exact = snapshots(&[], 120);
    let delayed = snapshots(&["robot.lidar.latency_secs=0.3"], 120);
    let periodic = snapshots(&["robot.lidar.period_secs=0.5"], 120);
    let both = snapshots(
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
            ranges(&delayed)[step],
            truth[step.saturating_sub(3)],
            "late, step {step}"
        );
        assert_eq!(
            ranges(&periodic)[step],
            truth[step / 5 * 5],
            "slow, step {step}"
        );
        let scan = step.saturating_sub(2) / 4 * 4;
        assert_eq!(ranges(&both)[step], truth[scan], "both, step {step}");
        // The true clearance does not change.
        assert_eq!(
            periodic[step].robots[0].clearance_m,
            exact[step].robots[0].clearance_m
        );
    }
}

#[test]
fn range_noise_has_the_given_deviation_and_zero_mean() {
    let exact = snapshots(&[], 400);
    let noisy = snapshots(&["robot.lidar.range_noise_m=0.05"], 400);
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for (truth, measured) in ranges(&exact).iter().zip(ranges(&noisy)) {
        for (truth, measured) in truth.iter().zip(measured) {
            if *truth >= 5.0 {
                assert_eq!(*measured, 5.0, "nothing was hit");
            } else if (0.3..4.7).contains(truth) {
                let error = f64::from(measured - truth);
                (count, sum, squares) = (count + 1.0, sum + error, squares + error * error);
            }
        }
    }
    let (mean, deviation) = (sum / count, (squares / count).sqrt());
    assert!(count > 5_000.0, "{count} readings");
    // Tolerances are four standard errors.
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
fn dropout_resolution_and_bearing_noise_match_their_settings() {
    let exact = snapshots(&[], 300);
    let truth = ranges(&exact);
    let dropped = snapshots(&["robot.lidar.dropout=0.1"], 300);
    let (mut hits, mut lost) = (0.0, 0.0);
    for (truth, measured) in truth.iter().zip(ranges(&dropped)) {
        for (truth, measured) in truth
            .iter()
            .zip(measured)
            .filter(|(truth, _)| **truth < 5.0)
        {
            assert!(measured == truth || *measured == 5.0);
            hits += 1.0;
            lost += f64::from(u8::from(*measured == 5.0));
        }
    }
    let spread = (0.1_f64 * 0.9 / hits).sqrt();
    assert!(
        (lost / hits - 0.1_f64).abs() < 4.0 * spread,
        "{lost} of {hits}"
    );

    let coarse = snapshots(&["robot.lidar.resolution_m=0.25"], 300);
    for (truth, measured) in truth.iter().zip(ranges(&coarse)) {
        for (truth, measured) in truth.iter().zip(measured) {
            assert!((measured - truth).abs() <= 0.1251);
            assert!(
                (measured / 0.25).fract() == 0.0 || *measured == 5.0,
                "{measured}"
            );
        }
    }

    // A beam with a bearing error reads the range in the wrong direction. In an empty arena the
    // direction can be computed back from the range to the wall.
    let overrides = [
        "robot.lidar.range_m=200",
        "robot.lidar.beams=720",
        "robot.lidar.bearing_noise_rad=0.02",
    ];
    let mut env = lone_robot(&overrides);
    let mut snapshot = WorldSnapshot::default();
    let (mut count, mut squares) = (0.0, 0.0);
    for _ in 0..50 {
        env.step(&[-1.0, 0.0]);
        env.snapshot(&mut snapshot);
        for (beam, measured) in snapshot.robots[0].ranges_m.iter().enumerate() {
            let angle = (beam as f64).to_radians() / 2.0;
            let aside = (f64::from(*measured).recip() * 50.0)
                .clamp(-1.0, 1.0)
                .acos();
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
fn mounted_lidar_measures_from_its_pose() {
    // The lidar is 0.2 m ahead of the centre and 0.1 m to the left, and turned left by 90 degrees,
    // in an arena of 100 m.
    let mut env = lone_robot(&[
        "robot.lidar={ beams = 3, range_m = 200.0, field_of_view_deg = 180.0, position_m = [0.2, 0.1], yaw_rad = 1.5707963 }",
    ]);
    let mut snapshot = WorldSnapshot::default();
    env.snapshot(&mut snapshot);
    let measured = &snapshot.robots[0].ranges_m;
    for (measured, expected) in measured.iter().zip([49.8, 49.9, 50.2]) {
        assert!(
            (measured - expected).abs() < 1e-3,
            "{measured}, not {expected}"
        );
    }
    assert!(
        (snapshot.robots[0].clearance_m - 49.8).abs() < 1e-4,
        "the clearance is measured from the robot"
    );
    env.step(&[1.0, 0.0]);
}

#[test]
fn noise_sources_have_independent_streams() {
    let alone = snapshots(&["robot.lidar.range_noise_m=0.05"], 60);
    let both = snapshots(
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
fn sectors_are_minima_and_stacks_are_newest_first() {
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
    let mut observation = vec![0.0; one.obs_layout().dim()];
    let mut stacked = vec![0.0; 4 * width];
    let mut history: Vec<Vec<f32>> = Vec::new();
    for step in 0..12_usize {
        one.observe(&mut observation);
        many.observe(&mut stacked);
        let pooled = observation[..72]
            .chunks(6)
            .map(|beams| beams.iter().copied().fold(1.0, f32::min));
        history.push(pooled.chain(observation[72..].iter().copied()).collect());
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
