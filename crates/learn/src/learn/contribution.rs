//! Which transitions of a minibatch carried its gradient: the gradient is a sum over them, and each
//! one's share in it is what it adds along the sum, ⟨gᵢ, g⟩ / ‖g‖². Shares add up to 1; one below 0
//! pulls the other way.

use serde::Serialize;
use tch::{Tensor, no_grad};

use super::metrics::{MetricsLevel, finite};
use super::ppo::LossSums;
use super::update::{backward, part_gradient, row_gradients};
use super::{LearnerPool, UpdateInput};
use crate::nn::{Policy, entries};

/// Sequences that are looked into, where the policy has a memory.
const MAX_SEQUENCES: usize = 3;

/// One transition of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TransitionContribution {
    /// Its row in the rollout, `step · N + environment`.
    pub row: usize,
    /// Norm of what it adds to the gradient; absent where that is not finite.
    pub norm: Option<f64>,
    /// Its share in the gradient; absent where one of the two is not finite.
    pub share: Option<f64>,
    /// Advantage, as the loss reads it.
    pub advantage: f64,
    /// Probability ratio.
    pub ratio: Option<f64>,
    /// Its policy loss.
    pub policy_loss: Option<f64>,
    /// Its value loss.
    pub value_loss: Option<f64>,
}

/// Who carried the gradient of a minibatch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientBreakdown {
    /// Transitions of the minibatch, or sequences for a policy with memory.
    pub count: usize,
    /// Over how many of them the gradient is spread: (Σ|s|)² / Σs² of their shares s. 1: one
    /// carried it alone.
    pub effective_count: Option<f64>,
    /// The transitions that added most, the largest first; those that are not finite before all.
    /// With a memory, they are of the sequences that added most.
    pub top: Vec<TransitionContribution>,
}

/// What one part of a minibatch adds.
struct PartContribution {
    /// The row, or the sequence.
    index: usize,
    norm: f64,
    share: f64,
}

impl PartContribution {
    fn of(index: usize, gradient: &[f32], whole: &[f32], square: f64) -> Self {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            let pairs = a.iter().zip(b);
            pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        Self {
            index,
            norm: product(gradient, gradient).sqrt(),
            share: product(gradient, whole) / square,
        }
    }

    /// What is to come first has the larger number.
    fn rank(&self) -> f64 {
        let size = if self.share.is_finite() {
            self.share.abs()
        } else {
            self.norm
        };
        if size.is_finite() {
            size
        } else {
            f64::INFINITY
        }
    }
}

/// The `most` transitions that carried the gradient of a step. Takes a gradient for each transition
/// of the minibatch: some hundred times as long as the step.
///
/// # Panics
/// If the indices of the minibatch are not 64-bit integers, which those of a learner are.
pub fn gradient_breakdown(
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
    most: usize,
) -> GradientBreakdown {
    let indices =
        Vec::<i64>::try_from(&input.indices.reshape([-1])).expect("indices are 64-bit integers");
    let count = input.row_count();
    let whole = entries(
        &backward(MetricsLevel::Minimal, policy, workers, input)
            .0
            .flat,
    );
    let square: f64 = whole.iter().map(|&g| f64::from(g) * f64::from(g)).sum();
    let alone = |index: i64| input.with_indices(Tensor::from_slice(&[index]));
    let jobs = indices.iter().map(|&index| (index, alone(index))).collect();
    let mut added: Vec<(PartContribution, LossSums)> =
        workers.map(jobs, |(index, part): (i64, UpdateInput)| {
            let (gradient, sums) =
                no_grad(|| part_gradient(MetricsLevel::Minimal, policy, &part, count));
            let added =
                PartContribution::of(index as usize, &entries(&gradient.flat), &whole, square);
            (added, sums)
        });
    added.sort_by(|(a, _), (b, _)| b.rank().total_cmp(&a.rank()));
    let sizes = || added.iter().map(|(added, _)| added.share.abs());
    let effective_count = sizes().sum::<f64>().powi(2) / sizes().map(|s| s * s).sum::<f64>();
    if input.sequences.is_some() {
        let worst = added.iter().take(MAX_SEQUENCES);
        added = worst
            .flat_map(|(one, _)| row_gradients(policy, &alone(one.index as i64), count))
            .map(|(row, gradient, sums)| {
                (PartContribution::of(row, &gradient, &whole, square), sums)
            })
            .collect();
        added.sort_by(|(a, _), (b, _)| b.rank().total_cmp(&a.rank()));
    }
    added.truncate(most);
    let advantage = |row: usize| {
        let column = input.row_layout.advantage() as i64;
        input.rows.double_value(&[row as i64, column])
    };
    GradientBreakdown {
        count: indices.len(),
        effective_count: finite(effective_count),
        top: added
            .into_iter()
            .map(|(one, sums)| TransitionContribution {
                row: one.index,
                norm: finite(one.norm),
                share: finite(one.share),
                advantage: advantage(one.index),
                ratio: finite(sums.ratio_max),
                policy_loss: finite(sums.policy),
                value_loss: finite(sums.value),
            })
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{RunConfig, TinyEnv, Trainer};
    use crate::nn::{RecurrentConfig, RnnSpec};

    fn shares(config: &RunConfig) -> (GradientBreakdown, Vec<f64>) {
        let env = TinyEnv::new(1, config.train.num_envs as usize);
        let attempt = Trainer::new(config, 1, env).unwrap().first_step();
        let policy = Policy::new(&config.policy, 2, 1);
        let workers = LearnerPool::new(1, 1).unwrap();
        let found = gradient_breakdown(&policy, &workers, &attempt.input, usize::MAX);
        let shares = found.top.iter().map(|one| one.share.unwrap()).collect();
        (found, shares)
    }

    fn config() -> RunConfig {
        let mut config = RunConfig::default();
        config.train.num_envs = 3;
        config.train.horizon = 20;
        config.train.minibatches = 2;
        config.policy.actor.hidden = vec![6];
        config.policy.critic.hidden = vec![6];
        config
    }

    #[test]
    fn the_shares_of_all_transitions_are_the_gradient() {
        let (found, shares) = shares(&config());
        assert_eq!((found.count, shares.len()), (30, 30));
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-4,
            "{shares:?}"
        );
        let largest = shares.iter().map(|share| share.abs());
        assert!(largest.clone().zip(largest.skip(1)).all(|(a, b)| a >= b));
        let effective_count = found.effective_count.unwrap();
        assert!((1.0..=30.0).contains(&effective_count), "{effective_count}");
    }

    #[test]
    fn the_transitions_of_all_sequences_are_the_gradient() {
        let mut config = config();
        config.policy.memory = Some(RecurrentConfig::Rnn(RnnSpec {
            size: 5,
            ..RnnSpec::default()
        }));
        config.train.bptt_steps = 10;
        let (found, shares) = shares(&config);
        assert_eq!((found.count, shares.len()), (3, 30));
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-4,
            "{shares:?}"
        );
    }
}
