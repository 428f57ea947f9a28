//! The flight recorder: what it keeps is enough to run a step again bit for bit, to go on from it,
//! and to do so in another process; how much it keeps; and what is wrong with a broken incident.

use std::path::{Path, PathBuf};

use evenkeel::learn::{
    FlightRecorderConfig, Incident, IncidentFolder, LearnerPool, RunConfig, RunOutcome, TinyEnv,
    TrainHooks, Trainer, UpdateRule, update,
};
use evenkeel::nn::{RecurrentConfig, RnnSpec};
use evenkeel::optim::{Optimiser, Sgd};
use evenkeel::runs::RunInfo;
use evenkeel::telemetry::{Event, IncidentReport, UpdateReport};

use crate::learning::{Kept, config, trainer};

const SEED: u64 = 2;

/// Detectors that fire often.
fn nervous(iterations: u64) -> RunConfig {
    let mut config = config(iterations);
    config.stability.health.warm_up_steps = 5;
    config.stability.health.rearm_steps = 1;
    config.stability.health.gradient_spike.z = 0.5;
    config.stability.health.gradient_spike.factor = 1.4;
    config
}

fn wild() -> RunConfig {
    let mut config = config(40);
    config.stability.clip = Vec::new();
    config.train.learning_rate = 1e4;
    config
}

fn remembering(mut config: RunConfig) -> RunConfig {
    config.policy.memory = Some(RecurrentConfig::Rnn(RnnSpec {
        size: 8,
        ..RnnSpec::default()
    }));
    config.train.bptt_steps = 8;
    config
}

fn recorded(config: &RunConfig, folder: &Path) -> (RunOutcome, Kept) {
    let mut kept = Kept::default();
    let incidents = IncidentFolder {
        path: folder.join("incidents"),
        run: RunInfo::begin("tiny", "clipped", SEED, config.train.total_steps, None),
        config: String::new(),
    };
    let ended = trainer(config, SEED).run(&mut TrainHooks {
        sink: &mut kept,
        evaluate: None,
        checkpoints: None,
        incidents: Some(&incidents),
        record: None,
        stop: &|| false,
    });
    (ended.unwrap(), kept)
}

fn reports(kept: &Kept) -> Vec<&IncidentReport> {
    let reports = kept.0.iter().filter_map(|event| match event {
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

/// What a step comes to when it is run again, under the settings it was run with.
fn again(incident: &Incident, step: usize) -> UpdateReport {
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
fn every_kept_step_is_the_logged_one_bit_for_bit() {
    let mut seen = 0;
    for config in [wild(), nervous(6), remembering(nervous(6))] {
        let folder = tempfile::tempdir().unwrap();
        let (_, kept) = recorded(&config, folder.path());
        for path in folders(folder.path()) {
            let incident = Incident::load(&path).unwrap();
            for step in 0..incident.steps.len() {
                let report = again(&incident, step);
                let logged = kept.steps()[report.optimiser_step as usize];
                assert_eq!(&report, logged);
                assert_eq!(&report, &incident.steps[step].report);
                seen += 1;
            }
            let steps: Vec<u64> = incident
                .steps
                .iter()
                .map(|step| step.input.optimiser_step)
                .collect();
            assert!(steps.windows(2).all(|pair| pair[0] + 1 == pair[1]));
        }
    }
    assert!(seen > 20, "only {seen} steps were kept");
}

#[test]
fn a_divergence_is_kept_with_the_step_that_could_not_be_taken() {
    let folder = tempfile::tempdir().unwrap();
    let (ended, kept) = recorded(&wild(), folder.path());
    let RunOutcome::Diverged(diverged) = ended else {
        panic!("it survived a learning rate of 10,000")
    };
    let name = format!("step_{:06}", diverged.optimiser_step);
    let last = reports(&kept).into_iter().next_back().unwrap();
    assert_eq!(last.folder.as_deref(), Some(name.as_str()));
    let incident = Incident::load(&folder.path().join("incidents").join(name)).unwrap();
    assert_eq!(incident.last().divergence, Some(diverged.reason));
}

#[test]
fn training_that_goes_on_from_a_step_goes_on_as_it_did() {
    for config in [nervous(6), remembering(nervous(6))] {
        let folder = tempfile::tempdir().unwrap();
        let (_, kept) = recorded(&config, folder.path());
        // One from the midst of an iteration, and early enough that something follows.
        let path = folders(folder.path()).into_iter().find(|path| {
            let position = Incident::load(path).unwrap().last().position;
            position.epoch > 0
        });
        let incident = Incident::load(&path.expect("a step in a later epoch")).unwrap();
        let env = TinyEnv::new(SEED, config.train.num_envs as usize);
        let mut fork = Trainer::fork(&incident, incident.last(), &config, env).unwrap();
        let mut forked = Kept::default();
        for _ in 0..3 {
            fork.iterate(&mut forked).unwrap();
        }
        let first = incident.last().input.optimiser_step as usize;
        let steps = forked.steps();
        assert!(steps.len() > 20);
        assert_eq!(steps, kept.steps()[first..first + steps.len()]);
    }
}

#[test]
fn another_remedy_changes_the_step_and_another_network_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    recorded(&wild(), folder.path());
    let incident = Incident::load(&folders(folder.path())[0]).unwrap();
    let env = || TinyEnv::new(SEED, 64);
    let mut mild = wild();
    mild.train.optimiser = Optimiser::Sgd(Sgd::default());
    mild.train.learning_rate = 1e-3;
    let mut fork = Trainer::fork(&incident, incident.last(), &mild, env()).unwrap();
    let mut kept = Kept::default();
    assert_eq!(fork.iterate(&mut kept).unwrap(), None);
    assert_eq!(kept.steps()[0].grad_norm, incident.last().report.grad_norm);
    let mut other = wild();
    other.policy.actor.hidden = vec![5];
    let refused = Trainer::fork(&incident, incident.last(), &other, env());
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("`policy.actor.hidden`"), "{message}");
}

#[test]
fn no_more_is_kept_than_the_settings_allow() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = nervous(6);
    config.stability.recorder = FlightRecorderConfig {
        steps: 2,
        max_incidents: 3,
        max_megabytes: 64,
    };
    let (_, kept) = recorded(&config, folder.path());
    let reports = reports(&kept);
    assert!(reports.len() > 3, "the detectors were not nervous enough");
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
    recorded(&config, folder.path());
    assert!(!folder.path().join("incidents").exists());
}

#[test]
fn a_broken_incident_says_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    recorded(&wild(), folder.path());
    let path = folders(folder.path()).remove(0);
    let refused = |file: &str, spoil: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let file = path.join(file);
        let whole = std::fs::read(&file).unwrap();
        std::fs::write(&file, spoil(whole.clone())).unwrap();
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
        refused("incident.json", &text("\"format\": 1", "\"format\": 9")),
        // Where no figure of this run has come yet.
        refused("incident.json", &|bytes| bytes[..8].to_vec()),
        refused("incident.json", &text("\"lesson\": 0", "\"lesson\": 7")),
        refused("tensors.safetensors", &cut),
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
