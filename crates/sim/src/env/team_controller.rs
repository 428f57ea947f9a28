//! Two actors in one world: one drives its first robot, the other the rest.

use super::{Controller, PolicyPrediction};
use crate::scenario::Layout;
use crate::sim::WorldSnapshot;

/// Drives the first robot of every world by one actor and all others by another. Environments are
/// counted robot by robot, as evaluations do: number `i` is robot `i % robots` of its world.
pub struct TeamController {
    first: Box<dyn Controller + Send>,
    others: Box<dyn Controller + Send>,
    robots: usize,
}

/// The rows of one of the two actors.
struct MemberRows<'a> {
    member: &'a mut (dyn Controller + Send),
    /// Which they are among all.
    rows: Vec<usize>,
    /// Their environments.
    envs: Vec<usize>,
    /// `[rows, obs]`.
    observations: Vec<f32>,
}

impl TeamController {
    /// For worlds of so many robots.
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

    /// Parts rows among the two; who has none is left out.
    fn split_rows(
        &mut self,
        envs: &[usize],
        observations: &[f32],
    ) -> impl Iterator<Item = MemberRows<'_>> {
        let dim = observations.len() / envs.len().max(1);
        let robots = self.robots;
        let mut shares =
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
        for share in &mut shares {
            share.envs = share.rows.iter().map(|&row| envs[row]).collect();
            let observations = share
                .rows
                .iter()
                .map(|&row| &observations[row * dim..][..dim]);
            share.observations = observations.collect::<Vec<_>>().concat();
        }
        shares.into_iter().filter(|share| !share.rows.is_empty())
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

    fn observe_world(&mut self, env: usize, robot: usize, layout: &Layout, frame: &WorldSnapshot) {
        let member = self.member(env);
        if member.needs_world() {
            member.observe_world(env, robot, layout, frame);
        }
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let act = actions.len() / envs.len().max(1);
        for share in self.split_rows(envs, observations) {
            let mut chosen = vec![0.0; share.rows.len() * act];
            let MemberRows {
                member,
                envs,
                observations,
                ..
            } = share;
            member.act(&envs, &observations, &mut chosen);
            for (row, chosen) in share.rows.into_iter().zip(chosen.chunks_exact(act)) {
                actions[row * act..(row + 1) * act].copy_from_slice(chosen);
            }
        }
    }

    fn predict(&mut self, envs: &[usize], observations: &[f32]) -> Vec<PolicyPrediction> {
        let mut predictions = vec![PolicyPrediction::default(); envs.len()];
        for share in self.split_rows(envs, observations) {
            let own = share.member.predict(&share.envs, &share.observations);
            for (row, prediction) in share.rows.into_iter().zip(own) {
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
