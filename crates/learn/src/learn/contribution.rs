//! Contributions of transitions to the gradient of their minibatch. The gradient g is a sum of the
//! transitions' gradients gᵢ, and the share of a transition is ⟨gᵢ, g⟩ / ‖g‖². Shares add up to 1; a
//! negative share opposes the gradient.

use serde::Serialize;
use tch::{Tensor, no_grad};

use super::metrics::{MetricsLevel, finite};
use super::ppo::LossSums;
use super::update::{backward, part_gradient};
use super::{LearnerPool, UpdateInput};
use crate::nn::{Policy, entries};

/// Sequences whose transitions are examined, for a policy with memory.
const MAX_SEQUENCES: usize = 3;

/// Contribution of one transition of a minibatch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct TransitionContribution {
    /// Its row in the rollout, `step · N + environment`.
    pub row: usize,
    /// Norm of its gradient; absent where that is not finite.
    pub norm: Option<f64>,
    /// Its share in the minibatch's gradient; absent where one of the two is not finite.
    pub share: Option<f64>,
    /// Advantage, normalised as in the loss.
    pub advantage: f64,
    /// Probability ratio.
    pub ratio: Option<f64>,
    /// Its policy loss.
    pub policy_loss: Option<f64>,
    /// Its value loss.
    pub value_loss: Option<f64>,
}

/// Contributions to the gradient of a minibatch.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GradientBreakdown {
    /// Transitions of the minibatch, or sequences for a policy with memory.
    pub count: usize,
    /// Effective number of contributors: (Σ|s|)² / Σs² of their shares s. 1: a single one made up
    /// the gradient.
    pub effective_count: Option<f64>,
    /// The transitions with the largest contributions, sorted; those that are not finite come
    /// first. For a policy with memory, they are from the sequences with the largest
    /// contributions.
    pub top: Vec<TransitionContribution>,
}

/// Contribution of one row or sequence.
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

    /// Sort key; the largest comes first.
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

/// The `max_transitions` largest contributions to the gradient of a step. Computes a gradient for
/// each transition of the minibatch, which takes about a hundred times as long as the step.
///
/// # Panics
/// If the indices of the minibatch are not 64-bit integers; those of a trainer are.
pub fn gradient_breakdown(
    policy: &Policy,
    workers: &LearnerPool,
    input: &UpdateInput,
    max_transitions: usize,
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
    let tasks = indices.iter().map(|&index| (index, alone(index))).collect();
    let mut added: Vec<(PartContribution, LossSums)> =
        workers.map(tasks, |(index, part): (i64, UpdateInput)| {
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
    added.truncate(max_transitions);
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

/// For each transition of one sequence: its row, its share in the gradient of a minibatch of
/// `count` rows, and its losses.
fn row_gradients(
    policy: &Policy,
    sequence: &UpdateInput,
    count: usize,
) -> Vec<(usize, Vec<f32>, LossSums)> {
    let Some(all) = &sequence.sequences else {
        return Vec::new();
    };
    no_grad(|| {
        let weights = policy.weights(&sequence.parameters, &sequence.buffers);
        let gaussian = policy.distribution(&weights);
        let (indices, unroll_input) = all.select(&sequence.indices);
        let inactive = all.inactive_in(&indices);
        let rows = sequence.rows.index_select(0, &indices);
        let (observations, loss_columns) = sequence.row_layout.split(&rows);
        let action = sequence.row_layout.action;
        let width = sequence.row_layout.loss_columns();
        let of_row = |step: usize| {
            let mut outputs = policy.forward(&weights, &observations, Some(&unroll_input));
            outputs.discard_hidden_states();
            let own = step * action..(step + 1) * action;
            let loss = sequence.objective.compute_loss(
                &gaussian,
                &outputs.mean[own.clone()],
                &outputs.value[step..=step],
                &loss_columns[step * width..(step + 1) * width],
                inactive.get(step..=step).unwrap_or_default(),
                count,
            );
            let mut by_mean = vec![0.0; outputs.mean.len()];
            by_mean[own].copy_from_slice(&loss.mean);
            let mut by_value = vec![0.0; outputs.value.len()];
            by_value[step] = loss.value[0];
            let gradient = policy.backward(&weights, &outputs, &by_mean, &by_value, &loss.log_std);
            let row = indices.int64_value(&[step as i64]) as usize;
            (row, entries(&gradient.flat), loss.sums)
        };
        (0..all.length).map(of_row).collect()
    })
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
        let breakdown = gradient_breakdown(&policy, &workers, &attempt.input, usize::MAX);
        let shares = breakdown.top.iter().map(|one| one.share.unwrap()).collect();
        (breakdown, shares)
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
    fn the_shares_of_all_transitions_add_up_to_one() {
        let (breakdown, shares) = shares(&config());
        assert_eq!((breakdown.count, shares.len()), (30, 30));
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-4,
            "{shares:?}"
        );
        let largest = shares.iter().map(|share| share.abs());
        assert!(largest.clone().zip(largest.skip(1)).all(|(a, b)| a >= b));
        let effective_count = breakdown.effective_count.unwrap();
        assert!((1.0..=30.0).contains(&effective_count), "{effective_count}");
    }

    #[test]
    fn the_shares_of_all_transitions_of_all_sequences_add_up_to_one() {
        let mut config = config();
        config.policy.memory = Some(RecurrentConfig::Rnn(RnnSpec {
            size: 5,
            ..RnnSpec::default()
        }));
        config.train.bptt_steps = 10;
        let (breakdown, shares) = shares(&config);
        assert_eq!((breakdown.count, shares.len()), (3, 30));
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-4,
            "{shares:?}"
        );
    }
}
