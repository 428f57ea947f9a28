//! `evenkeel drive`: a person at the wheel.

use std::sync::Arc;

use super::Ui;
use super::common::{ScenarioArg, SeedArg, SetArgs};
use super::watch::{ThemeArg, environment};
use evenkeel::drivers::{self, Teleop};
use evenkeel::env::{Actor, Team};
use evenkeel::scenario;
use evenkeel::view::{self, Screen, Subject, Wheel};

/// Who drives the other robots, where there are several.
const OTHERS: &str = "orca";

/// Arguments of `evenkeel drive`.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  The way to feel a scenario before training on it:
    evenkeel drive reference
  The same with a robot that can go backwards:
    evenkeel drive u_trap --set robot.drive.differential.max_reverse_mps=0.5

The arrow keys or W A S D drive; `?` lists the other keys. Of several robots the first is yours, and
driver:orca drives the others.")]
pub struct Args {
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
/// If there is no such scenario, or no window can be opened.
pub fn run(args: Args, _ui: &Ui) -> anyhow::Result<()> {
    let scenario = Arc::new(scenario::resolve(&args.scenario.scenario, &args.set.set)?);
    let (driver, lever) = Teleop::new(&scenario);
    let mut actor: Box<dyn Actor + Send> = Box::new(driver);
    let robots = scenario.spec.robot_count();
    if robots > 1 {
        let others = drivers::by_name(OTHERS, &scenario, args.seed.seed)?;
        actor = Box::new(Team::new(actor, others, robots));
    }
    let subject = Subject {
        name: "you".into(),
        env: environment(&scenario, args.seed.seed, 0)?,
        actor,
    };
    let screen = Screen {
        theme: args.theme.theme(),
        wheel: Wheel::Person,
        ..Screen::default()
    };
    Ok(view::watch(
        vec![subject],
        args.seed.seed,
        screen,
        Some(lever),
    )?)
}
