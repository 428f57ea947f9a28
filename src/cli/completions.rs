//! `evenkeel completions`: a script that teaches a shell our commands and options.

use clap_complete::Shell;
use serde::Serialize;

use super::Ui;

/// Arguments of `evenkeel completions`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Bash, for this session:
    source <(evenkeel completions bash)
  Zsh, for good (the folder must be in your fpath):
    evenkeel completions zsh > ~/.zfunc/_evenkeel
  Fish, for good:
    evenkeel completions fish > ~/.config/fish/completions/evenkeel.fish")]
pub struct Args {
    /// The shell that will read the script
    #[arg(value_enum)]
    shell: Shell,
}

#[derive(Serialize)]
struct Output {
    shell: String,
    script: String,
}

/// Prints the script.
///
/// # Errors
/// Only where stdout cannot be written to.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "evenkeel", &mut script);
    let answer = Output {
        shell: args.shell.to_string(),
        script: String::from_utf8(script)?,
    };
    ui.answer(&answer, |answer| answer.script.clone())
}
