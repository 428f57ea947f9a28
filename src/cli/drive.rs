//! `evenkeel drive`: lets a person drive a robot in a window.

use std::sync::Arc;

use super::Ui;
use super::common::{ScenarioArg, SeedArg, SetArgs};
use super::watch::{ThemeArg, environment};
use evenkeel::env::{Controller, TeamController};
use evenkeel::planners::{self, Teleop};
use evenkeel::scenario;
use evenkeel::view::{self, ControlSource, Screen, WatchedPolicy};

/// The planner that drives all robots but the first.
const OTHERS: &str = "orca";

/// Arguments of `evenkeel drive`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  Drive in a scenario before training in it:
    evenkeel drive reference
  Drive a robot that can reverse:
    evenkeel drive u_trap --set robot.drive.differential.max_reverse_mps=0.5

Drive with the arrow keys or W A S D; `?` lists the other keys. In a scenario with several robots
you drive the first, and planner:orca drives the others.")]
pub(crate) struct Args {
    #[command(flatten)]
    scenario: ScenarioArg,
    #[command(flatten)]
    set: SetArgs,
    #[command(flatten)]
    seed: SeedArg,
    #[command(flatten)]
    theme: ThemeArg,
}

/// Runs `evenkeel drive`.
///
/// # Errors
/// If the scenario does not exist, or no window can be opened.
pub(crate) fn run(args: Args, _ui: &Ui) -> anyhow::Result<()> {
    let scenario = Arc::new(scenario::resolve(&args.scenario.scenario, &args.set.set)?);
    let (teleop, joystick) = Teleop::new(&scenario);
    let mut controller: Box<dyn Controller + Send> = Box::new(teleop);
    let robots = scenario.spec.robot_count();
    if robots > 1 {
        let others = planners::by_name(OTHERS, &scenario, args.seed.seed)?;
        controller = Box::new(TeamController::new(controller, others, robots));
    }
    let subject = WatchedPolicy {
        name: "you".into(),
        env: environment(&scenario, args.seed.seed, 0)?,
        controller,
    };
    let screen = Screen {
        theme: args.theme.theme(),
        control: ControlSource::Person,
        ..Screen::default()
    };
    Ok(view::watch(
        vec![subject],
        args.seed.seed,
        screen,
        Some(joystick),
    )?)
}
