//! The interfaces between trainers or evaluations, environments and controllers. All buffers are
//! flat and owned by the caller. This file must not know the physics engine or a tensor library.

use std::sync::Arc;

use super::{LevelPlan, Outcome};
use crate::scenario::{Layout, Scenario};
use crate::sim::WorldSnapshot;

/// The named blocks of an observation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObsLayout {
    /// `(name, first index, length)`, in order, without gaps.
    pub blocks: Vec<(String, usize, usize)>,
}

impl ObsLayout {
    /// Length of an observation.
    pub fn dim(&self) -> usize {
        self.blocks
            .last()
            .map_or(0, |(_, first, length)| first + length)
    }

    /// Index range of a block, if the observation has it.
    pub fn block(&self, name: &str) -> Option<std::ops::Range<usize>> {
        self.blocks
            .iter()
            .find(|(block, _, _)| block == name)
            .map(|&(_, first, length)| first..first + length)
    }
}

/// Turns observations into actions: a trained policy, a classical planner, or a person.
///
/// Observations and actions are rows of flat buffers, `[rows, obs]` and `[rows, act]`; row `i` is
/// of environment `envs[i]`. Actions are in [-1, 1]; the environment clamps them. A controller sees
/// each robot of a world as an environment of its own.
pub trait Controller {
    /// Starts an episode in an environment: drops all state of the last one. `episode` identifies
    /// the episode and the robot: see [`NavEnv::episode_id`](super::NavEnv::episode_id).
    fn begin_episode(&mut self, env: usize, episode: u64);

    /// Whether [`Self::observe_world`] must be called before each [`Self::act`]. Planners that know
    /// the map return true, policies false.
    fn needs_world(&self) -> bool {
        false
    }

    /// Gives the state of an environment to a controller that [needs it](Self::needs_world): the
    /// episode's layout, and a snapshot of the world. `robot` is the index in these of the robot
    /// that the controller drives as environment `env`.
    fn observe_world(
        &mut self,
        _env: usize,
        _robot: usize,
        _layout: &Layout,
        _snapshot: &WorldSnapshot,
    ) {
    }

    /// Writes an action for each row: `[rows, obs]` to `[rows, act]`.
    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]);

    /// Predictions for each row, `[rows]`, for recordings; empty for a controller that makes none.
    /// Does not change the controller's state. Must be called before [`Self::act`] on the same
    /// rows.
    fn predict(&mut self, _envs: &[usize], _observations: &[f32]) -> Vec<PolicyPrediction> {
        Vec::new()
    }

    /// Whether actions are random, so that two rollouts of one episode differ.
    fn is_stochastic(&self) -> bool {
        false
    }

    /// Sets the rollout index of the episodes that start from now on; it is 0 at first. A
    /// stochastic controller draws other actions in each rollout.
    fn set_rollout(&mut self, _rollout: u64) {}
}

/// What a policy predicts from one observation. The default means that nothing is known.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyPrediction {
    /// `[act]`: means of the action distribution, before squashing; empty if unknown.
    pub mean: Vec<f32>,
    /// `[act]`: standard deviations of the action distribution; empty if unknown.
    pub std: Vec<f32>,
    /// The critic's value, in the units of the reward; NaN if unknown.
    pub value: f32,
}

impl Default for PolicyPrediction {
    fn default() -> Self {
        Self {
            mean: Vec::new(),
            std: Vec::new(),
            value: f32::NAN,
        }
    }
}

/// The buffers that one vector step writes, for `N` robots. The robots of one world are in adjacent
/// rows, and start their episodes together. Ended episodes are reset within the step.
#[derive(Debug, Default, Clone)]
pub struct StepBuffers {
    /// `[N, obs]`: the observation to act on next. If the episode ended in this step, it is the
    /// first of the next episode.
    pub obs: Vec<f32>,
    /// `[N]`: rewards of this step.
    pub reward: Vec<f32>,
    /// `[N]`: how the robot's part of the episode ended, if this step ended it.
    pub outcome: Vec<Option<Outcome>>,
    /// `[N]`: whether the robot's part has ended while other robots of its world go on. Its next
    /// actions are ignored, and its next steps must not be learned from.
    pub inactive: Vec<bool>,
    /// `[N, obs]`: the last observation of the robot's part. A row is valid only where `outcome` is
    /// set.
    pub final_obs: Vec<f32>,
}

impl StepBuffers {
    /// Buffers for `envs` robots with observations of length `obs_dim`, filled with zeros.
    pub fn new(envs: usize, obs_dim: usize) -> Self {
        Self {
            obs: vec![0.0; envs * obs_dim],
            reward: vec![0.0; envs],
            outcome: vec![None; envs],
            inactive: vec![false; envs],
            final_obs: vec![0.0; envs * obs_dim],
        }
    }
}

/// Many environments stepped together: what a learner trains on.
pub trait VectorEnv: Send {
    /// Number of robots, N.
    fn num_envs(&self) -> usize;

    /// Layout of one robot's observation.
    fn obs_layout(&self) -> &ObsLayout;

    /// Length of one robot's action.
    fn action_dim(&self) -> usize;

    /// Starts an episode in every environment and writes `buffers`.
    fn reset(&mut self, buffers: &mut StepBuffers);

    /// One control step in every environment: reads `actions`, `[N, act]`, and writes `buffers`.
    /// When the parts of all robots of a world have ended, its next episode starts within the same
    /// step.
    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers);

    /// Returns the statistics since the last call, and clears them.
    fn take_stats(&mut self) -> EpisodeStats;

    /// The state to continue from, one entry per world.
    fn state(&self) -> Vec<EnvState>;

    /// Takes the next episodes from a plan. The default does nothing, for environments without
    /// levels.
    fn set_level_plan(&mut self, _plan: &LevelPlan) {}

    /// The scenario of the levels; `None` for environments without levels.
    fn scenario(&self) -> Option<&Arc<Scenario>> {
        None
    }

    /// Restores a saved state by simulating it again, and writes `buffers`.
    ///
    /// # Errors
    /// If the state does not belong to these environments. The message says why.
    fn restore(&mut self, states: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String>;
}

/// The state of an environment: its episode and the actions taken so far. Simulating these again
/// restores it bit for bit.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EnvState {
    /// Number of the episode.
    pub episode: u64,
    /// `[steps, robots, act]`, flat.
    pub actions: Vec<f32>,
}

/// Sums over the episodes that ended within a span of training. The part of each robot counts as
/// one episode.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpisodeStats {
    /// Episodes that ended.
    pub episodes: u64,
    /// Ended episodes by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; 6],
    /// Sum of undiscounted returns.
    pub return_sum: f64,
    /// Sum of lengths in control steps.
    pub length_sum: u64,
    /// Sum of each named reward term over all steps, including those of running episodes.
    pub reward_terms: Vec<(&'static str, f64)>,
    /// Steps of active robots, over which `reward_terms` are summed.
    pub steps: u64,
    /// Episodes that started with a layout that was drawn again, because the first could not be
    /// placed.
    pub redrawn_layouts: u64,
}

impl EpisodeStats {
    /// Share of the ended episodes that reached the goal.
    pub fn success_rate(&self) -> Option<f64> {
        (self.episodes > 0).then(|| self.outcomes[0] as f64 / self.episodes as f64)
    }

    /// Mean return of the ended episodes.
    pub fn mean_return(&self) -> Option<f64> {
        (self.episodes > 0).then(|| self.return_sum / self.episodes as f64)
    }

    /// Mean length of the ended episodes, control steps.
    pub fn mean_length(&self) -> Option<f64> {
        (self.episodes > 0).then(|| self.length_sum as f64 / self.episodes as f64)
    }

    /// Counts one ended episode.
    pub fn record(&mut self, outcome: Outcome, episode_return: f64, length: u32) {
        self.episodes += 1;
        self.outcomes[outcome as usize] += 1;
        self.return_sum += episode_return;
        self.length_sum += u64::from(length);
    }

    /// Adds the sums of another span.
    pub fn merge(&mut self, other: &Self) {
        self.episodes += other.episodes;
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        self.return_sum += other.return_sum;
        self.length_sum += other.length_sum;
        self.steps += other.steps;
        self.redrawn_layouts += other.redrawn_layouts;
        for &(name, sum) in &other.reward_terms {
            match self.reward_terms.iter_mut().find(|(mine, _)| *mine == name) {
                Some((_, mine)) => *mine += sum,
                None => self.reward_terms.push((name, sum)),
            }
        }
    }
}
