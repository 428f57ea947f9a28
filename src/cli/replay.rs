//! `evenkeel replay`: shows recordings in a window, lists their episodes, makes videos of them, or verifies that
//! this build reproduces them.

#[cfg(feature = "learn")]
mod incident;
mod list;
mod target;
mod verify;
#[cfg(feature = "view")]
mod window;

use std::io::IsTerminal as _;
use std::path::Path;

use anyhow::{bail, ensure};
use serde::Serialize;

use super::Ui;
use super::common::{RecordingFaults, count};
use super::video::{VideoArgs, WrittenVideo, describe};
use evenkeel::lab::MarkedTransition;
use evenkeel::recording::messages::RecordingHeader;
use evenkeel::runs::is_incident;
use evenkeel::telemetry::format::{counted, shell_path};
#[cfg(feature = "learn")]
use incident::replay_incident;
use target::{ReplayTarget, StepSelection};

/// Arguments of `evenkeel replay`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Show a recording in a window; without a display, list its episodes:
    evenkeel replay dwa.mcap
  Show all recordings of the newest run with its gradients (`evenkeel train --record-every N`):
    evenkeel replay @last
  Show the episodes of an incident, and the transitions that contributed most to its gradient:
    evenkeel replay runs/exploder__unclipped__s1__20260101T120000Z/incidents/step_000010
  Show an earlier optimiser step (in the window, Page Up and Page Down change the step):
    evenkeel replay runs/exploder__unclipped__s1__20260101T120000Z/incidents/step_000010 --step 8
  Make a video of episode 3:
    evenkeel replay dwa.mcap --episode 3 --video dwa.gif
  Make a video of the training of two runs side by side, above their gradients:
    evenkeel replay runs/exploder__unclipped__… runs/exploder__clipped__… --video twins.gif --speed 8
  Verify that this build reproduces the episodes bit for bit; if not, the exit status is 1:
    evenkeel replay dwa.mcap --verify
  Select the episodes that ended in a collision:
    evenkeel replay dwa.mcap --json | jq '.episodes[] | select(.outcome | startswith(\"collision\"))'

`?` lists the keys of the window, which needs a build with the feature `view`.")]
pub(crate) struct Args {
    /// A recording, a run with recordings (`@last`: the newest such run), or an incident's folder
    #[arg(value_name = "RECORDING|RUN|INCIDENT")]
    what: String,
    /// A second run for a video beside the first: the same training iterations side by side, above the
    /// gradients so far
    #[arg(value_name = "RUN", requires = "video", conflicts_with = "episode")]
    second_run: Option<String>,
    /// List the episodes instead of opening a window [default where stdout is no terminal]
    #[arg(long, conflicts_with_all = ["window", "video"])]
    list: bool,
    /// Open the window even where stdout is no terminal
    #[arg(long, conflicts_with_all = ["verify", "video"])]
    window: bool,
    /// Number of the episode that the window shows first, or of the only one in the video
    #[arg(long, value_name = "N", value_parser = count::<u64>(0..=u64::MAX))]
    episode: Option<u64>,
    /// For an incident: number of the optimiser step to show, or to show first [default: the last,
    /// in which the detector fired]
    #[arg(long, value_name = "N", value_parser = count::<u64>(0..=u64::MAX))]
    step: Option<u64>,
    #[command(flatten)]
    video: VideoArgs,
    /// Simulate every episode again from its seed and actions, and compare each step
    #[arg(long, conflicts_with = "video")]
    verify: bool,
}

/// Runs `evenkeel replay`.
///
/// # Errors
/// If a recording cannot be read, or `--verify` finds a difference.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    args.video.check()?;
    let window = args.wants_window(ui);
    let steps = StepSelection {
        first: args.step,
        all: window,
    };
    let target = resolve(&args.what, steps)?;
    // One broken recording must not hide the others.
    let unreadable = target.unreadable.len();
    for problem in &target.unreadable {
        ui.warn(problem);
    }
    if args.verify {
        verify::verify_all(&target, ui)?;
    } else if args.video.video.is_some() {
        write_video(&target, &args, ui)?;
    } else if window {
        open_window(target, &args)?;
    } else {
        if !args.list && !ui.json {
            note_how_to_watch(&args.what, ui);
        }
        list::list(&target, ui)?;
    }
    ensure!(
        unreadable == 0,
        "{} could not be read (see the warnings above)",
        counted(unreadable, "recording")
    );
    Ok(())
}

impl Args {
    /// Whether to open a window. By default, only if stdout is a terminal and there is a display.
    fn wants_window(&self, ui: &Ui) -> bool {
        let is_interactive = std::io::stdout().is_terminal() && has_display();
        let has_other_mode = self.verify || self.video.video.is_some();
        !has_other_mode && (self.window || (is_interactive && !self.list && !ui.json))
    }
}

/// Finds the recordings that an argument names. For an incident, simulates the episodes behind
/// `steps` again.
fn resolve(what: &str, steps: StepSelection) -> anyhow::Result<ReplayTarget> {
    let path = Path::new(what);
    if is_incident(path) {
        return replay_incident(path, steps);
    }
    if let Some(step) = steps.first {
        bail!("{what} is not an incident, so it has no optimiser step {step}; leave out --step");
    }
    ReplayTarget::of_recordings(what)
}

#[cfg(not(feature = "learn"))]
fn replay_incident(path: &Path, _: StepSelection) -> anyhow::Result<ReplayTarget> {
    bail!(
        "{}: to replay an incident, build evenkeel with the feature `learn`",
        path.display()
    )
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
    window::open(target, args.episode, args.video.theme.theme())
}

#[cfg(not(feature = "view"))]
fn open_window(_: ReplayTarget, args: &Args) -> anyhow::Result<()> {
    let what = evenkeel::telemetry::format::path_argument(Path::new(&args.what)).into_owned();
    super::no_window::refuse("replay", &[what])
}

/// Writes the file of `--video`.
fn write_video(target: &ReplayTarget, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    args.video.check_output(&target.recordings)?;
    let written = if let Some(second_run) = &args.second_run {
        let second = resolve(second_run, StepSelection::default())?;
        args.video.check_output(&second.recordings)?;
        write_twins_video(target, &second, &args.video)?
    } else {
        let recording = &target.recordings[target.open];
        args.video.write(recording, args.episode)?
    };
    match written {
        Some(written) => ui.answer(&written, describe),
        None => Ok(()),
    }
}

/// Writes a video of two runs side by side.
#[cfg(feature = "view")]
fn write_twins_video(
    one: &ReplayTarget,
    other: &ReplayTarget,
    video: &VideoArgs,
) -> anyhow::Result<Option<WrittenVideo>> {
    video.write_twins(&[window::twin(one)?, window::twin(other)?])
}

#[cfg(not(feature = "view"))]
#[allow(
    clippy::unnecessary_wraps,
    reason = "with the feature `view` it writes a video"
)]
fn write_twins_video(
    _: &ReplayTarget,
    _: &ReplayTarget,
    _: &VideoArgs,
) -> anyhow::Result<Option<WrittenVideo>> {
    Ok(None)
}

/// Tells the user how to open the recording in a window.
fn note_how_to_watch(what: &str, ui: &Ui) {
    if cfg!(not(feature = "view")) {
        ui.note(format_args!(
            "to show it in a window: cargo run --release --features view -- replay {}",
            shell_path(Path::new(what))
        ));
    } else if has_display() {
        ui.note("to show it in a window, add --window");
    } else {
        ui.note("the window needs a display, and there is none");
    }
}

/// Prints the answer: for a single recording file its own object, otherwise an object with a list
/// of all recordings.
fn answer<T: Serialize>(
    ui: &Ui,
    target: &ReplayTarget,
    all: &[T],
    human: impl FnOnce() -> String,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct RecordingsOutput<'a, T> {
        recordings: &'a [T],
        /// Numbers of the optimiser steps that the incident holds.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        optimiser_steps: Vec<u64>,
        /// The transitions that contributed most to the gradient of an optimiser step.
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

fn recorded_by(header: &RecordingHeader) -> String {
    header.build.clone().unwrap_or_default().to_string()
}
