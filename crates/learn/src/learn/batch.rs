//! A rollout as the optimiser steps read it: rows on the device, cut into minibatches.

use tch::{Device, Tensor};

use super::curriculum::CurriculumPlan;
use super::ppo::RowLayout;
use super::sequences::Sequences;
use super::{ReturnMoments, RunningMoments};
use evenkeel_sim::env::EnvState;
use evenkeel_sim::seed::{Purpose, RootSeed, Split, stream};

/// A collected rollout, and everything else that the rest of its iteration reads.
#[derive(Debug)]
pub(super) struct RolloutBatch {
    /// Iterations before this one.
    pub(super) iteration: u64,
    /// Environment steps gathered so far, this rollout's included.
    pub(super) global_step: u64,
    /// `[B, width]`, in the layout of [`RowLayout`].
    pub(super) rows: Tensor,
    /// How the rows form sequences; absent for a policy without memory.
    pub(super) sequences: Option<Sequences>,
    /// `[B]`: whether the row's robot was inactive, so that the row has no part in the loss; empty
    /// where none was.
    pub(super) inactive: Vec<bool>,
    /// 1 − Var(returns − values) / Var(returns).
    pub(super) explained_variance: Option<f64>,
    /// Largest |value|, in units of rewards; absent where it is not finite.
    pub(super) value_max: Option<f64>,
    /// Mean standard deviation of the sampled actions, where it depends on the observation.
    pub(super) action_std: Option<f64>,
    /// Moments of the observation normaliser during the rollout.
    pub(super) observation: RunningMoments,
    /// Statistics of the return normaliser during the rollout.
    pub(super) returns: ReturnMoments,
    /// Moments of the rollout's raw observations, which the observation normaliser merges after
    /// the iteration.
    pub(super) observation_moments: RunningMoments,
    /// Statistics of the rollout's returns, which the return normaliser takes in after the iteration.
    pub(super) return_moments: ReturnMoments,
    /// State of each world before the rollout; empty where no incident or recording needs it.
    pub(super) environments: Vec<EnvState>,
    /// The levels that the environments played; absent where each played its own episodes in turn.
    pub(super) curriculum_plan: Option<CurriculumPlan>,
    /// `[N, state]`: hidden state of the policy in each environment after the rollout.
    pub(super) hidden: Vec<f32>,
}

impl RolloutBatch {
    /// Rows that have a part in the loss; `None` where all have.
    fn active_rows(&self) -> Option<Vec<i64>> {
        let active = |(row, inactive): (usize, &bool)| (!inactive).then_some(row as i64);
        let rows = self.inactive.iter().enumerate().filter_map(active);
        (!self.inactive.is_empty()).then(|| rows.collect())
    }

    /// `[rows, obs]`: observations of the rows that have a part in the loss.
    pub(super) fn active_observations(&self, row_layout: RowLayout) -> Tensor {
        match self.active_rows() {
            None => row_layout.observations(&self.rows),
            Some(active) => {
                let active = Tensor::from_slice(&active).to_device(self.rows.device());
                row_layout.observations(&self.rows.index_select(0, &active))
            }
        }
    }

    /// Cuts the rollout into `count` minibatches per epoch, or into as many as it has rows or
    /// sequences with a part in the loss, if these are fewer.
    pub(super) fn minibatches(&self, count: u32) -> Minibatches {
        let length = self.sequences.as_ref().map_or(1, |all| all.length);
        let units = self.active_rows().map(|rows| self.units_of(rows));
        let all = self.rows.size()[0] as usize / length;
        let unit_count = units.as_ref().map_or(all, Vec::len);
        Minibatches {
            count: count.min(unit_count as u32),
            units,
            unit_count,
            iteration: self.iteration,
            device: self.rows.device(),
        }
    }

    /// The rows, or the sequences that contain them.
    fn units_of(&self, rows: Vec<i64>) -> Vec<i64> {
        let Some(all) = &self.sequences else {
            return rows;
        };
        let envs = all.envs as i64;
        let sequence = |row: i64| row / (envs * all.length as i64) * envs + row % envs;
        let mut sequences: Vec<i64> = rows.into_iter().map(sequence).collect();
        sequences.sort_unstable();
        sequences.dedup();
        sequences
    }
}

/// How a rollout is cut into minibatches of rows, or of sequences for a policy with memory.
#[derive(Debug)]
pub(super) struct Minibatches {
    /// Minibatches in an epoch.
    pub(super) count: u32,
    /// The rows or sequences to choose from; `None`: all.
    units: Option<Vec<i64>>,
    /// How many there are.
    unit_count: usize,
    iteration: u64,
    device: Device,
}

impl Minibatches {
    /// The minibatches of an epoch, as indices of rows or sequences. The order is shuffled (Fisher
    /// & Yates) by the stream (seed, train, epoch, iteration, minibatch).
    pub(super) fn epoch(&self, seed: RootSeed, epoch: u32) -> impl Iterator<Item = Tensor> {
        use rand::Rng as _;
        let mut rng = stream(
            seed,
            Split::Train,
            u64::from(epoch),
            self.iteration,
            Purpose::Minibatch,
        );
        let mut order: Vec<i64> = (0..self.unit_count as i64).collect();
        for last in (1..self.unit_count).rev() {
            let wide = u128::from(rng.next_u64()) * (last as u128 + 1);
            order.swap(last, (wide >> 64) as usize);
        }
        if let Some(units) = &self.units {
            for index in &mut order {
                *index = units[*index as usize];
            }
        }
        let order = Tensor::from_slice(&order).to_device(self.device);
        let (units, count) = (self.unit_count, self.count as usize);
        (0..count).map(move |index| {
            let (start, end) = (units * index / count, units * (index + 1) / count);
            order.narrow(0, start as i64, (end - start) as i64)
        })
    }
}
