//! Where a recorded policy comes from: its identity, and the iteration of training that produced it,
//! from the log of its run.

use std::path::{Path, PathBuf};

use super::foxglove::LogLevel;
use super::messages::{OptimiserStep, PolicyIdentity, TrainingIteration};
use super::{RecordError, RecordingReader, RecordingWriter};
use crate::runs::{PolicySource, RunDir};
use crate::telemetry::{Event, HealthEvent, IterationReport, Severity, UpdateReport};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::RootSeed;

/// Name of the log messages about training.
pub const TRAINING_LOG_NAME: &str = "training";

impl PolicyIdentity {
    /// The identity of a policy. What cannot be read of a checkpoint is left out; loading it reports
    /// the error.
    pub fn of(source: &PolicySource, stochastic: bool) -> Self {
        let this = Self {
            name: source.name(),
            stochastic,
            ..Self::default()
        };
        let PolicySource::Checkpoint { path, .. } = source else {
            return this;
        };
        let name = path.file_name().unwrap_or_default();
        let weights = std::fs::read(path.join("policy.safetensors"));
        Self {
            checkpoint: name.to_string_lossy().into_owned(),
            global_step: global_step(path).unwrap_or_default(),
            weights_crc32c: weights.map_or(0, |bytes| crc32c::crc32c(&bytes)),
            ..this
        }
    }
}

/// Environment steps that the policy of a checkpoint has learned from.
fn global_step(checkpoint: &Path) -> Option<u64> {
    let text = std::fs::read(checkpoint.join("state.json")).ok()?;
    let state: serde_json::Value = serde_json::from_slice(&text).ok()?;
    state.get("global_step")?.as_u64()
}

/// The usual path of a recording of held-out episodes: in the folder `recordings` of the policy's run,
/// which may not exist yet, or in the current folder. The file's name identifies the recording:
/// scenario, policy and its training steps, the policy of the other robots, sampling, and seed.
pub fn recording_path(
    source: &PolicySource,
    others: Option<&PolicySource>,
    scenario: &Scenario,
    policy: &PolicyIdentity,
    seed: RootSeed,
) -> PathBuf {
    let sampling = if policy.stochastic {
        "__stochastic"
    } else {
        ""
    };
    let with_others = others.map_or(String::new(), |others| {
        format!("__with_{}", others.name().replace([':', '/', '\\'], "_"))
    });
    let (folder, name) = match source {
        PolicySource::Checkpoint { run: Some(run), .. } => (
            run.recordings_path(),
            format!("{}_{}", policy.checkpoint, policy.global_step),
        ),
        PolicySource::Checkpoint { run: None, .. } => (PathBuf::new(), policy.checkpoint.clone()),
        PolicySource::Planner(name) => (PathBuf::new(), name.clone()),
    };
    folder.join(format!(
        "{}__{name}{with_others}{sampling}__s{seed}.mcap",
        scenario.name
    ))
}

/// The recordings of a run, in the order of their policies' training steps, and the errors of those
/// that cannot be read.
///
/// # Errors
/// If the folder of the recordings cannot be read.
pub fn recordings_by_step(run: &RunDir) -> Result<(Vec<PathBuf>, Vec<RecordError>), RecordError> {
    let (mut by_step, mut unreadable) = (Vec::new(), Vec::new());
    for path in run.recordings().map_err(Box::new)? {
        match RecordingReader::open(&path) {
            Ok(reader) => {
                let policy = reader.header().policy.as_ref();
                by_step.push((policy.map_or(0, |policy| policy.global_step), path));
            }
            Err(error) => unreadable.push(error),
        }
    }
    by_step.sort();
    Ok((
        by_step.into_iter().map(|(_, path)| path).collect(),
        unreadable,
    ))
}

/// Writes an iteration of training and the detections in it.
///
/// # Errors
/// If the recording cannot be written.
pub fn write_iteration_with_events(
    writer: &mut RecordingWriter,
    iteration: &TrainingIteration,
    detections: &[HealthEvent],
) -> Result<(), RecordError> {
    writer.write_training(iteration)?;
    detections.iter().try_for_each(|event| {
        writer.log(event.severity.into(), TRAINING_LOG_NAME, &event.to_string())
    })
}

/// An iteration of training, and the detections in it.
pub type IterationWithEvents = (TrainingIteration, Vec<HealthEvent>);

/// The last iteration up to `global_step`, which produced the policy of that step; `None` if the
/// log has none.
pub fn iteration_with_events_at(events: &[Event], global_step: u64) -> Option<IterationWithEvents> {
    let mut found = iterations(events).rev();
    found
        .find(|iteration| iteration.global_step <= global_step)
        .map(|iteration| iteration_with_events(iteration, events))
}

/// The first iteration after `global_step`, which learned from the rollout of the policy of that
/// step; `None` if the log has none.
pub fn iteration_with_events_after(
    events: &[Event],
    global_step: u64,
) -> Option<IterationWithEvents> {
    let mut found = iterations(events);
    found
        .find(|iteration| iteration.global_step > global_step)
        .map(|iteration| iteration_with_events(iteration, events))
}

fn iterations(events: &[Event]) -> impl DoubleEndedIterator<Item = &IterationReport> {
    events.iter().filter_map(|event| match event {
        Event::Iteration(iteration) => Some(iteration),
        _ => None,
    })
}

fn iteration_with_events(iteration: &IterationReport, events: &[Event]) -> IterationWithEvents {
    let of_iteration = |event: &&Event| event.global_step() == iteration.global_step;
    let mut updates = Vec::new();
    let mut detections = Vec::new();
    for event in events.iter().filter(of_iteration) {
        match event {
            Event::Step(step) => updates.push(optimiser_step_message(step)),
            Event::Health(event) => detections.push(event.clone()),
            _ => {}
        }
    }
    (training_iteration(iteration, updates), detections)
}

fn training_iteration(
    iteration: &IterationReport,
    updates: Vec<OptimiserStep>,
) -> TrainingIteration {
    TrainingIteration {
        iteration: iteration.iteration,
        global_step: iteration.global_step,
        optimiser_step: iteration.optimiser_step,
        success_rate: number(iteration.success_rate),
        episodic_return: number(iteration.episodic_return),
        clip_share: iteration.clip_share,
        action_std: number(iteration.action_std),
        learning_rate: iteration.learning_rate,
        layers: iteration
            .layers
            .iter()
            .map(|layer| layer.name.clone())
            .collect(),
        updates,
    }
}

fn optimiser_step_message(step: &UpdateReport) -> OptimiserStep {
    let threshold = step.clip.iter().find_map(|stage| stage.threshold);
    let after = step
        .clip
        .last()
        .map_or(step.grad_norm, |stage| stage.norm_after);
    OptimiserStep {
        optimiser_step: step.optimiser_step,
        grad_norm: number(step.grad_norm),
        grad_norm_actor: number(step.grad_norm_actor),
        grad_norm_critic: number(step.grad_norm_critic),
        clipped_norm: number(after),
        clip_threshold: number(threshold),
        clipped: step.clipped(),
        update_ratio: number(step.update_ratio),
        policy_loss: number(step.policy_loss),
        value_loss: number(step.value_loss),
        entropy: number(step.entropy),
        approx_kl: number(step.approx_kl),
        layer_norms: step.layer_norms.iter().copied().map(number).collect(),
    }
}

/// What is missing in a log is NaN in a recording.
fn number(value: Option<f64>) -> f64 {
    value.unwrap_or(f64::NAN)
}

impl From<Severity> for LogLevel {
    fn from(severity: Severity) -> Self {
        match severity {
            Severity::Warning => Self::Warning,
            Severity::Critical => Self::Error,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use evenkeel_sim::scenario::resolve;

    #[test]
    fn the_name_of_a_recording_identifies_it() {
        let scenario = resolve("swap", &[]).unwrap();
        let planner = |name: &str| PolicySource::Planner(name.into());
        let name = |source: &PolicySource, others: Option<&PolicySource>, stochastic: bool| {
            let policy = PolicyIdentity::of(source, stochastic);
            recording_path(source, others, &scenario, &policy, 7)
        };
        assert_eq!(
            name(&planner("dwa"), None, false),
            Path::new("swap__dwa__s7.mcap")
        );
        assert_eq!(
            name(&planner("random"), Some(&planner("orca")), true),
            Path::new("swap__random__with_planner_orca__stochastic__s7.mcap")
        );
        let checkpoint = PolicySource::Checkpoint {
            path: "moved/best".into(),
            run: None,
        };
        assert_eq!(
            name(&checkpoint, None, false),
            Path::new("swap__best__s7.mcap")
        );
    }
}
