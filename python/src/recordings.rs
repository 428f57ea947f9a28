//! Recordings as numpy arrays.

use std::path::PathBuf;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::arrays::{flat, shaped};
use crate::errors::{os_error, value_error};
use evenkeel_runs::recording::messages::{MoverState, RecordingHeader, RobotState, RobotStep};
use evenkeel_runs::recording::{RecordError, RecordedEpisode, RecordingReader};
use evenkeel_sim::env::Outcome;

/// Reads a recording. Returns its header (a dict), what is wrong with the file (phrases), and its
/// episodes (dicts of arrays: see `evenkeel.Episode`).
#[pyfunction]
pub(crate) fn read_recording(
    py: Python<'_>,
    path: PathBuf,
) -> PyResult<(Bound<'_, PyDict>, Vec<String>, Bound<'_, PyList>)> {
    let error = |error: RecordError| match error {
        RecordError::Io { .. } => os_error(error),
        error => value_error(error),
    };
    let mut reader = py.detach(|| RecordingReader::open(&path)).map_err(error)?;
    let header = reader.header().clone();
    let episodes = PyList::empty(py);
    while let Some(episode) = py.detach(|| reader.next_episode()).map_err(error)? {
        episodes.append(episode_arrays(py, &header, &episode)?)?;
    }
    Ok((header_dict(py, &header)?, reader.faults(), episodes))
}

fn header_dict<'py>(py: Python<'py>, header: &RecordingHeader) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let blocks = header.observation.iter();
    let blocks: Vec<_> = blocks
        .map(|block| (&block.name, block.first, block.length))
        .collect();
    let policy = header.policy.as_ref();
    dict.set_item("scenario", &header.scenario)?;
    dict.set_item("scenario_toml", &header.scenario_toml)?;
    dict.set_item("seed", header.seed)?;
    dict.set_item("split", &header.split)?;
    dict.set_item("env", header.env)?;
    dict.set_item("robots", header.robot_count())?;
    dict.set_item("control_step_secs", header.control_step_secs)?;
    dict.set_item("obs_blocks", blocks)?;
    dict.set_item("action_names", &header.actions)?;
    dict.set_item("reward_terms", &header.reward_terms)?;
    dict.set_item("policy", policy.map(|policy| &policy.name))?;
    dict.set_item("checkpoint", policy.map(|policy| &policy.checkpoint))?;
    dict.set_item("build", header.build.as_ref().map(ToString::to_string))?;
    Ok(dict)
}

fn episode_arrays<'py>(
    py: Python<'py>,
    header: &RecordingHeader,
    episode: &RecordedEpisode,
) -> PyResult<Bound<'py, PyDict>> {
    let (steps, robots) = (episode.length(), episode.robots);
    let obs_dim: u32 = header.observation.iter().map(|block| block.length).sum();
    let entries = |width: usize, of: fn(&RobotStep) -> &[f32]| {
        let rows = episode
            .steps
            .iter()
            .flat_map(|step| padded(of(step), width));
        shaped(py, rows.collect(), &[steps, robots, width])
    };
    let dict = PyDict::new(py);
    dict.set_item("episode", episode.begin.episode)?;
    let outcome = episode.episode_outcome().map(Outcome::name);
    dict.set_item("outcome", outcome)?;
    let outcomes: Vec<Option<&str>> = (0..robots)
        .map(|robot| {
            let last = episode.active_steps(robot).next_back()?;
            (!last.outcome.is_empty()).then_some(last.outcome.as_str())
        })
        .collect();
    dict.set_item("outcomes", outcomes)?;
    dict.set_item("damaged", episode.damaged)?;
    let acts = header.actions.len();
    dict.set_item("obs", entries(obs_dim as usize, |step| &step.observation)?)?;
    dict.set_item("action", entries(acts, |step| &step.action)?)?;
    dict.set_item("action_mean", entries(acts, |step| &step.action_mean)?)?;
    dict.set_item("action_std", entries(acts, |step| &step.action_std)?)?;
    let terms = header.reward_terms.len();
    dict.set_item("reward_terms", entries(terms, |step| &step.reward_terms)?)?;
    let per_robot = |of: fn(&RobotStep) -> f32| {
        let values = episode.steps.iter().map(of).collect();
        shaped(py, values, &[steps, robots])
    };
    dict.set_item("reward", per_robot(|step| step.reward)?)?;
    dict.set_item("value", per_robot(|step| step.value)?)?;
    let inactive = episode.steps.iter().map(|step| step.inactive).collect();
    dict.set_item("inactive", shaped(py, inactive, &[steps, robots])?)?;
    add_states(&dict, episode)?;
    let parameters = PyDict::new(py);
    for parameter in &episode.begin.sampled_parameters {
        parameters.set_item(&parameter.name, parameter.value)?;
    }
    dict.set_item("sampled_parameters", parameters)?;
    Ok(dict)
}

/// Adds the states before the first step and after each step.
fn add_states(dict: &Bound<'_, PyDict>, episode: &RecordedEpisode) -> PyResult<()> {
    let py = dict.py();
    let (times, robots) = (episode.length() + 1, episode.robots);
    let begin = &episode.begin;
    let others = begin.others.iter().map(Some);
    let mut states: Vec<Option<&RobotState>> = std::iter::once(begin.state.as_ref())
        .chain(others)
        .collect();
    states.resize(robots, None);
    states.extend(episode.steps.iter().map(|step| step.state.as_ref()));
    let numbers = |of: fn(&RobotState) -> Vec<f32>, width: usize| {
        let rows = states.iter();
        let rows = rows.flat_map(|state| padded(&state.map_or(Vec::new(), of), width));
        shaped(py, rows.collect(), &[times, robots, width])
    };
    let pose = |state: &RobotState| vec![state.x_m, state.y_m, state.heading_rad];
    let twist =
        |state: &RobotState| vec![state.speed_mps, state.side_speed_mps, state.turn_rate_radps];
    dict.set_item("pose", numbers(pose, 3)?)?;
    dict.set_item("twist", numbers(twist, 3)?)?;
    let clearances = states
        .iter()
        .map(|state| state.map_or(f32::NAN, |state| state.clearance_m));
    let clearances = shaped(py, clearances.collect(), &[times, robots])?;
    dict.set_item("clearance_m", clearances)?;
    let contacts = states
        .iter()
        .map(|state| state.is_some_and(|state| state.contact));
    dict.set_item("contact", shaped(py, contacts.collect(), &[times, robots])?)?;
    let first = states.iter().step_by(robots);
    let movers = states[0].map_or(0, |state| state.movers.len());
    let mover = |mover: &MoverState| {
        [
            mover.x_m,
            mover.y_m,
            mover.vx_mps,
            mover.vy_mps,
            mover.radius_m,
        ]
    };
    let mover_rows = first.flat_map(|state| {
        let state = state.iter().flat_map(|state| &state.movers);
        let numbers: Vec<f32> = state.flat_map(mover).collect();
        padded(&numbers, movers * 5)
    });
    let mover_rows = shaped(py, mover_rows.collect(), &[times, movers, 5])?;
    dict.set_item("movers", mover_rows)?;
    let beams = episode.scans.first().map_or(0, Vec::len);
    let missing = Vec::new();
    let scans = (0..times * robots).flat_map(|index| {
        let scan = episode.scans.get(index).unwrap_or(&missing);
        padded(scan, beams)
    });
    let scans = shaped(py, scans.collect(), &[times, robots, beams])?;
    dict.set_item("scan", scans)?;
    let steps = episode.steps.iter().step_by(robots);
    let hashes = std::iter::once(begin.state_hash).chain(steps.map(|step| step.state_hash));
    dict.set_item("state_hash", flat(py, hashes.collect()))
}

/// The first `width` numbers of `values`, with NaN for those that are missing.
fn padded(values: &[f32], width: usize) -> Vec<f32> {
    let mut row = values[..width.min(values.len())].to_vec();
    row.resize(width, f32::NAN);
    row
}
