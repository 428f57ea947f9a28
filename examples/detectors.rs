//! How good the detectors are on runs of one's own: false alarms where nothing is wrong, and what
//! they find of faults put into the same logs. `docs/detectors.md` shows what this prints.
//!
//!     cargo run --release --example detectors -- [THRESHOLDS.toml] RUN...
//!
//! The file of thresholds holds what differs from the defaults of `HealthConfig`.

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

/// A differential drive takes a speed and a turn rate.
const ACTION_DIM: usize = 2;
/// A fault is put in at every so many optimiser steps: no multiple of the steps of an iteration, so
/// that it meets first minibatches and late ones.
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

/// What befalls the robot, with the symptom that should be told of.
type Failing = (&'static str, fn(&mut DrivingMetrics), Symptom);

const FAILINGS: [Failing; 3] = [
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

/// What befalls a layer from an iteration on, with the symptom that should be told of.
type Wear = (&'static str, fn(&mut LayerReport), Symptom);

const WEAR: [Wear; 2] = [
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

/// What a run's log holds.
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
    found(&config, &logs);
    Ok(())
}

/// Reads the log in a run directory.
fn read(run: &Path) -> Result<Log, Box<dyn Error>> {
    let mut log = Log {
        name: run.display().to_string(),
        network_layout: NetworkLayout {
            action_dim: ACTION_DIM,
            layers: Vec::new(),
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

fn false_alarms(config: &HealthConfig, logs: &[Log]) {
    let mut events: Vec<HealthEvent> = Vec::new();
    println!("| run | optimiser steps | evaluations | events |\n|---|---|---|---|");
    for log in logs {
        let mut monitor = Monitor::new(config.clone(), log.network_layout.clone());
        let mut told = replay_log(config, &log.network_layout, &log.steps);
        for iteration in &log.iterations {
            told.extend(monitor.observe_iteration(iteration));
        }
        for metrics in &log.robot {
            told.extend(monitor.observe_robot(metrics));
        }
        println!(
            "| {} | {} | {} | {} |",
            log.name,
            log.steps.len(),
            log.robot.len(),
            told.len()
        );
        events.extend(told);
    }
    for event in &events {
        eprintln!("{event}");
    }
    let steps: usize = logs.iter().map(|log| log.steps.len()).sum();
    let reports: usize = logs.iter().map(|log| log.robot.len()).sum();
    println!("\n| symptom | events | per 1,000 | 95 % interval |\n|---|---|---|---|");
    for symptom in Symptom::ALL {
        let of_robot = [Symptom::Spinning, Symptom::Freezing, Symptom::Jerk].contains(&symptom);
        let of = if of_robot { reports } else { steps };
        let count = events
            .iter()
            .filter(|event| event.symptom == symptom)
            .count();
        let rate = wilson(count as u64, of as u64);
        println!(
            "| {symptom} | {count} | {:.2} | {:.2}–{:.2} |",
            1e3 * rate.value,
            1e3 * rate.low,
            1e3 * rate.high
        );
    }
}

fn found(config: &HealthConfig, logs: &[Log]) {
    println!("\n| fault | should be seen as | put in | found | steps until told |");
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
    for (name, wear, symptom) in WEAR {
        let mut all = DetectorRecall::default();
        for log in logs {
            all.add(&units_recall(config, log, wear, symptom));
        }
        println!("| {name} | {symptom} | {} |", cells(&all));
    }
    for (name, befall, symptom) in FAILINGS {
        let mut all = DetectorRecall::default();
        for log in logs {
            all.add(&robot_recall(config, log, befall, symptom));
        }
        println!("| {name} | {symptom} | {} |", cells(&all));
    }
}

/// How many were put in, how many of them were found, and after how many steps.
fn cells(recall: &DetectorRecall) -> String {
    let dash = || String::from("–");
    let share = recall.detected_share();
    let share = share.map_or_else(dash, |share| format!("{:.1} %", 1e2 * share));
    let delay = recall.mean_delay_steps();
    let delay = delay.map_or_else(dash, |steps| format!("{steps:.0}"));
    format!("{} | {share} | {delay}", recall.injected)
}

/// Lets every layer wear out from one iteration after another on, each as if it were the only one.
fn units_recall(
    config: &HealthConfig,
    log: &Log,
    wear: fn(&mut LayerReport),
    symptom: Symptom,
) -> DetectorRecall {
    let mut monitor = Monitor::new(config.clone(), log.network_layout.clone());
    let mut found = DetectorRecall::default();
    for window in log
        .iterations
        .windows(config.units.hold_iterations as usize)
    {
        let mut worn = monitor.clone();
        let told = window.iter().flat_map(|report| {
            let mut report = report.clone();
            report.layers.iter_mut().for_each(wear);
            worn.observe_iteration(&report)
        });
        let told = told.filter(|event| event.symptom == symptom).count();
        let measured = |layer: &&LayerReport| match symptom {
            Symptom::DeadUnits => layer.dormant.is_some(),
            _ => layer.saturated.is_some(),
        };
        found.injected += window[0].layers.iter().filter(measured).count() as u64;
        found.detected += told as u64;
        found.delay_steps +=
            told as u64 * (window[window.len() - 1].optimiser_step - window[0].optimiser_step);
        monitor.observe_iteration(&window[0]);
    }
    found
}

/// Lets the robot fail in one report after another, each as if it were the only one, once its
/// recent level is known.
fn robot_recall(
    config: &HealthConfig,
    log: &Log,
    befall: fn(&mut DrivingMetrics),
    symptom: Symptom,
) -> DetectorRecall {
    let mut monitor = Monitor::new(config.clone(), log.network_layout.clone());
    let mut found = DetectorRecall::default();
    for (index, report) in log.robot.iter().enumerate() {
        if index >= config.robot.patience as usize {
            let mut bad = *report;
            befall(&mut bad);
            let told = monitor.clone().observe_robot(&bad);
            found.injected += 1;
            found.detected += u64::from(told.iter().any(|event| event.symptom == symptom));
        }
        monitor.observe_robot(report);
    }
    found
}
