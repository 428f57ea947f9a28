//! `evenkeel record`: records held-out episodes of a policy in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::ensure;
use serde::Serialize;

use super::Ui;
use super::common::{MAX_EPISODES, count, format_bytes, progress_bar};
use super::files::{check_output, policy_files};
use super::policy::{HeldOutArgs, check_stochastic, find_others, find_policy, warn_of_other_robot};
use super::signals::{acknowledge, stop_on_signal};
use super::video::{self, VideoArgs, WrittenVideo};
use evenkeel::lab::{team_controller, team_name};
use evenkeel::recording::messages::{EpisodeEnd, PolicyIdentity, RecordingHeader};
use evenkeel::recording::{
    HeldOutEpisodes, RecordingReader, RecordingSummary, RecordingWriter, iteration_with_events_at,
    record_episodes, write_iteration_with_events,
};
use evenkeel::runs::{PolicySource, create_folder};
use evenkeel::scenario::Scenario;
use evenkeel::telemetry::format::{counted, shell_path};

/// Arguments of `evenkeel record`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Record the newest run in the first ten held-out episodes:
    evenkeel record @last
  Record a planner:
    evenkeel record planner:dwa --scenario movers --episodes 3 --out dwa.mcap
  Record six robots, of which the policy drives the first:
    evenkeel record @last --scenario swap --others planner:orca
  Also write a video, which needs no display:
    evenkeel record @last --episodes 3 --video last.mp4
  Show a recording, or verify that this build reproduces it:
    evenkeel replay dwa.mcap
    evenkeel replay dwa.mcap --verify

Foxglove and Lichtblick open the file directly; docs/recordings.md describes its contents. Ctrl-C
stops after the current episode.")]
pub(crate) struct Args {
    /// A run's folder, a checkpoint's folder, `@last`, or `planner:NAME`
    #[arg(value_name = "POLICY")]
    policy: String,
    #[command(flatten)]
    held_out: HeldOutArgs,
    /// Let another policy drive all robots but the first
    #[arg(long, value_name = "POLICY")]
    others: Option<String>,
    /// Number of held-out episodes to record: the first ones that `evenkeel eval` plays
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = count::<u64>(1..=MAX_EPISODES))]
    episodes: u64,

    /// File to write to [default: a file named after scenario, policy and seed, in the run's folder
    /// `recordings`, or in the current folder for a planner; with a number if a recording with other
    /// settings has that name]
    #[arg(long, short, value_name = "FILE.mcap")]
    out: Option<PathBuf>,
    #[command(flatten)]
    video: VideoArgs,
}

/// The answer.
#[derive(Serialize)]
struct Output {
    #[serde(flatten)]
    written: RecordingSummary,
    /// Number of episodes per outcome.
    outcomes: BTreeMap<String, u64>,
    /// Whether recording was stopped before all episodes were played.
    stopped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<WrittenVideo>,
}

#[cfg(all(feature = "view", target_os = "linux"))]
impl Args {
    /// Whether it draws a video.
    pub(super) fn makes_video(&self) -> bool {
        self.video.video.is_some()
    }
}

/// Runs `evenkeel record`.
///
/// # Errors
/// If the policy or the scenario does not exist, the policy does not fit the scenario, or the file
/// cannot be written.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    args.video.check()?;
    let source = find_policy(&args.policy)?;
    let scenario = Arc::new(args.held_out.scenario(&source)?);
    let (seed, stochastic) = (args.held_out.seed(), args.held_out.stochastic);
    let others = find_others(args.others.as_deref(), &scenario)?;
    for source in std::iter::once(&source).chain(&others) {
        warn_of_other_robot(source, &scenario, ui)?;
    }
    let mut controller = team_controller(&source, others.as_ref(), &scenario, seed, stochastic)?;
    if stochastic {
        check_stochastic(controller.as_ref(), &source)?;
    }
    let policy = PolicyIdentity {
        name: team_name(&source, others.as_ref()),
        ..PolicyIdentity::of(&source, controller.is_stochastic())
    };
    let header = RecordingHeader::of(&scenario, policy.clone(), seed, evenkeel::build());
    let path = if let Some(path) = args.out {
        path
    } else {
        let default = default_path(&source, others.as_ref(), &scenario, &policy, seed)?;
        path_of_its_own(&default, &header)
    };
    let inputs = [scenario.files(), &policy_files(&source)].concat();
    check_output("--out", &path, &inputs)?;
    // The finished recording is renamed to this name, which would replace a device.
    ensure!(
        path.is_file() || !path.exists(),
        "--out {}: a recording is a file; name one",
        path.display()
    );
    args.video.check_output(inputs.iter().chain([&path]))?;
    let training = match &source {
        PolicySource::Checkpoint { run: Some(run), .. } => {
            iteration_with_events_at(&run.events()?, policy.global_step)
        }
        _ => None,
    };
    let mut writer = RecordingWriter::create(&path, &header)?;
    if let Some((iteration, health)) = &training {
        write_iteration_with_events(&mut writer, iteration, health)?;
    }

    let stop = Arc::<AtomicBool>::default();
    stop_on_signal(Arc::clone(&stop), || {
        acknowledge("stopping after this episode; press Ctrl-C again to end at once");
    })?;
    let bar = progress_bar("episodes");
    bar.set_length(args.episodes);
    let mut outcomes = BTreeMap::new();
    let options = HeldOutEpisodes {
        episodes: args.episodes,
        seed,
    };
    record_episodes(
        &scenario,
        controller.as_mut(),
        &options,
        &mut writer,
        &mut |end: &EpisodeEnd| {
            *outcomes.entry(end.outcome.clone()).or_default() += 1;
            bar.set_message(format!("{} after {} steps · ", end.outcome, end.steps));
            bar.inc(1);
            !stop.load(Ordering::SeqCst)
        },
    )?;
    bar.finish_and_clear();
    let written = writer.finish()?;
    // A video of a stopped recording is written too. A second Ctrl-C ends the program.
    let video = args.video.write(&written.path, None)?;
    let answer = Output {
        video,
        stopped: written.episodes < args.episodes,
        written,
        outcomes,
    };
    ui.answer(&answer, describe)
}

/// Returns the default of `--out`. The name identifies the recording: scenario, policy and its
/// training steps, other policies, sampling, and seed.
fn default_path(
    source: &PolicySource,
    others: Option<&PolicySource>,
    scenario: &Scenario,
    policy: &PolicyIdentity,
    seed: u64,
) -> anyhow::Result<PathBuf> {
    let sampling = if policy.stochastic {
        "__stochastic"
    } else {
        ""
    };
    let with_others = others.map_or(String::new(), |others| {
        format!("__with_{}", others.name().replace([':', '/', '\\'], "_"))
    });
    let (folder, name) = match source {
        PolicySource::Checkpoint { run: Some(run), .. } => {
            let folder = run.recordings_path();
            create_folder(&folder)?;
            (
                folder,
                format!("{}_{}", policy.checkpoint, policy.global_step),
            )
        }
        PolicySource::Checkpoint { run: None, .. } => (PathBuf::new(), policy.checkpoint.clone()),
        PolicySource::Planner(name) => (PathBuf::new(), name.clone()),
    };
    Ok(folder.join(format!(
        "{}__{name}{with_others}{sampling}__s{seed}.mcap",
        scenario.name
    )))
}

/// Returns the default path or, where it is taken by a recording with other settings (`--set`), the
/// first with a number. A recording of the same episodes is replaced.
fn path_of_its_own(default: &Path, header: &RecordingHeader) -> PathBuf {
    let same_episodes = |path: &Path| {
        RecordingReader::open(path).is_ok_and(|earlier| {
            let earlier = RecordingHeader {
                build: header.build.clone(),
                ..earlier.header().clone()
            };
            earlier == *header
        })
    };
    let stem = default.file_stem().unwrap_or_default().to_string_lossy();
    let numbered = (2..).map(|count| default.with_file_name(format!("{stem}-{count}.mcap")));
    std::iter::once(default.to_owned())
        .chain(numbered)
        .find(|path| !path.exists() || same_episodes(path))
        .expect("numbers have no end")
}

fn describe(answer: &Output) -> String {
    let RecordingSummary {
        path,
        bytes,
        episodes,
        steps,
    } = &answer.written;
    let (strong, word, path) = (Ui::STRONG, shell_path(path), path.display());
    let outcomes: Vec<String> = answer
        .outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let stopped = if answer.stopped { "stopped; " } else { "" };
    let video = match &answer.video {
        Some(written) => video::describe(written) + "\n",
        None => String::new(),
    };
    format!(
        "{video}{stopped}recorded {} ({}), {}, {}:\n{strong}{path}{strong:#}\n\
         show or verify it with\n  evenkeel replay {word}\n  evenkeel replay {word} --verify\nor \
         open the file in Foxglove or Lichtblick",
        counted(*episodes, "episode"),
        outcomes.join(", "),
        counted(*steps, "step"),
        format_bytes(*bytes),
    )
}
