//! Which runs may be compared. A seed counts once: neither a copy of a run nor a second run with
//! the same arm and seed is additional evidence. Runs are compared only if everything except the
//! arm is equal.

use std::collections::BTreeSet;

use serde::Serialize;

use super::RunRecord;
use evenkeel_sim::scenario::ARM_SECTIONS;

/// A run that is excluded because another run has the same arm and seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExcludedRun {
    /// The run's name.
    pub run: String,
    /// The run that is kept for this arm and seed.
    pub kept_run: String,
}

/// Keeps one run for each arm and seed, in the given order, and returns the others as excluded.
/// Prefers finished runs, then the most recently started.
pub(super) fn distinct_runs<'a>(runs: &[&'a RunRecord]) -> (Vec<&'a RunRecord>, Vec<ExcludedRun>) {
    let same_arm_and_seed =
        |a: &RunRecord, b: &RunRecord| (&a.info.arm, a.info.seed) == (&b.info.arm, b.info.seed);
    let rank = |run: &RunRecord| (run.info.status.is_over(), run.info.started.clone());
    let mut kept: Vec<&RunRecord> = Vec::new();
    for &run in runs {
        match kept.iter_mut().find(|other| same_arm_and_seed(other, run)) {
            Some(other) if rank(run) > rank(other) => *other = run,
            Some(_) => {}
            None => kept.push(run),
        }
    }
    let excluded = runs.iter().filter_map(|&run| {
        let kept_run = kept.iter().find(|other| same_arm_and_seed(other, run))?;
        (!std::ptr::eq(*kept_run, run)).then(|| ExcludedRun {
            run: run.name.clone(),
            kept_run: kept_run.name.clone(),
        })
    });
    let excluded = excluded.collect();
    (kept, excluded)
}

/// What differs between runs of one scenario but must be equal for a comparison. Empty if they may
/// be compared.
pub(super) fn mismatches(runs: &[&RunRecord]) -> Vec<String> {
    let distinct = |value: &dyn Fn(&RunRecord) -> Option<String>| -> BTreeSet<String> {
        runs.iter().filter_map(|run| value(run)).collect()
    };
    let mismatch = |what: &str, values: BTreeSet<String>| {
        let values: Vec<String> = values.into_iter().collect();
        (values.len() > 1).then(|| format!("{what} ({})", values.join(", ")))
    };
    let worlds = distinct(&|run| Some(world_settings(run)));
    let episodes = distinct(&|run| {
        let evaluation = run.evaluation.as_ref()?;
        Some(evaluation.summary.episodes.to_string())
    });
    [
        (worlds.len() > 1).then(|| "settings of the scenario's world".into()),
        mismatch(
            "environment steps",
            distinct(&|run| Some(run.budget().to_string())),
        ),
        mismatch("number of evaluation episodes", episodes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The part of a configuration that arms and seeds may not change.
fn world_settings(run: &RunRecord) -> String {
    let mut config = run.config.clone();
    config.retain(|key, _| !ARM_SECTIONS.contains(&key) && !["arm", "seed"].contains(&key));
    config.to_string()
}
