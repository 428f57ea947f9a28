//! Which runs may be held against each other. A seed counts once: a copy of a run is no further
//! evidence, and neither is the same seed trained again. Runs are only compared where all else
//! than the arm is equal.

use std::collections::BTreeSet;

use serde::Serialize;

use super::RunRecord;
use evenkeel_sim::scenario::TRAINING_SECTIONS;

/// A run that is left out because another has its arm and seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExcludedRun {
    /// The run's name.
    pub run: String,
    /// The run that stands for that seed.
    pub kept_run: String,
}

/// One run for each arm and seed, in the order given: of several that are over the one begun last,
/// of several that are not likewise. Then those that are left out.
pub(super) fn distinct_runs<'a>(runs: &[&'a RunRecord]) -> (Vec<&'a RunRecord>, Vec<ExcludedRun>) {
    let same = |a: &RunRecord, b: &RunRecord| {
        let [a, b] = [a, b].map(|run| (&run.info.arm, run.info.seed));
        a == b
    };
    let rank = |run: &RunRecord| (run.info.status.is_over(), run.info.started.clone());
    let mut kept: Vec<&RunRecord> = Vec::new();
    for &run in runs {
        match kept.iter_mut().find(|other| same(other, run)) {
            Some(other) if rank(run) > rank(other) => *other = run,
            Some(_) => {}
            None => kept.push(run),
        }
    }
    let left_out = runs.iter().filter_map(|&run| {
        let stands = kept.iter().find(|other| same(other, run))?;
        (!std::ptr::eq(*stands, run)).then(|| ExcludedRun {
            run: run.name.clone(),
            kept_run: stands.name.clone(),
        })
    });
    let left_out = left_out.collect();
    (kept, left_out)
}

/// In what runs of one scenario differ that must be equal for a comparison; empty if they may be
/// compared.
pub(super) fn mismatches(runs: &[&RunRecord]) -> Vec<String> {
    let distinct = |of: &dyn Fn(&RunRecord) -> Option<String>| -> BTreeSet<String> {
        runs.iter().filter_map(|run| of(run)).collect()
    };
    let named = |what: &str, values: BTreeSet<String>| {
        let values: Vec<String> = values.into_iter().collect();
        (values.len() > 1).then(|| format!("{what} ({})", values.join(", ")))
    };
    let worlds = distinct(&|run| Some(world(run)));
    let episodes = distinct(&|run| {
        let evaluation = run.evaluation.as_ref()?;
        Some(evaluation.summary.episodes.to_string())
    });
    [
        (worlds.len() > 1).then(|| "settings of the scenario's world".into()),
        named(
            "environment steps",
            distinct(&|run| Some(run.budget().to_string())),
        ),
        named("number of evaluation episodes", episodes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// All of a configuration but what arms and seeds may change.
fn world(run: &RunRecord) -> String {
    let mut config = run.config.clone();
    config.retain(|key, _| !TRAINING_SECTIONS.contains(&key) && !["arm", "seed"].contains(&key));
    config.to_string()
}
