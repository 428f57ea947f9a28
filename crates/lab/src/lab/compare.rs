//! Runs a comparison: trains every arm with every seed.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use super::RunRecord;
use super::median_rule::{ARMS_PER_ROUND, median_rules};
use super::train_runs::{
    PlannedRun, ProgressListener, RunPlan, TrainRunsError, TrainRunsOptions, train_runs,
};
use evenkeel_runs::runs::{Comparison, ComparisonRun, RunDir, RunError, StopRule};

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
    let per_round = if manifest.give_up {
        ARMS_PER_ROUND
    } else {
        manifest.arms.len().max(1)
    };
    let arms = manifest.arms.clone();
    let (mut first, mut earlier) = (0, Vec::new());
    for arms in arms.chunks(per_round) {
        let mut plan = plan(manifest, arms, first);
        first += plan.runs.len();
        if manifest.give_up {
            let rules = rules(&earlier)?;
            for run in &mut plan.runs {
                run.stop_below.clone_from(&rules);
            }
        }
        train_runs(&plan, options, listener, stop, &mut |job, run| {
            record_finished_run(manifest, options, job, run)
        })?;
        let folders = plan.runs.iter().map(|run| run.folder_in(&options.folder));
        earlier.extend(folders);
    }
    Ok(())
}

/// The rules by which runs are given up, from the runs in these folders.
fn rules(earlier: &[PathBuf]) -> Result<Vec<StopRule>, RunError> {
    let records = earlier
        .iter()
        .map(|folder| RunRecord::read(&RunDir::open(folder)?));
    let records: Vec<RunRecord> = records.collect::<Result<_, _>>()?;
    let curves: Vec<_> = records.iter().map(RunRecord::success_curve).collect();
    let budget = records.first().map_or(0, |run| run.info.total_steps);
    Ok(median_rules(&curves, budget))
}

/// All runs of some arms, ordered by seed, then arm, so that each finished seed can be compared. The
/// first has the index `first`.
fn plan(manifest: &Comparison, arms: &[String], first: usize) -> RunPlan {
    let pairs = manifest
        .seeds
        .iter()
        .flat_map(|&seed| arms.iter().map(move |arm| (arm, seed)));
    let runs = pairs.enumerate().map(|(index, (arm, seed))| PlannedRun {
        index: first + index,
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
