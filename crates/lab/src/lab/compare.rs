//! Runs a comparison: trains every arm with every seed.

use std::sync::atomic::AtomicBool;

use super::train_runs::{
    PlannedRun, ProgressListener, RunPlan, TrainRunsError, TrainRunsOptions, train_runs,
};
use evenkeel_runs::runs::{Comparison, ComparisonRun, RunDir};

/// Executes all runs of the comparison that are not finished, and adds each to `manifest`, which is
/// written after every run. After `stop` is set no run starts, and the running ones save and end.
/// [`ComparisonRequest::prepare`](super::ComparisonRequest::prepare) makes manifest and options.
///
/// # Errors
/// The first failure. Runs that are under way are completed.
pub fn compare(
    manifest: &mut Comparison,
    options: &TrainRunsOptions,
    listener: &dyn ProgressListener,
    stop: &AtomicBool,
) -> Result<(), TrainRunsError> {
    manifest.write(&options.folder)?;
    let plan = plan(manifest);
    train_runs(&plan, options, listener, stop, &mut |job, run| {
        record_finished_run(manifest, options, job, run)
    })
}

/// All runs, ordered by seed, then arm, so that each finished seed can be compared.
fn plan(manifest: &Comparison) -> RunPlan {
    let pairs = manifest
        .seeds
        .iter()
        .flat_map(|&seed| manifest.arms.iter().map(move |arm| (arm, seed)));
    let runs = pairs.enumerate().map(|(index, (arm, seed))| PlannedRun {
        index,
        arm: arm.clone(),
        seed,
        set: Vec::new(),
        stop_below: Vec::new(),
    });
    RunPlan {
        scenario: manifest.scenario.clone(),
        steps: manifest.steps,
        episodes: manifest.episodes,
        set: manifest.set.clone(),
        runs: runs.collect(),
    }
}

/// Adds a finished run to the manifest and writes it.
fn record_finished_run(
    manifest: &mut Comparison,
    options: &TrainRunsOptions,
    job: &PlannedRun,
    run: &RunDir,
) -> Result<(), TrainRunsError> {
    let path = run
        .path()
        .strip_prefix(&options.folder)
        .unwrap_or(run.path())
        .to_owned();
    manifest
        .runs
        .retain(|other| (&other.arm, other.seed) != (&job.arm, job.seed));
    manifest.runs.push(ComparisonRun {
        arm: job.arm.clone(),
        seed: job.seed,
        path,
    });
    manifest
        .runs
        .sort_by(|a, b| (&a.arm, a.seed).cmp(&(&b.arm, b.seed)));
    manifest.write(&options.folder)?;
    Ok(())
}
