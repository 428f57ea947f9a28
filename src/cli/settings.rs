//! `evenkeel settings`: every training setting, with its default and what it means.

use serde::Serialize;

use super::Ui;
use evenkeel::learn::{RunConfig, settings_markdown};

/// Arguments of `evenkeel settings`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  What can be said in [train], [policy] and [stability], by arms and with --set:
    evenkeel settings | less
  The defaults, for programs:
    evenkeel settings --json | jq .defaults.stability")]
pub struct Args {}

#[derive(Serialize)]
struct Output {
    defaults: RunConfig,
}

/// Runs `evenkeel settings`.
///
/// # Errors
/// If standard output does not take it.
pub fn run(_: Args, ui: &Ui) -> anyhow::Result<()> {
    let answer = Output {
        defaults: RunConfig::default(),
    };
    ui.answer(&answer, |_| settings_markdown())
}
