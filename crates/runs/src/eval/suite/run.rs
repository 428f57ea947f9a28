//! Policies over a suite, scenario by scenario.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::super::metrics::{EvalMetric, mean_over_scenarios, metrics};
use super::super::{EvalError, EvalOptions, evaluate};
use super::Suite;
use crate::telemetry::EvalSummary;
use evenkeel_sim::env::{Controller, thread_count};
use evenkeel_sim::scenario::Scenario;

/// What policies came to over a suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteReport {
    /// The suite's name.
    pub suite: String,
    /// Its name for people.
    pub title: String,
    /// Root seed of the held-out episodes.
    pub seed: u64,
    /// The policies, in the order asked for.
    pub policies: Vec<String>,
    /// The scenarios, in the order of the suite.
    pub scenarios: Vec<SuiteScenario>,
    /// One for each scenario and policy: all policies of the first scenario, then of the next.
    pub cells: Vec<SuiteCell>,
    /// One for each difficulty and policy, in the same order.
    pub difficulties: Vec<DifficultyResult>,
}

/// A scenario that was driven in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteScenario {
    /// What the suite calls it.
    pub name: String,
    /// How hard it is.
    pub difficulty: String,
    /// Held-out episodes.
    pub episodes: u64,
    /// The hash of their layouts.
    pub layout_hash: String,
}

/// One policy in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteCell {
    /// The policy.
    pub policy: String,
    /// The scenario.
    pub scenario: String,
    /// Whether actions were chosen rather than drawn.
    pub deterministic: bool,
    /// The figures.
    pub summary: EvalSummary,
}

impl SuiteCell {
    /// Every measure of METRICS.md.
    pub fn metrics(&self) -> Vec<EvalMetric> {
        metrics(&self.summary)
    }
}

/// One policy in all scenarios of one difficulty.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifficultyResult {
    /// The policy.
    pub policy: String,
    /// The difficulty.
    pub difficulty: String,
    /// How many scenarios.
    pub scenarios: usize,
    /// Means over these scenarios, each weighing the same; a measure that one of them has no
    /// figure of has none.
    pub measures: Vec<EvalMetric>,
}

/// Drives every policy through every scenario of a suite, which [`Suite::check`] has been asked
/// about. `make` gives the actor of a policy, by its place in `policies`, for a scenario. Up to
/// `jobs` of them, 0 for one a core, drive at once; the figures do not depend on it.
///
/// # Errors
/// The first, in the order of the cells, that `make` or an evaluation ends in.
///
/// # Panics
/// Without policies.
pub fn evaluate_suite<E: From<EvalError> + Send>(
    suite: &Suite,
    policies: &[String],
    jobs: usize,
    make: impl Fn(usize, &Arc<Scenario>) -> Result<Box<dyn Controller>, E> + Sync,
) -> Result<SuiteReport, E> {
    assert!(!policies.is_empty(), "no policies");
    let count = suite.entries.len() * policies.len();
    let cell = |index: usize| -> Result<SuiteCell, E> {
        let (entry, policy) = (index / policies.len(), index % policies.len());
        let entry = &suite.entries[entry];
        let mut controller = make(policy, &entry.scenario)?;
        let options = EvalOptions {
            seed: suite.seed,
            traces: 0,
            ..EvalOptions::for_report(&policies[policy], entry.episodes)
        };
        let report = evaluate(&entry.scenario, controller.as_mut(), &options)?;
        Ok(SuiteCell {
            policy: report.policy,
            scenario: entry.name.clone(),
            deterministic: report.deterministic,
            summary: report.summary,
        })
    };
    let cells = parallel_map(count, thread_count(jobs), cell)?;
    Ok(SuiteReport {
        suite: suite.name.clone(),
        title: suite.title.clone(),
        seed: suite.seed,
        policies: policies.to_vec(),
        difficulties: difficulties(suite, policies, &cells),
        scenarios: suite
            .entries
            .iter()
            .map(|entry| SuiteScenario {
                name: entry.name.clone(),
                difficulty: entry.difficulty.clone(),
                episodes: entry.episodes,
                layout_hash: entry.layout_hash.clone().unwrap_or_default(),
            })
            .collect(),
        cells,
    })
}

/// Does pieces of work, each on one of some threads, and gives what came of them in order.
pub(in super::super) fn parallel_map<T: Send, E: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let done: Vec<Mutex<Option<Result<T, E>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(place) = done.get(index) else { return };
            let result = work(index);
            if result.is_err() {
                // What is after it need not begin; what is before it has.
                next.fetch_max(count, Ordering::Relaxed);
            }
            *place.lock().expect("no worker panics while it holds this") = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(worker);
        }
        worker();
    });
    let done = done.into_iter().map_while(|place| {
        place
            .into_inner()
            .expect("no worker panics while it holds this")
    });
    done.collect()
}

/// The difficulties, in the order in which the suite first has them.
fn difficulties(suite: &Suite, policies: &[String], cells: &[SuiteCell]) -> Vec<DifficultyResult> {
    let mut difficulties: Vec<&str> = Vec::new();
    for entry in &suite.entries {
        if !difficulties.contains(&&*entry.difficulty) {
            difficulties.push(&entry.difficulty);
        }
    }
    let level = |difficulty: &str, policy: usize| {
        let of_level: Vec<Vec<EvalMetric>> = suite
            .entries
            .iter()
            .zip(cells.chunks_exact(policies.len()))
            .filter(|(entry, _)| entry.difficulty == difficulty)
            .map(|(_, row)| row[policy].metrics())
            .collect();
        let mut all = of_level[0].clone();
        for (index, measure) in all.iter_mut().enumerate() {
            let figures: Vec<_> = of_level.iter().map(|one| one[index].average).collect();
            measure.average = mean_over_scenarios(&figures);
        }
        DifficultyResult {
            policy: policies[policy].clone(),
            difficulty: difficulty.to_owned(),
            scenarios: of_level.len(),
            measures: all,
        }
    };
    difficulties
        .iter()
        .flat_map(|difficulty| (0..policies.len()).map(move |policy| level(difficulty, policy)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_done_in_parallel_comes_in_order_and_fails_at_the_first() {
        let squares = |threads| parallel_map(50, threads, |i| Ok::<_, usize>(i * i)).unwrap();
        assert_eq!(squares(1), squares(7));
        assert_eq!(squares(3)[49], 49 * 49);
        let failing = |i: usize| if i % 10 == 9 { Err(i) } else { Ok(i) };
        assert_eq!(parallel_map(50, 4, failing), Err(9));
        assert_eq!(parallel_map(0, 4, failing), Ok(vec![]));
    }
}
