//! What a trainer or an evaluation asks of an environment, and what an environment asks of
//! whoever drives the robot. Flat buffers owned by the caller; no engine, no tensor library.

use std::sync::Arc;

use super::{LevelPlan, Outcome};
use crate::scenario::{Layout, Scenario};
use crate::sim::WorldSnapshot;

/// Where each block of an observation lies, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObsLayout {
    /// `(name, first, length)`, in order, without gaps.
    pub blocks: Vec<(String, usize, usize)>,
}

impl ObsLayout {
    /// Total length of an observation.
    pub fn dim(&self) -> usize {
        self.blocks
            .last()
            .map_or(0, |(_, first, length)| first + length)
    }

    /// The range of a block, if the observation has it.
    pub fn block(&self, name: &str) -> Option<std::ops::Range<usize>> {
        self.blocks
            .iter()
            .find(|(block, _, _)| block == name)
            .map(|&(_, first, length)| first..first + length)
    }
}

/// Whoever chooses actions: a trained policy, a classical planner, a person.
///
/// Observations and actions are rows of flat buffers, `[rows, obs]` and `[rows, act]`, row `i`
/// belonging to environment `envs[i]`. Actions lie in [-1, 1]; the environment clamps. To an actor
/// each robot of a world is an environment of its own.
pub trait Controller {
    /// Forgets what it remembers of an environment, whose episode begins anew. `episode` is a
    /// number that no other episode has: see `NavEnv::part`.
    fn begin_episode(&mut self, env: usize, episode: u64);

    /// Whether it is to be shown the world itself, and not the observation alone. Trained policies
    /// are not; a planner that knows the map is.
    fn needs_world(&self) -> bool {
        false
    }

    /// Shows one that [watches](Self::watches) how an environment stands, before each [`Self::act`]
    /// in it: what the episode began with, and where everything is now. `robot` says which of the
    /// robots there it drives.
    fn observe_world(
        &mut self,
        _env: usize,
        _robot: usize,
        _layout: &Layout,
        _frame: &WorldSnapshot,
    ) {
    }

    /// Chooses an action for each row.
    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]);

    /// What it thinks of each of these rows before it acts on them, for whoever records it; nothing
    /// at all of an actor without a distribution. Asking changes nothing.
    fn predict(&mut self, _envs: &[usize], _observations: &[f32]) -> Vec<PolicyPrediction> {
        Vec::new()
    }

    /// Whether it draws its actions, so that one episode may end in several ways.
    fn is_stochastic(&self) -> bool {
        false
    }

    /// Says which rollout of theirs the episodes are that begin from now on; without a word it is
    /// rollout 0. An actor that draws its actions draws others in each.
    fn set_rollout(&mut self, _rollout: u64) {}
}

/// What a policy thinks of an observation; by default what is thought by whoever thinks nothing.
#[derive(Clone, Debug, PartialEq)]
pub struct PolicyPrediction {
    /// `[act]`: mean of the distribution of each action, before squashing; empty where that is not
    /// known.
    pub mean: Vec<f32>,
    /// `[act]`: its standard deviation.
    pub std: Vec<f32>,
    /// The return that the critic expects, in the units of the reward; NaN where that is not known.
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

/// The buffers that one vector step fills, `N` robots, auto-reset within the step. The robots of
/// one world are neighbours; their episodes begin together.
#[derive(Debug, Default, Clone)]
pub struct StepBuffers {
    /// `[N, obs]`: the observation to act on next; after an end, the first of the new episode.
    pub obs: Vec<f32>,
    /// `[N]`.
    pub reward: Vec<f32>,
    /// `[N]`: how the episode ended in this step, if it did.
    pub outcome: Vec<Option<Outcome>>,
    /// `[N]`: whether the robot's part has ended and that of another of its world has not. What it
    /// does next is not looked at, and there is nothing to be learnt from it.
    pub inactive: Vec<bool>,
    /// `[N, obs]`: the last observation of the episode that ended; a row means something only
    /// where `outcome` is set.
    pub final_obs: Vec<f32>,
}

impl StepBuffers {
    /// Buffers for `envs` robots with observations of length `obs_dim`.
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

/// Many environments stepped together. What the learner trains on; tests have tiny ones.
pub trait VectorEnv: Send {
    /// Number of robots, N: that of environments, where each has one.
    fn num_envs(&self) -> usize;

    /// Layout of an observation.
    fn obs_layout(&self) -> &ObsLayout;

    /// Length of an action.
    fn action_dim(&self) -> usize;

    /// Starts an episode in every environment and fills `buffers.obs`.
    fn reset(&mut self, buffers: &mut StepBuffers);

    /// One control step in every environment; `actions` is `[N, act]`. An episode that has ended for
    /// all robots of its world is followed at once by the next: see [`StepBuffers`].
    fn step(&mut self, actions: &[f32], buffers: &mut StepBuffers);

    /// Takes the statistics of the episodes that ended since the last call.
    fn take_stats(&mut self) -> EpisodeStats;

    /// What is needed to continue from here, world by world: see [`EnvState`].
    fn state(&self) -> Vec<EnvState>;

    /// Plays as a plan says from the next episodes on, or from the state restored next. Left out
    /// where there are no levels.
    fn set_level_plan(&mut self, _plan: &LevelPlan) {}

    /// The scenario whose levels are played; nothing where there are no levels.
    fn scenario(&self) -> Option<&Arc<Scenario>> {
        None
    }

    /// Goes to a saved state by simulating it again, and fills `buffers.obs`.
    fn restore(&mut self, states: &[EnvState], buffers: &mut StepBuffers) -> Result<(), String>;
}

/// An environment's state: which episode it is in and the actions taken so far. Simulating them
/// again restores it bit for bit.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct EnvState {
    /// Episodes begun before this one.
    pub episode: u64,
    /// `[steps, robots, act]`, flat.
    pub actions: Vec<f32>,
}

/// Sums over the episodes that ended within some span of training, each robot's part counting as
/// one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EpisodeStats {
    /// Episodes that ended.
    pub episodes: u64,
    /// Ends by outcome, in the order of [`Outcome::ALL`].
    pub outcomes: [u64; 6],
    /// Sum of undiscounted returns.
    pub return_sum: f64,
    /// Sum of lengths in control steps.
    pub length_sum: u64,
    /// Sum of each named reward term over all steps (not just of ended episodes).
    pub reward_terms: Vec<(&'static str, f64)>,
    /// Steps that `reward_terms` covers: those of robots that do not wait.
    pub steps: u64,
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

    /// Adds another span. Term by term; the terms of both are the same or one has none.
    pub fn merge(&mut self, other: &Self) {
        self.episodes += other.episodes;
        for (mine, theirs) in self.outcomes.iter_mut().zip(other.outcomes) {
            *mine += theirs;
        }
        self.return_sum += other.return_sum;
        self.length_sum += other.length_sum;
        self.steps += other.steps;
        for &(name, sum) in &other.reward_terms {
            match self.reward_terms.iter_mut().find(|(mine, _)| *mine == name) {
                Some((_, mine)) => *mine += sum,
                None => self.reward_terms.push((name, sum)),
            }
        }
    }
}
