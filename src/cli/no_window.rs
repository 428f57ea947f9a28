//! `evenkeel watch`, `evenkeel drive` and `evenkeel train --view` in a build without the window.
//! They fail with the command that builds the window.

use anyhow::bail;

use super::Ui;
use super::common::shell_line;

/// Arguments of a command that this build does not have.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
This build has no window. In a checkout, these commands build it (some minutes the first time) and
run `evenkeel watch` or `evenkeel drive`:
    cargo run --release --features view -- watch planner:straight --scenario movers
    cargo run --release --features view -- drive reference
In a build with the window, `--help` lists the arguments.")]
pub(crate) struct Args {
    /// Arguments of the command
    #[arg(
        value_name = "ARGS",
        trailing_var_arg = true,
        allow_hyphen_values = true
    )]
    words: Vec<String>,
}

/// Fails with the command that runs `command` in a build with the window.
///
/// # Errors
/// Always.
pub(crate) fn run(command: &str, args: Args, _ui: &Ui) -> anyhow::Result<()> {
    refuse(command, &args.words)
}

/// Fails with the command that runs this process's `evenkeel train` in a build with the window.
///
/// # Errors
/// Always.
///
/// # Panics
/// If the process has no arguments.
#[cfg(all(feature = "learn", not(feature = "view")))]
pub(crate) fn train() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (command, words) = words
        .split_first()
        .expect("the arguments start with `train`");
    refuse(command, words)
}

/// Fails with the command line that runs `command` in a build with the window.
pub(super) fn refuse(command: &str, words: &[String]) -> anyhow::Result<()> {
    bail!(
        "this build has no window; in a checkout, this builds one that has it (some minutes the \
         first time):\n    cargo run --release --features view -- {command} {}",
        shell_line(words)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_the_build_command() {
        let args = Args {
            words: vec!["@last".into()],
        };
        let error = run("watch", args, &Ui::new(false)).expect_err("no window");
        assert!(
            error
                .to_string()
                .ends_with("cargo run --release --features view -- watch @last"),
            "{error}"
        );
    }
}
