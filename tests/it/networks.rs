//! Every kind of network in a whole run: acting and learning agree, a run resumes bit for bit on any
//! number of threads, and the tiny environment is learned.

use std::sync::Arc;

use evenkeel::config::Document;
use evenkeel::learn::{
    PolicyController, ReturnScaling, RunConfig, RunDefinition, RunOutcome, TinyEnv, TrainState,
    Trainer,
};
use evenkeel::nn::{
    ActionHead, Activation, CriticHead, GaussianSpec, GruSpec, HiddenBlock, HlGaussSpec, LidarConv,
    LogStdBound, LogStdRange, LstmSpec, NormLayer, RecurrentConfig, RecurrentGainSpec,
    RecurrentInit, RnnActivation, RnnSpec, TrunkSharing,
};
use evenkeel::scenario::{self};
use evenkeel::telemetry::UpdateReport;

use crate::helpers::overrides;
use crate::learning::{EventLog, run_controller_in, run_for, tiny_env};

/// Settings of each kind of network, by name.
pub(crate) fn network_configs() -> Vec<(&'static str, RunConfig)> {
    let rnn = |activation, recurrent_init| {
        RecurrentConfig::Rnn(RnnSpec {
            size: 12,
            activation,
            recurrent_init,
        })
    };
    let gru = RecurrentConfig::Gru(GruSpec {
        size: 12,
        ..GruSpec::default()
    });
    let lstm = RecurrentConfig::Lstm(LstmSpec {
        size: 12,
        ..LstmSpec::default()
    });
    let change = |name, change: &dyn Fn(&mut RunConfig)| {
        let mut config = config();
        change(&mut config);
        (name, config)
    };
    let memory = |name, memory| change(name, &move |c| c.policy.memory = Some(memory));
    let norm = |name, norm| change(name, &move |c| c.policy.norm = norm);
    let head = |name, head| change(name, &move |c| c.policy.head = head);
    let gaussian = |state_dependent_std| {
        ActionHead::Gaussian(GaussianSpec {
            state_dependent_std,
            log_std_bound: LogStdBound::Tanh(LogStdRange {
                min: -3.0,
                max: 0.5,
            }),
            ..GaussianSpec::default()
        })
    };
    vec![
        memory("rnn", rnn(RnnActivation::Tanh, RecurrentInit::default())),
        memory(
            "irnn",
            rnn(
                RnnActivation::Relu,
                RecurrentInit::Identity(RecurrentGainSpec { gain: 0.5 }),
            ),
        ),
        memory("gru", gru),
        memory("lstm", lstm),
        norm("layer norm", NormLayer::Layer),
        norm("rms norm", NormLayer::Rms),
        norm("batch norm", NormLayer::Batch),
        norm("sphere", NormLayer::Sphere),
        change("residual", &|c| c.policy.residual = true),
        change("spectral norm", &|c| c.policy.spectral_norm = true),
        change("concatenated rectifiers", &|c| {
            c.policy.activation = Activation::Crelu;
        }),
        change("simba", &|c| c.policy.block = HiddenBlock::Simba),
        head("bounded std", gaussian(false)),
        head("state-dependent std", gaussian(true)),
        head("beta", ActionHead::Beta),
        change("categorical critic", &|c| {
            c.policy.critic_head = CriticHead::HlGauss(HlGaussSpec::default());
            c.stability.normalise.returns = ReturnScaling::Symlog;
        }),
        change("shared trunk", &|c| c.policy.trunk = TrunkSharing::Shared),
        change("all at once", &|c| {
            c.policy.trunk = TrunkSharing::Shared;
            c.policy.memory = Some(gru);
            c.policy.norm = NormLayer::Batch;
            c.policy.residual = true;
            c.policy.spectral_norm = true;
            c.policy.head = ActionHead::Beta;
        }),
        change("simba with memory", &|c| {
            c.policy.block = HiddenBlock::Simba;
            c.policy.activation = Activation::Crelu;
            c.policy.lidar_conv = Some(circular_conv());
            c.policy.memory = Some(gru);
        }),
        change("lidar", &|c| c.policy.lidar_conv = Some(circular_conv())),
        change("lidar, all at once", &|c| {
            c.policy.lidar_conv = Some(circular_conv());
            c.policy.trunk = TrunkSharing::Shared;
            c.policy.memory = Some(gru);
            c.policy.norm = NormLayer::Batch;
            c.policy.spectral_norm = true;
        }),
    ]
}

/// Circular convolutions over the lidar beams of the tiny environment.
fn circular_conv() -> LidarConv {
    LidarConv {
        channels: vec![6, 4],
        kernel: 3,
        stride: 2,
    }
}

fn config() -> RunConfig {
    let mut config = RunConfig::default();
    config.train.num_envs = 64;
    config.train.horizon = 32;
    config.train.bptt_steps = 16;
    config.train.epochs = 4;
    config.train.learning_rate = 3e-3;
    config.train.threads = 1;
    config.train.total_steps = 4 * config.steps_per_iteration();
    config.policy.actor.hidden = vec![16, 16];
    config.policy.critic.hidden = vec![16, 16];
    config
}

fn trainer(config: &RunConfig) -> Trainer<TinyEnv> {
    let env = tiny_env(config, 6, config.train.num_envs as usize);
    Trainer::new(config, 6, env).unwrap()
}

fn run(trainer: &mut Trainer<TinyEnv>, stop_after: u64, folder: &std::path::Path) -> EventLog {
    let mut log = EventLog::default();
    let outcome = run_for(trainer, &mut log, Some(folder), stop_after);
    assert!(matches!(
        outcome,
        RunOutcome::Finished | RunOutcome::Stopped
    ));
    log
}

fn steps(log: &EventLog) -> Vec<UpdateReport> {
    log.steps().into_iter().cloned().collect()
}

#[test]
fn acting_and_learning_use_the_same_policy() {
    for (name, config) in network_configs() {
        let folder = tempfile::tempdir().unwrap();
        let mut trainer = trainer(&config);
        let steps = steps(&run(&mut trainer, 4, folder.path()));
        for first in steps.iter().step_by(4 * 4) {
            let ratio = first.ratio_max.unwrap();
            assert!((ratio - 1.0).abs() < 1e-4, "{name}: ratio {ratio}");
        }
        assert!(steps[15].ratio_max.unwrap() > 1.001, "{name} does not move");
        let length = if config.policy.memory.is_some() {
            16
        } else {
            0
        };
        assert!(
            steps
                .iter()
                .all(|step| step.hidden_grad_norms.len() == length)
        );
        assert_eq!(steps[0].hidden_grad_growth.is_some(), length > 0, "{name}");
    }
}

#[test]
fn every_network_resumes_bit_for_bit_on_any_number_of_threads() {
    for (name, config) in network_configs() {
        let [uninterrupted_folder, interrupted_folder] =
            [(); 2].map(|()| tempfile::tempdir().unwrap());
        let mut uninterrupted = trainer(&config);
        let uninterrupted_steps = steps(&run(&mut uninterrupted, 0, uninterrupted_folder.path()));
        let first = steps(&run(&mut trainer(&config), 2, interrupted_folder.path()));
        let checkpoint = TrainState::load(&interrupted_folder.path().join("last")).unwrap();
        let mut threaded = config.clone();
        threaded.train.threads = 3;
        let mut resumed =
            Trainer::resume(&threaded, &checkpoint, tiny_env(&config, 6, 64)).unwrap();
        let second = steps(&run(&mut resumed, 0, interrupted_folder.path()));
        assert_eq!([first, second].concat(), uninterrupted_steps, "{name}");
        assert_eq!(resumed.parameters(), uninterrupted.parameters(), "{name}");
        let (a, b) = (resumed.state(), uninterrupted.state());
        assert_eq!(a.hidden, b.hidden, "{name}");
        assert_eq!(a.buffers, b.buffers, "{name}");
    }
}

#[test]
fn every_network_learns_the_tiny_environment() {
    for (name, mut config) in network_configs() {
        let folder = tempfile::tempdir().unwrap();
        config.train.total_steps = 20 * config.steps_per_iteration();
        let mut trainer = trainer(&config);
        run(&mut trainer, 0, folder.path());
        let mut loaded = PolicyController::load(&folder.path().join("last")).unwrap();
        let success = run_controller_in(tiny_env(&config, 77, 50), &mut loaded)
            .success_rate()
            .unwrap_or(0.0);
        assert!(success > 0.95, "{name}: {success}");
    }
}

#[test]
fn convolutions_need_a_full_circle_scan() {
    let mut config = config();
    config.policy.lidar_conv = Some(circular_conv());
    let made = Trainer::new(&config, 6, TinyEnv::new(6, 64));
    assert_eq!(
        made.err().unwrap().to_string(),
        "`policy.lidar_conv` is set; it must be left out where observations have no block `lidar`"
    );
    let error_of = |changes: &[&str]| {
        let overrides = overrides(&[&["policy.lidar_conv={}"], changes].concat());
        let scenario = Arc::new(scenario::resolve("open_field", &overrides).unwrap());
        let no_arm = Document::parse("no arm", "").unwrap();
        let made = RunDefinition::new(scenario, &no_arm, &overrides, 1);
        made.err().map(|error| error.to_string())
    };
    assert_eq!(error_of(&[]), None);
    for (change, expected) in [
        (
            "robot.lidar.field_of_view_deg=180",
            "set `robot.lidar.field_of_view_deg` to 360",
        ),
        ("observation.blocks=['goal']", "no block `lidar`"),
        (
            "robot.lidar.beams=30",
            "a divisor of 15, the positions that convolution 1 reads",
        ),
        ("policy.lidar_conv.kernel=65", "at most 64"),
        ("policy.lidar_conv.kernel=4", "an odd number"),
    ] {
        let error = error_of(&[change]).expect(change);
        assert!(error.contains(expected), "{change}: {error}");
    }
}
