//! The window of `evenkeel train --view`.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::determinism::assert_same;
use crate::display::{Color, Display, Point, drawing_lock, evenkeel, nearly_equal, wait_for};

/// Colours of `view/theme.rs`.
const DARK_PAGE: Color = [0x0f, 0x14, 0x19];
const DARK_CARD: Color = [0x1a, 0x20, 0x27];
const LIGHT_PAGE: Color = [0xee, 0xf0, 0xf3];

/// At the left edge, next to the tiles.
const EDGE: Point = [4, 300];
/// Between the first and the second tile; inside an enlarged tile, above its arena.
const GAP: Point = [193, 90];
/// In the fifth tile.
const FIFTH: Point = [287, 370];

/// A training run with a constant learning rate, so that its length does not change its steps.
const RUN: [&str; 9] = [
    "train",
    "exploder",
    "--seed=3",
    "--episodes=0",
    "--progress=none",
    "--set=train.num_envs=32",
    "--set=train.eval_every=0",
    "--set=train.checkpoint_every=50",
    "--json",
];

fn train(folder: &Path, steps: &str) -> Command {
    let mut command = evenkeel(&RUN);
    command.args(["--steps", steps, "--out"]).arg(folder);
    command
}

/// The JSON answer of a run that succeeded.
fn answer(output: &Output) -> serde_json::Value {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).expect("one object")
}

fn status(run: &Path) -> String {
    let text = std::fs::read_to_string(run.join("run.json")).expect("a run");
    let info: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    info["status"].as_str().expect("a status").to_owned()
}

#[test]
fn window_does_not_change_training() {
    let _lock = drawing_lock();
    let Some(display) = Display::open() else {
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    let (watched, unwatched) = (root.path().join("watched"), root.path().join("alone"));
    let mut window = display.show(train(&watched, "100M").arg("--view"));

    window.wait_for_color(EDGE, DARK_PAGE, "the dark page");
    window.wait_for_color(GAP, DARK_PAGE, "nine tiles");
    window.press("c");
    window.wait_for_color(EDGE, LIGHT_PAGE, "the light page");
    window.press("c");
    window.wait_for_color(EDGE, DARK_PAGE, "the dark page again");

    window.press("1");
    window.wait_for_color(GAP, DARK_CARD, "the first tile, enlarged");
    window.press("Escape");
    window.wait_for_color(GAP, DARK_PAGE, "nine tiles again");
    window.click(FIFTH);
    window.wait_for_color(GAP, DARK_CARD, "the fifth tile, enlarged");
    window.press("5");
    window.wait_for_color(GAP, DARK_PAGE, "nine tiles once more");

    window.press("question");
    wait_for("the list of keys", || {
        (!nearly_equal(window.pixel(EDGE), DARK_PAGE)).then_some(())
    });
    window.press("Escape");
    window.wait_for_color(EDGE, DARK_PAGE, "the page without the list");

    window.press("q");
    wait_for("no window", || (!window.is_open()).then_some(()));
    let log = || std::fs::metadata(watched.join("metrics.jsonl")).map_or(0, |log| log.len());
    let closed = log();
    wait_for("training without the window", || {
        (log() > closed).then_some(())
    });
    assert_eq!(status(&watched), "running");
    window.signal("INT");
    let stopped = answer(&window.output());
    assert_eq!(stopped["status"], "stopped");
    assert_eq!(status(&watched), "stopped");

    let steps = stopped["global_step"].to_string();
    let again = train(&unwatched, &steps)
        .output()
        .expect("the program starts");
    assert_eq!(answer(&again)["status"], "finished");
    assert_same(&unwatched, &watched, "with a window and without");
}

#[test]
fn finished_training_window_idles_until_a_signal() {
    let _lock = drawing_lock();
    let Some(display) = Display::open() else {
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    let run = root.path().join("run");
    let mut window = display.show(train(&run, "10k").arg("--view"));
    window.wait_for_color(EDGE, DARK_PAGE, "the page");
    wait_for("an end of the training", || {
        (status(&run) == "finished").then_some(())
    });
    wait_for("rest", || {
        let before = window.ticks();
        std::thread::sleep(Duration::from_secs(1));
        (window.ticks() <= before + 1).then_some(())
    });
    // The window still responds.
    window.press("c");
    window.wait_for_color(EDGE, LIGHT_PAGE, "the light page");
    assert!(window.is_open());
    window.signal("TERM");
    assert_eq!(answer(&window.output())["status"], "finished");
}

#[test]
fn without_a_display_no_run_is_created() {
    let root = tempfile::tempdir().expect("a folder");
    let run = root.path().join("run");
    let mut command = train(&run, "10k");
    let output = command.arg("--view").output().expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("training itself needs no window"),
        "{stderr}"
    );
    assert!(!run.exists(), "no run is created");
}
