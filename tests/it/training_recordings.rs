//! Recordings of training itself: what was lived, and nothing but watched.

#![allow(
    clippy::float_cmp,
    reason = "what is compared is to be the same to the bit"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use evenkeel::learn::{Checkpoint, Experiment, RunOutcome};
use evenkeel::recording::messages::RobotStep;
use evenkeel::recording::{RecordedEpisode, RecordingEnd, RecordingReader, verify};
use evenkeel::runs::RunDir;
use evenkeel::seed::{Purpose, Split, normal_pair, stream};
use evenkeel::telemetry::{Event, Fanout};

use crate::learning::{overrides, run_in};

const SEED: u64 = 4;
const HORIZON: usize = 48;
const ITERATIONS: u64 = 4;

const PLAIN: &str = "policy.actor.hidden=[8]";
const GRU: &str = "policy.memory={gru={size=6}}";

/// Two robots that change places in a small room; to be said of `swap`.
const PAIR: [&str; 3] = [
    "robot.count=2",
    "robot.arrangement.circle_swap.radius_m=1.2",
    "arena.size_m=[4, 4]",
];

/// A small run in a folder, recorded every so many iterations.
fn run(folder: &Path, network: &str, every: u32) -> (Experiment, RunDir) {
    run_of(folder, "movers", &[network], every)
}

fn run_of(folder: &Path, scenario: &str, flags: &[&str], every: u32) -> (Experiment, RunDir) {
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

fn trained(folder: &Path, network: &str, every: u32) -> RunDir {
    finished(run(folder, network, every))
}

fn finished((experiment, run): (Experiment, RunDir)) -> RunDir {
    let ended = experiment
        .train(&run, Fanout::new(), &|| false, None)
        .unwrap();
    assert_eq!(ended, RunOutcome::Finished);
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

/// The steps of the iteration itself, which are those that its policy thought something of.
fn own(episodes: &[RecordedEpisode]) -> Vec<&RobotStep> {
    let steps = episodes.iter().flat_map(|episode| &episode.steps);
    steps.filter(|step| !step.action_mean.is_empty()).collect()
}

#[test]
fn what_is_recorded_was_lived() {
    for network in [PLAIN, GRU] {
        let folder = tempfile::tempdir().unwrap();
        let run = trained(folder.path(), network, 1);
        let events = run.events().unwrap();
        let mut lived: Vec<RobotStep> = Vec::new();
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

            let about = reader.header();
            assert_eq!((about.split.as_str(), about.env), ("train", 0));
            let policy = about.policy.as_ref().unwrap();
            assert!(policy.stochastic && policy.checkpoint.is_empty());
            assert_eq!(policy.global_step, (iteration - 1) * 6 * HORIZON as u64);

            let moment = reader.training().expect("the iteration's gradients");
            assert_eq!(moment.iteration, iteration);
            let norms = events.iter().filter_map(|event| match event {
                Event::Step(step) if step.global_step == moment.global_step => step.grad_norm,
                _ => None,
            });
            let norms: Vec<f64> = norms.collect();
            let told = moment.updates.iter().map(|step| step.grad_norm);
            assert_eq!(told.collect::<Vec<f64>>(), norms);
            assert_eq!(norms.len(), 2);

            // It goes on where the iteration before left off.
            let first = &episodes[0];
            let earlier = first.steps.iter().take_while(|s| s.action_mean.is_empty());
            let before = open.as_ref().map_or(&[][..], |open| &open.steps);
            assert_eq!(earlier.clone().count(), before.len());
            for (again, once) in earlier.zip(before) {
                assert_eq!((&again.action, again.reward), (&once.action, once.reward));
            }
            let own = own(&episodes);
            assert_eq!(own.len(), HORIZON);
            drawn_as_told(&own, iteration);
            lived.extend(own.into_iter().cloned());
            let numbers = episodes.iter().map(|episode| episode.begin.episode);
            assert!((first.begin.episode..).zip(numbers).all(|(a, b)| a == b));
            open = episodes
                .into_iter()
                .last()
                .filter(|last| last.end.is_none());
        }
        // And where the checkpoint says that it stands.
        let folder = run.checkpoint("last").unwrap().unwrap();
        let state = &Checkpoint::load(&folder).unwrap().environments[0];
        let open = open.map_or_else(Vec::new, |open| open.steps);
        let actions: Vec<f32> = open.iter().flat_map(|step| step.action.clone()).collect();
        assert_eq!(state.actions, actions);
        assert!(lived.iter().any(|step| !step.outcome.is_empty()), "no end");
    }
}

/// Each action is what the run's stream draws around the mean that was recorded.
fn drawn_as_told(steps: &[&RobotStep], iteration: u64) {
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
fn what_is_recorded_of_several_robots_was_lived_by_each() {
    for network in [PLAIN, GRU] {
        let folder = tempfile::tempdir().unwrap();
        let flags = [&PAIR[..], &[network]].concat();
        let of = |every: u32| {
            let folder = folder.path().join(every.to_string());
            finished(run_of(&folder, "swap", &flags, every))
        };
        let run = of(1);
        assert!(weights(&run) == weights(&of(0)), "it changes no bit");
        let (mut waited, mut ended) = (0, 0);
        let mut open: Vec<f32> = Vec::new();
        for iteration in 1..=ITERATIONS {
            let path = recording(&run, iteration);
            let mut reader = RecordingReader::open(&path).unwrap();
            verify(&mut reader, &mut |_, difference| {
                assert_eq!(difference, None);
            })
            .unwrap();
            let (reader, episodes) = read(&path);
            let about = reader.header();
            assert_eq!((about.env, about.robot_count()), (0, 2));
            // It goes on where the iteration before left off.
            let worlds = |episode: &RecordedEpisode| {
                let steps = (0..episode.length()).map(|index| episode.step(index).to_vec());
                steps.collect::<Vec<_>>()
            };
            let thinks = |step: &Vec<RobotStep>| step.iter().any(|one| !one.action_mean.is_empty());
            let actions = |steps: &[Vec<RobotStep>]| -> Vec<f32> {
                let steps = steps.iter().flatten();
                steps.flat_map(|step| step.action.clone()).collect()
            };
            let first = worlds(&episodes[0]);
            let earlier = first.iter().take_while(|step| !thinks(step)).count();
            assert_eq!(actions(&first[..earlier]), open);
            let all: Vec<Vec<RobotStep>> = episodes.iter().flat_map(worlds).collect();
            let own = &all[earlier..];
            assert!(own.len() == HORIZON && own.iter().all(thinks));
            for robot in 0..2 {
                let steps: Vec<&RobotStep> = own.iter().map(|step| &step[robot]).collect();
                drawn_as_told(&steps, iteration);
                waited += steps.iter().filter(|step| step.inactive).count();
            }
            ended += episodes
                .iter()
                .filter(|episode| episode.end.is_some())
                .count();
            let last = episodes.last().filter(|last| last.end.is_none());
            open = last.map_or_else(Vec::new, |last| actions(&worlds(last)));
        }
        assert!(waited > 0 && ended > 0, "{waited} waited, {ended} ended");
    }
}

fn weights(run: &RunDir) -> Vec<Vec<u8>> {
    let folder = run.checkpoint("last").unwrap().unwrap();
    ["policy.safetensors", "trainer.safetensors"]
        .map(|name| fs::read(folder.join(name)).unwrap())
        .into()
}

#[test]
fn recording_changes_no_bit_of_what_is_learnt() {
    for network in [PLAIN, GRU] {
        let folder = tempfile::tempdir().unwrap();
        let of = |every: u32| trained(&folder.path().join(every.to_string()), network, every);
        let (without, with, seldom) = (of(0), of(1), of(3));
        assert!(!without.recordings_path().exists());
        assert!(weights(&without) == weights(&with), "{network}");
        assert!(weights(&without) == weights(&seldom), "{network}");
        let files = fs::read_dir(seldom.recordings_path()).unwrap();
        assert_eq!(files.count(), 1);
        assert!(recording(&seldom, 3).exists());
    }
}

#[test]
fn a_run_that_goes_on_records_the_same() {
    let folder = tempfile::tempdir().unwrap();
    // Of one name, which is in the file.
    let named = |parent: &str| folder.path().join(parent).join("run");
    let whole = trained(&named("whole"), GRU, 1);
    let (experiment, broken) = run(&named("broken"), GRU, 1);
    let ended = experiment
        .train(&broken, Fanout::new(), &|| true, None)
        .unwrap();
    assert_eq!(ended, RunOutcome::Stopped);
    assert!(recording(&broken, 1).exists() && !recording(&broken, 2).exists());
    let experiment = Experiment::from_run(&broken, &[]).unwrap();
    experiment
        .train(&broken, Fanout::new(), &|| false, None)
        .unwrap();
    assert!(weights(&whole) == weights(&broken));
    for iteration in 1..=ITERATIONS {
        let [one, other] = [&whole, &broken].map(|run| fs::read(recording(run, iteration)));
        assert!(one.unwrap() == other.unwrap(), "iteration {iteration}");
    }
    // It may be recorded otherwise from here on.
    let flags = overrides(&["train.total_steps=1728", "train.record_every=0"]);
    let experiment = Experiment::from_run(&broken, &flags).unwrap();
    experiment
        .train(&broken, Fanout::new(), &|| false, None)
        .unwrap();
    assert!(!recording(&broken, ITERATIONS + 1).exists());
}

#[test]
fn the_program_says_that_they_are_of_training() {
    let folder = tempfile::tempdir().unwrap();
    let run = trained(folder.path(), PLAIN, 4);
    let listing = |flags: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_evenkeel"))
            .arg("replay")
            .arg(recording(&run, 4))
            .args(flags)
            .output()
            .expect("the program starts");
        assert!(output.status.success());
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let text = listing(&["--list"]);
    assert!(text.contains("of environment 0"), "{text}");
    assert!(text.contains("learnt from in iteration 4"), "{text}");
    let same = listing(&["--verify"]);
    assert!(same.contains("bit for bit"), "{same}");
    let json: serde_json::Value = serde_json::from_str(&listing(&["--json"])).unwrap();
    assert_eq!((&json["split"], &json["env"]), (&"train".into(), &0.into()));
}
