//! A custom reward: a wrapper around the environments that penalises changes of the action, and a
//! short training run with it.
//!
//!     cargo run --release --example custom_reward

use std::sync::Arc;

use evenkeel::env::{EnvState, EpisodeStats, ObsLayout, StepBuffers, VecEnv, VectorEnv};
use evenkeel::learn::{RunConfig, Trainer};
use evenkeel::scenario;
use evenkeel::seed::Split;
use evenkeel::telemetry::{Event, Sink};

/// Subtracts a penalty from each reward, in proportion to the change of the action.
struct Smooth {
    inner: VecEnv,
    /// Penalty for a change of one action by 1.
    scale: f32,
    /// `[N, act]`: actions of the previous step.
    previous: Vec<f32>,
    /// Sum of the penalties since the last `take_stats`.
    penalty: f64,
}

impl Smooth {
    fn new(inner: VecEnv, scale: f32) -> Self {
        let previous = vec![0.0; inner.num_envs() * inner.action_dim()];
        Self {
            inner,
            scale,
            previous,
            penalty: 0.0,
        }
    }
}

impl VectorEnv for Smooth {
    fn num_envs(&self) -> usize {
        self.inner.num_envs()
    }

    fn obs_layout(&self) -> &ObsLayout {
        self.inner.obs_layout()
    }

    fn action_dim(&self) -> usize {
        self.inner.action_dim()
    }

    fn reset(&mut self, buffers: &mut StepBuffers) {
        self.previous.fill(0.0);
        self.inner.reset(buffers);
    }

    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers) {
        self.inner.step(actions, buffers);
        let width = self.inner.action_dim();
        let rows = actions
            .chunks_exact(width)
            .zip(self.previous.chunks_exact_mut(width));
        for ((action, previous), (reward, outcome)) in
            rows.zip(buffers.reward.iter_mut().zip(&buffers.outcome))
        {
            let change: f32 = action
                .iter()
                .zip(&*previous)
                .map(|(now, before)| (now.clamp(-1.0, 1.0) - before.clamp(-1.0, 1.0)).abs())
                .sum();
            *reward -= self.scale * change;
            self.penalty -= f64::from(self.scale * change);
            // Environments reset themselves: after the end of an episode there is no previous action.
            match outcome {
                Some(_) => previous.fill(0.0),
                None => previous.copy_from_slice(action),
            }
        }
    }

    fn take_stats(&mut self) -> EpisodeStats {
        let mut stats = self.inner.take_stats();
        stats
            .reward_terms
            .push(("smooth", std::mem::take(&mut self.penalty)));
        stats
    }

    fn state(&self) -> Vec<EnvState> {
        self.inner.state()
    }

    fn restore(&mut self, states: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String> {
        let width = self.inner.action_dim();
        for (state, previous) in states.iter().zip(self.previous.chunks_exact_mut(width)) {
            match state.actions.last_chunk::<2>() {
                Some(last) => previous.copy_from_slice(last),
                None => previous.fill(0.0),
            }
        }
        self.inner.restore(states, buffers)
    }
}

/// Prints the results of each iteration.
struct Print;

impl Sink for Print {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        if let Event::Iteration(report) = event {
            let smooth = report
                .reward_terms
                .iter()
                .find(|(name, _)| name == "smooth");
            println!(
                "{:>7} steps: success {:>5.1} %, reward/smooth {:+.4} per step",
                report.global_step,
                100.0 * report.success_rate.unwrap_or(0.0),
                smooth.map_or(0.0, |(_, mean)| *mean),
            );
        }
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let scenario = Arc::new(scenario::resolve("open_field", &[])?);
    let mut config = RunConfig::default();
    config.train.num_envs = 256;
    let seed = 1;
    let envs = VecEnv::new(&scenario, seed, Split::Train, 256, config.threads())?;
    let mut trainer = Trainer::new(&config, seed, Smooth::new(envs, 0.05))?;
    for _ in 0..30 {
        trainer.iterate(&mut Print)?;
    }
    Ok(())
}
