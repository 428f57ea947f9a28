//! Two actors in one world: one drives its first robot, the other the rest.

use super::{Actor, Thought};
use crate::scenario::Layout;
use crate::sim::Frame;

/// Drives the first robot of every world by one actor and all others by another. Environments are
/// counted robot by robot, as evaluations do: number `i` is robot `i % robots` of its world.
pub struct Team {
    first: Box<dyn Actor + Send>,
    others: Box<dyn Actor + Send>,
    robots: usize,
}

/// The rows of one of the two actors.
struct Share<'a> {
    member: &'a mut (dyn Actor + Send),
    /// Which they are among all.
    rows: Vec<usize>,
    /// Their environments.
    envs: Vec<usize>,
    /// `[rows, obs]`.
    seen: Vec<f32>,
}

impl Team {
    /// For worlds of so many robots.
    pub fn new(first: Box<dyn Actor + Send>, others: Box<dyn Actor + Send>, robots: usize) -> Self {
        Self {
            first,
            others,
            robots,
        }
    }

    /// Parts rows among the two; who has none is left out.
    fn shares(&mut self, envs: &[usize], observations: &[f32]) -> impl Iterator<Item = Share<'_>> {
        let dim = observations.len() / envs.len().max(1);
        let robots = self.robots;
        let mut shares =
            [(&mut self.first, true), (&mut self.others, false)].map(|(member, is_first)| Share {
                member: &mut **member,
                rows: (0..envs.len())
                    .filter(|&row| envs[row].is_multiple_of(robots) == is_first)
                    .collect(),
                envs: Vec::new(),
                seen: Vec::new(),
            });
        for share in &mut shares {
            share.envs = share.rows.iter().map(|&row| envs[row]).collect();
            let seen = share
                .rows
                .iter()
                .map(|&row| &observations[row * dim..][..dim]);
            share.seen = seen.collect::<Vec<_>>().concat();
        }
        shares.into_iter().filter(|share| !share.rows.is_empty())
    }

    fn member(&mut self, env: usize) -> &mut dyn Actor {
        if env.is_multiple_of(self.robots) {
            &mut *self.first
        } else {
            &mut *self.others
        }
    }
}

impl Actor for Team {
    fn begin_episode(&mut self, env: usize, episode: u64) {
        self.member(env).begin_episode(env, episode);
    }

    fn watches(&self) -> bool {
        self.first.watches() || self.others.watches()
    }

    fn watch(&mut self, env: usize, robot: usize, layout: &Layout, frame: &Frame) {
        let member = self.member(env);
        if member.watches() {
            member.watch(env, robot, layout, frame);
        }
    }

    fn act(&mut self, envs: &[usize], observations: &[f32], actions: &mut [f32]) {
        let act = actions.len() / envs.len().max(1);
        for share in self.shares(envs, observations) {
            let mut chosen = vec![0.0; share.rows.len() * act];
            let Share {
                member, envs, seen, ..
            } = share;
            member.act(&envs, &seen, &mut chosen);
            for (row, chosen) in share.rows.into_iter().zip(chosen.chunks_exact(act)) {
                actions[row * act..(row + 1) * act].copy_from_slice(chosen);
            }
        }
    }

    fn think(&mut self, envs: &[usize], observations: &[f32]) -> Vec<Thought> {
        let mut thoughts = vec![Thought::default(); envs.len()];
        for share in self.shares(envs, observations) {
            let own = share.member.think(&share.envs, &share.seen);
            for (row, thought) in share.rows.into_iter().zip(own) {
                thoughts[row] = thought;
            }
        }
        thoughts
    }

    fn draws(&self) -> bool {
        self.first.draws() || self.others.draws()
    }

    fn begin_rollout(&mut self, rollout: u64) {
        self.first.begin_rollout(rollout);
        self.others.begin_rollout(rollout);
    }
}
