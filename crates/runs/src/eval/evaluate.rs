//! Options and summary of an evaluation.

use std::sync::Arc;

use super::batch::run_episodes;
use super::episode::RobotResult;
use super::{DrivingQuality, EvalReport, FailureKind, SAFETY_MARGIN_M};
use crate::stats::{Average, Estimate, mean_interval, wilson, wilson_of_share};
use crate::telemetry::{DrivingQualitySummary, EvalSummary};
use evenkeel_sim::env::{Controller, Outcome};
use evenkeel_sim::scenario::{PlacementError, Scenario};
use evenkeel_sim::seed::{RootSeed, Split};

/// Options of an evaluation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalOptions {
    /// Number of episodes.
    pub episodes: u64,
    /// Index of the first episode.
    pub first: u64,
    /// Root seed of the held-out episodes.
    pub seed: RootSeed,
    /// `Split::Eval` for reported results, `Split::Validation` to choose between checkpoints.
    pub split: Split,
    /// Whether to compute geodesics, which SPL, `SoftSPL` and SCT need. They cost about as much as
    /// the episode itself.
    pub geodesic: bool,
    /// Number of episodes, starting with the first, that are traced for drawing.
    pub traces: u64,
    /// Number of threads that step environments, 0 for one per core. Results do not depend on it.
    pub threads: usize,
    /// Name of the policy in the report.
    pub policy: String,
    /// Whether to report only the first robot of each episode. For episodes in which another
    /// controller drives the other robots.
    pub first_robot_only: bool,
}

impl EvalOptions {
    /// Options for reported results.
    pub fn for_report(policy: impl Into<String>, episodes: u64) -> Self {
        Self {
            episodes,
            first: 0,
            seed: 0,
            split: Split::Eval,
            geodesic: true,
            traces: 8,
            threads: 1,
            policy: policy.into(),
            first_robot_only: false,
        }
    }

    /// Options for choosing between checkpoints.
    pub fn for_selection(episodes: u64) -> Self {
        Self {
            split: Split::Validation,
            geodesic: false,
            traces: 0,
            ..Self::for_report("", episodes)
        }
    }
}

/// Error of an evaluation.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// The layout of a held-out episode cannot be placed.
    #[error(
        "scenario '{scenario}': held-out episode {episode} of seed {seed} cannot be placed: {reason}; make more room in the scenario"
    )]
    Unplaceable {
        /// Name of the scenario.
        scenario: String,
        /// Root seed of the held-out episodes.
        seed: RootSeed,
        /// Index of the episode.
        episode: u64,
        /// What cannot be placed.
        reason: PlacementError,
    },
}

impl EvalError {
    pub(super) fn unplaceable(
        scenario: &Scenario,
        options: &EvalOptions,
        episode: u64,
        reason: PlacementError,
    ) -> Self {
        Self::Unplaceable {
            scenario: scenario.name.clone(),
            seed: options.seed,
            episode,
            reason,
        }
    }
}

/// Evaluates a controller on held-out episodes.
///
/// # Errors
/// If a held-out episode cannot be placed.
pub fn evaluate(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &EvalOptions,
) -> Result<EvalReport, EvalError> {
    evaluate_with_progress(scenario, controller, options, &mut |_| {})
}

/// Evaluates a controller as [`evaluate`] does. `progress` receives the number of episodes that have
/// ended, each time that it changes.
///
/// # Errors
/// If a held-out episode cannot be placed.
pub fn evaluate_with_progress(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &EvalOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<EvalReport, EvalError> {
    let mut results = run_episodes(scenario, controller, options, progress)?;
    results.retain(|result| result.row.robot == 0 || !options.first_robot_only);
    results.sort_by_key(|result| (result.row.episode, result.row.robot));
    let summary = summarise(&results, options.geodesic);
    let (episodes, traces): (Vec<_>, Vec<_>) = results
        .into_iter()
        .map(|result| (result.row, result.trace))
        .unzip();
    Ok(EvalReport {
        scenario: scenario.name.clone(),
        policy: options.policy.clone(),
        checkpoint: None,
        deterministic: !controller.is_stochastic(),
        seed: options.seed,
        summary,
        robustness: None,
        episodes,
        traces: traces.into_iter().flatten().collect(),
    })
}

/// Results of the robots in each episode, `[episode][robot]`. Robots in one episode interact, so
/// only episodes are independent: a value is the mean over episodes of the mean over an episode's
/// robots, and intervals are over episodes.
struct EpisodeGroups<'a>(Vec<&'a [RobotResult]>);

impl EpisodeGroups<'_> {
    /// Mean of a value over the episodes in which at least one robot has it.
    fn mean(&self, value: &dyn Fn(&RobotResult) -> Option<f64>) -> Option<Average> {
        mean_interval(self.0.iter().filter_map(|robots| {
            let values = || robots.iter().filter_map(value);
            let count = values().count();
            (count > 0).then(|| values().sum::<f64>() / count as f64)
        }))
    }

    /// Share of robots for which a condition holds. Its interval counts each episode as one trial,
    /// which is the worst case of dependence between robots.
    fn rate(&self, holds: &dyn Fn(&RobotResult) -> bool) -> Estimate {
        let share = |robots: &&[RobotResult]| {
            robots.iter().filter(|result| holds(result)).count() as f64 / robots.len() as f64
        };
        match self.0.len() as u64 {
            0 => wilson(0, 0),
            count => wilson_of_share(self.0.iter().map(share).sum::<f64>() / count as f64, count),
        }
    }
}

/// Summarises the results, sorted by episode.
fn summarise(results: &[RobotResult], geodesic: bool) -> EvalSummary {
    let by_episode = results.chunk_by(|a, b| a.row.episode == b.row.episode);
    let groups = EpisodeGroups(by_episode.collect());
    let mean = |value: &dyn Fn(&RobotResult) -> f64| groups.mean(&|result| Some(value(result)));
    let weighted =
        |value: &dyn Fn(&RobotResult) -> f64| mean(value).filter(|_| geodesic).map(clamp_to_share);
    let mut outcomes = [0; 6];
    for result in results {
        outcomes[result.row.outcome as usize] += 1;
    }
    let count = groups.0.len() as u64;
    let outcome_rate = |outcome: Outcome| groups.rate(&|result| result.row.outcome == outcome);
    EvalSummary {
        episodes: count,
        outcomes,
        success: outcome_rate(Outcome::Goal),
        spl: weighted(&|result| result.weighted_success.spl),
        soft_spl: weighted(&|result| result.weighted_success.soft_spl),
        sct: weighted(&|result| result.weighted_success.sct),
        time_to_goal_secs: groups
            .mean(&|result| result.succeeded().then_some(result.row.time_secs)),
        episodic_return: mean(&|result| result.row.episodic_return).unwrap_or_default(),
        length: mean(&|result| f64::from(result.row.length)).unwrap_or_default(),
        min_clearance_m: mean(&|result| result.row.min_clearance_m).unwrap_or_default(),
        jerk_mps3: mean(&|result| result.row.jerk_mps3).unwrap_or_default(),
        outcome_rates: (count > 0).then(|| Outcome::ALL.map(outcome_rate)),
        driving_quality: summarise_driving_quality(&groups).map(Box::new),
    }
}

/// Summarises the driving quality. Returns `None` without episodes.
fn summarise_driving_quality(groups: &EpisodeGroups) -> Option<DrivingQualitySummary> {
    let mean = |value: &dyn Fn(&DrivingQuality) -> Option<f64>| {
        groups.mean(&|result| result.row.driving_quality.as_ref().and_then(value))
    };
    let proxemics =
        |band: usize| mean(&|quality| Some(quality.proxemics?[band])).map(clamp_to_share);
    let irregularity =
        |result: &RobotResult| result.row.driving_quality.as_ref()?.irregularity_radpm;
    let failure_rate = |kind: FailureKind| {
        groups.rate(&|result| {
            let quality = result.row.driving_quality.as_ref();
            quality.is_some_and(|quality| quality.failures.contains(&kind))
        })
    };
    Some(DrivingQualitySummary {
        margin_m: SAFETY_MARGIN_M,
        below_margin_secs: mean(&|quality| Some(quality.below_margin_secs))?,
        proxemics: match [0, 1, 2].map(proxemics) {
            [Some(intimate), Some(personal), Some(social)] => Some([intimate, personal, social]),
            _ => None,
        },
        irregularity_radpm: mean(&|quality| quality.irregularity_radpm),
        irregularity_episodes: groups
            .0
            .iter()
            .filter(|robots| robots.iter().any(|result| irregularity(result).is_some()))
            .count() as u64,
        stuck: failure_rate(FailureKind::Stuck),
        spinning: failure_rate(FailureKind::Spinning),
        oscillating: failure_rate(FailureKind::Oscillating),
        grazing: failure_rate(FailureKind::Grazing),
    })
}

/// Limits the interval of a mean of shares to 0 and 1.
fn clamp_to_share(mean: Average) -> Average {
    mean.clamp_interval(0.0, 1.0)
}
