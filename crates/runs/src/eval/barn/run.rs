//! An actor through worlds by the protocol: so many runs of each, in parallel.

use std::sync::Arc;

use serde::Serialize;

use super::{BarnClock, BarnOutcome, BarnRun, LIMIT_SECS, POLL_SECS, RUNS, SCORE_FACTORS};
use crate::eval::suite::parallel_map;
use crate::eval::{EvalError, EvalOptions};
use crate::stats::{Average, Estimate, mean_interval, wilson_of_share};
use evenkeel_sim::env::{Controller, NavEnv, Outcome, thread_count};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::{RootSeed, Split};
use evenkeel_sim::sim::WorldSnapshot;

/// A world as the protocol wants it: start and goal are the challenge's, a contact ends the
/// episode, and its time limit is no shorter than the clock's.
#[derive(Clone, Debug)]
pub struct BarnWorld {
    /// Its number.
    pub number: u32,
    /// The robot in it.
    pub scenario: Arc<Scenario>,
    /// OT, seconds.
    pub optimal_secs: f64,
}

/// What runs came to.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BarnReport {
    /// What drove.
    pub policy: String,
    /// How many worlds.
    pub worlds: usize,
    /// Share of the runs that succeeded. Runs of one world are no trials of their own (without
    /// anything random in them they are all alike), so the intervals are those of as many trials
    /// as there are worlds.
    pub success: Estimate,
    /// Share of the runs that ended in a collision.
    pub collided: Estimate,
    /// Share of the runs that took too long.
    pub timed_out: Estimate,
    /// Mean score over worlds for each k: a world's is the mean of its runs.
    pub scores: Vec<BarnScore>,
    /// Mean AT of the runs that succeeded, seconds.
    pub actual_secs: Option<Average>,
    /// Every run, world by world.
    pub runs: Vec<BarnRun>,
}

/// The mean score for one k.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct BarnScore {
    /// The patience.
    pub k: f64,
    /// The mean, with an interval over worlds.
    pub score: Average,
}

/// Drives [`RUNS`] runs of every world, up to `jobs` worlds at once, 0 for one a core; the figures
/// do not depend on it. `make` gives an actor for a world's scenario. Whatever is random in it,
/// noise or the actor's own draws, differs between runs; without any they are all alike.
///
/// # Errors
/// The first that `make` or a world that cannot be placed ends in.
pub fn evaluate_barn<E: From<EvalError> + Send>(
    worlds: &[BarnWorld],
    policy: &str,
    seed: RootSeed,
    jobs: usize,
    make: impl Fn(&Arc<Scenario>) -> Result<Box<dyn Controller>, E> + Sync,
) -> Result<BarnReport, E> {
    let of_world = |index: usize| -> Result<Vec<BarnRun>, E> {
        let world = &worlds[index];
        let mut controller = make(&world.scenario)?;
        let unplaceable = |reason| {
            let options = EvalOptions {
                seed,
                ..EvalOptions::for_report(policy, RUNS)
            };
            EvalError::unplaceable(&world.scenario, &options, 0, reason)
        };
        let mut env =
            NavEnv::new(world.scenario.clone(), seed, Split::Eval, 0).map_err(unplaceable)?;
        (0..RUNS)
            .map(|run| {
                env.try_reset(run).map_err(unplaceable)?;
                Ok(run_episode(world, run, &mut env, controller.as_mut()))
            })
            .collect()
    };
    let runs = parallel_map(worlds.len(), thread_count(jobs), of_world)?;
    Ok(report(policy, worlds.len(), runs.concat()))
}

/// One run, from the beginning of its episode.
fn run_episode(
    world: &BarnWorld,
    run: u64,
    env: &mut NavEnv,
    controller: &mut dyn Controller,
) -> BarnRun {
    let dt_secs = env.scenario().spec.task.control_step_secs;
    let mut clock = BarnClock::default();
    let mut frame = WorldSnapshot::default();
    let mut observation = vec![0.0; env.obs_layout().dim()];
    let mut action = vec![0.0; env.action_dim()];
    let mut looked_secs = 0.0;
    controller.begin_episode(0, run);
    loop {
        env.observe(&mut observation);
        if controller.needs_world() {
            env.snapshot(&mut frame);
            controller.observe_world(0, 0, env.layout(), &frame);
        }
        controller.act(&[0], &observation, &mut action);
        let outcome = env.step(&action).outcome;
        let time_secs = f64::from(env.steps()) * dt_secs;
        // The episode's own end is looked at, too; its time limit is the clock's.
        if outcome.is_none() && time_secs < looked_secs + POLL_SECS - 1e-9 {
            continue;
        }
        looked_secs = time_secs;
        let hit = matches!(
            outcome,
            Some(Outcome::CollisionStatic | Outcome::CollisionMover | Outcome::OutOfBounds)
        );
        let lost = matches!(outcome, Some(Outcome::TimeLimit | Outcome::NonFinite));
        let position = env.position().coords.cast::<f64>();
        let seen_secs = if lost {
            time_secs + LIMIT_SECS
        } else {
            time_secs
        };
        let clocked = clock.tick(seen_secs, position.into(), hit);
        // In single precision a goal may be reached that in double precision is not quite.
        if let Some(outcome) = clocked.or(outcome.map(|_| BarnOutcome::Succeeded)) {
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
        let ended = runs.iter().filter(|run| run.outcome == outcome).count();
        wilson_of_share(ended as f64 / runs.len() as f64, worlds as u64)
    };
    let score = |k: f64| {
        let of_world =
            |runs: &[BarnRun]| runs.iter().map(|run| run.score(k)).sum::<f64>() / runs.len() as f64;
        let means = runs.chunks(RUNS as usize).map(of_world);
        let score = mean_interval(means).unwrap_or_default();
        BarnScore {
            k,
            score: score.clamp_interval(0.0, 1.0 / k),
        }
    };
    let arrived = runs
        .iter()
        .filter(|run| run.outcome == BarnOutcome::Succeeded);
    BarnReport {
        policy: policy.to_owned(),
        worlds,
        success: share(BarnOutcome::Succeeded),
        collided: share(BarnOutcome::Collided),
        timed_out: share(BarnOutcome::TimedOut),
        scores: SCORE_FACTORS.map(score).to_vec(),
        actual_secs: mean_interval(arrived.map(|run| run.actual_secs)),
        runs,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::config::Override;
    use evenkeel_sim::planners::by_name;
    use evenkeel_sim::scenario::resolve;

    /// The open field as a world without cylinders.
    fn empty(number: u32) -> BarnWorld {
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

    fn drive_with(planner: &str, jobs: usize) -> BarnReport {
        let worlds = [empty(1), empty(7)];
        let make = |scenario: &Arc<Scenario>| {
            let controller = by_name(planner, scenario, 0).expect("a driver for it");
            Ok::<Box<dyn Controller>, EvalError>(controller)
        };
        evaluate_barn(&worlds, planner, 0, jobs, make).unwrap()
    }

    #[test]
    fn an_empty_world_is_crossed_in_the_time_that_it_takes() {
        let report = drive_with("straight", 1);
        assert_eq!(
            report,
            drive_with("straight", 2),
            "whatever the number of jobs"
        );
        assert_eq!(report.runs.len(), 20);
        assert!((report.success.value - 1.0).abs() < 1e-12);
        // 1 m/s² up to 2 m/s: 0.1 m take 0.4 s and 9 m take 5.5 s, each seen a step later at most.
        let run = report.runs[0];
        assert!((5.0..5.4).contains(&run.actual_secs), "{run:?}");
        let [newer, older] = [0, 1].map(|index| report.scores[index].score.value);
        assert!((newer - 0.5).abs() < 1e-12 && (older - 0.25).abs() < 1e-12);
    }

    #[test]
    fn who_runs_into_a_wall_has_collided() {
        let report = drive_with("random", 1);
        let ended = report.success.value + report.collided.value + report.timed_out.value;
        assert!((ended - 1.0).abs() < 1e-12);
        assert!(report.collided.value > 0.5, "{report:?}");
        assert!(report.scores[0].score.value < 0.1);
    }
}
