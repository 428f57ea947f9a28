//! Plays a recording again and compares: the same build on any machine must come to the same bits.

use std::fmt;
use std::sync::Arc;

use super::RecordError;
use super::messages::{Step, outcome};
use super::play::Population;
use super::reader::{Episode, Reader};
use crate::env::NavEnv;
use crate::scenario::Scenario;

/// Where a recording and what this build makes of it part.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Difference {
    /// Number of the episode.
    pub episode: u64,
    /// The first step that differs, from 1; 0 is the episode's beginning.
    pub step: u32,
    /// What differs there.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Self {
            episode,
            step,
            what,
        } = self;
        match step {
            0 => write!(f, "episode {episode} begins otherwise: {what}"),
            _ => write!(f, "episode {episode} differs from step {step} on: {what}"),
        }
    }
}

/// Plays a recording's episodes again. `told` hears of each, and where it parts from what was
/// recorded, if it does.
///
/// # Errors
/// If the recording cannot be read, or its scenario is none to this build.
pub fn verify(
    reader: &mut Reader,
    told: &mut dyn FnMut(&Episode, Option<Difference>),
) -> Result<(), RecordError> {
    let mut env = reader.environment()?;
    while let Some(episode) = reader.next_episode()? {
        env.reset(episode.begin.episode);
        told(&episode, replay(&mut env, &episode));
    }
    Ok(())
}

impl Reader {
    /// The environment that the episodes are of, at its first. Begun again there, an episode has the
    /// layout that it was recorded with.
    ///
    /// # Errors
    /// If the scenario is none to this build, or there is no such environment.
    pub fn environment(&self) -> Result<NavEnv, RecordError> {
        let about = self.about();
        let population = Population::of(about).ok_or_else(|| RecordError::Malformed {
            path: self.path().to_owned(),
            reason: format!(
                "episodes of the split {:?}, which there is none of",
                about.split
            ),
        })?;
        let file = format!("{} (scenario)", self.path().display());
        let scenario = Scenario::from_text(&about.scenario, &file, &about.scenario_toml, &[])?;
        population.environment(&Arc::new(scenario), about.seed)
    }
}

/// Plays an episode that has begun as it was recorded; returns where it goes otherwise.
fn replay(env: &mut NavEnv, episode: &Episode) -> Option<Difference> {
    let differs = |step: u32, what: &str| {
        Some(Difference {
            episode: episode.begin.episode,
            step,
            what: what.to_owned(),
        })
    };
    if env.state_hash() != episode.begin.state_hash {
        return differs(0, "the robot or a mover is elsewhere");
    }
    let mut observation = vec![0.0; env.obs_layout().dim()];
    for (index, recorded) in episode.steps.iter().enumerate() {
        env.observe(&mut observation);
        if !same_bits(&observation, &recorded.observation) {
            return differs(index as u32, "the robot sees something else");
        }
        if recorded.action.len() != env.action_dim() {
            return differs(recorded.step, "the action is another robot's");
        }
        let last = index + 1 == episode.steps.len();
        if let Some(what) = step_differs(env, recorded, last) {
            return differs(recorded.step, what);
        }
    }
    let last = episode.steps.last();
    let told = last.map(|step| (step.step, step.outcome.as_str()));
    match (&episode.end, told) {
        (Some(end), Some(told)) if told != (end.steps, end.outcome.as_str()) => {
            differs(told.0, "the recorded end is that of other steps")
        }
        _ => None,
    }
}

/// What goes otherwise in a step.
fn step_differs(env: &mut NavEnv, recorded: &Step, last: bool) -> Option<&'static str> {
    let step = env.step(&recorded.action);
    if env.state_hash() != recorded.state_hash {
        Some("the robot or a mover is elsewhere")
    } else if !same_bits(&step.terms, &recorded.reward_terms) {
        Some("the reward is another")
    } else if step.outcome != outcome(&recorded.outcome) {
        Some("the episode ends otherwise")
    } else if step.outcome.is_some() && !last {
        Some("the episode has ended, and the recording goes on")
    } else {
        None
    }
}

fn same_bits(one: &[f32], other: &[f32]) -> bool {
    one.len() == other.len()
        && one
            .iter()
            .zip(other)
            .all(|(a, b)| a.to_bits() == b.to_bits())
}
