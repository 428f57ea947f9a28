//! The objective of proximal policy optimisation (Schulman et al. 2017,
//! <https://arxiv.org/abs/1707.06347>, equations 7 and 9).

use tch::Tensor;

use super::{AdvantageNormaliser, KlPenaltyState, RunConfig, Surrogate};
use crate::nn::{ActionDistribution, CriticHead, Policy, entries};

/// Columns of a row of a batch: observation, draw (the action before squashing), log probability of
/// the draw, advantage, return, value. Draw, log probability and value are those of the policy that
/// collected the rollout; advantage, return and value are normalised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowLayout {
    /// Length of an observation.
    pub obs: usize,
    /// Length of an action.
    pub action: usize,
}

impl RowLayout {
    /// The layout for a policy.
    pub(super) fn of(policy: &Policy) -> Self {
        Self {
            obs: policy.obs_dim(),
            action: policy.action_dim(),
        }
    }

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

    /// The observations, `[rows, obs]`, in `rows`, `[rows, width]`.
    pub fn observations(self, rows: &Tensor) -> Tensor {
        rows.narrow(1, 0, self.obs as i64)
    }

    /// Number of columns besides the observation.
    pub(super) fn loss_columns(self) -> usize {
        self.width() - self.obs
    }

    /// Splits `rows`, `[rows, width]`, into the observations, `[rows, obs]`, for the networks, and
    /// the other columns, row by row, for [`Objective::compute_loss`].
    pub(super) fn split(self, rows: &Tensor) -> (Tensor, Vec<f32>) {
        let (obs, columns) = (self.obs as i64, self.loss_columns() as i64);
        let loss_columns = entries(&rows.narrow(1, obs, columns));
        (rows.narrow(1, 0, obs), loss_columns)
    }
}

/// Coefficients of the objective.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Objective {
    /// What it makes of probability ratios and advantages.
    pub surrogate: Surrogate,
    /// How far the probability ratio may leave 1, if there is a limit.
    pub ratio_clip: Option<f64>,
    /// Whether advantages are standardised over each minibatch.
    pub minibatch_advantages: bool,
    /// Weight of the KL divergence from the rollout's policy, if it is penalised.
    pub kl_coef: Option<f64>,
    /// How far a value may leave the rollout's, if there is a limit.
    pub value_clip: Option<f64>,
    /// Weight of the entropy bonus.
    pub entropy_coef: f64,
    /// Weight of the value loss.
    pub value_coef: f64,
}

impl Objective {
    /// The objective that the settings describe.
    pub fn new(config: &RunConfig, kl_penalty: KlPenaltyState) -> Self {
        let train = &config.train;
        let advantage = config.stability.normalise.advantage;
        Self {
            surrogate: train.surrogate,
            ratio_clip: train.ratio_clip.get(),
            minibatch_advantages: advantage == AdvantageNormaliser::Minibatch,
            kl_coef: train.kl_penalty.coefficient(kl_penalty),
            value_clip: train.value_clip.get(),
            entropy_coef: train.entropy_coef,
            value_coef: train.value_coef,
        }
    }
}

/// What the loss of a row depends on of the whole minibatch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct MinibatchScale {
    /// Rows that have a part in the loss.
    pub(super) rows: usize,
    /// Mean of the advantages, and factor that divides by their standard deviation; `None` where
    /// they are used as they are.
    pub(super) advantage: Option<(f32, f32)>,
}

impl MinibatchScale {
    /// The advantage that the loss uses for a row.
    pub(super) fn advantage(&self, advantage: f32) -> f32 {
        let scale = self.advantage;
        scale.map_or(advantage, |(mean, factor)| (advantage - mean) * factor)
    }
}

/// Mean of some advantages, and factor that divides by their standard deviation.
pub(super) fn standardise(mean: f64, variance: f64) -> (f32, f32) {
    (mean as f32, (1.0 / (variance.sqrt() + 1e-8)) as f32)
}

/// What the outputs of a policy mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct PolicyHeads<'a> {
    pub(super) distribution: &'a ActionDistribution,
    pub(super) critic: &'a CriticHead,
}

/// The objective over some rows of a minibatch, and its gradient with respect to the policy's
/// output.
#[derive(Debug)]
pub(super) struct Loss {
    pub(super) sums: LossSums,
    /// By the outputs of the actor, `[rows, outputs]`.
    pub(super) actor: Vec<f32>,
    /// By the outputs of the critic, `[rows, outputs]`.
    pub(super) critic: Vec<f32>,
    /// By the parameters of the standard deviations, `[act]` or empty.
    pub(super) log_std: Vec<f32>,
}

/// Sums over rows, which add up over the parts of a minibatch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct LossSums {
    /// Rows that have a part in the loss.
    pub(super) rows: f64,
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

impl Objective {
    /// Computes the objective and its gradient for some rows of a minibatch, over which the mean is
    /// minimised. `actor` and `critic` are `[rows, outputs]`; `columns` are those of
    /// [`RowLayout::split`]. Rows for which `inactive`, `[rows]`, is not 0 have no part in
    /// it; `inactive` is empty where all have.
    pub(super) fn compute_loss(
        &self,
        heads: PolicyHeads,
        actor: &[f32],
        critic: &[f32],
        columns: &[f32],
        inactive: &[f32],
        minibatch: MinibatchScale,
    ) -> Loss {
        let distribution = heads.distribution;
        let (actions, outputs) = (distribution.dim(), distribution.outputs());
        let critic_outputs = heads.critic.outputs();
        let rows = critic.len() / critic_outputs
            - inactive.iter().filter(|&&inactive| inactive != 0.0).count();
        let scale = 1.0 / minibatch.rows as f32;
        let fixed_entropy = distribution.fixed_entropy();
        let by_entropy = -(self.entropy_coef as f32) * rows as f32 * scale;
        let entropy_slopes = distribution.entropy_slopes().iter();
        let mut loss = Loss {
            sums: LossSums {
                rows: rows as f64,
                entropy: fixed_entropy.unwrap_or(0.0) * rows as f64,
                ..LossSums::default()
            },
            actor: Vec::with_capacity(actor.len()),
            critic: Vec::with_capacity(critic.len()),
            log_std: entropy_slopes.map(|slope| by_entropy * slope).collect(),
        };
        let mut score = distribution.zero_score();
        let columns = columns.chunks_exact(actions + 4);
        let critic = critic.chunks_exact(critic_outputs);
        let mut by_critic = vec![0.0; critic_outputs];
        let rows = columns.zip(actor.chunks_exact(outputs)).zip(critic);
        for (index, ((row, actor), critic)) in rows.enumerate() {
            if inactive.get(index).is_some_and(|&inactive| inactive != 0.0) {
                loss.actor.resize(loss.actor.len() + outputs, 0.0);
                loss.critic.resize(loss.critic.len() + critic_outputs, 0.0);
                continue;
            }
            let (draw, rest) = row.split_at(actions);
            let &[log_prob, advantage, target, old_value] = rest else {
                unreachable!("a row ends with four numbers")
            };
            let advantage = minibatch.advantage(advantage);
            let log_ratio = distribution.log_prob_and_score(actor, draw, &mut score) - log_prob;
            let slope = self.policy_loss(log_ratio, advantage, &mut loss.sums) * scale;
            loss.actor
                .extend(score.by_output.iter().map(|by| slope * by));
            for (by_parameter, total) in score.by_parameter.iter().zip(&mut loss.log_std) {
                *total += slope * by_parameter;
            }
            if fixed_entropy.is_none() {
                let by_output = &mut score.by_output;
                loss.sums.entropy += distribution.entropy_and_score(actor, by_output);
                let own = loss.actor.len() - outputs;
                for (total, by_output) in loss.actor[own..].iter_mut().zip(by_output) {
                    *total -= self.entropy_coef as f32 * scale * *by_output;
                }
            }
            match heads.critic {
                CriticHead::Scalar => {
                    by_critic[0] = self.value_loss(critic[0], target, old_value, &mut loss.sums);
                }
                CriticHead::HlGauss(spec) => {
                    loss.sums.value += spec.loss(critic, target, &mut by_critic);
                }
            }
            let by_critic = by_critic.iter();
            let slopes = by_critic.map(|slope| slope * self.value_coef as f32 * scale);
            loss.critic.extend(slopes);
        }
        loss
    }

    /// Adds the negative surrogate and the KL penalty to the sums, and gives the derivative with
    /// respect to ln r.
    fn policy_loss(&self, log_ratio: f32, advantage: f32, sums: &mut LossSums) -> f32 {
        let clip = self.ratio_clip.map_or(f32::INFINITY, |clip| clip as f32);
        let ratio = log_ratio.exp();
        let (loss, slope) = self.surrogate.loss(ratio, advantage, clip);
        let kl = f64::from(ratio) - 1.0 - f64::from(log_ratio);
        sums.policy += f64::from(loss);
        sums.kl += kl;
        sums.clipped += f64::from(u8::from((ratio - 1.0).abs() > clip));
        sums.ratio_max = max(sums.ratio_max, f64::from(ratio));
        if !(ratio * advantage).is_finite() {
            // `min` hides NaN; and an infinite ratio means a diverged run, not a clipped sample.
            sums.policy = f64::NAN;
        }
        let Some(kl_coef) = self.kl_coef else {
            return slope;
        };
        sums.policy += kl_coef * kl;
        slope + kl_coef as f32 * (ratio - 1.0)
    }

    /// Adds ½ (value − target)² to the sums, or the same for the value clipped to near the old one
    /// where that is larger, and gives its derivative with respect to the value.
    fn value_loss(&self, value: f32, target: f32, old: f32, sums: &mut LossSums) -> f32 {
        let mut error = value - target;
        let mut slope = error;
        if let Some(clip) = self.value_clip {
            let clip = clip as f32;
            let clipped = old + (value - old).clamp(-clip, clip) - target;
            if clipped.abs() > error.abs() {
                error = clipped;
                slope = if (value - old).abs() < clip {
                    clipped
                } else {
                    0.0
                };
            }
        }
        sums.value += 0.5 * f64::from(error) * f64::from(error);
        slope
    }
}

impl LossSums {
    /// Adds the sums of further rows.
    pub(super) fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.policy += other.policy;
        self.value += other.value;
        self.entropy += other.entropy;
        self.kl += other.kl;
        self.clipped += other.clipped;
        self.ratio_max = max(self.ratio_max, other.ratio_max);
    }

    /// Whether every loss is finite.
    pub(super) fn is_finite(&self) -> bool {
        self.policy.is_finite() && self.value.is_finite() && self.entropy.is_finite()
    }
}

/// The larger of two numbers; NaN if either is.
fn max(a: f64, b: f64) -> f64 {
    if b.is_nan() || b > a { b } else { a }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn objective(ratio_clip: Option<f64>) -> Objective {
        Objective {
            surrogate: Surrogate::Clip,
            ratio_clip,
            minibatch_advantages: false,
            kl_coef: None,
            value_clip: None,
            entropy_coef: 0.0,
            value_coef: 0.5,
        }
    }

    /// Loss, derivative with respect to ln r, and clipped rows, of one row whose ratio is 2.
    fn policy_loss(ratio_clip: Option<f64>, advantage: f32) -> (f64, f32, f64) {
        let mut sums = LossSums::default();
        let slope = objective(ratio_clip).policy_loss(2f32.ln(), advantage, &mut sums);
        (sums.policy, slope, sums.clipped)
    }

    #[test]
    fn a_ratio_beyond_its_limit_has_no_gradient_and_without_a_limit_it_has() {
        assert_close(policy_loss(Some(0.2), 3.0), (-3.6, 0.0, 1.0));
        assert_close(policy_loss(Some(0.2), -3.0), (6.0, 6.0, 1.0));
        assert_close(policy_loss(None, 3.0), (-6.0, -6.0, 0.0));
        assert_close(policy_loss(None, -3.0), (6.0, 6.0, 0.0));
    }

    #[test]
    fn the_kl_penalty_adds_the_divergence_and_its_slope() {
        // r = 2: the divergence is 1 − ln 2, and its derivative with respect to ln r is r − 1.
        let penalised = Objective {
            kl_coef: Some(3.0),
            ..objective(None)
        };
        let mut sums = LossSums::default();
        let slope = penalised.policy_loss(2f32.ln(), 0.5, &mut sums);
        let expected = -1.0 + 3.0 * (1.0 - std::f64::consts::LN_2);
        assert_close((sums.policy, slope, sums.clipped), (expected, 2.0, 0.0));
    }

    #[test]
    fn an_infinite_ratio_gives_a_loss_that_is_not_finite() {
        for ratio_clip in [Some(0.2), None] {
            let mut sums = LossSums::default();
            objective(ratio_clip).policy_loss(1e4, 1.0, &mut sums);
            assert!(!sums.is_finite(), "{ratio_clip:?}");
        }
    }

    #[track_caller]
    fn assert_close(found: (f64, f32, f64), expected: (f64, f32, f64)) {
        let close = (found.0 - expected.0).abs() < 1e-5
            && (found.1 - expected.1).abs() < 1e-5
            && (found.2 - expected.2).abs() < 1e-5;
        assert!(close, "{found:?}, not {expected:?}");
    }
}
