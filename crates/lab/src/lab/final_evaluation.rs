//! The reported evaluation at the end of a run.

use std::sync::Arc;

use evenkeel_learn::learn::{PolicyController, SavedStateError};
use evenkeel_runs::eval::{EvalError, EvalOptions, EvalReport, evaluate};
use evenkeel_runs::runs::{PolicySource, RunDir, RunError, RunStatus, resolve_policy};
use evenkeel_sim::planners::RandomPlanner;
use evenkeel_sim::scenario::Scenario;

/// Why a run could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum FinalEvaluationError {
    /// A file of the run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] SavedStateError),
    /// The evaluation itself.
    #[error(transparent)]
    Evaluation(#[from] EvalError),
}

/// Evaluates the deterministic policy of the run's best checkpoint over held-out episodes, and
/// writes `evaluation.json`. Returns `None` for a run without a checkpoint, such as one that
/// diverged early.
///
/// For a diverged run, it also evaluates the random planner over the same episodes; its return
/// counts as the run's return ([`super::RunRecord::final_return`]).
pub fn evaluate_run(
    run: &RunDir,
    episodes: u64,
    threads: usize,
) -> Result<Option<EvalReport>, FinalEvaluationError> {
    let scenario = Arc::new(run.scenario(&[])?);
    if run.info()?.status == RunStatus::Diverged {
        evaluate_random(run, &scenario, episodes, threads)?;
    }
    let path = match resolve_policy(&run.path().to_string_lossy(), run.path()) {
        Ok(PolicySource::Checkpoint { path, .. }) => path,
        Err(RunError::NoCheckpoint { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(PolicySource::Planner(name)) => unreachable!("the path of a run is not planner:{name}"),
    };
    let mut controller = PolicyController::load(&path)?;
    let options = EvalOptions {
        threads,
        ..EvalOptions::for_report(run.name(), episodes)
    };
    let report = evaluate(&scenario, &mut controller, &options)?;
    run.write_evaluation(&report)?;
    Ok(Some(report))
}

/// Evaluates the random planner over the same episodes and writes the result to the run.
fn evaluate_random(
    run: &RunDir,
    scenario: &Arc<Scenario>,
    episodes: u64,
    threads: usize,
) -> Result<(), FinalEvaluationError> {
    let options = EvalOptions {
        threads,
        geodesic: false,
        traces: 0,
        ..EvalOptions::for_report("planner:random", episodes)
    };
    let mut random = RandomPlanner::new(options.seed);
    let report = evaluate(scenario, &mut random, &options)?;
    run.write_random_evaluation(&report.summary)?;
    Ok(())
}

/// Whether the run already has all results of [`evaluate_run`] for this number of episodes.
pub(super) fn is_evaluated(run: &RunDir, episodes: u64) -> Result<bool, RunError> {
    let evaluated = run.evaluation()?.map(|report| report.summary.episodes);
    let random = run.random_evaluation()?.map(|summary| summary.episodes);
    let diverged = run.info()?.status == RunStatus::Diverged;
    Ok(evaluated == Some(episodes) && (!diverged || random == Some(episodes)))
}
