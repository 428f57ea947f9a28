//! `evenkeel record`: episodes of a policy, in a file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::Ui;
use super::common::{MAX_EPISODES, SeedArg, format_bytes, progress_bar};
use super::policy::{
    find_others, find_scenario, find_team_controller, parse_scenario_override, team_name,
};
use super::video::{self, VideoArgs, WrittenVideo};
use evenkeel::config::Override;
use evenkeel::recording::messages::{EpisodeEnd, PolicyIdentity, RecordingHeader};
use evenkeel::recording::{
    RecordOptions, RecordingSummary, RecordingWriter, record_episodes, training_context_at,
    write_training_context,
};
use evenkeel::runs::{PolicySource, resolve_policy};
use evenkeel::scenario::Scenario;
use evenkeel::telemetry::format::plural;

/// Arguments of `evenkeel record`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  The newest run, in the first ten of the episodes that `eval` reports on:
    evenkeel record @last
  A driver without learning:
    evenkeel record planner:dwa --scenario movers --episodes 3 --out dwa.mcap
  Six robots, of which the policy drives the first:
    evenkeel record @last --scenario swap --others planner:orca
  With a film of it, which needs no display:
    evenkeel record @last --episodes 3 --video last.mp4
  Look at it, or know that this build still drives the same:
    evenkeel replay dwa.mcap
    evenkeel replay dwa.mcap --verify

Foxglove and Lichtblick open the file as it is; docs/recordings.md says what is in it. Ctrl-C
ends the recording with the episode.")]
pub struct Args {
    /// A run's folder, a checkpoint's folder, `@last`, or `planner:NAME`
    #[arg(value_name = "POLICY")]
    policy: String,
    /// Scenario to drive in [default: the one that the policy was trained in]
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Change one setting of that scenario, as in `--set robot.lidar.beams=32`; repeatable
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_scenario_override)]
    set: Vec<Override>,
    /// Let another policy drive all robots but the first
    #[arg(long, value_name = "POLICY")]
    others: Option<String>,
    /// Held-out episodes to record: the first of those that `evenkeel eval` drives
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=MAX_EPISODES))]
    episodes: u64,
    /// Draw actions from the policy's distribution instead of taking its mode
    #[arg(long)]
    stochastic: bool,
    #[command(flatten)]
    seed: SeedArg,
    /// File to write to [default: in the run's folder `recordings`, of a driver here, named after
    /// scenario, policy and seed]
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
    /// Episodes by how they ended.
    outcomes: BTreeMap<String, u64>,
    /// Whether it was ended before all episodes were driven.
    stopped: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    video: Option<WrittenVideo>,
}

/// Runs `evenkeel record`.
///
/// # Errors
/// If there is no such policy or scenario, they do not fit, or the file cannot be written.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    args.video.check()?;
    let source = resolve_policy(&args.policy, Path::new("runs"))?;
    let scenario = find_scenario(&source, args.scenario.as_deref(), &args.set)?;
    let scenario = Arc::new(scenario);
    let seed = args.seed.seed;
    let others = find_others(args.others.as_deref(), &scenario)?;
    let mut controller =
        find_team_controller(&source, others.as_ref(), &scenario, seed, args.stochastic)?;
    if args.stochastic && !controller.is_stochastic() {
        bail!("{} draws no actions; leave out --stochastic", source.name());
    }
    let policy = PolicyIdentity {
        name: team_name(&source, others.as_ref()),
        ..PolicyIdentity::of(&source, controller.is_stochastic())
    };
    let path = match &args.out {
        Some(path) => path.clone(),
        None => default_path(&source, others.as_ref(), &scenario, &policy, seed)?,
    };
    let moment = match &source {
        PolicySource::Checkpoint { run: Some(run), .. } => {
            training_context_at(&run.events()?, policy.global_step)
        }
        _ => None,
    };
    let mut writer = RecordingWriter::create(
        &path,
        &RecordingHeader::of(&scenario, policy, seed, evenkeel::build()),
    )?;
    if let Some((moment, seen)) = &moment {
        write_training_context(&mut writer, moment, seen)?;
    }

    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        // Whoever asks twice does not want to wait.
        if asked.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .context("cannot listen for Ctrl-C")?;
    let bar = progress_bar("episodes");
    bar.set_length(args.episodes);
    let mut outcomes = BTreeMap::new();
    let options = RecordOptions {
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
    // Whoever ended the recording may still want it filmed; asked again, the program ends.
    let video = args.video.film(&written.path, None)?;
    let answer = Output {
        video,
        stopped: written.episodes < args.episodes,
        written,
        outcomes,
    };
    ui.answer(&answer, describe)
}

/// Where a recording goes that nobody named a place for. The same name is the same recording.
fn default_path(
    source: &PolicySource,
    others: Option<&PolicySource>,
    scenario: &Scenario,
    policy: &PolicyIdentity,
    seed: u64,
) -> anyhow::Result<PathBuf> {
    let drawn = if policy.stochastic {
        "__stochastic"
    } else {
        ""
    };
    let among = others.map_or(String::new(), |others| {
        // A driver's name, or a run's.
        format!("__with_{}", others.name().replace([':', '/', '\\'], "_"))
    });
    let (folder, who) = match source {
        PolicySource::Checkpoint { run: Some(run), .. } => {
            let folder = run.recordings_path();
            std::fs::create_dir_all(&folder)
                .with_context(|| format!("cannot make {}", folder.display()))?;
            (
                folder,
                format!("{}_{}", policy.checkpoint, policy.global_step),
            )
        }
        PolicySource::Checkpoint { run: None, .. } => (PathBuf::new(), policy.checkpoint.clone()),
        PolicySource::Planner(name) => (PathBuf::new(), name.clone()),
    };
    Ok(folder.join(format!(
        "{}__{who}{among}{drawn}__s{seed}.mcap",
        scenario.name
    )))
}

fn describe(answer: &Output) -> String {
    let RecordingSummary {
        path,
        bytes,
        episodes,
        steps,
    } = &answer.written;
    let (strong, path) = (Ui::STRONG, path.display());
    let outcomes: Vec<String> = answer
        .outcomes
        .iter()
        .map(|(outcome, count)| format!("{count} {outcome}"))
        .collect();
    let stopped = if answer.stopped { "stopped; " } else { "" };
    let video = match &answer.video {
        Some(made) => video::describe(made) + "\n",
        None => String::new(),
    };
    format!(
        "{video}{stopped}recorded {episodes} episode{} ({}), {steps} steps, {}:\n{strong}{path}{strong:#}\n\
         list them, or play them again and compare, with\n  evenkeel replay {path}\n  evenkeel \
         replay {path} --verify\nor open the file in Foxglove or Lichtblick",
        plural(*episodes as usize),
        outcomes.join(", "),
        format_bytes(*bytes),
    )
}
