//! `evenkeel watch`: policies at the wheel, in a window or on a picture.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail, ensure};
use serde::Serialize;

use super::Ui;
pub(super) use super::common::ThemeArg;
use super::common::{SeedArg, parse_size};
use super::policy::{
    find_others, find_scenario, find_team_controller, parse_scenario_override, team_name,
};
use evenkeel::config::Override;
use evenkeel::env::NavEnv;
use evenkeel::runs::{PolicySource, resolve_policy, write_atomic};
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
  The newest run, on episodes that training never draws:
    evenkeel watch @last
  A driver that needs no training, in any scenario:
    evenkeel watch planner:straight --scenario movers
  Two policies on the same episodes, in one room:
    evenkeel watch @last planner:straight --ghosts
  A policy among robots that a driver drives:
    evenkeel watch @last --scenario swap --others planner:orca
  A picture of the twelfth second, without a window or a display:
    evenkeel watch @last --screenshot last.png --at 12

`?` lists the keys of the window.")]
pub struct Args {
    /// A run's folder, a checkpoint's folder, `@last`, or `planner:NAME`; two share the screen
    #[arg(value_name = "POLICY", required = true, num_args = 1..=2)]
    policies: Vec<String>,
    /// Scenario to drive in [default: the one that the first policy was trained in]
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Change one setting of that scenario, as in `--set robot.lidar.beams=32`; repeatable
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_scenario_override)]
    set: Vec<Override>,
    /// Let another policy drive all robots but the first, in each room
    #[arg(long, value_name = "POLICY")]
    others: Option<String>,
    #[command(flatten)]
    seed: SeedArg,
    /// Held-out episode to begin with, the same that `evenkeel eval` counts
    #[arg(long, value_name = "N", default_value_t = 0)]
    episode: u64,
    /// Draw actions from a policy's distribution instead of taking its mode
    #[arg(long)]
    stochastic: bool,
    /// Put two policies into one room, where they do not feel one another
    #[arg(long)]
    ghosts: bool,
    #[command(flatten)]
    theme: ThemeArg,
    /// Draw one picture into a file (PNG) instead of opening a window; needs no display
    #[arg(long, value_name = "FILE")]
    screenshot: Option<PathBuf>,
    /// Second of the episode that the picture shows; its end at the latest
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

/// Where the picture went.
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
/// If there is no such policy or scenario, they do not fit, or nothing can be shown.
pub fn run(args: Args, ui: &Ui) -> anyhow::Result<()> {
    ensure!(
        args.at.is_finite() && args.at >= 0.0,
        "--at {}: a second of the episode, 0 or more",
        args.at
    );
    let sources = args
        .policies
        .iter()
        .map(|policy| resolve_policy(policy, Path::new("runs")))
        .collect::<Result<Vec<_>, _>>()?;
    let scenario = Arc::new(scenario_of(&sources, &args)?);
    let others = find_others(args.others.as_deref(), &scenario)?;
    let name = |source| team_name(source, others.as_ref());
    let subjects = sources
        .iter()
        .map(|source| {
            Ok(WatchedPolicy {
                name: name(source),
                env: environment(&scenario, args.seed.seed, args.episode)?,
                controller: find_team_controller(
                    source,
                    others.as_ref(),
                    &scenario,
                    args.seed.seed,
                    args.stochastic,
                )?,
            })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    if args.stochastic
        && !subjects
            .iter()
            .any(|subject| subject.controller.is_stochastic())
    {
        bail!("nobody here draws actions; leave out --stochastic");
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
        return Ok(view::watch(subjects, args.seed.seed, screen, None)?);
    };
    let [width, height] = args.size;
    let mut studio = OffscreenRenderer::open(width, height)?;
    let pictures: Vec<(EpisodeView, EpisodeCounts)> = subjects
        .into_iter()
        .map(|subject| {
            (
                play_until(subject, args.seed.seed, args.at),
                EpisodeCounts::default(),
            )
        })
        .collect();
    let output = ScreenshotOutput {
        screenshot: file,
        scenario: &scenario.name,
        policies: sources.iter().map(name).collect(),
        episode: args.episode,
        time_secs: pictures
            .iter()
            .map(|(p, _)| p.snapshot().time_secs)
            .collect(),
    };
    let still = OffscreenScene {
        screen,
        pictures,
        share: 1.0,
        strips: Vec::new(),
    };
    let png = studio.render(still)?.png();
    write_atomic(file, &png).with_context(|| format!("cannot write {}", file.display()))?;
    ui.answer(&output, |output| output.screenshot.display().to_string())
}

/// The scenario that is named, or else that of the first policy that has one.
fn scenario_of(sources: &[PolicySource], args: &Args) -> anyhow::Result<Scenario> {
    let trained = |source: &&PolicySource| matches!(source, PolicySource::Checkpoint { .. });
    let source = sources.iter().find(trained).unwrap_or(&sources[0]);
    find_scenario(source, args.scenario.as_deref(), &args.set)
}

/// The environment that held-out episodes are played in, at one of them.
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

/// A subject's episode up to a second of it, or to its end.
fn play_until(mut subject: WatchedPolicy, seed: RootSeed, until_secs: f32) -> EpisodeView {
    let mut picture = EpisodeView::of_env(&subject.env, &subject.name, seed);
    picture.play(&mut subject.env, subject.controller.as_mut(), until_secs);
    picture
}
