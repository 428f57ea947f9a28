//! What one of everything costs: a layout, a scan, a step, a step of many.
//!
//!     cargo bench

use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use evenkeel::env::{NavEnv, StepBuffers, VecEnv, VectorEnv};
use evenkeel::scenario::{self, EpisodeKey, Layout, LayoutSampler, Scenario};
use evenkeel::seed::Split;
use evenkeel::sim::{Beams, Ranges, Scene, SensorPose};

fn shipped(name: &str) -> Arc<Scenario> {
    Arc::new(scenario::resolve(name, &[]).expect("shipped scenarios are valid"))
}

fn layout_and_scan(c: &mut Criterion) {
    let scenario = shipped("reference");
    let mut sampler = LayoutSampler::default();
    let mut layout = Layout::default();
    let mut episode = 0;
    c.bench_function("layout/reference", |b| {
        b.iter(|| {
            episode += 1;
            let key = EpisodeKey {
                root: 0,
                split: Split::Train,
                env: 0,
                episode,
            };
            sampler.sample(&scenario, key, &mut layout)
        });
    });
    let mut scene = Scene::default();
    scene.load(&layout);
    for count in [64, 256, 720] {
        let beams = Beams::new(count, std::f32::consts::TAU);
        let mut ranges = Ranges::new(&beams);
        let start = layout.robots[0].start;
        let pose = SensorPose {
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
        let mut env = NavEnv::new(shipped(name), 0, Split::Train, 0).expect("it can be placed");
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
        let mut vec = VecEnv::new(&scenario, 0, Split::Train, envs, 1).expect("it can be placed");
        let mut buffers = StepBuffers::new(envs, vec.obs_layout().dim());
        vec.reset(&mut buffers);
        let actions: Vec<f32> = (0..envs * 2).map(|i| (i as f32 * 0.7).sin()).collect();
        group.throughput(Throughput::Elements(envs as u64));
        group.bench_function(format!("{envs} environments"), |b| {
            b.iter(|| vec.step(&actions, &mut buffers));
        });
    }
}

criterion_group!(benches, layout_and_scan, step, vec_step);
criterion_main!(benches);
