//! The end of a run: its reported evaluation.

use std::sync::Arc;

use crate::eval::{EvalError, EvalOptions, EvalReport, evaluate};
use crate::learn::{CheckpointError, PolicyActor};
use crate::runs::{PolicySource, RunDir, RunError, resolve_policy};

/// Why a run could not be evaluated.
#[derive(Debug, thiserror::Error)]
pub enum FinishError {
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
/// and writes `evaluation.json`. A run that diverged before its first checkpoint has no policy and gets no evaluation.
pub fn finish_run(
    run: &RunDir,
    episodes: u64,
    threads: usize,
) -> Result<Option<EvalReport>, FinishError> {
    let path = match resolve_policy(&run.path().to_string_lossy(), run.path()) {
        Ok(PolicySource::Checkpoint { path, .. }) => path,
        Err(RunError::NoCheckpoint { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
        Ok(PolicySource::Driver(name)) => unreachable!("a run's path is not driver:{name}"),
    };
    let mut actor = PolicyActor::load(&path)?;
    let scenario = Arc::new(run.scenario()?);
    let options = EvalOptions {
        threads,
        ..EvalOptions::reported(run.name(), episodes)
    };
    let report = evaluate(&scenario, &mut actor, &options)?;
    run.write_evaluation(&report)?;
    Ok(Some(report))
}
