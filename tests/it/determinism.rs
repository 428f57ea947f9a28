//! Whole training runs as processes: the same seed gives the same bits with any number of threads,
//! and after the process was killed and the run resumed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A run in a scenario with movers, with rollouts so long that the kill happens during one.
const RUN: [&str; 14] = [
    "train",
    "movers",
    "--seed=7",
    "--envs=48",
    "--steps=30K",
    "--episodes=0",
    "--progress=none",
    "--set=train.horizon=64",
    "--set=train.minibatches=2",
    "--set=train.epochs=2",
    "--set=train.checkpoint_every=2",
    "--set=train.eval_every=4",
    "--set=train.eval_episodes=20",
    "--json",
];

fn evenkeel(args: &[&str]) -> Command {
    let mut command = crate::helpers::evenkeel(args);
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

fn start(folder: &Path, threads: &str) -> Child {
    let mut command = evenkeel(&RUN);
    command
        .arg(format!("--threads={threads}"))
        .arg("--out")
        .arg(folder);
    command.spawn().expect("the program starts")
}

fn finish(child: Child) {
    let output = child.wait_with_output().expect("the program ends");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The lines of a run's log, without wall-clock figures.
fn log(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).expect("a log");
    let line = |line: &str| {
        let mut event: Value = serde_json::from_str(line).expect("a whole line");
        let fields = event.as_object_mut().expect("an event");
        fields.remove("wall");
        fields.remove("elapsed_secs");
        event
    };
    text.lines().map(line).collect()
}

/// The files with all tensors of a checkpoint: weights, moments, normalisers, environments.
fn tensors(folder: &Path) -> Vec<Vec<u8>> {
    ["policy.safetensors", "trainer.safetensors"]
        .map(|name| folder.join("checkpoints/last").join(name))
        .map(|path| std::fs::read(path).expect("a checkpoint"))
        .into()
}

pub(super) fn assert_same(one: &Path, other: &Path, what: &str) {
    let (logs, others) = (log(one), log(other));
    for (line, (a, b)) in logs.iter().zip(&others).enumerate() {
        assert_eq!(a, b, "{what}: line {} of the log", line + 1);
    }
    assert_eq!(logs.len(), others.len(), "{what}: lines in the log");
    assert!(
        tensors(one) == tensors(other),
        "{what}: the checkpoints differ"
    );
}

#[test]
fn same_seed_gives_the_same_run_on_any_number_of_threads() {
    let root = tempfile::tempdir().expect("a folder");
    let folder = |name: &str| -> PathBuf { root.path().join(name) };
    let (one, again, two, four) = (
        folder("one"),
        folder("again"),
        folder("two"),
        folder("four"),
    );
    for (path, threads) in [(&one, "1"), (&again, "1"), (&two, "2"), (&four, "4")] {
        finish(start(path, threads));
    }
    assert!(
        log(&one).len() > 40,
        "the run should have optimised, evaluated and saved"
    );
    assert_same(&one, &again, "the same run twice");
    assert_same(&one, &two, "two threads");
    assert_same(&one, &four, "four threads");
}

#[test]
fn killed_and_resumed_run_has_the_same_weights() {
    let root = tempfile::tempdir().expect("a folder");
    let (uninterrupted, killed) = (root.path().join("alone"), root.path().join("killed"));
    finish(start(&uninterrupted, "2"));

    let mut child = start(&killed, "2");
    let start_time = Instant::now();
    while !killed.join("checkpoints/last/state.json").exists() {
        assert!(
            start_time.elapsed() < Duration::from_mins(1),
            "no checkpoint in a minute"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    // SIGKILL, probably during the next rollout.
    child.kill().expect("it can be killed");
    let status = child.wait().expect("it ends");
    assert!(!status.success(), "the run finished before the kill");

    let mut command = evenkeel(&["train", "--progress=none", "--episodes=0", "--resume"]);
    finish(command.arg(&killed).spawn().expect("the program starts"));
    assert_same(&uninterrupted, &killed, "killed and resumed");
}
