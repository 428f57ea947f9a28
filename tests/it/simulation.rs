//! The environments: determinism, contacts and kinematics.

use std::sync::Arc;

use evenkeel::env::{NavEnv, Outcome, StepBuffers, StepResult, VecEnv, VectorEnv};
use evenkeel::scenario::{Scenario, shipped_scenarios};
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;

use crate::helpers::scenario;

/// Actions that differ from step to step and from environment to environment.
fn action(env: usize, step: usize) -> [f32; 2] {
    let phase = env as f32 * 1.7 + (step / 10) as f32 * 0.9;
    [0.4 + 0.6 * phase.sin(), (phase * 1.3).cos()]
}

/// Bits of all observations and rewards of `steps` vector steps.
fn trajectory(scenario: &Arc<Scenario>, envs: usize, threads: usize, steps: usize) -> Vec<u32> {
    let mut vec = VecEnv::new(scenario, 3, Split::Train, envs, threads).unwrap();
    let mut buffers = StepBuffers::new(envs, vec.obs_layout().dim());
    vec.reset(&mut buffers);
    let mut bits = Vec::new();
    for step in 0..steps {
        let actions: Vec<f32> = (0..envs).flat_map(|env| action(env, step)).collect();
        vec.step(&actions, &mut buffers);
        bits.extend(
            buffers
                .obs
                .iter()
                .chain(&buffers.reward)
                .map(|v| v.to_bits()),
        );
    }
    let stats = vec.take_stats();
    assert!(stats.episodes > 0, "the trajectories should cross resets");
    bits.push(stats.return_sum.to_bits() as u32);
    bits
}

#[test]
fn one_two_and_four_threads_give_the_same_bits() {
    for name in ["reference", "movers", "exploder"] {
        let scenario = scenario(name, &[]);
        let one = trajectory(&scenario, 40, 1, 300);
        assert!(
            one == trajectory(&scenario, 40, 2, 300),
            "{name}: two threads differ"
        );
        assert!(
            one == trajectory(&scenario, 40, 4, 300),
            "{name}: four threads differ"
        );
    }
}

/// FNV-1a hash of all observations and rewards of 400 steps of eight environments. The actions use
/// integer arithmetic only.
fn fingerprint(name: &str, overrides: &[&str]) -> u64 {
    let scenario = scenario(name, overrides);
    let envs = 8;
    let mut vec = VecEnv::new(&scenario, 11, Split::Eval, envs, 1).unwrap();
    let mut buffers = StepBuffers::new(envs, vec.obs_layout().dim());
    vec.reset(&mut buffers);
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for step in 0..400_usize {
        let act = |entry: usize| (entry * 7 + (step / 10) * 13) % 21;
        let actions: Vec<f32> = (0..envs * vec.action_dim())
            .map(|entry| act(entry) as f32 / 10.0 - 1.0)
            .collect();
        vec.step(&actions, &mut buffers);
        let values = buffers.obs.iter().chain(&buffers.reward);
        for byte in values.flat_map(|value| value.to_le_bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    hash
}

#[test]
fn trajectories_match_the_frozen_hashes() {
    // These hashes are frozen: a feature that is turned off must not change a bit.
    let published = [
        ("reference", &[][..], 0x1eb6_cf17_17f5_2118_u64),
        (
            "reference",
            &["task.contact_ends_episode=false"],
            0x22e6_7907_984d_c65d,
        ),
        ("movers", &[], 0x796a_3567_9bf7_327f),
        ("exploder", &[], 0xa4c7_3ee6_ea4f_281d),
        ("u_trap", &[], 0xe75e_37cf_f2d0_87ec),
        ("corridor", &[], 0xd028_2803_b862_c008),
    ];
    let changed: Vec<String> = published
        .iter()
        .map(|&(name, overrides, frozen)| (name, overrides, frozen, fingerprint(name, overrides)))
        .filter(|(_, _, frozen, found)| frozen != found)
        .map(|(name, overrides, _, found)| format!("{name} {overrides:?}: {found:#x}"))
        .collect();
    assert!(changed.is_empty(), "{changed:#?}");
}

/// Drives one episode to its end, or for 200 steps, and returns all states.
fn drive(env: &mut NavEnv) -> Vec<Vec<u32>> {
    let mut states = vec![env.state_bits()];
    for step in 0..200 {
        let ended = env.step(&action(0, step)).outcome.is_some();
        states.push(env.state_bits());
        if ended {
            break;
        }
    }
    states
}

#[test]
fn episodes_are_independent() {
    for (name, overrides) in [
        ("reference", &[][..]),
        ("reference", &["task.contact_ends_episode=false"]),
        ("movers", &["task.contact_ends_episode=false"]),
    ] {
        let scenario = scenario(name, overrides);
        let mut used = NavEnv::new(Arc::clone(&scenario), 9, Split::Train, 2).unwrap();
        for episode in 0..20 {
            used.reset(episode);
            drive(&mut used);
        }
        used.reset(20);
        let mut fresh = NavEnv::new(Arc::clone(&scenario), 9, Split::Train, 2).unwrap();
        fresh.reset(20);
        assert_eq!(drive(&mut used), drive(&mut fresh), "{name} {overrides:?}");
    }
}

#[test]
fn saved_state_is_restored_bit_for_bit() {
    for name in ["reference", "movers", "exploder"] {
        let scenario = scenario(name, &["task.contact_ends_episode=false"]);
        let envs = 20;
        let mut first = VecEnv::new(&scenario, 1, Split::Train, envs, 1).unwrap();
        let mut buffers = StepBuffers::new(envs, first.obs_layout().dim());
        first.reset(&mut buffers);
        let actions = |step| {
            (0..envs)
                .flat_map(|env| action(env, step))
                .collect::<Vec<f32>>()
        };
        for step in 0..537 {
            first.step(&actions(step), &mut buffers);
        }
        let mut second = VecEnv::new(&scenario, 1, Split::Train, envs, 2).unwrap();
        let mut restored = StepBuffers::new(envs, second.obs_layout().dim());
        second.restore(&first.state(), &mut restored).unwrap();
        assert_eq!(buffers.obs, restored.obs, "{name}: at the restored step");
        for step in 537..700 {
            first.step(&actions(step), &mut buffers);
            second.step(&actions(step), &mut restored);
            assert_eq!(buffers.obs, restored.obs, "{name}: step {step}");
            assert_eq!(buffers.outcome, restored.outcome, "{name}: step {step}");
        }
    }
}

#[test]
fn robot_slides_along_a_wall() {
    let scenario = scenario(
        "open_field",
        &[
            "task.contact_ends_episode=false",
            "robot.0.start={ at = { position_m = [8.0, 5.0] } }",
            "robot.0.goal={ at = { position_m = [1.0, 1.0] } }",
            // At an angle into the right wall at x = 10.
            "robot.0.start_heading_rad=0.6",
        ],
    );
    let mut env = NavEnv::new(scenario, 0, Split::Train, 0).unwrap();
    let mut snapshot = WorldSnapshot::default();
    let mut touched = 0;
    for _ in 0..80 {
        env.step(&[1.0, 0.0]);
        env.snapshot(&mut snapshot);
        let robot = &snapshot.robots[0];
        assert!(
            robot.position[0] <= 9.8 + 2e-3,
            "inside the wall at x = {}",
            robot.position[0]
        );
        touched += u32::from(robot.contact);
    }
    assert!(touched > 20, "in contact for {touched} steps");
    let [x, y] = snapshot.robots[0].position;
    assert!(x > 9.79, "stopped {} m short of the wall", 9.8 - x);
    assert!(y > 7.0, "slid along the wall to y = {y} only");
}

#[test]
fn free_motion_follows_the_closed_forms() {
    let place = [
        "robot.0.start={ at = { position_m = [2.0, 3.0] } }",
        "robot.0.goal={ at = { position_m = [9.0, 9.0] } }",
        "robot.0.start_heading_rad=0.0",
        "task.contact_ends_episode=false",
    ];
    // Straight: 1 m/s² up to 1 m/s in steps of 0.1 s. The first ten steps take 0.55 m, then the speed
    // is 1 m/s.
    let straight = scenario("open_field", &place);
    let mut env = NavEnv::new(Arc::clone(&straight), 0, Split::Train, 0).unwrap();
    for _ in 0..30 {
        env.step(&[1.0, 0.0]);
    }
    let end = env.position();
    assert!(
        (end.x - (2.0 + 0.55 + 2.0)).abs() < 1e-4 && (end.y - 3.0).abs() < 1e-4,
        "{end}"
    );

    // A circle of radius v/ω = 1 m / 2 = 0.5 m, once the turn rate is reached.
    let mut env = NavEnv::new(straight, 0, Split::Train, 0).unwrap();
    let mut snapshot = WorldSnapshot::default();
    let mut points = Vec::new();
    for step in 0..60 {
        env.step(&[1.0, 1.0]);
        if step >= 15 {
            points.push(env.position());
        }
    }
    env.snapshot(&mut snapshot);
    assert!((snapshot.robots[0].speed_mps - 1.0).abs() < 1e-4);
    let middle = points
        .iter()
        .take(31)
        .fold(nalgebra::Vector2::zeros(), |sum, p| sum + p.coords);
    let middle = nalgebra::Point2::from(middle / 31.0);
    for point in &points {
        let radius = (point - middle).norm();
        assert!((radius - 0.5).abs() < 0.02, "radius {radius}");
    }
}

#[test]
fn every_shipped_scenario_accepts_any_action() {
    for shipped in shipped_scenarios() {
        let scenario = scenario(shipped.name, &[]);
        let mut env = NavEnv::new(Arc::clone(&scenario), 0, Split::Train, 0).unwrap();
        let mut observation = vec![0.0; env.obs_layout().dim()];
        let extreme = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -0.3, 0.9];
        let mut steps = vec![StepResult::INACTIVE; env.robot_count()];
        for step in 0..2_000 {
            let action = [extreme[step % 6], extreme[(step / 7) % 6]];
            env.step_all(&action.repeat(steps.len()), &mut steps);
            for (robot, result) in steps.iter().enumerate() {
                env.observe_robot(robot, &mut observation);
                assert!(
                    observation.iter().all(|v| v.is_finite()),
                    "{} step {step}",
                    shipped.name
                );
                let invalid = [Outcome::NonFinite, Outcome::OutOfBounds];
                assert!(
                    !result
                        .outcome
                        .is_some_and(|outcome| invalid.contains(&outcome)),
                    "{} step {step}",
                    shipped.name
                );
            }
            if env.is_over() {
                env.reset(env.episode() + 1);
            }
        }
    }
}
