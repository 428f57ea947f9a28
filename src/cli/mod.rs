//! The command line: one file per command, each of which parses, calls the library and prints.
//! This room must never hold logic that a library user would miss.
//!
//! To add a command, write `src/cli/<name>.rs` with
//!
//! - `pub struct Args` (derives [`clap::Args`]; what commands share is in [`common`]), whose
//!   `#[command(after_long_help = "…")]` shows two or three examples;
//! - `pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()>`, which prints through [`Ui`] alone;
//!
//! and add three lines here: the module, the variant of [`Command`] (its comment is the command's
//! one-line help) and the arm in [`Command::run`]. A command that needs libtorch has
//! `#[cfg(feature = "learn")]` on all three.

// Every command takes its arguments by value, whether or not it needs to keep them.
#![allow(clippy::needless_pass_by_value)]

pub mod arms;
#[cfg(feature = "learn")]
pub mod autopsy;
pub mod bench;
pub mod common;
pub mod compare;
pub mod completions;
#[cfg(feature = "view")]
pub mod drive;
pub mod eval;
pub mod export;
#[cfg(any(test, not(feature = "view")))]
pub mod no_window;
mod policy;
pub mod record;
pub mod replay;
pub mod report;
pub mod runs;
pub mod scenario;
mod scorecard;
#[cfg(feature = "learn")]
pub mod settings;
pub mod suite;
mod table;
#[cfg(feature = "learn")]
pub mod train;
mod ui;
mod video;
#[cfg(feature = "view")]
pub mod watch;

pub use ui::{StdoutClosed, Ui};

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{CommandFactory, Parser, Subcommand};

/// What `--version` prints after the program's name.
static VERSION: LazyLock<String> = LazyLock::new(|| match evenkeel::LIBTORCH_VERSION {
    Some(libtorch) => format!("{} (libtorch {libtorch})", evenkeel::VERSION),
    None => format!("{} (built without libtorch)", evenkeel::VERSION),
});

/// Beneath the help, short and long.
macro_rules! first_steps {
    () => {
        "\
First steps:
  evenkeel scenario list                      what there is to drive in
  evenkeel train reference --steps 1M         a policy in less than a minute
  evenkeel eval @last                         how it does in episodes that it has never seen
  evenkeel report runs                        one page on all that was trained
  evenkeel compare open_field --seeds 2       a clipped policy against a raw one"
    };
}

/// evenkeel simulates robots that find their way in the plane, trains policies for them, and
/// shows whether that training is stable, and why.
#[derive(Debug, Parser)]
#[command(name = "evenkeel", version = VERSION.as_str(), arg_required_else_help = true)]
#[command(
    after_help = first_steps!(),
    after_long_help = concat!(
        first_steps!(),
        "\n
SCENARIO is the name of a shipped scenario or the path of a TOML file. POLICY is a run's folder,
a checkpoint's folder, `@last` (the newest run) or `planner:NAME`. Colours follow NO_COLOR,
CLICOLOR and CLICOLOR_FORCE. The exit status is 0 on success, 1 on failure, 2 on wrong usage."
    )
)]
struct Cli {
    /// Print the answer as one JSON object on stdout; everything else goes to stderr
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

/// The commands, in the order in which one comes to need them.
#[derive(Debug, Subcommand)]
enum Command {
    /// List, check and draw scenarios, and describe their format
    Scenario(scenario::Args),
    /// Print every training setting with its default and what it means
    #[cfg(feature = "learn")]
    Settings(settings::Args),
    /// Train a policy
    #[cfg(feature = "learn")]
    Train(train::Args),
    /// Watch a policy drive in a window, or two on the same episodes; or take a picture of it
    #[cfg(feature = "view")]
    Watch(watch::Args),
    /// Drive the robot of a scenario yourself
    #[cfg(feature = "view")]
    Drive(drive::Args),
    /// Watch a policy drive in a window (needs a build with the feature `view`)
    #[cfg(not(feature = "view"))]
    Watch(no_window::Args),
    /// Drive the robot of a scenario yourself (needs a build with the feature `view`)
    #[cfg(not(feature = "view"))]
    Drive(no_window::Args),
    /// Drive a policy over held-out episodes and print its figures with their intervals
    Eval(eval::Args),
    /// Record held-out episodes of a policy, to be looked at, played again or analysed
    Record(record::Args),
    /// Look at recordings, list or film them, or play them again and compare
    Replay(replay::Args),
    /// Write a recording as a table, one row for each robot and control step
    Export(export::Args),
    /// Check and freeze the held-out layouts of suites of scenarios
    Suite(suite::Args),
    /// List the arms that can be trained and compared, and what they set
    Arms(arms::Args),
    /// Train arms on the same seeds and tell them apart; or compare runs that exist
    Compare(compare::Args),
    /// Run an optimiser step in which training broke again, under other remedies
    #[cfg(feature = "learn")]
    Autopsy(autopsy::Args),
    /// Write one HTML file on runs that exist: verdict, curves, trajectories
    Report(report::Args),
    /// List the runs in a folder
    Runs(runs::Args),
    /// Measure how fast environments and learning run on this machine
    Bench(bench::Args),
    /// Print a completion script for your shell
    Completions(completions::Args),
}

impl Command {
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

/// Runs the program on the process's own arguments: the answer goes to stdout, everything else to
/// stderr. Failures are printed here and nowhere else.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let ui = Ui::new(cli.json);
    match cli.command.run(&ui) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our answer has read enough (`evenkeel runs | head -1`).
        Err(error) if error.is::<StdoutClosed>() => ExitCode::SUCCESS,
        Err(error) => {
            ui.error(&error);
            ExitCode::FAILURE
        }
    }
}

/// The whole grammar of the command line, for completions, documentation and tests.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_grammar_is_consistent() {
        super::command().debug_assert();
    }

    #[test]
    fn every_command_says_what_it_is_for_and_shows_examples() {
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
