//! Synthetic run directories: plausible logs of a clipped, an unclipped and a raw arm, generated from
//! fixed random streams without training.

use std::path::Path;

use evenkeel::env::Outcome;
use evenkeel::eval::{CheckpointReference, EpisodeTrace, EvalReport, ObstacleOutline};
use evenkeel::lab::RunRecord;
use evenkeel::runs::{RunDir, RunInfo, RunStatus};
use evenkeel::seed::{self, Purpose, Rng, Split};
use evenkeel::stats::{Average, wilson};
use evenkeel::telemetry::{
    ClipReport, DivergedReport, DivergenceReason, DrivingQualitySummary, EvalSummary,
    EvaluationReport, Event, HealthEvent, IterationReport, JsonlSink, LayerReport, Severity,
    Sink as _, Symptom, SymptomLocation, UpdateReport, WallClockReport,
};
use rand::RngExt as _;

/// The behaviour of a synthetic arm.
#[derive(Clone, Copy)]
pub(crate) struct Arm {
    pub(crate) name: &'static str,
    pub(crate) final_success: f64,
    pub(crate) clip: Option<f64>,
    /// Seeds that diverge half-way through the run.
    pub(crate) diverges: &'static [u64],
    /// Seeds whose success collapses after three quarters of the run.
    pub(crate) collapses: &'static [u64],
    pub(crate) config: &'static str,
}

pub(crate) const CLIPPED: Arm = Arm {
    name: "clipped",
    final_success: 0.97,
    clip: Some(0.5),
    diverges: &[],
    collapses: &[],
    config: "[stability]\nclip = [{ global_norm = { max = 0.5 } }]\n\
             [stability.normalise]\nobservation = \"moments\"\nreturn = \"moments\"\n",
};
pub(crate) const UNCLIPPED: Arm = Arm {
    name: "unclipped",
    final_success: 0.965,
    clip: None,
    diverges: &[],
    collapses: &[],
    config: "[stability]\nclip = []\n\
             [stability.normalise]\nobservation = \"moments\"\nreturn = \"moments\"\n",
};
pub(crate) const RAW: Arm = Arm {
    name: "raw",
    final_success: 0.7,
    clip: None,
    diverges: &[2],
    collapses: &[4],
    config: "[stability]\nclip = []\n\
             [stability.normalise]\nobservation = \"off\"\nreturn = \"off\"\n",
};

/// Mean episodic return of random actions.
pub(crate) const RANDOM_RETURN: f64 = -11.5;

const ITERATIONS: u64 = 120;
const LAYERS: [&str; 4] = [
    "actor.0.weight",
    "actor.0.bias",
    "critic.0.weight",
    "critic.0.bias",
];
const STEPS_EACH: u64 = 8192;
const OPTIMISER_STEPS_EACH: u64 = 20;

/// Writes runs of these arms with seeds `1..=seeds` under `root`, and reads them back.
pub(crate) fn runs(root: &Path, arms: &[Arm], seeds: u64) -> Vec<RunRecord> {
    let mut records = Vec::new();
    for arm in arms {
        for seed in 1..=seeds {
            let run = write(root, *arm, seed);
            records.push(RunRecord::read(&run).expect("what was written can be read"));
        }
    }
    records
}

fn write(root: &Path, arm: Arm, seed: u64) -> RunDir {
    let mut info = RunInfo::begin(
        "reference",
        arm.name,
        seed,
        ITERATIONS * STEPS_EACH,
        Some("2.13.0".into()),
    );
    info.started = format!("2026-01-01T00:{seed:02}:00.000Z");
    info.command_line = vec!["evenkeel".into(), "compare".into(), "reference".into()];
    info.machine.cpu = Some("a processor".into());
    info.machine.cores = 2;
    info.wall_secs = 61.5;
    let run = RunDir::create(root, &format!("seed = {seed}\n{}", arm.config), &info).unwrap();
    let mut rng = seed::stream(seed, Split::Train, arm.name.len() as u64, 0, Purpose::Bench);
    let end = if arm.diverges.contains(&seed) {
        ITERATIONS / 2
    } else {
        ITERATIONS
    };
    let mut sink = JsonlSink::create(&run.metrics_path()).unwrap();
    for iteration in 1..=end {
        for event in iteration_events(arm, seed, iteration, &mut rng) {
            sink.record(&event).unwrap();
        }
    }
    info.global_step = end * STEPS_EACH;
    info.status = RunStatus::Finished;
    if end < ITERATIONS {
        info.status = RunStatus::Diverged;
        let diverged = DivergedReport {
            global_step: info.global_step,
            optimiser_step: end * OPTIMISER_STEPS_EACH,
            reason: DivergenceReason::NonFiniteGradient,
        };
        sink.record(&Event::Diverged(diverged)).unwrap();
        let random = EvalSummary {
            episodes: 1000,
            episodic_return: near(RANDOM_RETURN, 0.2),
            ..EvalSummary::default()
        };
        run.write_random_evaluation(&random).unwrap();
    }
    run.write_info(&info).unwrap();
    let success = success(arm, seed, ITERATIONS);
    let evaluation = evaluation(&run.name(), seed, success, &mut rng);
    run.write_evaluation(&evaluation).unwrap();
    if info.status == RunStatus::Finished {
        run.write_last_evaluation(&evaluation).unwrap();
    }
    run
}

/// An evaluation of a checkpoint with this success over 1000 episodes.
pub(crate) fn evaluation_of(checkpoint: &str, global_step: u64, success: f64) -> EvalReport {
    let mut rng = seed::stream(0, Split::Train, 0, 0, Purpose::Bench);
    EvalReport {
        checkpoint: Some(CheckpointReference {
            name: checkpoint.into(),
            global_step,
        }),
        ..evaluation("a run", 0, success, &mut rng)
    }
}

fn success(arm: Arm, seed: u64, iteration: u64) -> f64 {
    let progress = iteration as f64 / ITERATIONS as f64;
    if arm.collapses.contains(&seed) && progress > 0.75 {
        return 0.12;
    }
    let speed = 7.0 + seed as f64 * 0.4;
    let luck =
        seed::stream(seed, Split::Train, arm.name.len() as u64, 1, Purpose::Bench).random::<f64>();
    let level = arm.final_success - 0.05 * luck;
    level / (1.0 + (-speed * (progress - 0.35) * 2.0).exp())
}

fn iteration_events(arm: Arm, seed: u64, iteration: u64, rng: &mut Rng) -> Vec<Event> {
    let progress = iteration as f64 / ITERATIONS as f64;
    let global_step = iteration * STEPS_EACH;
    let level = success(arm, seed, iteration);
    let mut noise = |scale: f64| (rng.random::<f64>() - 0.5) * scale;
    let mut events = Vec::new();
    let mut clipped_steps = 0;
    let size = if arm.name == "raw" { 4.0 } else { 0.45 };
    for step in 0..OPTIMISER_STEPS_EACH {
        let optimiser_step = (iteration - 1) * OPTIMISER_STEPS_EACH + step;
        let spikes = noise(1.0) > 0.495;
        let spike = if spikes { 30.0 } else { 1.0 };
        let norm = size * (1.0 + noise(1.2)) * (1.3 - progress) * spike;
        let clip: Vec<ClipReport> = arm
            .clip
            .iter()
            .map(|&max| ClipReport {
                stage: "global_norm".into(),
                norm_before: Some(norm),
                norm_after: Some(norm.min(max)),
                acted: norm > max,
                bounds: true,
                threshold: Some(max),
            })
            .collect();
        clipped_steps += u64::from(clip.iter().any(|stage| stage.acted));
        events.push(Event::Step(UpdateReport {
            global_step,
            optimiser_step,
            grad_norm: Some(norm),
            layer_norms: LAYERS.iter().map(|_| Some(norm / 2.0)).collect(),
            clip,
            update_ratio: Some(0.002 * (1.1 - progress) * spike.sqrt()),
            update_cosine: Some(0.4),
            ..UpdateReport::default()
        }));
        if spikes && arm.name == "raw" {
            events.push(Event::Health(HealthEvent {
                global_step,
                optimiser_step,
                symptom: Symptom::GradientSpike,
                severity: Severity::Warning,
                location: SymptomLocation::Layer(LAYERS[2].into()),
                value: Some(norm),
                threshold: Some(norm / 6.0),
                advice: Symptom::GradientSpike.advice().into(),
            }));
        }
    }
    let mean = UpdateReport {
        global_step,
        grad_norm: Some(size),
        update_ratio: Some(0.002 * (1.1 - progress) * (1.0 + noise(0.3))),
        param_norm: Some(12.0 + progress),
        policy_loss: Some(-0.01 + noise(0.01)),
        value_loss: Some(0.4 * (1.2 - level) + noise(0.02)),
        entropy: Some(2.8 - 2.0 * progress + noise(0.1)),
        approx_kl: Some(0.008 + noise(0.006)),
        ratio_clip_share: Some(0.12 + noise(0.05)),
        ratio_max: Some(2.0),
        ..UpdateReport::default()
    };
    events.push(Event::Iteration(IterationReport {
        iteration,
        global_step,
        optimiser_step: iteration * OPTIMISER_STEPS_EACH,
        episodes: 80,
        success_rate: Some((level * 0.95 + noise(0.06)).clamp(0.0, 1.0)),
        episodic_return: Some(-12.0 + 28.0 * level + noise(1.5)),
        episodic_length: Some(180.0 - 60.0 * level),
        reward_terms: vec![("goal".into(), 0.1 * level)],
        learning_rate: 1e-3 * (1.0 - progress),
        explained_variance: Some((level * 0.9 + noise(0.1)).min(0.97)),
        action_std: Some(1.0 - 0.6 * progress),
        mean,
        clip_share: clipped_steps as f64 / OPTIMISER_STEPS_EACH as f64,
        layers: LAYERS.map(layer).to_vec(),
        epochs: 5,
        wall: WallClockReport {
            elapsed_secs: iteration as f64 * 0.5,
            ..WallClockReport::default()
        },
        ..IterationReport::default()
    }));
    if iteration.is_multiple_of(6) {
        events.push(Event::Evaluation(EvaluationReport {
            global_step,
            elapsed_secs: iteration as f64 * 0.5,
            summary: EvalSummary {
                episodes: 200,
                success: wilson((200.0 * (level + noise(0.04)).clamp(0.0, 1.0)) as u64, 200),
                driving_quality: Some(Box::new(driving_quality(level.clamp(0.0, 1.0)))),
                ..EvalSummary::default()
            },
            best: true,
        }));
    }
    events
}

fn layer(name: &str) -> LayerReport {
    LayerReport {
        name: name.into(),
        ..LayerReport::default()
    }
}

/// Driving quality of a policy with this success rate.
fn driving_quality(success: f64) -> DrivingQualitySummary {
    let share = |share: f64| wilson((share * 200.0) as u64, 200);
    DrivingQualitySummary {
        margin_m: 0.2,
        below_margin_secs: near(0.5, 0.1),
        proxemics: None,
        irregularity_radpm: None,
        irregularity_episodes: 0,
        stuck: share(0.5 * (1.0 - success)),
        spinning: share(0.3 * (1.0 - success)),
        oscillating: share(0.0),
        grazing: share(0.1),
    }
}

fn near(value: f64, half: f64) -> Average {
    Average {
        value,
        low: Some(value - half),
        high: Some(value + half),
    }
}

fn evaluation(policy: &str, seed: u64, success: f64, rng: &mut Rng) -> EvalReport {
    EvalReport {
        scenario: "reference".into(),
        policy: policy.into(),
        checkpoint: None,
        deterministic: true,
        seed: 0,
        summary: EvalSummary {
            episodes: 1000,
            success: wilson((success * 1000.0) as u64, 1000),
            spl: Some(near(success * 0.94, 0.01)),
            episodic_return: near(-12.0 + 28.0 * success, 0.3),
            ..EvalSummary::default()
        },
        robustness: None,
        episodes: Vec::new(),
        traces: (0..8)
            .map(|episode| trace(episode, seed, success, rng))
            .collect(),
    }
}

/// A curved path from start to goal. A policy with low success often stops on the way.
fn trace(episode: u64, seed: u64, success: f64, rng: &mut Rng) -> EpisodeTrace {
    let mut map = seed::stream(99, Split::Eval, 0, episode, Purpose::Layout);
    let mut coordinate = |low: f64, high: f64| (low + (high - low) * map.random::<f64>()) as f32;
    let start = [coordinate(0.6, 2.0), coordinate(0.6, 9.4)];
    let goal = [coordinate(8.0, 9.4), coordinate(0.6, 9.4)];
    let mut obstacles: Vec<ObstacleOutline> = (0..10)
        .map(|_| {
            ObstacleOutline::Disc([
                coordinate(2.5, 7.5),
                coordinate(0.6, 9.4),
                coordinate(0.15, 0.4),
            ])
        })
        .collect();
    obstacles.extend((0..10).map(|_| {
        let (x, y) = (coordinate(2.5, 7.5), coordinate(0.6, 9.4));
        let (w, h, yaw) = (
            coordinate(0.15, 0.4),
            coordinate(0.15, 0.4),
            coordinate(0.0, 3.0),
        );
        let corner = |sx: f32, sy: f32| {
            let (px, py) = (sx * w, sy * h);
            [
                x + px * yaw.cos() - py * yaw.sin(),
                y + px * yaw.sin() + py * yaw.cos(),
            ]
        };
        ObstacleOutline::Polygon(vec![
            corner(-1.0, -1.0),
            corner(1.0, -1.0),
            corner(1.0, 1.0),
            corner(-1.0, 1.0),
        ])
    }));
    let reaches = rng.random::<f64>() < success;
    let bulge = (rng.random::<f32>() - 0.5) * 3.0 + seed as f32 * 0.1;
    let share = if reaches {
        1.0
    } else {
        0.3 + 0.5 * rng.random::<f32>()
    };
    let steps = (140.0 * share) as usize;
    let at = |i: usize| {
        let t = i as f32 / 140.0;
        let swing = (t * std::f32::consts::PI).sin() * bulge;
        let (dx, dy) = (goal[0] - start[0], goal[1] - start[1]);
        let length = dx.hypot(dy);
        [
            (start[0] + t * dx - swing * dy / length).clamp(0.2, 9.8),
            (start[1] + t * dy + swing * dx / length).clamp(0.2, 9.8),
        ]
    };
    let poses = (0..=steps)
        .map(|i| {
            let ([x, y], [nx, ny]) = (at(i), at(i + 1));
            [x, y, (ny - y).atan2(nx - x)]
        })
        .collect();
    EpisodeTrace {
        episode,
        outcome: if reaches {
            Outcome::Goal
        } else {
            Outcome::CollisionStatic
        },
        dt_secs: 0.1,
        arena: [0.0, 0.0, 10.0, 10.0],
        obstacles,
        goal: [goal[0], goal[1], 0.3],
        alternative_goals: Vec::new(),
        robot_radius: 0.2,
        robot_footprint: Vec::new(),
        poses,
        mover_radii: vec![0.3],
        mover_positions: (0..=steps)
            .map(|i| vec![[1.0 + 0.05 * i as f32, 5.0]])
            .collect(),
    }
}
