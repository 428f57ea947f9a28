//! `cargo xtask crash`: kills training at random moments, fills disks and forbids writing, and checks
//! that nothing is lost and no file is left in pieces.

mod artifacts;
mod kills;
mod scratch;
mod write_errors;

use std::env;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::commands::cargo;
use crate::setup::LibtorchSource;
use crate::{Context, Result, say};
use scratch::Scratch;

/// Options of the command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// How many times training is killed.
    kills: u32,
    /// Seed of the moments at which it is.
    seed: u64,
}

impl Options {
    /// Parses `--kills N` and `--seed N`.
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            kills: 100,
            seed: 1,
        };
        let mut words = args.iter();
        while let Some(word) = words.next() {
            let value = words.next().and_then(|value| value.parse::<u64>().ok());
            match (word.as_str(), value) {
                ("--kills", Some(kills)) if u32::try_from(kills).is_ok() => {
                    options.kills = kills as u32;
                }
                ("--seed", Some(seed)) => options.seed = seed,
                ("--kills" | "--seed", _) => {
                    return Err(format!("{word} takes a whole number, as in {word} 100"));
                }
                _ => return Err(format!("`crash` takes --kills N and --seed N, not {word}")),
            }
        }
        Ok(options)
    }
}

/// Builds the program and runs all checks. Prints what failed, with the folder that shows it.
pub(crate) fn crash(libtorch: LibtorchSource, options: &Options) -> Result {
    cargo(libtorch, "build --release --bin evenkeel", &[])?;
    let program = Program::built()?;
    let mut scratch = Scratch::new("crash")?;
    let mut failures = kills::check(&program, scratch.path(), options)?;
    failures.extend(write_errors::check(&program, scratch.path())?);
    if failures.is_empty() {
        return Ok(());
    }
    scratch.keep();
    let mut text = format!("{} checks failed:", failures.len());
    for failure in &failures {
        write!(text, "\n- {failure}").ok();
    }
    write!(text, "\nthe files are in {}", scratch.path().display()).ok();
    Err(text)
}

/// The program under test.
struct Program(PathBuf);

impl Program {
    /// Returns the program that Cargo has built beside this one.
    fn built() -> Result<Self> {
        let own = env::current_exe().context("cannot find this program")?;
        let path = own.with_file_name(format!("evenkeel{}", env::consts::EXE_SUFFIX));
        if path.is_file() {
            Ok(Self(path))
        } else {
            Err(format!("{} was not built", path.display()))
        }
    }

    /// The program with arguments, in a folder, with empty stdin and no output.
    fn command(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(&self.0);
        command.current_dir(folder).args(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Runs the program to its end. Returns whether it succeeded, its stdout and its stderr.
    fn output(&self, folder: &Path, args: &[&str]) -> Result<(bool, String, String)> {
        let mut command = self.command(folder, args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = command.output().context("cannot run evenkeel")?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        Ok((output.status.success(), stdout, stderr))
    }

    /// Runs a command that must succeed, and returns its stdout.
    fn succeed(&self, folder: &Path, args: &[&str]) -> Result<String> {
        let (success, stdout, stderr) = self.output(folder, args)?;
        if success {
            Ok(stdout)
        } else {
            Err(format!("`evenkeel {}` failed: {stderr}", args.join(" ")))
        }
    }
}

/// Prints the progress of the checks.
fn progress(text: &str) {
    say(format!("crash: {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_parsed() {
        let parse = |args: &[&str]| {
            let args: Vec<String> = args.iter().map(|&word| word.to_owned()).collect();
            Options::parse(&args)
        };
        let options = |kills, seed| Ok(Options { kills, seed });
        assert_eq!(parse(&[]), options(100, 1));
        assert_eq!(parse(&["--kills", "7", "--seed", "3"]), options(7, 3));
        for wrong in [&["--kills"][..], &["--kills", "-1"], &["--speed", "3"]] {
            parse(wrong).unwrap_err();
        }
    }
}
