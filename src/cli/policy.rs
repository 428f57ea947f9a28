//! POLICY and its scenario, for every command that drives one.

use std::path::Path;
use std::sync::Arc;

use anyhow::{bail, ensure};

use evenkeel::config::Override;
use evenkeel::env::{Controller, TeamController};
use evenkeel::planners;
use evenkeel::runs::{PolicySource, RunDir, resolve_policy};
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::RootSeed;

/// Takes what `--set` takes, but for the training settings.
pub(super) fn parse_scenario_override(text: &str) -> anyhow::Result<Override> {
    let change = Override::parse(text)?;
    if change.affects_training() {
        bail!(
            "[{}] says how a policy is trained, and this one has been; only the scenario that it \
             drives in can be changed here",
            change.section()
        );
    }
    Ok(change)
}

/// The scenario to drive in: the named one, or the one that the policy was trained in.
pub(super) fn find_scenario(
    source: &PolicySource,
    named: Option<&str>,
    set: &[Override],
) -> anyhow::Result<Scenario> {
    match (named, source) {
        (Some(name), _) => Ok(scenario::resolve(name, set)?),
        (None, PolicySource::Checkpoint { run: Some(run), .. }) => own_scenario(run, set),
        (None, PolicySource::Checkpoint { run: None, path }) => bail!(
            "{}: the checkpoint lies outside a run; name its scenario with --scenario",
            path.display()
        ),
        (None, PolicySource::Planner(name)) => {
            planners::check_name(name)?;
            bail!("planner:{name} was trained nowhere; name a scenario with --scenario")
        }
    }
}

/// The scenario that the run was about, as it was then but for the changes.
pub(super) fn own_scenario(run: &RunDir, set: &[Override]) -> anyhow::Result<Scenario> {
    let mut scenario = Scenario::load(&run.config_path(), set)?;
    scenario.name = run.info()?.scenario;
    Ok(scenario)
}

/// Whoever drives: a trained policy, or a driver.
pub(super) fn find_controller(
    source: &PolicySource,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> anyhow::Result<Box<dyn Controller + Send>> {
    match source {
        PolicySource::Planner(name) => Ok(planners::by_name(name, scenario, seed)?),
        PolicySource::Checkpoint { path, .. } => trained(path, scenario, seed, stochastic),
    }
}

/// `--others`: who is to drive all robots but the first.
///
/// # Errors
/// If there is no such policy, or there are no other robots.
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
    Ok(Some(resolve_policy(policy, Path::new("runs"))?))
}

/// Whoever drives all robots, or the first where others drive the others.
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

/// As in `planner:dwa`, or `planner:dwa among planner:orca`.
pub(super) fn team_name(source: &PolicySource, others: Option<&PolicySource>) -> String {
    match others {
        Some(others) => format!("{} among {}", source.name(), others.name()),
        None => source.name(),
    }
}

#[cfg(feature = "learn")]
fn trained(
    path: &Path,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> anyhow::Result<Box<dyn Controller + Send>> {
    use evenkeel::learn::PolicyController;
    use evenkeel::seed::Split;

    let controller = PolicyController::load(path)?;
    let (theirs, ours) = (controller.obs_layout(), evenkeel::env::obs_layout(scenario));
    if *theirs != ours {
        bail!(
            "the policy does not fit scenario '{}': it was trained on the observation {}, and \
             this one is {}",
            scenario.name,
            blocks(theirs),
            blocks(&ours),
        );
    }
    let (theirs, ours) = (controller.action_dim(), evenkeel::env::action_dim(scenario));
    if theirs != ours {
        bail!(
            "the policy does not fit scenario '{}': it gives {theirs} actions, and the robot there \
             takes {ours}",
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
fn trained(
    path: &Path,
    _: &Arc<Scenario>,
    _: RootSeed,
    _: bool,
) -> anyhow::Result<Box<dyn Controller + Send>> {
    bail!(
        "{}: this program was built without libtorch and drives no trained policy",
        path.display()
    )
}

/// `lidar[64] goal[3] velocity[2]`.
#[cfg(feature = "learn")]
fn blocks(layout: &evenkeel::env::ObsLayout) -> String {
    let blocks = layout
        .blocks
        .iter()
        .map(|(name, _, length)| format!("{name}[{length}]"));
    blocks.collect::<Vec<_>>().join(" ")
}
