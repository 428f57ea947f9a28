use std::path::Path;

use super::*;
use crate::telemetry::{ClipReport, Symptom};
use evenkeel_sim::scenario;

fn begin(path: &Path) -> ExternalRun {
    let scenario = scenario::resolve("open_field", &[]).unwrap();
    let layers = ["actor.0.weight", "critic.0.weight"];
    let training = ExternalTraining {
        scenario: &scenario,
        arm: "theirs",
        seed: 7,
        total_steps: 4096,
        settings: toml::toml! { learning_rate = 0.001 },
        network: NetworkLayout {
            action_dim: 2,
            layers: layers.map(String::from).into(),
            ..NetworkLayout::default()
        },
        initial_norm: 2.0,
    };
    ExternalRun::create(path, &training).unwrap()
}

/// An optimiser step in iteration `step` / 4 with a gradient of this norm.
fn step(step: u64, grad_norm: f64) -> UpdateReport {
    UpdateReport {
        global_step: 512 * (step / 4 + 1),
        optimiser_step: step,
        grad_norm: Some(grad_norm),
        grad_norm_actor: Some(grad_norm * 0.8),
        grad_norm_critic: Some(grad_norm * 0.6),
        clip: vec![ClipReport {
            stage: "global_norm".to_owned(),
            norm_before: Some(grad_norm),
            norm_after: Some(grad_norm.min(0.5)),
            acted: grad_norm > 0.5,
            bounds: true,
            threshold: Some(0.5),
        }],
        param_norm: Some(2.1),
        policy_loss: Some(0.1),
        value_loss: Some(0.2),
        ..UpdateReport::default()
    }
}

#[test]
fn the_folder_is_that_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut run = begin(&path);
    for index in 0..4 {
        let symptoms = run.update(step(index, 0.25 * index as f64)).unwrap();
        assert!(symptoms.is_empty(), "{symptoms:?}");
    }
    run.episode(Outcome::Goal, 3.0, 100.0);
    run.episode(Outcome::TimeLimit, -1.0, 200.0);
    let metrics = IterationMetrics {
        global_step: 512,
        learning_rate: 1e-3,
        epochs: 1,
        ..IterationMetrics::default()
    };
    run.iteration(metrics).unwrap();
    let summary = EvalSummary::default();
    run.evaluation(512, summary).unwrap();
    run.finish(None, false).unwrap();

    let run = RunDir::open(&path).unwrap();
    let info = run.info().unwrap();
    assert_eq!((info.arm.as_str(), info.seed), ("theirs", 7));
    assert_eq!((info.status, info.global_step), (RunStatus::Finished, 512));
    assert_eq!(run.scenario(&[]).unwrap().name, "open_field");
    let events = run.events().unwrap();
    let iteration = events.iter().find_map(|event| match event {
        Event::Iteration(report) => Some(report),
        _ => None,
    });
    let report = iteration.unwrap();
    assert_eq!(report.success_rate, Some(0.5));
    assert_eq!(report.episodic_return, Some(1.0));
    assert_eq!(report.episodic_length, Some(150.0));
    assert_eq!(report.mean.grad_norm, Some(0.375));
    assert!((report.clip_share - 0.25).abs() < 1e-12);
    assert_eq!(report.layers[1].name, "critic.0.weight");
    assert!(matches!(events.last(), Some(Event::Evaluation(report)) if report.best));
}

#[test]
fn detectors_report_a_spike_and_the_run_diverges() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let mut run = begin(&path);
    let mut symptoms = Vec::new();
    for index in 0..200 {
        let wobble = 1.0 + 0.1 * ((index * 7 % 5) as f64 - 2.0);
        symptoms.extend(run.update(step(index, 0.3 * wobble)).unwrap());
    }
    assert!(symptoms.is_empty(), "{symptoms:?}");
    let spike = run.update(step(200, 300.0)).unwrap();
    assert!(
        spike
            .iter()
            .any(|event| event.symptom == Symptom::GradientSpike),
        "{spike:?}"
    );
    let grown = UpdateReport {
        param_norm: Some(201.0),
        ..step(201, 0.3)
    };
    run.update(grown).unwrap();
    run.finish(None, true).unwrap();
    let run = RunDir::open(&path).unwrap();
    assert_eq!(run.info().unwrap().status, RunStatus::Diverged);
    let diverged = run
        .events()
        .unwrap()
        .into_iter()
        .find_map(|event| match event {
            Event::Diverged(report) => Some(report),
            _ => None,
        });
    assert_eq!(
        diverged,
        Some(DivergedReport {
            global_step: 512 * 51,
            optimiser_step: 201,
            reason: DivergenceReason::ParameterNorm,
        })
    );
}

#[test]
fn a_folder_that_is_in_use_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    begin(&path);
    let scenario = scenario::resolve("open_field", &[]).unwrap();
    let training = ExternalTraining {
        scenario: &scenario,
        arm: "other",
        seed: 1,
        total_steps: 0,
        settings: toml::Table::new(),
        network: NetworkLayout::default(),
        initial_norm: 1.0,
    };
    let error = ExternalRun::create(&path, &training)
        .unwrap_err()
        .to_string();
    assert!(error.contains("not empty"), "{error}");
}
