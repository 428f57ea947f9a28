//! Evaluation of a controller by the BARN protocol: several runs in each world, in parallel.

use std::sync::Arc;

use serde::Serialize;

use super::{BarnClock, BarnOutcome, BarnRun, LIMIT_SECS, POLL_SECS, RUNS, SCORE_FACTORS};
use crate::eval::suite::parallel_map;
use crate::eval::{EvalError, EvalOptions};
use crate::stats::{Average, Estimate, mean_interval, wilson_of_share};
use evenkeel_sim::env::{Controller, EpisodeRunner, NavEnv, Outcome, thread_count};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::{RootSeed, Split};

/// A world of the protocol.
#[derive(Clone, Debug)]
pub struct BarnWorld {
    /// Number of the world.
    pub number: u32,
    /// World and robot as a scenario. It has start and goal of the challenge, contacts end the
    /// episode, and its time limit is at least twice [`LIMIT_SECS`].
    pub scenario: Arc<Scenario>,
    /// Optimal time (OT), seconds.
    pub optimal_secs: f64,
}

/// Results of an evaluation by the protocol.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BarnReport {
    /// Name of the policy.
    pub policy: String,
    /// Number of worlds.
    pub worlds: usize,
    /// Share of successful runs. Runs in one world are not independent, and identical without
    /// randomness, so the intervals of all shares count one trial per world.
    pub success: Estimate,
    /// Share of runs with a collision.
    pub collided: Estimate,
    /// Share of runs that timed out.
    pub timed_out: Estimate,
    /// Score for each k of [`SCORE_FACTORS`].
    pub scores: Vec<BarnScore>,
    /// Mean over worlds of the mean actual time (AT) of a world's successful runs, seconds, with an
    /// interval over worlds. `None` without a successful run.
    pub actual_secs: Option<Average>,
    /// All runs, world by world.
    pub runs: Vec<BarnRun>,
}

/// Score for one factor k.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BarnScore {
    /// The factor k.
    pub k: f64,
    /// Mean over worlds of the mean score of a world's runs, with an interval over worlds.
    pub score: Average,
}

/// Evaluates a controller in [`RUNS`] runs of each world. `make` creates the controller for a
/// world's scenario. Runs of a world differ only in random numbers, such as noise and sampled
/// actions. Evaluates up to `jobs` worlds in parallel, or one per core if `jobs` is 0. The results
/// do not depend on `jobs`.
///
/// # Errors
/// The first error of `make` or of a world that cannot be placed, in the order of the worlds.
pub fn evaluate_barn<E: From<EvalError> + Send>(
    worlds: &[BarnWorld],
    policy: &str,
    seed: RootSeed,
    jobs: usize,
    make: impl Fn(&Arc<Scenario>) -> Result<Box<dyn Controller>, E> + Sync,
) -> Result<BarnReport, E> {
    let run_world = |index: usize| -> Result<Vec<BarnRun>, E> {
        let world = &worlds[index];
        let mut controller = make(&world.scenario)?;
        let unplaceable = |reason| {
            let options = EvalOptions {
                seed,
                ..EvalOptions::for_report(policy, RUNS)
            };
            EvalError::unplaceable(&world.scenario, &options, 0, reason)
        };
        let env = NavEnv::new(world.scenario.clone(), seed, Split::Eval, 0).map_err(unplaceable)?;
        let mut runner = EpisodeRunner::new(env);
        (0..RUNS)
            .map(|run| {
                runner.try_reset(run).map_err(unplaceable)?;
                Ok(run_episode(world, run, &mut runner, controller.as_mut()))
            })
            .collect()
    };
    let runs = parallel_map(worlds.len(), thread_count(jobs), run_world)?;
    Ok(report(policy, worlds.len(), runs.concat()))
}

/// Executes one run in an environment that was reset to it.
fn run_episode(
    world: &BarnWorld,
    run: u64,
    runner: &mut EpisodeRunner,
    controller: &mut dyn Controller,
) -> BarnRun {
    let dt_secs = runner.env().scenario().spec.task.control_step_secs;
    let mut clock = BarnClock::default();
    let mut last_tick_secs = 0.0;
    runner.begin_episode(controller);
    loop {
        let outcome = runner.step_with(controller)[0].outcome;
        let env = runner.env();
        let time_secs = f64::from(env.steps()) * dt_secs;
        // The clock also ticks at the end of the episode.
        if outcome.is_none() && time_secs < last_tick_secs + POLL_SECS - 1e-9 {
            continue;
        }
        last_tick_secs = time_secs;
        let collided = matches!(
            outcome,
            Some(Outcome::CollisionStatic | Outcome::CollisionMover | Outcome::OutOfBounds)
        );
        // The clock counts an episode that ended by its time limit or non-finite numbers as timed
        // out.
        let aborted = matches!(outcome, Some(Outcome::TimeLimit | Outcome::NonFinite));
        let position = env.position().coords.cast::<f64>();
        let clock_secs = if aborted {
            time_secs + LIMIT_SECS
        } else {
            time_secs
        };
        let barn_outcome = clock.tick(clock_secs, position.into(), collided);
        // The environment may count a goal as reached in single precision, the clock not in double.
        if let Some(outcome) = barn_outcome.or(outcome.map(|_| BarnOutcome::Succeeded)) {
            return BarnRun {
                world: world.number,
                run,
                outcome,
                actual_secs: clock.actual_secs().min(LIMIT_SECS),
                optimal_secs: world.optimal_secs,
            };
        }
    }
}

fn report(policy: &str, worlds: usize, runs: Vec<BarnRun>) -> BarnReport {
    let share = |outcome: BarnOutcome| {
        let count = runs.iter().filter(|run| run.outcome == outcome).count();
        wilson_of_share(count as f64 / runs.len() as f64, worlds as u64)
    };
    let score = |k: f64| {
        let world_mean =
            |runs: &[BarnRun]| runs.iter().map(|run| run.score(k)).sum::<f64>() / runs.len() as f64;
        let means = runs.chunks(RUNS as usize).map(world_mean);
        let score = mean_interval(means).unwrap_or_default();
        BarnScore {
            k,
            score: score.clamp_interval(0.0, 1.0 / k),
        }
    };
    let secs_of_world = |runs: &[BarnRun]| {
        let succeeded = runs
            .iter()
            .filter(|run| run.outcome == BarnOutcome::Succeeded);
        let secs: Vec<f64> = succeeded.map(|run| run.actual_secs).collect();
        (!secs.is_empty()).then(|| secs.iter().sum::<f64>() / secs.len() as f64)
    };
    BarnReport {
        policy: policy.to_owned(),
        worlds,
        success: share(BarnOutcome::Succeeded),
        collided: share(BarnOutcome::Collided),
        timed_out: share(BarnOutcome::TimedOut),
        scores: SCORE_FACTORS.map(score).to_vec(),
        actual_secs: mean_interval(runs.chunks(RUNS as usize).filter_map(secs_of_world)),
        runs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::config::Override;
    use evenkeel_sim::planners::by_name;
    use evenkeel_sim::scenario::resolve;

    /// A world without cylinders.
    fn empty_world(number: u32) -> BarnWorld {
        let set = [
            "arena.size_m=[6.0, 14.0]",
            "arena.origin_m=[-5.25, 1.0]",
            "robot.start={at={position_m=[-2.25, 3.0]}}",
            "robot.goal={at={position_m=[-2.25, 13.0]}}",
            "robot.start_heading_rad=1.5707963",
            "robot.drive.differential.max_speed_mps=2.0",
            "task.goal_radius_m=1.0",
            "task.time_limit_secs=120.0",
        ];
        let set: Vec<_> = set
            .iter()
            .map(|flag| Override::parse(flag).unwrap())
            .collect();
        BarnWorld {
            number,
            scenario: Arc::new(resolve("open_field", &set).unwrap()),
            optimal_secs: 5.0,
        }
    }

    fn evaluate_planner(planner: &str, jobs: usize) -> BarnReport {
        let worlds = [empty_world(1), empty_world(7)];
        let make = |scenario: &Arc<Scenario>| {
            let controller = by_name(planner, scenario, 0).expect("the planner exists");
            Ok::<Box<dyn Controller>, EvalError>(controller)
        };
        evaluate_barn(&worlds, planner, 0, jobs, make).unwrap()
    }

    #[test]
    fn an_empty_world_is_crossed_at_full_speed() {
        let report = evaluate_planner("straight", 1);
        assert_eq!(
            report,
            evaluate_planner("straight", 2),
            "the number of jobs does not matter"
        );
        assert_eq!(report.runs.len(), 20);
        assert!((report.success.value - 1.0).abs() < 1e-12);
        // With 1 m/s² up to 2 m/s, 0.1 m take 0.4 s and 9 m take 5.5 s. The clock may tick one step
        // later.
        let run = report.runs[0];
        assert!((5.0..5.4).contains(&run.actual_secs), "{run:?}");
        let [newer, older] = [0, 1].map(|index| report.scores[index].score.value);
        assert!((newer - 0.5).abs() < 1e-12 && (older - 0.25).abs() < 1e-12);
    }

    /// Ten identical runs of a world are one piece of evidence.
    #[test]
    fn the_interval_of_the_time_counts_worlds() {
        let run = |world: u32, index: u64, actual_secs: f64| BarnRun {
            world,
            run: index,
            outcome: if actual_secs < LIMIT_SECS {
                BarnOutcome::Succeeded
            } else {
                BarnOutcome::TimedOut
            },
            actual_secs,
            optimal_secs: 5.0,
        };
        let runs = |secs: &[f64]| -> Vec<BarnRun> {
            let worlds = secs.iter().zip(1..);
            worlds
                .flat_map(|(secs, world)| (0..RUNS).map(move |index| run(world, index, *secs)))
                .collect()
        };
        let average = |runs: Vec<BarnRun>| {
            let worlds = runs.len() / RUNS as usize;
            report("p", worlds, runs).actual_secs
        };
        let few = average(runs(&[4.0, 5.0, 6.0])).unwrap();
        assert_eq!((few.value, few.interval()), (5.0, None));
        let five = average(runs(&[1.0, 2.0, 3.0, 4.0, 5.0]));
        assert_eq!(five, mean_interval([1.0, 2.0, 3.0, 4.0, 5.0]));
        // A world without a success has no time; one with a single success counts like the others.
        let mut mixed = runs(&[4.0, LIMIT_SECS, LIMIT_SECS]);
        mixed[25] = run(3, 5, 8.0);
        assert_eq!(average(mixed).unwrap().value.to_bits(), 6.0_f64.to_bits());
        assert_eq!(average(runs(&[LIMIT_SECS])), None);
    }

    #[test]
    fn driving_into_a_wall_is_a_collision() {
        let report = evaluate_planner("random", 1);
        let total = report.success.value + report.collided.value + report.timed_out.value;
        assert!((total - 1.0).abs() < 1e-12);
        assert!(report.collided.value > 0.5, "{report:?}");
        assert!(report.scores[0].score.value < 0.1);
    }
}
