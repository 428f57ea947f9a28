//! Training in worlds of several robots: it learns, is the same on any number of threads and after a
//! resumption, and ignores inactive robots.

use std::sync::Arc;

use evenkeel::config::Document;
use evenkeel::env::{EnvState, EpisodeStats, ObsLayout, StepBuffers, VecEnv, VectorEnv};
use evenkeel::eval::{EvalOptions, evaluate};
use evenkeel::learn::{RunConfig, RunDefinition, TinyEnv, TrainState, Trainer};
use evenkeel::nn::{RecurrentConfig, RnnSpec};
use evenkeel::seed::Split;
use evenkeel::telemetry::Fanout;

use super::scenario;
use crate::helpers::overrides;
use crate::learning::run_in;

/// A small arena in which two robots swap places.
const SMALL_WORLD: [&str; 12] = [
    "robot.count=2",
    "robot.arrangement.circle_swap.radius_m=1.2",
    "arena.size_m=[4, 4]",
    "robot.lidar.beams=16",
    "task.time_limit_secs=10",
    "train.num_envs=64",
    "train.horizon=32",
    "train.minibatches=4",
    "train.epochs=4",
    "train.eval_every=0",
    "policy.actor.hidden=[32, 32]",
    "policy.critic.hidden=[32, 32]",
];

fn definition(flags: &[&str]) -> Result<RunDefinition, String> {
    let all: Vec<&str> = SMALL_WORLD.iter().chain(flags).copied().collect();
    let overrides = overrides(&all);
    let scenario = Arc::new(scenario::resolve("swap", &overrides).unwrap());
    let no_arm = Document::parse("no arm", "").unwrap();
    RunDefinition::new(scenario, &no_arm, &overrides, 1).map_err(|error| error.to_string())
}

fn environments(definition: &RunDefinition, threads: usize) -> VecEnv {
    let rows = definition.config.train.num_envs as usize;
    VecEnv::new(&definition.scenario, 1, Split::Train, rows, threads).unwrap()
}

#[test]
fn policy_learns_to_pass_another_robot() {
    let definition = definition(&["train.total_steps=200_000"]).unwrap();
    let mut trainer = definition.trainer().unwrap();
    let success = |trainer: &Trainer<VecEnv>| {
        let options = EvalOptions::for_selection(100);
        let report = evaluate(&definition.scenario, &mut trainer.controller(), &options).unwrap();
        report.summary.success.value
    };
    let before = success(&trainer);
    while trainer.iterations_left() > 0 {
        trainer.iterate(&mut Fanout::new()).unwrap();
    }
    let after = success(&trainer);
    println!("{before} before, {after} after");
    assert!(
        before < 0.1 && after > 0.7,
        "{before} before, {after} after"
    );
}

#[test]
fn num_envs_must_be_a_multiple_of_the_robots() {
    let error = definition(&["train.num_envs=63"]).err().unwrap();
    assert!(
        error.contains("`train.num_envs` is 63, which is not a multiple of the 2 robots")
            && error.contains("write 64"),
        "{error}"
    );
}

#[test]
fn runs_are_the_same_on_any_number_of_threads_and_after_a_resumption() {
    for memory in ["", "policy.memory={ rnn = { size = 8 } }"] {
        let mut flags = vec!["train.total_steps=20_000", "train.bptt_steps=0"];
        flags.extend((!memory.is_empty()).then_some(memory));
        let definition = definition(&flags).unwrap();
        let run = |threads: usize, resumed: bool| {
            let config = &definition.config;
            let mut trainer = Trainer::new(config, 1, environments(&definition, threads)).unwrap();
            for iteration in 0..8 {
                if resumed && iteration == 5 {
                    let state = trainer.state();
                    assert_eq!(state.environments.len(), 32, "one per world");
                    let folder = tempfile::tempdir().unwrap();
                    state.save(&folder.path().join("last")).unwrap();
                    let loaded = TrainState::load(&folder.path().join("last")).unwrap();
                    trainer = Trainer::resume(config, &loaded, environments(&definition, threads))
                        .unwrap();
                }
                trainer.iterate(&mut Fanout::new()).unwrap();
            }
            trainer.parameters()
        };
        let one = run(1, false);
        assert!(one == run(2, false), "two threads {memory}");
        assert!(one == run(1, true), "resumed {memory}");
    }
}

#[test]
fn incident_replay_names_the_robot() {
    let folder = tempfile::tempdir().unwrap();
    let flags = [
        &SMALL_WORLD[..],
        &[
            "train.total_steps=8192",
            "train.checkpoint_every=1",
            "stability.health.warm_up_steps=4",
            "stability.health.rearm_steps=1",
            "stability.health.gradient_spike.z=0.5",
            "stability.health.gradient_spike.factor=1.2",
        ],
    ];
    let overrides = overrides(&flags.concat());
    let (definition, run) = run_in(folder.path(), "swap", &overrides, 1);
    definition
        .train(&run, Fanout::new(), &|| false, None)
        .unwrap();
    let incident = std::fs::read_dir(run.incidents_path()).unwrap().next();
    let incident = incident.expect("a detector fires").unwrap().path();
    let incident = incident.to_str().unwrap();
    let answer = |args: &[&str]| crate::helpers::answer(folder.path(), args);
    let autopsy = answer(&["autopsy", incident, "--json", "--arms", "clipped"]);
    let replay = answer(&["replay", incident, "--list", "--json"]);
    let transitions = autopsy["transitions"].as_array().unwrap();
    let marks = replay["transitions"].as_array().unwrap();
    assert_eq!(marks.len(), transitions.len());
    for (mark, one) in marks.iter().zip(transitions) {
        let number = |value: &serde_json::Value| value.as_u64().unwrap();
        let recording = &replay["recordings"][number(&mark["recording"]) as usize];
        let row = 2 * number(&recording["env"]) + number(&mark["robot"]);
        assert_eq!(row, number(&one["env"]), "a row of the rollout");
        assert_eq!(mark["episode"], one["episode"]);
        assert_eq!(number(&mark["step"]), number(&one["episode_step"]) + 1);
        assert_eq!(mark["share"], one["share"]);
    }
    let robots: Vec<_> = marks.iter().map(|mark| &mark["robot"]).collect();
    assert!(robots.contains(&&1.into()), "{robots:?}");
    let same = crate::helpers::evenkeel_in(folder.path(), &["replay", incident, "--verify"]);
    assert!(same.status.success());
}

/// Pairs of tiny environments that each wait for the other's end of the episode. The observation of
/// an inactive one is `noise`.
struct Pairs {
    points: Vec<TinyEnv>,
    buffers: Vec<StepBuffers>,
    inactive: Vec<bool>,
    noise: f32,
}

impl Pairs {
    fn new(rows: usize, noise: f32) -> Self {
        Self {
            points: (0..rows).map(|row| TinyEnv::new(row as u64, 1)).collect(),
            buffers: vec![StepBuffers::new(1, 2); rows],
            inactive: vec![false; rows],
            noise,
        }
    }

    fn write_observations(&self, buffers: &mut StepBuffers) {
        for (row, own) in self.buffers.iter().enumerate() {
            let seen = &mut buffers.obs[2 * row..2 * row + 2];
            seen.copy_from_slice(&own.obs);
            if self.inactive[row] {
                seen.fill(self.noise);
            }
        }
        buffers.inactive.copy_from_slice(&self.inactive);
    }
}

impl VectorEnv for Pairs {
    fn num_envs(&self) -> usize {
        self.points.len()
    }

    fn obs_layout(&self) -> &ObsLayout {
        self.points[0].obs_layout()
    }

    fn action_dim(&self) -> usize {
        1
    }

    fn reset(&mut self, buffers: &mut StepBuffers) {
        for (point, own) in self.points.iter_mut().zip(&mut self.buffers) {
            point.reset(own);
        }
        self.inactive.fill(false);
        self.write_observations(buffers);
    }

    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers) {
        for (row, &action) in actions.iter().enumerate() {
            buffers.reward[row] = 0.0;
            buffers.outcome[row] = None;
            if self.inactive[row] {
                continue;
            }
            // A tiny environment resets at once when it ends, and is inactive until its pair ends.
            let own = &mut self.buffers[row];
            self.points[row].step(&[action], own);
            buffers.reward[row] = own.reward[0];
            buffers.outcome[row] = own.outcome[0];
            buffers.final_obs[2 * row..2 * row + 2].copy_from_slice(&own.final_obs);
            self.inactive[row] = own.outcome[0].is_some();
        }
        for pair in self.inactive.chunks_exact_mut(2) {
            if pair[0] && pair[1] {
                pair.fill(false);
            }
        }
        self.write_observations(buffers);
    }

    fn take_stats(&mut self) -> EpisodeStats {
        let mut all = EpisodeStats::default();
        for point in &mut self.points {
            all.merge(&point.take_stats());
        }
        all
    }

    fn state(&self) -> Vec<EnvState> {
        self.points.iter().flat_map(TinyEnv::state).collect()
    }

    fn restore(&mut self, _: &[EnvState], _: &mut StepBuffers) -> Result<(), String> {
        Err("not used in this test".into())
    }
}

#[test]
fn inactive_robots_do_not_affect_training() {
    for memory in [false, true] {
        let mut config = RunConfig::default();
        config.train.num_envs = 16;
        config.train.horizon = 64;
        config.train.minibatches = 4;
        config.train.total_steps = 16 * 64 * 6;
        config.policy.actor.hidden = vec![8];
        config.policy.critic.hidden = vec![8];
        if memory {
            config.policy.memory = Some(RecurrentConfig::Rnn(RnnSpec {
                size: 6,
                ..RnnSpec::default()
            }));
            config.train.bptt_steps = 16;
        }
        let run = |noise: f32| {
            let mut trainer = Trainer::new(&config, 1, Pairs::new(16, noise)).unwrap();
            for _ in 0..6 {
                trainer.iterate(&mut Fanout::new()).unwrap();
            }
            let state = trainer.state();
            (
                trainer.parameters(),
                state.observation.moments().clone(),
                state.returns.statistics().clone(),
            )
        };
        let (weights, observation, returns) = run(0.3);
        assert!(weights.iter().all(|weight| weight.is_finite()));
        let count = observation.count;
        assert!(
            count > 0.0 && count < 6.0 * 16.0 * 64.0,
            "{count} rows were used"
        );
        assert!((returns.moments.count - count).abs() < 0.5);
        let other = run(-5.0);
        assert!(weights == other.0, "memory {memory}: other weights");
        assert!(
            observation == other.1 && returns == other.2,
            "other statistics"
        );
    }
}
