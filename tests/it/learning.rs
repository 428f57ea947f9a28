//! The whole learner: it learns, is reproducible, and reports divergence.

mod checkpoints;
mod resuming;
mod values;

use std::path::Path;
use std::sync::Arc;

use evenkeel::config::{Document, Override};
use evenkeel::env::{Controller, EpisodeStats, StepBuffers, VectorEnv};
use evenkeel::learn::{
    RunConfig, RunDefinition, RunOutcome, TinyEnv, TrainHooks, TrainState, Trainer,
};
use evenkeel::nn::entries;
use evenkeel::optim::{ClipStage, GlobalNorm};
use evenkeel::runs::RunDir;
use evenkeel::scenario::{self};
use evenkeel::telemetry::{Event, Sink, UpdateReport, WallClockReport};

/// The optimiser's moments by name.
pub(crate) fn moments(state: &TrainState) -> Vec<(&'static str, Vec<f32>)> {
    let moments = state.optimiser.moments.iter();
    moments
        .map(|moment| (moment.name, entries(&moment.tensor)))
        .collect()
}

/// A sink that keeps all events, without wall-clock figures.
#[derive(Default)]
pub(crate) struct EventLog(pub(crate) Vec<Event>);

impl EventLog {
    pub(crate) fn steps(&self) -> Vec<&UpdateReport> {
        let steps = self.0.iter().filter_map(|event| match event {
            Event::Step(step) => Some(step),
            _ => None,
        });
        steps.collect()
    }
}

impl Sink for EventLog {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        let mut event = event.clone();
        if let Event::Iteration(iteration) = &mut event {
            iteration.wall = WallClockReport::default();
        }
        self.0.push(event);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

pub(crate) fn config(iterations: u64) -> RunConfig {
    let mut config = RunConfig::default();
    config.train.num_envs = 64;
    config.train.horizon = 32;
    config.train.epochs = 4;
    config.train.total_steps = iterations * config.steps_per_iteration();
    config.train.learning_rate = 3e-3;
    config.train.entropy_coef = 0.0;
    config.train.threads = 1;
    config.policy.actor.hidden = vec![16, 16];
    config.policy.critic.hidden = vec![16, 16];
    config
}

/// Creates the tiny environment, with a lidar block if the policy needs one.
pub(crate) fn tiny_env(config: &RunConfig, seed: u64, count: usize) -> TinyEnv {
    match config.policy.lidar_conv {
        Some(_) => TinyEnv::with_lidar(seed, count, 16),
        None => TinyEnv::new(seed, count),
    }
}

pub(crate) fn trainer(config: &RunConfig, seed: u64) -> Trainer<TinyEnv> {
    let env = tiny_env(config, seed, config.train.num_envs as usize);
    Trainer::new(config, seed, env).unwrap()
}

/// Trains to the end.
pub(crate) fn run(
    trainer: &mut Trainer<TinyEnv>,
    sink: &mut dyn Sink,
    folder: Option<&Path>,
) -> RunOutcome {
    run_for(trainer, sink, folder, u64::MAX)
}

/// Trains to the end, or for a number of iterations.
pub(crate) fn run_for(
    trainer: &mut Trainer<TinyEnv>,
    sink: &mut dyn Sink,
    folder: Option<&Path>,
    iterations: u64,
) -> RunOutcome {
    let done = std::cell::Cell::new(0);
    let stop = || {
        done.set(done.get() + 1);
        done.get() == iterations
    };
    let mut hooks = TrainHooks {
        sink,
        evaluate: None,
        checkpoints: folder,
        incidents: None,
        record: None,
        stop: &stop,
    };
    trainer.run(&mut hooks).unwrap()
}

/// Runs a controller for 100 steps in fifty environments, enough for several episodes each.
pub(crate) fn run_controller(controller: &mut dyn Controller, seed: u64) -> EpisodeStats {
    run_controller_in(TinyEnv::new(seed, 50), controller)
}

/// Like [`drive`], in the given fifty environments.
pub(crate) fn run_controller_in(mut env: TinyEnv, controller: &mut dyn Controller) -> EpisodeStats {
    let mut buffers = StepBuffers::new(50, env.obs_layout().dim());
    env.reset(&mut buffers);
    let envs: Vec<usize> = (0..50).collect();
    for &env in &envs {
        controller.begin_episode(env, 0);
    }
    let mut actions = vec![0.0; 50];
    for _ in 0..100 {
        controller.act(&envs, &buffers.obs, &mut actions);
        env.step(&actions, &mut buffers);
    }
    env.take_stats()
}

#[test]
fn ppo_learns_a_tiny_environment() {
    let mut trainer = trainer(&config(25), 1);
    let before = run_controller(&mut trainer.controller(), 77);
    assert_eq!(
        run(&mut trainer, &mut EventLog::default(), None),
        RunOutcome::Finished
    );
    let after = run_controller(&mut trainer.controller(), 77);
    assert!(
        before.success_rate().unwrap_or(0.0) < 0.5,
        "the task is too easy: {before:?}"
    );
    assert!(
        after.success_rate().unwrap() > 0.99,
        "it has not learned: {after:?}"
    );
    assert!(after.mean_length().unwrap() < 12.0, "it is slow: {after:?}");
}

#[test]
fn same_seed_gives_the_same_run_on_any_number_of_threads() {
    let mut runs = [1, 1, 3].map(|threads| {
        // Minibatches large enough to be computed in several parts.
        let mut config = config(3);
        config.train.num_envs = 512;
        config.train.minibatches = 2;
        config.train.total_steps = 3 * config.steps_per_iteration();
        config.train.threads = threads;
        let mut log = EventLog::default();
        let mut trainer = trainer(&config, 5);
        run(&mut trainer, &mut log, None);
        (log.0, trainer.parameters())
    });
    let [first, again, threaded] = &mut runs;
    assert!(first == again, "two runs with one seed differ");
    assert!(first == threaded, "one thread and three differ");
    assert_eq!(first.0.len(), 3 * (4 * 2 + 1));
}

#[test]
fn different_seeds_give_different_weights() {
    let weights = [5, 6].map(|seed| trainer(&config(1), seed).parameters());
    assert_ne!(weights[0], weights[1]);
}

#[test]
fn first_minibatch_has_ratio_one() {
    let mut log = EventLog::default();
    let mut trainer = trainer(&config(2), 3);
    run(&mut trainer, &mut log, None);
    for first in log.steps().into_iter().step_by(4 * 4) {
        assert!((first.ratio_max.unwrap() - 1.0).abs() < 1e-6, "{first:?}");
        assert!(first.approx_kl.unwrap().abs() < 1e-9);
        assert_eq!(first.ratio_clip_share, Some(0.0));
    }
    let moved = log.steps()[15].ratio_max.unwrap();
    assert!(moved > 1.001, "the policy does not move: {moved}");
}

#[test]
fn twins_are_identical_until_the_clip_acts() {
    let clipped = |clip: Vec<ClipStage>| {
        let mut config = config(6);
        config.stability.clip = clip;
        let mut log = EventLog::default();
        let mut trainer = trainer(&config, 11);
        let mut weights = Vec::new();
        for _ in 0..6 {
            trainer.iterate(&mut log).unwrap();
            weights.push(trainer.parameters());
        }
        let steps: Vec<UpdateReport> = log.steps().into_iter().cloned().collect();
        (steps, weights)
    };
    let (unclipped, unclipped_weights) = clipped(Vec::new());
    // Choose a threshold that the norm first exceeds at step 20 or later: just below the first norm
    // from there on that exceeds all norms before it.
    let norms: Vec<f64> = unclipped
        .iter()
        .map(|step| step.grad_norm.unwrap())
        .collect();
    let acts = (20..norms.len())
        .find(|&step| {
            norms[..step]
                .iter()
                .all(|&before| before < norms[step] * 0.999)
        })
        .expect("a later norm exceeds all norms before it");
    let max = norms[acts] * 0.9995;
    let (clipped, clipped_weights) = clipped(vec![ClipStage::GlobalNorm(GlobalNorm { max })]);

    let acted = clipped.iter().position(|step| step.clip[0].acted);
    assert_eq!(acted, Some(acts));
    let without_clip = |step: &UpdateReport| UpdateReport {
        clip: Vec::new(),
        ..step.clone()
    };
    for step in 0..acts {
        assert_eq!(
            without_clip(&clipped[step]),
            unclipped[step],
            "before the clip acts, at {step}"
        );
    }
    assert_eq!(clipped[acts].grad_norm, unclipped[acts].grad_norm);
    assert_ne!(without_clip(&clipped[acts + 1]), unclipped[acts + 1]);
    let iteration = acts / 16;
    assert_eq!(clipped_weights[..iteration], unclipped_weights[..iteration]);
    assert_ne!(clipped_weights[iteration], unclipped_weights[iteration]);
}

#[test]
fn divergence_ends_the_run_with_finite_weights() {
    let mut config = config(40);
    config.stability.clip = Vec::new();
    config.train.learning_rate = 1e4;
    let mut log = EventLog::default();
    let mut trainer = trainer(&config, 2);
    let RunOutcome::Diverged(diverged) = run(&mut trainer, &mut log, None) else {
        panic!("the run did not diverge at a learning rate of 10,000")
    };
    assert_eq!(log.0.last(), Some(&Event::Diverged(diverged.clone())));
    let last = log.steps().into_iter().next_back().unwrap();
    assert_eq!(last.optimiser_step, diverged.optimiser_step);
    assert!(trainer.parameters().iter().all(|weight| weight.is_finite()));
}

/// Creates a run without an arm in a folder. No step has been trained yet.
pub(crate) fn run_in(
    folder: &Path,
    name: &str,
    overrides: &[Override],
    seed: u64,
) -> (RunDefinition, RunDir) {
    let scenario = Arc::new(scenario::resolve(name, overrides).unwrap());
    let no_arm = Document::parse("no arm", "").unwrap();
    let experiment = RunDefinition::new(scenario, &no_arm, overrides, seed).unwrap();
    let run = experiment.create_run("clipped", 0, Some(folder)).unwrap();
    (experiment, run)
}
