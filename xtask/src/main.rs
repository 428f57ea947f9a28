//! Development commands of evenkeel: `cargo xtask setup`, `demo`, `test`, `wheel`, `ci`, `fuzz` and
//! `crash`.

mod commands;
mod crash;
mod fuzz;
mod manifest;
mod pins;
mod pip;
mod progress;
mod setup;
#[cfg(test)]
mod testing;
mod wheel;

use std::env;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use setup::{Variant, setup};

const HELP: &str = "\
Development commands of evenkeel.

Usage: cargo xtask <COMMAND>

Commands:
  setup [--cuda]   Install or repair libtorch, which all checkouts share, and configure cargo to
                   use it
  demo             Run setup, build, train a clipped and a raw policy, and write a report that
                   compares them
  test [ARGS]...   Run setup and all tests, including those of the features `view` and `parquet`;
                   with ARGS, run `cargo test --release --workspace ARGS`
  wheel [--test [--trainers]]
                   Build the Python package's wheel, which needs no libtorch; with --test, install it
                   in a fresh virtual environment and run python/tests; with --trainers, also the
                   tests that need PyTorch, Stable-Baselines3 and rsl_rl (5 GB)
  ci               Run setup and the continuous-integration checks other than tests: formatting,
                   lints, each feature alone, and documentation
  fuzz [--minutes N] [--target NAME]... [--seeds FOLDER]
                   Feed mutated files to everything that reads a user's files, for
                   N minutes in all (10), with the files of FOLDER as further first inputs
  crash [--kills N] [--seed S]
                   Kill training N times (default 100) at random moments, resume it, and compare
                   all that it leaves with an undisturbed run; then run every writing command on a
                   full disk and in a read-only folder (as root, which can mount such a disk)

libtorch is installed in ${XDG_CACHE_HOME:-~/.cache}/evenkeel (0.5 GB; 1.2 GB during installation).
To use your own libtorch instead, set LIBTORCH to its folder. `setup --cuda` installs the build for
NVIDIA GPUs (2.5 GB; 8 GB during installation); `setup` switches back to the build for CPUs.
";

/// The error is a message for the user.
type Result<T = ()> = std::result::Result<T, String>;

/// Adds what failed to an I/O error.
trait Context<T> {
    fn context(self, failure: impl Display) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn context(self, failure: impl Display) -> Result<T> {
        self.map_err(|error| format!("{failure}: {error}"))
    }
}

fn main() -> ExitCode {
    if let Some(code) = fuzz::run_as_rustc() {
        return code;
    }
    let args: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let result = match words[..] {
        [] | ["help" | "--help" | "-h"] | [_, "--help" | "-h"] => {
            print!("{HELP}");
            Ok(())
        }
        ["setup"] => setup(Variant::Cpu).map(|_| ()),
        ["setup", "--cuda"] => setup(Variant::Cuda).map(|_| ()),
        ["demo"] => setup(Variant::Current).and_then(commands::demo),
        ["test", ..] => {
            let rest = args[1..]
                .strip_prefix(&["--".to_owned()])
                .unwrap_or(&args[1..]);
            setup(Variant::Current).and_then(|libtorch| commands::test(libtorch, rest))
        }
        ["crash", ..] => crash::Options::parse(&args[1..]).and_then(|options| {
            setup(Variant::Current).and_then(|libtorch| crash::crash(libtorch, &options))
        }),
        ["fuzz", ..] => {
            setup(Variant::Current).and_then(|libtorch| fuzz::fuzz(libtorch, &args[1..]))
        }
        ["wheel", ..] => wheel::WheelOptions::parse(&args[1..]).and_then(wheel::wheel),
        ["ci"] => setup(Variant::Current).and_then(commands::ci),
        _ => {
            say(format!(
                "error: unknown command: {}\n\n{HELP}",
                words.join(" ")
            ));
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a message to standard error.
fn say(text: impl Display) {
    writeln!(io::stderr(), "{text}").ok();
}

/// Returns the root of the checkout in which `cargo xtask` runs. With a shared target folder, this
/// program may have been built in another checkout.
fn checkout() -> PathBuf {
    let xtask = env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    xtask.parent().map_or_else(|| xtask.clone(), PathBuf::from)
}
