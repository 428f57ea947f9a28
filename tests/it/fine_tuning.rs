//! Runs that start from a policy: its weights and normalisers are taken over, what is frozen keeps its
//! bits under every technique, and what does not fit is refused before a run folder is made.

use std::path::Path;

use evenkeel::learn::{
    Incident, IncidentFolder, LearnError, LearnerPool, ReturnScaling, RunConfig, StartPolicy,
    TinyEnv, TrainHooks, TrainState, Trainer, UpdateRule, update,
};
use evenkeel::nn::{GruSpec, NormLayer, RecurrentConfig, entries};
use evenkeel::optim::{Adam, ClipStage, Optimiser, Reset, WeightDecay};
use evenkeel::runs::RunInfo;
use evenkeel::telemetry::Fanout;
use serde_json::Value;

use crate::helpers::{answer, evenkeel_in, failure, text};
use crate::learning::{EventLog, config, moments, run, run_for, tiny_env, trainer};

const SEED: u64 = 6;

/// Trains a policy for some iterations and gives it as a start.
fn trained(config: &RunConfig, folder: &Path) -> StartPolicy {
    let mut trainer = trainer(config, SEED);
    run(&mut trainer, &mut Fanout::new(), Some(folder));
    StartPolicy::from_checkpoint(&folder.join("last"), None).unwrap()
}

fn start(config: &RunConfig, start: &StartPolicy) -> Trainer<TinyEnv> {
    let env = tiny_env(config, SEED + 1, config.train.num_envs as usize);
    Trainer::starting_from(Some(start), config, SEED + 1, env).unwrap()
}

#[test]
fn weights_and_normalisers_are_taken_over_and_the_optimiser_starts_fresh() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(3);
    let policy = trained(&config, folder.path());
    let saved = TrainState::load(&folder.path().join("last")).unwrap();
    let state = start(&config, &policy).state();
    assert_eq!(entries(&state.parameters), entries(&saved.parameters));
    assert_eq!(
        entries(&state.initial_parameters),
        entries(&saved.parameters)
    );
    assert_eq!(state.observation, saved.observation);
    assert_eq!(state.returns, saved.returns);
    assert!(saved.returns.statistics().moments.count > 0.0);
    assert_eq!((state.optimiser.steps, state.header.global_step), (0, 0));
    for (name, moment) in moments(&state) {
        assert!(moment.iter().all(|&entry| entry == 0.0), "{name}");
    }
    assert_eq!(policy.origin.global_step, saved.header.global_step);
    assert_eq!(policy.origin.weights.len(), 16);
}

/// Settings with one technique each: every optimiser, clip, decay and reset.
fn techniques() -> Vec<(String, RunConfig)> {
    let mut cases = Vec::new();
    let mut push = |name: &str, change: &dyn Fn(&mut RunConfig)| {
        let mut config = config(3);
        change(&mut config);
        cases.push((name.to_owned(), config));
    };
    for optimiser in Optimiser::examples() {
        push(optimiser.name(), &|c| c.train.optimiser = optimiser);
    }
    for clip in ClipStage::examples() {
        push(clip.name(), &|c| c.stability.clip = vec![clip]);
    }
    for decay in WeightDecay::examples() {
        push(decay.name(), &|c| c.stability.decay = vec![decay]);
    }
    for reset in Reset::examples() {
        push(reset.name(), &|c| c.stability.reset = vec![reset]);
    }
    cases
}

/// Trains from a policy with these settings, and compares each parameter before and after.
fn check_frozen(name: &str, config: &RunConfig, policy: &StartPolicy) {
    let mut trainer = start(config, policy);
    let before = trainer.parameters();
    let buffers = entries(&trainer.state().buffers);
    run(&mut trainer, &mut Fanout::new(), None);
    let (state, after) = (trainer.state(), trainer.parameters());
    for entry in state.header.policy().layout().entries() {
        let bits = |all: &[f32]| -> Vec<u32> {
            let own = all[entry.range.clone()].iter();
            own.map(|weight| weight.to_bits()).collect()
        };
        let stays = bits(&before) == bits(&after);
        assert_eq!(stays, entry.frozen, "{name}: {}", entry.name);
        for (moment, entries) in moments(&state) {
            let own = &entries[entry.range.clone()];
            let is_zero = own.iter().all(|&entry| entry == 0.0);
            assert!(is_zero || !entry.frozen, "{name}: {} {moment}", entry.name);
        }
    }
    // Here everything that has buffers is frozen.
    assert_eq!(entries(&state.buffers), buffers, "{name}");
}

#[test]
fn frozen_parameters_keep_their_bits_under_every_technique() {
    let folder = tempfile::tempdir().unwrap();
    let policy = trained(&config(2), folder.path());
    for (name, mut config) in techniques() {
        config.policy.freeze = ["actor.0", "actor.1", "critic.1.weight", "critic.2"]
            .map(str::to_owned)
            .to_vec();
        check_frozen(&name, &config, &policy);
    }
}

#[test]
fn frozen_layers_keep_their_buffers_and_a_frozen_memory_stays() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(2);
    config.policy.norm = NormLayer::Batch;
    config.policy.memory = Some(RecurrentConfig::Gru(GruSpec::default()));
    config.train.bptt_steps = 8;
    let policy = trained(&config, folder.path());
    config.policy.freeze = ["actor.0", "actor.1", "actor.memory", "critic.0", "critic.1"]
        .map(str::to_owned)
        .to_vec();
    check_frozen("memory", &config, &policy);
}

#[test]
fn frozen_layers_are_in_no_norm_and_no_symptom() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(2);
    let policy = trained(&config, folder.path());
    config.policy.freeze = vec!["critic".into(), "actor.0".into()];
    config.stability.health.warm_up_steps = 1;
    config.stability.health.vanishing.hold_steps = 1;
    let mut log = EventLog::default();
    run(&mut start(&config, &policy), &mut log, None);
    for step in log.steps() {
        assert_eq!(step.grad_norm_critic, Some(0.0));
        assert_eq!(step.grad_norm, step.grad_norm_actor);
        assert_eq!(step.layer_norms[..2], [Some(0.0); 2]);
    }
    let events = serde_json::to_string(&log.0).unwrap();
    assert!(!events.contains("vanishing_gradient"), "{events}");
}

#[test]
fn a_resumed_run_that_started_from_a_policy_equals_an_uninterrupted_one() {
    let folder = tempfile::tempdir().unwrap();
    let policy = trained(&config(2), &folder.path().join("source"));
    let mut config = config(4);
    config.stability.decay = WeightDecay::examples();
    config.policy.freeze = vec!["actor.1".into()];
    let mut uninterrupted = start(&config, &policy);
    run(&mut uninterrupted, &mut Fanout::new(), None);
    let mut first = start(&config, &policy);
    run_for(&mut first, &mut Fanout::new(), Some(folder.path()), 2);
    let saved = TrainState::load(&folder.path().join("last")).unwrap();
    let env = TinyEnv::new(SEED + 1, 64);
    let mut resumed = Trainer::resume(&config, &saved, env).unwrap();
    run(&mut resumed, &mut Fanout::new(), None);
    assert_eq!(resumed.parameters(), uninterrupted.parameters());
}

#[test]
fn incidents_of_such_a_run_are_repeated_and_continued_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let policy = trained(&config(2), &folder.path().join("source"));
    let mut config = config(6);
    config.stability.health.warm_up_steps = 5;
    config.stability.health.rearm_steps = 1;
    config.stability.health.gradient_spike.z = 0.5;
    config.stability.health.gradient_spike.factor = 1.4;
    config.stability.decay = WeightDecay::examples();
    config.policy.freeze = vec!["actor.1".into()];
    let incidents = IncidentFolder {
        path: folder.path().join("incidents"),
        run: RunInfo::begin("tiny", "clipped", SEED, config.train.total_steps, None),
        config: String::new(),
    };
    let mut trainer = start(&config, &policy);
    let mut log = EventLog::default();
    let hooks = &mut TrainHooks {
        sink: &mut log,
        evaluate: None,
        checkpoints: None,
        incidents: Some(&incidents),
        record: None,
        stop: &|| false,
    };
    trainer.run(hooks).unwrap();
    let paths = std::fs::read_dir(&incidents.path).unwrap();
    let mut repeated = 0;
    for path in paths.map(|entry| entry.unwrap().path()) {
        let incident = Incident::load(&path).unwrap();
        let config = &incident.state.config;
        let workers = LearnerPool::new(1, 1).unwrap();
        for attempt in &incident.steps {
            let input = incident.input(attempt, config);
            let rule = UpdateRule::from(config);
            let step = update(&incident.policy(), &workers, &input, &rule).unwrap();
            assert_eq!(
                &step.report,
                log.steps()[attempt.report.optimiser_step as usize]
            );
            repeated += 1;
        }
        let env = TinyEnv::new(SEED + 1, 64);
        let mut fork = Trainer::fork(&incident, incident.last(), config, env).unwrap();
        run(&mut fork, &mut Fanout::new(), None);
        assert_eq!(fork.parameters(), trainer.parameters());
    }
    assert!(repeated > 0);
}

#[test]
fn a_policy_that_does_not_fit_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let policy = trained(&config(1), folder.path());
    let refused = |change: &dyn Fn(&mut RunConfig)| -> LearnError {
        let mut config = config(1);
        change(&mut config);
        let env = tiny_env(&config, 1, config.train.num_envs as usize);
        let started = Trainer::starting_from(Some(&policy), &config, 1, env);
        started.err().expect("it is refused")
    };
    let wider = refused(&|c| c.policy.actor.hidden = vec![16, 8]).to_string();
    assert!(
        wider.contains("`policy.actor.hidden` is [16,16] there and [16,8] here"),
        "{wider}"
    );
    let other = refused(&|c| c.stability.normalise.returns = ReturnScaling::Off).to_string();
    assert!(other.contains("`stability.normalise.return`"), "{other}");
    let error = refused(&|c| c.policy.freeze = vec!["actor.7".into()]).to_string();
    assert!(error.contains("actor.0.weight, actor.0.bias"), "{error}");
    let error = refused(&|c| c.policy.freeze = vec!["actor".into(), "critic".into()]);
    assert!(matches!(error, LearnError::Config(_)), "{error}");
    // The initialisation and the optimiser are free.
    let mut config = config(1);
    config.train.optimiser = Optimiser::Adam(Adam::default());
    start(&config, &policy);
}

/// Arguments of a small training.
fn small<'a>(args: &[&'a str]) -> Vec<&'a str> {
    let small = [
        "--episodes=0",
        "--threads=1",
        "--envs=8",
        "--set=train.horizon=16",
        "--set=train.minibatches=1",
        "--set=train.eval_every=0",
        "--json",
    ];
    [&["train"], args, &small].concat()
}

#[test]
fn a_run_records_where_it_started_and_is_resumed_without_it() {
    let root = tempfile::tempdir().unwrap();
    let hidden = "--set=policy.actor.hidden=[8]";
    let first = ["open_field", "--out=first", "--steps=256", hidden];
    answer(root.path(), &small(&first));
    // The network is the policy's, without a flag.
    let from = [
        "open_field",
        "--from=first",
        "--freeze=actor.0",
        "--set=train.learning_rate=1e-4",
    ];
    let again = |out: &'static str, steps: &'static str| {
        let args = [&from[..], &[out, steps, "--seed=9"]].concat();
        answer(root.path(), &small(&args))
    };
    again("--out=whole", "--steps=512");
    again("--out=parts", "--steps=256");
    let info = std::fs::read(root.path().join("parts/run.json")).unwrap();
    let info: Value = serde_json::from_slice(&info).unwrap();
    assert_eq!(
        (&info["from"]["run"], &info["from"]["global_step"]),
        (&"first".into(), &256.into())
    );
    let settings = std::fs::read_to_string(root.path().join("parts/config.toml")).unwrap();
    assert!(settings.contains(r#"freeze = ["actor.0"]"#), "{settings}");

    std::fs::remove_dir_all(root.path().join("first")).unwrap();
    // As if the run had been killed before its first checkpoint.
    std::fs::remove_dir_all(root.path().join("parts/checkpoints")).unwrap();
    let mut resume = small(&["--resume=parts", "--steps=512"]);
    resume.retain(|flag| !flag.starts_with("--set") && !flag.starts_with("--envs"));
    answer(root.path(), &resume);
    let weights = |run: &str| {
        let folder = root.path().join(run).join("checkpoints/last");
        entries(&TrainState::load(&folder).unwrap().parameters)
    };
    assert_eq!(weights("parts"), weights("whole"));
}

#[test]
fn what_does_not_fit_is_refused_before_a_run_folder_is_made() {
    let root = tempfile::tempdir().unwrap();
    answer(
        root.path(),
        &small(&["open_field", "--out=first", "--steps=128"]),
    );
    let error = |args: &[&str]| {
        let args = [&["--from=first", "--out=second", "--steps=128"], args].concat();
        let error = failure(root.path(), &small(&args));
        assert!(!root.path().join("second").exists());
        error
            .lines()
            .find(|line| line.starts_with("error"))
            .unwrap_or_default()
            .to_owned()
    };
    let errors = [
        error(&["open_field", "--set=robot.lidar.beams=32"]),
        error(&["open_field", "--set=policy.critic.hidden=[32]"]),
        error(&["open_field", "--arm=raw"]),
        error(&["open_field", "--freeze=actor.9"]),
    ];
    insta::assert_snapshot!(errors.join("\n"));
    let planner = failure(root.path(), &["train", "open_field", "--from=planner:dwa"]);
    assert!(planner.contains("a planner has no weights"), "{planner}");
    let resumed = evenkeel_in(root.path(), &["train", "--resume=first", "--from=first"]);
    assert!(text(&resumed.stderr).contains("cannot be used with"));
}
