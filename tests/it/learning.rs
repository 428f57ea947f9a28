//! The learner as a whole: it learns, it is the same twice, it resumes, it diverges in the open,
//! and broken checkpoints say what is wrong with them.

use std::path::Path;
use std::sync::Arc;

use evenkeel::env::{Actor, EpisodeStats, StepBuffers, VectorEnv};
use evenkeel::learn::{
    Checkpoint, Ended, Experiment, LearnError, PolicyActor, RunConfig, Session, TinyEnv, Trainer,
};
use evenkeel::optim::{ClipStage, GlobalNorm};
use evenkeel::runs::{RunDir, RunInfo};
use evenkeel::scenario::{self, Document, Override};
use evenkeel::seed::Split;
use evenkeel::telemetry::{Event, Fanout, Sink, StepReport, WallReport};

/// Keeps every event, wall-clock figures taken out.
#[derive(Default)]
pub(crate) struct Kept(pub(crate) Vec<Event>);

impl Sink for Kept {
    fn record(&mut self, event: &Event) -> std::io::Result<()> {
        let mut event = event.clone();
        if let Event::Iteration(iteration) = &mut event {
            iteration.wall = WallReport::default();
        }
        self.0.push(event);
        Ok(())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Kept {
    pub(crate) fn steps(&self) -> Vec<&StepReport> {
        let steps = self.0.iter().filter_map(|event| match event {
            Event::Step(step) => Some(step),
            _ => None,
        });
        steps.collect()
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

/// The tiny environment, seen as the policy asks for.
pub(crate) fn tiny(config: &RunConfig, seed: u64, count: usize) -> TinyEnv {
    match config.policy.lidar_conv {
        Some(_) => TinyEnv::with_lidar(seed, count, 16),
        None => TinyEnv::new(seed, count),
    }
}

pub(crate) fn trainer(config: &RunConfig, seed: u64) -> Trainer<TinyEnv> {
    let env = tiny(config, seed, config.train.num_envs as usize);
    Trainer::new(config, seed, env).unwrap()
}

/// Trains to the end.
pub(crate) fn run(
    trainer: &mut Trainer<TinyEnv>,
    sink: &mut dyn Sink,
    folder: Option<&Path>,
) -> Ended {
    run_for(trainer, sink, folder, u64::MAX)
}

/// Trains to the end, or for some iterations.
pub(crate) fn run_for(
    trainer: &mut Trainer<TinyEnv>,
    sink: &mut dyn Sink,
    folder: Option<&Path>,
    iterations: u64,
) -> Ended {
    let done = std::cell::Cell::new(0);
    let stop = || {
        done.set(done.get() + 1);
        done.get() == iterations
    };
    let mut session = Session {
        sink,
        evaluate: None,
        checkpoints: folder,
        incidents: None,
        record: None,
        stop: &stop,
    };
    trainer.run(&mut session).unwrap()
}

/// Lets an actor drive until every environment has ended some episodes.
pub(crate) fn drive(actor: &mut dyn Actor, seed: u64) -> EpisodeStats {
    drive_in(TinyEnv::new(seed, 50), actor)
}

/// As [`drive`], in these fifty environments.
pub(crate) fn drive_in(mut env: TinyEnv, actor: &mut dyn Actor) -> EpisodeStats {
    let mut buffers = StepBuffers::new(50, env.obs_layout().dim());
    env.reset(&mut buffers);
    let envs: Vec<usize> = (0..50).collect();
    for &env in &envs {
        actor.begin_episode(env, 0);
    }
    let mut actions = vec![0.0; 50];
    for _ in 0..100 {
        actor.act(&envs, &buffers.obs, &mut actions);
        env.step(&actions, &mut buffers);
    }
    env.take_stats()
}

#[test]
fn ppo_learns_a_tiny_environment() {
    let mut trainer = trainer(&config(25), 1);
    let before = drive(&mut trainer.actor(), 77);
    assert_eq!(
        run(&mut trainer, &mut Kept::default(), None),
        Ended::Finished
    );
    let after = drive(&mut trainer.actor(), 77);
    assert!(
        before.success_rate().unwrap_or(0.0) < 0.5,
        "it was easy from the start: {before:?}"
    );
    assert!(
        after.success_rate().unwrap() > 0.99,
        "it has not learnt: {after:?}"
    );
    assert!(after.mean_length().unwrap() < 12.0, "it dawdles: {after:?}");
}

#[test]
fn the_same_seed_twice_is_the_same_run_whatever_the_threads() {
    let mut runs = [1, 1, 3].map(|threads| {
        // Batches large enough to be computed in several parts.
        let mut config = config(3);
        config.train.num_envs = 512;
        config.train.minibatches = 2;
        config.train.total_steps = 3 * config.steps_per_iteration();
        config.train.threads = threads;
        let mut kept = Kept::default();
        let mut trainer = trainer(&config, 5);
        run(&mut trainer, &mut kept, None);
        (kept.0, trainer.parameters())
    });
    let [first, again, threaded] = &mut runs;
    assert!(first == again, "two runs with one seed differ");
    assert!(first == threaded, "one thread and three differ");
    assert_eq!(first.0.len(), 3 * (4 * 2 + 1));
}

#[test]
fn another_seed_is_another_run() {
    let weights = [5, 6].map(|seed| trainer(&config(1), seed).parameters());
    assert_ne!(weights[0], weights[1]);
}

#[test]
fn the_first_minibatch_has_ratio_one() {
    let mut kept = Kept::default();
    let mut trainer = trainer(&config(2), 3);
    run(&mut trainer, &mut kept, None);
    for first in kept.steps().into_iter().step_by(4 * 4) {
        assert!((first.ratio_max.unwrap() - 1.0).abs() < 1e-6, "{first:?}");
        assert!(first.approx_kl.unwrap().abs() < 1e-9);
        assert_eq!(first.ratio_clip_share, Some(0.0));
    }
    let moved = kept.steps()[15].ratio_max.unwrap();
    assert!(moved > 1.001, "the policy does not move: {moved}");
}

#[test]
fn a_resumed_run_equals_one_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut whole = config(6);
    whole.train.checkpoint_every = 1;
    let mut alone = Kept::default();
    let mut left_alone = trainer(&whole, 9);
    run(&mut left_alone, &mut alone, None);

    let mut first = Kept::default();
    let mut interrupted = trainer(&whole, 9);
    let ended = run_for(&mut interrupted, &mut first, Some(folder.path()), 3);
    assert_eq!(ended, Ended::Stopped);

    let checkpoint = Checkpoint::load(&folder.path().join("last")).unwrap();
    assert!(
        checkpoint
            .environments
            .iter()
            .any(|env| env.episode > 0 && !env.actions.is_empty())
    );
    let mut second = Kept::default();
    // Restored into environments that were somewhere else.
    let mut env = TinyEnv::new(9, 64);
    let mut buffers = StepBuffers::new(64, 2);
    env.reset(&mut buffers);
    env.step(&[0.3; 64], &mut buffers);
    let mut resumed = Trainer::resume(&whole, &checkpoint, env).unwrap();
    assert_eq!(resumed.global_step(), 3 * whole.steps_per_iteration());
    run(&mut resumed, &mut second, None);

    assert_eq!(resumed.parameters(), left_alone.parameters());
    let without_saves = first
        .0
        .iter()
        .filter(|event| !matches!(event, Event::Checkpoint(_)));
    let joined: Vec<&Event> = without_saves.chain(&second.0).collect();
    assert!(joined.into_iter().eq(&alone.0), "the logs differ");
    let (a, b) = (resumed.checkpoint(), left_alone.checkpoint());
    assert_eq!(a.moments, b.moments);
    assert_eq!((a.returns, a.environments), (b.returns, b.environments));
}

#[test]
fn twins_are_identical_until_the_clip_acts() {
    let clipped = |clip: Vec<ClipStage>| {
        let mut config = config(6);
        config.stability.clip = clip;
        let mut kept = Kept::default();
        let mut trainer = trainer(&config, 11);
        let mut weights = Vec::new();
        for _ in 0..6 {
            trainer.iterate(&mut kept).unwrap();
            weights.push(trainer.parameters());
        }
        let steps: Vec<StepReport> = kept.steps().into_iter().cloned().collect();
        (steps, weights)
    };
    let (unclipped, unclipped_weights) = clipped(Vec::new());
    // A threshold that the norm first exceeds at step 20 or later: just under the first record
    // set from there on.
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
        .expect("some later norm exceeds all before it");
    let max = norms[acts] * 0.9995;
    let (clipped, clipped_weights) = clipped(vec![ClipStage::GlobalNorm(GlobalNorm { max })]);

    let acted = clipped.iter().position(|step| step.clip[0].acted);
    assert_eq!(acted, Some(acts));
    let bare = |step: &StepReport| StepReport {
        clip: Vec::new(),
        ..step.clone()
    };
    for step in 0..acts {
        assert_eq!(
            bare(&clipped[step]),
            unclipped[step],
            "before the clip acts, at {step}"
        );
    }
    assert_eq!(clipped[acts].grad_norm, unclipped[acts].grad_norm);
    assert_ne!(bare(&clipped[acts + 1]), unclipped[acts + 1]);
    let iteration = acts / 16;
    assert_eq!(clipped_weights[..iteration], unclipped_weights[..iteration]);
    assert_ne!(clipped_weights[iteration], unclipped_weights[iteration]);
}

#[test]
fn divergence_ends_the_run_with_finite_weights() {
    let mut wild = config(40);
    wild.stability.clip = Vec::new();
    wild.train.learning_rate = 1e4;
    let mut kept = Kept::default();
    let mut trainer = trainer(&wild, 2);
    let Ended::Diverged(diverged) = run(&mut trainer, &mut kept, None) else {
        panic!("it survived a learning rate of 10,000")
    };
    assert_eq!(kept.0.last(), Some(&Event::Diverged(diverged.clone())));
    let last = kept.steps().into_iter().next_back().unwrap();
    assert_eq!(last.optimiser_step, diverged.optimiser_step);
    assert!(trainer.parameters().iter().all(|weight| weight.is_finite()));
}

#[test]
fn best_is_the_checkpoint_of_the_best_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(4);
    config.train.eval_every = 1;
    let mut scores = [0.25, 0.75, 0.5, 0.75].into_iter();
    let mut evaluate = |actor: &mut dyn Actor| {
        drive(actor, 1);
        let mut summary = evenkeel::eval::EvalSummary::default();
        summary.success.value = scores.next().unwrap();
        Ok(summary)
    };
    let mut kept = Kept::default();
    let ended = trainer(&config, 4).run(&mut Session {
        sink: &mut kept,
        evaluate: Some(&mut evaluate),
        checkpoints: Some(folder.path()),
        incidents: None,
        record: None,
        stop: &|| false,
    });
    assert_eq!(ended.unwrap(), Ended::Finished);
    let bests: Vec<bool> = kept
        .0
        .iter()
        .filter_map(|event| match event {
            Event::Evaluation(evaluation) => Some(evaluation.best),
            _ => None,
        })
        .collect();
    assert_eq!(bests, [true, true, false, false]);
    let best = Checkpoint::load(&folder.path().join("best")).unwrap();
    assert_eq!(best.policy.state.iteration, 2);
    let last = Checkpoint::load(&folder.path().join("last")).unwrap();
    assert_eq!(last.policy.state.iteration, 4);
}

/// A checkpoint of a run of one iteration.
fn saved(folder: &Path) -> Trainer<TinyEnv> {
    let mut trainer = trainer(&config(1), 8);
    run(&mut trainer, &mut Kept::default(), Some(folder));
    trainer
}

#[test]
fn a_loaded_policy_acts_as_the_trained_one_whoever_else_asks() {
    let folder = tempfile::tempdir().unwrap();
    let trainer = saved(folder.path());
    let mut loaded = PolicyActor::load(&folder.path().join("last")).unwrap();
    let observations: Vec<f32> = (0..300).map(|i| (i as f32 * 0.7).sin()).collect();
    let envs: Vec<usize> = (0..150).collect();
    let mut all = vec![0.0; 150];
    trainer.actor().act(&envs, &observations, &mut all);
    for env in [0, 1, 63, 64, 100, 149] {
        let mut alone = [0.0];
        loaded.act(&[env], &observations[env * 2..env * 2 + 2], &mut alone);
        assert_eq!(alone[0].to_bits(), all[env].to_bits(), "environment {env}");
    }

    let noisy = |rollout: u64| {
        let mut actor = PolicyActor::load(&folder.path().join("last")).unwrap();
        assert!(!actor.draws());
        actor = actor.stochastic(3, Split::Eval);
        assert!(actor.draws());
        actor.begin_rollout(rollout);
        actor.begin_episode(7, 2);
        let mut action = [0.0];
        actor.act(&[7], &[0.5, 1.0], &mut action);
        action[0]
    };
    let (first, again) = (noisy(0), noisy(0));
    assert_eq!(first.to_bits(), again.to_bits());
    assert_ne!(first.to_bits(), noisy(1).to_bits(), "another rollout");
    let mut mean = [0.0];
    loaded.act(&[7], &[0.5, 1.0], &mut mean);
    assert_ne!(first.to_bits(), mean[0].to_bits());
}

#[test]
fn broken_checkpoints_say_what_is_wrong() {
    let message = |breakage: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        saved(folder.path());
        let last = folder.path().join("last");
        breakage(&last);
        let error = Checkpoint::load(&last).expect_err("a broken checkpoint was read");
        error
            .to_string()
            .replace(last.to_str().unwrap(), "CHECKPOINT")
    };
    let edit = |folder: &Path, from: &str, to: &str| {
        let path = folder.join("state.json");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
    };
    let cut = |folder: &Path, name: &str| {
        let path = folder.join(name);
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    };
    let messages = [
        message(&|folder| std::fs::remove_file(folder.join("policy.safetensors")).unwrap()),
        message(&|folder| std::fs::remove_file(folder.join("trainer.safetensors")).unwrap()),
        message(&|folder| std::fs::remove_dir_all(folder).unwrap()),
        message(&|folder| cut(folder, "policy.safetensors")),
        message(&|folder| cut(folder, "trainer.safetensors")),
        message(&|folder| {
            // Before what a clock said, whose digits would move the place of the mistake.
            std::fs::write(folder.join("state.json"), "{\n  \"format\": 3,\n  \"se").unwrap();
        }),
        message(&|folder| edit(folder, "\"format\": 3", "\"format\": 99")),
        message(&|folder| edit(folder, "16,\n", "17,\n")),
        message(&|folder| edit(folder, "\"gamma\": 0.99", "\"gamma\": 99.0")),
        message(&|folder| edit(folder, "\"num_envs\"", "\"num_robots\"")),
        message(&|folder| {
            let name = folder.join("trainer.safetensors");
            std::fs::copy(folder.join("policy.safetensors"), name).unwrap();
        }),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

#[test]
fn counts_that_overflow_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    let last = folder.path().join("last");
    let path = last.join("trainer.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    // Eight bytes of length, a header in JSON, tensors.
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let offset = &header["environment.action_count"]["data_offsets"][0];
    let first = 8 + length + offset.as_u64().unwrap() as usize;
    // Two counts of half of what 64 bits hold: together they come to nothing.
    bytes[first + 7] |= 0x80;
    bytes[first + 15] |= 0x80;
    std::fs::write(&path, bytes).unwrap();
    let error = Checkpoint::load(&last).unwrap_err().to_string();
    assert!(
        error.contains("`environment.action_count` are too large"),
        "{error}"
    );
}

#[test]
fn the_clock_of_a_run_counts_evaluations_and_earlier_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(4);
    config.train.eval_every = 1;
    let pause = std::time::Duration::from_millis(30);
    let mut evaluate = |_: &mut dyn Actor| {
        std::thread::sleep(pause);
        Ok(evenkeel::eval::EvalSummary::default())
    };
    let mut kept = Kept::default();
    let mut trainer = trainer(&config, 4);
    let ended = trainer.run(&mut Session {
        sink: &mut kept,
        evaluate: Some(&mut evaluate),
        checkpoints: Some(folder.path()),
        incidents: None,
        record: None,
        stop: &|| false,
    });
    assert_eq!(ended.unwrap(), Ended::Finished);
    let times = kept.0.iter().filter_map(|event| match event {
        Event::Evaluation(evaluation) => Some(evaluation.elapsed_secs),
        _ => None,
    });
    for (evaluation, elapsed) in times.enumerate() {
        let least = (evaluation + 1) as f64 * pause.as_secs_f64();
        assert!(elapsed >= least, "{elapsed} s after {least} s of pauses");
    }
    let checkpoint = Checkpoint::load(&folder.path().join("last")).unwrap();
    let so_far = checkpoint.policy.state.elapsed_secs;
    assert!(so_far >= 4.0 * pause.as_secs_f64() && so_far <= trainer.elapsed_secs());
    let resumed = Trainer::resume(&config, &checkpoint, TinyEnv::new(4, 64)).unwrap();
    assert!(resumed.elapsed_secs() >= so_far);
}

#[test]
fn a_checkpoint_of_another_task_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    saved(folder.path());
    let mut checkpoint = Checkpoint::load(&folder.path().join("last")).unwrap();
    let state = &mut checkpoint.policy.state;
    state.obs_blocks = vec![("lidar".into(), 0, 64), ("goal".into(), 64, 3)];
    let error = Trainer::resume(&config(1), &checkpoint, TinyEnv::new(8, 64))
        .err()
        .unwrap();
    insta::assert_snapshot!(error, @"the policy was trained on observations lidar[64] goal[3], but these are position[1] side[1]; use the scenario that it was trained on, or one with the same sensors");

    let checkpoint = Checkpoint::load(&folder.path().join("last")).unwrap();
    let other = Trainer::resume(&config(1), &checkpoint, TinyEnv::new(8, 63))
        .err()
        .unwrap();
    assert!(matches!(
        other,
        LearnError::EnvCount {
            expected: 64,
            found: 63
        }
    ));
}

/// A run of three iterations in a room, and its directory.
fn small_run(folder: &Path) -> (Experiment, RunDir) {
    let overrides = overrides(&[
        "train.num_envs=8",
        "train.horizon=16",
        "train.minibatches=1",
        "train.total_steps=384",
        "train.eval_every=0",
        "train.threads=1",
        "policy.actor.hidden=[8]",
        "policy.critic.hidden=[8]",
    ]);
    run_in(folder, "open_field", &overrides, 1)
}

/// A run in a folder, before its first step, with no arm.
pub(crate) fn run_in(
    folder: &Path,
    name: &str,
    overrides: &[Override],
    seed: u64,
) -> (Experiment, RunDir) {
    let scenario = Arc::new(scenario::resolve(name, overrides).unwrap());
    let no_arm = Document::parse("no arm", "").unwrap();
    let experiment = Experiment::new(scenario, &no_arm, overrides, seed).unwrap();
    let steps = experiment.config.train.total_steps;
    let info = RunInfo::begin(name, "clipped", seed, steps, None);
    let run = RunDir::create_at(folder, &experiment.config_toml().unwrap(), &info).unwrap();
    (experiment, run)
}

pub(crate) fn overrides(flags: &[&str]) -> Vec<Override> {
    let flags = flags.iter().map(|flag| Override::parse(flag).unwrap());
    flags.collect()
}

/// Goes on with a run, for one iteration or to its end.
fn go_on(run: &RunDir, flags: &[&str], to_the_end: bool) -> Result<Ended, String> {
    let experiment = Experiment::of_run(run, &overrides(flags)).map_err(|e| e.to_string())?;
    let ended = experiment.train(run, Fanout::new(), &|| !to_the_end, None);
    ended.map_err(|e| e.to_string())
}

#[test]
fn a_resumed_run_keeps_the_settings_that_shape_it() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, run) = small_run(folder.path());
    let ended = experiment
        .train(&run, Fanout::new(), &|| true, None)
        .unwrap();
    assert_eq!(ended, Ended::Stopped);
    let before = std::fs::read(run.config_path()).unwrap();
    for (flag, key) in [
        ("policy.actor.hidden=[32,32]", "policy.actor.hidden"),
        ("policy.activation=relu", "policy.activation"),
        ("train.horizon=32", "train.horizon"),
        ("train.num_envs=4", "train.num_envs"),
        ("train.gamma=0.9", "train.gamma"),
        ("train.target_kl=0.1", "train.target_kl"),
        ("stability.clip=[]", "stability.clip"),
        (
            "stability.normalise.return=off",
            "stability.normalise.return",
        ),
        ("robot.lidar.beams=32", "robot.0.lidar.beams"),
        ("reward.progress=2.0", "reward.progress"),
    ] {
        let message = go_on(&run, &[flag], true).expect_err(flag);
        let named = format!("this run began with another `{key}`;");
        assert!(message.starts_with(&named), "{flag}: {message}");
    }
    assert_eq!(std::fs::read(run.config_path()).unwrap(), before);
    assert_eq!(run.info().unwrap().global_step, 128);

    let config = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = experiment.config.clone();
        change(&mut config);
        config
    };
    let checkpoint = Checkpoint::load(&run.checkpoint("last").unwrap().unwrap()).unwrap();
    let env = || {
        let scenario = &experiment.scenario;
        evenkeel::env::VecEnv::new(scenario, 1, Split::Train, 8, 1).unwrap()
    };
    let wider = config(&|config| config.policy.actor.hidden = vec![32, 32]);
    let error = Trainer::resume(&wider, &checkpoint, env()).err().unwrap();
    assert!(
        matches!(&error, LearnError::Changed { keys } if keys == &["policy.actor.hidden"]),
        "{error}"
    );
    let longer = config(&|config| config.train.total_steps = 1000);
    assert!(Trainer::resume(&longer, &checkpoint, env()).is_ok());
}

#[test]
fn a_run_made_longer_stays_so() {
    let folder = tempfile::tempdir().unwrap();
    let (experiment, run) = small_run(folder.path());
    let ended = experiment
        .train(&run, Fanout::new(), &|| false, None)
        .unwrap();
    assert_eq!(ended, Ended::Finished);
    let total = || run.config().unwrap()["train"]["total_steps"].as_integer();
    assert_eq!(total(), Some(384));

    let longer = ["train.total_steps=640", "train.checkpoint_every=2"];
    assert_eq!(go_on(&run, &longer, false), Ok(Ended::Stopped));
    assert_eq!(total(), Some(640));
    let message = go_on(&run, &["train.total_steps=300"], true).unwrap_err();
    insta::assert_snapshot!(message, @"`train.total_steps` is 300, but the run is already at 512 steps; it must be at least that");
    assert_eq!(total(), Some(640));

    assert_eq!(go_on(&run, &[], true), Ok(Ended::Finished));
    let info = run.info().unwrap();
    assert_eq!((info.global_step, info.total_steps), (640, 640));
    let every = run.config().unwrap()["train"]["checkpoint_every"].as_integer();
    assert_eq!(every, Some(2));
}
