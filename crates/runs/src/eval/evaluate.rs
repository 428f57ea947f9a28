//! Evaluation: what is to be played, and what the episodes come to.

use std::sync::Arc;

use super::batch::run_episodes;
use super::episode::RobotResult;
use super::{DrivingQuality, EvalReport, FailureKind, SAFETY_MARGIN_M};
use crate::stats::{Average, Estimate, mean_interval, wilson, wilson_of_share};
use crate::telemetry::{DrivingQualitySummary, EvalSummary};
use evenkeel_sim::env::{Controller, Outcome};
use evenkeel_sim::scenario::{PlacementError, Scenario};
use evenkeel_sim::seed::{RootSeed, Split};

/// How to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalOptions {
    /// Number of episodes.
    pub episodes: u64,
    /// The first of them; the others follow it.
    pub first: u64,
    /// Root seed of the held-out episodes.
    pub seed: RootSeed,
    /// `Split::Eval` for figures that are reported, `Split::Validation` to choose between checkpoints.
    pub split: Split,
    /// Whether to compute geodesics, and with them SPL, `SoftSPL` and SCT. They cost about as much
    /// as the episode itself.
    pub geodesic: bool,
    /// How many episodes, from the first, are kept with all that is needed to draw them.
    pub traces: u64,
    /// Threads that step environments, 0 for one a core; the figures do not depend on it.
    pub threads: usize,
    /// What the report calls the policy.
    pub policy: String,
    /// Whether the figures are of the first robot of each episode alone, where another actor drives
    /// the others.
    pub first_robot_only: bool,
}

impl EvalOptions {
    /// For figures that are reported.
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

    /// For choosing between checkpoints.
    pub fn for_selection(episodes: u64) -> Self {
        Self {
            split: Split::Validation,
            geodesic: false,
            traces: 0,
            ..Self::for_report("", episodes)
        }
    }
}

/// Why there are no figures.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum EvalError {
    /// A held-out episode has no room, or no way.
    #[error(
        "scenario '{scenario}': held-out episode {episode} of seed {seed} cannot be placed: {reason}; leave the scenario more room, or take another seed"
    )]
    Unplaceable {
        /// The scenario's name.
        scenario: String,
        /// Root seed of the held-out episodes.
        seed: RootSeed,
        /// Which of them.
        episode: u64,
        /// What has no room, or no way.
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

/// Evaluates an actor over held-out episodes.
///
/// # Errors
/// If one of the held-out episodes cannot be placed.
pub fn evaluate(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &EvalOptions,
) -> Result<EvalReport, EvalError> {
    let mut finished = run_episodes(scenario, controller, options)?;
    finished.retain(|part| part.row.robot == 0 || !options.first_robot_only);
    finished.sort_by_key(|part| (part.row.episode, part.row.robot));
    let summary = summarise(&finished, options.geodesic);
    let (episodes, traces): (Vec<_>, Vec<_>) = finished
        .into_iter()
        .map(|episode| (episode.row, episode.trace))
        .unzip();
    Ok(EvalReport {
        scenario: scenario.name.clone(),
        policy: options.policy.clone(),
        deterministic: !controller.is_stochastic(),
        seed: options.seed,
        summary,
        robustness: None,
        episodes,
        traces: traces.into_iter().flatten().collect(),
    })
}

/// The parts that the robots of each episode had in it. Where there are several they have met, so
/// that it is the episodes that are drawn independently of one another: a figure is the mean over
/// them of the mean over an episode's robots, and intervals are over episodes.
struct EpisodeGroups<'a>(Vec<&'a [RobotResult]>);

impl EpisodeGroups<'_> {
    /// Mean over the episodes in which a robot has a figure.
    fn mean(&self, of: &dyn Fn(&RobotResult) -> Option<f64>) -> Option<Average> {
        mean_interval(self.0.iter().filter_map(|robots| {
            let figures = || robots.iter().filter_map(of);
            let count = figures().count();
            (count > 0).then(|| figures().sum::<f64>() / count as f64)
        }))
    }

    /// Share of the robots of which something is true. That robots of one episode have all of it in
    /// common is the most that they can, so an episode counts as one trial.
    fn rate(&self, of: &dyn Fn(&RobotResult) -> bool) -> Estimate {
        let share = |robots: &&[RobotResult]| {
            robots.iter().filter(|part| of(part)).count() as f64 / robots.len() as f64
        };
        match self.0.len() as u64 {
            0 => wilson(0, 0),
            count => wilson_of_share(self.0.iter().map(share).sum::<f64>() / count as f64, count),
        }
    }
}

fn summarise(parts: &[RobotResult], geodesic: bool) -> EvalSummary {
    let by_episode = parts.chunk_by(|a, b| a.row.episode == b.row.episode);
    let worlds = EpisodeGroups(by_episode.collect());
    let mean = |of: &dyn Fn(&RobotResult) -> f64| worlds.mean(&|part| Some(of(part)));
    let weighted = |of: &dyn Fn(&RobotResult) -> f64| mean(of).filter(|_| geodesic).map(share);
    let mut outcomes = [0; 6];
    for part in parts {
        outcomes[part.row.outcome as usize] += 1;
    }
    let count = worlds.0.len() as u64;
    let ended = |outcome: Outcome| worlds.rate(&|part| part.row.outcome == outcome);
    EvalSummary {
        episodes: count,
        outcomes,
        success: ended(Outcome::Goal),
        spl: weighted(&|part| part.weighted_success.spl),
        soft_spl: weighted(&|part| part.weighted_success.soft_spl),
        sct: weighted(&|part| part.weighted_success.sct),
        time_to_goal_secs: worlds.mean(&|part| part.succeeded().then_some(part.row.time_secs)),
        episodic_return: mean(&|part| part.row.episodic_return).unwrap_or_default(),
        length: mean(&|part| f64::from(part.row.length)).unwrap_or_default(),
        min_clearance_m: mean(&|part| part.row.min_clearance_m).unwrap_or_default(),
        jerk_mps3: mean(&|part| part.row.jerk_mps3).unwrap_or_default(),
        outcome_rates: (count > 0).then(|| Outcome::ALL.map(ended)),
        driving_quality: summarise_conduct(&worlds).map(Box::new),
    }
}

/// Absent without episodes.
fn summarise_conduct(worlds: &EpisodeGroups) -> Option<DrivingQualitySummary> {
    let mean = |of: &dyn Fn(&DrivingQuality) -> Option<f64>| {
        worlds.mean(&|part| part.row.driving_quality.as_ref().and_then(of))
    };
    let proxemics =
        |band: usize| mean(&|driving_quality| Some(driving_quality.proxemics?[band])).map(share);
    let irregularity = |part: &RobotResult| part.row.driving_quality.as_ref()?.irregularity_radpm;
    let failed = |kind: FailureKind| {
        worlds.rate(&|part| {
            let driving_quality = part.row.driving_quality.as_ref();
            driving_quality.is_some_and(|driving_quality| driving_quality.failures.contains(&kind))
        })
    };
    Some(DrivingQualitySummary {
        margin_m: SAFETY_MARGIN_M,
        below_margin_secs: mean(&|driving_quality| Some(driving_quality.below_margin_secs))?,
        proxemics: match [0, 1, 2].map(proxemics) {
            [Some(intimate), Some(personal), Some(social)] => Some([intimate, personal, social]),
            _ => None,
        },
        irregularity_radpm: mean(&|driving_quality| driving_quality.irregularity_radpm),
        irregularity_episodes: worlds
            .0
            .iter()
            .filter(|robots| robots.iter().any(|part| irregularity(part).is_some()))
            .count() as u64,
        stuck: failed(FailureKind::Stuck),
        spinning: failed(FailureKind::Spinning),
        oscillating: failed(FailureKind::Oscillating),
        grazing: failed(FailureKind::Grazing),
    })
}

/// A mean of shares: its interval ends at 0 and 1.
fn share(mean: Average) -> Average {
    mean.clamp_interval(0.0, 1.0)
}
