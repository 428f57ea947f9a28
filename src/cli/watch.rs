//! `evenkeel watch`: shows policies that drive, in a window or in a picture.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{bail, ensure};
use serde::Serialize;

use super::Ui;
pub(super) use super::common::ThemeArg;
use super::common::{count, parse_size};
use super::files::{check_output, policy_files};
use super::policy::{HeldOutArgs, find_others, find_policy, warn_of_other_robot};
use evenkeel::env::{EpisodeRunner, NavEnv};
use evenkeel::lab::{team_controller, team_name};
use evenkeel::runs::{PolicySource, write_file};
use evenkeel::scenario::Scenario;
use evenkeel::seed::{RootSeed, Split};
use evenkeel::view::{
    self, Arrangement, EpisodeCounts, EpisodeView, OffscreenRenderer, OffscreenScene, Screen,
    WatchedPolicy,
};

/// Arguments of `evenkeel watch`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Watch the newest run on held-out episodes:
    evenkeel watch @last
  Watch a planner:
    evenkeel watch planner:straight --scenario movers
  Watch two policies on the same episodes, drawn over each other:
    evenkeel watch @last planner:straight --ghosts
  Watch a policy among robots that a planner drives:
    evenkeel watch @last --scenario swap --others planner:orca
  Save a picture of second 12; needs no window and no display:
    evenkeel watch @last --screenshot last.png --at 12

`?` lists the keys of the window.")]
pub(crate) struct Args {
    /// A run's folder, a checkpoint's folder, `@last`, or `planner:NAME`; one or two
    #[arg(value_name = "POLICY", required = true, num_args = 1..=2)]
    policies: Vec<String>,
    #[command(flatten)]
    held_out: HeldOutArgs,
    /// Let another policy drive all robots but the first
    #[arg(long, value_name = "POLICY")]
    others: Option<String>,
    /// Number of the first held-out episode, as `evenkeel eval` counts them
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = count::<u64>(0..=u64::MAX))]
    episode: u64,

    /// Draw the two policies' robots in one picture; they do not affect each other
    #[arg(long)]
    ghosts: bool,
    #[command(flatten)]
    theme: ThemeArg,
    /// Save one picture (PNG) instead of opening a window; needs no display
    #[arg(long, value_name = "FILE")]
    screenshot: Option<PathBuf>,
    /// Episode time of the picture, seconds; the end of the episode if that is earlier
    #[arg(
        long,
        value_name = "SECS",
        default_value_t = 5.0,
        requires = "screenshot"
    )]
    at: f32,
    /// Size of the picture, pixels
    #[arg(long, value_name = "WxH", default_value = "1280x720", value_parser = parse_size, requires = "screenshot")]
    size: [u32; 2],
}

/// The answer of `--screenshot`.
#[derive(Serialize)]
struct ScreenshotOutput<'a> {
    screenshot: &'a Path,
    scenario: &'a str,
    policies: Vec<String>,
    episode: u64,
    time_secs: Vec<f32>,
}

/// Runs `evenkeel watch`.
///
/// # Errors
/// If a policy or the scenario does not exist, a policy does not fit the scenario, or no window or
/// picture can be drawn.
pub(crate) fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    ensure!(
        args.at.is_finite() && args.at >= 0.0,
        "--at {}: must be 0 or more seconds",
        args.at
    );
    let sources = args
        .policies
        .iter()
        .map(|policy| find_policy(policy))
        .collect::<Result<Vec<_>, _>>()?;
    let (seed, stochastic) = (args.held_out.seed(), args.held_out.stochastic);
    let scenario = Arc::new(scenario_of(&sources, &args)?);
    let others = find_others(args.others.as_deref(), &scenario)?;
    for source in sources.iter().chain(&others) {
        warn_of_other_robot(source, &scenario, ui)?;
    }
    let name = |source| team_name(source, others.as_ref());
    let subjects = sources
        .iter()
        .map(|source| {
            Ok(WatchedPolicy {
                name: name(source),
                env: environment(&scenario, seed, args.episode)?,
                controller: team_controller(source, others.as_ref(), &scenario, seed, stochastic)?,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    if stochastic
        && !subjects
            .iter()
            .any(|subject| subject.controller.is_stochastic())
    {
        bail!("no policy here is stochastic; leave out --stochastic");
    }
    let screen = Screen {
        theme: args.theme.theme(),
        arrangement: if args.ghosts {
            Arrangement::Ghosts
        } else {
            Arrangement::Split
        },
        ..Screen::default()
    };
    let Some(file) = &args.screenshot else {
        return Ok(view::watch(subjects, seed, screen, None)?);
    };
    let policies = sources.iter().flat_map(policy_files);
    check_output(
        "--screenshot",
        file,
        scenario.files().iter().cloned().chain(policies),
    )?;
    let [width, height] = args.size;
    let mut renderer = OffscreenRenderer::open(width, height)?;
    let episodes: Vec<(EpisodeView, EpisodeCounts)> = subjects
        .into_iter()
        .map(|subject| (play_until(subject, seed, args.at), EpisodeCounts::default()))
        .collect();
    let output = ScreenshotOutput {
        screenshot: file,
        scenario: &scenario.name,
        policies: sources.iter().map(name).collect(),
        episode: args.episode,
        time_secs: episodes
            .iter()
            .map(|(view, _)| view.snapshot().time_secs)
            .collect(),
    };
    let scene = OffscreenScene {
        screen,
        episodes,
        interpolation: 1.0,
        strips: Vec::new(),
    };
    let png = renderer.render(scene)?.png();
    write_file(file, png)?;
    ui.answer(&output, |output| output.screenshot.display().to_string())
}

/// Returns the named scenario, or the scenario of the first trained policy.
fn scenario_of(sources: &[PolicySource], args: &Args) -> anyhow::Result<Scenario> {
    let is_trained = |source: &&PolicySource| matches!(source, PolicySource::Checkpoint { .. });
    let source = sources.iter().find(is_trained).unwrap_or(&sources[0]);
    args.held_out.scenario(source)
}

/// Creates an environment for held-out episodes and resets it to one of them.
pub(super) fn environment(
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    episode: u64,
) -> anyhow::Result<NavEnv> {
    let unplaceable = |reason| scenario.unplaceable(reason);
    let mut env = NavEnv::new(Arc::clone(scenario), seed, Split::Eval, 0).map_err(unplaceable)?;
    env.try_reset(episode).map_err(unplaceable)?;
    Ok(env)
}

/// Plays the subject's episode until a time, seconds, or its end.
fn play_until(mut subject: WatchedPolicy, seed: RootSeed, until_secs: f32) -> EpisodeView {
    let mut view = EpisodeView::of_env(&subject.env, &subject.name, seed);
    let mut runner = EpisodeRunner::new(subject.env);
    view.play(&mut runner, subject.controller.as_mut(), until_secs);
    view
}
