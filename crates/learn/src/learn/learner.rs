//! What learns: weights, optimiser and return normaliser, from rollout to rollout. It knows of
//! no environment but what it was told of its episodes.

use serde::{Deserialize, Serialize};
use tch::{Device as TorchDevice, Tensor, no_grad};

use super::curriculum::CurriculumPlan;
use super::gae::{GaeInput, advantages};
use super::metrics::{MetricsLevel, layer_reports};
use super::normaliser::{BatchSums, Normaliser, RunningMoments};
use super::ppo::{Objective, RowLayout};
use super::rollout::{Rollout, RolloutMemory, RolloutPolicy, compute_values};
use super::update::{
    AppliedUpdate, Sequences, UpdateInput, UpdateRule, inactive_mask, update_with_metrics,
};
use super::{AdvantageNormaliser, Device, LearnError, LearnerPool, RunConfig};
use crate::nn::Policy;
use crate::optim::{ClipStage, ClipState, OptimiserState, norm};
use evenkeel_runs::health::{
    GuardDecision, GuardState, NetworkLayout, ProposedUpdate, UpdateGuard,
};
use evenkeel_runs::telemetry::{
    DivergedReport, DivergenceReason, GuardAction, LayerReport, UpdateReport,
};
use evenkeel_sim::env::{EnvState, ObsLayout};
use evenkeel_sim::seed::{Purpose, RootSeed, Split, stream};

/// A run whose ‖θ‖ has grown by more than this has diverged.
const NORM_GROWTH_LIMIT: f64 = 100.0;

/// What learns.
#[derive(Debug)]
pub(super) struct Learner {
    pub(super) config: RunConfig,
    pub(super) policy: Policy,
    pub(super) workers: LearnerPool,
    pub(super) parameters: Tensor,
    /// What the policy carries besides its parameters, flat.
    pub(super) buffers: Tensor,
    pub(super) optimiser: OptimiserState,
    pub(super) clip: Vec<ClipState>,
    pub(super) returns: Normaliser,
    /// ‖θ₀‖.
    pub(super) initial_norm: f64,
    /// Optimiser steps tried; the optimiser counts those that were taken.
    pub(super) attempted_steps: u64,
    pub(super) update_guard: UpdateGuard,
    pub(super) metrics_level: MetricsLevel,
    update_rule: UpdateRule,
    seed: RootSeed,
}

/// A gathered rollout, and all else that the rest of its iteration reads.
#[derive(Debug)]
pub(super) struct RolloutBatch {
    /// Iterations before this one.
    pub(super) iteration: u64,
    /// Environment steps gathered, this rollout's included.
    pub(super) global_step: u64,
    /// `[B, width]`, as [`RowLayout`] says.
    pub(super) rows: Tensor,
    /// How the rows are sequences; absent for a policy without memory.
    pub(super) sequences: Option<Sequences>,
    /// `[B]`: whether the row's robot waited, so that nothing is learnt from it; empty where none
    /// did.
    pub(super) inactive: Vec<bool>,
    /// 1 − Var(returns − values) / Var(returns).
    pub(super) explained_variance: Option<f64>,
    /// What the normalisers of observations and returns had seen.
    pub(super) observation: RunningMoments,
    pub(super) returns: RunningMoments,
    /// Moments of the raw observations and of the returns, by which they will advance.
    pub(super) observation_moments: RunningMoments,
    pub(super) return_moments: RunningMoments,
    /// Where the environments stood before it, world by world; empty where no incident will ask.
    pub(super) environments: Vec<EnvState>,
    /// Which levels they went on to play; nothing where each played its own episodes in turn.
    pub(super) curriculum_plan: Option<CurriculumPlan>,
    /// `[N, state]`: what the policy remembers of each after it.
    pub(super) hidden: Vec<f32>,
}

impl RolloutBatch {
    /// Rows that are learnt from, where not all are.
    fn active_rows(&self) -> Option<Vec<i64>> {
        let active = |(row, inactive): (usize, &bool)| (!inactive).then_some(row as i64);
        let rows = self
            .inactive
            .iter()
            .enumerate()
            .filter_map(active)
            .collect();
        (!self.inactive.is_empty()).then_some(rows)
    }

    /// What minibatches are made of, where that is not all rows or sequences: rows that are learnt
    /// from, or sequences with such a row.
    fn minibatch_units(&self) -> Option<Vec<i64>> {
        let rows = self.active_rows()?;
        let Some(all) = &self.sequences else {
            return Some(rows);
        };
        let envs = all.envs as i64;
        let sequence = |row: i64| row / (envs * all.length as i64) * envs + row % envs;
        let mut choices: Vec<i64> = rows.into_iter().map(sequence).collect();
        choices.sort_unstable();
        choices.dedup();
        Some(choices)
    }
}

/// Where in an iteration an optimiser step stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct UpdatePosition {
    /// Epochs before its own.
    pub epoch: u32,
    /// Minibatches before its own in the epoch.
    pub minibatch: u32,
    /// Sum of their approximate KL divergences, nats.
    pub kl: f64,
}

/// An optimiser step as it was tried: what it read, and what came of it.
#[derive(Debug)]
pub struct UpdateAttempt {
    /// All that it read.
    pub input: UpdateInput,
    /// Where it stood in its iteration.
    pub position: UpdatePosition,
    /// What was measured.
    pub report: UpdateReport,
    /// By what the run would have diverged, had it been taken.
    pub divergence: Option<DivergenceReason>,
    /// What the guard remembered before it.
    pub guard: GuardState,
    /// What the guard decided.
    pub decision: GuardDecision,
}

/// What all optimiser steps of one iteration came to.
#[derive(Debug, Default)]
pub(super) struct OptimisationResult {
    /// Epochs begun.
    pub(super) epochs: u32,
    /// Learning rate of its steps.
    pub(super) learning_rate: f64,
    /// Each parameter after them.
    pub(super) layers: Vec<LayerReport>,
    /// The first step by which the run diverged.
    pub(super) diverged: Option<DivergedReport>,
    /// Whether training ends with it.
    pub(super) halted: bool,
    /// Whether the guard went back to what was before the iteration.
    pub(super) rolled_back: bool,
}

/// What optimiser steps change. They write into no tensor, so that keeping one costs nothing.
#[derive(Debug)]
struct LearnerSnapshot {
    parameters: Tensor,
    buffers: Tensor,
    optimiser: OptimiserState,
    clip: Vec<ClipState>,
}

/// Whether a step has left weights so large that the run has diverged.
pub(super) fn exceeds_norm_limit(report: &UpdateReport, initial_norm: f64) -> bool {
    let limit = NORM_GROWTH_LIMIT * initial_norm;
    report.param_norm.is_some_and(|size| size > limit)
}

impl Learner {
    /// A learner before its first step.
    pub(super) fn new(
        config: &RunConfig,
        seed: RootSeed,
        layout: &ObsLayout,
        action_dim: usize,
    ) -> Result<Self, LearnError> {
        config.check()?;
        config.check_observations(layout)?;
        config.train.device.check()?;
        let device = match config.train.device {
            Device::Cpu => TorchDevice::Cpu,
            Device::Cuda => TorchDevice::Cuda(0),
        };
        let workers = LearnerPool::new(config.threads(), config.train.torch_threads as usize)?;
        let policy = Policy::new(&config.policy, layout, action_dim);
        let parameters = Tensor::from_slice(&policy.initial_parameters(seed)).to_device(device);
        let buffers = Tensor::from_slice(policy.initial_buffers()).to_device(device);
        let update_rule = UpdateRule::from(config);
        Ok(Self {
            buffers,
            initial_norm: norm(&parameters),
            metrics_level: MetricsLevel::default(),
            optimiser: OptimiserState::new(&update_rule.optimiser, &parameters),
            clip: update_rule
                .clip
                .iter()
                .map(ClipStage::initial_state)
                .collect(),
            returns: Normaliser::new(config.stability.normalise.returns, RunningMoments::new(1)),
            attempted_steps: 0,
            update_guard: UpdateGuard::new(config.stability.guard),
            update_rule,
            config: config.clone(),
            policy,
            workers,
            parameters,
            seed,
        })
    }

    /// What a row of a rollout holds.
    pub(super) fn columns(&self) -> RowLayout {
        RowLayout {
            obs: self.policy.obs_dim(),
            action: self.policy.action_dim(),
        }
    }

    /// What a monitor must know of the policy.
    pub(super) fn network_layout(&self) -> NetworkLayout {
        let entries = self.policy.layout().entries().iter();
        NetworkLayout {
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
        let memory = (state > 0).then(|| RolloutMemory::new(state, length, horizon, envs));
        Rollout::new(self.columns(), horizon, envs, memory)
    }

    /// What acts, with observations normalised by `observation`.
    pub(super) fn acting<'a>(&'a self, observation: &'a Normaliser) -> RolloutPolicy<'a> {
        RolloutPolicy {
            policy: &self.policy,
            parameters: &self.parameters,
            buffers: &self.buffers,
            normaliser: observation,
            workers: &self.workers,
        }
    }

    /// Fills in value, advantage and return of each row. Gives the moments of the returns and the
    /// explained variance, 1 − Var(returns − values) / Var(returns).
    pub(super) fn compute_returns(
        &self,
        rollout: &mut Rollout,
        observation: &Normaliser,
    ) -> (RunningMoments, Option<f64>) {
        let row_layout = rollout.row_layout;
        let width = row_layout.width();
        let rollout_policy = self.acting(observation);
        let (normalised, hidden, final_hidden) = match &rollout.memory {
            None => (
                compute_values(&rollout_policy, &rollout.rows, width, &[]),
                &[][..],
                &[][..],
            ),
            Some(memory) => (
                memory.values.clone(),
                memory.hidden.as_slice(),
                memory.final_hidden.as_slice(),
            ),
        };
        let raw = |values: &[f32]| -> Vec<f32> {
            values
                .iter()
                .map(|&value| self.returns.denormalise(value))
                .collect()
        };
        let values_raw = raw(&normalised);
        let next_values = raw(&compute_values(
            &rollout_policy,
            &rollout.next_obs,
            row_layout.obs,
            hidden,
        ));
        let truncated = raw(&compute_values(
            &rollout_policy,
            &rollout.final_obs,
            row_layout.obs,
            final_hidden,
        ));
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
        let rows = rollout.rows.chunks_exact_mut(width).zip(&rollout.inactive);
        for (((row, &inactive), &advantage), (&value, &normalised)) in
            rows.zip(&advantage).zip(values_raw.iter().zip(&normalised))
        {
            let target = advantage + value;
            if !inactive {
                returns.add(&[target]);
                errors.add(&[advantage]);
            }
            row[row_layout.target()] = self.returns.normalise(target);
            row[row_layout.value()] = normalised;
        }
        let (returns, errors) = (returns.moments(), errors.moments());
        let explained_variance = 1.0 - errors.squares[0] / returns.squares[0];
        if self.config.stability.normalise.advantage == AdvantageNormaliser::Standardise {
            let mean = errors.mean[0] as f32;
            let scale = (1.0 / ((errors.squares[0] / errors.count).sqrt() + 1e-8)) as f32;
            for advantage in &mut advantage {
                *advantage = (*advantage - mean) * scale;
            }
        }
        for (row, &advantage) in rollout.rows.chunks_exact_mut(width).zip(&advantage) {
            row[row_layout.advantage()] = advantage;
        }
        (
            returns,
            explained_variance.is_finite().then_some(explained_variance),
        )
    }

    /// A rollout on the device, as rows to learn from.
    pub(super) fn to_device_rows(&self, rollout: &Rollout) -> (Tensor, Option<Sequences>) {
        let device = self.parameters.device();
        let on_device = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device);
        let rows = on_device(&rollout.rows).view([-1, rollout.row_layout.width() as i64]);
        let sequences = rollout.memory.as_ref().map(|memory| Sequences {
            hidden: on_device(&memory.initial_hidden).view([-1, memory.state as i64]),
            episode_starts: on_device(&memory.episode_starts),
            inactive: (rollout.inactive.contains(&true))
                .then(|| inactive_mask(&rollout.inactive).to_device(device)),
            length: memory.length,
            envs: rollout.envs,
        });
        (rows, sequences)
    }

    /// All epochs over a rollout from a place on, until the guard ends them or the target KL is
    /// passed. Each step is handed to `watch` when it is done with.
    pub(super) fn optimise(
        &mut self,
        batch: &RolloutBatch,
        from: UpdatePosition,
        watch: &mut dyn FnMut(UpdateAttempt),
    ) -> OptimisationResult {
        let row_layout = self.columns();
        let device = self.parameters.device();
        let (rows, sequences) = (&batch.rows, &batch.sequences);
        let length = sequences.as_ref().map_or(1, |all| all.length);
        let choices = batch.minibatch_units();
        let all = rows.size()[0] as usize / length;
        let count = choices.as_ref().map_or(all, Vec::len);
        let minibatches = self.config.train.minibatches.min(count as u32);
        let snapshot = self.snapshot();
        let mut done = OptimisationResult {
            learning_rate: self.config.scheduled_learning_rate(batch.iteration)
                * self.update_guard.learning_rate_scale(),
            ..OptimisationResult::default()
        };
        let mut position = from;
        while position.epoch < self.config.train.epochs {
            done.epochs += 1;
            let mut order = self.permutation(count, position.epoch, batch.iteration);
            if let Some(choices) = &choices {
                for index in &mut order {
                    *index = choices[*index as usize];
                }
            }
            let order = Tensor::from_slice(&order).to_device(device);
            while position.minibatch < minibatches {
                let edge = |index: u32| count * index as usize / minibatches as usize;
                let (start, end) = (edge(position.minibatch), edge(position.minibatch + 1));
                let input = UpdateInput {
                    global_step: batch.global_step,
                    optimiser_step: self.attempted_steps,
                    parameters: self.parameters.shallow_clone(),
                    buffers: self.buffers.shallow_clone(),
                    optimiser: self.optimiser.clone(),
                    clip: self.clip.clone(),
                    rows: rows.shallow_clone(),
                    sequences: sequences.as_ref().map(Sequences::shallow_clone),
                    indices: order.narrow(0, start as i64, (end - start) as i64),
                    row_layout,
                    objective: Objective::from(&self.config.train),
                    learning_rate: done.learning_rate,
                };
                let attempt = self.step(input, position);
                let kl = attempt.report.approx_kl.unwrap_or(f64::INFINITY);
                let action = Self::record_decision(&attempt, &mut done);
                watch(attempt);
                match action {
                    GuardAction::Proceed => position.kl += kl,
                    GuardAction::Skip => {}
                    GuardAction::Halt => return done,
                    GuardAction::Rollback { .. } => {
                        self.restore(snapshot);
                        return done;
                    }
                }
                position.minibatch += 1;
            }
            let target = self.config.train.target_kl.get();
            if target.is_some_and(|target| position.kl / f64::from(minibatches) > target) {
                break;
            }
            position = UpdatePosition {
                epoch: position.epoch + 1,
                ..UpdatePosition::default()
            };
        }
        let observations = match batch.active_rows() {
            None => row_layout.observations(rows),
            Some(active) => {
                let active = Tensor::from_slice(&active).to_device(device);
                row_layout.observations(&rows.index_select(0, &active))
            }
        };
        let weights = self.policy.weights(&self.parameters, &self.buffers);
        let remembered = sequences.as_ref().map(|all| &all.hidden);
        if self.metrics_level == MetricsLevel::Full {
            done.layers = layer_reports(&self.policy, &weights, &observations, remembered);
        }
        if self.buffers.numel() > 0 {
            self.buffers = no_grad(|| {
                self.policy.update_buffers(
                    &self.parameters,
                    &self.buffers,
                    &observations,
                    batch.iteration,
                )
            });
        }
        done
    }

    /// Tries one optimiser step, and takes it if the guard lets it.
    fn step(&mut self, input: UpdateInput, position: UpdatePosition) -> UpdateAttempt {
        let guard = *self.update_guard.state();
        self.attempted_steps += 1;
        let (policy, workers) = (&self.policy, &self.workers);
        let (report, mut divergence, after) = match update_with_metrics(
            self.metrics_level,
            policy,
            workers,
            &input,
            &self.update_rule,
        ) {
            Ok(AppliedUpdate {
                parameters,
                optimiser,
                clip,
                report,
            }) => (report, None, Some((parameters, optimiser, clip))),
            Err(refused) => (refused.report, Some(refused.reason), None),
        };
        if exceeds_norm_limit(&report, self.initial_norm) {
            divergence.get_or_insert(DivergenceReason::ParameterNorm);
        }
        let decision = self.update_guard.decide(&ProposedUpdate {
            divergence,
            grad_norm: report.grad_norm,
        });
        if let (GuardAction::Proceed, Some((parameters, optimiser, clip))) =
            (decision.action, after)
        {
            self.parameters = parameters;
            self.optimiser = optimiser;
            self.clip = clip;
        }
        UpdateAttempt {
            input,
            position,
            report,
            divergence,
            guard,
            decision,
        }
    }

    /// Notes what a step means for the iteration, and says how to go on.
    fn record_decision(attempt: &UpdateAttempt, done: &mut OptimisationResult) -> GuardAction {
        // Where the numbers are no more, no guard can let training go on.
        let lost = attempt
            .divergence
            .is_some_and(DivergenceReason::is_non_finite);
        let action = match attempt.decision.action {
            GuardAction::Proceed if lost => GuardAction::Halt,
            action => action,
        };
        done.halted = action == GuardAction::Halt;
        done.rolled_back = matches!(action, GuardAction::Rollback { .. });
        let reason = match (action, attempt.divergence) {
            (GuardAction::Halt, reason) => Some(reason.unwrap_or(DivergenceReason::UpdatesRefused)),
            (GuardAction::Proceed, reason) => reason,
            (GuardAction::Skip | GuardAction::Rollback { .. }, _) => None,
        };
        if done.diverged.is_none() {
            done.diverged = reason.map(|reason| DivergedReport {
                global_step: attempt.input.global_step,
                optimiser_step: attempt.input.optimiser_step,
                reason,
            });
        }
        action
    }

    fn snapshot(&self) -> LearnerSnapshot {
        LearnerSnapshot {
            parameters: self.parameters.shallow_clone(),
            buffers: self.buffers.shallow_clone(),
            optimiser: self.optimiser.clone(),
            clip: self.clip.clone(),
        }
    }

    fn restore(&mut self, snapshot: LearnerSnapshot) {
        self.parameters = snapshot.parameters;
        self.buffers = snapshot.buffers;
        self.optimiser = snapshot.optimiser;
        self.clip = snapshot.clip;
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
