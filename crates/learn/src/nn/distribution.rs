//! The action distribution: what the outputs of the actor mean, and how actions are sampled. An
//! actor has k outputs for an action of length k, or two for each entry.

mod beta;
mod gaussian;
mod special_functions;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::onnx::{GraphBuilder, ValueName};
use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::seed::Rng;

pub use beta::BetaDistribution;
pub use gaussian::{
    DiagonalGaussian, GaussianSpec, LogStdBound, LogStdRange, Squash, StateGaussian,
};

/// The distribution that actions are sampled from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ActionHead {
    /// An independent normal distribution for each entry of the action. The network outputs the
    /// means. By default, the standard deviations are separate parameters that do not depend on the
    /// observation.
    Gaussian(GaussianSpec),
    /// An independent beta distribution over [-1, 1] for each entry of the action (Chou et al.
    /// 2017, <https://proceedings.mlr.press/v70/chou17a.html>). The network outputs both of its
    /// parameters, α, β = 1 + softplus(output). No sample lies outside the bounds, so none is
    /// clamped, and the density can neither vanish nor become infinite.
    Beta,
}

impl Default for ActionHead {
    fn default() -> Self {
        Self::Gaussian(GaussianSpec::default())
    }
}

impl ActionHead {
    /// Checks each setting.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        match self {
            Self::Gaussian(gaussian) => gaussian.check().map_err(|bad| bad.under_path("gaussian")),
            Self::Beta => Ok(()),
        }
    }

    /// Numbers that the actor outputs for an action of length `action_dim`.
    pub fn outputs(&self, action_dim: usize) -> usize {
        match self {
            Self::Gaussian(gaussian) if !gaussian.state_dependent_std => action_dim,
            Self::Gaussian(_) | Self::Beta => 2 * action_dim,
        }
    }

    /// Initial value of the parameter of each standard deviation; `None` where standard deviations
    /// are not parameters.
    pub(super) fn initial_std_parameter(&self) -> Option<f32> {
        match self {
            Self::Gaussian(gaussian) if !gaussian.state_dependent_std => {
                Some(gaussian.initial_log_std())
            }
            Self::Gaussian(_) | Self::Beta => None,
        }
    }

    /// Initial bias of each output, `[outputs]`.
    pub(super) fn initial_bias(&self, action_dim: usize) -> Vec<f32> {
        let mut bias = vec![0.0; self.outputs(action_dim)];
        if let Self::Gaussian(gaussian) = self {
            bias[action_dim..].fill(gaussian.initial_log_std());
        }
        bias
    }

    /// The action entry for one entry of a draw.
    pub fn action(&self, draw: f32) -> f32 {
        match self {
            Self::Gaussian(gaussian) => gaussian.squash.apply(draw),
            Self::Beta => draw,
        }
    }

    /// Adds the deterministic action to a graph: actions `[rows, act]` in [-1, 1] for outputs
    /// `[rows, outputs]` of the actor.
    pub(super) fn export(
        &self,
        graph: &mut GraphBuilder,
        outputs: &ValueName,
        action_dim: i64,
    ) -> ValueName {
        match self {
            Self::Gaussian(gaussian) => {
                let mean = if gaussian.state_dependent_std {
                    graph.slice(outputs, 0, action_dim, 1)
                } else {
                    outputs.clone()
                };
                match gaussian.squash {
                    Squash::Clamp => {
                        let bounds = [-1.0, 1.0].map(|bound| graph.scalar("action.bound", bound));
                        graph.node("Clip", &[&mean, &bounds[0], &bounds[1]], Vec::new())
                    }
                    Squash::Tanh => graph.node("Tanh", &[&mean], Vec::new()),
                }
            }
            Self::Beta => {
                let softplus = graph.node("Softplus", &[outputs], Vec::new());
                let one = graph.scalar("beta.one", 1.0);
                let shapes = graph.add(&softplus, &one);
                let alpha = graph.slice(&shapes, 0, action_dim, 1);
                let beta = graph.slice(&shapes, action_dim, 2 * action_dim, 1);
                let difference = graph.node("Sub", &[&alpha, &beta], Vec::new());
                let sum = graph.add(&alpha, &beta);
                graph.node("Div", &[&difference, &sum], Vec::new())
            }
        }
    }

    /// The distribution of actions of length `action_dim`. `std_parameters`, `[act]`, are those of
    /// the standard deviations, and are empty where standard deviations are not parameters.
    pub(super) fn distribution(
        &self,
        std_parameters: &[f32],
        action_dim: usize,
    ) -> ActionDistribution {
        match self {
            Self::Gaussian(spec) if spec.state_dependent_std => ActionDistribution::StateGaussian(
                StateGaussian::new(action_dim, spec.log_std_bound),
            ),
            Self::Gaussian(spec) => ActionDistribution::Gaussian(DiagonalGaussian::new(
                std_parameters,
                spec.log_std_bound,
            )),
            Self::Beta => ActionDistribution::Beta(BetaDistribution::new(action_dim)),
        }
    }
}

/// The distribution of actions, given the outputs of the actor for an observation.
#[derive(Clone, Debug, PartialEq)]
pub enum ActionDistribution {
    /// Normal distributions. Outputs: means.
    Gaussian(DiagonalGaussian),
    /// Normal distributions. Outputs: means, then standard deviations.
    StateGaussian(StateGaussian),
    /// Beta distributions. Outputs: α, then β.
    Beta(BetaDistribution),
}

/// Derivatives of a log probability.
#[derive(Clone, Debug, PartialEq)]
pub struct Score {
    /// With respect to each output of the actor, `[outputs]`.
    pub by_output: Vec<f32>,
    /// With respect to each parameter of the standard deviations, `[act]`; empty where standard
    /// deviations are not parameters.
    pub by_parameter: Vec<f32>,
}

impl ActionDistribution {
    /// Length of an action.
    pub fn dim(&self) -> usize {
        match self {
            Self::Gaussian(gaussian) => gaussian.dim(),
            Self::StateGaussian(gaussian) => gaussian.dim(),
            Self::Beta(beta) => beta.dim(),
        }
    }

    /// Numbers that the actor outputs for each observation.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Gaussian(gaussian) => gaussian.dim(),
            Self::StateGaussian(_) | Self::Beta(_) => 2 * self.dim(),
        }
    }

    /// A score of zeros.
    pub fn zero_score(&self) -> Score {
        Score {
            by_output: vec![0.0; self.outputs()],
            by_parameter: vec![0.0; self.entropy_slopes().len()],
        }
    }

    /// Samples a draw `[act]`: an action before squashing.
    pub fn sample(&self, rng: &mut Rng, outputs: &[f32], draw: &mut [f32]) {
        match self {
            Self::Gaussian(gaussian) => gaussian.sample(rng, outputs, draw),
            Self::StateGaussian(gaussian) => gaussian.sample(rng, outputs, draw),
            Self::Beta(beta) => beta.sample(rng, outputs, draw),
        }
    }

    /// ln p(draw).
    pub fn log_prob(&self, outputs: &[f32], draw: &[f32]) -> f32 {
        match self {
            Self::Gaussian(gaussian) => gaussian.log_prob(outputs, draw),
            Self::StateGaussian(gaussian) => gaussian.log_prob(outputs, draw),
            Self::Beta(beta) => beta.log_prob(outputs, draw),
        }
    }

    /// [`Self::log_prob`], with its gradient.
    pub fn log_prob_and_score(&self, outputs: &[f32], draw: &[f32], score: &mut Score) -> f32 {
        match self {
            Self::Gaussian(gaussian) => gaussian.log_prob_and_score(outputs, draw, score),
            Self::StateGaussian(gaussian) => gaussian.log_prob_and_score(outputs, draw, score),
            Self::Beta(beta) => beta.log_prob_and_score(outputs, draw, score),
        }
    }

    /// Differential entropy before squashing, nats, where it does not depend on the observation.
    /// Its gradient is [`Self::entropy_slopes`].
    pub fn fixed_entropy(&self) -> Option<f64> {
        match self {
            Self::Gaussian(gaussian) => Some(gaussian.entropy()),
            Self::StateGaussian(_) | Self::Beta(_) => None,
        }
    }

    /// Derivative of [`Self::fixed_entropy`] with respect to each parameter of the standard
    /// deviations, `[act]`; empty where standard deviations are not parameters.
    pub fn entropy_slopes(&self) -> &[f32] {
        match self {
            Self::Gaussian(gaussian) => gaussian.entropy_slopes(),
            Self::StateGaussian(_) | Self::Beta(_) => &[],
        }
    }

    /// Differential entropy before squashing, nats. Writes its derivative with respect to each
    /// output of the actor into `by_output`.
    pub fn entropy_and_score(&self, outputs: &[f32], by_output: &mut [f32]) -> f64 {
        match self {
            Self::Gaussian(gaussian) => {
                by_output.fill(0.0);
                gaussian.entropy()
            }
            Self::StateGaussian(gaussian) => gaussian.entropy_and_score(outputs, by_output),
            Self::Beta(beta) => beta.entropy_and_score(outputs, by_output),
        }
    }

    /// The mean of the distribution before squashing, `[act]`: the action of a deterministic policy.
    pub fn mean(&self, outputs: &[f32], mean: &mut [f32]) {
        match self {
            Self::Gaussian(_) | Self::StateGaussian(_) => {
                mean.copy_from_slice(&outputs[..self.dim()]);
            }
            Self::Beta(beta) => (0..beta.dim()).for_each(|i| mean[i] = beta.mean(outputs, i)),
        }
    }

    /// Standard deviations before squashing, `[act]`.
    pub fn std(&self, outputs: &[f32], std: &mut [f32]) {
        match self {
            Self::Gaussian(gaussian) => std.copy_from_slice(gaussian.std()),
            Self::StateGaussian(gaussian) => {
                (0..gaussian.dim()).for_each(|i| std[i] = gaussian.std(outputs, i));
            }
            Self::Beta(beta) => (0..beta.dim()).for_each(|i| std[i] = beta.std(outputs, i)),
        }
    }

    /// Mean of the standard deviations, where they do not depend on the observation.
    pub fn fixed_mean_std(&self) -> Option<f64> {
        match self {
            Self::Gaussian(gaussian) => {
                let std = gaussian.std();
                Some(std.iter().map(|&std| f64::from(std)).sum::<f64>() / std.len() as f64)
            }
            Self::StateGaussian(_) | Self::Beta(_) => None,
        }
    }
}

#[cfg(test)]
mod tests;
