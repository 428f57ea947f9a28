//! Curricula: the chosen levels are played, and runs with a curriculum are reproducible.

use std::fs;
use std::path::Path;

use evenkeel::env::VecEnv;
use evenkeel::learn::{Incident, RunDefinition, RunOutcome, Trainer};
use evenkeel::recording::{RecordingReader, verify};
use evenkeel::runs::RunDir;
use evenkeel::seed::Split;
use evenkeel::telemetry::{Event, Fanout, UpdateReport};

use crate::helpers::overrides;
use crate::learning::run_in;

const SEED: u64 = 4;
const ITERATIONS: u64 = 6;

/// Promotes at a success rate of 0.1 %, so that promotions come early.
const DIFFICULTY: &str =
    "train.curriculum={difficulty={levels=12,stages=3,promote_at=0.001,window=6}}";
const LEARNABILITY: &str =
    "train.curriculum={learnability={candidates=8,keep=3,rollouts=2,refresh_every=2,share=0.75}}";

/// One robot close to its goal.
const SINGLE: (&str, &[&str]) = (
    "open_field",
    &[
        "arena.size_m=[5.0, 5.0]",
        "task.min_start_goal_distance_m=3.9",
        "task.goal_radius_m=3.8",
    ],
);

/// Two robots in one world, each close to its goal.
const PAIR: (&str, &[&str]) = (
    "swap",
    &[
        "robot.count=2",
        "robot.arrangement.circle_swap.radius_m={uniform=[1.2, 1.4]}",
        "arena.size_m=[4.0, 4.0]",
        "task.goal_radius_m=1.7",
    ],
);

/// Creates a small run that records every iteration and whose detectors fire often.
fn run(folder: &Path, setup: (&str, &[&str]), curriculum: &str) -> (RunDefinition, RunDir) {
    let (scenario, flags) = setup;
    let settings = [
        curriculum,
        "policy.actor.hidden=[8]",
        "train.record_every=1",
        "train.num_envs=8",
        "train.horizon=48",
        "train.minibatches=2",
        "train.epochs=2",
        "train.total_steps=2304",
        "train.eval_every=0",
        "train.checkpoint_every=1",
        "train.threads=2",
        "task.time_limit_secs=3.0",
        "stability.health.warm_up_steps=4",
        "stability.health.rearm_steps=1",
        "stability.health.gradient_spike.z=0.5",
        "stability.health.gradient_spike.factor=1.2",
    ];
    run_in(
        folder,
        scenario,
        &overrides(&[flags, &settings].concat()),
        SEED,
    )
}

fn trained(folder: &Path, setup: (&str, &[&str]), curriculum: &str) -> (RunDefinition, RunDir) {
    let (definition, run) = run(folder, setup, curriculum);
    let outcome = definition
        .train(&run, Fanout::new(), &|| false, None)
        .unwrap();
    assert_eq!(outcome, RunOutcome::Finished);
    (definition, run)
}

/// Verifies the recording of each iteration and returns the levels that environment 0 played in it.
fn levels(run: &RunDir) -> Vec<Vec<u64>> {
    let of_iteration = |iteration: u64| {
        let file = format!("iteration_{iteration:06}.mcap");
        let mut reader = RecordingReader::open(&run.recordings_path().join(file)).unwrap();
        let mut levels = Vec::new();
        verify(&mut reader, &mut |episode, difference| {
            assert_eq!(difference, None);
            levels.push(episode.begin.episode);
        })
        .unwrap();
        levels
    };
    (1..=ITERATIONS).map(of_iteration).collect()
}

fn weights(run: &RunDir) -> Vec<Vec<u8>> {
    let folder = run.checkpoint("last").unwrap().unwrap();
    ["policy.safetensors", "trainer.safetensors"]
        .map(|name| fs::read(folder.join(name)).unwrap())
        .into()
}

#[test]
fn difficulty_opens_harder_levels_in_stages() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run) = trained(folder.path(), SINGLE, DIFFICULTY);
    let stages: Vec<u32> = run
        .events()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::Iteration(iteration) => iteration.curriculum?.stage,
            _ => None,
        })
        .collect();
    assert_eq!(stages.len() as u64, ITERATIONS);
    assert!(stages.is_sorted(), "{stages:?}");
    assert_eq!(stages.last(), Some(&3), "{stages:?}");
    let played = levels(&run);
    assert!(played[0].iter().all(|level| *level < 12), "{played:?}");
    let last = played.last().unwrap();
    assert!(
        last.iter().any(|level| *level >= 12),
        "the last stage has new levels: {last:?}"
    );
}

#[test]
fn learnable_levels_are_played_again() {
    let folder = tempfile::tempdir().unwrap();
    let (_, run) = trained(folder.path(), SINGLE, LEARNABILITY);
    let scoring_steps: Vec<u64> = run
        .events()
        .unwrap()
        .iter()
        .filter_map(|event| match event {
            Event::Iteration(iteration) => iteration.curriculum?.level_scoring_steps,
            _ => None,
        })
        .collect();
    let steps = scoring_steps.windows(2).map(|pair| pair[1] > pair[0]);
    assert_eq!(steps.collect::<Vec<_>>(), [false, true, false, true, false]);
    // Levels 0 to 7 are the first candidates, levels 8 to 15 the next, and so on.
    let count_played = |iterations: std::ops::Range<usize>, candidates: std::ops::Range<u64>| {
        let mut played = levels(&run)[iterations].concat();
        played.retain(|level| candidates.contains(level));
        played.len()
    };
    assert!(count_played(0..2, 0..8) > 0);
    // One earlier episode may still be running.
    assert!(count_played(2..4, 0..8) <= 1);
    assert!(count_played(2..4, 8..16) > 0);
}

#[test]
fn resumed_run_has_the_same_curriculum() {
    for (setup, curriculum) in [
        (SINGLE, DIFFICULTY),
        (SINGLE, LEARNABILITY),
        (PAIR, DIFFICULTY),
        (PAIR, LEARNABILITY),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let run_folder = |parent: &str| folder.path().join(parent).join("run");
        let (_, uninterrupted) = trained(&run_folder("whole"), setup, curriculum);
        let (definition, interrupted) = run(&run_folder("broken"), setup, curriculum);
        let outcome = definition
            .train(&interrupted, Fanout::new(), &|| true, None)
            .unwrap();
        assert_eq!(outcome, RunOutcome::Stopped);
        let definition = RunDefinition::from_run(&interrupted, &[]).unwrap();
        definition
            .train(&interrupted, Fanout::new(), &|| false, None)
            .unwrap();
        assert!(
            weights(&uninterrupted) == weights(&interrupted),
            "{setup:?} {curriculum}"
        );
        let played = levels(&uninterrupted);
        assert_eq!(played, levels(&interrupted));
        // The curriculum repeats chosen levels.
        let mut all = played.concat();
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert!(all.len() < count, "no level was repeated: {played:?}");
    }
}

#[test]
fn fork_from_an_incident_has_the_same_curriculum() {
    for curriculum in [DIFFICULTY, LEARNABILITY] {
        let folder = tempfile::tempdir().unwrap();
        let (definition, run) = trained(folder.path(), SINGLE, curriculum);
        let logged: Vec<UpdateReport> = run
            .events()
            .unwrap()
            .into_iter()
            .filter_map(|event| match event {
                Event::Step(step) => Some(step),
                _ => None,
            })
            .collect();
        let mut folders: Vec<_> = fs::read_dir(run.incidents_path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        folders.sort();
        let incident = Incident::load(&folders[0]).unwrap();
        let env = VecEnv::new(&definition.scenario, SEED, Split::Train, 8, 1).unwrap();
        let mut fork = Trainer::fork(&incident, incident.last(), &definition.config, env).unwrap();
        let mut forked = crate::learning::EventLog::default();
        for _ in 0..fork.iterations_left().min(4) {
            fork.iterate(&mut forked).unwrap();
        }
        let first = incident.last().input.optimiser_step as usize;
        let steps: Vec<UpdateReport> = forked.steps().into_iter().cloned().collect();
        assert!(steps.len() > 4, "{} steps", steps.len());
        assert_eq!(steps, logged[first..first + steps.len()], "{curriculum}");
    }
}
