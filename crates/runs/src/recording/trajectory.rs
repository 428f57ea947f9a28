//! Records what an environment lived in one iteration of training. The actions that it was told
//! are known, so it is simulated again and written down: training itself is not touched.

use std::path::Path;
use std::sync::Arc;

use super::episodes::{EpisodeRecorder, EpisodeSource};
use super::messages::{BuildInfo, PolicyIdentity, RecordingHeader};
use super::{RecordError, RecordingWriter, training_context_after, write_training_context};
use crate::telemetry::Event;
use evenkeel_sim::env::{Controller, EnvState, LEVEL_ENV, LevelPlan, PolicyPrediction};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::{RootSeed, Split};

/// What an environment lived in one iteration: T control steps, in one episode or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trajectory {
    /// Which environment of the training: which world, where robots share one.
    pub env: u64,
    /// The iteration, counted from 1.
    pub iteration: u64,
    /// Environment steps that the policy had learnt from.
    pub global_step: u64,
    /// Where the environment stood before.
    pub initial_state: EnvState,
    /// Which levels it went on to play; nothing where it played its own episodes in turn.
    pub levels: Option<LevelPlan>,
    /// `[T, robots, act]`: what it was told to do.
    pub actions: Vec<f32>,
    /// `[T, robots]`: what the policy thought before each step.
    pub policy_outputs: Vec<PolicyPrediction>,
}

/// Writes a recording to `path`, the folder of which is made: every episode that the environment lived some of in the
/// iteration, from its beginning, with what `events` tell of how the iteration was learnt from. The
/// steps before the iteration are the work of older policies, whose thoughts are not known; the last
/// episode may have no end yet. The same iteration gives the same file.
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
    let source = EpisodeSource {
        split: Split::Train,
        // Levels are environment 0's, whoever plays them.
        env: trajectory
            .levels
            .as_ref()
            .map_or(trajectory.env, |_| LEVEL_ENV),
    };
    let about = RecordingHeader {
        split: source.name().to_owned(),
        env: source.env,
        ..RecordingHeader::of(scenario, policy, seed, build)
    };
    let env = source.environment(scenario, seed)?;
    let mut writer = RecordingWriter::create(path, &about)?;
    if let Some((moment, seen)) = training_context_after(events, trajectory.global_step) {
        write_training_context(&mut writer, &moment, &seen)?;
    }
    replay_trajectory(&mut EpisodeRecorder::new(env, &mut writer), trajectory)?;
    writer.finish()?;
    Ok(())
}

/// Goes through it again.
fn replay_trajectory(
    recorder: &mut EpisodeRecorder,
    trajectory: &Trajectory,
) -> Result<(), RecordError> {
    let (robots, act) = (recorder.env.robot_count(), recorder.env.action_dim());
    let mut controller = ReplayController {
        act,
        actions: &[],
        policy_outputs: &[],
    };
    let earlier = trajectory.initial_state.actions.chunks_exact(robots * act);
    let earlier = earlier.map(|actions| (actions, &[][..]));
    let own = trajectory.actions.chunks_exact(robots * act);
    let own = own.zip(trajectory.policy_outputs.chunks_exact(robots));
    let mut episode = trajectory.initial_state.episode;
    let mut ended = 0;
    let mut goes_on = false;
    for (actions, policy_outputs) in earlier.chain(own) {
        (controller.actions, controller.policy_outputs) = (actions, policy_outputs);
        if !goes_on {
            recorder.env.reset(episode);
            recorder.begin(&mut controller)?;
        }
        goes_on = recorder.step(&mut controller)?.is_none();
        if !goes_on {
            episode = match &trajectory.levels {
                Some(plan) => plan.level(trajectory.env as usize, ended),
                None => episode + 1,
            };
            ended += 1;
        }
    }
    Ok(())
}

/// Does what was done.
struct ReplayController<'a> {
    /// Length of an action.
    act: usize,
    /// `[robots, act]`: those of the step that comes next.
    actions: &'a [f32],
    /// `[robots]`: what was thought before it, or nothing.
    policy_outputs: &'a [PolicyPrediction],
}

impl Controller for ReplayController<'_> {
    fn begin_episode(&mut self, _: usize, _: u64) {}

    fn act(&mut self, envs: &[usize], _: &[f32], actions: &mut [f32]) {
        for (&robot, action) in envs.iter().zip(actions.chunks_exact_mut(self.act)) {
            action.copy_from_slice(&self.actions[robot * self.act..][..self.act]);
        }
    }

    fn predict(&mut self, envs: &[usize], _: &[f32]) -> Vec<PolicyPrediction> {
        let of = |&robot: &usize| self.policy_outputs.get(robot).cloned().unwrap_or_default();
        envs.iter().map(of).collect()
    }
}
