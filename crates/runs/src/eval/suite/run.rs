//! Evaluation of policies over a suite.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::super::metrics::{EvalMetric, mean_over_scenarios, metrics};
use super::super::{EvalError, EvalOptions, evaluate};
use super::Suite;
use crate::telemetry::EvalSummary;
use evenkeel_sim::env::{Controller, thread_count};
use evenkeel_sim::scenario::Scenario;

/// Results of policies over a suite.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteReport {
    /// The suite's name.
    pub suite: String,
    /// Display name of the suite.
    pub title: String,
    /// Root seed of the held-out episodes.
    pub seed: u64,
    /// Names of the policies in the given order.
    pub policies: Vec<String>,
    /// The scenarios in the order of the suite.
    pub scenarios: Vec<SuiteScenario>,
    /// Results of each policy in each scenario, `[scenario][policy]` in one list.
    pub cells: Vec<SuiteCell>,
    /// Results of each policy in each difficulty, `[difficulty][policy]` in one list.
    pub difficulties: Vec<DifficultyResult>,
}

/// A scenario of a suite report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteScenario {
    /// Name in the suite.
    pub name: String,
    /// Name of the difficulty.
    pub difficulty: String,
    /// Number of held-out episodes.
    pub episodes: u64,
    /// Hash of the layouts.
    pub layout_hash: String,
}

/// Results of one policy in one scenario.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SuiteCell {
    /// Name of the policy.
    pub policy: String,
    /// Name of the scenario in the suite.
    pub scenario: String,
    /// Whether the policy acted deterministically instead of sampling actions.
    pub deterministic: bool,
    /// The results.
    pub summary: EvalSummary,
}

impl SuiteCell {
    /// All navigation metrics of `docs/metrics.md`.
    pub fn metrics(&self) -> Vec<EvalMetric> {
        metrics(&self.summary)
    }
}

/// Results of one policy over all scenarios of one difficulty.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DifficultyResult {
    /// Name of the policy.
    pub policy: String,
    /// Name of the difficulty.
    pub difficulty: String,
    /// Number of scenarios.
    pub scenarios: usize,
    /// Means over the scenarios with equal weights. A metric that was not measured in one of them
    /// has no average.
    pub metrics: Vec<EvalMetric>,
}

/// Evaluates each policy in each scenario of a suite. Call [`Suite::check`] first. `make` creates
/// the controller of a policy, given by its index in `policies`, for a scenario. Runs up to `jobs`
/// evaluations in parallel, or one per core if `jobs` is 0. The results do not depend on `jobs`.
///
/// # Errors
/// The first error of `make` or of an evaluation, in the order of the cells.
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

/// Calls `task` with each index below `count` on up to `threads` threads. Returns the results in
/// the order of the indices, or the error with the lowest index.
pub(in super::super) fn parallel_map<T: Send, E: Send>(
    count: usize,
    threads: usize,
    task: impl Fn(usize) -> Result<T, E> + Sync,
) -> Result<Vec<T>, E> {
    let next = AtomicUsize::new(0);
    let results: Vec<Mutex<Option<Result<T, E>>>> = (0..count).map(|_| Mutex::new(None)).collect();
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(slot) = results.get(index) else {
                return;
            };
            let result = task(index);
            if result.is_err() {
                // Later tasks need not start. Earlier ones have started already.
                next.fetch_max(count, Ordering::Relaxed);
            }
            *slot.lock().expect("no worker panics with the lock") = Some(result);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.min(count) {
            scope.spawn(worker);
        }
        worker();
    });
    results
        .into_iter()
        .map_while(|slot| slot.into_inner().expect("no worker panics with the lock"))
        .collect()
}

/// Results by difficulty, in the order in which difficulties first occur in the suite.
fn difficulties(suite: &Suite, policies: &[String], cells: &[SuiteCell]) -> Vec<DifficultyResult> {
    let mut names: Vec<&str> = Vec::new();
    for entry in &suite.entries {
        if !names.contains(&&*entry.difficulty) {
            names.push(&entry.difficulty);
        }
    }
    let result = |difficulty: &str, policy: usize| {
        let per_scenario: Vec<Vec<EvalMetric>> = suite
            .entries
            .iter()
            .zip(cells.chunks_exact(policies.len()))
            .filter(|(entry, _)| entry.difficulty == difficulty)
            .map(|(_, row)| row[policy].metrics())
            .collect();
        let mut metrics = per_scenario[0].clone();
        for (index, metric) in metrics.iter_mut().enumerate() {
            let averages: Vec<_> = per_scenario
                .iter()
                .map(|metrics| metrics[index].average)
                .collect();
            metric.average = mean_over_scenarios(&averages);
        }
        DifficultyResult {
            policy: policies[policy].clone(),
            difficulty: difficulty.to_owned(),
            scenarios: per_scenario.len(),
            metrics,
        }
    };
    names
        .iter()
        .flat_map(|name| (0..policies.len()).map(move |policy| result(name, policy)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parallel_results_are_in_order_and_the_first_error_is_returned() {
        let squares = |threads| parallel_map(50, threads, |i| Ok::<_, usize>(i * i)).unwrap();
        assert_eq!(squares(1), squares(7));
        assert_eq!(squares(3)[49], 49 * 49);
        let failing = |i: usize| if i % 10 == 9 { Err(i) } else { Ok(i) };
        assert_eq!(parallel_map(50, 4, failing), Err(9));
        assert_eq!(parallel_map(0, 4, failing), Ok(vec![]));
    }
}
