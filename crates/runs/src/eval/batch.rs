//! Held-out episodes played side by side: a fixed number of environments stepped together, one
//! episode each, until all are done. To the actor each robot in them is an environment.

use std::ops::Range;
use std::sync::Arc;

use super::episode::{EvalEpisode, RobotResult};
use super::{EvalError, EvalOptions};
use evenkeel_sim::env::{
    Controller, NavEnv, WorkerPool, action_dim, episode_id, obs_layout, thread_count,
};
use evenkeel_sim::scenario::Scenario;

/// Environments stepped together. A constant, so that figures depend on nothing but the episodes.
const PARALLEL_ENVS: usize = 64;

/// Environments that one thread takes at a time.
const ENVS_PER_TASK: usize = 8;

/// Plays all episodes; they come in the order in which they ended.
pub(super) fn run_episodes(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &EvalOptions,
) -> Result<Vec<RobotResult>, EvalError> {
    let dim = obs_layout(scenario).dim();
    let mut batch = EpisodeBatch {
        worker_pool: worker_pool(scenario, options, dim),
        dim,
        action_dim: action_dim(scenario),
        robots: scenario.spec.robot_count(),
        numbers: options.first..options.first + options.episodes,
        finished: Vec::with_capacity(options.episodes as usize),
        active_slots: Vec::new(),
        observations: Vec::new(),
        actions: Vec::new(),
    };
    while batch.collect_and_start(controller)? {
        batch.act(controller);
        batch.worker_pool.run();
    }
    Ok(batch.finished)
}

/// All places, between two rounds in which each takes its turn.
struct EpisodeBatch {
    worker_pool: WorkerPool<BatchTask>,
    /// Length of an observation.
    dim: usize,
    /// Length of an action.
    action_dim: usize,
    /// Robots in an episode.
    robots: usize,
    /// Episodes that have not begun.
    numbers: Range<u64>,
    finished: Vec<RobotResult>,
    /// Robots that await an action, counted over all places of all pieces.
    active_slots: Vec<usize>,
    /// `[active_slots, obs]`.
    observations: Vec<f32>,
    /// `[active_slots, act]`.
    actions: Vec<f32>,
}

impl EpisodeBatch {
    /// Takes what has come of the last round and begins what is next; false if nothing is left.
    fn collect_and_start(&mut self, controller: &mut dyn Controller) -> Result<bool, EvalError> {
        self.active_slots.clear();
        self.observations.clear();
        let mut slots = (0..).step_by(self.robots);
        let mut begins = false;
        let watches = controller.needs_world();
        for mut task in self.worker_pool.tasks() {
            let BatchTask {
                slots_of_task, obs, ..
            } = &mut *task;
            let observation = obs.chunks_exact(self.dim * self.robots);
            for ((episode_slot, observation), first) in
                slots_of_task.iter_mut().zip(observation).zip(&mut slots)
            {
                match std::mem::replace(&mut episode_slot.state, SlotState::Idle) {
                    SlotState::AwaitAction => {
                        let episode = episode_slot.episode.as_ref();
                        let episode = episode.expect("an episode has begun");
                        let observation = observation.chunks_exact(self.dim).enumerate();
                        for (robot, obs) in
                            observation.filter(|(robot, _)| !episode.is_inactive(*robot))
                        {
                            let slot = first + robot;
                            if watches {
                                controller.observe_world(
                                    slot,
                                    robot,
                                    episode.layout(),
                                    episode.snapshot(),
                                );
                            }
                            self.active_slots.push(slot);
                            self.observations.extend_from_slice(obs);
                        }
                    }
                    SlotState::Failed(error) => return Err(*error),
                    state => {
                        if let SlotState::Ended(ended) = state {
                            self.finished.extend(ended);
                        }
                        if let Some(number) = self.numbers.next() {
                            for robot in 0..self.robots {
                                let id = episode_id(number, robot, self.robots);
                                controller.begin_episode(first + robot, id);
                            }
                            episode_slot.state = SlotState::Start(number);
                            begins = true;
                        }
                    }
                }
            }
        }
        Ok(begins || !self.active_slots.is_empty())
    }

    /// Asks for the actions that are awaited and hands them out.
    fn act(&mut self, controller: &mut dyn Controller) {
        if self.active_slots.is_empty() {
            return;
        }
        self.actions
            .resize(self.active_slots.len() * self.action_dim, 0.0);
        controller.act(&self.active_slots, &self.observations, &mut self.actions);
        let rows = self.actions.chunks_exact(self.action_dim);
        let mut turns = self.active_slots.iter().zip(rows).peekable();
        let mut slots = (0..).step_by(self.robots);
        for mut task in self.worker_pool.tasks() {
            for (episode_slot, first) in task.slots_of_task.iter_mut().zip(&mut slots) {
                let own = first..first + self.robots;
                while let Some((slot, action)) = turns.next_if(|(slot, _)| own.contains(slot)) {
                    let entry = (slot - first) * self.action_dim;
                    episode_slot.actions[entry..entry + self.action_dim].copy_from_slice(action);
                    episode_slot.state = SlotState::ApplyAction;
                }
            }
        }
    }
}

/// A few places that one thread works on.
struct BatchTask {
    scenario: Arc<Scenario>,
    options: Arc<EvalOptions>,
    slots_of_task: Vec<EpisodeSlot>,
    /// `[slots_of_task, robots, obs]`.
    obs: Vec<f32>,
}

/// Where one episode after another is played.
struct EpisodeSlot {
    /// Absent before the first.
    episode: Option<EvalEpisode>,
    state: SlotState,
    /// `[robots, act]`: what is asked for; of those that wait it is not looked at.
    actions: Vec<f32>,
}

/// What is to be done in a place, or what has come of it.
enum SlotState {
    /// Nothing: there is no episode left.
    Idle,
    /// To begin this episode.
    Start(u64),
    /// Actions are awaited.
    AwaitAction,
    /// To take them.
    ApplyAction,
    /// The episode has ended: one for each robot.
    Ended(Vec<RobotResult>),
    /// The episode could not begin.
    Failed(Box<EvalError>),
}

/// As many places as are played together.
fn worker_pool(
    scenario: &Arc<Scenario>,
    options: &EvalOptions,
    dim: usize,
) -> WorkerPool<BatchTask> {
    let options = Arc::new(options.clone());
    let together = PARALLEL_ENVS.min(options.episodes as usize);
    let robots = scenario.spec.robot_count();
    let pieces = || {
        let task = |first: usize| {
            let count = ENVS_PER_TASK.min(together - first);
            let episode_slot = || EpisodeSlot {
                episode: None,
                state: SlotState::Idle,
                actions: vec![0.0; robots * action_dim(scenario)],
            };
            BatchTask {
                scenario: scenario.clone(),
                options: options.clone(),
                slots_of_task: std::iter::repeat_with(episode_slot).take(count).collect(),
                obs: vec![0.0; count * robots * dim],
            }
        };
        (0..together).step_by(ENVS_PER_TASK).map(task).collect()
    };
    // Without helpers all is done on this thread, with the same figures.
    WorkerPool::new(pieces(), thread_count(options.threads), BatchTask::run_task)
        .or_else(|_| WorkerPool::new(pieces(), 1, BatchTask::run_task))
        .expect("a crew of one needs no thread")
}

impl BatchTask {
    /// Takes every place's turn.
    fn run_task(&mut self) {
        let width = self.obs.len() / self.slots_of_task.len();
        for (episode_slot, obs) in self
            .slots_of_task
            .iter_mut()
            .zip(self.obs.chunks_exact_mut(width))
        {
            episode_slot.state = match std::mem::replace(&mut episode_slot.state, SlotState::Idle) {
                SlotState::Start(number) => {
                    match episode_slot.begin(&self.scenario, number, &self.options) {
                        Ok(()) => SlotState::AwaitAction,
                        Err(error) => SlotState::Failed(Box::new(error)),
                    }
                }
                SlotState::ApplyAction => match episode_slot.step() {
                    Some(ended) => SlotState::Ended(ended),
                    None => SlotState::AwaitAction,
                },
                other => other,
            };
            if let (SlotState::AwaitAction, Some(episode)) =
                (&episode_slot.state, &episode_slot.episode)
            {
                episode.observe(obs);
            }
        }
    }
}

impl EpisodeSlot {
    fn begin(
        &mut self,
        scenario: &Arc<Scenario>,
        number: u64,
        options: &EvalOptions,
    ) -> Result<(), EvalError> {
        if let Some(episode) = &mut self.episode {
            return episode.reset(number, options);
        }
        // Every place plays environment 0's episodes, so that an episode is the same whichever
        // place it falls to.
        let env = NavEnv::new(scenario.clone(), options.seed, options.split, 0)
            .map_err(|reason| EvalError::unplaceable(scenario, options, 0, reason))?;
        self.episode = Some(EvalEpisode::begin(env, number, options)?);
        Ok(())
    }

    fn step(&mut self) -> Option<Vec<RobotResult>> {
        let episode = self.episode.as_mut();
        episode.expect("an episode has begun").step(&self.actions)
    }
}
