//! Which runs may be compared. A seed counts once: neither a copy of a run nor a second run with
//! the same settings and seed is additional evidence. Columns are compared only if their worlds and
//! their budgets are equal.

use std::collections::BTreeSet;

use serde::Serialize;

use super::RunRecord;
use super::columns::significant_settings;
use super::setting_labels::visit_differences;
use evenkeel_sim::scenario::ARM_SECTIONS;

/// A run that is excluded because another run of its column has the same seed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExcludedRun {
    /// The run's name.
    pub run: String,
    /// The run of the column that is kept for this seed.
    pub kept_run: String,
}

/// Keeps one run for each column and seed, in the given order, and returns the others as excluded.
/// Prefers finished runs, then the most recently started.
pub(super) fn distinct_runs<'a>(runs: &[&'a RunRecord]) -> (Vec<&'a RunRecord>, Vec<ExcludedRun>) {
    let is_repetition =
        |a: &RunRecord, b: &RunRecord| (&a.column, a.info.seed) == (&b.column, b.info.seed);
    let rank = |run: &RunRecord| (run.info.status.is_over(), run.info.started.clone());
    let mut kept: Vec<&RunRecord> = Vec::new();
    for &run in runs {
        match kept.iter_mut().find(|other| is_repetition(other, run)) {
            Some(other) if rank(run) > rank(other) => *other = run,
            Some(_) => {}
            None => kept.push(run),
        }
    }
    let excluded = runs.iter().filter_map(|&run| {
        let kept_run = kept.iter().find(|other| is_repetition(other, run))?;
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
    let episodes = distinct(&|run| {
        let evaluation = run.evaluation.as_ref()?;
        Some(evaluation.summary.episodes.to_string())
    });
    [
        differing_world_settings(runs),
        mismatch(
            "environment steps",
            distinct(&|run| Some(run.budget().to_string())),
        ),
        mismatch("number of held-out episodes", episodes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// The settings of the world that differ, as in `the world (robot.0.lidar.beams)`.
fn differing_world_settings(runs: &[&RunRecord]) -> Option<String> {
    const MAX_NAMED: usize = 4;
    let worlds = runs.iter().map(|run| {
        let mut world = significant_settings(&run.config);
        world.retain(|key, _| !ARM_SECTIONS.contains(&key));
        Some(toml::Value::Table(world))
    });
    let worlds: Vec<Option<toml::Value>> = worlds.collect();
    let mut paths = Vec::new();
    visit_differences("", &worlds, &mut |path, _| paths.push(path.to_owned()));
    let more = paths.len().saturating_sub(MAX_NAMED);
    paths.truncate(MAX_NAMED);
    if more > 0 {
        paths.push(format!("{more} more"));
    }
    (!paths.is_empty()).then(|| format!("the scenario's world ({})", paths.join(", ")))
}
