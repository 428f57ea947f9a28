//! The end of a run: its reported evaluation.

use std::sync::Arc;

use evenkeel_learn::learn::{CheckpointError, PolicyController};
use evenkeel_runs::eval::{EvalError, EvalOptions, EvalReport, evaluate};
use evenkeel_runs::runs::{PolicySource, RunDir, RunError, RunStatus, resolve_policy};
use evenkeel_sim::planners::RandomPlanner;
use evenkeel_sim::scenario::Scenario;

/// Why a run could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum FinalEvaluationError {
    /// Its files.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Its held-out episodes.
    #[error(transparent)]
    Evaluation(#[from] EvalError),
}

/// Evaluates the deterministic policy of the run's best checkpoint over so many held-out episodes
/// and writes `evaluation.json`. A run that diverged before its first checkpoint has no policy
/// and gets no such evaluation.
///
/// Of a run that diverged, the random policy is evaluated over the same episodes too: its return
/// is what the run's counts as ([`super::RunRecord::final_return`]).
pub fn evaluate_run(
    run: &RunDir,
    episodes: u64,
    threads: usize,
) -> Result<Option<EvalReport>, FinalEvaluationError> {
    let scenario = Arc::new(run.scenario()?);
    if run.info()?.status == RunStatus::Diverged {
        evaluate_random(run, &scenario, episodes, threads)?;
    }
    let path = match resolve_policy(&run.path().to_string_lossy(), run.path()) {
        Ok(PolicySource::Checkpoint { path, .. }) => path,
        Err(RunError::NoCheckpoint { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(PolicySource::Planner(name)) => unreachable!("a run's path is not planner:{name}"),
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

/// Whether [`evaluate_run`] has done all that it would do for so many episodes.
pub(super) fn is_evaluated(run: &RunDir, episodes: u64) -> Result<bool, RunError> {
    let evaluated = run.evaluation()?.map(|report| report.summary.episodes);
    let random = run.random_evaluation()?.map(|summary| summary.episodes);
    let diverged = run.info()?.status == RunStatus::Diverged;
    Ok(evaluated == Some(episodes) && (!diverged || random == Some(episodes)))
}
