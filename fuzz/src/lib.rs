//! Fuzz targets: each takes bytes, as a stranger's file could hold them, and runs the code that reads
//! such files. A target panics if the code breaks a promise; an error message is a correct answer.
//!
//! `cargo xtask fuzz` runs them under libFuzzer (`main.rs`), which mutates the inputs and keeps those that
//! reach new code. `tests/regressions.rs` runs the saved inputs without it.

mod bundle;
mod command_line;
mod drive;
mod geometry;
mod import;
mod mutate;
mod oracles;
mod recordings;
mod run_folders;
mod scenarios;
mod seeds;
mod settings;

pub use bundle::Bundle;
pub use mutate::{ByteMutation, Format, mutate};
pub use seeds::{seeds, write_seeds};

/// A kind of input and the code that reads it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: the folder of its inputs in `fuzz/corpus` and `fuzz/regressions`.
    pub name: &'static str,
    /// Runs the code on an input.
    pub run: fn(&[u8]),
    /// The format of its inputs, for mutations that keep their structure.
    pub format: Format,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target {
        name: "scenario",
        run: scenarios::scenario,
        format: Format::Text,
    },
    Target {
        name: "settings",
        run: scenarios::settings,
        format: Format::Settings,
    },
    Target {
        name: "ros_map",
        run: import::ros_map,
        format: Format::Bundle,
    },
    Target {
        name: "moving_ai",
        run: import::moving_ai,
        format: Format::Text,
    },
    Target {
        name: "sdf",
        run: import::sdf,
        format: Format::Text,
    },
    Target {
        name: "recording",
        run: recordings::recording,
        format: Format::Mcap,
    },
    Target {
        name: "run_folder",
        run: run_folders::run_folder,
        format: Format::Bundle,
    },
    Target {
        name: "command_line",
        run: command_line::command_line,
        format: Format::Text,
    },
];

/// Returns the target with a name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Checks an error message: it says something, in a length that a person reads.
///
/// # Panics
/// If it does not.
fn check_message(error: &dyn std::fmt::Display) {
    /// A message quotes at most a few values of the input.
    const MAX_CHARS: usize = 4000;
    let message = error.to_string();
    assert!(!message.trim().is_empty(), "an empty error message");
    let chars = message.chars().count();
    assert!(
        chars <= MAX_CHARS,
        "an error message of {chars} characters: {}",
        message.chars().take(200).collect::<String>()
    );
}
