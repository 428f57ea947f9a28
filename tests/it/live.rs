//! The window of `evenkeel train --view`, on a display of its own (Xvfb), with keys and clicks by
//! xdotool; what is on the screen is read from the display's memory.
//!
//! Without these two, or without a Vulkan driver, the tests are skipped, unless `EVENKEEL_REQUIRE`
//! asks for what is missing.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::sameness::assert_same;
use crate::view::{alone, studio};

const WIDTH: usize = 1280;
const HEIGHT: usize = 720;
/// Longer than any of it takes on a slow machine that does something else as well.
const PATIENCE: Duration = Duration::from_mins(2);

/// Colours of `src/view/theme.rs`, red, green, blue.
type Color = [u8; 3];
const DARK_PAGE: Color = [0x0f, 0x14, 0x19];
const DARK_CARD: Color = [0x1a, 0x20, 0x27];
const LIGHT_PAGE: Color = [0xee, 0xf0, 0xf3];

/// At the left edge, beside the tiles.
const EDGE: (usize, usize) = (4, 300);
/// Between the first and the second tile; in a tile that is enlarged above its room.
const GAP: (usize, usize) = (193, 90);
/// In the fifth tile.
const FIFTH: (&str, &str) = ("287", "370");

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

/// A display without a screen.
struct Display {
    server: Child,
    name: String,
    memory: tempfile::TempDir,
}

impl Drop for Display {
    fn drop(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

/// Whether a program is there; without it a test is skipped, and fails where it is asked for.
fn has(program: &str, package: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).any(|folder| folder.join(program).is_file());
    if !found {
        assert!(
            !std::env::var("EVENKEEL_REQUIRE").is_ok_and(|wanted| wanted.contains(package)),
            "EVENKEEL_REQUIRE asks for {package}, and there is no {program} on the PATH"
        );
        eprintln!("skipped: no {program} on the PATH; install `{package}` (Debian, Ubuntu)");
    }
    found
}

impl Display {
    fn open() -> Option<Self> {
        if !(has("Xvfb", "xvfb") && has("xdotool", "xdotool")) {
            return None;
        }
        studio(16, 16)?;
        let memory = tempfile::tempdir().expect("a folder");
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0"])
            .arg(format!("{WIDTH}x{HEIGHT}x24"))
            .arg("-fbdir")
            .arg(memory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb starts");
        let mut number = String::new();
        let said = server.stdout.take().expect("it is piped");
        BufReader::new(said)
            .read_line(&mut number)
            .expect("it says which display it is");
        Some(Self {
            server,
            name: format!(":{}", number.trim()),
            memory,
        })
    }

    fn xdotool(&self, args: &[&str]) -> String {
        let output = Command::new("xdotool")
            .args(args)
            .env("DISPLAY", &self.name)
            .stdin(Stdio::null())
            .output()
            .expect("xdotool starts");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Waits for the window, and gives it the keyboard: without a window manager nobody else does.
    fn focus(&self) {
        let window = || self.xdotool(&["search", "--onlyvisible", "--name", "^training "]);
        until("a window", || !window().is_empty());
        let window = window();
        self.xdotool(&["windowfocus", "--sync", &window]);
    }

    /// The colour of a pixel, out of the dump of a screen that Xvfb keeps up to date (`XWDFile.h`).
    fn pixel(&self, (x, y): (usize, usize)) -> Color {
        let dump = std::fs::read(self.memory.path().join("Xvfb_screen0")).expect("a dump");
        let word = |index: usize| {
            let bytes = dump[4 * index..][..4].try_into().expect("four bytes");
            u32::from_be_bytes(bytes) as usize
        };
        let (header, stride, colors) = (word(0), word(12), word(19));
        let at = header + 12 * colors + y * stride + 4 * x;
        let [blue, green, red] = [dump[at], dump[at + 1], dump[at + 2]];
        [red, green, blue]
    }

    /// Waits until a pixel is of a colour.
    fn until_shown(&self, place: (usize, usize), color: Color, what: &str) {
        until(what, || near(self.pixel(place), color));
    }
}

fn near(a: Color, b: Color) -> bool {
    a.iter().zip(b).all(|(a, b)| a.abs_diff(b) <= 6)
}

fn until(what: &str, there: impl Fn() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < PATIENCE, "{what}: not in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn train(folder: &Path, steps: &str, display: Option<&Display>) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command
        .args(RUN)
        .args(["--steps", steps, "--out"])
        .arg(folder)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(display) = display {
        command.arg("--view").env("DISPLAY", &display.name);
    }
    command.spawn().expect("the program starts")
}

/// Waits for a run to end well; what it answers.
fn finish(child: Child) -> serde_json::Value {
    let output = child.wait_with_output().expect("the program ends");
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
    let training = train(&watched, "100M", Some(&display));
    display.focus();
    let key = |key: &str| display.xdotool(&["key", key]);

    display.until_shown(EDGE, DARK_PAGE, "the dark page");
    display.until_shown(GAP, DARK_PAGE, "nine tiles");
    key("c");
    display.until_shown(EDGE, LIGHT_PAGE, "the light page");
    key("c");
    display.until_shown(EDGE, DARK_PAGE, "the dark page again");

    key("1");
    display.until_shown(GAP, DARK_CARD, "the first tile, enlarged");
    key("Escape");
    display.until_shown(GAP, DARK_PAGE, "nine tiles again");
    display.xdotool(&["mousemove", FIFTH.0, FIFTH.1, "click", "1"]);
    display.until_shown(GAP, DARK_CARD, "the fifth tile, enlarged");
    key("5");
    display.until_shown(GAP, DARK_PAGE, "nine tiles once more");

    key("question");
    until("the list of keys", || !near(display.pixel(EDGE), DARK_PAGE));
    key("Escape");
    display.until_shown(EDGE, DARK_PAGE, "the page without the list");

    key("q");
    let search = ["search", "--onlyvisible", "--name", "^training "];
    until("no window", || display.xdotool(&search).is_empty());
    let log = || std::fs::metadata(watched.join("metrics.jsonl")).map_or(0, |log| log.len());
    let closed = log();
    until("training without the window", || log() > closed);
    assert_eq!(status(&watched), "running");
    interrupt(&training);
    let answer = finish(training);
    assert_eq!(answer["ended"], "stopped");
    assert_eq!(status(&watched), "stopped");

    let steps = answer["global_step"].to_string();
    assert_eq!(finish(train(&alone, &steps, None))["ended"], "finished");
    assert_same(&alone, &watched, "with a window and without");
}

/// Ctrl-C.
fn interrupt(child: &Child) {
    let id = child.id().to_string();
    let killed = Command::new("kill").args(["-INT", &id]).status();
    assert!(killed.is_ok_and(|status| status.success()));
}

#[test]
fn without_a_display_nothing_is_begun() {
    let root = tempfile::tempdir().expect("a folder");
    let run = root.path().join("run");
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    let output = command
        .args(RUN)
        .args(["--steps=10k", "--view", "--out"])
        .arg(&run)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::null())
        .output()
        .expect("the program starts");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("training itself needs no window"),
        "{stderr}"
    );
    assert!(!run.exists(), "no run is begun");
}
