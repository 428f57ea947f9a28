//! The project's own errands: `cargo xtask setup`, `demo`, `test` and `ci`.

mod errands;
mod manifest;
mod pins;
mod pip;
mod progress;
mod setup;
#[cfg(test)]
mod testing;

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use setup::{Variant, setup};

const HELP: &str = "\
The project's own errands.

Usage: cargo xtask <COMMAND>

Commands:
  setup [--cuda]   Fetch libtorch once for all checkouts, or mend it, and tell cargo where it is
  demo             Set up, build, train a clipped and a raw policy, and report how they differ
  test [ARGS]...   Set up, and run all tests, those of the window and of Parquet included; with
                   ARGS, run `cargo test ARGS`
  ci               Set up, and check what continuous integration checks beside the tests: format,
                   lints, each feature alone, and documentation

libtorch goes to ${XDG_CACHE_HOME:-~/.cache}/evenkeel (0.5 GB; 1.2 GB while it is set up). A
libtorch of your own wins: set LIBTORCH to its folder. `setup --cuda` fetches the one for NVIDIA
GPUs (2.5 GB; 8 GB while it is set up), `setup` goes back to the one for CPUs.
";

/// A failure is one line for the user.
type Result<T = ()> = std::result::Result<T, String>;

/// Says what was being done when the system refused.
trait Context<T> {
    fn context(self, what: impl Display) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, what: impl Display) -> Result<T> {
        self.map_err(|error| format!("{what}: {error}"))
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["setup"] => setup(Variant::Cpu).map(|_| ()),
        ["setup", "--cuda"] => setup(Variant::Cuda).map(|_| ()),
        ["demo"] => setup(Variant::AsBefore).and_then(errands::demo),
        ["test", ..] => {
            let rest = args[1..]
                .strip_prefix(&["--".to_owned()])
                .unwrap_or(&args[1..]);
            setup(Variant::AsBefore).and_then(|libtorch| errands::test(libtorch, rest))
        }
        ["ci"] => setup(Variant::AsBefore).and_then(errands::ci),
        [] | ["help" | "--help" | "-h"] | [_, "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        _ => {
            say(format!(
                "error: no such errand: {}\n\n{HELP}",
                words.join(" ")
            ));
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Tells the user something.
fn say(text: impl Display) {
    writeln!(io::stderr(), "{text}").ok();
}

/// The checkout that this errand is run in, which is not always the one it was built in.
fn checkout() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), PathBuf::from)
}
