//! Planners reach the goals of the shipped scenarios. The bounds are below the success rates over a
//! thousand other episodes; the episodes here are fixed.

use evenkeel::eval::{EvalOptions, EvalReport, evaluate};
use evenkeel::planners::by_name;

fn evaluate_planner(planner: &str, scenario: &str, episodes: u64) -> EvalReport {
    let scenario = crate::helpers::scenario(scenario, &[]);
    let mut controller = by_name(planner, &scenario, 0).expect("a planner for it");
    let options = EvalOptions {
        seed: 11,
        ..EvalOptions::for_report(planner, episodes)
    };
    evaluate(&scenario, controller.as_mut(), &options).expect("episodes that can be placed")
}

#[test]
fn planners_reach_the_goals_of_the_shipped_scenarios() {
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
        let summary = evaluate_planner(planner, scenario, 60).summary;
        let rate = summary.success.value;
        assert!(rate >= bound, "{planner} in {scenario}: {rate}");
    }
}

#[test]
fn pursuit_follows_nearly_the_shortest_path() {
    let spl = evaluate_planner("pursuit", "reference", 60)
        .summary
        .spl
        .expect("geodesics");
    assert!(spl.value > 0.95, "{}", spl.value);
}

#[test]
fn planner_actions_depend_only_on_the_episode() {
    let alone = evaluate_planner("orca", "movers", 3);
    let among_many = evaluate_planner("orca", "movers", 70);
    assert_eq!(alone.episodes, among_many.episodes[..3]);
}
