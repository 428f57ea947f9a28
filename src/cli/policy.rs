//! The argument POLICY and the arguments that say how it drives, for all commands that run a policy.

use std::path::Path;

use anyhow::{bail, ensure};

use super::Ui;
use super::common::SeedArg;
use evenkeel::config::Override;
use evenkeel::env::Controller;
use evenkeel::lab::policy_scenario;
use evenkeel::runs::{PolicySource, RUNS_FOLDER, resolve_policy};
use evenkeel::scenario::{Scenario, robot_differences};
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
    /// TOML, a whole number also like 2k. It is checked like a value in the file. Training settings cannot be changed here.
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
        Ok(policy_scenario(
            source,
            self.scenario.as_deref(),
            &self.set,
        )?)
    }
}

/// Parses a value of `--set`, and refuses training settings.
pub(super) fn parse_scenario_override(text: &str) -> anyhow::Result<Override> {
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

/// Warns where a trained policy drives another robot than the one that it was trained with. What it
/// was not trained for may be the point of an evaluation, so this is no error.
pub(super) fn warn_of_other_robot(
    source: &PolicySource,
    scenario: &Scenario,
    ui: &Ui,
) -> anyhow::Result<()> {
    const MAX_NAMED: usize = 4;
    let PolicySource::Checkpoint { run: Some(run), .. } = source else {
        return Ok(());
    };
    let trained = run.scenario(&[])?;
    let mut found = robot_differences(&trained.spec.robot[0], &scenario.spec.robot[0]);
    if found.is_empty() {
        return Ok(());
    }
    let more = found.len().saturating_sub(MAX_NAMED);
    found.truncate(MAX_NAMED);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    ui.warn(format_args!(
        "{} was trained with another robot than that of scenario '{}': {}",
        source.name(),
        scenario.name,
        found.join("; ")
    ));
    Ok(())
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
