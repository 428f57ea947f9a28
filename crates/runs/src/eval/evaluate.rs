//! Evaluation: what is to be played, and what the episodes come to.

use std::sync::Arc;

use super::episode::Finished;
use super::play::play;
use super::{Conduct, EvalReport, FailureKind, SAFETY_MARGIN_M};
use crate::stats::{Average, Estimate, mean_interval, wilson, wilson_of};
use crate::telemetry::{ConductSummary, EvalSummary};
use evenkeel_sim::env::{Actor, Outcome};
use evenkeel_sim::scenario::{PlacementError, Scenario};
use evenkeel_sim::seed::{Root, Split};

/// How to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalOptions {
    /// Number of episodes.
    pub episodes: u64,
    /// The first of them; the others follow it.
    pub first: u64,
    /// Root seed of the held-out episodes.
    pub seed: Root,
    /// `Split::Eval` for figures that are reported, `Split::Select` to choose between checkpoints.
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
    pub fn reported(policy: impl Into<String>, episodes: u64) -> Self {
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
    pub fn selecting(episodes: u64) -> Self {
        Self {
            split: Split::Select,
            geodesic: false,
            traces: 0,
            ..Self::reported("", episodes)
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
        seed: Root,
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
    actor: &mut dyn Actor,
    options: &EvalOptions,
) -> Result<EvalReport, EvalError> {
    let mut finished = play(scenario, actor, options)?;
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
        deterministic: !actor.draws(),
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
struct Worlds<'a>(Vec<&'a [Finished]>);

impl Worlds<'_> {
    /// Mean over the episodes in which a robot has a figure.
    fn mean(&self, of: &dyn Fn(&Finished) -> Option<f64>) -> Option<Average> {
        mean_interval(self.0.iter().filter_map(|robots| {
            let figures = || robots.iter().filter_map(of);
            let count = figures().count();
            (count > 0).then(|| figures().sum::<f64>() / count as f64)
        }))
    }

    /// Share of the robots of which something is true. That robots of one episode have all of it in
    /// common is the most that they can, so an episode counts as one trial.
    fn rate(&self, of: &dyn Fn(&Finished) -> bool) -> Estimate {
        let share = |robots: &&[Finished]| {
            robots.iter().filter(|part| of(part)).count() as f64 / robots.len() as f64
        };
        match self.0.len() as u64 {
            0 => wilson(0, 0),
            count => wilson_of(self.0.iter().map(share).sum::<f64>() / count as f64, count),
        }
    }
}

fn summarise(parts: &[Finished], geodesic: bool) -> EvalSummary {
    let by_episode = parts.chunk_by(|a, b| a.row.episode == b.row.episode);
    let worlds = Worlds(by_episode.collect());
    let mean = |of: &dyn Fn(&Finished) -> f64| worlds.mean(&|part| Some(of(part)));
    let weighted = |of: &dyn Fn(&Finished) -> f64| mean(of).filter(|_| geodesic).map(share);
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
        spl: weighted(&|part| part.weights.spl),
        soft_spl: weighted(&|part| part.weights.soft_spl),
        sct: weighted(&|part| part.weights.sct),
        time_to_goal_secs: worlds.mean(&|part| part.succeeded().then_some(part.row.time_secs)),
        episodic_return: mean(&|part| part.row.episodic_return).unwrap_or_default(),
        length: mean(&|part| f64::from(part.row.length)).unwrap_or_default(),
        min_clearance_m: mean(&|part| part.row.min_clearance_m).unwrap_or_default(),
        jerk_mps3: mean(&|part| part.row.jerk_mps3).unwrap_or_default(),
        outcome_rates: (count > 0).then(|| Outcome::ALL.map(ended)),
        conduct: summarise_conduct(&worlds).map(Box::new),
    }
}

/// Absent without episodes.
fn summarise_conduct(worlds: &Worlds) -> Option<ConductSummary> {
    let mean = |of: &dyn Fn(&Conduct) -> Option<f64>| {
        worlds.mean(&|part| part.row.conduct.as_ref().and_then(of))
    };
    let proxemics = |band: usize| mean(&|conduct| Some(conduct.proxemics?[band])).map(share);
    let irregularity = |part: &Finished| part.row.conduct.as_ref()?.irregularity_radpm;
    let failed = |kind: FailureKind| {
        worlds.rate(&|part| {
            let conduct = part.row.conduct.as_ref();
            conduct.is_some_and(|conduct| conduct.failures.contains(&kind))
        })
    };
    Some(ConductSummary {
        margin_m: SAFETY_MARGIN_M,
        below_margin_secs: mean(&|conduct| Some(conduct.below_margin_secs))?,
        proxemics: match [0, 1, 2].map(proxemics) {
            [Some(intimate), Some(personal), Some(social)] => Some([intimate, personal, social]),
            _ => None,
        },
        irregularity_radpm: mean(&|conduct| conduct.irregularity_radpm),
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
    mean.within(0.0, 1.0)
}
