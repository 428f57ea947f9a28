//! What learns: weights, optimiser and return normaliser, from rollout to rollout. It knows of
//! no environment but what it was told of its episodes.

use tch::{Device as TorchDevice, Tensor, no_grad};

use super::gae::{GaeInput, advantages};
use super::measure::layers;
use super::normaliser::{BatchSums, Moments, Normaliser};
use super::ppo::{Columns, Objective};
use super::rollout::{Acting, Remembered, Rollout, values};
use super::update::{Remedy, Sequences, UpdateInput, update};
use super::{AdvantageNormaliser, Device, LearnError, RunConfig, Workers};
use crate::health::Anatomy;
use crate::nn::Policy;
use crate::optim::{ClipStage, ClipState, OptimiserState, norm};
use crate::seed::{Purpose, Root, Split, stream};
use crate::telemetry::{DivergedReport, DivergenceReason, LayerReport, StepReport};

/// A run whose ‖θ‖ has grown by more than this has diverged.
const GROWTH_LIMIT: f64 = 100.0;

/// What learns.
#[derive(Debug)]
pub(super) struct Learner {
    pub(super) config: RunConfig,
    pub(super) policy: Policy,
    pub(super) workers: Workers,
    pub(super) parameters: Tensor,
    /// What the policy carries besides its parameters, flat.
    pub(super) statistics: Tensor,
    pub(super) optimiser: OptimiserState,
    pub(super) clip: Vec<ClipState>,
    pub(super) returns: Normaliser,
    /// ‖θ₀‖.
    pub(super) initial_norm: f64,
    remedy: Remedy,
    seed: Root,
}

/// What all optimiser steps of one iteration came to.
#[derive(Debug, Default)]
pub(super) struct Optimised {
    /// One report a step, in order; the last may be of a step that was refused.
    pub(super) steps: Vec<StepReport>,
    /// Epochs begun.
    pub(super) epochs: u32,
    /// Each parameter after them.
    pub(super) layers: Vec<LayerReport>,
    /// The step that was refused, or after which the weights were too large; none came after it.
    pub(super) diverged: Option<DivergedReport>,
}

impl Learner {
    /// A learner before its first step.
    pub(super) fn new(
        config: &RunConfig,
        seed: Root,
        obs_dim: usize,
        action_dim: usize,
    ) -> Result<Self, LearnError> {
        config.check()?;
        config.train.device.check()?;
        let device = match config.train.device {
            Device::Cpu => TorchDevice::Cpu,
            Device::Cuda => TorchDevice::Cuda(0),
        };
        let workers = Workers::new(config.threads(), config.train.torch_threads as usize)?;
        let policy = Policy::new(&config.policy, obs_dim, action_dim);
        let parameters = Tensor::from_slice(&policy.initial_parameters(seed)).to_device(device);
        let statistics = Tensor::from_slice(policy.initial_statistics()).to_device(device);
        let remedy = Remedy::from(config);
        Ok(Self {
            statistics,
            initial_norm: norm(&parameters),
            optimiser: OptimiserState::new(&remedy.optimiser, &parameters),
            clip: remedy.clip.iter().map(ClipStage::begin).collect(),
            returns: Normaliser::new(config.stability.normalise.returns, Moments::new(1)),
            remedy,
            config: config.clone(),
            policy,
            workers,
            parameters,
            seed,
        })
    }

    /// What a row of a rollout holds.
    pub(super) fn columns(&self) -> Columns {
        Columns {
            obs: self.policy.obs_dim(),
            action: self.policy.action_dim(),
        }
    }

    /// What a monitor must know of the policy.
    pub(super) fn anatomy(&self) -> Anatomy {
        let entries = self.policy.layout().entries().iter();
        Anatomy {
            action_dim: self.policy.action_dim(),
            layers: entries.map(|entry| entry.name.clone()).collect(),
        }
    }

    /// Buffers for a rollout.
    pub(super) fn rollout(&self) -> Rollout {
        let train = &self.config.train;
        let (envs, horizon) = (train.num_envs as usize, train.horizon as usize);
        let state = self.policy.state_len();
        let length = self.config.sequence_length() as usize;
        let memory = (state > 0).then(|| Remembered::new(state, length, horizon, envs));
        Rollout::new(self.columns(), horizon, envs, memory)
    }

    /// What acts, with observations normalised by `observation`.
    pub(super) fn acting<'a>(&'a self, observation: &'a Normaliser) -> Acting<'a> {
        Acting {
            policy: &self.policy,
            parameters: &self.parameters,
            statistics: &self.statistics,
            normaliser: observation,
            workers: &self.workers,
        }
    }

    /// Fills in value, advantage and return of each row. Gives the moments of the returns and the
    /// explained variance, 1 − Var(returns − values) / Var(returns).
    pub(super) fn evaluate(
        &self,
        rollout: &mut Rollout,
        observation: &Normaliser,
    ) -> (Moments, Option<f64>) {
        let columns = rollout.columns;
        let width = columns.width();
        let acting = self.acting(observation);
        let (normalised, hidden, finals) = match &rollout.memory {
            None => (values(&acting, &rollout.rows, width, &[]), &[][..], &[][..]),
            Some(memory) => (
                memory.values.clone(),
                memory.hidden.as_slice(),
                memory.finals.as_slice(),
            ),
        };
        let raw = |values: &[f32]| -> Vec<f32> {
            values
                .iter()
                .map(|&value| self.returns.inverse(value))
                .collect()
        };
        let values_raw = raw(&normalised);
        let next_values = raw(&values(&acting, &rollout.next_obs, columns.obs, hidden));
        let truncated = raw(&values(&acting, &rollout.final_obs, columns.obs, finals));
        let mut final_values = vec![0.0; rollout.rewards.len()];
        for (&row, &value) in rollout.truncated.iter().zip(&truncated) {
            final_values[row] = value;
        }
        let mut advantage = advantages(&GaeInput {
            rewards: &rollout.rewards,
            values: &values_raw,
            ends: &rollout.ends,
            final_values: &final_values,
            next_values: &next_values,
            gamma: self.config.train.gamma as f32,
            lambda: self.config.train.gae_lambda as f32,
        });

        let mut returns = BatchSums::about(&self.returns.moments().mean);
        let mut errors = BatchSums::about(&[0.0]);
        let rows = rollout.rows.chunks_exact_mut(width);
        for ((row, &advantage), (&value, &normalised)) in
            rows.zip(&advantage).zip(values_raw.iter().zip(&normalised))
        {
            let target = advantage + value;
            returns.add(&[target]);
            errors.add(&[advantage]);
            row[columns.target()] = self.returns.number(target);
            row[columns.value()] = normalised;
        }
        let (returns, errors) = (returns.moments(), errors.moments());
        let explained = 1.0 - errors.squares[0] / returns.squares[0];
        if self.config.stability.normalise.advantage == AdvantageNormaliser::Standardise {
            let mean = errors.mean[0] as f32;
            let scale = (1.0 / ((errors.squares[0] / errors.count).sqrt() + 1e-8)) as f32;
            for advantage in &mut advantage {
                *advantage = (*advantage - mean) * scale;
            }
        }
        for (row, &advantage) in rollout.rows.chunks_exact_mut(width).zip(&advantage) {
            row[columns.advantage()] = advantage;
        }
        (returns, explained.is_finite().then_some(explained))
    }

    /// All epochs over a rollout, until a step is refused or the target KL is passed.
    pub(super) fn optimise(
        &mut self,
        rollout: &Rollout,
        iteration: u64,
        global_step: u64,
        learning_rate: f64,
    ) -> Optimised {
        let columns = self.columns();
        let device = self.parameters.device();
        let on_device = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device);
        let rows = on_device(&rollout.rows).view([-1, columns.width() as i64]);
        let sequences = rollout.memory.as_ref().map(|memory| Sequences {
            hidden: on_device(&memory.before).view([-1, memory.state as i64]),
            starts: on_device(&memory.starts),
            length: memory.length,
            envs: rollout.envs,
        });
        let length = sequences.as_ref().map_or(1, |all| all.length);
        let count = rollout.rewards.len() / length;
        let minibatches = self.config.train.minibatches as usize;
        let mut done = Optimised::default();
        for epoch in 0..self.config.train.epochs {
            done.epochs += 1;
            let order = Tensor::from_slice(&self.permutation(count, epoch, iteration));
            let order = order.to_device(device);
            let mut kl = 0.0;
            for minibatch in 0..minibatches {
                let start = count * minibatch / minibatches;
                let end = count * (minibatch + 1) / minibatches;
                let input = UpdateInput {
                    global_step,
                    parameters: self.parameters.shallow_clone(),
                    statistics: self.statistics.shallow_clone(),
                    optimiser: self.optimiser.clone(),
                    clip: self.clip.clone(),
                    rows: rows.shallow_clone(),
                    sequences: sequences.as_ref().map(Sequences::shallow_clone),
                    indices: order.narrow(0, start as i64, (end - start) as i64),
                    columns,
                    objective: Objective::from(&self.config.train),
                    learning_rate,
                };
                let optimiser_step = self.optimiser.steps;
                let (report, reason) = self.step(&input);
                kl += report.approx_kl.unwrap_or(f64::INFINITY);
                done.steps.push(report);
                if let Some(reason) = reason {
                    done.diverged = Some(DivergedReport {
                        global_step,
                        optimiser_step,
                        reason,
                    });
                    return done;
                }
            }
            if self
                .config
                .train
                .target_kl
                .get()
                .is_some_and(|target| kl / minibatches as f64 > target)
            {
                break;
            }
        }
        let observations = columns.observations(&rows);
        let weights = self.policy.weights(&self.parameters, &self.statistics);
        let remembered = sequences.as_ref().map(|all| &all.hidden);
        done.layers = layers(&self.policy, &weights, &observations, remembered);
        if self.statistics.numel() > 0 {
            self.statistics = no_grad(|| {
                self.policy.learn_statistics(
                    &self.parameters,
                    &self.statistics,
                    &observations,
                    iteration,
                )
            });
        }
        done
    }

    /// One optimiser step; a reason where training must end with it.
    fn step(&mut self, input: &UpdateInput) -> (StepReport, Option<DivergenceReason>) {
        match update(&self.policy, &self.workers, input, &self.remedy) {
            Ok(applied) => {
                self.parameters = applied.parameters;
                self.optimiser = applied.optimiser;
                self.clip = applied.clip;
                let limit = GROWTH_LIMIT * self.initial_norm;
                let grown = applied.report.param_norm.is_some_and(|size| size > limit);
                (
                    applied.report,
                    grown.then_some(DivergenceReason::ParameterNorm),
                )
            }
            Err(refused) => (refused.report, Some(refused.reason)),
        }
    }

    /// The order of rows in an epoch (Fisher & Yates), from a stream of its own.
    fn permutation(&self, count: usize, epoch: u32, iteration: u64) -> Vec<i64> {
        use rand::Rng as _;
        let mut rng = stream(
            self.seed,
            Split::Train,
            u64::from(epoch),
            iteration,
            Purpose::Minibatch,
        );
        let mut order: Vec<i64> = (0..count as i64).collect();
        for last in (1..count).rev() {
            let wide = u128::from(rng.next_u64()) * (last as u128 + 1);
            order.swap(last, (wide >> 64) as usize);
        }
        order
    }
}
