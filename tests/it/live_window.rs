//! The window of `evenkeel train --view`.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::determinism::assert_same;
use crate::display::{Color, Display, Place, alike, alone, evenkeel, until};

/// Colours of `src/view/theme.rs`.
const DARK_PAGE: Color = [0x0f, 0x14, 0x19];
const DARK_CARD: Color = [0x1a, 0x20, 0x27];
const LIGHT_PAGE: Color = [0xee, 0xf0, 0xf3];

/// At the left edge, beside the tiles.
const EDGE: Place = [4, 300];
/// Between the first and the second tile; in a tile that is enlarged above its room.
const GAP: Place = [193, 90];
/// In the fifth tile.
const FIFTH: Place = [287, 370];

/// A training run that goes as long as it is told to: its learning rate is constant.
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

/// What a run that has ended well answers.
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
fn a_window_is_looked_at_and_closed_and_training_is_the_same() {
    let _alone = alone();
    let Some(display) = Display::open() else {
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    let (watched, alone) = (root.path().join("watched"), root.path().join("alone"));
    let mut window = display.show(train(&watched, "100M").arg("--view"));

    window.until_shown(EDGE, DARK_PAGE, "the dark page");
    window.until_shown(GAP, DARK_PAGE, "nine tiles");
    window.press("c");
    window.until_shown(EDGE, LIGHT_PAGE, "the light page");
    window.press("c");
    window.until_shown(EDGE, DARK_PAGE, "the dark page again");

    window.press("1");
    window.until_shown(GAP, DARK_CARD, "the first tile, enlarged");
    window.press("Escape");
    window.until_shown(GAP, DARK_PAGE, "nine tiles again");
    window.click(FIFTH);
    window.until_shown(GAP, DARK_CARD, "the fifth tile, enlarged");
    window.press("5");
    window.until_shown(GAP, DARK_PAGE, "nine tiles once more");

    window.press("question");
    until("the list of keys", || {
        (!alike(window.pixel(EDGE), DARK_PAGE)).then_some(())
    });
    window.press("Escape");
    window.until_shown(EDGE, DARK_PAGE, "the page without the list");

    window.press("q");
    until("no window", || (!window.is_open()).then_some(()));
    let log = || std::fs::metadata(watched.join("metrics.jsonl")).map_or(0, |log| log.len());
    let closed = log();
    until("training without the window", || {
        (log() > closed).then_some(())
    });
    assert_eq!(status(&watched), "running");
    window.signal("INT");
    let stopped = answer(&window.output());
    assert_eq!(stopped["ended"], "stopped");
    assert_eq!(status(&watched), "stopped");

    let steps = stopped["global_step"].to_string();
    let again = train(&alone, &steps).output().expect("the program starts");
    assert_eq!(answer(&again)["ended"], "finished");
    assert_same(&alone, &watched, "with a window and without");
}

#[test]
fn once_all_is_trained_the_window_rests_and_the_first_signal_closes_it() {
    let _alone = alone();
    let Some(display) = Display::open() else {
        return;
    };
    let root = tempfile::tempdir().expect("a folder");
    let run = root.path().join("run");
    let mut window = display.show(train(&run, "10k").arg("--view"));
    window.until_shown(EDGE, DARK_PAGE, "the page");
    until("an end of the training", || {
        (status(&run) == "finished").then_some(())
    });
    until("rest", || {
        let before = window.ticks();
        std::thread::sleep(Duration::from_secs(1));
        (window.ticks() <= before + 1).then_some(())
    });
    // It still answers.
    window.press("c");
    window.until_shown(EDGE, LIGHT_PAGE, "the light page");
    assert!(window.is_open());
    window.signal("TERM");
    assert_eq!(answer(&window.output())["ended"], "finished");
}

#[test]
fn without_a_display_nothing_is_begun() {
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
    assert!(!run.exists(), "no run is begun");
}
