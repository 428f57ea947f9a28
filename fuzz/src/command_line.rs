//! The target that runs the program itself.

use std::fs::File;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Environment variable with the path of the program. Without it, the target does nothing.
const PROGRAM: &str = "EVENKEEL_FUZZ_PROGRAM";
/// A command that reads files and writes a small one ends well within this time.
const MAX_SECS: u64 = 60;

/// Commands that end by themselves within seconds on the files of the target.
const COMMANDS: [&str; 9] = [
    "scenario", "settings", "eval", "record", "replay", "export", "arms", "report", "runs",
];

/// A command line: one word a line, run in a folder with a scenario `room.toml` and a recording
/// `room.mcap`.
///
/// # Panics
/// If the program panics, is killed by a signal, takes more than [`MAX_SECS`] s, or overwrites its input.
pub(crate) fn command_line(input: &[u8]) {
    let Some(program) = std::env::var_os(PROGRAM) else {
        return;
    };
    let text = String::from_utf8_lossy(input);
    let words: Vec<&str> = text
        .lines()
        .filter(|word| !word.contains('\0'))
        .take(12)
        .collect();
    let is_quick = words.first().is_some_and(|word| COMMANDS.contains(word));
    // Paths stay in the folder of the input. A large number of episodes is valid and takes long.
    let is_safe = words
        .iter()
        .all(|word| !word.contains("..") && !word.contains('/'));
    let is_short = !words
        .iter()
        .any(|word| word.len() > 4 && word.contains(|c: char| c.is_ascii_digit()));
    if !is_quick || !is_safe || !is_short {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let scenario = folder.path().join("room.toml");
    std::fs::write(&scenario, crate::scenarios::ROOM).expect("a writable folder");
    let errors = folder.path().join("stderr");
    let mut child = Command::new(program)
        .args(&words)
        .current_dir(folder.path())
        .env("EVENKEEL_RUNS", "runs")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(File::create(&errors).expect("a writable folder"))
        .spawn()
        .expect("the program starts");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child to wait for") {
            break status;
        }
        if started.elapsed() > Duration::from_secs(MAX_SECS) {
            child.kill().ok();
            child.wait().ok();
            panic!("{words:?} takes more than {MAX_SECS} s");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let errors = std::fs::read_to_string(&errors).unwrap_or_default();
    assert!(
        matches!(status.code(), Some(0..=2)) && !errors.contains("panicked"),
        "{words:?} ends with {status}:\n{errors}"
    );
    let kept = std::fs::read_to_string(&scenario).unwrap_or_default();
    assert!(
        kept == crate::scenarios::ROOM,
        "{words:?} changed its input"
    );
}
