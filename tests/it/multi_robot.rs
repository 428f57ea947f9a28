//! Several robots in one world: lidar and contacts between robots, robots that end earlier than
//! others, metrics as means over worlds, and arbitrary actions.

#![expect(clippy::float_cmp, reason = "exact values are compared exactly")]

mod recordings;
#[cfg(feature = "learn")]
mod training;

use std::sync::Arc;

use evenkeel::config::Override;
use evenkeel::env::{
    Controller, NavEnv, Outcome, StepBuffers, StepResult, TeamController, VecEnv, VectorEnv,
};
use evenkeel::eval::{EvalOptions, evaluate};
use evenkeel::planners;
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::Split;
use evenkeel::sim::{CONTACT_DISTANCE, WorldSnapshot};
use nalgebra::{Point2, Vector2};
use proptest::prelude::*;

const BOX: &str = "robot.footprint={ box = { half_extents_m = [0.3, 0.15], center_m = [0.1, 0] } }";

fn swap(overrides: &[&str]) -> Arc<Scenario> {
    crate::helpers::scenario("swap", overrides)
}

fn environment(scenario: &Arc<Scenario>) -> NavEnv {
    NavEnv::new(Arc::clone(scenario), 3, Split::Eval, 0).expect("it can be placed")
}

fn snapshot(env: &NavEnv) -> WorldSnapshot {
    let mut world = WorldSnapshot::default();
    env.snapshot(&mut world);
    world
}

#[test]
fn lidars_measure_the_distance_to_other_robots() {
    // The walls are out of range.
    let scenario = swap(&[
        "robot.count=2",
        "robot.arrangement.circle_swap.radius_m=1.5",
        "arena.size_m=[30, 30]",
        "robot.lidar.beams=720",
    ]);
    let mut env = environment(&scenario);
    let mut steps = [StepResult::INACTIVE; 2];
    for step in 0..40 {
        env.step_all(&[0.3, 0.4, 0.1, -0.7], &mut steps);
        let world = snapshot(&env);
        for (robot, other) in [(0, 1), (1, 0)] {
            let me = &world.robots[robot];
            let offset = Vector2::from(world.robots[other].position) - Vector2::from(me.position);
            let (apart, radius) = (offset.norm(), env.layout().robots[0].radius);
            for (beam, &range) in me.ranges_m.iter().enumerate() {
                let angle = me.heading_rad + beam as f32 * std::f32::consts::TAU / 720.0;
                let ray = Vector2::new(angle.cos(), angle.sin());
                // Distance from the sensor to the near side of the other robot's circle.
                let chord = radius * radius - ray.perp(&offset).powi(2);
                let expected = if ray.dot(&offset) > 0.0 && chord >= 0.0 {
                    (ray.dot(&offset) - chord.sqrt()).min(5.0)
                } else {
                    5.0
                };
                let grazes = chord.abs() < 1e-4;
                assert!(
                    grazes || (range - expected).abs() < 1e-3,
                    "step {step}, robot {robot}, beam {beam}: {range} m, not {expected} m"
                );
            }
            let gap = apart - 2.0 * radius;
            assert!(
                (me.clearance_m - gap).abs() < 1e-5,
                "{} {gap}",
                me.clearance_m
            );
            assert_eq!(me.clearance_m, world.robots[other].clearance_m);
        }
    }
}

#[test]
fn lidars_see_the_footprints_of_other_robots() {
    let scenario = swap(&[
        "robot.count=2",
        "robot.arrangement.circle_swap.radius_m=1.5",
        "arena.size_m=[30, 30]",
        "robot.lidar.beams=1440",
        BOX,
    ]);
    let mut env = environment(&scenario);
    let mut steps = [StepResult::INACTIVE; 2];
    for _ in 0..40 {
        env.step_all(&[0.3, 0.9, 0.1, -0.7], &mut steps);
        let world = snapshot(&env);
        let footprints = [0, 1].map(|robot: usize| {
            let seen = &world.robots[robot];
            let heading = Vector2::new(seen.heading_rad.cos(), seen.heading_rad.sin());
            let footprint = env.layout().robots[robot].footprint.expect("a box");
            footprint.placed(seen.position.into(), heading)
        });
        for (robot, other) in [(0, 1), (1, 0)] {
            let seen = &world.robots[robot];
            let truth = footprints[other].distance_to_disc(Point2::from(seen.position), 0.0);
            let nearest = seen.ranges_m.iter().copied().fold(f32::MAX, f32::min);
            assert!(
                (truth - 1e-4..truth + 1e-2).contains(&nearest),
                "{nearest} m, but the other's nearest point is {truth} m away"
            );
            let gap = footprints[other].distance_to_footprint(&footprints[robot]);
            assert!((seen.clearance_m - gap).abs() < 1e-4);
        }
    }
}

/// Angle from a robot's heading to a point, radians, positive to the left.
fn bearing(env: &NavEnv, robot: usize, to: Point2<f32>) -> f32 {
    let now = &snapshot(env).robots[robot];
    let offset = to - Point2::from(now.position);
    let angle = offset.y.atan2(offset.x) - now.heading_rad;
    angle.sin().atan2(angle.cos())
}

#[test]
fn collision_ends_the_episode_of_both_robots() {
    for shape in ["task.goal_radius_m=0.3", BOX] {
        let circle = "robot.arrangement.circle_swap.radius_m=2";
        let scenario = swap(&["robot.count=2", circle, shape]);
        let mut env = environment(&scenario);
        let mut steps = [StepResult::INACTIVE; 2];
        for episode in 0..10 {
            env.reset(episode);
            while !env.is_over() {
                let goals = [0, 1].map(|robot: usize| env.layout().robots[robot].goal);
                let turns = [0, 1].map(|robot| bearing(&env, robot, goals[robot]));
                // Both first turn to their goals, and so to each other.
                let faces = turns.iter().all(|turn| turn.abs() < 0.01);
                let ahead = if faces || steps[0].reward > 0.0 {
                    1.0
                } else {
                    -1.0
                };
                env.step_all(&[ahead, turns[0], ahead, turns[1]], &mut steps);
            }
            let ends = [0, 1].map(|robot| (env.outcome(robot), env.robot_steps(robot)));
            assert_eq!(
                ends[0].0,
                Some(Outcome::CollisionMover),
                "episode {episode}"
            );
            assert_eq!(ends[1], ends[0], "episode {episode}");
            let scale = scenario.spec.reward.collision;
            for step in steps {
                assert!((f64::from(step.terms[2]) - scale).abs() < 1e-6);
            }
        }
    }
}

#[test]
fn robot_at_its_goal_is_not_moved_by_contacts() {
    // The first robot stands still until the other has reached its goal, then rams it.
    let scenario = swap(&[
        "robot.count=2",
        "robot.arrangement.circle_swap.radius_m=2",
        "task.contact_ends_episode=false",
        "task.time_limit_secs=60",
    ]);
    let mut env = environment(&scenario);
    let mut straight = planners::by_name("straight", &scenario, 0).unwrap();
    let act = |env: &NavEnv, straight: &mut dyn Controller, robot: usize| {
        let mut seen = vec![0.0; env.obs_layout().dim()];
        let mut action = [0.0; 2];
        env.observe_robot(robot, &mut seen);
        straight.act(&[robot], &seen, &mut action);
        action
    };
    let mut steps = [StepResult::INACTIVE; 2];
    let mut parked: Option<WorldSnapshot> = None;
    let mut contact_steps = 0;
    while !env.is_over() {
        let theirs = act(&env, straight.as_mut(), 1);
        let mine = if parked.is_some() {
            // Drive to the other robot.
            let now = snapshot(&env);
            let bearing = bearing(&env, 0, now.robots[1].position.into());
            contact_steps += u32::from(now.robots[0].contact);
            [if bearing.abs() < 0.3 { 1.0 } else { -1.0 }, bearing]
        } else {
            [-1.0, 0.0]
        };
        env.step_all(&[mine[0], mine[1], theirs[0], theirs[1]], &mut steps);
        let now = snapshot(&env);
        if let Some(parked) = &parked {
            assert_eq!(steps[1], StepResult::INACTIVE);
            assert_eq!(now.robots[1].position, parked.robots[1].position);
            assert_eq!(now.robots[1].heading_rad, parked.robots[1].heading_rad);
        } else if env.outcome(1).is_some() {
            assert_eq!(steps[1].outcome, Some(Outcome::Goal));
            parked = Some(now);
        }
    }
    assert!(
        parked.is_some() && contact_steps > 20,
        "in contact for {contact_steps} steps"
    );
}

#[test]
fn count_of_one_is_the_default() {
    let one = scenario::resolve("reference", &[]).unwrap();
    let with_count = Override::parse("robot.count=1").unwrap();
    let with_count = scenario::resolve("reference", &[with_count]).unwrap();
    assert_eq!(one.spec, with_count.spec);
}

#[test]
fn rows_are_inactive_until_their_world_resets() {
    const ROBOTS: usize = 3;
    let scenario = swap(&["robot.count=3", "task.time_limit_secs=5"]);
    let mut env = VecEnv::new(&scenario, 1, Split::Train, 4 * ROBOTS, 1).unwrap();
    let mut buffers = StepBuffers::new(4 * ROBOTS, env.obs_layout().dim());
    env.reset(&mut buffers);
    let mut inactive_steps = 0;
    let (mut ended, mut parts) = (vec![false; 4 * ROBOTS], 0);
    for step in 0..400_usize {
        let inactive = buffers.inactive.clone();
        let actions: Vec<f32> = (0..8 * ROBOTS)
            .map(|i| ((step / 10 * 37 + i * 101) as f32).sin())
            .collect();
        env.step(&actions, &mut buffers);
        for world in 0..4 {
            let rows = world * ROBOTS..(world + 1) * ROBOTS;
            for row in rows.clone() {
                if inactive[row] {
                    inactive_steps += 1;
                    assert_eq!((buffers.reward[row], buffers.outcome[row]), (0.0, None));
                }
                ended[row] |= buffers.outcome[row].is_some();
                parts += u64::from(buffers.outcome[row].is_some());
            }
            let over = ended[rows.clone()].iter().all(|&ended| ended);
            if over {
                ended[rows.clone()].fill(false);
            }
            for row in rows {
                assert_eq!(
                    buffers.inactive[row], ended[row],
                    "row {row} at step {step}"
                );
            }
        }
    }
    assert!(inactive_steps > 100, "{inactive_steps}");
    let stats = env.take_stats();
    assert_eq!(stats.episodes, parts);
    assert_eq!(stats.steps, 400 * 4 * ROBOTS as u64 - inactive_steps);
    let uneven = VecEnv::new(&scenario, 1, Split::Train, 4, 1).err().unwrap();
    assert_eq!(
        uneven.to_string(),
        "4 environments are not a multiple of the 3 robots of a world"
    );
}

#[test]
fn buffers_are_the_same_on_any_number_of_threads_and_after_a_restore() {
    let scenario = swap(&[
        "robot.lidar.range_noise_m=0.05",
        "robot.actuation.slip_std=0.1",
    ]);
    let count = scenario.spec.robot_count();
    let rows = 40 * count;
    let run = |threads: usize, restored: bool| {
        let mut env = VecEnv::new(&scenario, 5, Split::Train, rows, threads).unwrap();
        let mut buffers = StepBuffers::new(rows, env.obs_layout().dim());
        env.reset(&mut buffers);
        for step in 0..120_usize {
            if restored && step == 77 {
                let states = env.state();
                assert_eq!(states.len(), 40);
                env = VecEnv::new(&scenario, 5, Split::Train, rows, threads).unwrap();
                let (outcome, reward) = (buffers.outcome.clone(), buffers.reward.clone());
                env.restore(&states, &mut buffers).unwrap();
                (buffers.outcome, buffers.reward) = (outcome, reward);
            }
            let action = |i: usize| ((step / 8 * 53 + i * 17) as f32).sin();
            let actions: Vec<f32> = (0..2 * rows).map(action).collect();
            env.step(&actions, &mut buffers);
        }
        (
            buffers.obs,
            buffers.reward,
            buffers.outcome,
            buffers.inactive,
        )
    };
    let one = run(1, false);
    assert!(one.3.contains(&true), "some robot should be inactive");
    assert!(one == run(3, false), "three threads");
    assert!(one == run(2, true), "restored");
    // Each robot of a world has its own sensor noise.
    let env = environment(&scenario);
    let now = snapshot(&env);
    let rest = |robot: usize| &now.robots[robot].ranges_m;
    assert_ne!(rest(0), rest(1));
}

#[test]
fn planners_drive_every_robot() {
    for (name, least) in [
        ("orca", 0.95),
        ("dwa", 0.05),
        ("pursuit", 0.0),
        ("random", 0.0),
    ] {
        let scenario = swap(&["robot.count=4"]);
        let mut planner = planners::by_name(name, &scenario, 0).unwrap();
        let options = EvalOptions::for_report(name, 60);
        let report = evaluate(&scenario, planner.as_mut(), &options).unwrap();
        let success = report.summary.success.value;
        println!("{name}: {success}");
        assert!(success >= least, "{name}: {success}");
        assert_eq!(report.episodes.len(), 240);
        assert_eq!(report.summary.robots(), 4);
    }
}

#[test]
fn metrics_are_means_over_worlds_on_any_number_of_threads() {
    let scenario = swap(&["robot.count=3"]);
    let run = |threads: usize| {
        let options = EvalOptions {
            threads,
            ..EvalOptions::for_report("planner:dwa", 70)
        };
        let mut planner = planners::by_name("dwa", &scenario, 0).unwrap();
        evaluate(&scenario, planner.as_mut(), &options).unwrap()
    };
    let report = run(1);
    assert_eq!(report, run(3));
    let summary = &report.summary;
    assert_eq!((summary.episodes, summary.robots()), (70, 3));
    assert_eq!(summary.outcomes.iter().sum::<u64>(), 210);
    let share = summary.outcomes[0] as f64 / 210.0;
    assert!((summary.success.value - share).abs() < 1e-12);
    // The interval is that of 70 trials, not 210: robots of one world are not independent.
    let alone = evenkeel::stats::wilson_of_share(share, 70);
    assert!((summary.success.low - alone.low).abs() < 1e-12);
    for (index, row) in report.episodes.iter().enumerate() {
        assert_eq!(
            (row.episode, row.robot),
            (index as u64 / 3, index as u32 % 3)
        );
    }
}

#[test]
fn first_robot_is_evaluated_among_others() {
    let scenario = swap(&["robot.count=4"]);
    let named = |name: &str| planners::by_name(name, &scenario, 0).unwrap();
    let mut team = TeamController::new(named("orca"), named("orca"), 4);
    let options = EvalOptions {
        first_robot_only: true,
        ..EvalOptions::for_report("orca among orca", 30)
    };
    let among = evaluate(&scenario, &mut team, &options).unwrap();
    let options = EvalOptions::for_report("orca", 30);
    let all = evaluate(&scenario, named("orca").as_mut(), &options).unwrap();
    let first: Vec<_> = all
        .episodes
        .into_iter()
        .filter(|row| row.robot == 0)
        .collect();
    assert_eq!(
        among.episodes, first,
        "a team of one planner equals that planner"
    );
    let mut other = TeamController::new(named("orca"), named("straight"), 4);
    let options = EvalOptions {
        first_robot_only: true,
        ..options
    };
    let among_blind = evaluate(&scenario, &mut other, &options).unwrap();
    assert!(among_blind.summary.success.value < among.summary.success.value);
}

fn entry() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -1.0..1.0_f32,
        2 => Just(1.0),
        1 => Just(f32::NAN),
        1 => Just(f32::INFINITY),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    /// Under any actions of several robots nothing panics, all numbers are finite, robots hardly
    /// penetrate each other, and both robots of a contact notice it.
    #[test]
    fn random_actions_of_several_robots_are_safe(
        count in 2..7_usize, shape in 0..2_usize, ends in any::<bool>(), movers in any::<bool>(),
        episode in 0..1000_u64, physics in 1..3_u32,
        actions in prop::collection::vec(prop::collection::vec(entry(), 12), 40),
    ) {
        let mut settings = vec![
            format!("robot.count={count}"),
            format!("task.contact_ends_episode={ends}"),
            format!("task.physics_steps={physics}"),
            "robot.arrangement.circle_swap.radius_m=1.4".to_owned(),
        ];
        if shape == 1 {
            settings.push(BOX.to_owned());
        }
        if movers {
            settings.push("movers=[{ bouncing = { count = 2, radius_m = 0.2, speed_mps = 0.5 } }]".to_owned());
        }
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let mut env = environment(&swap(&settings));
        env.reset(episode);
        let mut seen = vec![0.0; env.obs_layout().dim()];
        let mut steps = vec![StepResult::INACTIVE; count];
        for (step, actions) in actions.iter().cycle().take(200).enumerate() {
            let was_inactive: Vec<bool> = (0..count).map(|robot| env.outcome(robot).is_some()).collect();
            env.step_all(&actions[..2 * count], &mut steps);
            let world = snapshot(&env);
            for (robot, result) in steps.iter().enumerate() {
                env.observe_robot(robot, &mut seen);
                prop_assert!(seen.iter().all(|number| number.is_finite()), "step {step}");
                prop_assert!(result.reward.is_finite());
                prop_assert!(result.outcome != Some(Outcome::NonFinite));
                if shape == 0 {
                    for other in 0..robot {
                        let at = |i: usize| Point2::from(world.robots[i].position);
                        let gap = (at(robot) - at(other)).norm() - 0.4;
                        // Movers do not give way and can press robots together, and a heap of
                        // robots that all push inwards presses those in its middle.
                        let least = match (movers, count) {
                            (true, _) => -0.15,
                            (false, 2) => -0.02,
                            (false, _) => -0.08,
                        };
                        prop_assert!(gap > least, "step {step}: {gap} m");
                        if gap < CONTACT_DISTANCE - 1e-5 && ends {
                            for one in [robot, other] {
                                let ended = was_inactive[one] || steps[one].outcome.is_some();
                                prop_assert!(ended, "step {step}: {gap} m");
                            }
                        }
                    }
                }
            }
            if env.is_over() {
                env.reset(env.episode() + 1);
            }
        }
    }
}
