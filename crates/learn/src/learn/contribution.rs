//! Contributions of transitions to the gradient of their minibatch. The gradient g is a sum of the
//! transitions' gradients gᵢ, and the share of a transition is ⟨gᵢ, g⟩ / ‖g‖². Shares add up to 1; a
//! negative share opposes the gradient.

use serde::Serialize;
use tch::{Tensor, no_grad};

use super::metrics::{MetricsLevel, finite};
use super::ppo::{LossSums, MinibatchScale, PolicyHeads};
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
    /// Its share in the minibatch's gradient; absent where the gradient of either is not finite.
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

/// The gradient g of a minibatch.
struct MinibatchGradient {
    entries: Vec<f32>,
    /// ‖g‖².
    squared_norm: f64,
}

/// Contribution of one row, or one sequence, to a [`MinibatchGradient`].
struct Contribution {
    /// The row, or the sequence.
    index: usize,
    /// Norm of its gradient.
    norm: f64,
    /// Its share in the minibatch's gradient.
    share: f64,
    /// Its losses.
    sums: LossSums,
}

impl MinibatchGradient {
    /// The contribution of a row or sequence with this gradient gᵢ and these losses.
    fn contribution(&self, index: usize, gradient: &[f32], sums: LossSums) -> Contribution {
        let product = |a: &[f32], b: &[f32]| -> f64 {
            let pairs = a.iter().zip(b);
            pairs.map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
        };
        Contribution {
            index,
            norm: product(gradient, gradient).sqrt(),
            share: product(gradient, &self.entries) / self.squared_norm,
            sums,
        }
    }
}

impl Contribution {
    /// What contributions are sorted by: |share|, or the norm where the share is not finite, or
    /// infinity where neither is.
    fn magnitude(&self) -> f64 {
        let magnitude = if self.share.is_finite() {
            self.share.abs()
        } else {
            self.norm
        };
        if magnitude.is_finite() {
            magnitude
        } else {
            f64::INFINITY
        }
    }
}

/// Sorts contributions, the largest first.
fn sort(contributions: &mut [Contribution]) {
    contributions.sort_by(|a, b| b.magnitude().total_cmp(&a.magnitude()));
}

/// The `max_transitions` largest contributions to the gradient of a minibatch. Computes a gradient
/// for each transition of the minibatch, which takes about a hundred times as long as the step.
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
    let scale = input.minibatch_scale();
    let (gradient, _) = backward(MetricsLevel::Minimal, policy, workers, input);
    let entries_of_all = entries(&gradient.flat);
    let squares = entries_of_all.iter().map(|&g| f64::from(g) * f64::from(g));
    let minibatch = MinibatchGradient {
        squared_norm: squares.sum(),
        entries: entries_of_all,
    };
    let alone = |index: i64| input.with_indices(Tensor::from_slice(&[index]));
    let tasks = indices.iter().map(|&index| (index, alone(index))).collect();
    let mut contributions: Vec<Contribution> =
        workers.map(tasks, |(index, part): (i64, UpdateInput)| {
            let (gradient, sums) =
                no_grad(|| part_gradient(MetricsLevel::Minimal, policy, &part, scale));
            minibatch.contribution(index as usize, &entries(&gradient.flat), sums)
        });
    sort(&mut contributions);
    let shares = || contributions.iter().map(|one| one.share.abs());
    let effective_count = shares().sum::<f64>().powi(2) / shares().map(|s| s * s).sum::<f64>();
    if input.sequences.is_some() {
        let largest_sequences = contributions.iter().take(MAX_SEQUENCES);
        contributions = largest_sequences
            .flat_map(|sequence| row_gradients(policy, &alone(sequence.index as i64), scale))
            .map(|(row, gradient, sums)| minibatch.contribution(row, &gradient, sums))
            .collect();
        sort(&mut contributions);
    }
    contributions.truncate(max_transitions);
    let advantage = |row: usize| {
        let column = input.row_layout.advantage() as i64;
        let advantage = input.rows.double_value(&[row as i64, column]);
        f64::from(scale.advantage(advantage as f32))
    };
    GradientBreakdown {
        count: indices.len(),
        effective_count: finite(effective_count),
        // Each contribution is now of a single row, and so are its sums.
        top: contributions
            .into_iter()
            .map(|one| TransitionContribution {
                row: one.index,
                norm: finite(one.norm),
                share: finite(one.share),
                advantage: advantage(one.index),
                ratio: finite(one.sums.ratio_max),
                policy_loss: finite(one.sums.policy),
                value_loss: finite(one.sums.value),
            })
            .collect(),
    }
}

/// For each transition of the one sequence that `input` chooses: its row, its gradient as a part of
/// the gradient of its minibatch, and its losses.
fn row_gradients(
    policy: &Policy,
    input: &UpdateInput,
    scale: MinibatchScale,
) -> Vec<(usize, Vec<f32>, LossSums)> {
    let Some(sequences) = &input.sequences else {
        return Vec::new();
    };
    no_grad(|| {
        let weights = policy.weights(&input.parameters, &input.buffers);
        let distribution = policy.distribution(&weights);
        let (indices, unroll_input) = sequences.select(&input.indices);
        let inactive = sequences.inactive_in(&indices);
        let rows = input.rows.index_select(0, &indices);
        let (observations, loss_columns) = input.row_layout.split(&rows);
        let heads = PolicyHeads {
            distribution: &distribution,
            critic: policy.critic_head(),
        };
        let (actor_outputs, critic_outputs) = (distribution.outputs(), heads.critic.outputs());
        let column_count = input.row_layout.loss_columns();
        let of_row = |step: usize| {
            // A forward pass for each row: a backward pass frees torch's graph. Of the gradient
            // with respect to hidden states nothing is needed.
            let mut outputs = policy.forward(&weights, &observations, Some(&unroll_input));
            outputs.discard_hidden_states();
            let own = step * actor_outputs..(step + 1) * actor_outputs;
            let own_critic = step * critic_outputs..(step + 1) * critic_outputs;
            let loss = input.objective.compute_loss(
                heads,
                &outputs.actor[own.clone()],
                &outputs.critic[own_critic.clone()],
                &loss_columns[step * column_count..(step + 1) * column_count],
                inactive.get(step..=step).unwrap_or_default(),
                scale,
            );
            let mut by_actor = vec![0.0; outputs.actor.len()];
            by_actor[own].copy_from_slice(&loss.actor);
            let mut by_critic = vec![0.0; outputs.critic.len()];
            by_critic[own_critic].copy_from_slice(&loss.critic);
            let gradient =
                policy.backward(&weights, &outputs, &by_actor, &by_critic, &loss.log_std);
            let row = indices.int64_value(&[step as i64]) as usize;
            (row, entries(&gradient.flat), loss.sums)
        };
        (0..sequences.length).map(of_row).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learn::{RunConfig, TinyEnv, Trainer};
    use crate::nn::{RecurrentConfig, RnnSpec};

    /// The breakdown of the first minibatch's gradient, and the share of each transition.
    fn breakdown_of(config: &RunConfig) -> (GradientBreakdown, Vec<f64>) {
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
        let (breakdown, shares) = breakdown_of(&config());
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
        let (breakdown, shares) = breakdown_of(&config);
        assert_eq!((breakdown.count, shares.len()), (3, 30));
        assert!(
            (shares.iter().sum::<f64>() - 1.0).abs() < 1e-4,
            "{shares:?}"
        );
    }
}
