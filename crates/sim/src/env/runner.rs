//! The one way to play an episode in a single environment: evaluation, recording, replay, the
//! autopsy and the viewer step their environments through [`EpisodeRunner`]. Training steps many
//! environments at once through [`VecEnv`](super::VecEnv).

use super::{Controller, NavEnv, PolicyPrediction, StepResult};
use crate::scenario::PlacementError;
use crate::sim::WorldSnapshot;

/// An environment with the buffers of a control step.
///
/// The actions of a step come from the caller ([`Self::step`]) or from a controller
/// ([`Self::step_with`]), for which robot `i` is environment `i`. A robot is *active* until its
/// part of the episode has ended; inactive robots get no observation and no action.
pub struct EpisodeRunner {
    env: NavEnv,
    snapshot: WorldSnapshot,
    /// Robots that were active in the last call of [`Self::observe`].
    active: Vec<usize>,
    /// `[active, obs]`.
    observations: Vec<f32>,
    /// `[active, act]`.
    active_actions: Vec<f32>,
    /// `[robots, act]`.
    actions: Vec<f32>,
    /// `[robots]`; empty before the first step of an episode.
    results: Vec<StepResult>,
}

impl EpisodeRunner {
    /// Continues the episode that `env` is in.
    pub fn new(env: NavEnv) -> Self {
        let mut runner = Self {
            env,
            snapshot: WorldSnapshot::default(),
            active: Vec::new(),
            observations: Vec::new(),
            active_actions: Vec::new(),
            actions: Vec::new(),
            results: Vec::new(),
        };
        runner.enter_episode();
        runner
    }

    /// Starts an episode: see [`NavEnv::reset`].
    pub fn reset(&mut self, episode: u64) {
        self.env.reset(episode);
        self.enter_episode();
    }

    /// Starts an episode.
    ///
    /// # Errors
    /// If it cannot be placed; the environment must then be reset.
    pub fn try_reset(&mut self, episode: u64) -> Result<(), PlacementError> {
        self.env.try_reset(episode)?;
        self.enter_episode();
        Ok(())
    }

    fn enter_episode(&mut self) {
        self.env.snapshot(&mut self.snapshot);
        self.results.clear();
    }

    /// Tells a controller that every robot starts the current episode.
    pub fn begin_episode(&self, controller: &mut dyn Controller) {
        for robot in 0..self.env.robot_count() {
            controller.begin_episode(robot, self.env.episode_id(robot));
        }
    }

    /// Computes the observations of the active robots: see [`Self::observations`].
    pub fn observe(&mut self) {
        let (env, dim) = (&self.env, self.env.obs_layout().dim());
        let is_active = |&robot: &usize| env.outcome(robot).is_none();
        self.active.clear();
        self.active.extend((0..env.robot_count()).filter(is_active));
        self.observations.resize(self.active.len() * dim, 0.0);
        let rows = self.observations.chunks_exact_mut(dim);
        for (&robot, row) in self.active.iter().zip(rows) {
            env.observe_robot(robot, row);
        }
    }

    /// One control step with the given actions, `[robots, act]`; returns `[robots]`. See
    /// [`NavEnv::step_all`].
    pub fn step(&mut self, actions: &[f32]) -> &[StepResult] {
        self.actions.clear();
        self.actions.extend_from_slice(actions);
        self.apply_actions()
    }

    /// One control step with the actions of a controller; returns `[robots]`.
    pub fn step_with(&mut self, controller: &mut dyn Controller) -> &[StepResult] {
        self.observe();
        self.show_world(controller);
        self.act(controller)
    }

    /// As [`Self::step_with`]; returns `[robots]`: what the controller predicted before the step.
    pub fn step_and_predict(&mut self, controller: &mut dyn Controller) -> Vec<PolicyPrediction> {
        self.observe();
        self.show_world(controller);
        let mut predictions = vec![PolicyPrediction::default(); self.env.robot_count()];
        let of_active = controller.predict(&self.active, &self.observations);
        for (&robot, prediction) in self.active.iter().zip(of_active) {
            predictions[robot] = prediction;
        }
        self.act(controller);
        predictions
    }

    fn show_world(&self, controller: &mut dyn Controller) {
        if controller.needs_world() {
            for &robot in &self.active {
                controller.observe_world(robot, robot, self.env.layout(), &self.snapshot);
            }
        }
    }

    fn act(&mut self, controller: &mut dyn Controller) -> &[StepResult] {
        let act = self.env.action_dim();
        self.active_actions.resize(self.active.len() * act, 0.0);
        controller.act(&self.active, &self.observations, &mut self.active_actions);
        self.actions.clear();
        self.actions.resize(self.env.robot_count() * act, 0.0);
        let rows = self.active_actions.chunks_exact(act);
        for (&robot, row) in self.active.iter().zip(rows) {
            self.actions[robot * act..(robot + 1) * act].copy_from_slice(row);
        }
        self.apply_actions()
    }

    fn apply_actions(&mut self) -> &[StepResult] {
        self.results
            .resize(self.env.robot_count(), StepResult::INACTIVE);
        self.env.step_all(&self.actions, &mut self.results);
        self.env.snapshot(&mut self.snapshot);
        &self.results
    }

    /// The environment.
    pub fn env(&self) -> &NavEnv {
        &self.env
    }

    /// The world after the last step.
    pub fn snapshot(&self) -> &WorldSnapshot {
        &self.snapshot
    }

    /// The robots that were active in the last [`Self::observe`], and their observations
    /// `[active, obs]`.
    pub fn observations(&self) -> (&[usize], &[f32]) {
        (&self.active, &self.observations)
    }

    /// `[robots, act]`: the actions of the last step. Those of inactive robots mean nothing.
    pub fn actions(&self) -> &[f32] {
        &self.actions
    }

    /// `[robots]`: the results of the last step; empty before the first step of an episode.
    pub fn results(&self) -> &[StepResult] {
        &self.results
    }
}
