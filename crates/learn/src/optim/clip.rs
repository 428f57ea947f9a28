//! Clipping and normalising gradients: a list of stages, applied in order. Each stage reports what
//! it did and may keep state between optimiser steps.

mod adaptive;
mod fixed;
mod per_tensor;
mod stage;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::family::{InvalidSetting, family};
use crate::nn::ParamLayout;
use evenkeel_runs::telemetry::ClipReport;
use stage::{ClipTechnique, StageInput, StageOutput};

pub use adaptive::{Agc, AutoClip, ZClip};
pub use fixed::{
    ActorCriticNorm, CentralisedGradient, GlobalNorm, NormalisedGradient, PerLayerNorm, SmoothClip,
    ValueClip,
};
pub use per_tensor::AdaGc;
pub use stage::{ClipState, norm};

family! {
    /// One clip stage.
    pub enum ClipStage: ClipTechnique {
        /// Scales the whole gradient down to a maximum L2 norm (Pascanu, Mikolov & Bengio 2013,
        /// <https://arxiv.org/abs/1211.5063>, algorithm 1).
        GlobalNorm(GlobalNorm) = "global_norm",
        /// Scales the gradient of each parameter tensor down to a maximum L2 norm, so that one
        /// exploding layer does not shrink the gradients of the others (Keras' `clipnorm`).
        PerLayerNorm(PerLayerNorm) = "per_layer",
        /// Scales the gradients of actor and critic down to separate maximum L2 norms, so that a
        /// jump of the value loss does not shrink the policy gradient.
        ActorCriticNorm(ActorCriticNorm) = "actor_critic",
        /// Clamps each entry of the gradient (Mikolov 2012, described in Pascanu, Mikolov & Bengio
        /// 2013, <https://arxiv.org/abs/1211.5063>, section 3.2). This changes the direction of the
        /// gradient.
        ValueClip(ValueClip) = "value",
        /// Adaptive gradient clipping: bounds the gradient of each unit's weights by a share of the
        /// norm of these weights (Brock et al. 2021, <https://arxiv.org/abs/2102.06171>, equation
        /// 3). It skips output layers, as in the paper, and parameters that are not weight
        /// matrices, because their norm may be 0.
        Agc(Agc) = "agc",
        /// `AutoClip`: scales the whole gradient down to a percentile of the norms so far
        /// (Seetharaman et al. 2020, <https://arxiv.org/abs/2007.14469>, algorithm 1).
        AutoClip(AutoClip) = "autoclip",
        /// ZClip: scales the whole gradient down if its norm is an outlier against a moving mean
        /// and standard deviation. Larger outliers are scaled down more (Kumar et al. 2025,
        /// <https://arxiv.org/abs/2504.02507>, algorithm 1).
        ZClip(ZClip) = "zclip",
        /// `AdaGC`: scales the gradient of each parameter tensor down to a multiple of the running
        /// mean of its own clipped norms, after a warm-up in which the whole gradient is clipped
        /// (Wang et al. 2025, <https://arxiv.org/abs/2502.11034>, algorithm 1).
        AdaGc(AdaGc) = "adagc",
        /// Normalised gradient: scales the whole gradient to a fixed length (Hazan, Levy &
        /// Shalev-Shwartz 2015, <https://arxiv.org/abs/1507.02030>).
        NormalisedGradient(NormalisedGradient) = "normalised",
        /// Smooth clip: multiplies the whole gradient by max / (max + its norm). The result stays
        /// below the bound and has no corner. It differs from a hard clip by at most a factor of 2
        /// (Zhang, He, Sra & Jadbabaie 2020, <https://arxiv.org/abs/1905.11881>, section 2).
        SmoothClip(SmoothClip) = "smooth",
        /// Gradient centralisation: subtracts the mean from the gradient of each unit's weights
        /// (Yong et al. 2020, <https://arxiv.org/abs/2004.01461>, equation 1).
        CentralisedGradient(CentralisedGradient) = "centralised",
    }
}

/// The result of all clip stages.
#[derive(Debug)]
pub struct ClipResult {
    /// The gradient, flat.
    pub gradient: Tensor,
    /// The next state of each stage, if the optimiser step is taken.
    pub states: Vec<ClipState>,
    /// What each stage did.
    pub reports: Vec<ClipReport>,
}

/// Applies the stages in order to a finite flat gradient whose global L2 norm is `gradient_norm`. A
/// stage that does not act leaves every bit unchanged. `states` holds the state of each stage; a
/// missing state, or one of another kind of stage, is replaced by the initial state.
pub fn apply_clip_stages(
    stages: &[ClipStage],
    states: &[ClipState],
    gradient: Tensor,
    gradient_norm: f64,
    parameters: &Tensor,
    layout: &ParamLayout,
) -> ClipResult {
    let mut before = gradient_norm;
    let mut result = ClipResult {
        gradient,
        states: Vec::with_capacity(stages.len()),
        reports: Vec::with_capacity(stages.len()),
    };
    for (index, stage) in stages.iter().enumerate() {
        let own = states.get(index).filter(|state| stage.accepts_state(state));
        let mut state = own.map_or_else(|| stage.initial_state(), ClipState::clone);
        let input = StageInput {
            gradient: &result.gradient,
            norm: before,
            parameters,
            layout,
        };
        let StageOutput {
            gradient,
            threshold,
        } = stage.technique().apply(&input, &mut state);
        let acted = gradient.is_some();
        let after = gradient.as_ref().map_or(before, norm);
        result.reports.push(ClipReport {
            stage: stage.name().into(),
            norm_before: Some(before),
            norm_after: Some(after),
            acted,
            bounds: stage.technique().bounds(),
            threshold,
        });
        result.states.push(state);
        result.gradient = gradient.unwrap_or(result.gradient);
        before = after;
    }
    result
}

impl ClipStage {
    /// The state before the first step.
    pub fn initial_state(&self) -> ClipState {
        self.technique().initial_state()
    }

    /// Whether a state is of the kind that this stage keeps.
    pub fn accepts_state(&self, state: &ClipState) -> bool {
        self.technique().accepts_state(state)
    }
}

#[cfg(test)]
mod tests;
