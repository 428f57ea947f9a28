//! Inputs of the detectors: plain numbers about one optimiser step, or about how the robot drove.

use crate::telemetry::{DivergenceReason, EvalSummary, UpdateReport};

/// What detectors read about one optimiser step. `None` means not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpdateMetrics<'a> {
    /// Environment steps collected before this optimiser step.
    pub global_step: u64,
    /// Number of optimiser steps before this one.
    pub optimiser_step: u64,
    /// Why the run diverges with this step, if it does.
    pub divergence: Option<DivergenceReason>,
    /// Number of gradient entries that are not finite.
    pub grad_nonfinite: u64,
    /// Global norm of the gradient before any clip.
    pub grad_norm: Option<f64>,
    /// Gradient norm over the actor's parameters.
    pub grad_norm_actor: Option<f64>,
    /// Gradient norm over the critic's parameters.
    pub grad_norm_critic: Option<f64>,
    /// ‖Δθ‖ / ‖θ‖ of the applied step.
    pub update_ratio: Option<f64>,
    /// Value loss.
    pub value_loss: Option<f64>,
    /// Mean entropy of the action distribution, nats.
    pub entropy: Option<f64>,
    /// Approximate KL divergence from the rollout's policy, nats.
    pub approx_kl: Option<f64>,
    /// Largest probability ratio.
    pub ratio_max: Option<f64>,
    /// Gradient norm of each parameter, in the order of [`NetworkLayout::layers`]. Empty if not
    /// measured.
    pub layer_norms: &'a [Option<f64>],
}

/// What a monitor needs to know about the policy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkLayout {
    /// Number of action dimensions.
    pub action_dim: usize,
    /// Names of the parameters, such as `<network>.<layer>.weight`, in the order of the reports. What
    /// detectors call a layer is one parameter: weights and biases are separate.
    /// Detectors compare parameters of the same network with each other.
    pub layers: Vec<String>,
    /// Names of those that are not trained. Their gradient is 0 and is no symptom.
    pub frozen: Vec<String>,
}

impl NetworkLayout {
    /// For each layer, the number of its network: the index of the network's first layer.
    pub(super) fn layer_networks(&self) -> Vec<usize> {
        let network = |name: &String| name.split('.').next().map(str::to_owned);
        let names: Vec<_> = self.layers.iter().map(network).collect();
        let first = |name| names.iter().position(|other| other == name);
        names.iter().filter_map(first).collect()
    }
}

/// Converts a report from a log. Logs contain `null` for non-finite numbers, so the reason is
/// inferred: a missing loss with a measured gradient means a non-finite loss, and non-finite
/// gradient entries mean a non-finite gradient. Set [`UpdateMetrics::divergence`] if the reason is
/// known.
impl<'a> From<&'a UpdateReport> for UpdateMetrics<'a> {
    fn from(report: &'a UpdateReport) -> Self {
        let no_loss = report.policy_loss.is_none() || report.value_loss.is_none();
        let has_gradient = report.grad_norm.is_some() || report.grad_nonfinite > 0;
        let divergence = if no_loss && has_gradient {
            Some(DivergenceReason::NonFiniteLoss)
        } else if report.grad_nonfinite > 0 {
            Some(DivergenceReason::NonFiniteGradient)
        } else {
            None
        };
        Self {
            global_step: report.global_step,
            optimiser_step: report.optimiser_step,
            divergence,
            grad_nonfinite: report.grad_nonfinite,
            grad_norm: report.grad_norm,
            grad_norm_actor: report.grad_norm_actor,
            grad_norm_critic: report.grad_norm_critic,
            update_ratio: report.update_ratio,
            value_loss: report.value_loss,
            entropy: report.entropy,
            approx_kl: report.approx_kl,
            ratio_max: report.ratio_max,
            layer_norms: &report.layer_norms,
        }
    }
}

/// What detectors read about how the robot drove in the episodes of an evaluation or an iteration.
/// `None` means not measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DrivingMetrics {
    /// Environment steps collected before.
    pub global_step: u64,
    /// Number of optimiser steps before.
    pub optimiser_step: u64,
    /// Number of episodes.
    pub episodes: u64,
    /// Number of episodes with spinning.
    pub spinning: Option<u64>,
    /// Number of episodes in which the robot was stuck.
    pub stuck: Option<u64>,
    /// Mean |jerk|, metres per second cubed.
    pub jerk_mps3: Option<f64>,
}

impl DrivingMetrics {
    /// The metrics of an evaluation.
    pub fn of_evaluation(summary: &EvalSummary, global_step: u64, optimiser_step: u64) -> Self {
        let count = |share: f64| (share * summary.episodes as f64).round() as u64;
        let quality = summary.driving_quality.as_deref();
        Self {
            global_step,
            optimiser_step,
            episodes: summary.episodes,
            spinning: quality.map(|quality| count(quality.spinning.value)),
            stuck: quality.map(|quality| count(quality.stuck.value)),
            jerk_mps3: (summary.episodes > 0).then_some(summary.jerk_mps3.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_part_of_a_layer_name_is_its_network() {
        let layers = ["actor.0.weight", "critic.0.weight", "actor.log_std"];
        let network_layout = NetworkLayout {
            action_dim: 2,
            layers: layers.map(String::from).into(),
            ..NetworkLayout::default()
        };
        assert_eq!(network_layout.layer_networks(), [0, 1, 0]);
    }

    #[test]
    fn non_finite_numbers_are_distinguished_from_missing_ones() {
        let healthy = UpdateReport {
            grad_norm: Some(1.0),
            policy_loss: Some(0.1),
            value_loss: Some(0.2),
            ..UpdateReport::default()
        };
        let divergence = |report: &UpdateReport| UpdateMetrics::from(report).divergence;
        assert_eq!(divergence(&healthy), None);
        assert_eq!(divergence(&UpdateReport::default()), None);
        let no_loss = UpdateReport {
            value_loss: None,
            ..healthy.clone()
        };
        assert_eq!(divergence(&no_loss), Some(DivergenceReason::NonFiniteLoss));
        let no_gradient = UpdateReport {
            grad_norm: None,
            grad_nonfinite: 3,
            ..healthy
        };
        assert_eq!(
            divergence(&no_gradient),
            Some(DivergenceReason::NonFiniteGradient)
        );
    }
}
