//! Resolves the argument POLICY and its scenario, for all commands that run a policy.

use std::path::Path;
use std::sync::Arc;

use anyhow::{bail, ensure};

use super::common::SeedArg;
use evenkeel::config::Override;
use evenkeel::env::{Controller, TeamController};
use evenkeel::planners;
use evenkeel::runs::{PolicySource, RUNS_FOLDER, RunDir, resolve_policy};
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::RootSeed;

/// Arguments that say how a policy drives in held-out episodes.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct HeldOutArgs {
    /// Scenario to drive in [default: the scenario that the policy was trained in]
    #[arg(long, value_name = "SCENARIO")]
    scenario: Option<String>,
    /// Override one setting of that scenario, as in `--set robot.lidar.beams=32`; repeatable
    ///
    /// PATH names a key of the scenario; list entries are numbered from 0. VALUE is written as in
    /// TOML. It is checked like a value in the file. Training settings cannot be changed here.
    #[arg(long, value_name = "PATH=VALUE", value_parser = parse_scenario_override)]
    set: Vec<Override>,
    /// Sample actions from the policy's distribution instead of taking its mode
    #[arg(long)]
    pub(super) stochastic: bool,
    #[command(flatten)]
    seed: SeedArg,
}

impl HeldOutArgs {
    pub(super) fn seed(&self) -> RootSeed {
        self.seed.seed
    }

    /// Returns the scenario to drive in: the named one, or the one that `source` was trained in.
    pub(super) fn scenario(&self, source: &PolicySource) -> anyhow::Result<Scenario> {
        find_scenario(source, self.scenario.as_deref(), &self.set)
    }
}

/// Parses a value of `--set`, and refuses training settings.
fn parse_scenario_override(text: &str) -> anyhow::Result<Override> {
    let parsed = Override::parse(text)?;
    if parsed.affects_training() {
        bail!(
            "[{}] is a training setting, and the policy is already trained; only settings of the \
             scenario can be changed here",
            parsed.section()
        );
    }
    Ok(parsed)
}

/// Resolves the argument POLICY.
pub(super) fn find_policy(text: &str) -> anyhow::Result<PolicySource> {
    Ok(resolve_policy(text, Path::new(RUNS_FOLDER))?)
}

/// Checks that `--stochastic` has an effect.
pub(super) fn check_stochastic(
    controller: &dyn Controller,
    source: &PolicySource,
) -> anyhow::Result<()> {
    ensure!(
        controller.is_stochastic(),
        "{} is deterministic; leave out --stochastic",
        source.name()
    );
    Ok(())
}

fn find_scenario(
    source: &PolicySource,
    named: Option<&str>,
    set: &[Override],
) -> anyhow::Result<Scenario> {
    match (named, source) {
        (Some(name), _) => Ok(scenario::resolve(name, set)?),
        (None, PolicySource::Checkpoint { run: Some(run), .. }) => own_scenario(run, set),
        (None, PolicySource::Checkpoint { run: None, path }) => bail!(
            "{}: the checkpoint is not part of a run; name its scenario with --scenario",
            path.display()
        ),
        (None, PolicySource::Planner(name)) => {
            planners::check_name(name)?;
            bail!("planner:{name} has no training scenario; name a scenario with --scenario")
        }
    }
}

/// Loads the scenario that a run was trained in, with the overrides `set`.
pub(super) fn own_scenario(run: &RunDir, set: &[Override]) -> anyhow::Result<Scenario> {
    let mut scenario = Scenario::load(&run.config_path(), set)?;
    scenario.name = run.info()?.scenario;
    Ok(scenario)
}

/// Returns the controller of a trained policy or a planner.
pub(super) fn find_controller(
    source: &PolicySource,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> anyhow::Result<Box<dyn Controller + Send>> {
    match source {
        PolicySource::Planner(name) => Ok(planners::by_name(name, scenario, seed)?),
        PolicySource::Checkpoint { path, .. } => load_policy(path, scenario, seed, stochastic),
    }
}

/// Resolves `--others`, the policy that drives all robots but the first.
///
/// # Errors
/// If the policy does not exist, or the scenario has only one robot.
pub(super) fn find_others(
    others: Option<&str>,
    scenario: &Scenario,
) -> anyhow::Result<Option<PolicySource>> {
    let Some(policy) = others else {
        return Ok(None);
    };
    ensure!(
        scenario.spec.robot_count() > 1,
        "scenario '{}' has one robot; leave out --others",
        scenario.name
    );
    Ok(Some(find_policy(policy)?))
}

/// Returns the controller of all robots. `source` drives the first robot, and all others too unless
/// `others` is given.
pub(super) fn find_team_controller(
    source: &PolicySource,
    others: Option<&PolicySource>,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> anyhow::Result<Box<dyn Controller + Send>> {
    let controller = find_controller(source, scenario, seed, stochastic)?;
    let Some(others) = others else {
        return Ok(controller);
    };
    let others = find_controller(others, scenario, seed, stochastic)?;
    let robots = scenario.spec.robot_count();
    Ok(Box::new(TeamController::new(controller, others, robots)))
}

/// Returns the policy's name, as in `planner:dwa` or `planner:dwa among planner:orca`.
pub(super) fn team_name(source: &PolicySource, others: Option<&PolicySource>) -> String {
    match others {
        Some(others) => format!("{} among {}", source.name(), others.name()),
        None => source.name(),
    }
}

#[cfg(feature = "learn")]
fn load_policy(
    path: &Path,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> anyhow::Result<Box<dyn Controller + Send>> {
    use evenkeel::learn::PolicyController;
    use evenkeel::seed::Split;

    let controller = PolicyController::load(path)?;
    let (trained, found) = (controller.obs_layout(), evenkeel::env::obs_layout(scenario));
    if *trained != found {
        bail!(
            "the policy does not fit scenario '{}': it was trained on the observation {}, and the \
             scenario's is {}",
            scenario.name,
            blocks(trained),
            blocks(&found),
        );
    }
    let (trained, found) = (controller.action_dim(), evenkeel::env::action_dim(scenario));
    if trained != found {
        bail!(
            "the policy does not fit scenario '{}': it outputs {trained} actions, and the robot \
             takes {found}",
            scenario.name,
        );
    }
    if stochastic {
        Ok(Box::new(controller.stochastic(seed, Split::Eval)))
    } else {
        Ok(Box::new(controller))
    }
}

#[cfg(not(feature = "learn"))]
fn load_policy(
    path: &Path,
    _: &Arc<Scenario>,
    _: RootSeed,
    _: bool,
) -> anyhow::Result<Box<dyn Controller + Send>> {
    bail!(
        "{}: this program was built without libtorch and cannot run trained policies",
        path.display()
    )
}

/// Formats an observation layout, as in `lidar[64] goal[3] velocity[2]`.
#[cfg(feature = "learn")]
fn blocks(layout: &evenkeel::env::ObsLayout) -> String {
    let blocks = layout
        .blocks
        .iter()
        .map(|(name, _, length)| format!("{name}[{length}]"));
    blocks.collect::<Vec<_>>().join(" ")
}
