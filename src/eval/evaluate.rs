//! Evaluation: what is to be played, and what the episodes come to.

use std::sync::Arc;

use super::episode::Finished;
use super::play::play;
use super::{ConductSummary, EvalReport, EvalSummary, FailureKind, SAFETY_MARGIN_M};
use crate::env::Actor;
use crate::scenario::{PlacementError, Scenario};
use crate::seed::{Root, Split};
use crate::stats::{Average, mean_interval, wilson};

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
    finished.sort_by_key(|episode| episode.row.episode);
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

fn summarise(episodes: &[Finished], geodesic: bool) -> EvalSummary {
    let mean = |of: &dyn Fn(&Finished) -> f64| mean_interval(episodes.iter().map(of));
    let weighted = |of: &dyn Fn(&Finished) -> f64| mean(of).filter(|_| geodesic).map(share);
    let mut outcomes = [0; 6];
    for episode in episodes {
        outcomes[episode.row.outcome as usize] += 1;
    }
    let count = episodes.len() as u64;
    let successes = episodes.iter().filter(|episode| episode.succeeded());
    EvalSummary {
        episodes: count,
        outcomes,
        success: wilson(outcomes[0], count),
        spl: weighted(&|episode| episode.weights.spl),
        soft_spl: weighted(&|episode| episode.weights.soft_spl),
        sct: weighted(&|episode| episode.weights.sct),
        time_to_goal_secs: mean_interval(successes.map(|episode| episode.row.time_secs)),
        episodic_return: mean(&|episode| episode.row.episodic_return).unwrap_or_default(),
        length: mean(&|episode| f64::from(episode.row.length)).unwrap_or_default(),
        min_clearance_m: mean(&|episode| episode.row.min_clearance_m).unwrap_or_default(),
        jerk_mps3: mean(&|episode| episode.row.jerk_mps3).unwrap_or_default(),
        outcome_rates: (count > 0).then(|| outcomes.map(|ends| wilson(ends, count))),
        conduct: summarise_conduct(episodes).map(Box::new),
    }
}

/// Absent without episodes.
fn summarise_conduct(episodes: &[Finished]) -> Option<ConductSummary> {
    let conducts = || episodes.iter().filter_map(|e| e.row.conduct.as_ref());
    let proxemics = |band: usize| {
        let shares = conducts().filter_map(move |conduct| Some(conduct.proxemics?[band]));
        mean_interval(shares).map(share)
    };
    let irregularities = || conducts().filter_map(|conduct| conduct.irregularity_radpm);
    let failed = |kind: FailureKind| {
        let failed = conducts().filter(|conduct| conduct.failures.contains(&kind));
        wilson(failed.count() as u64, episodes.len() as u64)
    };
    Some(ConductSummary {
        margin_m: SAFETY_MARGIN_M,
        below_margin_secs: mean_interval(conducts().map(|conduct| conduct.below_margin_secs))?,
        proxemics: match [0, 1, 2].map(proxemics) {
            [Some(intimate), Some(personal), Some(social)] => Some([intimate, personal, social]),
            _ => None,
        },
        irregularity_radpm: mean_interval(irregularities()),
        irregularity_episodes: irregularities().count() as u64,
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
