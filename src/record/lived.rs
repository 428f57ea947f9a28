//! Records what an environment lived in one iteration of training. The actions that it was told
//! are known, so it is simulated again and written down: training itself is not touched.

use std::path::Path;
use std::sync::Arc;

use super::messages::{PolicyIdentity, Recording};
use super::play::{Population, Scribe, Thought};
use super::{RecordError, Writer, moment_after, tell};
use crate::env::{EnvState, LEVELS_OF, LevelPlan, Thoughts};
use crate::scenario::Scenario;
use crate::seed::{Root, Split};
use crate::telemetry::Event;

/// What an environment lived in one iteration: T control steps, in one episode or several.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Lived {
    /// Which environment of the training.
    pub env: u64,
    /// The iteration, counted from 1.
    pub iteration: u64,
    /// Environment steps that the policy had learnt from.
    pub global_step: u64,
    /// Where the environment stood before.
    pub before: EnvState,
    /// Which levels it went on to play; nothing where it played its own episodes in turn.
    pub levels: Option<LevelPlan>,
    /// `[T, act]`: what it was told to do.
    pub actions: Vec<f32>,
    /// What the policy thought before each step, T rows; means and deviations, or none.
    pub thoughts: Thoughts,
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
        ..Recording::of(scenario, policy, seed)
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
    let act = scribe.env.action_dim();
    let Thoughts { mean, std, value } = &lived.thoughts;
    let means = mean
        .chunks_exact(act)
        .map(Some)
        .chain(std::iter::repeat(None));
    let thoughts = means.zip(value).map(|(mean, &value)| Thought {
        mean: mean.unwrap_or_default().to_vec(),
        std: std.clone(),
        value: Some(value),
    });
    let earlier = lived.before.actions.chunks_exact(act);
    let earlier = earlier.map(|action| (action, Thought::default()));
    let steps = earlier.chain(lived.actions.chunks_exact(act).zip(thoughts));
    let mut episode = lived.before.episode;
    let mut ended = 0;
    let mut goes_on = false;
    for (action, thought) in steps {
        if !goes_on {
            scribe.env.reset(episode);
            scribe.begin()?;
        }
        scribe.observe();
        goes_on = scribe.step(action, thought)?.is_none();
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
