//! Policies as controllers: which scenario a policy drives in, and the controller that a trained
//! policy or a planner is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

#[cfg(feature = "learn")]
use evenkeel_learn::learn::SavedStateError;
use evenkeel_runs::runs::{PolicySource, RunError};
use evenkeel_sim::config::Override;
use evenkeel_sim::env::{Controller, TEAM_SEPARATOR, TeamController};
use evenkeel_sim::planners::{self, PlannerError};
use evenkeel_sim::scenario::{self, Scenario, ScenarioError};
use evenkeel_sim::seed::RootSeed;

/// Why a policy has no scenario or no controller.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// The scenario is invalid or does not exist.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The run's scenario cannot be read.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The planner does not exist, or does not fit the scenario.
    #[error(transparent)]
    Planner(#[from] PlannerError),
    /// The checkpoint cannot be read.
    #[cfg(feature = "learn")]
    #[error(transparent)]
    Checkpoint(#[from] SavedStateError),
    /// No scenario is named, and the checkpoint is not part of a run.
    #[error("{path}: the checkpoint is not part of a run; name its scenario with --scenario")]
    NoRun {
        /// The checkpoint's folder.
        path: PathBuf,
    },
    /// No scenario is named, and the policy is a planner.
    #[error("planner:{planner} has no training scenario; name a scenario with --scenario")]
    NoTrainingScenario {
        /// The planner's name.
        planner: String,
    },
    /// The policy was trained on another observation than the scenario's.
    #[error(
        "the policy does not fit scenario '{scenario}': it was trained on the observation \
         {trained}, and the scenario's is {found}"
    )]
    OtherObservation {
        /// The scenario's name.
        scenario: String,
        /// The blocks of the policy's observation, as in `lidar[64] goal[3]`.
        trained: String,
        /// The blocks of the scenario's observation.
        found: String,
    },
    /// The policy outputs another number of actions than the scenario's robot takes.
    #[error(
        "the policy does not fit scenario '{scenario}': it outputs {trained} actions, and the \
         robot takes {found}"
    )]
    OtherActions {
        /// The scenario's name.
        scenario: String,
        /// The policy's number of actions.
        trained: usize,
        /// The robot's number of actions.
        found: usize,
    },
    /// The policy is a trained one, and this build has no libtorch.
    #[error("{path}: this program was built without libtorch and cannot run trained policies")]
    NoLibtorch {
        /// The checkpoint's folder.
        path: PathBuf,
    },
}

/// Loads the scenario that a policy drives in: the one that is named, or else the one that the policy
/// was trained in, with the overrides `set`.
///
/// # Errors
/// If the scenario is invalid, or none is named and the policy has none of its own.
pub fn policy_scenario(
    source: &PolicySource,
    named: Option<&str>,
    set: &[Override],
) -> Result<Scenario, PolicyError> {
    match (named, source) {
        (Some(name), _) => Ok(scenario::resolve(name, set)?),
        (None, PolicySource::Checkpoint { run: Some(run), .. }) => Ok(run.scenario(set)?),
        (None, PolicySource::Checkpoint { run: None, path }) => {
            Err(PolicyError::NoRun { path: path.clone() })
        }
        (None, PolicySource::Planner(name)) => {
            planners::check_name(name)?;
            Err(PolicyError::NoTrainingScenario {
                planner: name.clone(),
            })
        }
    }
}

/// Returns the controller of a trained policy or a planner, for held-out episodes in a scenario. A
/// trained policy is deterministic unless it is to be `stochastic`; its noise, and that of a
/// stochastic planner, comes from `seed`.
///
/// # Errors
/// If the policy cannot be loaded, or does not fit the scenario.
pub fn policy_controller(
    source: &PolicySource,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> Result<Box<dyn Controller + Send>, PolicyError> {
    match source {
        PolicySource::Planner(name) => Ok(planners::by_name(name, scenario, seed)?),
        PolicySource::Checkpoint { path, .. } => load_policy(path, scenario, seed, stochastic),
    }
}

/// Returns the controller of all robots. `source` drives the first robot, and all others too unless
/// `others` is given. The other arguments are those of [`policy_controller`].
///
/// # Errors
/// If a policy cannot be loaded, or does not fit the scenario.
pub fn team_controller(
    source: &PolicySource,
    others: Option<&PolicySource>,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> Result<Box<dyn Controller + Send>, PolicyError> {
    let controller = policy_controller(source, scenario, seed, stochastic)?;
    let Some(others) = others else {
        return Ok(controller);
    };
    let others = policy_controller(others, scenario, seed, stochastic)?;
    let robots = scenario.spec.robot_count();
    Ok(Box::new(TeamController::new(controller, others, robots)))
}

/// Returns the name of a team, as in `planner:dwa` or `planner:dwa among planner:orca`.
pub fn team_name(source: &PolicySource, others: Option<&PolicySource>) -> String {
    match others {
        Some(others) => format!("{}{TEAM_SEPARATOR}{}", source.name(), others.name()),
        None => source.name(),
    }
}

#[cfg(feature = "learn")]
fn load_policy(
    path: &Path,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    stochastic: bool,
) -> Result<Box<dyn Controller + Send>, PolicyError> {
    use evenkeel_learn::learn::PolicyController;
    use evenkeel_sim::env::{action_dim, obs_layout};
    use evenkeel_sim::seed::Split;

    let controller = PolicyController::load(path)?;
    let (trained, found) = (controller.obs_layout(), obs_layout(scenario));
    if *trained != found {
        return Err(PolicyError::OtherObservation {
            scenario: scenario.name.clone(),
            trained: blocks(trained),
            found: blocks(&found),
        });
    }
    let (trained, found) = (controller.action_dim(), action_dim(scenario));
    if trained != found {
        return Err(PolicyError::OtherActions {
            scenario: scenario.name.clone(),
            trained,
            found,
        });
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
) -> Result<Box<dyn Controller + Send>, PolicyError> {
    Err(PolicyError::NoLibtorch {
        path: path.to_owned(),
    })
}

/// Formats an observation layout, as in `lidar[64] goal[3] velocity[2]`.
#[cfg(feature = "learn")]
fn blocks(layout: &evenkeel_sim::env::ObsLayout) -> String {
    let blocks = layout
        .blocks
        .iter()
        .map(|(name, _, length)| format!("{name}[{length}]"));
    blocks.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planner_drives_in_the_named_scenario_only() {
        let planner = PolicySource::Planner("straight".into());
        let scenario = policy_scenario(&planner, Some("open_field"), &[]).unwrap();
        assert_eq!(scenario.name, "open_field");
        let controller = policy_controller(&planner, &Arc::new(scenario), 0, false).unwrap();
        assert!(!controller.is_stochastic());
        let error = policy_scenario(&planner, None, &[]).unwrap_err();
        assert!(
            matches!(error, PolicyError::NoTrainingScenario { .. }),
            "{error}"
        );
        let unknown = PolicySource::Planner("strait".into());
        let error = policy_scenario(&unknown, None, &[]).unwrap_err();
        assert!(matches!(error, PolicyError::Planner(_)), "{error}");
    }

    #[test]
    fn the_name_of_a_team_names_both_policies() {
        let [one, other] = ["dwa", "orca"].map(|name| PolicySource::Planner(name.into()));
        assert_eq!(team_name(&one, None), "planner:dwa");
        assert_eq!(
            team_name(&one, Some(&other)),
            "planner:dwa among planner:orca"
        );
    }
}
