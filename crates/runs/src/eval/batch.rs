//! Plays held-out episodes in parallel: a fixed number of environments, one episode each, until all
//! are done. To the controller each robot is an environment.
//!
//! This loop is not [`EpisodeRunner::step_with`] because the controller acts once for the robots of
//! all environments, and because threads step them. Each environment is stepped by an
//! [`EpisodeRunner`] of its own, with the actions given.
//!
//! [`EpisodeRunner`]: evenkeel_sim::env::EpisodeRunner
//! [`EpisodeRunner::step_with`]: evenkeel_sim::env::EpisodeRunner::step_with

use std::ops::Range;
use std::sync::Arc;

use super::episode::{EvalEpisode, RobotResult};
use super::{EvalError, EvalOptions};
use evenkeel_sim::env::{
    Controller, NavEnv, WorkerPool, action_dim, episode_id, obs_layout, thread_count,
};
use evenkeel_sim::scenario::Scenario;

/// Environments stepped together. Constant, so that results depend on the episodes alone.
const PARALLEL_ENVS: usize = 64;

/// Environments in one task of the worker pool.
const ENVS_PER_TASK: usize = 8;

/// Plays all episodes. Returns the results in the order in which the episodes ended. `progress`
/// receives the number of ended episodes, each time that it changes.
///
/// # Errors
/// If an episode cannot be placed.
pub(super) fn run_episodes(
    scenario: &Arc<Scenario>,
    controller: &mut dyn Controller,
    options: &EvalOptions,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<RobotResult>, EvalError> {
    let dim = obs_layout(scenario).dim();
    // If threads cannot be started, this thread does all the work, with the same results.
    let mut worker_pool = WorkerPool::new(thread_count(options.threads))
        .or_else(|_| WorkerPool::new(1))
        .expect("a pool of one thread starts none");
    let mut batch = EpisodeBatch {
        tasks: batch_tasks(scenario, options, dim),
        dim,
        action_dim: action_dim(scenario),
        robots: scenario.spec.robot_count(),
        numbers: options.first..options.first + options.episodes,
        finished: Vec::with_capacity(options.episodes as usize),
        active_robots: Vec::new(),
        observations: Vec::new(),
        actions: Vec::new(),
    };
    let mut finished = 0;
    while batch.collect_and_start(controller)? {
        if batch.finished.len() > finished {
            finished = batch.finished.len();
            progress((finished / batch.robots.max(1)) as u64);
        }
        batch.act(controller);
        worker_pool.run(batch.tasks.iter_mut(), BatchTask::run_task);
    }
    Ok(batch.finished)
}

/// All slots, and the actions of one control step in them.
struct EpisodeBatch {
    tasks: Vec<BatchTask>,
    /// Length of an observation.
    dim: usize,
    /// Length of an action.
    action_dim: usize,
    /// Robots in an episode.
    robots: usize,
    /// Numbers of the episodes that have not started.
    numbers: Range<u64>,
    finished: Vec<RobotResult>,
    /// Robots that await an action, counted over the slots of all tasks.
    active_robots: Vec<usize>,
    /// `[active_robots, obs]`.
    observations: Vec<f32>,
    /// `[active_robots, act]`.
    actions: Vec<f32>,
}

impl EpisodeBatch {
    /// Takes the results of the last step and assigns the next episodes. Returns false if nothing is
    /// left to do.
    fn collect_and_start(&mut self, controller: &mut dyn Controller) -> Result<bool, EvalError> {
        self.active_robots.clear();
        self.observations.clear();
        let mut first_robots = (0..).step_by(self.robots);
        let mut starts_episode = false;
        let needs_world = controller.needs_world();
        for task in &mut self.tasks {
            let BatchTask { slots, obs, .. } = task;
            let observation = obs.chunks_exact(self.dim * self.robots);
            for ((slot, observation), first) in
                slots.iter_mut().zip(observation).zip(&mut first_robots)
            {
                match std::mem::replace(&mut slot.state, SlotState::Idle) {
                    SlotState::AwaitAction => {
                        let episode = slot.episode.as_ref();
                        let episode = episode.expect("an episode has started");
                        let observation = observation.chunks_exact(self.dim).enumerate();
                        for (robot, obs) in
                            observation.filter(|(robot, _)| !episode.is_inactive(*robot))
                        {
                            let env = first + robot;
                            if needs_world {
                                controller.observe_world(
                                    env,
                                    robot,
                                    episode.layout(),
                                    episode.snapshot(),
                                );
                            }
                            self.active_robots.push(env);
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
                            slot.state = SlotState::Start(number);
                            starts_episode = true;
                        }
                    }
                }
            }
        }
        Ok(starts_episode || !self.active_robots.is_empty())
    }

    /// Gets the actions of the active robots from the controller and gives them to the slots.
    fn act(&mut self, controller: &mut dyn Controller) {
        if self.active_robots.is_empty() {
            return;
        }
        self.actions
            .resize(self.active_robots.len() * self.action_dim, 0.0);
        controller.act(&self.active_robots, &self.observations, &mut self.actions);
        let rows = self.actions.chunks_exact(self.action_dim);
        let mut actions = self.active_robots.iter().zip(rows).peekable();
        let mut first_robots = (0..).step_by(self.robots);
        for task in &mut self.tasks {
            for (slot, first) in task.slots.iter_mut().zip(&mut first_robots) {
                let own = first..first + self.robots;
                while let Some((env, action)) = actions.next_if(|(env, _)| own.contains(env)) {
                    let entry = (env - first) * self.action_dim;
                    slot.actions[entry..entry + self.action_dim].copy_from_slice(action);
                    slot.state = SlotState::ApplyAction;
                }
            }
        }
    }
}

/// Slots that one thread steps.
struct BatchTask {
    scenario: Arc<Scenario>,
    options: Arc<EvalOptions>,
    slots: Vec<EpisodeSlot>,
    /// `[slots, robots, obs]`.
    obs: Vec<f32>,
}

/// An environment in which one episode after another is played.
struct EpisodeSlot {
    /// `None` before the first.
    episode: Option<EvalEpisode>,
    state: SlotState,
    /// `[robots, act]`; those of inactive robots mean nothing.
    actions: Vec<f32>,
}

/// What to do next in a slot, or its result.
enum SlotState {
    /// Nothing: there is no episode left.
    Idle,
    /// To start this episode.
    Start(u64),
    /// Actions are awaited.
    AwaitAction,
    /// To make a step with them.
    ApplyAction,
    /// The episode has ended; one result for each robot.
    Ended(Vec<RobotResult>),
    /// The episode could not be placed.
    Failed(Box<EvalError>),
}

/// All slots, in tasks of the worker pool.
fn batch_tasks(scenario: &Arc<Scenario>, options: &EvalOptions, dim: usize) -> Vec<BatchTask> {
    let options = Arc::new(options.clone());
    let together = PARALLEL_ENVS.min(options.episodes as usize);
    let robots = scenario.spec.robot_count();
    let task = |first: usize| {
        let count = ENVS_PER_TASK.min(together - first);
        let slot = || EpisodeSlot {
            episode: None,
            state: SlotState::Idle,
            actions: vec![0.0; robots * action_dim(scenario)],
        };
        BatchTask {
            scenario: scenario.clone(),
            options: options.clone(),
            slots: std::iter::repeat_with(slot).take(count).collect(),
            obs: vec![0.0; count * robots * dim],
        }
    };
    (0..together).step_by(ENVS_PER_TASK).map(task).collect()
}

impl BatchTask {
    /// Does in every slot what its state says.
    fn run_task(&mut self) {
        let width = self.obs.len() / self.slots.len();
        for (slot, obs) in self.slots.iter_mut().zip(self.obs.chunks_exact_mut(width)) {
            slot.state = match std::mem::replace(&mut slot.state, SlotState::Idle) {
                SlotState::Start(number) => {
                    match slot.begin(&self.scenario, number, &self.options) {
                        Ok(()) => SlotState::AwaitAction,
                        Err(error) => SlotState::Failed(Box::new(error)),
                    }
                }
                SlotState::ApplyAction => match slot.step() {
                    Some(ended) => SlotState::Ended(ended),
                    None => SlotState::AwaitAction,
                },
                other => other,
            };
            if let (SlotState::AwaitAction, Some(episode)) = (&slot.state, &slot.episode) {
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
        // Every slot plays the episodes of environment 0, so that an episode does not depend on its
        // slot.
        let env = NavEnv::new(scenario.clone(), options.seed, options.split, 0)
            .map_err(|reason| EvalError::unplaceable(scenario, options, 0, reason))?;
        self.episode = Some(EvalEpisode::begin(env, number, options)?);
        Ok(())
    }

    fn step(&mut self) -> Option<Vec<RobotResult>> {
        let episode = self.episode.as_mut();
        episode.expect("an episode has started").step(&self.actions)
    }
}
