//! Measures the detectors on the logs of your own runs: false alarms on the logs as they are, and
//! recall for faults injected into the same logs. `docs/detectors.md` shows the output.
//!
//!     cargo run --release --example detectors -- [THRESHOLDS.toml] RUN...
//!
//! The thresholds file has the settings that differ from the defaults of `HealthConfig`.

use std::error::Error;
use std::path::{Path, PathBuf};

use evenkeel::health::{
    DetectorRecall, DrivingMetrics, HealthConfig, InjectedFault, Monitor, NetworkLayout,
    measure_recall, replay_log,
};
use evenkeel::stats::wilson;
use evenkeel::telemetry::{
    Event, HealthEvent, IterationReport, LayerReport, Symptom, UpdateReport, read_events,
};

/// A differential drive has two actions, speed and turn rate.
const ACTION_DIM: usize = 2;
/// Optimiser steps between two injected faults. It shares no factor with the optimiser steps of an
/// iteration, so that faults fall on all minibatches.
const EVERY: usize = 7;

const FAULTS: [(&str, InjectedFault); 21] = [
    ("gradient × 5", InjectedFault::GradientSpike(5.0)),
    ("gradient × 10", InjectedFault::GradientSpike(10.0)),
    ("gradient × 30", InjectedFault::GradientSpike(30.0)),
    ("gradient × 100", InjectedFault::GradientSpike(100.0)),
    ("value loss × 10", InjectedFault::LossSpike(10.0)),
    ("value loss × 30", InjectedFault::LossSpike(30.0)),
    ("value loss × 100", InjectedFault::LossSpike(100.0)),
    ("step × 5", InjectedFault::UpdateSpike(5.0)),
    ("step × 10", InjectedFault::UpdateSpike(10.0)),
    ("step × 100", InjectedFault::UpdateSpike(100.0)),
    ("a gradient entry is NaN", InjectedFault::NonFiniteGradient),
    ("the value loss is NaN", InjectedFault::NonFiniteLoss),
    ("gradients × 0.98 a step", InjectedFault::Vanishing(0.98)),
    (
        "first layer's gradient × 10⁻⁷ from here on",
        InjectedFault::LayerVanishing(1e-7),
    ),
    (
        "norm and loss × e^±0.7 in turn",
        InjectedFault::Oscillation(0.7),
    ),
    (
        "norm and loss × e^±1.5 in turn",
        InjectedFault::Oscillation(1.5),
    ),
    ("entropy −1 nat", InjectedFault::EntropyDrop(1.0)),
    (
        "entropy −0.05 nats a step",
        InjectedFault::EntropyDecay(0.05),
    ),
    ("KL + 0.5 nats", InjectedFault::KlBlowUp(0.5)),
    ("KL 0 from here on", InjectedFault::KlCollapse),
    ("largest ratio × 300", InjectedFault::RatioExplosion(300.0)),
];

/// A fault of the robot's driving: its name, the change of the metrics, and the symptom to detect.
type DrivingFault = (&'static str, fn(&mut DrivingMetrics), Symptom);

const DRIVING_FAULTS: [DrivingFault; 3] = [
    (
        "spins in a third of the episodes",
        |metrics| metrics.spinning = Some(metrics.episodes / 3),
        Symptom::Spinning,
    ),
    (
        "is stuck in a third of the episodes",
        |metrics| metrics.stuck = Some(metrics.episodes / 3),
        Symptom::Freezing,
    ),
    (
        "jerk × 3",
        |metrics| metrics.jerk_mps3 = metrics.jerk_mps3.map(|jerk| 3.0 * jerk),
        Symptom::Jerk,
    ),
];

/// A lasting fault of a layer: its name, the change of the report, and the symptom to detect.
type LayerFault = (&'static str, fn(&mut LayerReport), Symptom);

const LAYER_FAULTS: [LayerFault; 2] = [
    (
        "six units in ten dormant from here on",
        |layer| layer.dormant = layer.dormant.map(|_| 0.6),
        Symptom::DeadUnits,
    ),
    (
        "six outputs in ten saturated from here on",
        |layer| layer.saturated = layer.saturated.map(|_| 0.6),
        Symptom::SaturatedUnits,
    ),
];

/// The parts of a run's log that the detectors read.
struct Log {
    name: String,
    network_layout: NetworkLayout,
    steps: Vec<UpdateReport>,
    iterations: Vec<IterationReport>,
    robot: Vec<DrivingMetrics>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let (thresholds, runs): (Vec<PathBuf>, Vec<PathBuf>) = std::env::args_os()
        .skip(1)
        .map(PathBuf::from)
        .partition(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        });
    if runs.is_empty() {
        return Err("name the runs to replay".into());
    }
    let config = match thresholds.first() {
        Some(path) => toml::from_str(&std::fs::read_to_string(path)?)?,
        None => HealthConfig::default(),
    };
    config.check()?;
    let logs = runs
        .iter()
        .map(|run| read(run))
        .collect::<Result<Vec<_>, _>>()?;
    false_alarms(&config, &logs);
    recall(&config, &logs);
    Ok(())
}

/// Reads the log in a run directory.
fn read(run: &Path) -> Result<Log, Box<dyn Error>> {
    let mut log = Log {
        name: run.display().to_string(),
        network_layout: NetworkLayout {
            action_dim: ACTION_DIM,
            ..NetworkLayout::default()
        },
        steps: Vec::new(),
        iterations: Vec::new(),
        robot: Vec::new(),
    };
    for event in read_events(&run.join("metrics.jsonl"))? {
        match event {
            Event::Step(step) => log.steps.push(step),
            Event::Iteration(iteration) => log.iterations.push(iteration),
            Event::Evaluation(evaluation) => log.robot.push(DrivingMetrics::of_evaluation(
                &evaluation.summary,
                evaluation.global_step,
                log.steps.last().map_or(0, |step| step.optimiser_step + 1),
            )),
            _ => {}
        }
    }
    if let Some(first) = log.iterations.first() {
        let names = first.layers.iter().map(|layer| layer.name.clone());
        log.network_layout.layers = names.collect();
    }
    Ok(log)
}

/// Prints the events that the detectors report on unchanged logs.
fn false_alarms(config: &HealthConfig, logs: &[Log]) {
    let mut events: Vec<HealthEvent> = Vec::new();
    println!("| run | optimiser steps | evaluations | events |\n|---|---|---|---|");
    for log in logs {
        let mut monitor = Monitor::new(config.clone(), log.network_layout.clone());
        let mut log_events = replay_log(config, &log.network_layout, &log.steps);
        for iteration in &log.iterations {
            log_events.extend(monitor.observe_iteration(iteration));
        }
        for metrics in &log.robot {
            log_events.extend(monitor.observe_robot(metrics));
        }
        println!(
            "| {} | {} | {} | {} |",
            log.name,
            log.steps.len(),
            log.robot.len(),
            log_events.len()
        );
        events.extend(log_events);
    }
    for event in &events {
        eprintln!("{event}");
    }
    let steps: usize = logs.iter().map(|log| log.steps.len()).sum();
    let reports: usize = logs.iter().map(|log| log.robot.len()).sum();
    println!("\n| symptom | events | per 1,000 | 95 % interval |\n|---|---|---|---|");
    for symptom in Symptom::ALL {
        let of_robot = [Symptom::Spinning, Symptom::Freezing, Symptom::Jerk].contains(&symptom);
        let total = if of_robot { reports } else { steps };
        let count = events
            .iter()
            .filter(|event| event.symptom == symptom)
            .count();
        let rate = wilson(count as u64, total as u64);
        println!(
            "| {symptom} | {count} | {:.2} | {:.2}–{:.2} |",
            1e3 * rate.value,
            1e3 * rate.low,
            1e3 * rate.high
        );
    }
}

/// Prints how many injected faults the detectors find.
fn recall(config: &HealthConfig, logs: &[Log]) {
    println!("\n| fault | symptom | injected | detected | mean delay, steps |");
    println!("|---|---|---|---|---|");
    for (name, fault) in FAULTS {
        let mut all = DetectorRecall::default();
        for log in logs {
            all.add(&measure_recall(
                config,
                &log.network_layout,
                &log.steps,
                fault,
                EVERY,
            ));
        }
        println!("| {name} | {} | {} |", fault.symptom(), cells(&all));
    }
    for (name, fault, symptom) in LAYER_FAULTS {
        let mut all = DetectorRecall::default();
        for log in logs {
            all.add(&layer_recall(config, log, fault, symptom));
        }
        println!("| {name} | {symptom} | {} |", cells(&all));
    }
    for (name, fault, symptom) in DRIVING_FAULTS {
        let mut all = DetectorRecall::default();
        for log in logs {
            all.add(&driving_recall(config, log, fault, symptom));
        }
        println!("| {name} | {symptom} | {} |", cells(&all));
    }
}

/// Formats the number of injected faults, the detected share, and the mean delay in steps.
fn cells(recall: &DetectorRecall) -> String {
    let dash = || String::from("–");
    let share = recall.detected_share();
    let share = share.map_or_else(dash, |share| format!("{:.1} %", 1e2 * share));
    let delay = recall.mean_delay_steps();
    let delay = delay.map_or_else(dash, |steps| format!("{steps:.0}"));
    format!("{} | {share} | {delay}", recall.injected)
}

/// Injects a lasting fault into all layers, starting at each iteration in turn. The starts are
/// independent of each other.
fn layer_recall(
    config: &HealthConfig,
    log: &Log,
    fault: fn(&mut LayerReport),
    symptom: Symptom,
) -> DetectorRecall {
    let mut monitor = Monitor::new(config.clone(), log.network_layout.clone());
    let mut recall = DetectorRecall::default();
    for window in log
        .iterations
        .windows(config.units.hold_iterations as usize)
    {
        let mut faulty = monitor.clone();
        let events = window.iter().flat_map(|report| {
            let mut report = report.clone();
            report.layers.iter_mut().for_each(fault);
            faulty.observe_iteration(&report)
        });
        let detected = events.filter(|event| event.symptom == symptom).count();
        let measured = |layer: &&LayerReport| match symptom {
            Symptom::DeadUnits => layer.dormant.is_some(),
            _ => layer.saturated.is_some(),
        };
        recall.injected += window[0].layers.iter().filter(measured).count() as u64;
        recall.detected += detected as u64;
        recall.delay_steps +=
            detected as u64 * (window[window.len() - 1].optimiser_step - window[0].optimiser_step);
        monitor.observe_iteration(&window[0]);
    }
    recall
}

/// Injects a fault into each report on driving in turn, once the monitor knows the recent level. The
/// faults are independent of each other.
fn driving_recall(
    config: &HealthConfig,
    log: &Log,
    fault: fn(&mut DrivingMetrics),
    symptom: Symptom,
) -> DetectorRecall {
    let mut monitor = Monitor::new(config.clone(), log.network_layout.clone());
    let mut recall = DetectorRecall::default();
    for (index, report) in log.robot.iter().enumerate() {
        if index >= config.robot.patience as usize {
            let mut faulty = *report;
            fault(&mut faulty);
            let events = monitor.clone().observe_robot(&faulty);
            recall.injected += 1;
            recall.detected += u64::from(events.iter().any(|event| event.symptom == symptom));
        }
        monitor.observe_robot(report);
    }
    recall
}
