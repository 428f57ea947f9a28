//! How a policy does in the levels that it does worst in, as METRICS.md defines it.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{EvalError, EvalOptions, evaluate};
use crate::stats::{Average, Bootstrap, mean_interval};
use evenkeel_sim::env::{Controller, Outcome};
use evenkeel_sim::scenario::Scenario;

/// Fewer levels have no worst 5 % of them.
pub const MIN_LEVELS: u64 = 20;

/// Fewer rollouts tell a level's success rate too roughly to say which levels are worst.
pub const MIN_ROLLOUTS: u64 = 10;

/// Shares of the levels that are looked at, per cent.
const TAIL_PERCENTS: [u64; 2] = [5, 10];

/// Samples of the bootstrap over levels.
const RESAMPLES: u32 = 2000;

/// Success over levels and in the worst of them. A *level* is a held-out episode: its layout, its
/// movers and whatever else it draws; only the policy's own draws differ between its rollouts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Robustness {
    /// Number of levels, the first of the split.
    pub levels: u64,
    /// Rollouts of each level that chose the worst, and as many that scored them. One that did
    /// both of an actor that draws nothing: all its rollouts of a level are alike.
    pub rollouts: u64,
    /// Whether actions were drawn.
    pub stochastic: bool,
    /// Success rate over all levels.
    pub success: Average,
    /// Success rate in the worst levels: conditional value at risk (CVaR).
    pub cvar: Vec<CvarEstimate>,
}

/// Success in the worst levels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CvarEstimate {
    /// Which share of the levels, per cent.
    pub percent: u64,
    /// How many levels that is.
    pub levels: u64,
    /// Success rate in them, with a bootstrap interval over levels; without one where they are
    /// few.
    pub success: Average,
}

/// Plays each of `options.episodes` levels `rollouts` times to choose the worst by their success
/// rate, and as often again to score those (Rutherford et al. 2024, "No Regrets",
/// <https://arxiv.org/abs/2408.15099>): the rollouts that chose them would make them out worse
/// than they are. Of `options`, geodesics and traces are not looked at.
///
/// Levels that tie for the last places of the worst share them, and the interval is over samples
/// of levels in which the worst are chosen anew.
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
        let played = success_rates(scenario, controller, &options, first..first + rollouts)?;
        Ok::<_, EvalError>(played.rates)
    };
    let choosing = rates(0)?;
    let scoring = if stochastic {
        rates(rollouts)?
    } else {
        choosing.clone()
    };
    controller.set_rollout(0);
    let how = Bootstrap {
        resamples: RESAMPLES,
        ..Bootstrap::default()
    };
    let tail = |percent: u64| {
        let levels = options.episodes * percent / 100;
        let success = how
            .tail_mean(&choosing, &scoring, levels as usize)
            .expect("there are levels enough for a worst of them");
        CvarEstimate {
            percent,
            levels,
            success: Average::of(success, levels as usize),
        }
    };
    let success = mean_interval(scoring.iter().copied()).expect("there are levels");
    Ok(Robustness {
        levels: options.episodes,
        rollouts,
        stochastic,
        success: success.clamp_interval(0.0, 1.0),
        cvar: TAIL_PERCENTS.map(tail).into(),
    })
}

/// How often levels were passed.
pub struct LevelSuccess {
    /// `[levels]`: the share of the rollouts, and of the robots in them, that reached the goal.
    pub rates: Vec<f64>,
    /// Control steps in all.
    pub steps: u64,
}

/// Plays each level as often as there are rollouts.
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

    /// In an open field, drives straight to the goal or stands still, as `reaches(level, rollout)`
    /// says.
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

    /// What comes of 100 levels and ten rollouts.
    fn scripted_robustness(reaches: impl Fn(u64, u64) -> bool) -> Robustness {
        let scenario = scenario("open_field");
        let mut controller = ScriptedSuccess {
            planner: StraightPlanner::new(&scenario).unwrap(),
            reaches,
            rollout: 0,
            stops: Vec::new(),
        };
        let options = EvalOptions::for_report("told", 100);
        robustness(&scenario, &mut controller, &options, 10).unwrap()
    }

    fn near(found: f64, expect: f64) {
        assert!((found - expect).abs() < 1e-12, "{found} is not {expect}");
    }

    #[test]
    fn the_worst_levels_come_to_what_is_worked_out_by_hand() {
        // Of ten rollouts of a level exactly so many reach the goal: one in five levels, five in
        // five others, nine in the 90 that are left.
        let reach = |level: u64| match level {
            3 | 17 | 40 | 41 | 99 => 1,
            5 | 18 | 50 | 60 | 98 => 5,
            _ => 9,
        };
        let found = scripted_robustness(|level, rollout| (rollout + level) % 10 < reach(level));
        assert!(found.stochastic);
        assert_eq!((found.levels, found.rollouts), (100, 10));
        near(
            found.success.value,
            (5.0 * 0.1 + 5.0 * 0.5 + 90.0 * 0.9) / 100.0,
        );
        let tails: Vec<(u64, u64)> = found.cvar.iter().map(|t| (t.percent, t.levels)).collect();
        assert_eq!(tails, [(5, 5), (10, 10)]);
        near(found.cvar[0].success.value, 0.1);
        near(found.cvar[1].success.value, 0.3);
        let [low, high] = found.cvar[1].success.interval().unwrap();
        assert!((0.099..0.25).contains(&low), "{low}");
        assert!((0.4..0.9).contains(&high), "{high}");
    }

    #[test]
    fn levels_are_not_scored_by_the_luck_that_chose_them() {
        // Some levels fail ten times out of ten while they are chosen, and all come to a half
        // thereafter.
        let found = scripted_robustness(|level, rollout| match rollout {
            0..10 => rollout < level % 11,
            _ => rollout % 2 == 0,
        });
        for tail in &found.cvar {
            near(tail.success.value, 0.5);
        }
        near(found.success.value, 0.5);
    }

    #[test]
    fn an_actor_that_draws_nothing_is_asked_once() {
        let scenario = scenario("reference");
        let mut planner = StraightPlanner::new(&scenario).unwrap();
        let options = EvalOptions::for_report("planner:straight", 60);
        let found = robustness(&scenario, &mut planner, &options, 10).unwrap();
        assert!(!found.stochastic);
        assert_eq!(found.rollouts, 1);
        let success = evaluate(&scenario, &mut planner, &options)
            .unwrap()
            .summary
            .success;
        near(found.success.value, success.value);
        // It fails in far more than a tenth of them.
        near(found.cvar[1].success.value, 0.0);
        assert_eq!(found.cvar[0].levels, 3);
        assert_eq!(
            found.cvar[0].success.interval(),
            None,
            "three levels are few"
        );
    }

    #[test]
    fn figures_depend_on_the_seed_and_on_nothing_else() {
        let scenario = scenario("open_field");
        let play = |seed: u64, threads: usize| {
            let options = EvalOptions {
                seed,
                threads,
                ..EvalOptions::for_report("planner:random", 40)
            };
            let mut planner = RandomPlanner::new(seed);
            planner.set_rollout(5);
            robustness(&scenario, &mut planner, &options, 10).unwrap()
        };
        let found = play(0, 1);
        assert!(found.success.value > 0.0, "some are reached by chance");
        assert_eq!(found, play(0, 1));
        assert_eq!(found, play(0, 3));
        assert_ne!(found, play(1, 1));
    }
}
