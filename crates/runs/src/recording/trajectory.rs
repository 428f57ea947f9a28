//! Records what an environment did in one iteration of training. Its actions are known, so it is
//! simulated again and recorded; training itself is not touched.

use std::path::Path;
use std::sync::Arc;

use super::episodes::{EnvironmentId, record_step};
use super::messages::{BuildInfo, PolicyIdentity, RecordingHeader};
use super::{
    RecordError, RecordingWriter, iteration_with_events_after, write_iteration_with_events,
};
use crate::telemetry::Event;
use evenkeel_sim::env::{Trajectory, TrajectoryReplay};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::{RootSeed, Split};

/// Writes a recording to `path` and creates its folder: every episode that a trajectory has steps
/// of, from its beginning, and what `events` say about the updates made with the iteration.
///
/// Steps before the trajectory were taken by older policies, so their predictions are left out. The
/// last episode may have no end. The same trajectory gives the same file.
///
/// # Errors
/// If the recording cannot be written.
pub fn record_trajectory(
    path: &Path,
    scenario: &Arc<Scenario>,
    seed: RootSeed,
    run: &str,
    trajectory: &Trajectory,
    events: &[Event],
    build: BuildInfo,
) -> Result<(), RecordError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(RecordError::io(folder))?;
    }
    let policy = PolicyIdentity {
        name: run.to_owned(),
        global_step: trajectory.global_step,
        stochastic: true,
        ..PolicyIdentity::default()
    };
    let source = EnvironmentId {
        split: Split::Train,
        env: trajectory.sequence().population(),
    };
    let header = RecordingHeader {
        split: source.name().to_owned(),
        env: source.env,
        ..RecordingHeader::of(scenario, policy, seed, build)
    };
    let env = source.environment(scenario, seed)?;
    let mut writer = RecordingWriter::create(path, &header)?;
    if let Some((iteration, detections)) =
        iteration_with_events_after(events, trajectory.global_step)
    {
        write_iteration_with_events(&mut writer, &iteration, &detections)?;
    }
    let mut replay = TrajectoryReplay::new(env, trajectory);
    while replay.prepare() {
        let runner = replay.runner();
        if runner.env().steps() == 0 {
            writer.begin_episode(runner.env(), runner.snapshot())?;
        }
        let predictions = replay.step();
        record_step(&mut writer, replay.runner(), predictions)?;
    }
    writer.finish()?;
    Ok(())
}
