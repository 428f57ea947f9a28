//! Helpers that the test modules share: the program as a process, and scenarios with overrides.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use evenkeel::config::Override;
use evenkeel::scenario::{self, Scenario};
use serde_json::Value;

/// The program with these arguments and an empty stdin.
pub(crate) fn evenkeel(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_evenkeel"));
    command.args(args).stdin(Stdio::null());
    command
}

/// Runs the program in a folder.
pub(crate) fn evenkeel_in(folder: &Path, args: &[&str]) -> Output {
    let mut command = evenkeel(args);
    command.current_dir(folder).output().expect("it starts")
}

/// Runs a command that must succeed, and returns the JSON object on its stdout.
pub(crate) fn answer(folder: &Path, args: &[&str]) -> Value {
    let output = evenkeel_in(folder, args);
    assert!(
        output.status.success(),
        "{args:?}: {}",
        text(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Runs a command that must fail without an answer, and returns its stderr.
pub(crate) fn failure(folder: &Path, args: &[&str]) -> String {
    let output = evenkeel_in(folder, args);
    assert!(!output.status.success(), "{args:?} succeeded");
    assert!(output.stdout.is_empty());
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// The output of a program as text.
pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

/// Parses overrides, each `path=value`.
pub(crate) fn overrides(flags: &[&str]) -> Vec<Override> {
    let flags = flags.iter().map(|flag| Override::parse(flag));
    flags.collect::<Result<_, _>>().expect("valid overrides")
}

/// A shipped scenario with overrides.
pub(crate) fn scenario(name: &str, flags: &[&str]) -> Arc<Scenario> {
    let scenario = scenario::resolve(name, &overrides(flags));
    Arc::new(scenario.unwrap_or_else(|error| panic!("{error}")))
}
