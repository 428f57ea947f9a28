//! Resumed runs: they equal uninterrupted runs and keep their settings.

use std::path::Path;

use evenkeel::env::{Controller, StepBuffers, VectorEnv};
use evenkeel::learn::{
    LearnError, RunConfig, RunDefinition, RunOutcome, TinyEnv, TrainHooks, TrainState, Trainer,
};
use evenkeel::runs::RunDir;
use evenkeel::seed::Split;
use evenkeel::telemetry::{Event, Fanout};

use super::{EventLog, config, moments, run, run_for, run_in, trainer};
use crate::helpers::overrides;

#[test]
fn resumed_run_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(6);
    config.train.checkpoint_every = 1;
    let mut uninterrupted_log = EventLog::default();
    let mut uninterrupted = trainer(&config, 9);
    run(&mut uninterrupted, &mut uninterrupted_log, None);

    let mut first = EventLog::default();
    let mut interrupted = trainer(&config, 9);
    let outcome = run_for(&mut interrupted, &mut first, Some(folder.path()), 3);
    assert_eq!(outcome, RunOutcome::Stopped);

    let saved = TrainState::load(&folder.path().join("last")).unwrap();
    assert!(
        saved
            .environments
            .iter()
            .any(|env| env.episode > 0 && !env.actions.is_empty())
    );
    let mut second = EventLog::default();
    // Restore into environments in another state.
    let mut env = TinyEnv::new(9, 64);
    let mut buffers = StepBuffers::new(64, 2);
    env.reset(&mut buffers);
    env.step(&[0.3; 64], &mut buffers);
    let mut resumed = Trainer::resume(&config, &saved, env).unwrap();
    assert_eq!(resumed.global_step(), 3 * config.steps_per_iteration());
    run(&mut resumed, &mut second, None);

    assert_eq!(resumed.parameters(), uninterrupted.parameters());
    let without_saves = first
        .0
        .iter()
        .filter(|event| !matches!(event, Event::Checkpoint(_)));
    let joined: Vec<&Event> = without_saves.chain(&second.0).collect();
    assert!(
        joined.into_iter().eq(&uninterrupted_log.0),
        "the logs differ"
    );
    let (a, b) = (resumed.state(), uninterrupted.state());
    assert_eq!(moments(&a), moments(&b));
    assert_eq!((a.returns, a.environments), (b.returns, b.environments));
}

#[test]
fn elapsed_time_counts_evaluations_and_earlier_sessions() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(4);
    config.train.eval_every = 1;
    let pause = std::time::Duration::from_millis(30);
    let mut evaluate = |_: &mut dyn Controller| {
        std::thread::sleep(pause);
        Ok(evenkeel::telemetry::EvalSummary::default())
    };
    let mut log = EventLog::default();
    let mut trainer = trainer(&config, 4);
    let outcome = trainer.run(&mut TrainHooks {
        sink: &mut log,
        evaluate: Some(&mut evaluate),
        checkpoints: Some(folder.path()),
        incidents: None,
        record: None,
        stop: &|| false,
    });
    assert_eq!(outcome.unwrap(), RunOutcome::Finished);
    let times = log.0.iter().filter_map(|event| match event {
        Event::Evaluation(evaluation) => Some(evaluation.elapsed_secs),
        _ => None,
    });
    for (evaluation, elapsed) in times.enumerate() {
        let least = (evaluation + 1) as f64 * pause.as_secs_f64();
        assert!(elapsed >= least, "{elapsed} s after {least} s of pauses");
    }
    let saved = TrainState::load(&folder.path().join("last")).unwrap();
    let so_far = saved.elapsed_secs();
    assert!(so_far >= 4.0 * pause.as_secs_f64() && so_far <= trainer.elapsed_secs());
    let resumed = Trainer::resume(&config, &saved, TinyEnv::new(4, 64)).unwrap();
    assert!(resumed.elapsed_secs() >= so_far);
}

/// Creates a run of three iterations in `open_field`.
fn small_run(folder: &Path) -> (RunDefinition, RunDir) {
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

/// Resumes a run, for one iteration or to its end.
fn resume(run: &RunDir, flags: &[&str], to_the_end: bool) -> Result<RunOutcome, String> {
    let definition = RunDefinition::from_run(run, &overrides(flags)).map_err(|e| e.to_string())?;
    let outcome = definition.train(run, Fanout::new(), &|| !to_the_end, None);
    outcome.map_err(|e| e.to_string())
}

#[test]
fn resumed_run_refuses_changed_settings() {
    let folder = tempfile::tempdir().unwrap();
    let (definition, run) = small_run(folder.path());
    let outcome = definition
        .train(&run, Fanout::new(), &|| true, None)
        .unwrap();
    assert_eq!(outcome, RunOutcome::Stopped);
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
        let message = resume(&run, &[flag], true).expect_err(flag);
        let named = format!("this run was started with a different `{key}`;");
        assert!(message.starts_with(&named), "{flag}: {message}");
    }
    assert_eq!(std::fs::read(run.config_path()).unwrap(), before);
    assert_eq!(run.info().unwrap().global_step, 128);

    let config = |change: &dyn Fn(&mut RunConfig)| {
        let mut config = definition.config.clone();
        change(&mut config);
        config
    };
    let saved = TrainState::load(&run.checkpoint("last").unwrap().unwrap()).unwrap();
    let env = || {
        let scenario = &definition.scenario;
        evenkeel::env::VecEnv::new(scenario, 1, Split::Train, 8, 1).unwrap()
    };
    let wider = config(&|config| config.policy.actor.hidden = vec![32, 32]);
    let error = Trainer::resume(&wider, &saved, env()).err().unwrap();
    assert!(
        matches!(&error, LearnError::SettingsChanged { keys } if keys == &["policy.actor.hidden"]),
        "{error}"
    );
    let longer = config(&|config| config.train.total_steps = 1000);
    assert!(Trainer::resume(&longer, &saved, env()).is_ok());
}

#[test]
fn longer_run_keeps_its_new_length() {
    let folder = tempfile::tempdir().unwrap();
    let (definition, run) = small_run(folder.path());
    let outcome = definition
        .train(&run, Fanout::new(), &|| false, None)
        .unwrap();
    assert_eq!(outcome, RunOutcome::Finished);
    let total = || run.config().unwrap()["train"]["total_steps"].as_integer();
    assert_eq!(total(), Some(384));

    let longer = ["train.total_steps=640", "train.checkpoint_every=2"];
    assert_eq!(resume(&run, &longer, false), Ok(RunOutcome::Stopped));
    assert_eq!(total(), Some(640));
    let message = resume(&run, &["train.total_steps=300"], true).unwrap_err();
    insta::assert_snapshot!(message, @"`train.total_steps` is 300, but the run is already at 512 steps; it must be at least that");
    assert_eq!(total(), Some(640));

    assert_eq!(resume(&run, &[], true), Ok(RunOutcome::Finished));
    let info = run.info().unwrap();
    assert_eq!((info.global_step, info.total_steps), (640, 640));
    let every = run.config().unwrap()["train"]["checkpoint_every"].as_integer();
    assert_eq!(every, Some(2));
}
