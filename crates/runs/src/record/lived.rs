//! Records what an environment lived in one iteration of training. The actions that it was told
//! are known, so it is simulated again and written down: training itself is not touched.

use std::path::Path;
use std::sync::Arc;

use super::messages::{Build, PolicyIdentity, Recording};
use super::play::{Population, Scribe};
use super::{RecordError, Writer, moment_after, tell};
use crate::telemetry::Event;
use evenkeel_sim::env::{Actor, EnvState, LEVELS_OF, LevelPlan, Thought};
use evenkeel_sim::scenario::Scenario;
use evenkeel_sim::seed::{Root, Split};

/// What an environment lived in one iteration: T control steps, in one episode or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lived {
    /// Which environment of the training: which world, where robots share one.
    pub env: u64,
    /// The iteration, counted from 1.
    pub iteration: u64,
    /// Environment steps that the policy had learnt from.
    pub global_step: u64,
    /// Where the environment stood before.
    pub before: EnvState,
    /// Which levels it went on to play; nothing where it played its own episodes in turn.
    pub levels: Option<LevelPlan>,
    /// `[T, robots, act]`: what it was told to do.
    pub actions: Vec<f32>,
    /// `[T, robots]`: what the policy thought before each step.
    pub thoughts: Vec<Thought>,
}

/// Writes a recording to `path`, the folder of which is made: every episode that the environment lived some of in the
/// iteration, from its beginning, with what `events` tell of how the iteration was learnt from. The
/// steps before the iteration are the work of older policies, whose thoughts are not known; the last
/// episode may have no end yet. The same iteration gives the same file.
///
/// # Errors
/// If the recording cannot be written.
pub fn record_lived(
    path: &Path,
    scenario: &Arc<Scenario>,
    seed: Root,
    run: &str,
    lived: &Lived,
    events: &[Event],
    build: Build,
) -> Result<(), RecordError> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(RecordError::io(folder))?;
    }
    let policy = PolicyIdentity {
        name: run.to_owned(),
        global_step: lived.global_step,
        stochastic: true,
        ..PolicyIdentity::default()
    };
    let population = Population {
        split: Split::Train,
        // Levels are environment 0's, whoever plays them.
        env: lived.levels.as_ref().map_or(lived.env, |_| LEVELS_OF),
    };
    let about = Recording {
        split: population.name().to_owned(),
        env: population.env,
        ..Recording::of(scenario, policy, seed, build)
    };
    let env = population.environment(scenario, seed)?;
    let mut writer = Writer::create(path, &about)?;
    if let Some((moment, seen)) = moment_after(events, lived.global_step) {
        tell(&mut writer, &moment, &seen)?;
    }
    relive(&mut Scribe::new(env, &mut writer), lived)?;
    writer.finish()?;
    Ok(())
}

/// Goes through it again.
fn relive(scribe: &mut Scribe, lived: &Lived) -> Result<(), RecordError> {
    let (robots, act) = (scribe.env.robot_count(), scribe.env.action_dim());
    let mut script = Script {
        act,
        actions: &[],
        thoughts: &[],
    };
    let earlier = lived.before.actions.chunks_exact(robots * act);
    let earlier = earlier.map(|actions| (actions, &[][..]));
    let own = lived.actions.chunks_exact(robots * act);
    let own = own.zip(lived.thoughts.chunks_exact(robots));
    let mut episode = lived.before.episode;
    let mut ended = 0;
    let mut goes_on = false;
    for (actions, thoughts) in earlier.chain(own) {
        (script.actions, script.thoughts) = (actions, thoughts);
        if !goes_on {
            scribe.env.reset(episode);
            scribe.begin(&mut script)?;
        }
        goes_on = scribe.step(&mut script)?.is_none();
        if !goes_on {
            episode = match &lived.levels {
                Some(plan) => plan.level(lived.env as usize, ended),
                None => episode + 1,
            };
            ended += 1;
        }
    }
    Ok(())
}

/// Does what was done.
struct Script<'a> {
    /// Length of an action.
    act: usize,
    /// `[robots, act]`: those of the step that comes next.
    actions: &'a [f32],
    /// `[robots]`: what was thought before it, or nothing.
    thoughts: &'a [Thought],
}

impl Actor for Script<'_> {
    fn begin_episode(&mut self, _: usize, _: u64) {}

    fn act(&mut self, envs: &[usize], _: &[f32], actions: &mut [f32]) {
        for (&robot, action) in envs.iter().zip(actions.chunks_exact_mut(self.act)) {
            action.copy_from_slice(&self.actions[robot * self.act..][..self.act]);
        }
    }

    fn think(&mut self, envs: &[usize], _: &[f32]) -> Vec<Thought> {
        let of = |&robot: &usize| self.thoughts.get(robot).cloned().unwrap_or_default();
        envs.iter().map(of).collect()
    }
}
