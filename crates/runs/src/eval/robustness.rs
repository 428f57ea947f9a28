//! Success in the levels in which a policy is worst ("success in the worst levels" in
//! `docs/metrics.md`).

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{EvalError, EvalOptions, evaluate};
use crate::stats::{Average, Bootstrap, mean_interval};
use evenkeel_sim::env::{Controller, Outcome};
use evenkeel_sim::scenario::Scenario;

/// Smallest number of levels of which 5 % is at least one.
pub const MIN_LEVELS: u64 = 20;

/// Smallest number of rollouts per level that can tell which levels are worst.
pub const MIN_ROLLOUTS: u64 = 10;

/// Sizes of the tail, in per cent of the levels.
const TAIL_PERCENTS: [u64; 2] = [5, 10];

/// Number of bootstrap samples over levels.
const RESAMPLES: u32 = 2000;

/// Success over levels and in the worst of them. A *level* is a held-out episode with its layout,
/// its movers and all its other random draws. Rollouts of a level differ only in the actions that
/// the policy samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Number of levels: the first ones of the split.
    pub levels: u64,
    /// Number of rollouts per level that select the worst levels, and of further rollouts that
    /// score them. For a deterministic controller, 1 rollout that does both.
    pub rollouts: u64,
    /// Whether actions were sampled.
    pub stochastic: bool,
    /// Success rate over all levels.
    pub success: Average,
    /// Success rate in the worst levels: conditional value at risk (CVaR).
    pub cvar: Vec<CvarEstimate>,
}

/// Success in the worst levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CvarEstimate {
    /// Share of the levels, per cent.
    pub percent: u64,
    /// Number of these levels.
    pub levels: u64,
    /// Success rate in them, with a bootstrap interval over levels. No interval if they are few.
    pub success: Average,
}

/// Measures the success in the worst levels (Rutherford et al. 2024, "No Regrets",
/// <https://arxiv.org/abs/2408.15099>). Runs each of `options.episodes` levels `rollouts` times to
/// select the levels with the lowest success rate, and as often again to score them. Independent
/// rollouts for the score avoid a downward bias. Ignores `options.geodesic` and `options.traces`.
///
/// Levels that tie at the end of the tail share the remaining weight. The bootstrap selects the
/// worst levels again in each sample.
///
/// # Errors
/// If one of the levels cannot be placed.
///
/// # Panics
/// With fewer than [`MIN_LEVELS`] levels or [`MIN_ROLLOUTS`] rollouts.
pub fn robustness(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &EvalOptions,
    rollouts: u64,
) -> Result<Robustness, EvalError> {
    assert!(options.episodes >= MIN_LEVELS && rollouts >= MIN_ROLLOUTS);
    let options = EvalOptions {
        geodesic: false,
        traces: 0,
        ..options.clone()
    };
    let stochastic = controller.is_stochastic();
    let rollouts = if stochastic { rollouts } else { 1 };
    let mut rates = |first: u64| {
        let success = success_rates(scenario, controller, &options, first..first + rollouts)?;
        Ok::<_, EvalError>(success.rates)
    };
    let selection = rates(0)?;
    let scores = if stochastic {
        rates(rollouts)?
    } else {
        selection.clone()
    };
    controller.set_rollout(0);
    let bootstrap = Bootstrap {
        resamples: RESAMPLES,
        ..Bootstrap::default()
    };
    let tail = |percent: u64| {
        let levels = options.episodes * percent / 100;
        let success = bootstrap
            .tail_mean(&selection, &scores, levels as usize)
            .expect("5 % of at least 20 levels is at least one");
        CvarEstimate {
            percent,
            levels,
            success: Average::of(success, levels as usize),
        }
    };
    let success = mean_interval(scores.iter().copied()).expect("there are levels");
    Ok(Robustness {
        levels: options.episodes,
        rollouts,
        stochastic,
        success: success.clamp_interval(0.0, 1.0),
        cvar: TAIL_PERCENTS.map(tail).into(),
    })
}

/// Success rates of levels.
pub struct LevelSuccess {
    /// Share of rollouts, and of the robots in them, that reached the goal, `[levels]`.
    pub rates: Vec<f64>,
    /// Number of control steps in total.
    pub steps: u64,
}

/// Measures the success rate of each of `options.episodes` levels over the given rollouts.
///
/// # Errors
/// If one of the levels cannot be placed.
pub fn success_rates(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &EvalOptions,
    rollouts: Range<u64>,
) -> Result<LevelSuccess, EvalError> {
    let count = (rollouts.end - rollouts.start) as f64;
    let mut rates = vec![0.0; options.episodes as usize];
    let mut steps = 0;
    for rollout in rollouts {
        controller.set_rollout(rollout);
        let report = evaluate(scenario, controller, options)?;
        let by_episode = report.episodes.chunk_by(|a, b| a.episode == b.episode);
        for (rate, robots) in rates.iter_mut().zip(by_episode) {
            let reached = robots.iter().filter(|row| row.outcome == Outcome::Goal);
            *rate += reached.count() as f64 / robots.len() as f64 / count;
            steps += robots.iter().map(|row| u64::from(row.length)).sum::<u64>();
        }
    }
    Ok(LevelSuccess { rates, steps })
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::planners::{RandomPlanner, StraightPlanner};

    /// A controller for an open field. Drives straight to the goal if `reaches(level, rollout)` is
    /// true, and stands still otherwise.
    struct ScriptedSuccess<F> {
        planner: StraightPlanner,
        reaches: F,
        rollout: u64,
        stops: Vec<bool>,
    }

    impl<F: Fn(u64, u64) -> bool> Controller for ScriptedSuccess<F> {
        fn begin_episode(&mut self, env: usize, episode: u64) {
            self.stops.resize(self.stops.len().max(env + 1), false);
            self.stops[env] = !(self.reaches)(episode, self.rollout);
        }

        fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
            self.planner.act(envs, observations, actions);
            for (action, &env) in actions.chunks_exact_mut(2).zip(envs) {
                if self.stops[env] {
                    action.copy_from_slice(&[-1.0, 0.0]);
                }
            }
        }

        fn is_stochastic(&self) -> bool {
            true
        }

        fn set_rollout(&mut self, rollout: u64) {
            self.rollout = rollout;
        }
    }

    fn scenario(name: &str) -> Arc<Scenario> {
        Arc::new(evenkeel_sim::scenario::resolve(name, &[]).unwrap())
    }

    /// Robustness over 100 levels and ten rollouts.
    fn scripted_robustness(reaches: impl Fn(u64, u64) -> bool) -> Robustness {
        let scenario = scenario("open_field");
        let mut controller = ScriptedSuccess {
            planner: StraightPlanner::new(&scenario).unwrap(),
            reaches,
            rollout: 0,
            stops: Vec::new(),
        };
        let options = EvalOptions::for_report("scripted", 100);
        robustness(&scenario, &mut controller, &options, 10).unwrap()
    }

    fn near(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() < 1e-12,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn the_tail_matches_values_computed_by_hand() {
        // Successes in ten rollouts: one in five levels, five in five others, nine in the other 90.
        let successes = |level: u64| match level {
            3 | 17 | 40 | 41 | 99 => 1,
            5 | 18 | 50 | 60 | 98 => 5,
            _ => 9,
        };
        let robustness =
            scripted_robustness(|level, rollout| (rollout + level) % 10 < successes(level));
        assert!(robustness.stochastic);
        assert_eq!((robustness.levels, robustness.rollouts), (100, 10));
        near(
            robustness.success.value,
            (5.0 * 0.1 + 5.0 * 0.5 + 90.0 * 0.9) / 100.0,
        );
        let tails: Vec<(u64, u64)> = robustness
            .cvar
            .iter()
            .map(|t| (t.percent, t.levels))
            .collect();
        assert_eq!(tails, [(5, 5), (10, 10)]);
        near(robustness.cvar[0].success.value, 0.1);
        near(robustness.cvar[1].success.value, 0.3);
        let [low, high] = robustness.cvar[1].success.interval().unwrap();
        assert!((0.099..0.25).contains(&low), "{low}");
        assert!((0.4..0.9).contains(&high), "{high}");
    }

    #[test]
    fn levels_are_not_scored_by_the_rollouts_that_selected_them() {
        // In the rollouts for selection, some levels always fail. In those for scoring, each level
        // succeeds half the time.
        let robustness = scripted_robustness(|level, rollout| match rollout {
            0..10 => rollout < level % 11,
            _ => rollout % 2 == 0,
        });
        for tail in &robustness.cvar {
            near(tail.success.value, 0.5);
        }
        near(robustness.success.value, 0.5);
    }

    #[test]
    fn a_deterministic_controller_has_one_rollout() {
        let scenario = scenario("reference");
        let mut planner = StraightPlanner::new(&scenario).unwrap();
        let options = EvalOptions::for_report("planner:straight", 60);
        let robustness = robustness(&scenario, &mut planner, &options, 10).unwrap();
        assert!(!robustness.stochastic);
        assert_eq!(robustness.rollouts, 1);
        let success = evaluate(&scenario, &mut planner, &options)
            .unwrap()
            .summary
            .success;
        near(robustness.success.value, success.value);
        // The planner fails in far more than a tenth of the levels.
        near(robustness.cvar[1].success.value, 0.0);
        assert_eq!(robustness.cvar[0].levels, 3);
        assert_eq!(
            robustness.cvar[0].success.interval(),
            None,
            "three levels are too few for an interval"
        );
    }

    #[test]
    fn results_depend_on_the_seed_and_not_on_the_threads() {
        let scenario = scenario("open_field");
        let evaluate = |seed: u64, threads: usize| {
            let options = EvalOptions {
                seed,
                threads,
                ..EvalOptions::for_report("planner:random", 40)
            };
            let mut planner = RandomPlanner::new(seed);
            planner.set_rollout(5);
            robustness(&scenario, &mut planner, &options, 10).unwrap()
        };
        let robustness = evaluate(0, 1);
        assert!(
            robustness.success.value > 0.0,
            "some goals are reached by chance"
        );
        assert_eq!(robustness, evaluate(0, 1));
        assert_eq!(robustness, evaluate(0, 3));
        assert_ne!(robustness, evaluate(1, 1));
    }
}
