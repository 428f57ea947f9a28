//! What learns: weights, optimiser and return normaliser, from rollout to rollout. It knows of
//! no environment but what it was told of its episodes.

use serde::{Deserialize, Serialize};
use tch::{Device as TorchDevice, Tensor, no_grad};

use super::curriculum::Taught;
use super::gae::{GaeInput, advantages};
use super::measure::{Measure, layers};
use super::normaliser::{BatchSums, Moments, Normaliser};
use super::ppo::{Columns, Objective};
use super::rollout::{Acting, Remembered, Rollout, values};
use super::update::{Applied, Remedy, Sequences, UpdateInput, update_measuring, waits_tensor};
use super::{AdvantageNormaliser, Device, LearnError, RunConfig, Workers};
use crate::nn::Policy;
use crate::optim::{ClipStage, ClipState, OptimiserState, norm};
use evenkeel_runs::health::{Anatomy, GuardState, Guardian, PreStep, Ruling};
use evenkeel_runs::telemetry::{Action, DivergedReport, DivergenceReason, LayerReport, StepReport};
use evenkeel_sim::env::{EnvState, ObsLayout};
use evenkeel_sim::seed::{Purpose, Root, Split, stream};

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
    /// Optimiser steps tried; the optimiser counts those that were taken.
    pub(super) tried: u64,
    pub(super) guardian: Guardian,
    pub(super) measured: Measure,
    remedy: Remedy,
    seed: Root,
}

/// A gathered rollout, and all else that the rest of its iteration reads.
#[derive(Debug)]
pub(super) struct Lesson {
    /// Iterations before this one.
    pub(super) iteration: u64,
    /// Environment steps gathered, this rollout's included.
    pub(super) global_step: u64,
    /// `[B, width]`, as [`Columns`] says.
    pub(super) rows: Tensor,
    /// How the rows are sequences; absent for a policy without memory.
    pub(super) sequences: Option<Sequences>,
    /// `[B]`: whether the row's robot waited, so that nothing is learnt from it; empty where none
    /// did.
    pub(super) waits: Vec<bool>,
    /// 1 − Var(returns − values) / Var(returns).
    pub(super) explained: Option<f64>,
    /// What the normalisers of observations and returns had seen.
    pub(super) observation: Moments,
    pub(super) returns: Moments,
    /// Moments of the raw observations and of the returns, by which they will advance.
    pub(super) seen: Moments,
    pub(super) returned: Moments,
    /// Where the environments stood before it, world by world; empty where no incident will ask.
    pub(super) environments: Vec<EnvState>,
    /// Which levels they went on to play; nothing where each played its own episodes in turn.
    pub(super) taught: Option<Taught>,
    /// `[N, state]`: what the policy remembers of each after it.
    pub(super) hidden: Vec<f32>,
}

impl Lesson {
    /// Rows that are learnt from, where not all are.
    fn learnt_rows(&self) -> Option<Vec<i64>> {
        let learnt = |(row, waits): (usize, &bool)| (!waits).then_some(row as i64);
        let rows = self.waits.iter().enumerate().filter_map(learnt).collect();
        (!self.waits.is_empty()).then_some(rows)
    }

    /// What minibatches are made of, where that is not all rows or sequences: rows that are learnt
    /// from, or sequences with such a row.
    fn choices(&self) -> Option<Vec<i64>> {
        let rows = self.learnt_rows()?;
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
pub struct Place {
    /// Epochs before its own.
    pub epoch: u32,
    /// Minibatches before its own in the epoch.
    pub minibatch: u32,
    /// Sum of their approximate KL divergences, nats.
    pub kl: f64,
}

/// An optimiser step as it was tried: what it read, and what came of it.
#[derive(Debug)]
pub struct Tried {
    /// All that it read.
    pub input: UpdateInput,
    /// Where it stood in its iteration.
    pub place: Place,
    /// What was measured.
    pub report: StepReport,
    /// By what the run would have diverged, had it been taken.
    pub diverges: Option<DivergenceReason>,
    /// What the guard remembered before it.
    pub guard: GuardState,
    /// What the guard decided.
    pub ruling: Ruling,
}

/// What all optimiser steps of one iteration came to.
#[derive(Debug, Default)]
pub(super) struct Optimised {
    /// Epochs begun.
    pub(super) epochs: u32,
    /// Learning rate of its steps.
    pub(super) learning_rate: f64,
    /// Each parameter after them.
    pub(super) layers: Vec<LayerReport>,
    /// The first step by which the run diverged.
    pub(super) diverged: Option<DivergedReport>,
    /// Whether training ends with it.
    pub(super) over: bool,
    /// Whether the guard went back to what was before the iteration.
    pub(super) rolled_back: bool,
}

/// What optimiser steps change. They write into no tensor, so that keeping one costs nothing.
#[derive(Debug)]
struct Snapshot {
    parameters: Tensor,
    statistics: Tensor,
    optimiser: OptimiserState,
    clip: Vec<ClipState>,
}

/// Whether a step has left weights so large that the run has diverged.
pub(super) fn outgrown(report: &StepReport, initial_norm: f64) -> bool {
    let limit = GROWTH_LIMIT * initial_norm;
    report.param_norm.is_some_and(|size| size > limit)
}

impl Learner {
    /// A learner before its first step.
    pub(super) fn new(
        config: &RunConfig,
        seed: Root,
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
        let workers = Workers::new(config.threads(), config.train.torch_threads as usize)?;
        let policy = Policy::new(&config.policy, layout, action_dim);
        let parameters = Tensor::from_slice(&policy.initial_parameters(seed)).to_device(device);
        let statistics = Tensor::from_slice(policy.initial_statistics()).to_device(device);
        let remedy = Remedy::from(config);
        Ok(Self {
            statistics,
            initial_norm: norm(&parameters),
            measured: Measure::default(),
            optimiser: OptimiserState::new(&remedy.optimiser, &parameters),
            clip: remedy.clip.iter().map(ClipStage::begin).collect(),
            returns: Normaliser::new(config.stability.normalise.returns, Moments::new(1)),
            tried: 0,
            guardian: Guardian::new(config.stability.guard),
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
        let rows = rollout.rows.chunks_exact_mut(width).zip(&rollout.waits);
        for (((row, &waits), &advantage), (&value, &normalised)) in
            rows.zip(&advantage).zip(values_raw.iter().zip(&normalised))
        {
            let target = advantage + value;
            if !waits {
                returns.add(&[target]);
                errors.add(&[advantage]);
            }
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

    /// A rollout on the device, as rows to learn from.
    pub(super) fn batch(&self, rollout: &Rollout) -> (Tensor, Option<Sequences>) {
        let device = self.parameters.device();
        let on_device = |numbers: &[f32]| Tensor::from_slice(numbers).to_device(device);
        let rows = on_device(&rollout.rows).view([-1, rollout.columns.width() as i64]);
        let sequences = rollout.memory.as_ref().map(|memory| Sequences {
            hidden: on_device(&memory.before).view([-1, memory.state as i64]),
            starts: on_device(&memory.starts),
            waits: (rollout.waits.contains(&true))
                .then(|| waits_tensor(&rollout.waits).to_device(device)),
            length: memory.length,
            envs: rollout.envs,
        });
        (rows, sequences)
    }

    /// All epochs over a rollout from a place on, until the guard ends them or the target KL is
    /// passed. Each step is handed to `watch` when it is done with.
    pub(super) fn optimise(
        &mut self,
        lesson: &Lesson,
        from: Place,
        watch: &mut dyn FnMut(Tried),
    ) -> Optimised {
        let columns = self.columns();
        let device = self.parameters.device();
        let (rows, sequences) = (&lesson.rows, &lesson.sequences);
        let length = sequences.as_ref().map_or(1, |all| all.length);
        let choices = lesson.choices();
        let all = rows.size()[0] as usize / length;
        let count = choices.as_ref().map_or(all, Vec::len);
        let minibatches = self.config.train.minibatches.min(count as u32);
        let snapshot = self.snapshot();
        let mut done = Optimised {
            learning_rate: self.config.scheduled_learning_rate(lesson.iteration)
                * self.guardian.learning_rate_scale(),
            ..Optimised::default()
        };
        let mut place = from;
        while place.epoch < self.config.train.epochs {
            done.epochs += 1;
            let mut order = self.permutation(count, place.epoch, lesson.iteration);
            if let Some(choices) = &choices {
                for index in &mut order {
                    *index = choices[*index as usize];
                }
            }
            let order = Tensor::from_slice(&order).to_device(device);
            while place.minibatch < minibatches {
                let edge = |index: u32| count * index as usize / minibatches as usize;
                let (start, end) = (edge(place.minibatch), edge(place.minibatch + 1));
                let input = UpdateInput {
                    global_step: lesson.global_step,
                    optimiser_step: self.tried,
                    parameters: self.parameters.shallow_clone(),
                    statistics: self.statistics.shallow_clone(),
                    optimiser: self.optimiser.clone(),
                    clip: self.clip.clone(),
                    rows: rows.shallow_clone(),
                    sequences: sequences.as_ref().map(Sequences::shallow_clone),
                    indices: order.narrow(0, start as i64, (end - start) as i64),
                    columns,
                    objective: Objective::from(&self.config.train),
                    learning_rate: done.learning_rate,
                };
                let tried = self.step(input, place);
                let kl = tried.report.approx_kl.unwrap_or(f64::INFINITY);
                let action = Self::note(&tried, &mut done);
                watch(tried);
                match action {
                    Action::Proceed => place.kl += kl,
                    Action::Skip => {}
                    Action::Halt => return done,
                    Action::Rollback { .. } => {
                        self.restore(snapshot);
                        return done;
                    }
                }
                place.minibatch += 1;
            }
            let target = self.config.train.target_kl.get();
            if target.is_some_and(|target| place.kl / f64::from(minibatches) > target) {
                break;
            }
            place = Place {
                epoch: place.epoch + 1,
                ..Place::default()
            };
        }
        let observations = match lesson.learnt_rows() {
            None => columns.observations(rows),
            Some(learnt) => {
                let learnt = Tensor::from_slice(&learnt).to_device(device);
                columns.observations(&rows.index_select(0, &learnt))
            }
        };
        let weights = self.policy.weights(&self.parameters, &self.statistics);
        let remembered = sequences.as_ref().map(|all| &all.hidden);
        if self.measured == Measure::Everything {
            done.layers = layers(&self.policy, &weights, &observations, remembered);
        }
        if self.statistics.numel() > 0 {
            self.statistics = no_grad(|| {
                self.policy.learn_statistics(
                    &self.parameters,
                    &self.statistics,
                    &observations,
                    lesson.iteration,
                )
            });
        }
        done
    }

    /// Tries one optimiser step, and takes it if the guard lets it.
    fn step(&mut self, input: UpdateInput, place: Place) -> Tried {
        let guard = *self.guardian.state();
        self.tried += 1;
        let (policy, workers) = (&self.policy, &self.workers);
        let (report, mut diverges, after) =
            match update_measuring(self.measured, policy, workers, &input, &self.remedy) {
                Ok(Applied {
                    parameters,
                    optimiser,
                    clip,
                    report,
                }) => (report, None, Some((parameters, optimiser, clip))),
                Err(refused) => (refused.report, Some(refused.reason), None),
            };
        if outgrown(&report, self.initial_norm) {
            diverges.get_or_insert(DivergenceReason::ParameterNorm);
        }
        let ruling = self.guardian.decide(&PreStep {
            diverges,
            grad_norm: report.grad_norm,
        });
        if let (Action::Proceed, Some((parameters, optimiser, clip))) = (ruling.action, after) {
            self.parameters = parameters;
            self.optimiser = optimiser;
            self.clip = clip;
        }
        Tried {
            input,
            place,
            report,
            diverges,
            guard,
            ruling,
        }
    }

    /// Notes what a step means for the iteration, and says how to go on.
    fn note(tried: &Tried, done: &mut Optimised) -> Action {
        // Where the numbers are no more, no guard can let training go on.
        let lost = tried.diverges.is_some_and(DivergenceReason::is_not_finite);
        let action = match tried.ruling.action {
            Action::Proceed if lost => Action::Halt,
            action => action,
        };
        done.over = action == Action::Halt;
        done.rolled_back = matches!(action, Action::Rollback { .. });
        let reason = match (action, tried.diverges) {
            (Action::Halt, reason) => Some(reason.unwrap_or(DivergenceReason::Refused)),
            (Action::Proceed, reason) => reason,
            (Action::Skip | Action::Rollback { .. }, _) => None,
        };
        if done.diverged.is_none() {
            done.diverged = reason.map(|reason| DivergedReport {
                global_step: tried.input.global_step,
                optimiser_step: tried.input.optimiser_step,
                reason,
            });
        }
        action
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            parameters: self.parameters.shallow_clone(),
            statistics: self.statistics.shallow_clone(),
            optimiser: self.optimiser.clone(),
            clip: self.clip.clone(),
        }
    }

    fn restore(&mut self, snapshot: Snapshot) {
        self.parameters = snapshot.parameters;
        self.statistics = snapshot.statistics;
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
