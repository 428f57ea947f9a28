//! The command line: one file per command. A command parses its arguments, calls the library and
//! prints the answer. This module must not hold logic that a user of the library would need.
//!
//! To add a command, write `src/cli/<name>.rs` with
//!
//! - `pub struct Args`, which derives [`clap::Args`] and shows two or three examples in
//!   `#[command(after_long_help = "…")]` ([`common`] has the arguments that commands share);
//! - `pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()>`, which prints only through [`Ui`].
//!
//! Then add three lines to this file: the module, the variant of [`Command`] (its comment is the
//! command's one-line help) and the match arm in [`Command::run`]. A command that needs libtorch
//! has `#[cfg(feature = "learn")]` on all three.

// Every command takes its arguments by value, so that all `run` functions have one signature.
#![allow(clippy::needless_pass_by_value)]

pub(crate) mod arms;
#[cfg(feature = "learn")]
pub(crate) mod autopsy;
pub(crate) mod bench;
pub(crate) mod common;
pub(crate) mod compare;
pub(crate) mod completions;
#[cfg(test)]
mod docs;
#[cfg(feature = "view")]
pub(crate) mod drive;
pub(crate) mod eval;
pub(crate) mod export;
#[cfg(feature = "learn")]
pub(crate) mod export_policy;
mod files;
#[cfg(feature = "learn")]
pub(crate) mod margin;
#[cfg(any(test, not(feature = "view")))]
pub(crate) mod no_window;
mod policy;
#[cfg(feature = "learn")]
mod progress_bars;
pub(crate) mod record;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod runs;
#[cfg(all(feature = "view", target_os = "linux"))]
mod runtime_dir;
pub(crate) mod scenario;
mod scorecard;
#[cfg(feature = "learn")]
pub(crate) mod settings;
mod signals;
pub(crate) mod suite;
mod table;
#[cfg(feature = "learn")]
pub(crate) mod train;
mod ui;
mod video;
#[cfg(feature = "view")]
pub(crate) mod watch;
mod work_progress;

pub(crate) use ui::{StdoutClosed, Ui};

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory, FromArgMatches as _, Parser, Subcommand};

/// The text that `--version` prints after the program's name.
static VERSION: LazyLock<String> = LazyLock::new(|| match evenkeel::LIBTORCH_VERSION {
    Some(libtorch) => format!("{} (libtorch {libtorch})", evenkeel::VERSION),
    None => format!("{} (built without libtorch)", evenkeel::VERSION),
});

/// The first steps, shown below the short help and the long help.
macro_rules! first_steps {
    () => {
        "\
First steps:
  evenkeel scenario list                      list the shipped scenarios
  evenkeel train reference --steps 1M         train a policy in less than a minute
  evenkeel eval @last                         evaluate it on held-out episodes
  evenkeel report runs                        write one HTML page on all runs
  evenkeel compare open_field --seeds 2       compare training with and without a gradient clip"
    };
}

/// evenkeel simulates 2-D robot navigation, trains policies for it, and shows whether the training
/// is stable, and why.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version = VERSION.as_str(), arg_required_else_help = true)]
#[command(
    after_help = first_steps!(),
    after_long_help = concat!(
        first_steps!(),
        "\n
SCENARIO is the name of a shipped scenario or the path of a TOML file. POLICY is a run's folder,
a checkpoint's folder, `@last` (the run that you started last; in `compare` and `report`, the
comparison) or `planner:NAME`. The environment variables
NO_COLOR, CLICOLOR and CLICOLOR_FORCE control colours. The exit status is 0 on success, 1 on
failure, 2 on wrong usage."
    )
)]
struct Cli {
    /// Print the answer as one JSON object on stdout; print everything else on stderr
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

/// The commands, in the order in which a new user needs them.
#[derive(Debug, Subcommand)]
enum Command {
    /// List, check and draw scenarios, and describe their format
    Scenario(scenario::Args),
    /// Print every training setting with its default and meaning
    #[cfg(feature = "learn")]
    Settings(settings::Args),
    /// Train a policy
    #[cfg(feature = "learn")]
    Train(train::Args),
    /// Watch one or two policies drive in a window, or save a picture of them
    #[cfg(feature = "view")]
    Watch(watch::Args),
    /// Drive a scenario's robot yourself
    #[cfg(feature = "view")]
    Drive(drive::Args),
    /// Watch a policy drive in a window (needs a build with the feature `view`)
    #[cfg(not(feature = "view"))]
    Watch(no_window::Args),
    /// Drive a scenario's robot yourself (needs a build with the feature `view`)
    #[cfg(not(feature = "view"))]
    Drive(no_window::Args),
    /// Evaluate a policy on held-out episodes and print its metrics with confidence intervals
    Eval(eval::Args),
    /// Record held-out episodes of a policy in a file
    Record(record::Args),
    /// Show, list, verify or make videos of recordings
    Replay(replay::Args),
    /// Export a recording or a run's log as a table for other programs
    Export(export::Args),
    /// Write a trained policy as an ONNX file, which robots and other programs can run
    #[cfg(feature = "learn")]
    ExportPolicy(export_policy::Args),
    /// Check or freeze the held-out layouts of a suite of scenarios
    Suite(suite::Args),
    /// List the named configurations (arms) that can be trained and compared, and their settings
    Arms(arms::Args),
    /// Train named configurations (arms) on the same seeds and compare them, or compare existing runs
    Compare(compare::Args),
    /// Measure how far settings can be turned before training fails
    #[cfg(feature = "learn")]
    Margin(margin::Args),
    /// Repeat the optimiser step of an incident under other stabilising techniques
    #[cfg(feature = "learn")]
    Autopsy(autopsy::Args),
    /// Write one HTML file on existing runs: verdict, curves, trajectories
    Report(report::Args),
    /// List the runs in a folder
    Runs(runs::Args),
    /// Measure how fast environments and learning run on this machine
    Bench(bench::Args),
    /// Print a completion script for your shell
    Completions(completions::Args),
}

impl Command {
    /// Whether it uses a graphics driver.
    #[cfg(all(feature = "view", target_os = "linux"))]
    fn draws(&self) -> bool {
        match self {
            Self::Watch(_) | Self::Drive(_) | Self::Replay(_) => true,
            Self::Record(args) => args.makes_video(),
            #[cfg(feature = "learn")]
            Self::Train(args) => args.has_window(),
            _ => false,
        }
    }

    fn run(self, ui: &Ui) -> anyhow::Result<()> {
        match self {
            Self::Arms(args) => arms::run(args, ui),
            #[cfg(feature = "learn")]
            Self::Autopsy(args) => autopsy::run(args, ui),
            Self::Bench(args) => bench::run(args, ui),
            Self::Compare(args) => compare::run(args, ui),
            Self::Completions(args) => completions::run(args, ui),
            #[cfg(feature = "view")]
            Self::Drive(args) => drive::run(args, ui),
            #[cfg(not(feature = "view"))]
            Self::Drive(args) => no_window::run("drive", args, ui),
            Self::Eval(args) => eval::run(args, ui),
            Self::Export(args) => export::run(args, ui),
            #[cfg(feature = "learn")]
            Self::ExportPolicy(args) => export_policy::run(args, ui),
            #[cfg(feature = "learn")]
            Self::Margin(args) => margin::run(args, ui),
            Self::Record(args) => record::run(args, ui),
            Self::Replay(args) => replay::run(args, ui),
            Self::Report(args) => report::run(args, ui),
            Self::Runs(args) => runs::run(args, ui),
            Self::Scenario(args) => scenario::run(args, ui),
            #[cfg(feature = "learn")]
            Self::Settings(args) => settings::run(args, ui),
            Self::Suite(args) => suite::run(args, ui),
            #[cfg(feature = "learn")]
            Self::Train(args) => train::run(args, ui),
            #[cfg(feature = "view")]
            Self::Watch(args) => watch::run(args, ui),
            #[cfg(not(feature = "view"))]
            Self::Watch(args) => no_window::run("watch", args, ui),
        }
    }
}

/// Runs the program on the process's arguments. The answer goes to stdout, everything else to
/// stderr. Failures are printed here and nowhere else.
pub(crate) fn main() -> ExitCode {
    let matches = command().try_get_matches();
    let cli = matches.and_then(|mut matches| Cli::from_arg_matches_mut(&mut matches));
    match cli {
        Ok(cli) => {
            #[cfg(all(feature = "view", target_os = "linux"))]
            if cli.command.draws() {
                runtime_dir::ensure();
            }
            let ui = Ui::new(cli.json);
            exit_code(cli.command.run(&ui), &ui)
        }
        // The help or the version.
        Err(error) if !error.use_stderr() => {
            let ui = Ui::new(false);
            exit_code(ui.out(error.render().ansi()), &ui)
        }
        Err(error) => exit_on_usage_error(&error),
    }
}

/// Prints the error of a command, if there is one, and returns the program's exit status.
fn exit_code(result: anyhow::Result<()>, ui: &Ui) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has all it wants, as in `evenkeel runs | head -1`.
        Err(error) if error.is::<StdoutClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// Prints what is wrong with the arguments and ends the program.
fn exit_on_usage_error(error: &clap::Error) -> ! {
    let mut args = std::env::args_os();
    let not_text = args.find(|arg| arg.to_str().is_none());
    match (error.kind(), not_text) {
        (clap::error::ErrorKind::InvalidUtf8, Some(arg)) => {
            let arg = arg.as_encoded_bytes().escape_ascii();
            let help = "rename the file or folder, or run evenkeel inside of it";
            Ui::new(false).error(&anyhow::anyhow!("'{arg}' is not UTF-8 text; {help}"));
            std::process::exit(2)
        }
        _ => error.exit(),
    }
}

/// Returns the complete command-line grammar, for completions, documentation and tests.
pub(crate) fn command() -> clap::Command {
    numbers_may_be_negative(Cli::command())
}

/// Lets `--seed -1` reach the option's parser, whose message says which numbers are right. Without
/// this, `-1` is an unknown flag.
fn numbers_may_be_negative(command: clap::Command) -> clap::Command {
    let takes_value = |arg: &clap::Arg| arg.get_long().is_some() && arg.get_action().takes_values();
    command
        .mut_args(|arg| {
            let takes_value = takes_value(&arg);
            arg.allow_negative_numbers(takes_value)
        })
        .mut_subcommands(numbers_may_be_negative)
}

#[cfg(test)]
mod tests {
    #[test]
    fn command_line_grammar_is_consistent() {
        super::command().debug_assert();
    }

    #[test]
    fn every_command_has_a_description_and_examples() {
        for command in super::command().get_subcommands() {
            let name = command.get_name();
            assert!(command.get_about().is_some(), "`{name}` has no help text");
            let examples = command
                .get_after_long_help()
                .or_else(|| command.get_after_help())
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                examples.contains(&format!("evenkeel {name}")),
                "the long help of `{name}` has no example"
            );
        }
    }
}
