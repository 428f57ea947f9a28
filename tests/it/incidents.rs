//! The flight recorder: saved steps can be repeated bit for bit, training can continue from them, the
//! number of saved steps is limited, and broken incidents give clear errors.

use std::path::{Path, PathBuf};

use evenkeel::learn::{
    FlightRecorderConfig, Incident, IncidentFolder, LearnerPool, RunConfig, RunOutcome, TinyEnv,
    TrainHooks, Trainer, UpdateRule, update,
};
use evenkeel::nn::{RecurrentConfig, RnnSpec};
use evenkeel::optim::{
    AdamRel, AdaptiveKl, ClipStage, Optimiser, Reset, Schedule, Sgd, ShrinkPerturb, WeightDecay,
};
use evenkeel::runs::RunInfo;
use evenkeel::telemetry::{Event, IncidentReport, UpdateReport};

use crate::learning::{EventLog, config, trainer};

const SEED: u64 = 2;

/// Settings whose detectors fire often.
fn sensitive(iterations: u64) -> RunConfig {
    let mut config = config(iterations);
    config.stability.health.warm_up_steps = 5;
    config.stability.health.rearm_steps = 1;
    config.stability.health.gradient_spike.z = 0.5;
    config.stability.health.gradient_spike.factor = 1.4;
    config
}

fn diverging() -> RunConfig {
    let mut config = config(40);
    config.stability.clip = Vec::new();
    config.train.learning_rate = 1e4;
    config
}

fn recurrent(mut config: RunConfig) -> RunConfig {
    config.policy.memory = Some(RecurrentConfig::Rnn(RnnSpec {
        size: 8,
        ..RnnSpec::default()
    }));
    config.train.bptt_steps = 8;
    config
}

/// Settings whose every remedy keeps state or reads something of its own.
fn remedied(mut config: RunConfig) -> RunConfig {
    config.train.schedule = Schedule::AdaptiveKl(AdaptiveKl::default());
    config.train.optimiser = Optimiser::AdamRel(AdamRel::default());
    config.stability.clip = ClipStage::examples();
    config.stability.decay = WeightDecay::examples();
    config.stability.reset = vec![Reset::ShrinkPerturb(ShrinkPerturb {
        every: 2,
        until: 1.0,
        ..ShrinkPerturb::default()
    })];
    config
}

fn train_and_record(config: &RunConfig, folder: &Path) -> (RunOutcome, EventLog) {
    let mut log = EventLog::default();
    let incidents = IncidentFolder {
        path: folder.join("incidents"),
        run: RunInfo::begin("tiny", "clipped", SEED, config.train.total_steps, None),
        config: String::new(),
    };
    let outcome = trainer(config, SEED).run(&mut TrainHooks {
        sink: &mut log,
        evaluate: None,
        checkpoints: None,
        incidents: Some(&incidents),
        record: None,
        stop: &|| false,
    });
    (outcome.unwrap(), log)
}

fn reports(log: &EventLog) -> Vec<&IncidentReport> {
    let reports = log.0.iter().filter_map(|event| match event {
        Event::Incident(report) => Some(report),
        _ => None,
    });
    reports.collect()
}

fn folders(root: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root.join("incidents")).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Repeats an optimiser step with its own settings and returns its report.
fn repeat_step(incident: &Incident, step: usize) -> UpdateReport {
    let attempt = &incident.steps[step];
    let config = &incident.state.config;
    let workers = LearnerPool::new(1, 1).unwrap();
    let input = incident.input(attempt, config);
    match update(
        &incident.policy(),
        &workers,
        &input,
        &UpdateRule::from(config),
    ) {
        Ok(applied) => applied.report,
        Err(refused) => refused.report,
    }
}

#[test]
fn saved_steps_are_reproduced_bit_for_bit() {
    let mut step_count = 0;
    for config in [
        diverging(),
        sensitive(6),
        recurrent(sensitive(6)),
        remedied(sensitive(6)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (_, log) = train_and_record(&config, folder.path());
        for path in folders(folder.path()) {
            let incident = Incident::load(&path).unwrap();
            for step in 0..incident.steps.len() {
                let report = repeat_step(&incident, step);
                let logged = log.steps()[report.optimiser_step as usize];
                assert_eq!(&report, logged);
                assert_eq!(&report, &incident.steps[step].report);
                step_count += 1;
            }
            let steps: Vec<u64> = incident
                .steps
                .iter()
                .map(|step| step.input.optimiser_step)
                .collect();
            assert!(steps.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        }
    }
    assert!(step_count > 20, "only {step_count} steps were kept");
}

#[test]
fn divergence_saves_its_optimiser_step() {
    let folder = tempfile::tempdir().unwrap();
    let (outcome, log) = train_and_record(&diverging(), folder.path());
    let RunOutcome::Diverged(diverged) = outcome else {
        panic!("the run did not diverge at a learning rate of 10,000")
    };
    let name = format!("step_{:06}", diverged.optimiser_step);
    let last = reports(&log).into_iter().next_back().unwrap();
    assert_eq!(last.folder.as_deref(), Some(name.as_str()));
    let incident = Incident::load(&folder.path().join("incidents").join(name)).unwrap();
    assert_eq!(incident.last().divergence, Some(diverged.reason));
}

#[test]
fn fork_continues_training_bit_for_bit() {
    for config in [
        sensitive(6),
        recurrent(sensitive(6)),
        remedied(sensitive(6)),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let (_, log) = train_and_record(&config, folder.path());
        // Take the first incident whose step is not in the first epoch.
        let path = folders(folder.path()).into_iter().find(|path| {
            let position = Incident::load(path).unwrap().last().progress;
            position.epoch > 0
        });
        let incident = Incident::load(&path.expect("a step in a later epoch")).unwrap();
        let env = TinyEnv::new(SEED, config.train.num_envs as usize);
        let mut fork = Trainer::fork(&incident, incident.last(), &config, env).unwrap();
        let mut forked = EventLog::default();
        for _ in 0..3 {
            fork.iterate(&mut forked).unwrap();
        }
        let first = incident.last().input.optimiser_step as usize;
        let steps = forked.steps();
        assert!(steps.len() > 20);
        assert_eq!(steps, log.steps()[first..first + steps.len()]);
    }
}

#[test]
fn fork_accepts_another_update_rule_but_no_other_network() {
    let folder = tempfile::tempdir().unwrap();
    train_and_record(&diverging(), folder.path());
    let incident = Incident::load(&folders(folder.path())[0]).unwrap();
    let env = || TinyEnv::new(SEED, 64);
    let mut stable = diverging();
    stable.train.optimiser = Optimiser::Sgd(Sgd::default());
    stable.train.learning_rate = 1e-3;
    let mut fork = Trainer::fork(&incident, incident.last(), &stable, env()).unwrap();
    let mut log = EventLog::default();
    assert_eq!(fork.iterate(&mut log).unwrap(), None);
    assert_eq!(log.steps()[0].grad_norm, incident.last().report.grad_norm);
    let mut other = diverging();
    other.policy.actor.hidden = vec![5];
    let refused = Trainer::fork(&incident, incident.last(), &other, env());
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("`policy.actor.hidden`"), "{message}");
}

#[test]
fn recorder_respects_its_limits() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = sensitive(6);
    config.stability.recorder = FlightRecorderConfig {
        steps: 2,
        max_incidents: 3,
        max_megabytes: 64,
    };
    let (_, log) = train_and_record(&config, folder.path());
    let reports = reports(&log);
    assert!(
        reports.len() > 3,
        "the detectors fired only {} times",
        reports.len()
    );
    assert_eq!(folders(folder.path()).len(), 3);
    assert!(
        reports[3..]
            .iter()
            .all(|report| report.folder.is_none() || !report.symptoms.is_empty())
    );
    for path in folders(folder.path()) {
        assert!(Incident::load(&path).unwrap().steps.len() <= 2);
    }

    let folder = tempfile::tempdir().unwrap();
    config.stability.recorder.max_incidents = 0;
    train_and_record(&config, folder.path());
    assert!(!folder.path().join("incidents").exists());
}

#[test]
fn broken_incidents_give_clear_errors() {
    let folder = tempfile::tempdir().unwrap();
    train_and_record(&diverging(), folder.path());
    let path = folders(folder.path()).remove(0);
    let error_after = |file: &str, damage: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let file = path.join(file);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, damage(whole.clone())).unwrap();
        let message = Incident::load(&path).unwrap_err().to_string();
        std::fs::write(&file, whole).unwrap();
        message.replace(&folder.path().display().to_string(), "")
    };
    let text = |from: &'static str, to: &'static str| {
        move |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            assert!(text.contains(from), "no {from}");
            text.replacen(from, to, 1).into_bytes()
        }
    };
    let cut = |bytes: Vec<u8>| bytes[..bytes.len() / 2].to_vec();
    let messages = [
        error_after("incident.json", &text("\"format\": 1", "\"format\": 9")),
        // Cut before any value that differs between runs.
        error_after("incident.json", &|bytes| bytes[..8].to_vec()),
        error_after("incident.json", &text("\"batch\": 0", "\"batch\": 7")),
        error_after("tensors.safetensors", &cut),
        {
            let file = path.join("config.toml");
            let whole = std::fs::read(&file).unwrap();
            std::fs::remove_file(&file).unwrap();
            let message = Incident::load(&path).unwrap_err().to_string();
            std::fs::write(&file, whole).unwrap();
            message.replace(&folder.path().display().to_string(), "")
        },
    ];
    for message in &messages {
        assert!(message.contains("step_"), "{message}");
    }
    let joined = messages
        .join("\n")
        .replace(path.file_name().unwrap().to_str().unwrap(), "step_N");
    insta::assert_snapshot!(joined);
}
