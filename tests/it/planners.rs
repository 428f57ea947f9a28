//! Drivers without learning reach the goals of the shipped scenarios. The bounds are below what
//! was found over a thousand other episodes; what is played here is always the same.

use std::sync::Arc;

use evenkeel::eval::{EvalOptions, EvalReport, evaluate};
use evenkeel::planners::by_name;
use evenkeel::scenario::resolve;

fn drive(planner: &str, scenario: &str, episodes: u64) -> EvalReport {
    let scenario = Arc::new(resolve(scenario, &[]).expect("a shipped scenario"));
    let mut controller = by_name(planner, &scenario, 0).expect("a driver for it");
    let options = EvalOptions {
        seed: 11,
        ..EvalOptions::for_report(planner, episodes)
    };
    evaluate(&scenario, controller.as_mut(), &options).expect("episodes that can be placed")
}

#[test]
fn drivers_reach_the_goals_of_the_shipped_scenarios() {
    let bounds = [
        ("pursuit", "open_field", 1.0),
        ("pursuit", "reference", 1.0),
        ("pursuit", "corridor", 1.0),
        ("pursuit", "u_trap", 1.0),
        ("pursuit", "exploder", 1.0),
        ("orca", "reference", 1.0),
        ("orca", "corridor", 1.0),
        ("orca", "u_trap", 1.0),
        ("orca", "movers", 0.9),
        ("dwa", "open_field", 1.0),
        ("dwa", "reference", 0.97),
        ("dwa", "corridor", 0.95),
        ("dwa", "u_trap", 0.95),
        ("dwa", "exploder", 1.0),
    ];
    for (planner, scenario, bound) in bounds {
        let summary = drive(planner, scenario, 60).summary;
        let rate = summary.success.value;
        assert!(rate >= bound, "{planner} in {scenario}: {rate}");
    }
}

#[test]
fn a_planner_is_hardly_longer_under_way_than_the_shortest_path() {
    let spl = drive("pursuit", "reference", 60)
        .summary
        .spl
        .expect("geodesics");
    assert!(spl.value > 0.95, "{}", spl.value);
}

#[test]
fn what_a_planner_does_depends_on_the_episode_alone() {
    let alone = drive("orca", "movers", 3);
    let among_many = drive("orca", "movers", 70);
    assert_eq!(alone.episodes, among_many.episodes[..3]);
}
