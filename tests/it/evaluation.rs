//! Evaluation over held-out episodes, with the driver that needs no learning.

use std::process::{Command, Output};
use std::sync::Arc;

use evenkeel::config::Override;
use evenkeel::env::{NavEnv, Outcome};
use evenkeel::eval::{EvalError, EvalOptions, EvalReport, evaluate};
use evenkeel::planners;
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::Split;
use evenkeel::telemetry::DrivingQualitySummary;

fn scenario(name: &str) -> Arc<Scenario> {
    Arc::new(scenario::resolve(name, &[]).unwrap())
}

fn drive(name: &str, options: &EvalOptions) -> EvalReport {
    let scenario = scenario(name);
    let mut planner = planners::by_name("straight", &scenario, 0).unwrap();
    evaluate(&scenario, planner.as_mut(), options).unwrap()
}

#[test]
fn straight_through_a_cluttered_room_succeeds_sometimes() {
    let report = drive(
        "reference",
        &EvalOptions::for_report("planner:straight", 200),
    );
    let summary = &report.summary;
    assert_eq!(report.episodes.len(), 200);
    assert_eq!(summary.outcomes.iter().sum::<u64>(), 200);
    assert!(
        (0.02..0.9).contains(&summary.success.value),
        "{:?}",
        summary.success
    );
    let (spl, soft) = (summary.spl.unwrap().value, summary.soft_spl.unwrap().value);
    assert!(
        spl <= summary.success.value && spl < soft,
        "spl {spl}, soft {soft}"
    );
    for (number, row) in report.episodes.iter().enumerate() {
        assert_eq!(row.episode, number as u64);
        let shortest = row.geodesic_m.unwrap();
        if row.outcome == Outcome::Goal {
            assert!(
                row.path_m >= shortest - 0.01,
                "episode {number} beat the shortest path"
            );
            assert!(row.geodesic_remaining_m.unwrap() < 0.31);
        }
        assert!(shortest > 3.6, "start and goal are at least 4 m apart");
    }
}

#[test]
fn figures_do_not_depend_on_threads_nor_episodes_on_their_number() {
    let options = EvalOptions::for_report("planner:straight", 150);
    let one = drive("movers", &options);
    let four = drive(
        "movers",
        &EvalOptions {
            threads: 4,
            ..options.clone()
        },
    );
    assert_eq!(one, four);
    let fewer = drive(
        "movers",
        &EvalOptions {
            episodes: 70,
            ..options
        },
    );
    assert_eq!(one.episodes[..70], fewer.episodes);
    assert_eq!(one.traces, fewer.traces);
}

#[test]
fn episodes_for_choosing_are_not_those_reported() {
    let options = EvalOptions {
        traces: 3,
        ..EvalOptions::for_selection(3)
    };
    let choosing = drive("reference", &options);
    let reported = drive(
        "reference",
        &EvalOptions {
            split: Split::Eval,
            ..options
        },
    );
    for (a, b) in choosing.traces.iter().zip(&reported.traces) {
        assert_ne!(a.obstacles, b.obstacles);
    }
    assert_eq!(choosing.summary.spl, None);
}

#[test]
fn a_trace_holds_the_whole_way() {
    let report = drive("movers", &EvalOptions::for_report("planner:straight", 10));
    assert_eq!(report.traces.len(), 8);
    for (trace, row) in report.traces.iter().zip(&report.episodes) {
        assert_eq!((trace.episode, trace.outcome), (row.episode, row.outcome));
        assert_eq!(trace.poses.len(), row.length as usize + 1);
        assert_eq!(trace.mover_positions.len(), trace.poses.len());
        let end = trace.poses.last().unwrap();
        if row.outcome == Outcome::Goal {
            let (dx, dy) = (end[0] - trace.goal[0], end[1] - trace.goal[1]);
            assert!(dx.hypot(dy) <= trace.goal[2] + 1e-4);
        }
    }
}

/// Whatever the slot, the thread and the number of episodes: an episode's draws are its own.
#[test]
fn random_actions_come_to_the_same_however_they_are_evaluated() {
    let scenario = scenario("reference");
    let drive = |episodes: u64, threads: usize, seed: u64| {
        let options = EvalOptions {
            threads,
            seed,
            geodesic: false,
            ..EvalOptions::for_report("planner:random", episodes)
        };
        let mut planner = planners::by_name("random", &scenario, seed).unwrap();
        evaluate(&scenario, planner.as_mut(), &options).unwrap()
    };
    let (all, few) = (drive(150, 1, 0), drive(70, 3, 0));
    assert!(!all.deterministic);
    assert_eq!(all.episodes[..70], few.episodes);
    assert_ne!(all.episodes[..70], drive(70, 1, 1).episodes);
    let success = all.summary.success.value;
    assert!(success < 0.2, "by chance {success} reach the goal");
}

#[test]
fn no_episodes_give_an_empty_report() {
    let report = drive("reference", &EvalOptions::for_report("planner:straight", 0));
    assert_eq!((report.summary.episodes, report.summary.spl), (0, None));
}

#[test]
fn an_episode_without_room_ends_the_evaluation_by_name() {
    // The farther the goal must be, the fewer episodes find a place for it.
    let (scenario, missing) = (200..270)
        .find_map(|apart| {
            let apart = f64::from(apart) / 20.0;
            let set = format!("task.min_start_goal_distance_m={apart}");
            let set = Override::parse(&set).unwrap();
            let scenario = Arc::new(scenario::resolve("reference", &[set]).unwrap());
            let mut env = NavEnv::new(scenario.clone(), 0, Split::Eval, 0).ok()?;
            let missing = (1..20).find(|&episode| env.try_reset(episode).is_err())?;
            Some((scenario, missing))
        })
        .expect("some distance is too great for some episodes and not for the first");
    let mut planner = planners::by_name("straight", &scenario, 0).unwrap();
    let options = EvalOptions::for_report("planner:straight", 20);
    let error = evaluate(&scenario, planner.as_mut(), &options).unwrap_err();
    let EvalError::Unplaceable { episode, .. } = &error;
    assert_eq!(*episode, missing);
    let message = error.to_string();
    assert!(
        message.contains(&format!("held-out episode {missing} ")),
        "{message}"
    );
}

/// What a program reads must claim no more than what a person does.
#[test]
fn few_episodes_have_no_interval_of_a_mean() {
    let read = |episodes| {
        let options = EvalOptions::for_report("planner:straight", episodes);
        serde_json::to_value(drive("open_field", &options).summary).unwrap()
    };
    let (few, enough) = (read(4), read(5));
    for figure in ["spl", "time_to_goal_secs", "episodic_return"] {
        assert!(few[figure]["value"].is_number());
        assert!(few[figure]["low"].is_null() && few[figure]["high"].is_null());
        assert!(enough[figure]["low"].is_number() && enough[figure]["high"].is_number());
    }
    // Wilson's interval of a share holds for any number.
    assert!(few["success"]["low"].is_number());
}

#[test]
fn conduct_is_reported_and_files_without_it_are_read() {
    let options = EvalOptions::for_report("planner:straight", 40);
    assert!(
        summary_conduct(&drive("reference", &options))
            .proxemics
            .is_none()
    );
    let report = drive("movers", &options);
    let [intimate, personal, social] = summary_conduct(&report).proxemics.unwrap();
    assert!(intimate.value < personal.value && personal.value < social.value);
    assert!(Some(0.0) <= intimate.low && social.high <= Some(1.0));
    let rates = report.summary.outcome_rates.unwrap();
    assert!((rates.iter().map(|rate| rate.value).sum::<f64>() - 1.0).abs() < 1e-12);
    for row in &report.episodes {
        let driving_quality = row.driving_quality.as_ref().unwrap();
        assert!(
            row.min_clearance_m >= 0.2 || driving_quality.below_margin_secs > 0.0,
            "episode {}",
            row.episode
        );
        assert!(driving_quality.below_margin_secs <= row.time_secs + 1e-9);
    }

    let mut old = serde_json::to_value(&report).unwrap();
    let summary = old["summary"].as_object_mut().unwrap();
    summary.remove("driving_quality").unwrap();
    summary.remove("outcome_rates").unwrap();
    for row in old["episodes"].as_array_mut().unwrap() {
        row.as_object_mut()
            .unwrap()
            .remove("driving_quality")
            .unwrap();
    }
    let old: EvalReport = serde_json::from_value(old).unwrap();
    assert_eq!(old.summary.success, report.summary.success);
    assert_eq!(old.summary.driving_quality, None);
}

fn summary_conduct(report: &EvalReport) -> &DrivingQualitySummary {
    report.summary.driving_quality.as_ref().unwrap()
}

fn eval_with(set: &str) -> Output {
    Command::new(env!("CARGO_BIN_EXE_evenkeel"))
        .args(["eval", "planner:straight", "--scenario", "open_field"])
        .args(["--episodes", "3", "--json", "--set", set])
        .output()
        .expect("the program starts")
}

#[test]
fn the_command_changes_the_scenario_but_not_the_training() {
    let short = eval_with("task.time_limit_secs=1.0");
    let answer: serde_json::Value = serde_json::from_slice(&short.stdout).expect("one object");
    assert_eq!(answer["summary"]["length"]["value"], 10.0);

    let refused = eval_with("train.total_steps=1");
    let message = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{message}");
    assert!(
        message.contains("[train] says how a policy is trained"),
        "{message}"
    );
}
