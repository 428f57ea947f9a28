//! The commands `compare`, `report`, `runs` and `eval` as processes.

#[cfg(feature = "learn")]
use evenkeel::runs::Comparison;
use serde_json::Value;

use crate::helpers::{answer, evenkeel_in, failure};
use crate::synthetic_runs::{self, CLIPPED, RAW};

#[test]
fn existing_runs_are_listed_compared_and_reported() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(&root.path().join("runs"), &[CLIPPED, RAW], 5);

    let listing = answer(root.path(), &["runs", "--json"]);
    assert_eq!(listing["runs"].as_array().unwrap().len(), 10);
    assert_eq!(listing["runs"][0]["status"], "finished");

    let diverged: Vec<&Value> = listing["runs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|run| run["status"] == "diverged")
        .map(|run| &run["success"])
        .collect();
    assert_eq!(diverged, [0.0]);

    let paths: Vec<String> = runs
        .iter()
        .map(|run| format!("runs/{}", run.name))
        .collect();
    let mut args = vec!["compare", "--json"];
    args.extend(paths.iter().map(String::as_str));
    let compared = answer(root.path(), &args);
    let difference = &compared["scenarios"][0]["scorecard"]["differences"][0];
    assert_eq!(difference["success"]["seeds"], 5);
    assert_eq!(difference["success"]["finding"], "higher");
    assert_eq!(
        compared["scenarios"][0]["scorecard"]["arms"][1]["diverged"]["count"],
        1
    );
    assert!(root.path().join("report.html").is_file());

    let reported = answer(
        root.path(),
        &["report", "runs", "--out", "all.html", "--json"],
    );
    assert_eq!(reported["scenarios"], compared["scenarios"]);
    assert!(root.path().join("all.html").is_file());
}

#[test]
fn comparison_as_text() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(root.path(), &[CLIPPED, RAW], 5);
    let mut args = vec!["compare"];
    args.extend(runs.iter().map(|run| run.name.as_str()));
    let output = evenkeel_in(root.path(), &args);
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap());
}

#[test]
fn planner_evaluation_is_written_to_a_file() {
    let root = tempfile::tempdir().unwrap();
    let args = [
        "eval",
        "planner:straight",
        "--scenario",
        "open_field",
        "--episodes",
        "20",
    ];
    let figures = answer(
        root.path(),
        &[&args[..], &["--out", "e.json", "--json"]].concat(),
    );
    assert_eq!(figures["summary"]["episodes"], 20);
    let report: evenkeel::eval::EvalReport =
        serde_json::from_slice(&std::fs::read(root.path().join("e.json")).unwrap()).unwrap();
    assert_eq!((report.episodes.len(), report.traces.len()), (20, 8));
}

#[test]
fn robustness_is_reported() {
    let root = tempfile::tempdir().unwrap();
    let robustness = |planner: &str, threads: &str| {
        let args = [
            "eval",
            planner,
            "--scenario=open_field",
            "--episodes=20",
            "--robustness",
            threads,
            "--out=e.json",
            "--json",
        ];
        let found = answer(root.path(), &args)["robustness"].clone();
        let report = std::fs::read(root.path().join("e.json")).unwrap();
        let report: evenkeel::eval::EvalReport = serde_json::from_slice(&report).unwrap();
        assert_eq!(serde_json::to_value(report.robustness).unwrap(), found);
        found
    };
    let sampled = robustness("planner:random", "--threads=1");
    assert_eq!(sampled, robustness("planner:random", "--threads=2"));
    assert_eq!(
        (&sampled["stochastic"], &sampled["rollouts"]),
        (&true.into(), &10.into())
    );
    assert_eq!(sampled["cvar"][1]["levels"], 2);
    let deterministic = robustness("planner:straight", "--threads=1");
    assert_eq!(
        (&deterministic["stochastic"], &deterministic["rollouts"]),
        (&false.into(), &1.into())
    );
    assert_eq!(deterministic["cvar"][0]["success"]["value"], 1.0);
}

/// A run that cannot be read is named first, is left out, and makes the command fail in the end.
#[test]
fn a_broken_run_does_not_hide_the_others() {
    let root = tempfile::tempdir().unwrap();
    let runs = synthetic_runs::runs(&root.path().join("runs"), &[CLIPPED, RAW], 5);
    let broken = root
        .path()
        .join("runs")
        .join(&runs[3].name)
        .join("run.json");
    std::fs::write(&broken, "{\n  \"format\": 1,\n  oops\n}\n").unwrap();
    for args in [
        &["report", "runs"][..],
        &["compare", "runs", "--out", "out"],
        &["runs"],
    ] {
        let output = evenkeel_in(root.path(), args);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let first = stderr.lines().next().unwrap();
        assert!(
            first.contains(&format!("{}/run.json", runs[3].name)) && first.contains("line 3"),
            "{args:?}: {first}"
        );
        assert!(stderr.contains("1 run could not be read"), "{stderr}");
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(answer.contains("runs") && !answer.is_empty(), "{answer}");
    }
    let page = std::fs::read_to_string(root.path().join("runs/report.html")).unwrap();
    assert!(page.contains("9 runs") && !page.contains(&runs[3].name));
}

#[test]
fn a_folder_of_runs_that_does_not_exist_is_an_error() {
    let root = tempfile::tempdir().unwrap();
    let message = crate::helpers::failure(root.path(), &["runs", "nope"]);
    assert!(message.contains("nope: no such folder"), "{message}");
    // The default folder is created by the first training.
    let listing = evenkeel_in(root.path(), &["runs"]);
    assert!(listing.status.success());
}

#[test]
fn invalid_commands_are_refused() {
    let root = tempfile::tempdir().unwrap();
    synthetic_runs::runs(&root.path().join("runs"), &[CLIPPED], 1);
    std::fs::create_dir(root.path().join("empty")).unwrap();
    let cases: &[&[&str]] = &[
        &["eval", "nonsense"],
        &["eval", "planner:straight"],
        &["eval", "planner:nobody", "--scenario", "reference"],
        &["eval", "@last"],
        &[
            "eval",
            "planner:straight",
            "--scenario=open_field",
            "--stochastic",
        ],
        &[
            "eval",
            "planner:random",
            "--scenario=open_field",
            "--robustness",
            "--episodes=19",
        ],
        &["eval", "planner:random", "--robustness", "--rollouts=9"],
        &["eval", "empty"],
        &["report", "empty"],
        &["compare", "runs", "nowhere"],
        &["compare", "refrence"],
        &["compare", "runs", "--arms", "raw"],
        &["compare", "runs", "runs", "--set", "train.gamma=0.9"],
    ];
    let failures: Vec<String> = cases
        .iter()
        .map(|args| {
            format!(
                "$ evenkeel {}\n{}",
                args.join(" "),
                failure(root.path(), args)
            )
        })
        .collect();
    insta::assert_snapshot!(failures.join("\n"));
}

/// The largest seed is in reach; a seed beyond it would be another one.
#[cfg(feature = "learn")]
#[test]
fn seeds_beyond_the_largest_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let seeds = |seed, count| {
        let args = ["compare", "open_field", "--seed", seed, "--seeds", count];
        failure(root.path(), &args)
    };
    assert_eq!(
        seeds("18446744073709551614", "3"),
        "error: 3 seeds from seed 18446744073709551614 exceed the largest seed, \
         18446744073709551615; begin at 18446744073709551613 or less\n"
    );
    assert!(!root.path().join("runs").exists());
}

/// Trains for two iterations, then adds a seed and changes the number of held-out episodes.
#[cfg(feature = "learn")]
#[test]
#[expect(clippy::too_many_lines, reason = "one story of a comparison")]
fn comparison_is_trained_and_extended() {
    let root = tempfile::tempdir().unwrap();
    let base = [
        "compare",
        "open_field",
        "--arms",
        "clipped,raw",
        "--steps",
        "512",
        "--out",
        "out",
        "--json",
        "--set",
        "train.num_envs=16",
        "--set",
        "train.horizon=16",
    ];
    let first = answer(
        root.path(),
        &[&base[..], &["--seeds", "1", "--episodes", "5"]].concat(),
    );
    assert_eq!(first["scenarios"][0]["scorecard"]["arms"][1]["arm"], "raw");
    let arms = |answer: &Value| {
        answer["scenarios"][0]["scorecard"]["arms"]
            .as_array()
            .unwrap()
            .clone()
    };
    assert!(
        arms(&first)
            .iter()
            .all(|arm| arm["runs"].as_array().unwrap().len() == 1)
    );
    let paths: Vec<&str> = first["scenarios"][0]["scorecard"]["settings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|setting| setting["path"].as_str().unwrap())
        .collect();
    let expect = [
        "clip",
        "normalise.advantage",
        "normalise.observation",
        "normalise.return",
    ];
    assert_eq!(paths, expect.map(|path| format!("stability.{path}")));
    let log = root.path().join("out/clipped__s1/metrics.jsonl");
    let before = std::fs::read(&log).unwrap();

    let second = answer(
        root.path(),
        &[&base[..], &["--seeds", "2", "--episodes", "6"]].concat(),
    );
    assert!(
        arms(&second)
            .iter()
            .all(|arm| arm["runs"].as_array().unwrap().len() == 2)
    );
    assert_eq!(
        std::fs::read(&log).unwrap(),
        before,
        "a finished run was trained again"
    );
    let read = |file: &str| -> Value {
        let text = std::fs::read(root.path().join("out/clipped__s1").join(file)).unwrap();
        serde_json::from_slice(&text).unwrap()
    };
    assert_eq!(read("evaluation.json")["summary"]["episodes"], 6);
    assert!(root.path().join("out/report.html").is_file());

    // A finished run is trained further only with more steps, and keeps its evaluation's episodes.
    let resume = ["train", "--resume", "out/clipped__s1"];
    let stderr = failure(root.path(), &resume);
    let expect =
        "out/clipped__s1: all 512 steps of this run are done; train it for longer with --steps";
    assert!(stderr.contains(expect), "{stderr}");
    answer(
        root.path(),
        &[&resume[..], &["--steps=768", "--progress=none", "--json"]].concat(),
    );
    assert_eq!(read("run.json")["global_step"], 768);
    let episodes = &read("evaluation.json")["summary"]["episodes"];
    assert_eq!(*episodes, 6, "as many as before");
    let before = std::fs::read(&log).unwrap();

    // Settings without a flag stay as they are. A folder with the scenario's name is ignored.
    std::fs::create_dir(root.path().join("open_field")).unwrap();
    let resume_args = ["compare", "open_field", "--out", "out", "--json"];
    let third = answer(
        root.path(),
        &[&resume_args[..], &["--arms", "unclipped"]].concat(),
    );
    let counts: Vec<(String, usize)> = arms(&third)
        .iter()
        .map(|arm| {
            let runs = arm["runs"].as_array().unwrap().len();
            (arm["arm"].as_str().unwrap().to_owned(), runs)
        })
        .collect();
    // The run that was trained for longer is a column of its own.
    let expect = [
        ("clipped, 768 steps", 1),
        ("clipped, 512 steps", 1),
        ("raw", 2),
        ("unclipped", 2),
    ];
    assert_eq!(counts, expect.map(|(arm, runs)| (arm.to_owned(), runs)));
    assert_eq!(std::fs::read(&log).unwrap(), before);
}

/// Trains with a learning rate that diverges before the first checkpoint.
#[cfg(feature = "learn")]
#[test]
fn diverged_run_gets_the_random_policys_return() {
    let root = tempfile::tempdir().unwrap();
    let args = [
        "compare",
        "open_field",
        "--arms=raw",
        "--seeds=1",
        "--steps=64k",
        "--episodes=30",
        "--out=out",
        "--json",
        "--set=train.num_envs=16",
        "--set=train.horizon=16",
        "--set=train.learning_rate=1e4",
    ];
    let comparison = answer(root.path(), &args);
    let run = &comparison["scenarios"][0]["scorecard"]["arms"][0]["runs"][0];
    assert!(run["diverged"].is_object(), "{run}");
    assert_eq!(run["success"], 0.0);
    let random = answer(
        root.path(),
        &[
            "eval",
            "planner:random",
            "--scenario=open_field",
            "--episodes=30",
            "--json",
        ],
    );
    assert_eq!(random["deterministic"], false);
    assert_eq!(
        run["episodic_return"],
        random["summary"]["episodic_return"]["value"]
    );
    // An existing evaluation is repeated only with another number of episodes.
    let folder = root.path().join("out/raw__s1");
    let episodes = || {
        let text = std::fs::read(folder.join("evaluation_random.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["episodes"].clone()
    };
    assert_eq!(episodes(), 30);
    let more = ["compare", "open_field", "--out=out", "--episodes=40"];
    answer(root.path(), &[&more[..], &["--json"]].concat());
    assert_eq!(episodes(), 40);
}

#[cfg(feature = "learn")]
#[test]
fn contradicting_requests_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    std::fs::create_dir(&out).unwrap();
    let arms = vec!["clipped".into(), "raw".into()];
    let mut manifest = Comparison::new("open_field".into(), arms, vec![1], 5);
    manifest.steps = Some(512);
    manifest.write(&out).unwrap();
    std::fs::write(
        root.path().join("mine.toml"),
        "[[arm]]\nname = 'raw'\nset = { train.gamma = 0.5 }\n",
    )
    .unwrap();
    let cases: [&[&str]; 4] = [
        &["compare", "reference", "--out", "out"],
        &["compare", "open_field", "--out", "out", "--steps", "1k"],
        &[
            "compare",
            "open_field",
            "--out",
            "out",
            "--set",
            "train.gamma=0.5",
        ],
        &[
            "compare",
            "open_field",
            "--out",
            "out",
            "--arm-file",
            "mine.toml",
        ],
    ];
    insta::assert_snapshot!(cases.map(|args| failure(root.path(), args)).join("\n"));
}

#[cfg(feature = "learn")]
#[test]
fn failed_run_reports_its_error() {
    let root = tempfile::tempdir().unwrap();
    let args = [
        "compare",
        "open_field",
        "--out",
        "out",
        "--set",
        "train.gamma=7",
    ];
    let message = failure(root.path(), &args);
    assert!(message.contains("`train.gamma` is 7"), "{message}");
    assert!(
        !message.contains("resume with:"),
        "resuming would not help: {message}"
    );
}
