//! The program as a process whose output fails, or that gets signals.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::helpers::{answer, evenkeel, text};

/// A training of some 4,000 steps that takes a second or so, without a final evaluation.
const SHORT: [&str; 8] = [
    "train",
    "open_field",
    "--envs",
    "16",
    "--steps",
    "4k",
    "--episodes",
    "0",
];

/// The status in a run's folder.
fn status(run: &Path) -> String {
    let info = std::fs::read_to_string(run.join("run.json")).expect("run.json");
    let info: Value = serde_json::from_str(&info).expect("JSON");
    info["status"].as_str().expect("a status").to_owned()
}

/// Waits until a condition holds.
fn wait_until(what: &str, holds: impl Fn() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_mins(2), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn send(signal: &str, child: &Child) {
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status();
    assert!(sent.expect("`kill` starts").success());
}

/// Whether a run has trained for an iteration.
fn has_begun(run: &Path) -> bool {
    std::fs::read_to_string(run.join("metrics.jsonl"))
        .is_ok_and(|log| log.contains("\"event\":\"iteration\""))
}

/// Starts training for so long that no test waits for its end.
fn start_long_training(folder: &Path) -> Child {
    let mut command = evenkeel(&["train", "open_field", "--envs", "16", "--out", "run"]);
    command.args(["--set", "train.eval_every=0", "--progress", "none"]);
    command.args(["--steps", "1G", "--threads", "1"]);
    let command = command.current_dir(folder).stderr(Stdio::piped());
    let child = command.stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("training begins", || has_begun(&folder.join("run")));
    child
}

#[cfg(target_os = "linux")]
#[test]
fn training_ends_well_where_progress_cannot_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (reader, closed) = std::io::pipe().expect("a pipe");
    drop(reader);
    let full = File::create("/dev/full").expect("/dev/full");
    for (name, stderr) in [("full", Stdio::from(full)), ("closed", Stdio::from(closed))] {
        let mut command = evenkeel(&SHORT);
        command.args(["--progress", "lines", "--out", name]);
        let output = command.current_dir(folder.path()).stderr(stderr).output();
        assert_eq!(output.unwrap().status.code(), Some(0), "{name}");
        assert_eq!(status(&folder.path().join(name)), "finished");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_comparison_ends_well_where_nothing_can_be_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = evenkeel(&["compare", "open_field", "--arms", "clipped,raw"]);
    command.args([
        "--seeds",
        "1",
        "--steps",
        "2k",
        "--episodes",
        "4",
        "--out",
        "c",
    ]);
    command.args(["--set", "train.num_envs=16"]);
    let full = File::create("/dev/full").expect("/dev/full");
    let output = command.current_dir(folder.path()).stderr(full).output();
    let output = output.unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(text(&output.stdout).contains("report.html"));
}

#[test]
fn a_closed_stdout_ends_an_evaluation_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = evenkeel(&["eval", "planner:straight", "--scenario", "open_field"]);
    let output = command.args(["--episodes", "4"]).stdout(writer).output();
    let output = output.unwrap();
    assert_eq!(text(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}

#[cfg(unix)]
#[test]
fn the_first_ctrl_c_is_acknowledged_and_saves_and_the_second_ends_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = start_long_training(folder.path());
    send("-INT", &child);
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut seen = String::new();
    while !seen.contains("stopping after this iteration") {
        assert!(stderr.read_line(&mut seen).unwrap() > 0, "{seen}");
    }
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(0), "{seen}");
    assert_eq!(status(&folder.path().join("run")), "stopped");

    // Two at once: the second may come before the iteration has ended, or find the program gone.
    let folder = tempfile::tempdir().unwrap();
    let mut command = evenkeel(&["train", "open_field", "--envs", "4096", "--out", "run"]);
    command.args(["--set", "train.eval_every=0", "--progress", "none"]);
    command.args(["--steps", "1G"]).current_dir(folder.path());
    let command = command.stderr(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("it starts");
    wait_until("training begins", || has_begun(&folder.path().join("run")));
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    send("-INT", &child);
    let mut seen = String::new();
    while !seen.contains("stopping after this iteration") {
        assert!(stderr.read_line(&mut seen).unwrap() > 0, "{seen}");
    }
    send("-INT", &child);
    stderr.read_to_string(&mut seen).unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), Some(130), "{seen}");
    assert!(
        !seen.contains("panic") && !seen.contains("Backtrace"),
        "{seen}"
    );
}

#[cfg(unix)]
#[test]
fn sigterm_to_a_comparison_stops_its_runs_and_they_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = evenkeel(&["compare", "open_field", "--arms", "clipped,raw"]);
    command.args([
        "--seeds", "1", "--steps", "50M", "--out", "c", "--jobs", "2",
    ]);
    command.args(["--set", "train.num_envs=16", "--set", "train.eval_every=0"]);
    let command = command.current_dir(folder.path()).stderr(Stdio::piped());
    let child = command.stdout(Stdio::null()).spawn().expect("it starts");
    let runs = ["clipped__s1", "raw__s1"].map(|run| folder.path().join("c").join(run));
    wait_until("both runs train", || runs.iter().all(|run| has_begun(run)));
    send("-TERM", &child);
    let output = child.wait_with_output().unwrap();
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("stopping: the runs save and end"),
        "{stderr}"
    );
    assert!(stderr.contains("resume with:"), "{stderr}");
    for run in &runs {
        assert_eq!(status(run), "stopped");
        assert!(run.join("checkpoints/last/state.json").is_file());
    }
}

#[test]
fn a_resumed_run_remembers_its_number_of_final_episodes() {
    let folder = tempfile::tempdir().unwrap();
    let episodes = |answer: &Value| answer["evaluation"]["episodes"].as_u64();
    let mut args = SHORT.to_vec();
    args.truncate(6);
    args.extend(["--episodes", "7", "--out", "run", "--json"]);
    assert_eq!(episodes(&answer(folder.path(), &args)), Some(7));
    let run = folder.path().join("run");
    // As after a crash before the final evaluation.
    std::fs::remove_file(run.join("evaluation.json")).unwrap();
    let resumed = answer(folder.path(), &["train", "--resume", "run", "--json"]);
    assert_eq!(episodes(&resumed), Some(7));
    // The number given when it is resumed is remembered as well.
    let resume = ["train", "--resume", "run", "--steps", "8k", "--json"];
    let longer = [&resume[..], &["--episodes", "5"]].concat();
    assert_eq!(episodes(&answer(folder.path(), &longer)), Some(5));
    std::fs::remove_file(run.join("evaluation.json")).unwrap();
    let resumed = answer(folder.path(), &["train", "--resume", "run", "--json"]);
    assert_eq!(episodes(&resumed), Some(5));
}
