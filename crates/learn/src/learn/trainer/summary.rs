//! Summary of an iteration's optimiser steps.

use evenkeel_runs::telemetry::UpdateReport;

/// Means over optimiser steps; for the largest entry and the largest ratio, the maximum.
pub(super) fn mean_report(steps: &[UpdateReport]) -> UpdateReport {
    let mean = |of: fn(&UpdateReport) -> Option<f64>| {
        let known: Vec<f64> = steps.iter().filter_map(of).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let largest =
        |of: fn(&UpdateReport) -> Option<f64>| steps.iter().filter_map(of).reduce(f64::max);
    let last = steps.last();
    UpdateReport {
        global_step: last.map_or(0, |step| step.global_step),
        optimiser_step: last.map_or(0, |step| step.optimiser_step),
        grad_norm: mean(|step| step.grad_norm),
        grad_norm_actor: mean(|step| step.grad_norm_actor),
        grad_norm_critic: mean(|step| step.grad_norm_critic),
        layer_norms: Vec::new(),
        grad_max: largest(|step| step.grad_max),
        grad_nonfinite: steps.iter().map(|step| step.grad_nonfinite).sum(),
        clip: Vec::new(),
        update_ratio: mean(|step| step.update_ratio),
        layer_update_ratios: Vec::new(),
        update_cosine: mean(|step| step.update_cosine),
        param_norm: mean(|step| step.param_norm),
        policy_loss: mean(|step| step.policy_loss),
        value_loss: mean(|step| step.value_loss),
        entropy: mean(|step| step.entropy),
        approx_kl: mean(|step| step.approx_kl),
        ratio_clip_share: mean(|step| step.ratio_clip_share),
        ratio_max: largest(|step| step.ratio_max),
        hidden_grad_norms: Vec::new(),
        hidden_grad_growth: mean(|step| step.hidden_grad_growth),
    }
}
