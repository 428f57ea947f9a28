//! The objective of proximal policy optimisation (Schulman et al. 2017,
//! <https://arxiv.org/abs/1707.06347>, equations 7 and 9).

use tch::{Kind, Tensor, no_grad};

use super::TrainConfig;
use crate::nn::{GaussianSpec, Policy};

/// What a row of a batch holds, one column after the other: observation, draw (the action before
/// squashing), log probability of the draw, advantage, return, value; all as the rollout's policy
/// saw them and as the loss reads them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Length of an observation.
    pub obs: usize,
    /// Length of an action.
    pub action: usize,
}

impl Columns {
    /// Length of a row.
    pub fn width(self) -> usize {
        self.obs + self.action + 4
    }

    /// Column of the log probability.
    pub fn log_prob(self) -> usize {
        self.obs + self.action
    }

    /// Column of the advantage.
    pub fn advantage(self) -> usize {
        self.log_prob() + 1
    }

    /// Column of the return.
    pub fn target(self) -> usize {
        self.log_prob() + 2
    }

    /// Column of the value.
    pub fn value(self) -> usize {
        self.log_prob() + 3
    }

    /// The observations among `rows` `[rows, width]`: `[rows, obs]`.
    pub fn observations(self, rows: &Tensor) -> Tensor {
        rows.narrow(1, 0, self.obs as i64)
    }
}

/// Coefficients of the objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// How far the probability ratio may leave 1.
    pub ratio_clip: f64,
    /// How far a value may leave the rollout's.
    pub value_clip: Option<f64>,
    /// Weight of the entropy bonus.
    pub entropy_coef: f64,
    /// Weight of the value loss.
    pub value_coef: f64,
}

impl From<&TrainConfig> for Objective {
    fn from(config: &TrainConfig) -> Self {
        Self {
            ratio_clip: config.ratio_clip,
            value_clip: config.value_clip,
            entropy_coef: config.entropy_coef,
            value_coef: config.value_coef,
        }
    }
}

/// The objective over some rows of a minibatch.
#[derive(Debug)]
pub(super) struct Loss {
    /// What gradients are taken of: these rows' share of the minibatch's mean loss, a scalar.
    pub(super) total: Tensor,
    /// The figures behind [`LossSums`], `[6]`.
    sums: Tensor,
}

/// Sums over rows, which add up over the parts of a minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LossSums {
    pub(super) policy: f64,
    pub(super) value: f64,
    /// Entropy times rows.
    pub(super) entropy: f64,
    pub(super) kl: f64,
    /// Rows whose ratio the objective clipped.
    pub(super) clipped: f64,
    /// The largest ratio (a maximum, not a sum).
    pub(super) ratio_max: f64,
}

impl Loss {
    /// Evaluates the objective on `rows` `[rows, width]` out of a minibatch of `of` rows.
    pub(super) fn of(
        policy: &Policy,
        params: &[Tensor],
        rows: &Tensor,
        columns: Columns,
        objective: &Objective,
        of: usize,
    ) -> Self {
        let column = |index: usize| rows.select(1, index as i64);
        let obs = columns.observations(rows);
        let draw = rows.narrow(1, columns.obs as i64, columns.action as i64);
        let advantage = column(columns.advantage());
        let target = column(columns.target());
        let log_std = policy.log_std(params);

        let mean = policy.mean(params, &obs);
        let log_ratio = GaussianSpec::log_prob(&mean, log_std, &draw) - column(columns.log_prob());
        let ratio = log_ratio.exp();
        let clip = objective.ratio_clip;
        let clipped = ratio.clamp(1.0 - clip, 1.0 + clip);
        let policy_loss = -(&advantage * &ratio)
            .minimum(&(&advantage * clipped))
            .sum(Kind::Float);

        let value = policy.value(params, &obs);
        let mut error = (&value - &target).square();
        if let Some(clip) = objective.value_clip {
            let old = column(columns.value());
            let near = &old + (&value - &old).clamp(-clip, clip);
            error = error.maximum(&(near - &target).square());
        }
        let value_loss = error.sum(Kind::Float) * 0.5;

        let entropy = GaussianSpec::entropy(log_std) * rows.size()[0] as f64;
        let total = (&policy_loss + &value_loss * objective.value_coef
            - &entropy * objective.entropy_coef)
            * (1.0 / of as f64);
        let sums = no_grad(|| {
            let apart = &ratio - 1.0;
            let kl = (&apart - &log_ratio).sum(Kind::Float);
            let clipped = apart.abs().gt(clip).sum(Kind::Float);
            Tensor::stack(
                &[
                    &policy_loss,
                    &value_loss,
                    &entropy,
                    &kl,
                    &clipped,
                    &ratio.max(),
                ],
                0,
            )
        });
        Self { total, sums }
    }

    /// Reads the figures.
    pub(super) fn sums(&self) -> LossSums {
        let mut read = [0.0f32; 6];
        self.sums.detach().copy_data(&mut read, 6);
        let [policy, value, entropy, kl, clipped, ratio_max] = read.map(f64::from);
        LossSums {
            policy,
            value,
            entropy,
            kl,
            clipped,
            ratio_max,
        }
    }
}

impl LossSums {
    /// Adds those of further rows.
    pub(super) fn add(&mut self, other: &Self) {
        self.policy += other.policy;
        self.value += other.value;
        self.entropy += other.entropy;
        self.kl += other.kl;
        self.clipped += other.clipped;
        // `f64::max` would hide a NaN.
        if other.ratio_max.is_nan() || other.ratio_max > self.ratio_max {
            self.ratio_max = other.ratio_max;
        }
    }

    /// Whether every loss is finite.
    pub(super) fn is_finite(&self) -> bool {
        self.policy.is_finite() && self.value.is_finite() && self.entropy.is_finite()
    }
}
