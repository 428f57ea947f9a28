//! `evenkeel replay`: recordings in a window, what they hold, and whether this build still comes to
//! the same.

mod found;
#[cfg(feature = "view")]
mod window;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use super::Ui;
use super::film::{FilmArgs, Made, describe};
use super::table::table;
use crate::lab::format::{ABSENT, number, percent, plural, steps};
use crate::record::messages::{Build, Recording, TrainingMoment};
use crate::record::{Difference, Ending, Episode, Reader, verify};
use found::Found;

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
    #[command(flatten)]
    film: FilmArgs,
    /// Simulate every episode again from its seed and actions, and compare each step
    #[arg(long, conflicts_with = "video")]
    verify: bool,
}

/// The answer without `--verify`.
#[derive(Serialize)]
struct Listing {
    /// Absent where it was made to be looked at only now.
    recording: Option<PathBuf>,
    scenario: String,
    policy: String,
    /// Environment steps that the policy had learnt from.
    global_step: u64,
    stochastic: bool,
    seed: u64,
    /// Which episodes they are: `eval`, held out, or `train`.
    split: String,
    /// And of which of the training's environments.
    env: u64,
    recorded_by: String,
    episodes: Vec<Listed>,
    /// Why there is no more, where the recording was cut off.
    cut_off: Option<String>,
    #[serde(skip)]
    training: Option<TrainingMoment>,
}

#[derive(Serialize)]
struct Listed {
    episode: u64,
    /// Absent where it goes on after the iteration that was recorded, or the recording was cut off.
    outcome: Option<String>,
    steps: usize,
    time_secs: f64,
    episodic_return: f64,
}

/// The answer with it.
#[derive(Serialize)]
struct Verdict {
    recording: PathBuf,
    recorded_by: String,
    simulated_by: String,
    episodes: usize,
    steps: usize,
    differences: Vec<Difference>,
    cut_off: Option<String>,
}

/// Runs `evenkeel replay`.
///
/// # Errors
/// If the recording cannot be read, or does not come to the same.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    args.film.check()?;
    let found = Found::of(&args.what)?;
    if args.verify {
        return compare(&found.recordings, ui);
    }
    if args.film.video.is_some() {
        return film(&found, &args, ui);
    }
    if args.wants_window(ui) {
        return open_window(found, &args);
    }
    if !args.list && !ui.json {
        how_to_see(&args.what, ui);
    }
    let listings = found.recordings.iter().map(|path| list(path));
    let mut listings = listings.collect::<anyhow::Result<Vec<Listing>>>()?;
    if found.are_passing() {
        listings
            .iter_mut()
            .for_each(|listing| listing.recording = None);
    }
    answer(ui, listings, |listings| {
        let texts: Vec<String> = listings.iter().map(text).collect();
        texts.join("\n\n") + &carried(&found)
    })
}

impl Args {
    /// Whether a window is meant. A program that reads the answer wants none.
    fn wants_window(&self, ui: &Ui) -> bool {
        let looked_at = std::io::stdout().is_terminal() && has_display();
        self.window || (looked_at && !self.list && !ui.json)
    }
}

#[cfg(feature = "view")]
fn has_display() -> bool {
    crate::view::has_display()
}

#[cfg(not(feature = "view"))]
fn has_display() -> bool {
    false
}

#[cfg(feature = "view")]
fn open_window(found: Found, args: &Args) -> anyhow::Result<()> {
    window::open(found, args.episode, args.film.theme.theme())
}

#[cfg(not(feature = "view"))]
fn open_window(_: Found, args: &Args) -> anyhow::Result<()> {
    bail!(
        "this build has no window; from a checkout, this builds one that has:\n    cargo run \
         --release --features view -- replay {}",
        args.what
    )
}

/// `--video`.
fn film(found: &Found, args: &Args, ui: &Ui) -> anyhow::Result<()> {
    let made = match &args.beside {
        Some(beside) => film_twins(found, &Found::of(beside)?, &args.film)?,
        None => {
            let recording = &found.recordings[found.open];
            args.film.film(recording, args.episode, &|| true)?
        }
    };
    match made {
        Some(made) => ui.answer(&made, describe),
        None => Ok(()),
    }
}

/// Two runs side by side.
#[cfg(feature = "view")]
fn film_twins(one: &Found, other: &Found, film: &FilmArgs) -> anyhow::Result<Option<Made>> {
    film.film_twins(&[window::twin(one)?, window::twin(other)?])
}

#[cfg(not(feature = "view"))]
#[allow(clippy::unnecessary_wraps, reason = "with the feature `view` it films")]
fn film_twins(_: &Found, _: &Found, _: &FilmArgs) -> anyhow::Result<Option<Made>> {
    Ok(None)
}

/// Says how it could be watched.
fn how_to_see(what: &str, ui: &Ui) {
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

/// What is told of each recording: of one by itself, of several as a list.
fn answer<T: Serialize>(
    ui: &Ui,
    mut all: Vec<T>,
    human: impl FnOnce(&[T]) -> String,
) -> anyhow::Result<()> {
    #[derive(Serialize)]
    struct Several<'a, T> {
        recordings: &'a [T],
    }
    if all.len() == 1 {
        let one = all.remove(0);
        return ui.answer(&one, |one| human(std::slice::from_ref(one)));
    }
    ui.answer(&Several { recordings: &all }, |all| human(all.recordings))
}

/// What a recording holds.
fn list(path: &Path) -> anyhow::Result<Listing> {
    let mut reader = Reader::open(path)?;
    let mut episodes = Vec::new();
    let dt_secs = reader.about().control_step_secs;
    while let Some(episode) = reader.next_episode()? {
        episodes.push(listed(&episode, dt_secs));
    }
    let about = reader.about();
    let policy = about.policy.clone().unwrap_or_default();
    Ok(Listing {
        recording: Some(path.to_owned()),
        scenario: about.scenario.clone(),
        policy: policy.name,
        global_step: policy.global_step,
        stochastic: policy.stochastic,
        seed: about.seed,
        split: about.split.clone(),
        env: about.env,
        recorded_by: recorded_by(about),
        episodes,
        cut_off: cut_off(&reader),
        training: reader.training().cloned(),
    })
}

/// The transitions behind an incident.
fn carried(found: &Found) -> String {
    let lines = found.marks.iter().map(|mark| {
        let recording = &found.recordings[mark.recording];
        let name = recording.file_stem().unwrap_or_default().display();
        format!(
            "\n{name}, episode {}, step {}: {}",
            mark.episode, mark.step, mark.text
        )
    });
    lines.collect()
}

fn listed(episode: &Episode, dt_secs: f64) -> Listed {
    Listed {
        episode: episode.begin.episode,
        outcome: episode.end.as_ref().map(|end| end.outcome.clone()),
        steps: episode.steps.len(),
        time_secs: episode.steps.len() as f64 * dt_secs,
        episodic_return: episode.episodic_return(),
    }
}

fn recorded_by(about: &Recording) -> String {
    about.build.clone().unwrap_or_default().to_string()
}

fn cut_off(reader: &Reader) -> Option<String> {
    match reader.ending() {
        Some(Ending::CutOff(reason)) => Some(reason.clone()),
        _ => None,
    }
}

fn text(listing: &Listing) -> String {
    let (strong, faint) = (Ui::STRONG, Ui::FAINT);
    let Listing {
        policy, scenario, ..
    } = listing;
    let mut learnt = match listing.global_step {
        0 => String::new(),
        count => format!(" after {} steps", steps(count as f64)),
    };
    if listing.stochastic {
        learnt.push_str(", actions drawn");
    }
    let unended = match listing.cut_off {
        None => "goes on",
        Some(_) => "cut off",
    };
    let rows = listing.episodes.iter().map(|episode| {
        vec![
            episode.episode.to_string(),
            episode.outcome.clone().unwrap_or_else(|| unended.into()),
            episode.steps.to_string(),
            format!("{:.1} s", episode.time_secs),
            number(episode.episodic_return),
        ]
    });
    let table = table(
        &["episode", "outcome", "steps", "time", "return"],
        2,
        rows.collect(),
    );
    let mut lines = vec![
        format!("{strong}{policy}{strong:#}{learnt} in {strong}{scenario}{strong:#}"),
        format!(
            "{faint}{}, seed {}, recorded by {}{faint:#}",
            listing.what(),
            listing.seed,
            listing.recorded_by
        ),
    ];
    if let Some(path) = &listing.recording {
        lines.insert(1, format!("{faint}{}{faint:#}", path.display()));
    }
    let learnt = if listing.is_of_training() {
        "these steps were learnt from"
    } else {
        "learnt"
    };
    let training = listing.training.as_ref();
    lines.extend(training.map(|moment| in_training(learnt, moment)));
    lines.push(table);
    lines.extend(listing.cut_off.as_ref().map(|reason| warning(reason)));
    lines.join("\n")
}

impl Listing {
    fn is_of_training(&self) -> bool {
        self.split == "train"
    }

    /// `10 held-out episodes`.
    fn what(&self) -> String {
        let count = self.episodes.len();
        let s = plural(count);
        if self.is_of_training() {
            format!("{count} training episode{s} of environment {}", self.env)
        } else {
            format!("{count} held-out episode{s}")
        }
    }
}

/// What the gradients did when the policy, or what these steps led to, was learnt.
fn in_training(learnt: &str, moment: &TrainingMoment) -> String {
    let norms = moment.updates.iter().map(|step| step.grad_norm);
    let (mut sum, mut most) = (0.0, f64::NEG_INFINITY);
    for norm in norms {
        sum += norm;
        most = most.max(norm);
    }
    let faint = Ui::FAINT;
    let mean = match moment.updates.len() {
        0 => ABSENT.to_owned(),
        count => format!("{}, at most {}", number(sum / count as f64), number(most)),
    };
    format!(
        "{faint}{learnt} in iteration {}: gradient norm {mean}, {} of its optimiser steps clipped\
         {faint:#}",
        moment.iteration,
        percent(moment.clip_share),
    )
}

fn warning(reason: &str) -> String {
    let warn = Ui::WARN;
    format!("{warn}cut off{warn:#}: {reason}; all that is whole is shown")
}

/// `--verify`.
fn compare(recordings: &[PathBuf], ui: &Ui) -> anyhow::Result<()> {
    let verdicts = recordings.iter().map(|path| judge(path));
    let verdicts = verdicts.collect::<anyhow::Result<Vec<Verdict>>>()?;
    let episodes: usize = verdicts.iter().map(|verdict| verdict.episodes).sum();
    let differ: usize = verdicts
        .iter()
        .map(|verdict| verdict.differences.len())
        .sum();
    answer(ui, verdicts, |verdicts| {
        let several = verdicts.len() > 1;
        let texts = verdicts.iter().map(|verdict| {
            let name = verdict.recording.display();
            let head = if several {
                format!("{name}\n")
            } else {
                String::new()
            };
            head + &verdict_text(verdict)
        });
        texts.collect::<Vec<String>>().join("\n\n")
    })?;
    match differ {
        0 => Ok(()),
        count => bail!("{count} of {episodes} episodes are not as they were recorded"),
    }
}

/// Plays a recording again.
fn judge(path: &Path) -> anyhow::Result<Verdict> {
    let reader = &mut Reader::open(path)?;
    let (mut episodes, mut steps) = (0, 0);
    let mut differences = Vec::new();
    verify(reader, &mut |episode, difference| {
        episodes += 1;
        steps += episode.steps.len();
        differences.extend(difference);
    })?;
    Ok(Verdict {
        recording: path.to_owned(),
        recorded_by: recorded_by(reader.about()),
        simulated_by: Build::here().to_string(),
        episodes,
        steps,
        differences,
        cut_off: cut_off(reader),
    })
}

fn verdict_text(verdict: &Verdict) -> String {
    let Verdict {
        recorded_by,
        simulated_by,
        episodes,
        steps,
        ..
    } = verdict;
    let faint = Ui::FAINT;
    let mut lines: Vec<String> = match &verdict.differences[..] {
        [] => {
            let good = Ui::GOOD;
            vec![format!(
                "{good}the same{good:#}: {episodes} episode{}, {steps} steps, bit for bit",
                plural(*episodes)
            )]
        }
        differences => differences.iter().map(ToString::to_string).collect(),
    };
    lines.extend(verdict.cut_off.as_ref().map(|reason| warning(reason)));
    lines.push(format!("{faint}recorded by {recorded_by}{faint:#}"));
    lines.push(format!("{faint}simulated by {simulated_by}{faint:#}"));
    lines.join("\n")
}
