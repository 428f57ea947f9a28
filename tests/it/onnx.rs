//! Exported policies compute what evenkeel computes.

use std::sync::Arc;

use evenkeel::env::{Controller as _, action_dim, obs_layout};
use evenkeel::learn::{
    PolicyController, RunConfig, RunningMoments, SavedPolicy, TrainStateHeader, export_onnx,
};
use evenkeel::nn::{Activation, GruSpec, RecurrentConfig};
use evenkeel::recording::messages::{PolicyIdentity, RecordingHeader};
use evenkeel::recording::{HeldOutEpisodes, RecordingReader, RecordingWriter, record_episodes};
use evenkeel::scenario::spec::CommandRange;
use evenkeel::scenario::{self, Scenario};
use evenkeel::seed::{Purpose, Split, normal_pair, stream};

use crate::helpers::overrides;
use crate::networks::network_configs;
use crate::python::run_script;

/// Robots that drive at the same time, and control steps of each.
const ROWS: usize = 5;
const STEPS: usize = 200;

fn noise(seed: u64, count: usize) -> Vec<f32> {
    let mut rng = stream(seed, Split::Train, 0, 0, Purpose::Bench);
    (0..count).map(|_| normal_pair(&mut rng).0 as f32).collect()
}

/// A policy with random weights and a normaliser that changes what it reads.
fn saved_policy(config: &RunConfig, scenario: &Scenario) -> SavedPolicy {
    let header = TrainStateHeader {
        seed: 1,
        iteration: 1,
        global_step: 1000,
        optimiser_step: 1,
        initial_norm: 1.0,
        reward_max: 1.0,
        starts_from_policy: false,
        diverged: None,
        last_capture: None,
        best: None,
        obs_blocks: obs_layout(scenario).blocks,
        action_dim: action_dim(scenario),
        config: config.clone(),
    };
    let policy = header.policy();
    let mut parameters = policy.initial_parameters(1);
    let noise_of_weights = noise(2, parameters.len());
    for (weight, noise) in parameters.iter_mut().zip(noise_of_weights) {
        *weight += 0.1 * noise;
    }
    let spread = noise(3, policy.initial_buffers().len());
    let buffers = policy.initial_buffers().iter().zip(spread);
    let obs = policy.obs_dim();
    SavedPolicy {
        buffers: buffers
            .map(|(value, noise)| value + 0.1 * noise.abs())
            .collect(),
        observation: RunningMoments {
            count: 10.0,
            mean: noise(4, obs)
                .into_iter()
                .map(|mean| f64::from(mean) * 0.2)
                .collect(),
            squares: noise(5, obs)
                .into_iter()
                .map(|n| 10.0 * f64::from(n * n) * 4.0)
                .collect(),
        },
        header,
        parameters,
    }
}

/// The commands of an action.
fn commands(action: &[f32], ranges: &[CommandRange]) -> Vec<f64> {
    let entries = action.iter().zip(ranges);
    let command = |(&action, range): (&f32, &CommandRange)| {
        range.low + 0.5 * (f64::from(action) + 1.0) * (range.high - range.low)
    };
    entries.map(command).collect()
}

/// Writes the policy and what evenkeel makes of random observations.
fn write_case(folder: &std::path::Path, name: &str, config: &RunConfig, scenario: &Scenario) {
    let saved = saved_policy(config, scenario);
    let exported = export_onnx(&saved, scenario, "test").unwrap();
    let obs = saved.header.obs_layout().dim();
    let act = saved.header.action_dim;
    let mut controller = PolicyController::new(&saved);
    let envs: Vec<usize> = (0..ROWS).collect();
    for &env in &envs {
        controller.begin_episode(env, 0);
    }
    let ranges = scenario.spec.robot[0].drive.commands().unwrap();
    let (mut observations, mut all_commands) = (Vec::new(), Vec::new());
    for step in 0..STEPS {
        let rows = noise(100 + step as u64, ROWS * obs);
        let mut actions = vec![0.0; ROWS * act];
        controller.act(&envs, &rows, &mut actions);
        let rows_of_actions = actions.chunks_exact(act);
        all_commands.push(
            rows_of_actions
                .map(|row| commands(row, &ranges))
                .collect::<Vec<_>>(),
        );
        observations.push(
            rows.chunks_exact(obs)
                .map(<[f32]>::to_vec)
                .collect::<Vec<_>>(),
        );
    }
    let case = serde_json::json!({
        "memory": config.policy.memory.map(RecurrentConfig::name),
        "observations": observations,
        "commands": all_commands,
    });
    let file = folder.join(name.replace(' ', "_"));
    std::fs::write(file.with_extension("json"), case.to_string()).unwrap();
    std::fs::write(file.with_extension("onnx"), exported.bytes).unwrap();
}

#[test]
fn onnxruntime_computes_the_same_commands_for_every_kind_of_network() {
    let folder = tempfile::tempdir().unwrap();
    let scenario = scenario::resolve("open_field", &[]).unwrap();
    for (name, config) in network_configs() {
        write_case(folder.path(), name, &config, &scenario);
    }
    for activation in Activation::ALL {
        let mut config = RunConfig::default();
        config.policy.activation = activation;
        write_case(
            folder.path(),
            &format!("{activation:?}"),
            &config,
            &scenario,
        );
    }
    let packages = ["numpy", "onnx", "onnxruntime"];
    let Some(found) = run_script("check_onnx.py", &packages, &[folder.path()]) else {
        return;
    };
    assert!(
        found.contains("gru: ") && found.contains("simba: "),
        "{found}"
    );
}

#[test]
fn a_robot_gets_the_commands_of_a_recording_from_its_scans() {
    let folder = tempfile::tempdir().unwrap();
    let set = overrides(&[
        "robot.0.lidar={ beams=40, range_m=3.0, field_of_view_deg=270.0, yaw_rad=0.4 }",
        "observation={ blocks=[\"lidar\", \"goal\", \"velocity\", \"previous_action\"], stack=2, \
         lidar_sectors=20 }",
    ]);
    let scenario = Arc::new(scenario::resolve("reference", &set).unwrap());
    let mut config = RunConfig::default();
    config.policy.memory = Some(RecurrentConfig::Gru(GruSpec::default()));
    let saved = saved_policy(&config, &scenario);
    let exported = export_onnx(&saved, &scenario, "test").unwrap();
    std::fs::write(folder.path().join("policy.onnx"), exported.bytes).unwrap();

    let path = folder.path().join("a.mcap");
    let identity = PolicyIdentity::default();
    let header = RecordingHeader::of(&scenario, identity, 3, evenkeel::build());
    let mut writer = RecordingWriter::create(&path, &header).unwrap();
    let options = HeldOutEpisodes {
        episodes: 6,
        seed: 3,
    };
    let mut controller = PolicyController::new(&saved);
    record_episodes(
        &scenario,
        &mut controller,
        &options,
        &mut writer,
        &mut |_| true,
    )
    .unwrap();
    writer.finish().unwrap();

    let mut reader = RecordingReader::open(&path).unwrap();
    let ranges = scenario.spec.robot[0].drive.commands().unwrap();
    let mut episodes = Vec::new();
    while let Some(episode) = reader.next_episode().unwrap() {
        let before = std::iter::once(episode.begin.state.as_ref());
        let states = before.chain(episode.steps.iter().map(|step| step.state.as_ref()));
        let steps = episode.steps.iter().zip(&episode.scans).zip(states);
        let steps = steps.map(|((step, scan), state)| {
            let state = state.unwrap();
            serde_json::json!({
                "scan": scan,
                "twist": [state.speed_mps, state.turn_rate_radps],
                "observation": step.observation,
                "command": commands(&step.action, &ranges),
            })
        });
        episodes.push(steps.collect::<Vec<_>>());
    }
    let lidar = &scenario.spec.robot[0].lidar;
    let [first, last] = lidar.outer_bearings_rad();
    let recording = serde_json::json!({
        "first_rad": first,
        "last_rad": last,
        "range_m": lidar.range_m,
        "yaw_rad": lidar.yaw_rad,
        "goal_first": saved.header.obs_blocks[1].1,
        "episodes": episodes,
    });
    std::fs::write(folder.path().join("episodes.json"), recording.to_string()).unwrap();
    run_script(
        "check_robot.py",
        &["numpy", "onnxruntime"],
        &[folder.path()],
    );
}

#[test]
fn commands_need_limits_that_do_not_change() {
    let set = overrides(&["robot.0.drive.differential.max_speed_mps={uniform=[0.5,1.0]}"]);
    let scenario = scenario::resolve("open_field", &set).unwrap();
    let saved = saved_policy(&RunConfig::default(), &scenario);
    let error = export_onnx(&saved, &scenario, "test")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("robot.0.drive.differential.max_speed_mps") && error.contains("--set"),
        "{error}"
    );
}
