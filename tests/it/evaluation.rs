//! Evaluation on held-out episodes, with planners.

use std::process::Output;

use evenkeel::env::{NavEnv, Outcome};
use evenkeel::eval::{EvalError, EvalOptions, EvalReport, evaluate};
use evenkeel::planners;
use evenkeel::seed::Split;
use evenkeel::telemetry::DrivingQualitySummary;

use crate::helpers::{self, evenkeel};

fn drive(name: &str, options: &EvalOptions) -> EvalReport {
    let scenario = helpers::scenario(name, &[]);
    let mut planner = planners::by_name("straight", &scenario, 0).unwrap();
    evaluate(&scenario, planner.as_mut(), options).unwrap()
}

#[test]
fn straight_planner_succeeds_sometimes_in_clutter() {
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
fn results_do_not_depend_on_threads_or_episode_count() {
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
fn selection_and_report_use_different_episodes() {
    let options = EvalOptions {
        traces: 3,
        ..EvalOptions::for_selection(3)
    };
    let selection = drive("reference", &options);
    let reported = drive(
        "reference",
        &EvalOptions {
            split: Split::Eval,
            ..options
        },
    );
    for (a, b) in selection.traces.iter().zip(&reported.traces) {
        assert_ne!(a.obstacles, b.obstacles);
    }
    assert_eq!(selection.summary.spl, None);
}

#[test]
fn traces_hold_whole_episodes() {
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

/// The actions of an episode do not depend on slot, thread or number of episodes.
#[test]
fn random_actions_depend_only_on_seed_and_episode() {
    let scenario = helpers::scenario("reference", &[]);
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
    assert!(success < 0.2, "random actions reach the goal in {success}");
}

#[test]
fn no_episodes_give_an_empty_report() {
    let report = drive("reference", &EvalOptions::for_report("planner:straight", 0));
    assert_eq!((report.summary.episodes, report.summary.spl), (0, None));
}

#[test]
fn unplaceable_episode_is_named_in_the_error() {
    // With a larger minimum distance, fewer episodes have a place for the goal.
    let (scenario, missing) = (200..270)
        .find_map(|distance| {
            let distance = f64::from(distance) / 20.0;
            let set = format!("task.min_start_goal_distance_m={distance}");
            let scenario = helpers::scenario("reference", &[&set]);
            let mut env = NavEnv::new(scenario.clone(), 0, Split::Eval, 0).ok()?;
            let missing = (1..20).find(|&episode| env.try_reset(episode).is_err())?;
            Some((scenario, missing))
        })
        .expect("some distance is too large for a later episode, but not for the first");
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

/// JSON must not claim more than the text output.
#[test]
fn means_over_few_episodes_have_no_interval() {
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
    // Wilson's interval of a share is valid for any number of trials.
    assert!(few["success"]["low"].is_number());
}

#[test]
fn driving_quality_is_reported_and_optional_in_files() {
    let options = EvalOptions::for_report("planner:straight", 40);
    assert!(
        driving_quality(&drive("reference", &options))
            .proxemics
            .is_none()
    );
    let report = drive("movers", &options);
    let [intimate, personal, social] = driving_quality(&report).proxemics.unwrap();
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

    let mut older = serde_json::to_value(&report).unwrap();
    let summary = older["summary"].as_object_mut().unwrap();
    summary.remove("driving_quality").unwrap();
    summary.remove("outcome_rates").unwrap();
    for row in older["episodes"].as_array_mut().unwrap() {
        row.as_object_mut()
            .unwrap()
            .remove("driving_quality")
            .unwrap();
    }
    let older: EvalReport = serde_json::from_value(older).unwrap();
    assert_eq!(older.summary.success, report.summary.success);
    assert_eq!(older.summary.driving_quality, None);
}

fn driving_quality(report: &EvalReport) -> &DrivingQualitySummary {
    report.summary.driving_quality.as_ref().unwrap()
}

fn eval_with(set: &str) -> Output {
    let mut command = evenkeel(&["eval", "planner:straight", "--scenario", "open_field"]);
    command.args(["--episodes", "3", "--json", "--set", set]);
    command.output().expect("the program starts")
}

#[test]
fn set_changes_the_scenario_but_not_the_training() {
    let short = eval_with("task.time_limit_secs=1.0");
    let answer: serde_json::Value = serde_json::from_slice(&short.stdout).expect("one object");
    assert_eq!(answer["summary"]["length"]["value"], 10.0);

    let output = eval_with("train.total_steps=1");
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(
        message.contains("[train] is a training setting"),
        "{message}"
    );
}
