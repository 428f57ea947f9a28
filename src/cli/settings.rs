//! `evenkeel settings`: prints every training setting with its default and meaning.

use serde::Serialize;

use super::Ui;
use evenkeel::learn::{RunConfig, settings_markdown};

/// Arguments of `evenkeel settings`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Read the settings of [train], [policy] and [stability], which arms and --set can change:
    evenkeel settings | less
  Print some defaults as JSON:
    evenkeel settings --json | jq .defaults.stability")]
pub(crate) struct Args {}

#[derive(Serialize)]
struct Output {
    defaults: RunConfig,
}

/// Runs `evenkeel settings`.
///
/// # Errors
/// If stdout cannot be written to.
pub(crate) fn run(_: Args, ui: &Ui) -> anyhow::Result<()> {
    let answer = Output {
        defaults: RunConfig::default(),
    };
    ui.answer(&answer, |_| settings_markdown())
}
