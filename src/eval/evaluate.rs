//! The evaluation loop: a fixed number of environments stepped together, one held-out episode
//! each, until all are done.

use std::sync::Arc;

use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::episode::{Episode, Finished};
use super::{ConductSummary, EvalReport, EvalSummary, FailureKind, SAFETY_MARGIN_M};
use crate::env::{Actor, NavEnv};
use crate::scenario::{PlacementError, Scenario};
use crate::seed::{Root, Split};
use crate::sim::ACTIONS;
use crate::stats::{Average, mean_interval, wilson};

/// Environments stepped together. A constant, so that figures depend on nothing but the episodes.
const TOGETHER: usize = 64;

/// How to evaluate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalOptions {
    /// Number of episodes, 0 to `episodes` − 1 of the split.
    pub episodes: u64,
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
    let mut finished = run(scenario, actor, options)?;
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

fn run(
    scenario: &Arc<Scenario>,
    actor: &mut dyn Actor,
    options: &EvalOptions,
) -> Result<Vec<Finished>, EvalError> {
    // Without a pool all is done on this thread, with the same figures.
    let pool = match options.threads {
        1 => None,
        threads => ThreadPoolBuilder::new().num_threads(threads).build().ok(),
    };
    let together = TOGETHER.min(options.episodes as usize);
    let mut finished = Vec::with_capacity(options.episodes as usize);
    let mut next = 0..options.episodes;
    let mut running = Vec::with_capacity(together);
    for slot in 0..together {
        // Every slot plays environment 0's episodes, so that an episode is the same whichever
        // slot it falls to.
        let env = NavEnv::new(scenario.clone(), options.seed, options.split, 0)
            .map_err(|reason| EvalError::unplaceable(scenario, options, 0, reason))?;
        if let Some(number) = next.next() {
            actor.begin_episode(slot, number);
            running.push(Episode::begin(slot, env, number, options)?);
        }
    }
    let dim = running.first().map_or(0, Episode::obs_dim);
    let mut observations = vec![0.0; together * dim];
    let mut actions = vec![0.0; together * ACTIONS];
    while !running.is_empty() {
        let count = running.len();
        let slots: Vec<usize> = running.iter().map(|episode| episode.slot).collect();
        let (observations, actions) = (
            &mut observations[..count * dim],
            &mut actions[..count * ACTIONS],
        );
        for (episode, row) in running.iter().zip(observations.chunks_exact_mut(dim)) {
            episode.observe(row);
        }
        actor.act(&slots, observations, actions);
        let mut ended = step(pool.as_ref(), &mut running, actions).into_iter();
        // In place: an environment is large.
        let mut begun = Ok(());
        running.retain_mut(|episode| {
            let Some(ended) = ended.next().flatten() else {
                return true;
            };
            finished.push(ended);
            let Some(number) = next.next() else {
                return false;
            };
            actor.begin_episode(episode.slot, number);
            if begun.is_ok() {
                begun = episode.again(number, options);
            }
            true
        });
        begun?;
    }
    Ok(finished)
}

/// One control step of every episode; the figures of those that ended there.
fn step(
    pool: Option<&ThreadPool>,
    running: &mut [Episode],
    actions: &[f32],
) -> Vec<Option<Finished>> {
    let Some(pool) = pool else {
        let rows = running.iter_mut().zip(actions.chunks_exact(ACTIONS));
        return rows.map(|(episode, action)| episode.step(action)).collect();
    };
    pool.install(|| {
        let rows = running
            .par_iter_mut()
            .zip(actions.par_chunks_exact(ACTIONS));
        rows.with_min_len(8)
            .map(|(episode, action)| episode.step(action))
            .collect()
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
