//! Two actors in one world: one drives its first robot, the other the rest.

use super::Actor;
use crate::scenario::Layout;
use crate::sim::Frame;

/// Drives the first robot of every world by one actor and all others by another. Environments are
/// counted robot by robot, as evaluations do: number `i` is robot `i % robots` of its world.
pub struct Team {
    first: Box<dyn Actor + Send>,
    others: Box<dyn Actor + Send>,
    robots: usize,
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
        let rows = envs.len().max(1);
        let (dim, act) = (observations.len() / rows, actions.len() / rows);
        let robots = self.robots;
        for (member, is_first) in [(&mut self.first, true), (&mut self.others, false)] {
            let own = |row: &usize| envs[*row].is_multiple_of(robots) == is_first;
            let own: Vec<usize> = (0..envs.len()).filter(own).collect();
            if own.is_empty() {
                continue;
            }
            let its: Vec<usize> = own.iter().map(|&row| envs[row]).collect();
            let seen = own
                .iter()
                .map(|&row| &observations[row * dim..(row + 1) * dim]);
            let mut chosen = vec![0.0; own.len() * act];
            member.act(&its, &seen.collect::<Vec<_>>().concat(), &mut chosen);
            for (&row, chosen) in own.iter().zip(chosen.chunks_exact(act)) {
                actions[row * act..(row + 1) * act].copy_from_slice(chosen);
            }
        }
    }

    fn draws(&self) -> bool {
        self.first.draws() || self.others.draws()
    }

    fn begin_rollout(&mut self, rollout: u64) {
        self.first.begin_rollout(rollout);
        self.others.begin_rollout(rollout);
    }
}
