//! `evenkeel replay`: recordings in a window, what they hold, and whether this build still comes to
//! the same.

#[cfg(feature = "learn")]
mod incident;
mod list;
mod target;
mod verify;
#[cfg(feature = "view")]
mod window;

use std::io::IsTerminal as _;

use serde::Serialize;

use super::Ui;
use super::video::{VideoArgs, WrittenVideo, describe};
use evenkeel::recording::messages::RecordingHeader;
use evenkeel::recording::{RecordingEnd, RecordingReader};
use target::{MarkedTransition, ReplayTarget, StepSelection};

/// Arguments of `evenkeel replay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  A recording in a window, to be wound to and fro; without a display, its episodes as a list:
    evenkeel replay dwa.mcap
  All recordings of the newest run, beside its gradients (`evenkeel train --record-every N`):
    evenkeel replay @last
  The episodes behind an incident, and the transitions that carried its gradient:
    evenkeel replay runs/exploder__unclipped__s1__20260101T120000Z/incidents/step_000010
  The same of an optimiser step before it (in the window, Page Up and Page Down go through them):
    evenkeel replay runs/exploder__unclipped__s1__20260101T120000Z/incidents/step_000010 --step 8
  A film of its episode 3:
    evenkeel replay dwa.mcap --episode 3 --video dwa.gif
  Two runs that were recorded as they trained, side by side above their gradients:
    evenkeel replay runs/exploder__unclipped__… runs/exploder__clipped__… --video twins.gif --speed 8
  Whether this build drives its episodes to the same bits; the exit status says so too:
    evenkeel replay dwa.mcap --verify
  The episodes that ended in a collision:
    evenkeel replay dwa.mcap --json | jq '.episodes[] | select(.outcome | startswith(\"collision\"))'

`?` lists the keys of the window, which needs a build with the feature `view`.")]
pub struct Args {
    /// A recording, as `evenkeel record` writes it; a run with recordings (`@last`: the newest); or
    /// an incident's folder
    #[arg(value_name = "RECORDING|RUN|INCIDENT")]
    what: String,
    /// Another run, to be filmed beside the first: the same iterations of training, side by side,
    /// with the gradients so far underneath
    #[arg(value_name = "RUN", requires = "video", conflicts_with = "episode")]
    beside: Option<String>,
    /// List episodes instead of opening a window; so it is where stdout is no terminal
    #[arg(long, conflicts_with_all = ["window", "video"])]
    list: bool,
    /// Open the window whatever stdout is
    #[arg(long, conflicts_with_all = ["verify", "video"])]
    window: bool,
    /// Number of the episode that the window begins with, or of the only one that is filmed
    #[arg(long, value_name = "N")]
    episode: Option<u64>,
    /// Of an incident: number of the optimiser step to look behind, or to begin with [default: the
    /// last, in which the symptom was seen]
    #[arg(long, value_name = "N")]
    step: Option<u64>,
    #[command(flatten)]
    film: VideoArgs,
    /// Simulate every episode again from its seed and actions, and compare each step
    #[arg(long, conflicts_with = "video")]
    verify: bool,
}

/// Runs `evenkeel replay`.
///
/// # Errors
/// If the recording cannot be read, or does not come to the same.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    args.film.check()?;
    let window = args.wants_window(ui);
    let steps = StepSelection {
        chosen: args.step,
        all: window,
    };
    let target = ReplayTarget::resolve(&args.what, steps)?;
    if args.verify {
        return verify::verify_all(&target, ui);
    }
    if args.film.video.is_some() {
        return film(&target, &args, ui);
    }
    if window {
        return open_window(target, &args);
    }
    if !args.list && !ui.json {
        note_how_to_watch(&args.what, ui);
    }
    list::list(&target, ui)
}

impl Args {
    /// Whether a window is meant. A program that reads the answer wants none.
    fn wants_window(&self, ui: &Ui) -> bool {
        let looked_at = std::io::stdout().is_terminal() && has_display();
        let otherwise = self.verify || self.film.video.is_some();
        !otherwise && (self.window || (looked_at && !self.list && !ui.json))
    }
}

#[cfg(feature = "view")]
fn has_display() -> bool {
    evenkeel::view::has_display()
}

#[cfg(not(feature = "view"))]
fn has_display() -> bool {
    false
}

#[cfg(feature = "view")]
fn open_window(target: ReplayTarget, args: &Args) -> anyhow::Result<()> {
    window::open(target, args.episode, args.film.theme.theme())
}

#[cfg(not(feature = "view"))]
fn open_window(_: ReplayTarget, args: &Args) -> anyhow::Result<()> {
    anyhow::bail!(
        "this build has no window; from a checkout, this builds one that has:\n    cargo run \
         --release --features view -- replay {}",
        args.what
    )
}

/// `--video`.
fn film(target: &ReplayTarget, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let made = if let Some(beside) = &args.beside {
        write_twins_video(
            target,
            &ReplayTarget::resolve(beside, StepSelection::default())?,
            &args.film,
        )?
    } else {
        let recording = &target.recordings[target.open];
        args.film.film(recording, args.episode)?
    };
    match made {
        Some(made) => ui.answer(&made, describe),
        None => Ok(()),
    }
}

/// Two runs side by side.
#[cfg(feature = "view")]
fn write_twins_video(
    one: &ReplayTarget,
    other: &ReplayTarget,
    film: &VideoArgs,
) -> anyhow::Result<Option<WrittenVideo>> {
    film.write_twins_video(&[window::twin(one)?, window::twin(other)?])
}

#[cfg(not(feature = "view"))]
#[allow(clippy::unnecessary_wraps, reason = "with the feature `view` it films")]
fn write_twins_video(
    _: &ReplayTarget,
    _: &ReplayTarget,
    _: &VideoArgs,
) -> anyhow::Result<Option<WrittenVideo>> {
    Ok(None)
}

/// Says how it could be watched.
fn note_how_to_watch(what: &str, ui: &Ui) {
    if cfg!(not(feature = "view")) {
        ui.note(format_args!(
            "to watch it in a window: cargo run --release --features view -- replay {what}"
        ));
    } else if has_display() {
        ui.note("to watch it in a window, add --window");
    } else {
        ui.note("there is no display; with one, a window opens");
    }
}

/// What is told of each recording: of a file that was named by itself, else as a list.
fn answer<T: Serialize>(
    ui: &Ui,
    target: &ReplayTarget,
    all: &[T],
    human: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct RecordingsOutput<'a, T> {
        recordings: &'a [T],
        /// The optimiser steps that an incident holds.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        optimiser_steps: Vec<u64>,
        /// Those that carried most of the gradient of one.
        #[serde(skip_serializing_if = "<[MarkedTransition]>::is_empty")]
        transitions: &'a [MarkedTransition],
    }
    match all {
        [one] if target.is_one_file => ui.answer(one, |_| human()),
        recordings => {
            let all = RecordingsOutput {
                recordings,
                optimiser_steps: target.optimiser_steps(),
                transitions: target.marks(),
            };
            ui.answer(&all, |_| human())
        }
    }
}

fn recorded_by(about: &RecordingHeader) -> String {
    about.build.clone().unwrap_or_default().to_string()
}

fn cut_off(reader: &RecordingReader) -> Option<String> {
    match reader.end() {
        Some(RecordingEnd::Truncated(reason)) => Some(reason.clone()),
        _ => None,
    }
}

fn warning(reason: &str) -> String {
    let warn = Ui::WARN;
    format!("{warn}cut off{warn:#}: {reason}; all that is whole is shown")
}
