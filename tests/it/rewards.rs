//! Reward terms that a scenario sets: they are what their names say, leave the other terms as they are,
//! are part of recordings' term lists, and arms may set them.

use evenkeel::config::Override;
use evenkeel::env::{NavEnv, reward_term_names};
use evenkeel::scenario::resolve;
use evenkeel::seed::Split;
use evenkeel::sim::WorldSnapshot;

#[cfg(feature = "learn")]
use crate::helpers::overrides;
use crate::helpers::scenario;

/// All optional terms with a scale of 1, linear where they have a shape.
const OPTIONAL: [&str; 6] = [
    "reward.heading.scale=1",
    "reward.turn_rate.scale=1",
    "reward.jerk.scale=1",
    "reward.mover_distance.scale=1",
    "reward.near_obstacle={ scale = 1.0, margin_m = 0.6 }",
    "reward.path_progress.scale=1",
];

fn action(step: usize) -> [f32; 2] {
    let entry = |factor: usize| ((step / 7 * factor) % 21) as f32 / 10.0 - 1.0;
    [entry(7), entry(13)]
}

#[test]
fn optional_terms_are_what_their_names_say() {
    let plain = scenario("movers", &["task.contact_ends_episode=false"]);
    let flags = [&["task.contact_ends_episode=false"], &OPTIONAL[..]].concat();
    let scenario = scenario("movers", &flags);
    assert_eq!(reward_term_names(&plain.spec.reward).len(), 5);
    let names = reward_term_names(&scenario.spec.reward);
    assert_eq!(names[5], "heading");
    let mut env = NavEnv::new(scenario.clone(), 4, Split::Eval, 0).unwrap();
    let mut other = NavEnv::new(plain, 4, Split::Eval, 0).unwrap();
    let goal = env.layout().robots[0].goal;
    let radius = env.layout().robots[0].radius;
    let dt_secs = scenario.spec.task.control_step_secs as f32;
    let mut snapshot = WorldSnapshot::default();
    let (mut speed, mut acceleration) = (0.0, 0.0);
    let mut near_steps = 0;
    for step in 0..120 {
        let result = env.step(&action(step));
        let base = other.step(&action(step));
        assert_eq!(result.terms[..5], base.terms[..5]);
        assert_eq!(base.terms[5..], [0.0; 6]);
        env.snapshot(&mut snapshot);
        let robot = &snapshot.robots[0];
        let to_goal = [goal.x - robot.position[0], goal.y - robot.position[1]];
        let mut angle = to_goal[1].atan2(to_goal[0]) - robot.heading_rad;
        angle = angle.sin().atan2(angle.cos()).abs();
        let now = (robot.speed_mps - speed) / dt_secs;
        let jerk = ((now - acceleration) / dt_secs).abs();
        (speed, acceleration) = (robot.speed_mps, now);
        let distances = snapshot.movers.iter().map(|mover| {
            let [x, y] = [0, 1].map(|axis| mover.position[axis] - robot.position[axis]);
            x.hypot(y) - mover.radius_m - radius
        });
        let mover = distances.fold(f32::INFINITY, f32::min);
        let expected = [angle, robot.turn_rate_radps.abs(), jerk, mover];
        for (index, expected) in expected.into_iter().enumerate() {
            let found = result.terms[5 + index];
            let close = (found - expected).abs() < 1e-3 * (1.0 + expected.abs());
            assert!(
                close,
                "step {step}, {}: {found}, not {expected}",
                names[5 + index]
            );
        }
        // The lidar sees at most what is there, so that it is near no more often.
        let is_near = result.terms[9] > 0.0;
        near_steps += usize::from(is_near);
        assert!(!is_near || (result.terms[9] - dt_secs).abs() < 1e-6);
        let sum: f32 = result.terms.iter().sum();
        assert!((result.reward - sum).abs() < 1e-6);
        if env.is_over() {
            break;
        }
    }
    assert!(near_steps > 0);
}

#[test]
fn path_progress_adds_up_to_the_path_that_was_driven() {
    let scenario = scenario("u_trap", &["reward.path_progress.scale=1"]);
    let mut env = NavEnv::new(scenario.clone(), 2, Split::Eval, 0).unwrap();
    let start = env.position();
    let mut sum = 0.0;
    for step in 0..60 {
        sum += env.step(&action(step)).terms[5];
        if env.is_over() {
            break;
        }
    }
    let moved = (env.position() - start).norm();
    assert!(sum.abs() <= 60.0 * 0.1 + 0.3, "{sum}");
    assert!(moved > 0.0);
}

#[test]
fn mistakes_in_terms_are_named() {
    let error = |flag: &str| {
        let flags = [Override::parse(flag).unwrap()];
        resolve("reference", &flags).unwrap_err().to_string()
    };
    let errors = [
        "reward.heading={}",
        "reward.heading={ scale = nan }",
        "reward.jerk={ scale = 1.0, shape = \"square\" }",
        "reward.jerk={ scale = 1.0, shape = { exponential = { width = 0.0 } } }",
        "reward.turn_rate={ scale = 1.0, shape = { clipped = { min = 2.0, max = 1.0 } } }",
        "reward.near_obstacle={ scale = 1.0, margin_m = 0 }",
    ]
    .map(error);
    insta::assert_snapshot!(errors.join("\n---\n"));
}

#[cfg(feature = "learn")]
#[test]
fn an_arm_sets_the_reward_and_a_flag_wins() {
    use evenkeel::config::Document;
    use evenkeel::learn::RunDefinition;

    let text = "reward = { time = -0.5, jerk = { scale = -0.002 } }\ntrain = { gamma = 0.9 }";
    let arm = Document::parse("arm", text).unwrap();
    let flags = overrides(&["reward.time=-0.25"]);
    let plain = scenario("reference", &["reward.time=-0.25"]);
    let definition = RunDefinition::new(plain.clone(), &arm, &flags, 1).unwrap();
    let reward = &definition.scenario.spec.reward;
    assert_eq!(reward_term_names(reward)[5..], ["jerk"]);
    assert!((reward.time + 0.25).abs() < 1e-12 && plain.spec.reward.jerk.is_none());
    assert!((definition.config.train.gamma - 0.9).abs() < 1e-12);
    let written = definition.config_toml().unwrap();
    assert!(
        written.contains("[reward.jerk]\nscale = -0.002"),
        "{written}"
    );

    // The rollout of a saved step has the reward that it has.
    let error = definition.with_remedy_of(&arm).unwrap_err().to_string();
    assert!(error.contains("`reward`"), "{error}");
    let wrong = Document::parse("arm", "reward = { jerk = { scale = nan } }").unwrap();
    assert!(RunDefinition::new(plain, &wrong, &[], 1).is_err());
}
