//! Suites: frozen layouts, several policies, and results that do not depend on the number of jobs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::helpers::{evenkeel_in, failure};

const SUITE: &str = "\
# A small suite.
version = 1
title = \"Two rooms\"
seed = 3
episodes = 12

[[scenario]]
scenario = \"reference\"
difficulty = \"moderate\"

[[scenario]]
scenario = \"movers\"
name = \"fast movers\"
difficulty = \"hard\"
set = [\"movers.0.bouncing.speed_mps=1.2\"]
episodes = 8
";

/// Runs a command that must succeed, and returns its stdout.
fn answer(folder: &Path, args: &[&str]) -> String {
    let output = evenkeel_in(folder, args);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn suite_is_frozen_evaluated_and_refused_when_layouts_change() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let file = folder.join("two.toml");
    fs::write(&file, SUITE).unwrap();
    let eval = [
        "eval",
        "planner:pursuit",
        "planner:straight",
        "--suite",
        "two.toml",
    ];
    let unfrozen = failure(folder, &eval);
    assert!(unfrozen.contains("two.toml:8:"), "{unfrozen}");
    assert!(
        unfrozen.contains("evenkeel suite freeze two.toml"),
        "{unfrozen}"
    );

    answer(folder, &["suite", "freeze", "two.toml"]);
    let frozen = fs::read_to_string(&file).unwrap();
    assert_eq!(frozen.matches("layout_hash = ").count(), 2);
    let rest: Vec<&str> = frozen
        .lines()
        .filter(|l| !l.starts_with("layout_hash"))
        .collect();
    assert_eq!(
        rest,
        SUITE.lines().collect::<Vec<_>>(),
        "all other lines are unchanged"
    );

    let eval_with = |more: &[&str]| answer(folder, &[&eval[..], more].concat());
    let one = eval_with(&["--jobs", "1", "--json"]);
    assert_eq!(
        one,
        eval_with(&["--jobs", "4", "--json"]),
        "the number of jobs changes the result"
    );
    let report: Value = serde_json::from_str(&one).unwrap();
    let cells = report["cells"].as_array().unwrap();
    let counts: Vec<_> = cells
        .iter()
        .map(|cell| {
            (
                cell["scenario"].as_str(),
                cell["summary"]["episodes"].as_u64(),
            )
        })
        .collect();
    let reference = (Some("reference"), Some(12));
    let movers = (Some("fast movers"), Some(8));
    assert_eq!(counts, [reference, reference, movers, movers]);
    // The difficulty has one scenario, so its metrics are those of the scenario.
    let level = &report["difficulties"][2]["metrics"][0]["average"]["value"];
    assert_eq!(*level, cells[2]["summary"]["success"]["value"]);

    eval_with(&["--out", "page.html"]);
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    for name in [
        "Two rooms",
        "fast movers",
        "planner:pursuit",
        "oscillating at some time",
    ] {
        assert!(page.contains(name), "{name}");
    }
    assert!(
        !page.contains("http://") && !page.contains("https://"),
        "the page needs no network"
    );

    fs::write(&file, frozen.replace("seed = 3", "seed = 4")).unwrap();
    let changed = failure(folder, &eval);
    assert!(
        changed.contains("layouts of 'reference' changed"),
        "{changed}"
    );
    assert!(changed.contains("two.toml:10:"), "{changed}");
}

#[test]
fn several_policies_need_a_suite() {
    let folder = tempfile::tempdir().unwrap();
    let several = [
        "eval",
        "planner:dwa",
        "planner:orca",
        "--scenario",
        "reference",
    ];
    let stderr = failure(folder.path(), &several);
    assert!(
        stderr.contains("only --suite evaluates several"),
        "{stderr}"
    );
    let unknown = ["eval", "planner:dwa", "--suite", "galery"];
    let stderr = failure(folder.path(), &unknown);
    assert!(stderr.contains("did you mean 'gallery'?"), "{stderr}");
    let both = [
        "eval",
        "planner:dwa",
        "--suite",
        "gallery",
        "--episodes",
        "5",
    ];
    let stderr = failure(folder.path(), &both);
    assert!(stderr.contains("cannot be used with"), "{stderr}");
}
