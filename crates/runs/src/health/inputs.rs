//! What the detectors read: plain numbers about one optimiser step, or about how the robot drove.

use crate::telemetry::{DivergenceReason, EvalSummary, UpdateReport};

/// What detectors read of one optimiser step. A number that was not measured is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct UpdateMetrics<'a> {
    /// Environment steps gathered before this optimiser step.
    pub global_step: u64,
    /// Optimiser steps taken before this one.
    pub optimiser_step: u64,
    /// What of it was not finite.
    pub not_finite: Option<DivergenceReason>,
    /// Number of gradient entries that are not finite.
    pub grad_nonfinite: u64,
    /// Global norm of the gradient before any clip.
    pub grad_norm: Option<f64>,
    /// Norm over the actor's parameters.
    pub grad_norm_actor: Option<f64>,
    /// Norm over the critic's parameters.
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
    /// Norm of the gradient over each parameter, in the order of [`NetworkLayout::layers`]; empty where
    /// they were not measured.
    pub layer_norms: &'a [Option<f64>],
}

/// What a monitor must know of the policy that it watches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkLayout {
    /// Dimensions of an action.
    pub action_dim: usize,
    /// Names of the parameters, `<network>.<layer>.weight` and the like, in the order in which
    /// reports list them. Those of one network are compared with each other.
    pub layers: Vec<String>,
}

impl NetworkLayout {
    /// The network of each layer, as the index of its first one.
    pub(super) fn networks(&self) -> Vec<usize> {
        let network = |name: &String| name.split('.').next().map(str::to_owned);
        let names: Vec<_> = self.layers.iter().map(network).collect();
        let first = |name| names.iter().position(|other| other == name);
        names.iter().filter_map(first).collect()
    }
}

/// A step as it was reported. Reports leave out what is not finite: where gradient entries were
/// not, the gradient was not; where a gradient was measured and a loss was not, the loss was not.
/// Whoever knows better sets [`UpdateMetrics::not_finite`].
impl<'a> From<&'a UpdateReport> for UpdateMetrics<'a> {
    fn from(report: &'a UpdateReport) -> Self {
        let lossless = report.policy_loss.is_none() || report.value_loss.is_none();
        let measured = report.grad_norm.is_some() || report.grad_nonfinite > 0;
        let not_finite = if lossless && measured {
            Some(DivergenceReason::NonFiniteLoss)
        } else if report.grad_nonfinite > 0 {
            Some(DivergenceReason::NonFiniteGradient)
        } else {
            None
        };
        Self {
            global_step: report.global_step,
            optimiser_step: report.optimiser_step,
            not_finite,
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

/// What detectors read of how the robot drove in some episodes: an evaluation's, or an iteration's
/// where that is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DrivingMetrics {
    /// Environment steps gathered before.
    pub global_step: u64,
    /// Optimiser steps taken before.
    pub optimiser_step: u64,
    /// Episodes.
    pub episodes: u64,
    /// Episodes with spinning.
    pub spinning: Option<u64>,
    /// Episodes in which the robot was stuck.
    pub stuck: Option<u64>,
    /// Mean |jerk|, metres per second cubed.
    pub jerk_mps3: Option<f64>,
}

impl DrivingMetrics {
    /// How the robot drove in an evaluation.
    pub fn of_evaluation(summary: &EvalSummary, global_step: u64, optimiser_step: u64) -> Self {
        let count = |share: f64| (share * summary.episodes as f64).round() as u64;
        let driving_quality = summary.driving_quality.as_deref();
        Self {
            global_step,
            optimiser_step,
            episodes: summary.episodes,
            spinning: driving_quality.map(|driving_quality| count(driving_quality.spinning.value)),
            stuck: driving_quality.map(|driving_quality| count(driving_quality.stuck.value)),
            jerk_mps3: (summary.episodes > 0).then_some(summary.jerk_mps3.value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_belong_to_the_network_that_their_names_begin_with() {
        let layers = ["actor.0.weight", "critic.0.weight", "actor.log_std"];
        let network_layout = NetworkLayout {
            action_dim: 2,
            layers: layers.map(String::from).into(),
        };
        assert_eq!(network_layout.networks(), [0, 1, 0]);
    }

    #[test]
    fn what_was_not_finite_is_told_from_what_was_not_measured() {
        let healthy = UpdateReport {
            grad_norm: Some(1.0),
            policy_loss: Some(0.1),
            value_loss: Some(0.2),
            ..UpdateReport::default()
        };
        let not_finite = |report: &UpdateReport| UpdateMetrics::from(report).not_finite;
        assert_eq!(not_finite(&healthy), None);
        assert_eq!(not_finite(&UpdateReport::default()), None);
        let no_loss = UpdateReport {
            value_loss: None,
            ..healthy.clone()
        };
        assert_eq!(not_finite(&no_loss), Some(DivergenceReason::NonFiniteLoss));
        let no_gradient = UpdateReport {
            grad_norm: None,
            grad_nonfinite: 3,
            ..healthy
        };
        assert_eq!(
            not_finite(&no_gradient),
            Some(DivergenceReason::NonFiniteGradient)
        );
    }
}
