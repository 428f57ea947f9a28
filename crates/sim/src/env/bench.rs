//! Measures how fast a [`VecEnv`] steps under random actions.

use std::sync::Arc;
use std::time::Instant;

use rand::RngExt as _;
use serde::Serialize;

use super::{Outcome, StepBuffers, VecEnv, VecEnvError, VectorEnv};
use crate::scenario::Scenario;
use crate::seed::{Purpose, RootSeed, Split, stream};

/// Control steps for which each random action is repeated.
const ACTION_REPEAT: usize = 10;

/// Result of a benchmark of environments. Rates are per second of wall time.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EnvBenchResult {
    /// Name of the scenario.
    pub scenario: String,
    /// Environments stepped together.
    pub envs: usize,
    /// Threads that stepped them.
    pub threads: usize,
    /// Measured time, seconds.
    pub secs: f64,
    /// Environment steps measured.
    pub steps: u64,
    /// Environment steps per second, over all threads.
    pub steps_per_s: f64,
    /// `[10]`: the rate in each of ten equal parts of the measured time, smallest first.
    pub steps_per_s_parts: Vec<f64>,
    /// Mean length of the episodes that ended, control steps.
    pub episode_length: f64,
    /// Episodes started per second, including the sampling of their layouts.
    pub resets_per_s: f64,
    /// Episodes ended by a contact per second.
    pub contacts_per_s: f64,
}

/// Steps `envs` environments with uniform random actions, each repeated for ten steps, for about
/// `secs` seconds after a warm-up of a tenth of that time.
///
/// # Errors
/// If the environments cannot be made.
pub fn bench_env(
    scenario: &Arc<Scenario>,
    root: RootSeed,
    envs: usize,
    threads: usize,
    secs: f64,
) -> Result<EnvBenchResult, VecEnvError> {
    let mut vec = VecEnv::new(scenario, root, Split::Train, envs, threads)?;
    let mut buffers = StepBuffers::new(envs, vec.obs_layout().dim());
    vec.reset(&mut buffers);
    let mut actions = RandomActions::new(root, envs, vec.action_dim());
    let part = secs / 10.0;
    actions.run(&mut vec, &mut buffers, part);
    vec.take_stats();
    let mut parts = Vec::new();
    let (mut steps, mut measured) = (0, 0.0);
    for _ in 0..10 {
        let (count, took) = actions.run(&mut vec, &mut buffers, part);
        parts.push(count as f64 / took);
        steps += count;
        measured += took;
    }
    parts.sort_by(f64::total_cmp);
    let stats = vec.take_stats();
    let ended = |outcome: Outcome| stats.outcomes[outcome as usize] as f64;
    let contacts = ended(Outcome::CollisionStatic) + ended(Outcome::CollisionMover);
    Ok(EnvBenchResult {
        scenario: scenario.name.clone(),
        envs,
        threads,
        secs: measured,
        steps,
        steps_per_s: steps as f64 / measured,
        steps_per_s_parts: parts,
        episode_length: stats.mean_length().unwrap_or(f64::NAN),
        resets_per_s: stats.episodes as f64 / measured,
        contacts_per_s: contacts / measured,
    })
}

/// Uniform random actions, from one stream per environment.
struct RandomActions {
    rngs: Vec<crate::seed::Rng>,
    /// `[envs, act]`.
    actions: Vec<f32>,
    action_dim: usize,
    step: usize,
}

impl RandomActions {
    fn new(root: RootSeed, envs: usize, action_dim: usize) -> Self {
        let rng = |env| stream(root, Split::Train, env as u64, 0, Purpose::Bench);
        Self {
            rngs: (0..envs).map(rng).collect(),
            actions: vec![0.0; envs * action_dim],
            action_dim,
            step: 0,
        }
    }

    /// Steps for at least `secs` seconds. Returns the environment steps made and the seconds taken.
    fn run(&mut self, vec: &mut VecEnv, buffers: &mut StepBuffers, secs: f64) -> (u64, f64) {
        let begin = Instant::now();
        let mut count = 0;
        loop {
            if self.step.is_multiple_of(ACTION_REPEAT) {
                for (rng, action) in self
                    .rngs
                    .iter_mut()
                    .zip(self.actions.chunks_exact_mut(self.action_dim))
                {
                    action.fill_with(|| rng.random::<f32>() * 2.0 - 1.0);
                }
            }
            self.step += 1;
            vec.step(&self.actions, buffers);
            count += self.rngs.len() as u64;
            let took = begin.elapsed().as_secs_f64();
            if took >= secs {
                return (count, took);
            }
        }
    }
}
