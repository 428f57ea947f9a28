//! `evenkeel autopsy` as a process: one process trains until it diverges, another repeats the step.

use std::path::Path;

use evenkeel::telemetry::{Event, UpdateReport, read_events};
use serde_json::Value;

use crate::helpers::{answer, evenkeel_in, failure};

/// Trains a recurrent policy with plain gradient descent and no clip. It diverges in its first
/// iteration.
fn train_diverging(root: &Path, arm: &str) {
    let output = evenkeel_in(
        root,
        &[
            "train",
            "exploder",
            "--arm",
            arm,
            "--seed",
            "5",
            "--steps",
            "40k",
            "--episodes",
            "0",
            "--threads",
            "1",
            "--out",
            "run",
            "--set",
            "policy.memory.rnn.recurrent_init.orthogonal.gain=2.0",
            "--set",
            "train.learning_rate=0.3",
            "--set",
            "train.eval_every=0",
        ],
    );
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(stdout.contains("evenkeel autopsy run"), "{stdout}");
}

fn report(value: &Value) -> UpdateReport {
    serde_json::from_value(value.clone()).unwrap()
}

#[test]
fn autopsy_reproduces_a_divergence_bit_for_bit() {
    let root = tempfile::tempdir().unwrap();
    train_diverging(root.path(), "unclipped");
    let autopsy = answer(
        root.path(),
        &[
            "autopsy",
            "run",
            "--json",
            "--continue",
            "2",
            "--arms",
            "clipped,agc",
        ],
    );
    assert_eq!(autopsy["reproduced"], true);
    let step = autopsy["optimiser_step"].as_u64().unwrap();
    let logged = read_events(&root.path().join("run/metrics.jsonl")).unwrap();
    let logged = logged.into_iter().find_map(|event| match event {
        Event::Step(logged) if logged.optimiser_step == step => Some(logged),
        _ => None,
    });
    let trials = autopsy["trials"].as_array().unwrap();
    let names: Vec<&str> = trials.iter().map(|t| t["arm"].as_str().unwrap()).collect();
    assert_eq!(names, ["unclipped", "clipped", "agc"]);
    assert_eq!(report(&trials[0]["report"]), logged.unwrap());
    assert!(!trials[0]["divergence"].is_null());
    assert!(!trials[0]["continuation"]["diverged"].is_null());
    // Both arms have the same gradient; only the clipped step differs.
    let (own, clipped) = (report(&trials[0]["report"]), report(&trials[1]["report"]));
    assert_eq!(own.layer_norms, clipped.layer_norms);
    assert_eq!(own.hidden_grad_norms, clipped.hidden_grad_norms);
    assert!((clipped.clip[0].norm_after.unwrap() - 0.5).abs() < 1e-4);
    assert!(clipped.update_ratio.unwrap() < 0.01 * own.update_ratio.unwrap());
    assert_eq!(trials[1]["continuation"]["iterations"], 2);
    assert!(trials[1]["continuation"]["diverged"].is_null());

    let transitions = autopsy["transitions"].as_array().unwrap();
    let shares: Vec<f64> = transitions
        .iter()
        .map(|one| one["share"].as_f64().unwrap().abs())
        .collect();
    assert!(
        shares.windows(2).all(|pair| pair[0] >= pair[1]),
        "{shares:?}"
    );
    let first = &transitions[0];
    let pose = &first["trace"]["poses"][first["episode_step"].as_u64().unwrap() as usize];
    assert_eq!(pose[0], first["position"][0]);
    assert_eq!(pose[1], first["position"][1]);

    let incident = autopsy["incident"].as_str().unwrap();
    let same = evenkeel_in(root.path(), &["replay", incident, "--verify"]);
    assert!(same.status.success());

    let page = autopsy["page"].as_str().unwrap();
    let page = std::fs::read_to_string(root.path().join(page)).unwrap();
    for part in ["remedies", "before", "layers", "continued", "transitions"] {
        assert!(page.contains(&format!("<section id=\"{part}\"")), "{part}");
    }
    assert!(!page.contains("http://") && !page.contains("https://"));
}

/// Checks that `replay` marks the same transitions as the autopsy of an optimiser step (`None`: the
/// last). Returns the answer of `replay`.
fn check_marks(root: &Path, step: Option<u64>) -> Value {
    let step = step.map(|step| step.to_string());
    let answer_to = |args: &[&str]| {
        let chosen = step.iter().flat_map(|step| ["--step", step.as_str()]);
        answer(
            root,
            &args.iter().copied().chain(chosen).collect::<Vec<_>>(),
        )
    };
    let autopsy = answer_to(&["autopsy", "run", "--json", "--arms", "clipped"]);
    let incident = autopsy["incident"].as_str().unwrap();
    let replay = answer_to(&["replay", incident, "--list", "--json"]);
    let recordings = replay["recordings"].as_array().unwrap();
    let marks = replay["transitions"].as_array().unwrap();
    let transitions = autopsy["transitions"].as_array().unwrap();
    assert!(!marks.is_empty());
    assert_eq!(marks.len(), transitions.len());
    for (mark, one) in marks.iter().zip(transitions) {
        assert_eq!(mark["optimiser_step"], autopsy["optimiser_step"]);
        let env = &recordings[mark["recording"].as_u64().unwrap() as usize]["env"];
        assert_eq!((env, &mark["episode"]), (&one["env"], &one["episode"]));
        let before = one["episode_step"].as_u64().unwrap();
        assert_eq!(mark["step"].as_u64().unwrap(), before + 1);
        assert_eq!(mark["share"], one["share"]);
    }
    replay
}

#[test]
fn replay_shows_every_step_of_an_incident() {
    let root = tempfile::tempdir().unwrap();
    train_diverging(root.path(), "unclipped");
    let last = check_marks(root.path(), None);
    let steps = last["optimiser_steps"].as_array().unwrap();
    assert!(steps.len() > 1, "{steps:?}");
    let mut shares = Vec::new();
    for step in steps {
        let replay = check_marks(root.path(), step.as_u64());
        assert_eq!(replay["optimiser_steps"], last["optimiser_steps"]);
        shares.push(replay["transitions"].clone());
    }
    assert_eq!(shares.last(), Some(&last["transitions"]));
    assert!(shares.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn invalid_autopsies_are_refused() {
    let root = tempfile::tempdir().unwrap();
    // The incident holds the settings without the arm's own, to which other arms are applied.
    train_diverging(root.path(), "raw");
    let autopsy = answer(
        root.path(),
        &["autopsy", "run", "--json", "--arms", "unclipped"],
    );
    assert_eq!(autopsy["trials"].as_array().unwrap().len(), 2);
    let incident = autopsy["incident"].as_str().unwrap();
    let messages = [
        failure(root.path(), &["autopsy", "run", "--arms", "lstm"]),
        failure(root.path(), &["autopsy", "run", "--arms", "clippd"]),
        failure(root.path(), &["autopsy", "run", "--step", "999"]),
        failure(root.path(), &["autopsy", "nowhere"]),
        failure(root.path(), &["replay", incident, "--step", "999"]),
        failure(root.path(), &["replay", "run", "--step", "999"]),
    ];
    let kept = autopsy["preceding_steps"].as_array().unwrap();
    let kept: Vec<String> = kept
        .iter()
        .map(|step| step["optimiser_step"].to_string())
        .collect();
    let text = messages.join("---\n").replace(&kept.join(", "), "KEPT");
    insta::assert_snapshot!(text);
}
