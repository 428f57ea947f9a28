//! The critic's values where the true ones are known: every step has the same reward.

use evenkeel::env::{EnvState, EpisodeStats, ObsLayout, Outcome, StepBuffers, VectorEnv};
use evenkeel::learn::{RunConfig, RunOutcome, TrainHooks, Trainer};
use evenkeel::nn::{GruSpec, RecurrentConfig};
use evenkeel::telemetry::{Event, Symptom};

use super::{EventLog, config};

/// Environments in which every step costs 1, whatever the actions are. The observation is random.
struct ConstantCost {
    layout: ObsLayout,
    /// Steps of each episode.
    length: u32,
    /// How each ends.
    outcome: Outcome,
    /// `[N]`: step of the current episode, and a counter that the observations come from.
    steps: Vec<u32>,
    seen: u64,
    stats: EpisodeStats,
}

impl ConstantCost {
    fn new(envs: usize, length: u32, outcome: Outcome) -> Self {
        Self {
            layout: ObsLayout {
                blocks: vec![("noise".into(), 0, 3)],
            },
            length,
            outcome,
            steps: vec![0; envs],
            seen: 0,
            stats: EpisodeStats::default(),
        }
    }

    /// Fills observations with numbers from -1 to 1.
    fn observe(&mut self, out: &mut [f32]) {
        for entry in out {
            self.seen += 1;
            let word = self.seen.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            *entry = (word >> 40) as f32 / (1u64 << 23) as f32 - 1.0;
        }
    }
}

impl VectorEnv for ConstantCost {
    fn num_envs(&self) -> usize {
        self.steps.len()
    }

    fn obs_layout(&self) -> &ObsLayout {
        &self.layout
    }

    fn action_dim(&self) -> usize {
        1
    }

    fn reset(&mut self, buffers: &mut StepBuffers) {
        // Episodes end at different times in different environments.
        for (env, step) in self.steps.iter_mut().enumerate() {
            *step = env as u32 % self.length;
        }
        self.observe(&mut buffers.obs);
    }

    fn step(&mut self, _: &[f32], buffers: &mut StepBuffers) {
        self.observe(&mut buffers.final_obs);
        self.observe(&mut buffers.obs);
        for env in 0..self.steps.len() {
            self.steps[env] += 1;
            let ends = self.steps[env] == self.length;
            buffers.reward[env] = -1.0;
            buffers.outcome[env] = ends.then_some(self.outcome);
            if ends {
                let cost = f64::from(self.length);
                self.stats.record(self.outcome, -cost, self.length);
                self.steps[env] = 0;
            }
        }
        self.stats.steps += self.steps.len() as u64;
    }

    fn take_stats(&mut self) -> EpisodeStats {
        std::mem::take(&mut self.stats)
    }

    fn state(&self) -> Vec<EnvState> {
        vec![EnvState::default(); self.steps.len()]
    }

    fn restore(&mut self, _: &[EnvState], _: &mut StepBuffers) -> Result<(), String> {
        Err("not needed".into())
    }
}

/// Trains where every step costs 1, and returns the smallest and the largest |value| of the last
/// quarter of the iterations, with the symptoms that were reported.
fn values(config: &RunConfig, length: u32, outcome: Outcome) -> (f64, f64, Vec<Symptom>) {
    let env = ConstantCost::new(config.train.num_envs as usize, length, outcome);
    let mut trainer = Trainer::new(config, 5, env).unwrap();
    let mut log = EventLog::default();
    let ended = trainer.run(&mut TrainHooks {
        sink: &mut log,
        evaluate: None,
        checkpoints: None,
        incidents: None,
        record: None,
        stop: &|| false,
    });
    assert_eq!(ended.unwrap(), RunOutcome::Finished);
    let largest = log.0.iter().filter_map(|event| match event {
        Event::Iteration(iteration) => iteration.value_max,
        _ => None,
    });
    let largest: Vec<f64> = largest.collect();
    let late = &largest[largest.len() * 3 / 4..];
    let symptoms = log.0.iter().filter_map(|event| match event {
        Event::Health(event) => Some(event.symptom),
        _ => None,
    });
    (
        late.iter().copied().fold(f64::INFINITY, f64::min),
        late.iter().copied().fold(0.0, f64::max),
        symptoms.collect(),
    )
}

/// The settings of the other tests with a discount whose horizon is short enough to be learned.
fn constant_cost_config(iterations: u64) -> RunConfig {
    let mut config = config(iterations);
    config.train.gamma = 0.95;
    config
}

#[track_caller]
fn check(config: &RunConfig, length: u32, outcome: Outcome, value: f64) {
    let (least, most, symptoms) = values(config, length, outcome);
    println!("{length} {outcome:?}: {least} to {most}, {symptoms:?}");
    assert!(
        (0.8 * value..1.25 * value).contains(&least) && (0.8 * value..1.25 * value).contains(&most),
        "values of {least} to {most}, not {value}"
    );
    assert!(!symptoms.contains(&Symptom::ValueBound), "{symptoms:?}");
}

#[test]
fn a_constant_cost_gives_its_discounted_sum() {
    // 1 / (1 − γ) = 20.
    let gru = GruSpec {
        size: 8,
        ..GruSpec::default()
    };
    for memory in [None, Some(RecurrentConfig::Gru(gru))] {
        let mut config = constant_cost_config(80);
        config.policy.memory = memory;
        config.train.bptt_steps = 8;
        // Without an end in sight, cut by a time limit, and cut after every step.
        check(&config, u32::MAX, Outcome::TimeLimit, 20.0);
        check(&config, 10, Outcome::TimeLimit, 20.0);
        check(&config, 1, Outcome::TimeLimit, 20.0);
        // An episode that ends for good after one step is worth that step.
        check(&config, 1, Outcome::Goal, 1.0);
    }
}

#[test]
fn values_beyond_what_rewards_allow_are_reported() {
    // True values are at the bound. Half of it is made the threshold.
    let mut config = constant_cost_config(60);
    config.stability.health.value_bound.factor = 0.5;
    let env = ConstantCost::new(config.train.num_envs as usize, 10, Outcome::TimeLimit);
    let mut trainer = Trainer::new(&config, 5, env).unwrap();
    let mut log = EventLog::default();
    let _ = trainer.run(&mut TrainHooks {
        sink: &mut log,
        evaluate: None,
        checkpoints: None,
        incidents: None,
        record: None,
        stop: &|| false,
    });
    let event = log.0.iter().find_map(|event| match event {
        Event::Health(event) if event.symptom == Symptom::ValueBound => Some(event.to_string()),
        _ => None,
    });
    let event = event.expect("the symptom is reported");
    assert!(
        event.starts_with("value out of bounds (critic) at optimiser step "),
        "{event}"
    );
    assert!(event.contains("threshold 10.0"), "{event}");
}
