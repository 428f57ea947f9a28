//! Evaluation over held-out episodes, with the driver that needs no learning.

use std::sync::Arc;

use evenkeel::drivers;
use evenkeel::env::Outcome;
use evenkeel::eval::{EvalOptions, EvalReport, evaluate};
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::Split;

fn scenario(name: &str) -> Arc<Scenario> {
    Arc::new(scenario::resolve(name, &[]).unwrap())
}

fn drive(name: &str, options: &EvalOptions) -> EvalReport {
    let scenario = scenario(name);
    let mut driver = drivers::by_name("straight", &scenario).unwrap();
    evaluate(&scenario, driver.as_mut(), options).unwrap()
}

#[test]
fn straight_through_a_cluttered_room_succeeds_sometimes() {
    let report = drive("reference", &EvalOptions::reported("driver:straight", 200));
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
            assert!(row.geodesic_left_m.unwrap() < 0.31);
        }
        assert!(shortest > 3.6, "start and goal are at least 4 m apart");
    }
}

#[test]
fn figures_do_not_depend_on_threads_nor_episodes_on_their_number() {
    let options = EvalOptions::reported("driver:straight", 150);
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
        ..EvalOptions::selecting(3)
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
    let report = drive("movers", &EvalOptions::reported("driver:straight", 10));
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

#[test]
fn no_episodes_give_an_empty_report() {
    let report = drive("reference", &EvalOptions::reported("driver:straight", 0));
    assert_eq!((report.summary.episodes, report.summary.spl), (0, None));
}
