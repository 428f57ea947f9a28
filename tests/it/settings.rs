//! Training settings and scenarios that cannot work, or are not what they seem: each is refused with
//! the reason, or the user is told first.

use std::path::Path;

use serde_json::Value;

use crate::helpers::{answer, evenkeel_in, failure, text};

/// A training of one or two iterations, without evaluations.
const TRAIN: [&str; 14] = [
    "train",
    "open_field",
    "--envs",
    "16",
    "--steps",
    "2k",
    "--episodes",
    "0",
    "--progress",
    "none",
    "--set",
    "train.eval_every=0",
    "--out",
    "run",
];

fn train_with(folder: &Path, extra: &[&str]) -> Value {
    answer(folder, &[&TRAIN[..], extra, &["--json"]].concat())
}

fn failed_training(extra: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let message = failure(folder.path(), &[&TRAIN[..], extra].concat());
    assert!(!folder.path().join("run").exists(), "{message}");
    message
}

#[test]
fn a_setting_that_a_flag_replaces_is_checked_all_the_same() {
    let errors = [
        failed_training(&["--set", "train.num_envs=-32"]),
        failed_training(&["--set", "train.threads=banana", "--threads", "1"]),
        failed_training(&["--set", "train.total_steps=0"]),
        failed_training(&["--set", "train.gamma=2", "--set", "train.gamma=0.9"]),
    ];
    insta::assert_snapshot!(errors.concat(), @r#"
    error: --set train.num_envs=-32: train.num_envs: expected a whole number, 0 or more, found -32
    error: --set train.threads=banana: train.threads: expected a whole number, 0 or more, found the text "banana"
    error: --set train.total_steps=0: `train.total_steps` is 0; it must be a whole number from 1 to 1000000000000
    error: --set train.gamma=2: `train.gamma` is 2; it must be from 0 to 1
    "#);
    let folder = tempfile::tempdir().unwrap();
    train_with(folder.path(), &["--set", "train.num_envs=8"]);
}

#[test]
fn a_rollout_of_one_step_is_refused() {
    let one = [
        "--envs",
        "1",
        "--set",
        "train.horizon=1",
        "--set",
        "train.minibatches=1",
    ];
    let mut args = TRAIN.to_vec();
    args.drain(2..4);
    let folder = tempfile::tempdir().unwrap();
    let message = failure(folder.path(), &[&args[..], &one].concat());
    assert!(message.contains("the actor never learns"), "{message}");
}

#[test]
fn more_threads_than_help_are_not_started_and_the_user_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let eval = ["eval", "planner:straight", "--scenario", "open_field"];
    let many = [&eval[..], &["--episodes", "4", "--threads", "100000"]].concat();
    let output = evenkeel_in(folder.path(), &many);
    assert!(output.status.success());
    let warning = text(&output.stderr);
    assert!(
        warning.starts_with("warning: 100000 threads are requested and "),
        "{warning}"
    );
    let output = evenkeel_in(
        folder.path(),
        &[&TRAIN[..], &["--threads", "1024"]].concat(),
    );
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("warning: 1024 threads"));
}

#[test]
fn an_incident_with_numbers_that_are_not_finite_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let trained = train_with(
        folder.path(),
        &["--set", "policy.init={ normal = { std = 1e38 } }"],
    );
    assert_eq!(trained["status"], "diverged");
    let incidents = folder.path().join("run/incidents");
    let incident = std::fs::read_dir(incidents).unwrap().next().unwrap();
    let manifest = std::fs::read_to_string(incident.unwrap().path().join("incident.json"));
    assert!(manifest.unwrap().contains("\"initial_norm\": \"inf\""));
    let autopsy = answer(folder.path(), &["autopsy", "run", "--json"]);
    assert!(autopsy["page"].as_str().is_some(), "{autopsy}");
}

#[test]
fn a_count_that_no_run_reaches_is_refused_when_a_run_is_resumed() {
    let folder = tempfile::tempdir().unwrap();
    train_with(folder.path(), &[]);
    let state = folder.path().join("run/checkpoints/last/state.json");
    let written = std::fs::read_to_string(&state).unwrap();
    let value: Value = serde_json::from_str(&written).unwrap();
    for key in ["iteration", "global_step", "optimiser_step", "steps_taken"] {
        let mut damaged = value.clone();
        damaged[key] = u64::MAX.into();
        std::fs::write(&state, damaged.to_string()).unwrap();
        let message = failure(
            folder.path(),
            &[
                "train",
                "--resume",
                "run",
                "--steps",
                "8k",
                "--progress",
                "none",
            ],
        );
        let expected = format!("`{key}` is 18446744073709551615, which is more than");
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn another_robot_than_in_training_is_named_before_it_is_scored() {
    let folder = tempfile::tempdir().unwrap();
    train_with(folder.path(), &[]);
    let eval = ["eval", "run", "--episodes", "2"];
    let own = evenkeel_in(folder.path(), &eval);
    assert_eq!(text(&own.stderr), "");
    let half = ["--set", "robot.lidar.field_of_view_deg=180"];
    let other = evenkeel_in(folder.path(), &[&eval[..], &half].concat());
    let warning = text(&other.stderr);
    assert!(other.status.success(), "{warning}");
    insta::assert_snapshot!(warning, @"warning: run was trained with another robot than that of scenario 'open_field': robot.lidar.field_of_view_deg: 360, here 180");
}

#[test]
fn a_comparison_is_not_continued_in_a_changed_scenario() {
    let folder = tempfile::tempdir().unwrap();
    let shipped = evenkeel::scenario::shipped_scenarios()
        .iter()
        .find(|shipped| shipped.name == "open_field")
        .expect("it is shipped");
    let file = folder.path().join("mine.toml");
    std::fs::write(&file, shipped.text).unwrap();
    let compare = |seeds: &str| -> Vec<String> {
        let words = [
            "compare",
            "mine.toml",
            "--arms",
            "clipped",
            "--seeds",
            seeds,
        ];
        let rest = ["--steps", "1k", "--episodes", "2", "--out", "c"];
        let set = ["--set", "train.num_envs=16"];
        [&words[..], &rest, &set]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect()
    };
    let run = |seeds: &str| {
        let args = compare(seeds);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        evenkeel_in(folder.path(), &args)
    };
    let first = run("1");
    assert!(first.status.success(), "{}", text(&first.stderr));
    let again = run("1");
    assert!(again.status.success(), "{}", text(&again.stderr));
    let edited = shipped.text.replace("range_m", "range_m = 3.5 #");
    assert_ne!(edited, shipped.text);
    std::fs::write(&file, edited).unwrap();
    let refused = run("2");
    let message = text(&refused.stderr);
    assert!(!refused.status.success());
    let expected = "the scenario has changed since the runs here were started: `robot.0.lidar.range_m`; \
                    undo the change, or choose another --out";
    assert!(message.contains(expected), "{message}");
    assert!(!folder.path().join("c/clipped__s2").exists());
}
