//! Suites: frozen layouts, several policies, and the same figures whatever the number of jobs.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::compare::evenkeel;

const SUITE: &str = "\
# A small one.
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

/// What a command prints on stdout; its stderr in a panic where it fails.
fn answer(folder: &Path, args: &[&str]) -> String {
    let output = evenkeel(folder, args);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    String::from_utf8(output.stdout).unwrap()
}

fn diagnostic(folder: &Path, args: &[&str]) -> String {
    let output = evenkeel(folder, args);
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_suite_is_frozen_driven_by_several_and_refused_when_its_layouts_change() {
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
    let unfrozen = diagnostic(folder, &eval);
    assert!(unfrozen.contains("two.toml:8:"), "{unfrozen}");
    assert!(
        unfrozen.contains("evenkeel suite freeze two.toml"),
        "{unfrozen}"
    );

    answer(folder, &["suite", "freeze", "two.toml"]);
    let frozen = fs::read_to_string(&file).unwrap();
    assert_eq!(frozen.matches("layouts = ").count(), 2);
    let rest: Vec<&str> = frozen
        .lines()
        .filter(|l| !l.starts_with("layout_hash"))
        .collect();
    assert_eq!(
        rest,
        SUITE.lines().collect::<Vec<_>>(),
        "nothing else is touched"
    );

    let with = |more: &[&str]| answer(folder, &[&eval[..], more].concat());
    let one = with(&["--jobs", "1", "--json"]);
    assert_eq!(
        one,
        with(&["--jobs", "4", "--json"]),
        "whatever the number of jobs"
    );
    let report: Value = serde_json::from_str(&one).unwrap();
    let cells = report["cells"].as_array().unwrap();
    let seen: Vec<_> = cells
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
    assert_eq!(seen, [reference, reference, movers, movers]);
    // One scenario of a difficulty: the level's figures are the scenario's own.
    let level = &report["difficulties"][2]["metrics"][0]["average"]["value"];
    assert_eq!(*level, cells[2]["summary"]["success"]["value"]);

    with(&["--out", "page.html"]);
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
        "nothing is fetched"
    );

    fs::write(&file, frozen.replace("seed = 3", "seed = 4")).unwrap();
    let changed = diagnostic(folder, &eval);
    assert!(
        changed.contains("layouts of 'reference' changed"),
        "{changed}"
    );
    assert!(changed.contains("two.toml:10:"), "{changed}");
}

#[test]
fn several_policies_want_a_suite_and_a_suite_its_own_settings() {
    let folder = tempfile::tempdir().unwrap();
    let several = [
        "eval",
        "planner:dwa",
        "planner:orca",
        "--scenario",
        "reference",
    ];
    let told = diagnostic(folder.path(), &several);
    assert!(told.contains("only --suite drives several"), "{told}");
    let unknown = ["eval", "planner:dwa", "--suite", "galery"];
    let told = diagnostic(folder.path(), &unknown);
    assert!(told.contains("did you mean 'gallery'?"), "{told}");
    let both = [
        "eval",
        "planner:dwa",
        "--suite",
        "gallery",
        "--episodes",
        "5",
    ];
    let told = diagnostic(folder.path(), &both);
    assert!(told.contains("cannot be used with"), "{told}");
}
