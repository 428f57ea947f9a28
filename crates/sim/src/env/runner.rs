//! An actor at the wheels of one environment: what it sees, asks for and gets in a control step.

use super::{Controller, NavEnv, StepResult};
use crate::sim::WorldSnapshot;

/// Drives all robots of an environment with one actor, to which robot `i` is environment `i`.
#[derive(Clone, Debug, Default)]
pub struct EpisodeRunner {
    /// Robots that do not wait.
    rows: Vec<usize>,
    /// `[rows, obs]`.
    observations: Vec<f32>,
    /// `[rows, act]`.
    chosen: Vec<f32>,
    /// `[robots, act]`; zeros for those that wait.
    actions: Vec<f32>,
    /// `[robots]`.
    steps: Vec<StepResult>,
}

impl EpisodeRunner {
    /// Tells the actor that the environment has begun an episode.
    pub fn reset(&mut self, env: &NavEnv, controller: &mut dyn Controller) {
        for robot in 0..env.robot_count() {
            controller.begin_episode(robot, env.episode_id(robot));
        }
    }

    /// Looks at what the actor is to act on next; `snapshot` is the environment's.
    pub fn observe(
        &mut self,
        env: &NavEnv,
        controller: &mut dyn Controller,
        frame: &WorldSnapshot,
    ) {
        let dim = env.obs_layout().dim();
        self.rows.clear();
        self.rows
            .extend((0..env.robot_count()).filter(|&robot| env.outcome(robot).is_none()));
        self.observations.resize(self.rows.len() * dim, 0.0);
        let seen = self.observations.chunks_exact_mut(dim);
        for (&robot, out) in self.rows.iter().zip(seen) {
            env.observe_robot(robot, out);
            if controller.needs_world() {
                controller.observe_world(robot, robot, env.layout(), frame);
            }
        }
    }

    /// Lets it act on what was looked at, and makes the step: `[robots]`.
    pub fn act(&mut self, env: &mut NavEnv, controller: &mut dyn Controller) -> &[StepResult] {
        let act = env.action_dim();
        self.chosen.resize(self.rows.len() * act, 0.0);
        controller.act(&self.rows, &self.observations, &mut self.chosen);
        self.actions.clear();
        self.actions.resize(env.robot_count() * act, 0.0);
        for (&robot, chosen) in self.rows.iter().zip(self.chosen.chunks_exact(act)) {
            self.actions[robot * act..(robot + 1) * act].copy_from_slice(chosen);
        }
        self.steps.resize(env.robot_count(), StepResult::INACTIVE);
        env.step_all(&self.actions, &mut self.steps);
        &self.steps
    }

    /// One control step of all robots: `[robots]`.
    pub fn step(
        &mut self,
        env: &mut NavEnv,
        controller: &mut dyn Controller,
        frame: &WorldSnapshot,
    ) -> &[StepResult] {
        self.observe(env, controller, frame);
        self.act(env, controller)
    }

    /// Robots that were looked at, and `[rows, obs]`: what they saw.
    pub fn observations(&self) -> (&[usize], &[f32]) {
        (&self.rows, &self.observations)
    }

    /// `[robots]`: what came of it.
    pub fn steps(&self) -> &[StepResult] {
        &self.steps
    }

    /// `[robots, act]`: what was asked for last.
    pub fn actions(&self) -> &[f32] {
        &self.actions
    }
}
