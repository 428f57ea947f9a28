//! The detectors on logs of healthy runs, which `fixtures/healthy.py` records: the rate of false
//! alarms, and the recall for faults injected into the same logs. `docs/detectors.md` has the figures
//! over more and longer runs.

use evenkeel::health::{
    DetectorRecall, HealthConfig, InjectedFault, NetworkLayout, measure_recall, replay_log,
};
use evenkeel::telemetry::{Symptom, UpdateReport};

const HEALTHY: [(&str, &str); 6] = [
    ("reference", include_str!("fixtures/healthy/reference.csv")),
    ("u_trap", include_str!("fixtures/healthy/u_trap.csv")),
    ("movers", include_str!("fixtures/healthy/movers.csv")),
    ("raw", include_str!("fixtures/healthy/raw.csv")),
    ("fast", include_str!("fixtures/healthy/fast.csv")),
    (
        "two_minibatches",
        include_str!("fixtures/healthy/two_minibatches.csv"),
    ),
];

/// A differential drive has two actions, speed and turn rate. The logs have no layers.
const LAYOUT: NetworkLayout = NetworkLayout {
    action_dim: 2,
    layers: Vec::new(),
    frozen: Vec::new(),
};

fn log(csv: &str) -> Vec<UpdateReport> {
    let mut lines = csv.lines();
    assert_eq!(
        lines.next(),
        Some(
            "grad_norm,grad_norm_actor,grad_norm_critic,update_ratio,value_loss,entropy,\
             approx_kl,ratio_max"
        )
    );
    lines
        .zip(0..)
        .map(|(line, step)| {
            let mut numbers = line
                .split(',')
                .map(|number| number.parse().expect("a number"));
            UpdateReport {
                optimiser_step: step,
                grad_norm: numbers.next(),
                grad_norm_actor: numbers.next(),
                grad_norm_critic: numbers.next(),
                update_ratio: numbers.next(),
                policy_loss: Some(0.0),
                value_loss: numbers.next(),
                entropy: numbers.next(),
                approx_kl: numbers.next(),
                ratio_max: numbers.next(),
                ..UpdateReport::default()
            }
        })
        .collect()
}

fn logs() -> Vec<(&'static str, Vec<UpdateReport>)> {
    HEALTHY.map(|(name, csv)| (name, log(csv))).into()
}

#[test]
fn false_alarms_are_rare() {
    let (mut steps, mut alarms) = (0, Vec::new());
    for (name, log) in logs() {
        assert!(log.len() > 150, "{name}: {} steps", log.len());
        steps += log.len();
        let events = replay_log(&HealthConfig::default(), &LAYOUT, &log);
        alarms.extend(events.into_iter().map(|event| format!("{name}: {event}")));
    }
    let per_thousand = 1e3 * alarms.len() as f64 / steps as f64;
    assert!(
        per_thousand <= 0.5,
        "{per_thousand:.2} false alarms in 1,000 steps:\n{}",
        alarms.join("\n")
    );
}

#[test]
fn injected_faults_are_detected() {
    let logs = logs();
    let config = HealthConfig::default();
    for (fault, min_recall) in [
        (InjectedFault::GradientSpike(10.0), 0.97),
        (InjectedFault::GradientSpike(30.0), 0.99),
        (InjectedFault::GradientSpike(100.0), 0.99),
        (InjectedFault::LossSpike(30.0), 0.93),
        (InjectedFault::LossSpike(100.0), 0.96),
        (InjectedFault::UpdateSpike(10.0), 0.97),
        (InjectedFault::UpdateSpike(100.0), 0.99),
        (InjectedFault::NonFiniteGradient, 1.0),
        (InjectedFault::NonFiniteLoss, 1.0),
        (InjectedFault::Vanishing(0.98), 1.0),
        (InjectedFault::Oscillation(1.5), 0.99),
        (InjectedFault::EntropyDrop(1.0), 1.0),
        (InjectedFault::EntropyDecay(0.05), 1.0),
        (InjectedFault::KlBlowUp(0.5), 1.0),
        (InjectedFault::KlCollapse, 1.0),
        (InjectedFault::RatioExplosion(300.0), 1.0),
    ] {
        let mut all = DetectorRecall::default();
        for (_, log) in &logs {
            all.add(&measure_recall(&config, &LAYOUT, log, fault, 13));
        }
        let share = all.detected_share().expect("faults were injected");
        assert!(all.injected > 50, "{fault:?}: {all:?}");
        assert!(
            share >= min_recall,
            "{fault:?}: found {share:.3} of {all:?}"
        );
    }
}

#[test]
fn small_variations_are_not_reported() {
    let config = HealthConfig::default();
    for fault in [
        InjectedFault::GradientSpike(1.2),
        InjectedFault::LossSpike(1.2),
        InjectedFault::UpdateSpike(1.2),
        InjectedFault::EntropyDrop(0.05),
        InjectedFault::KlBlowUp(0.01),
        InjectedFault::RatioExplosion(1.5),
        InjectedFault::Oscillation(0.05),
    ] {
        for (name, log) in logs() {
            let found = measure_recall(&config, &LAYOUT, &log, fault, 13);
            assert!(found.detected <= 1, "{name}: {fault:?} {found:?}");
        }
    }
}

/// Complements the tests of rates: the detector must report the right symptom at the right step.
#[test]
fn fault_is_reported_once_with_the_right_symptom() {
    let (_, log) = logs().swap_remove(0);
    let mut broken = log.clone();
    for report in &mut broken[300..] {
        report.update_ratio = report.update_ratio.map(|ratio| 20.0 * ratio);
    }
    let events = replay_log(&HealthConfig::default(), &LAYOUT, &broken);
    let detected: Vec<_> = events
        .iter()
        .map(|event| (event.optimiser_step, event.symptom))
        .collect();
    assert_eq!(detected, [(300, Symptom::UpdateSpike)]);
}
