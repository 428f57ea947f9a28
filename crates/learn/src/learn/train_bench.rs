//! The speed of training: the [`Trainer`] itself, in any environment, or in one that costs
//! nothing.

use serde::Serialize;

use super::{LearnError, RunConfig, Trainer};
use evenkeel_runs::telemetry::{Event, Sink};
use evenkeel_sim::env::{EnvState, EpisodeStats, ObsLayout, Outcome, StepBuffers, VectorEnv};
use evenkeel_sim::seed::{Purpose, Split, normal_pair, stream};

/// Result of a benchmark of training. Rates are per second of wall time. The three shares add up
/// to everything but the telemetry.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TrainBenchResult {
    /// Environments stepped together.
    pub envs: usize,
    /// Control steps in a rollout.
    pub horizon: usize,
    /// Passes over each rollout.
    pub epochs: u32,
    /// Optimiser steps in each pass.
    pub minibatches: u32,
    /// Threads in use.
    pub threads: usize,
    /// Duration of the benchmark, seconds.
    pub secs: f64,
    /// Iterations measured.
    pub iterations: u64,
    /// Environment steps measured.
    pub steps: u64,
    /// Environment steps per second.
    pub steps_per_s: f64,
    /// The same in each iteration, smallest first.
    pub steps_per_s_parts: Vec<f64>,
    /// Share of the time that went into stepping environments.
    pub simulate_share: f64,
    /// Share of the time that went into computing actions.
    pub forward_share: f64,
    /// Share of the time that went into values, advantages, losses, gradients and optimiser steps.
    pub optimise_share: f64,
    /// Samples per second of the optimising time; each epoch counts.
    pub optimise_samples_per_s: f64,
}

/// Trains for about `secs` seconds, after one iteration to warm up. Events go to `sink`.
///
/// # Errors
/// If an event cannot be recorded.
pub fn bench_train<E: VectorEnv>(
    trainer: &mut Trainer<E>,
    secs: f64,
    sink: &mut dyn Sink,
) -> Result<TrainBenchResult, LearnError> {
    trainer.iterate(sink)?;
    let config = trainer.config().clone();
    let mut clock = WallTimeSink {
        inner: sink,
        iterations: Vec::new(),
    };
    let began = std::time::Instant::now();
    loop {
        trainer.iterate(&mut clock)?;
        if began.elapsed().as_secs_f64() >= secs {
            break;
        }
    }
    let secs = began.elapsed().as_secs_f64();
    let iterations = clock.iterations.len() as u64;
    let steps = iterations * config.steps_per_iteration();
    let sum = |of: fn(&evenkeel_runs::telemetry::WallClockReport) -> f64| -> f64 {
        clock.iterations.iter().map(of).sum()
    };
    let optimise_secs = sum(|wall| wall.optimise_secs);
    let mut parts: Vec<f64> = clock
        .iterations
        .iter()
        .map(|wall| wall.steps_per_sec)
        .collect();
    parts.sort_by(f64::total_cmp);
    Ok(TrainBenchResult {
        envs: config.train.num_envs as usize,
        horizon: config.train.horizon as usize,
        epochs: config.train.epochs,
        minibatches: config.train.minibatches,
        threads: config.threads(),
        secs,
        iterations,
        steps,
        steps_per_s: steps as f64 / secs,
        steps_per_s_parts: parts,
        simulate_share: sum(|wall| wall.simulate_secs) / secs,
        forward_share: sum(|wall| wall.forward_secs) / secs,
        optimise_share: optimise_secs / secs,
        optimise_samples_per_s: steps as f64 * f64::from(config.train.epochs) / optimise_secs,
    })
}

/// As [`bench_train`], in an environment that costs nothing: the learner alone.
///
/// # Errors
/// If the settings are invalid or an event cannot be recorded.
pub fn bench_learner(
    config: &RunConfig,
    obs_dim: usize,
    action_dim: usize,
    secs: f64,
    sink: &mut dyn Sink,
) -> Result<TrainBenchResult, LearnError> {
    let env = ZeroCostEnv::new(config.train.num_envs as usize, obs_dim, action_dim);
    bench_train(&mut Trainer::new(config, 0, env)?, secs, sink)
}

/// Stores the wall-clock figures of iterations, and passes all events on.
struct WallTimeSink<'a> {
    inner: &'a mut dyn Sink,
    iterations: Vec<evenkeel_runs::telemetry::WallClockReport>,
}

impl Sink for WallTimeSink<'_> {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        if let Event::Iteration(iteration) = event {
            self.iterations.push(iteration.wall.clone());
        }
        self.inner.record(event)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.inner.flush()
    }
}

/// An environment that costs nothing: observations are random and never change, the reward is an
/// action's first entry, and an episode reaches its goal after 100 steps.
struct ZeroCostEnv {
    layout: ObsLayout,
    obs: Vec<f32>,
    action_dim: usize,
    envs: usize,
    steps: u32,
}

impl ZeroCostEnv {
    fn new(envs: usize, obs_dim: usize, action_dim: usize) -> Self {
        let mut rng = stream(0, Split::Train, 0, 0, Purpose::Bench);
        let obs = (0..envs * obs_dim)
            .map(|_| normal_pair(&mut rng).0 as f32)
            .collect();
        let layout = ObsLayout {
            blocks: vec![("free".into(), 0, obs_dim)],
        };
        Self {
            layout,
            obs,
            action_dim,
            envs,
            steps: 0,
        }
    }
}

impl VectorEnv for ZeroCostEnv {
    fn num_envs(&self) -> usize {
        self.envs
    }

    fn obs_layout(&self) -> &ObsLayout {
        &self.layout
    }

    fn action_dim(&self) -> usize {
        self.action_dim
    }

    fn reset(&mut self, buffers: &mut StepBuffers) {
        buffers.obs.copy_from_slice(&self.obs);
    }

    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers) {
        self.steps += 1;
        let outcome = self.steps.is_multiple_of(100).then_some(Outcome::Goal);
        buffers.outcome.fill(outcome);
        let first = actions
            .chunks_exact(self.action_dim)
            .map(|action| action[0]);
        for (reward, action) in buffers.reward.iter_mut().zip(first) {
            *reward = action;
        }
    }

    fn take_stats(&mut self) -> EpisodeStats {
        EpisodeStats::default()
    }

    fn state(&self) -> Vec<EnvState> {
        vec![EnvState::default(); self.envs]
    }

    fn restore(&mut self, _: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String> {
        self.reset(buffers);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_runs::telemetry::Fanout;

    #[test]
    fn shares_add_up_and_steps_are_counted() {
        let mut config = RunConfig::default();
        (
            config.train.num_envs,
            config.train.horizon,
            config.train.threads,
        ) = (8, 16, 1);
        let bench = bench_learner(&config, 5, 2, 0.05, &mut Fanout::new()).unwrap();
        assert_eq!(bench.steps, bench.iterations * 8 * 16);
        let whole = bench.simulate_share + bench.forward_share + bench.optimise_share;
        assert!((0.5..=1.0).contains(&whole), "{bench:?}");
    }
}
