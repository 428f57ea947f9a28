//! Benchmarks of single operations: sampling a layout, a lidar scan, an environment step, a vector
//! step, the forward pass, an optimiser step and the detectors.
//!
//!     cargo bench

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use evenkeel::env::{NavEnv, StepBuffers, VecEnv, VectorEnv};
use evenkeel::health::{HealthConfig, Monitor, NetworkLayout, UpdateMetrics};
use evenkeel::scenario::{self, EpisodeKey, Layout, LayoutSampler, Scenario};
use evenkeel::seed::Split;
use evenkeel::sim::{Beams, Pose2, ScanReadings, Scene};

fn shipped(name: &str) -> Arc<Scenario> {
    Arc::new(scenario::resolve(name, &[]).expect("shipped scenarios are valid"))
}

fn layout_and_scan(c: &mut Criterion) {
    let scenario = shipped("reference");
    let mut sampler = LayoutSampler::default();
    let mut layout = Layout::default();
    let mut key = EpisodeKey {
        root: 0,
        split: Split::Train,
        env: 0,
        episode: 0,
    };
    let mut sample = || {
        key.episode += 1;
        sampler.sample(&scenario, key, &mut layout)
    };
    // The scans below need a layout, even if a filter skips the layout benchmark.
    sample().expect("a layout exists");
    c.bench_function("layout/reference", |b| b.iter(&mut sample));
    let mut scene = Scene::default();
    scene.load(&layout);
    for count in [64, 256, 720] {
        let beams = Beams::new(count, std::f32::consts::TAU);
        let mut ranges = ScanReadings::new(&beams);
        let start = layout.robots[0].start;
        let pose = Pose2 {
            x: start.x,
            y: start.y,
            cos: 1.0,
            sin: 0.0,
        };
        c.bench_function(&format!("scan/{count} beams"), |b| {
            b.iter(|| scene.sense(&beams, pose, 5.0, &mut ranges));
        });
    }
}

fn step(c: &mut Criterion) {
    for name in ["reference", "movers"] {
        let mut env = NavEnv::new(shipped(name), 0, Split::Train, 0).expect("a layout exists");
        c.bench_function(&format!("step/{name}"), |b| {
            b.iter(|| {
                if env.step(&[0.1, 0.3]).outcome.is_some() {
                    env.reset(env.episode() + 1);
                }
            });
        });
    }
}

fn vec_step(c: &mut Criterion) {
    let scenario = shipped("reference");
    let mut group = c.benchmark_group("vec_step");
    for envs in [64, 1024] {
        let mut vec = VecEnv::new(&scenario, 0, Split::Train, envs, 1).expect("a layout exists");
        let mut buffers = StepBuffers::new(envs, vec.obs_layout().dim());
        vec.reset(&mut buffers);
        let actions: Vec<f32> = (0..envs * 2).map(|i| (i as f32 * 0.7).sin()).collect();
        group.throughput(Throughput::Elements(envs as u64));
        group.bench_function(format!("{envs} environments"), |b| {
            b.iter(|| vec.step(&actions, &mut buffers));
        });
    }
}

#[cfg(feature = "learn")]
mod learning {
    use criterion::{Criterion, Throughput};
    use evenkeel::env::{Controller as _, VecEnv, VectorEnv as _};
    use evenkeel::learn::{
        KlPenaltyState, LearnerPool, Objective, RowLayout, RunConfig, Trainer, UpdateInput,
        UpdateRule, update,
    };
    use evenkeel::nn::Policy;
    use evenkeel::optim::{ClipStage, OptimiserState};
    use evenkeel::seed::Split;
    use tch::{Kind, Tensor};

    pub(crate) fn forward(c: &mut Criterion) {
        let mut config = RunConfig::default();
        let rows = 512;
        config.train.num_envs = rows;
        let scenario = super::shipped("reference");
        let envs =
            VecEnv::new(&scenario, 0, Split::Train, rows as usize, 1).expect("a layout exists");
        let dim = envs.obs_layout().dim();
        let mut controller = Trainer::new(&config, 0, envs)
            .expect("defaults work")
            .controller();
        let envs: Vec<usize> = (0..rows as usize).collect();
        let observations = vec![0.3; envs.len() * dim];
        let mut actions = vec![0.0; envs.len() * 2];
        let mut group = c.benchmark_group("forward");
        group.throughput(Throughput::Elements(u64::from(rows)));
        group.bench_function(format!("{rows} observations"), |b| {
            b.iter(|| controller.act(&envs, &observations, &mut actions));
        });
    }

    pub(crate) fn optimiser_step(c: &mut Criterion) {
        let config = RunConfig::default();
        let policy = Policy::new(&config.policy, 71, 2);
        let row_layout = RowLayout { obs: 71, action: 2 };
        let minibatch = config.steps_per_iteration() as usize / config.train.minibatches as usize;
        let numbers: Vec<f32> = (0..minibatch * row_layout.width())
            .map(|i| (i as f32 * 0.618).sin())
            .collect();
        let update_rule = UpdateRule::from(&config);
        let parameters = Tensor::from_slice(&policy.initial_parameters(0));
        let input = UpdateInput {
            global_step: 0,
            optimiser_step: 0,
            optimiser: OptimiserState::new(&update_rule.optimiser, &parameters),
            clip: update_rule
                .clip
                .iter()
                .map(ClipStage::initial_state)
                .collect(),
            initial_parameters: parameters.shallow_clone(),
            parameters,
            buffers: Tensor::from_slice(policy.initial_buffers()),
            sequences: None,
            rows: Tensor::from_slice(&numbers).view([-1, row_layout.width() as i64]),
            indices: Tensor::arange(minibatch as i64, (Kind::Int64, tch::Device::Cpu)),
            row_layout,
            objective: Objective::new(&config, KlPenaltyState::default()),
            learning_rate: 1e-3,
        };
        let mut group = c.benchmark_group("optimiser step");
        group.throughput(Throughput::Elements(minibatch as u64));
        for threads in [1, 2] {
            let workers = LearnerPool::new(threads, 1).expect("threads");
            group.bench_function(format!("{minibatch} samples, {threads} threads"), |b| {
                b.iter(|| {
                    update(&policy, &workers, &input, &update_rule).map(|applied| applied.report)
                });
            });
        }
    }
}

fn detectors(c: &mut Criterion) {
    let layers = ["actor", "critic"].into_iter().flat_map(|network| {
        let layers = [
            "0.weight", "0.bias", "1.weight", "1.bias", "2.weight", "2.bias",
        ];
        layers.map(|layer| format!("{network}.{layer}"))
    });
    let network_layout = NetworkLayout {
        action_dim: 2,
        layers: layers.collect(),
        ..NetworkLayout::default()
    };
    let metrics = UpdateMetrics {
        grad_norm: Some(0.5),
        grad_norm_actor: Some(0.4),
        grad_norm_critic: Some(0.3),
        update_ratio: Some(1e-3),
        value_loss: Some(0.2),
        entropy: Some(2.0),
        approx_kl: Some(0.005),
        ratio_max: Some(1.5),
        layer_norms: &[Some(0.1); 12],
        ..UpdateMetrics::default()
    };
    let mut monitor = Monitor::new(HealthConfig::default(), network_layout);
    c.bench_function("detectors/12 parameters", |b| {
        b.iter(|| monitor.observe(&metrics));
    });
}

criterion_group!(environments, layout_and_scan, step, vec_step, detectors);

#[cfg(feature = "learn")]
criterion_group!(learner, learning::forward, learning::optimiser_step);

#[cfg(feature = "learn")]
criterion_main!(environments, learner);
#[cfg(not(feature = "learn"))]
criterion_main!(environments);
