//! Recordings of training: they hold the training's steps, and recording does not change training.

#![allow(clippy::float_cmp, reason = "values must be equal to the bit")]

use std::fs;
use std::path::{Path, PathBuf};

use evenkeel::learn::{RunDefinition, RunOutcome, TrainState};
use evenkeel::recording::messages::RobotStep;
use evenkeel::recording::{RecordedEpisode, RecordingEnd, RecordingReader, verify};
use evenkeel::runs::RunDir;
use evenkeel::seed::{Purpose, Split, normal_pair, stream};
use evenkeel::telemetry::{Event, Fanout};

use crate::helpers::{evenkeel, overrides};
use crate::learning::run_in;

const SEED: u64 = 4;
const HORIZON: usize = 48;
const ITERATIONS: u64 = 4;

const PLAIN: &str = "policy.actor.hidden=[8]";
const GRU: &str = "policy.memory={gru={size=6}}";

/// Overrides of `swap`: two robots that swap places in a small arena.
const PAIR: [&str; 3] = [
    "robot.count=2",
    "robot.arrangement.circle_swap.radius_m=1.2",
    "arena.size_m=[4, 4]",
];

/// Creates a small run that records every `every`-th iteration.
fn run(folder: &Path, network: &str, every: u32) -> (RunDefinition, RunDir) {
    run_of(folder, "movers", &[network], every)
}

fn run_of(folder: &Path, scenario: &str, flags: &[&str], every: u32) -> (RunDefinition, RunDir) {
    let every = format!("train.record_every={every}");
    let small = [
        &every,
        "train.num_envs=6",
        "train.horizon=48",
        "train.bptt_steps=16",
        "train.minibatches=1",
        "train.epochs=2",
        "train.total_steps=1152",
        "train.eval_every=0",
        "train.checkpoint_every=1",
        "train.threads=1",
        "task.time_limit_secs=7.0",
    ];
    let overrides = overrides(&[flags, &small].concat());
    run_in(folder, scenario, &overrides, SEED)
}

fn train(folder: &Path, network: &str, every: u32) -> RunDir {
    train_to_end(run(folder, network, every))
}

fn train_to_end((definition, run): (RunDefinition, RunDir)) -> RunDir {
    let outcome = definition
        .train(&run, Fanout::new(), &|| false, None)
        .unwrap();
    assert_eq!(outcome, RunOutcome::Finished);
    run
}

fn recording(run: &RunDir, iteration: u64) -> PathBuf {
    run.recordings_path()
        .join(format!("iteration_{iteration:06}.mcap"))
}

fn read(path: &Path) -> (RecordingReader, Vec<RecordedEpisode>) {
    let mut reader = RecordingReader::open(path).unwrap();
    let episodes = std::iter::from_fn(|| reader.next_episode().unwrap()).collect();
    assert_eq!(reader.end(), Some(&RecordingEnd::Complete));
    (reader, episodes)
}

/// The steps of the recorded iteration. Only these have a policy's prediction.
fn iteration_steps(episodes: &[RecordedEpisode]) -> Vec<&RobotStep> {
    let steps = episodes.iter().flat_map(|episode| &episode.steps);
    steps.filter(|step| !step.action_mean.is_empty()).collect()
}

#[test]
fn recordings_hold_the_training_steps() {
    for network in [PLAIN, GRU] {
        let folder = tempfile::tempdir().unwrap();
        let run = train(folder.path(), network, 1);
        let events = run.events().unwrap();
        let mut recorded_steps: Vec<RobotStep> = Vec::new();
        let mut open: Option<RecordedEpisode> = None;
        for iteration in 1..=ITERATIONS {
            let path = recording(&run, iteration);
            let mut reader = RecordingReader::open(&path).unwrap();
            let mut checked = 0;
            verify(&mut reader, &mut |_, difference| {
                assert_eq!(difference, None);
                checked += 1;
            })
            .unwrap();
            let (reader, episodes) = read(&path);
            assert_eq!(checked, episodes.len());

            let header = reader.header();
            assert_eq!((header.split.as_str(), header.env), ("train", 0));
            let policy = header.policy.as_ref().unwrap();
            assert!(policy.stochastic && policy.checkpoint.is_empty());
            assert_eq!(policy.global_step, (iteration - 1) * 6 * HORIZON as u64);

            let training = reader.training().expect("the iteration's gradients");
            assert_eq!(training.iteration, iteration);
            let norms = events.iter().filter_map(|event| match event {
                Event::Step(step) if step.global_step == training.global_step => step.grad_norm,
                _ => None,
            });
            let norms: Vec<f64> = norms.collect();
            let recorded_norms = training.updates.iter().map(|step| step.grad_norm);
            assert_eq!(recorded_norms.collect::<Vec<f64>>(), norms);
            assert_eq!(norms.len(), 2);

            // The recording starts with the steps of the open episode of the previous iteration.
            let first = &episodes[0];
            let earlier = first.steps.iter().take_while(|s| s.action_mean.is_empty());
            let before = open.as_ref().map_or(&[][..], |open| &open.steps);
            assert_eq!(earlier.clone().count(), before.len());
            for (again, original) in earlier.zip(before) {
                assert_eq!(
                    (&again.action, again.reward),
                    (&original.action, original.reward)
                );
            }
            let iteration_steps = iteration_steps(&episodes);
            assert_eq!(iteration_steps.len(), HORIZON);
            assert_actions_drawn(&iteration_steps, iteration);
            recorded_steps.extend(iteration_steps.into_iter().cloned());
            let numbers = episodes.iter().map(|episode| episode.begin.episode);
            assert!((first.begin.episode..).zip(numbers).all(|(a, b)| a == b));
            open = episodes
                .into_iter()
                .last()
                .filter(|last| last.end.is_none());
        }
        // The checkpoint has the actions of the open episode.
        let folder = run.checkpoint("last").unwrap().unwrap();
        let state = &TrainState::load(&folder).unwrap().environments[0];
        let open = open.map_or_else(Vec::new, |open| open.steps);
        let actions: Vec<f32> = open.iter().flat_map(|step| step.action.clone()).collect();
        assert_eq!(state.actions, actions);
        assert!(
            recorded_steps.iter().any(|step| !step.outcome.is_empty()),
            "no episode ended"
        );
    }
}

/// Checks that each action is the run's random draw around the recorded mean.
fn assert_actions_drawn(steps: &[&RobotStep], iteration: u64) {
    let robot = steps.first().map_or(0, |step| step.robot);
    let mut rng = stream(
        SEED,
        Split::Train,
        robot.into(),
        iteration - 1,
        Purpose::Action,
    );
    for step in steps {
        let (a, b) = normal_pair(&mut rng);
        if step.inactive {
            continue;
        }
        let parts = step.action_mean.iter().zip(&step.action_std).zip([a, b]);
        for (((mean, std), noise), action) in parts.zip(&step.action) {
            let draw = (mean + std * noise as f32).clamp(-1.0, 1.0);
            let action = action.clamp(-1.0, 1.0);
            assert!((draw - action).abs() < 1e-5, "{draw} is not {action}");
        }
        assert!(step.value.is_finite());
    }
}

#[test]
fn recordings_of_several_robots_hold_the_training_steps() {
    for network in [PLAIN, GRU] {
        let folder = tempfile::tempdir().unwrap();
        let flags = [&PAIR[..], &[network]].concat();
        let run_every = |every: u32| {
            let folder = folder.path().join(every.to_string());
            train_to_end(run_of(&folder, "swap", &flags, every))
        };
        let run = run_every(1);
        assert!(
            weights(&run) == weights(&run_every(0)),
            "recording changes weights"
        );
        let (mut inactive_steps, mut ended) = (0, 0);
        let mut open: Vec<f32> = Vec::new();
        for iteration in 1..=ITERATIONS {
            let path = recording(&run, iteration);
            let mut reader = RecordingReader::open(&path).unwrap();
            verify(&mut reader, &mut |_, difference| {
                assert_eq!(difference, None);
            })
            .unwrap();
            let (reader, episodes) = read(&path);
            let header = reader.header();
            assert_eq!((header.env, header.robot_count()), (0, 2));
            // The recording starts with the steps of the open episode of the previous iteration.
            let world_steps = |episode: &RecordedEpisode| {
                let steps = (0..episode.length()).map(|index| episode.step(index).to_vec());
                steps.collect::<Vec<_>>()
            };
            let has_prediction =
                |step: &Vec<RobotStep>| step.iter().any(|one| !one.action_mean.is_empty());
            let actions = |steps: &[Vec<RobotStep>]| -> Vec<f32> {
                let steps = steps.iter().flatten();
                steps.flat_map(|step| step.action.clone()).collect()
            };
            let first = world_steps(&episodes[0]);
            let earlier = first
                .iter()
                .take_while(|step| !has_prediction(step))
                .count();
            assert_eq!(actions(&first[..earlier]), open);
            let all: Vec<Vec<RobotStep>> = episodes.iter().flat_map(world_steps).collect();
            let iteration_steps = &all[earlier..];
            assert!(iteration_steps.len() == HORIZON && iteration_steps.iter().all(has_prediction));
            for robot in 0..2 {
                let steps: Vec<&RobotStep> =
                    iteration_steps.iter().map(|step| &step[robot]).collect();
                assert_actions_drawn(&steps, iteration);
                inactive_steps += steps.iter().filter(|step| step.inactive).count();
            }
            ended += episodes
                .iter()
                .filter(|episode| episode.end.is_some())
                .count();
            let last = episodes.last().filter(|last| last.end.is_none());
            open = last.map_or_else(Vec::new, |last| actions(&world_steps(last)));
        }
        assert!(
            inactive_steps > 0 && ended > 0,
            "{inactive_steps} inactive steps, {ended} ended"
        );
    }
}

fn weights(run: &RunDir) -> Vec<Vec<u8>> {
    let folder = run.checkpoint("last").unwrap().unwrap();
    ["policy.safetensors", "trainer.safetensors"]
        .map(|name| fs::read(folder.join(name)).unwrap())
        .into()
}

#[test]
fn recording_does_not_change_the_weights() {
    for network in [PLAIN, GRU] {
        let folder = tempfile::tempdir().unwrap();
        let run_every = |every: u32| train(&folder.path().join(every.to_string()), network, every);
        let (without, with, seldom) = (run_every(0), run_every(1), run_every(3));
        assert!(!without.recordings_path().exists());
        assert!(weights(&without) == weights(&with), "{network}");
        assert!(weights(&without) == weights(&seldom), "{network}");
        let files = fs::read_dir(seldom.recordings_path()).unwrap();
        assert_eq!(files.count(), 1);
        assert!(recording(&seldom, 3).exists());
    }
}

#[test]
fn resumed_run_records_the_same_files() {
    let folder = tempfile::tempdir().unwrap();
    // Both runs have the same name, because the recordings contain it.
    let run_folder = |parent: &str| folder.path().join(parent).join("run");
    let uninterrupted = train(&run_folder("whole"), GRU, 1);
    let (definition, interrupted) = run(&run_folder("broken"), GRU, 1);
    let outcome = definition
        .train(&interrupted, Fanout::new(), &|| true, None)
        .unwrap();
    assert_eq!(outcome, RunOutcome::Stopped);
    assert!(recording(&interrupted, 1).exists() && !recording(&interrupted, 2).exists());
    let definition = RunDefinition::from_run(&interrupted, &[]).unwrap();
    definition
        .train(&interrupted, Fanout::new(), &|| false, None)
        .unwrap();
    assert!(weights(&uninterrupted) == weights(&interrupted));
    for iteration in 1..=ITERATIONS {
        let [one, other] =
            [&uninterrupted, &interrupted].map(|run| fs::read(recording(run, iteration)));
        assert!(one.unwrap() == other.unwrap(), "iteration {iteration}");
    }
    // A resumed run may change `record_every`.
    let flags = overrides(&["train.total_steps=1728", "train.record_every=0"]);
    let definition = RunDefinition::from_run(&interrupted, &flags).unwrap();
    definition
        .train(&interrupted, Fanout::new(), &|| false, None)
        .unwrap();
    assert!(!recording(&interrupted, ITERATIONS + 1).exists());
}

#[test]
fn program_lists_training_recordings() {
    let folder = tempfile::tempdir().unwrap();
    let run = train(folder.path(), PLAIN, 4);
    let listing = |flags: &[&str]| {
        let output = evenkeel(&["replay"])
            .arg(recording(&run, 4))
            .args(flags)
            .output()
            .expect("the program starts");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = listing(&["--list"]);
    assert!(text.contains("of environment 0"), "{text}");
    assert!(
        text.contains("these steps were used in iteration 4"),
        "{text}"
    );
    let same = listing(&["--verify"]);
    assert!(same.contains("bit for bit"), "{same}");
    let json: serde_json::Value = serde_json::from_str(&listing(&["--json"])).unwrap();
    assert_eq!((&json["split"], &json["env"]), (&"train".into(), &0.into()));
}
