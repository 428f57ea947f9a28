//! Drives a scenario for a few steps and checks what the simulation promises.

use std::sync::Arc;

use evenkeel::env::NavEnv;
use evenkeel::scenario::Scenario;
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;
use rand::{Rng as _, SeedableRng as _};

use crate::{check_message, oracles};

const STEPS: usize = 20;
const EPISODES: u64 = 2;

/// Checks the layouts of a scenario and drives its robots with random actions: observations are
/// finite, readings, clearances and contacts are those of the shapes (`oracles.rs`), and the same actions
/// give the same states again.
///
/// # Panics
/// If one of these does not hold.
pub(crate) fn check(scenario: Scenario) {
    if !is_small(&scenario) {
        return;
    }
    if let Err(error) = scenario.check_layouts() {
        return check_message(&error);
    }
    let scenario = Arc::new(scenario);
    let env = || NavEnv::new(Arc::clone(&scenario), 1, Split::Eval, 0);
    match (env(), env()) {
        (Ok(first), Ok(second)) => {
            assert_eq!(
                drive(first, true),
                drive(second, false),
                "the same actions gave other states"
            );
        }
        (Err(error), _) | (_, Err(error)) => check_message(&error),
    }
}

/// Whether a few steps take much less than a second.
fn is_small(scenario: &Scenario) -> bool {
    let spec = &scenario.spec;
    let beams: u32 = spec.robot.iter().map(|robot| robot.lidar.beams).sum();
    let robots = spec.robot_count();
    robots <= 8 && beams <= 1024
}

/// Drives a few episodes. Returns the hash of the state after each step. `compares` says whether the
/// world is compared with the oracles.
fn drive(mut env: NavEnv, compares: bool) -> Vec<u64> {
    let mut rng = rand_pcg::Pcg32::seed_from_u64(1);
    let (robots, width) = (env.robot_count(), env.action_dim());
    let mut actions = vec![0.0; robots * width];
    let mut steps = vec![evenkeel::env::StepResult::INACTIVE; robots];
    let mut observation = vec![0.0; env.obs_layout().dim()];
    let mut snapshot = WorldSnapshot::default();
    let mut hashes = Vec::new();
    for episode in 0..EPISODES {
        if env.try_reset(episode).is_err() {
            continue;
        }
        if compares {
            oracles::check_scans(&env, &mut rng.clone());
            oracles::check_paths(env.layout());
        }
        for step in 0..STEPS {
            // Each action is held for a few steps, so that robots reach their top speed.
            if step % 8 == 0 {
                for action in &mut actions {
                    *action = (rng.next_u32() as f32 / u32::MAX as f32).mul_add(2.4, -1.2);
                }
            }
            env.step_all(&actions, &mut steps);
            for (robot, result) in steps.iter().enumerate() {
                assert!(result.reward.is_finite(), "the reward is not finite");
                env.observe_robot(robot, &mut observation);
                assert!(
                    observation.iter().all(|value| value.is_finite()),
                    "an observation is not finite: {observation:?}"
                );
            }
            env.snapshot(&mut snapshot);
            if compares {
                oracles::check_step(&env, &snapshot);
            }
            hashes.push(env.state_hash());
            if env.is_over() {
                break;
            }
        }
    }
    hashes
}
