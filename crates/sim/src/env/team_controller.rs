//! Two controllers in one world: one for the first robot, one for the others.

use super::{Controller, PolicyPrediction};
use crate::scenario::Layout;
use crate::sim::WorldSnapshot;

/// Stands between the names of the two controllers in the name of a team.
pub const TEAM_SEPARATOR: &str = " among ";

/// Controls the first robot of every world with one controller and the other robots with another.
/// As in evaluations, each robot is an environment: environment `i` is robot `i % robots` of its
/// world.
pub struct TeamController {
    first: Box<dyn Controller + Send>,
    others: Box<dyn Controller + Send>,
    robots: usize,
}

/// The rows of one of the two controllers.
struct MemberRows<'a> {
    member: &'a mut (dyn Controller + Send),
    /// Indices among all rows.
    rows: Vec<usize>,
    /// `[rows]`: their environments.
    envs: Vec<usize>,
    /// `[rows, obs]`.
    observations: Vec<f32>,
}

impl TeamController {
    /// A controller for worlds with `robots` robots.
    pub fn new(
        first: Box<dyn Controller + Send>,
        others: Box<dyn Controller + Send>,
        robots: usize,
    ) -> Self {
        Self {
            first,
            others,
            robots,
        }
    }

    /// Splits rows between the two controllers. A controller without rows is left out.
    fn split_rows(
        &mut self,
        envs: &[usize],
        observations: &[f32],
    ) -> impl Iterator<Item = MemberRows<'_>> {
        let dim = observations.len() / envs.len().max(1);
        let robots = self.robots;
        let mut members =
            [(&mut self.first, true), (&mut self.others, false)].map(|(member, is_first)| {
                MemberRows {
                    member: &mut **member,
                    rows: (0..envs.len())
                        .filter(|&row| envs[row].is_multiple_of(robots) == is_first)
                        .collect(),
                    envs: Vec::new(),
                    observations: Vec::new(),
                }
            });
        for member in &mut members {
            member.envs = member.rows.iter().map(|&row| envs[row]).collect();
            let observations = member
                .rows
                .iter()
                .map(|&row| &observations[row * dim..][..dim]);
            member.observations = observations.collect::<Vec<_>>().concat();
        }
        members.into_iter().filter(|member| !member.rows.is_empty())
    }

    fn member(&mut self, env: usize) -> &mut dyn Controller {
        if env.is_multiple_of(self.robots) {
            &mut *self.first
        } else {
            &mut *self.others
        }
    }
}

impl Controller for TeamController {
    fn begin_episode(&mut self, env: usize, episode: u64) {
        self.member(env).begin_episode(env, episode);
    }

    fn needs_world(&self) -> bool {
        self.first.needs_world() || self.others.needs_world()
    }

    fn observe_world(
        &mut self,
        env: usize,
        robot: usize,
        layout: &Layout,
        snapshot: &WorldSnapshot,
    ) {
        let member = self.member(env);
        if member.needs_world() {
            member.observe_world(env, robot, layout, snapshot);
        }
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let act = actions.len() / envs.len().max(1);
        for own in self.split_rows(envs, observations) {
            let mut own_actions = vec![0.0; own.rows.len() * act];
            own.member
                .act(&own.envs, &own.observations, &mut own_actions);
            for (row, action) in own.rows.into_iter().zip(own_actions.chunks_exact(act)) {
                actions[row * act..(row + 1) * act].copy_from_slice(action);
            }
        }
    }

    fn predict(&mut self, envs: &[usize], observations: &[f32]) -> Vec<PolicyPrediction> {
        let mut predictions = vec![PolicyPrediction::default(); envs.len()];
        for own in self.split_rows(envs, observations) {
            let own_predictions = own.member.predict(&own.envs, &own.observations);
            for (row, prediction) in own.rows.into_iter().zip(own_predictions) {
                predictions[row] = prediction;
            }
        }
        predictions
    }

    fn is_stochastic(&self) -> bool {
        self.first.is_stochastic() || self.others.is_stochastic()
    }

    fn set_rollout(&mut self, rollout: u64) {
        self.first.set_rollout(rollout);
        self.others.set_rollout(rollout);
    }
}
