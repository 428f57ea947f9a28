//! Checkpoints: which ones are saved, a loaded policy equals the trained one, and broken checkpoints
//! give clear errors.

use std::path::Path;

use evenkeel::env::Controller;
use evenkeel::learn::{
    LearnError, PolicyController, RunOutcome, TinyEnv, TrainHooks, TrainState, Trainer,
};
use evenkeel::seed::Split;
use evenkeel::telemetry::Event;

use super::{EventLog, config, run, run_controller, trainer};

#[test]
fn best_is_the_checkpoint_of_the_best_evaluation() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(4);
    config.train.eval_every = 1;
    let mut scores = [0.25, 0.75, 0.5, 0.75].into_iter();
    let mut evaluate = |controller: &mut dyn Controller| {
        run_controller(controller, 1);
        let mut summary = evenkeel::telemetry::EvalSummary::default();
        summary.success.value = scores.next().unwrap();
        Ok(summary)
    };
    let mut log = EventLog::default();
    let outcome = trainer(&config, 4).run(&mut TrainHooks {
        sink: &mut log,
        evaluate: Some(&mut evaluate),
        checkpoints: Some(folder.path()),
        incidents: None,
        record: None,
        stop: &|| false,
    });
    assert_eq!(outcome.unwrap(), RunOutcome::Finished);
    let is_best: Vec<bool> = log
        .0
        .iter()
        .filter_map(|event| match event {
            Event::Evaluation(evaluation) => Some(evaluation.best),
            _ => None,
        })
        .collect();
    assert_eq!(is_best, [true, true, false, false]);
    let best = TrainState::load(&folder.path().join("best")).unwrap();
    assert_eq!(best.header.iteration, 2);
    let last = TrainState::load(&folder.path().join("last")).unwrap();
    assert_eq!(last.header.iteration, 4);
}

/// Trains for one iteration and saves a checkpoint.
fn train_and_save(folder: &Path) -> Trainer<TinyEnv> {
    let mut trainer = trainer(&config(1), 8);
    run(&mut trainer, &mut EventLog::default(), Some(folder));
    trainer
}

#[test]
fn loaded_policy_acts_like_the_trained_one_at_any_batch_size() {
    let folder = tempfile::tempdir().unwrap();
    let trainer = train_and_save(folder.path());
    let mut loaded = PolicyController::load(&folder.path().join("last")).unwrap();
    let observations: Vec<f32> = (0..300).map(|i| (i as f32 * 0.7).sin()).collect();
    let envs: Vec<usize> = (0..150).collect();
    let mut all = vec![0.0; 150];
    trainer.controller().act(&envs, &observations, &mut all);
    for env in [0, 1, 63, 64, 100, 149] {
        let mut alone = [0.0];
        loaded.act(&[env], &observations[env * 2..env * 2 + 2], &mut alone);
        assert_eq!(alone[0].to_bits(), all[env].to_bits(), "environment {env}");
    }

    let noisy = |rollout: u64| {
        let mut controller = PolicyController::load(&folder.path().join("last")).unwrap();
        assert!(!controller.is_stochastic());
        controller = controller.stochastic(3, Split::Eval);
        assert!(controller.is_stochastic());
        controller.set_rollout(rollout);
        controller.begin_episode(7, 2);
        let mut action = [0.0];
        controller.act(&[7], &[0.5, 1.0], &mut action);
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
fn broken_checkpoints_give_clear_errors() {
    let message = |damage: &dyn Fn(&Path)| {
        let folder = tempfile::tempdir().unwrap();
        train_and_save(folder.path());
        let last = folder.path().join("last");
        damage(&last);
        let error = TrainState::load(&last).expect_err("a broken checkpoint was read");
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
            // Cut before the wall-clock figures, whose length would change the error's position.
            std::fs::write(folder.join("state.json"), "{\n  \"format\": 4,\n  \"se").unwrap();
        }),
        message(&|folder| edit(folder, "\"format\": 4", "\"format\": 99")),
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
fn overflowing_counts_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    train_and_save(folder.path());
    let last = folder.path().join("last");
    let path = last.join("trainer.safetensors");
    let mut bytes = std::fs::read(&path).unwrap();
    // safetensors: eight bytes for the header's length, a JSON header, tensors.
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let offset = &header["environment.action_count"]["data_offsets"][0];
    let first = 8 + length + offset.as_u64().unwrap() as usize;
    // Set two counts to 2^63: their sum overflows 64 bits.
    bytes[first + 7] |= 0x80;
    bytes[first + 15] |= 0x80;
    std::fs::write(&path, bytes).unwrap();
    let error = TrainState::load(&last).unwrap_err().to_string();
    assert!(
        error.contains("`environment.action_count` are too large"),
        "{error}"
    );
}

#[test]
fn checkpoint_of_another_task_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    train_and_save(folder.path());
    let mut checkpoint = TrainState::load(&folder.path().join("last")).unwrap();
    checkpoint.header.obs_blocks = vec![("lidar".into(), 0, 64), ("goal".into(), 64, 3)];
    let error = Trainer::resume(&config(1), &checkpoint, TinyEnv::new(8, 64))
        .err()
        .unwrap();
    insta::assert_snapshot!(error, @"the policy was trained on observations lidar[64] goal[3], but these are position[1] side[1]; use the scenario that it was trained on, or one with the same sensors");

    let saved = TrainState::load(&folder.path().join("last")).unwrap();
    let other = Trainer::resume(&config(1), &saved, TinyEnv::new(8, 63))
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
