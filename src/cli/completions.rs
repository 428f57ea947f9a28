//! `evenkeel completions`: prints a completion script for a shell.

use clap_complete::Shell;
use serde::Serialize;

use super::Ui;

/// Arguments of `evenkeel completions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Bash, for this session:
    source <(evenkeel completions bash)
  Zsh, permanently (the folder must be in your fpath):
    evenkeel completions zsh > ~/.zfunc/_evenkeel
  Fish, permanently:
    evenkeel completions fish > ~/.config/fish/completions/evenkeel.fish")]
pub(crate) struct Args {
    /// The shell that will read the script
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Serialize)]
struct Output {
    shell: String,
    script: String,
}

/// Runs `evenkeel completions`.
///
/// # Errors
/// If stdout cannot be written to.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "evenkeel", &mut script);
    let answer = Output {
        shell: args.shell.to_string(),
        script: String::from_utf8(script)?,
    };
    ui.answer(&answer, |answer| answer.script.clone())
}
