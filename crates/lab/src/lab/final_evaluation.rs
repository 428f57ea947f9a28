//! The reported evaluations at the end of a run.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use evenkeel_learn::learn::{PolicyController, SavedStateError};
use evenkeel_runs::eval::{EvalError, EvalOptions, EvalReport, evaluate, evaluate_with_progress};
use evenkeel_runs::runs::{
    PolicySource, RunDir, RunError, RunStatus, checkpoint_reference, resolve_policy,
};
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

/// The reported evaluations of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct FinalEvaluation {
    /// The best checkpoint.
    pub best: EvalReport,
    /// The last checkpoint in the same episodes. Absent for a diverged run, which counts as 0.
    pub last: Option<EvalReport>,
}

/// Evaluates the deterministic policies of the run's best and last checkpoints over the same held-out
/// episodes, and writes `evaluation.json` and `evaluation_last.json`. Returns `None` for a run
/// without a checkpoint, such as one that diverged early. `progress` receives the share of the work
/// that is done, 0 to 1.
///
/// For a diverged run, it evaluates the random planner in place of the last checkpoint; its return
/// counts as the run's return ([`super::RunRecord::final_return`]).
///
/// # Errors
/// If a file of the run cannot be read or written, or an episode cannot be placed.
pub fn evaluate_run(
    run: &RunDir,
    episodes: u64,
    threads: usize,
    progress: &mut dyn FnMut(f64),
) -> Result<Option<FinalEvaluation>, FinalEvaluationError> {
    let scenario = Arc::new(run.scenario(&[])?);
    let diverged = run.info()?.status == RunStatus::Diverged;
    if diverged {
        evaluate_random(run, &scenario, episodes, threads)?;
    }
    let path = match resolve_policy(&run.path().to_string_lossy(), run.path()) {
        Ok(PolicySource::Checkpoint { path, .. }) => path,
        Err(RunError::NoCheckpoint { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(PolicySource::Planner(name)) => unreachable!("the path of a run is not planner:{name}"),
    };
    let evaluation = CheckpointEvaluation {
        run,
        scenario: &scenario,
        episodes,
        threads,
    };
    let last = run.checkpoint("last")?.filter(|_| !diverged);
    let is_best = |last: &PathBuf| {
        let [last, best] = [last, &path].map(|folder| checkpoint_reference(folder));
        last.zip(best)
            .is_some_and(|(a, b)| a.global_step == b.global_step)
    };
    let last_is_best = last.as_ref().is_none_or(is_best);
    let share = if last_is_best { 1.0 } else { 0.5 };
    let best = evaluation.evaluate(&path, &mut |done| progress(share * done))?;
    run.write_evaluation(&best)?;
    let last = match last {
        None => None,
        Some(folder) if last_is_best => Some(EvalReport {
            checkpoint: checkpoint_reference(&folder),
            ..best.clone()
        }),
        Some(folder) => Some(evaluation.evaluate(&folder, &mut |done| progress(0.5 + 0.5 * done))?),
    };
    let last = last.map(|report| EvalReport {
        traces: Vec::new(),
        ..report
    });
    if let Some(last) = &last {
        run.write_last_evaluation(last)?;
    }
    Ok(Some(FinalEvaluation { best, last }))
}

/// How the checkpoints of a run are evaluated.
struct CheckpointEvaluation<'a> {
    run: &'a RunDir,
    scenario: &'a Arc<Scenario>,
    episodes: u64,
    threads: usize,
}

impl CheckpointEvaluation<'_> {
    /// Evaluates the checkpoint in a folder.
    fn evaluate(
        &self,
        folder: &Path,
        progress: &mut dyn FnMut(f64),
    ) -> Result<EvalReport, FinalEvaluationError> {
        let mut controller = PolicyController::load(folder)?;
        let options = EvalOptions {
            threads: self.threads,
            ..EvalOptions::for_report(self.run.name(), self.episodes)
        };
        let mut done = |episodes: u64| progress(episodes as f64 / self.episodes.max(1) as f64);
        let report = evaluate_with_progress(self.scenario, &mut controller, &options, &mut done)?;
        Ok(EvalReport {
            checkpoint: checkpoint_reference(folder),
            ..report
        })
    }
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
    let diverged = run.info()?.status == RunStatus::Diverged;
    let other = if diverged {
        run.random_evaluation()?.map(|summary| summary.episodes)
    } else {
        run.last_evaluation()?.map(|report| report.summary.episodes)
    };
    Ok([evaluated, other] == [Some(episodes); 2])
}
