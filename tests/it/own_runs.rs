//! A user's own runs, compared, reported and named by `@last`.

use std::fs;
use std::path::Path;

use evenkeel::runs::{Comparison, RunDir, RunInfo, RunStatus};
use serde_json::Value;

use crate::helpers::{answer, evenkeel_in, failure, text};
use crate::synthetic_runs::evaluation_of;

/// A finished run without a log, in `runs/`. `set` are settings and their values.
fn write_run(
    root: &Path,
    scenario: &str,
    seed: u64,
    started: &str,
    set: &[(&str, &str)],
) -> RunDir {
    let mut info = RunInfo::begin(scenario, "clipped", seed, 1000, None);
    info.started = started.into();
    info.status = RunStatus::Finished;
    info.global_step = 1000;
    info.set = set.iter().map(|(path, _)| (*path).to_owned()).collect();
    let value = |path: &str, default: &'static str| {
        let value = set.iter().find(|(name, _)| *name == path);
        value.map_or(default, |(_, value)| value).to_owned()
    };
    let config = format!(
        "[train]\nlearning_rate = {}\nthreads = {}\n[policy.actor]\nhidden = {}\n",
        value("train.learning_rate", "0.001"),
        value("train.threads", "1"),
        value("policy.actor.hidden", "[64, 64]"),
    );
    let run = RunDir::create(root, &config, &info).unwrap();
    run.write_evaluation(&evaluation_of("best", 235, 1.0))
        .unwrap();
    run.write_last_evaluation(&evaluation_of("last", 1000, 0.316))
        .unwrap();
    run
}

/// Writes a run started at this minute.
fn run_at(root: &Path, scenario: &str, minute: u32, set: &[(&str, &str)]) -> String {
    let started = format!("2026-01-01T00:{minute:02}:00.000Z");
    let run = write_run(&root.join("runs"), scenario, 1, &started, set);
    format!("runs/{}", run.name())
}

const RATE: (&str, &str) = ("train.learning_rate", "0.003");
const WIDE: (&str, &str) = ("policy.actor.hidden", "[256, 256]");
const THREADS: (&str, &str) = ("train.threads", "2");

#[test]
fn two_runs_of_one_arm_and_seed_are_two_columns() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let fast = run_at(root, "reference", 1, &[RATE]);
    let wide = run_at(root, "reference", 2, &[WIDE, THREADS]);
    let compared = answer(root, &["compare", &fast, &wide, "--json"]);
    let card = &compared["scenarios"][0]["scorecard"];
    let names: Vec<&Value> = card["arms"]
        .as_array()
        .unwrap()
        .iter()
        .map(|arm| &arm["arm"])
        .collect();
    assert_eq!(names, ["learning rate 3e-3", "hidden 256×256"]);
    let settings = card["settings"].as_array().unwrap();
    let paths: Vec<&Value> = settings.iter().map(|setting| &setting["path"]).collect();
    assert_eq!(paths, ["policy.actor.hidden", "train.learning_rate"]);
    assert_eq!(card["excluded_runs"], Value::Array(Vec::new()));

    // What is left out is said first.
    let again = run_at(root, "reference", 3, &[WIDE]);
    let output = evenkeel_in(root, &["compare", &fast, &wide, &again]);
    let first = text(&output.stdout).lines().next().unwrap();
    assert!(first.starts_with("1 of 3 runs is left out"), "{first}");
    let page = fs::read_to_string(root.join("report-2.html")).unwrap();
    assert!(page.find("1 of 3 runs is left out") < page.find("<h1>"));
}

/// A run whose last checkpoint is far below its best is not reported by its best alone.
#[test]
fn best_and_last_are_side_by_side() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let run = run_at(root, "reference", 1, &[]);
    let listing = answer(root, &["runs", "--json"]);
    assert_eq!(listing["runs"][0]["success"], 1.0);
    assert_eq!(listing["runs"][0]["last_success"], 0.316);
    let reported = answer(root, &["report", &run, "--json"]);
    let arm = &reported["scenarios"][0]["scorecard"]["arms"][0];
    assert_eq!(arm["collapsed"]["count"], 1);
    assert_eq!(arm["fell"]["count"], 1);
    assert_eq!(arm["runs"][0]["fall"]["best_step"], 235);
    assert_eq!(
        reported["scenarios"][0]["verdict"]["headline"],
        "`clipped` collapsed in its one run. `clipped` reaches the goal in 100.0 % of held-out \
         episodes with the best checkpoint, in 31.6 % with the last."
    );
    let table = evenkeel_in(root, &["compare", &run]);
    let rows: Vec<&str> = text(&table.stdout)
        .lines()
        .filter(|line| line.starts_with(" held-out success"))
        .collect();
    assert!(
        rows[0].contains("best checkpoint") && rows[0].contains("100.0 %"),
        "{rows:?}"
    );
    assert!(
        rows[1].contains("last checkpoint") && rows[1].contains("31.6 %"),
        "{rows:?}"
    );
}

#[test]
fn runs_of_different_scenarios_are_apart_and_it_is_said_first() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let one = run_at(root, "reference", 1, &[]);
    let other = run_at(root, "movers", 2, &[]);
    let output = evenkeel_in(root, &["compare", &one, &other]);
    let first = text(&output.stdout).lines().next().unwrap();
    assert_eq!(
        first,
        "These runs are of 2 scenarios (reference, movers). Runs of different scenarios are never \
         compared with each other: no two of them are of one scenario and differ in settings, so \
         nothing is compared."
    );
}

#[test]
fn a_page_on_other_runs_is_kept() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let [a, b, c] = [1, 2, 3].map(|minute| {
        let rate = format!("0.00{minute}");
        run_at(root, "reference", minute, &[("train.learning_rate", &rate)])
    });
    let page = |args: &[&str]| answer(root, &[args, &["--json"]].concat())["report"].clone();
    assert_eq!(page(&["compare", &a, &b]), "report.html");
    assert_eq!(page(&["compare", &b, &a]), "report.html", "the same runs");
    assert_eq!(page(&["report", &a, &c]), "report-2.html");
    assert_eq!(page(&["compare", &a, &c]), "report-2.html");
    let refused = failure(root, &["report", &b, &c, "--out", "report.html"]);
    assert!(refused.contains("--force"), "{refused}");
    assert_eq!(
        page(&["report", &b, &c, "--out", "report.html", "--force"]),
        "report.html"
    );
    assert_eq!(page(&["compare", &a, &b, "--force"]), "report.html");
}

#[test]
fn last_is_what_the_user_started_last() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let message = failure(root, &["compare", "@last"]);
    assert!(message.contains("evenkeel compare SCENARIO"), "{message}");
    let own = run_at(root, "reference", 1, &[]);
    let folder = root.join("runs/compare__movers");
    fs::create_dir_all(&folder).unwrap();
    let mut manifest = Comparison::new("movers".into(), vec!["clipped".into()], vec![1], 5);
    let run = write_run(&folder, "movers", 1, "2026-01-01T00:02:00.000Z", &[]);
    manifest.runs.push(evenkeel::runs::ComparisonRun {
        arm: "clipped".into(),
        seed: 1,
        path: run.name().into(),
    });
    manifest.write(&folder).unwrap();
    let scenario = |command: &str| {
        answer(root, &[command, "@last", "--json"])["scenarios"][0]["scenario"].clone()
    };
    assert_eq!(scenario("compare"), "movers");
    assert_eq!(scenario("report"), "movers");
    // Neither run has a checkpoint; a policy is that of the user's own run.
    let message = failure(root, &["replay", "@last", "--list"]);
    assert!(message.contains("no run in runs has"), "{message}");
    run_at(root, "reference", 3, &[]);
    assert_eq!(scenario("report"), "reference");
    assert!(root.join(own).join("run.json").is_file());
}

/// Trains for two iterations, and resumes without the log.
#[cfg(feature = "learn")]
#[test]
fn a_resumed_run_says_from_where_it_goes_on() {
    let root = tempfile::tempdir().unwrap();
    let root = root.path();
    let train = [
        "train",
        "open_field",
        "--steps=512",
        "--episodes=5",
        "--name=my first",
        "--set=train.num_envs=16",
        "--set=train.horizon=16",
        "--out=run",
    ];
    let trained = answer(root, &[&train[..], &["--progress=none", "--json"]].concat());
    assert_eq!(trained["last_evaluation"]["checkpoint"]["global_step"], 512);
    let info = RunDir::open(&root.join("run")).unwrap().info().unwrap();
    assert_eq!(info.name.as_deref(), Some("my first"));
    assert_eq!(
        info.set,
        ["train.num_envs", "train.horizon", "train.total_steps"]
    );
    let evaluated = answer(root, &["eval", "run", "--episodes=5", "--json"]);
    assert!(evaluated["checkpoint"]["name"].is_string(), "{evaluated}");
    let resume = |steps: &str| {
        let args = [
            "train",
            "--resume",
            "run",
            "--steps",
            steps,
            "--progress=none",
        ];
        let output = evenkeel_in(root, &args);
        assert!(output.status.success());
        text(&output.stderr).to_owned()
    };
    let stderr = resume("768");
    assert!(
        stderr.contains("resuming from the last checkpoint, at step 512 of 768"),
        "{stderr}"
    );
    assert!(!stderr.contains("metrics.jsonl"), "{stderr}");
    fs::remove_file(root.join("run/metrics.jsonl")).unwrap();
    let stderr = resume("1024");
    assert!(stderr.contains("at step 768 of 1024"), "{stderr}");
    assert!(stderr.contains("metrics.jsonl does not exist"), "{stderr}");
}
