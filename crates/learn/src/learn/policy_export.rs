//! A trained policy as an ONNX file: the observation normaliser, the actor, and the map from actions
//! to commands in one graph.

use serde_json::{Value, json};
use tch::Tensor;

use super::SavedPolicy;
use super::normaliser::{Normaliser, OBSERVATION_CLIP};
use crate::onnx::messages::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use crate::onnx::{Dimension, GraphBuilder, IR_VERSION, OPSET, ValueName};
use evenkeel_runs::proto::Message as _;
use evenkeel_sim::env::{GOAL_SCALE_M, LIDAR_HALF_M};
use evenkeel_sim::hash::fnv1a_64;
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::scenario::spec::CommandRange;

/// Why a policy cannot be exported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A limit of the drive is another number in each episode.
    #[error(
        "{key} of scenario '{scenario}' is drawn for each episode, so the commands have no scale; \
         give the robot's own limit with --set {key}=VALUE"
    )]
    RandomLimit {
        /// The key of the limit in the scenario.
        key: String,
        /// The scenario's name.
        scenario: String,
    },
    /// The policy was trained on other observations or actions than the scenario's.
    #[error("the policy does not fit scenario '{scenario}': {reason}")]
    OtherScenario {
        /// The scenario's name.
        scenario: String,
        /// What differs.
        reason: String,
    },
}

/// A policy as an ONNX file.
#[derive(Clone, Debug)]
pub struct OnnxPolicy {
    /// The file.
    pub bytes: Vec<u8>,
    /// `metadata_props` of the file, by name.
    pub metadata: Vec<(String, String)>,
}

/// Exports a policy for the robot of `scenario`, which is the one that it was trained with. `run`
/// names where the policy is from.
///
/// Inputs and outputs of the graph are floats; `batch` is any number of robots:
///
/// - `obs` `[batch, obs]`: raw observations, as [`VectorEnv`](evenkeel_sim::env::VectorEnv) gives
///   them;
/// - `actions` `[batch, act]`: commands in the units that the metadata say, such as m/s and rad/s;
/// - with a memory `h_in` and `h_out`, with an LSTM also `c_in` and `c_out`, `[1, batch, size]`.
///
/// # Errors
/// If the policy does not fit the scenario, or the limits of the drive are drawn for each episode.
pub fn export_onnx(
    saved: &SavedPolicy,
    scenario: &Scenario,
    run: &str,
) -> Result<OnnxPolicy, ExportError> {
    let header = &saved.header;
    let layout = evenkeel_sim::env::obs_layout(scenario);
    let action_dim = evenkeel_sim::env::action_dim(scenario);
    let name = &scenario.name;
    header
        .check_compatible(&layout, action_dim)
        .map_err(|error| ExportError::OtherScenario {
            scenario: name.clone(),
            reason: error.to_string(),
        })?;
    let commands = scenario.spec.robot[0].drive.commands();
    let commands = commands.map_err(|key| ExportError::RandomLimit {
        key,
        scenario: name.clone(),
    })?;

    let policy = header.policy();
    let parameters = Tensor::from_slice(&saved.parameters);
    let weights = policy.weights(&parameters, &Tensor::from_slice(&saved.buffers));
    let mut graph = GraphBuilder::default();
    let shape = |length: usize| [Dimension::Batch, Dimension::Fixed(length)];
    let doc = "raw observation; see the metadata `observation`";
    let obs = graph.input("obs", &shape(policy.obs_dim()), doc);
    let kind = header.config.stability.normalise.observation;
    let normaliser = Normaliser::new(kind, saved.observation.clone());
    let normalised = normalise(&mut graph, &normaliser, obs);
    let actions = tch::no_grad(|| policy.export(&mut graph, &weights, &normalised));
    let commanded = command(&mut graph, &commands, &actions);
    let doc = "commands; see the metadata `actions`";
    graph.output(&commanded, "actions", &shape(policy.action_dim()), doc);

    let metadata = metadata(saved, scenario, run, &commands);
    let entries = metadata.iter().map(|(key, value)| StringStringEntryProto {
        key: key.clone(),
        value: value.clone(),
    });
    let model = ModelProto {
        ir_version: IR_VERSION,
        producer_name: "evenkeel".to_owned(),
        producer_version: env!("CARGO_PKG_VERSION").to_owned(),
        doc_string: format!("Navigation policy of {run}, trained in scenario {name}"),
        graph: Some(graph.finish("policy")),
        opset_import: vec![OperatorSetIdProto {
            domain: String::new(),
            version: OPSET,
        }],
        metadata_props: entries.collect(),
    };
    let mut bytes = Vec::new();
    model.encode(&mut bytes);
    Ok(OnnxPolicy { bytes, metadata })
}

/// Adds the observation normaliser to a graph.
fn normalise(graph: &mut GraphBuilder, normaliser: &Normaliser, obs: ValueName) -> ValueName {
    let Some((mean, scale)) = normaliser.mean_and_scale() else {
        return obs;
    };
    let mean = graph.vector("normaliser.mean", mean);
    let scale = graph.vector("normaliser.scale", scale);
    let centred = graph.node("Sub", &[&obs, &mean], Vec::new());
    let scaled = graph.mul(&centred, &scale);
    let bound = f64::from(OBSERVATION_CLIP);
    let bounds = [-bound, bound].map(|bound| graph.scalar("normaliser.bound", bound));
    graph.node("Clip", &[&scaled, &bounds[0], &bounds[1]], Vec::new())
}

/// Adds the map from actions in [-1, 1] to commands to a graph.
fn command(graph: &mut GraphBuilder, commands: &[CommandRange], actions: &ValueName) -> ValueName {
    let halves = commands
        .iter()
        .map(|range| (range.high - range.low) as f32 / 2.0);
    let middles = commands
        .iter()
        .map(|range| (range.high + range.low) as f32 / 2.0);
    let scale = graph.vector("command.scale", &halves.collect::<Vec<_>>());
    let offset = graph.vector("command.offset", &middles.collect::<Vec<_>>());
    let scaled = graph.mul(actions, &scale);
    graph.add(&scaled, &offset)
}

/// What a robot needs to build the observation and to read the actions, as JSON by name.
fn metadata(
    saved: &SavedPolicy,
    scenario: &Scenario,
    run: &str,
    commands: &[CommandRange],
) -> Vec<(String, String)> {
    let header = &saved.header;
    let robot = &scenario.spec.robot[0];
    let lidar = &robot.lidar;
    let [first, last] = lidar.outer_bearings_rad();
    let sectors = scenario
        .spec
        .observation
        .lidar_sectors
        .unwrap_or(lidar.beams);
    let memory = header.config.policy.memory;
    let weights = saved
        .parameters
        .iter()
        .flat_map(|weight| weight.to_le_bytes());
    let text = |value: &str| value.to_owned();
    let entries = [
        ("format", text("1")),
        ("scenario", scenario.name.clone()),
        ("run", text(run)),
        ("seed", header.seed.to_string()),
        ("step", header.global_step.to_string()),
        ("weights_fnv1a_64", format!("{:016x}", fnv1a_64(weights))),
        ("evenkeel_version", text(env!("CARGO_PKG_VERSION"))),
        ("libtorch_version", text(crate::LIBTORCH_VERSION)),
        ("observation", observation(saved).to_string()),
        (
            "lidar",
            json!({
                "beams": lidar.beams,
                "sectors": sectors,
                "first_bearing_rad": first,
                "last_bearing_rad": last,
                "range_m": lidar.range_m,
                "position_m": lidar.position_m,
                "yaw_rad": lidar.yaw_rad,
            })
            .to_string(),
        ),
        (
            "control_step_secs",
            scenario.spec.task.control_step_secs.to_string(),
        ),
        (
            "goal_shown_secs",
            json!(scenario.spec.observation.goal_shown_secs).to_string(),
        ),
        ("drive", json!(robot.drive).to_string()),
        ("footprint", json!(robot.footprint).to_string()),
        ("actions", json!(commands).to_string()),
        (
            "memory",
            json!(memory.map(|memory| json!({ "kind": memory.name(), "size": memory.size() })))
                .to_string(),
        ),
    ];
    let entries = entries.into_iter();
    entries
        .map(|(key, value)| (format!("evenkeel.{key}"), value))
        .collect()
}

/// The blocks of an observation: where each is, and how its numbers follow from measurements. In the
/// formulas, `d` is a distance in metres and `b` a bearing in the robot's frame, radians
/// counter-clockwise from straight ahead.
fn observation(saved: &SavedPolicy) -> Value {
    let blocks = saved.header.obs_blocks.iter().map(|(name, first, length)| {
        let (kind, age) = name.split_once('.').unwrap_or((name, "0"));
        let formula = match kind {
            "lidar" => format!("d / (d + {LIDAR_HALF_M})"),
            "goal" => format!("d / {GOAL_SCALE_M}, cos b, sin b"),
            "path" => {
                format!(
                    "distance left / {GOAL_SCALE_M}, then cos b, sin b of points ahead on the path"
                )
            }
            "velocity" => "each speed of the wheels / its upper bound".to_owned(),
            "previous_action" => "the action before scaling to commands, -1 to 1".to_owned(),
            _ => String::new(),
        };
        json!({
            "name": kind,
            "control_steps_ago": age.parse::<u32>().unwrap_or(0),
            "first": first,
            "length": length,
            "formula": formula,
        })
    });
    Value::Array(blocks.collect())
}
