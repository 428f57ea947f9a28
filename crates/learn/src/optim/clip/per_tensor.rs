//! Clip stages whose bounds follow the earlier gradients of each parameter tensor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fixed::GlobalNorm;
use super::stage::{ClipState, ClipTechnique, StageInput, StageOutput, norm};
use crate::optim::family::{InvalidSetting, require, require_positive};

/// Scales the gradient of each tensor down to a multiple of the running mean of its clipped norms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaGc {
    /// Maximum ratio of a tensor's norm to its running mean, `λ_rel`.
    pub factor: f64,
    /// Decay of the running mean, β.
    pub decay: f64,
    /// Maximum norm of the whole gradient during the warm-up, `λ_abs`.
    pub warmup_max: f64,
    /// First steps, in which the whole gradient is clipped and each tensor's mean is its smallest
    /// norm so far.
    pub warmup_steps: u32,
}

impl Default for AdaGc {
    fn default() -> Self {
        Self {
            factor: 1.05,
            decay: 0.98,
            warmup_max: 1.0,
            warmup_steps: 100,
        }
    }
}

impl AdaGc {
    /// The running means after a step of the warm-up in which the tensors had these norms.
    fn warm_up(means: &[f64], norms: &[f64]) -> Vec<f64> {
        let smaller = |(index, &norm): (usize, &f64)| {
            let before = means.get(index).copied().unwrap_or(f64::INFINITY);
            before.min(norm)
        };
        norms.iter().enumerate().map(smaller).collect()
    }

    /// The factor on the gradient of a tensor of this norm. A tensor whose gradients have been 0 has
    /// no mean, and is not clipped.
    fn scale(&self, mean: f64, norm: f64) -> f64 {
        let limit = self.factor * mean;
        if mean > 0.0 && norm > limit {
            limit / norm
        } else {
            1.0
        }
    }
}

impl ClipTechnique for AdaGc {
    fn example() -> Self {
        Self {
            warmup_steps: 20,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("factor", self.factor)?;
        let (decay, steps) = (self.decay, self.warmup_steps);
        let holds = (0.0..1.0).contains(&decay);
        require("decay", decay, holds, "at least 0 and below 1")?;
        require_positive("warmup_max", self.warmup_max)?;
        let holds = (1..=1_000_000).contains(&steps);
        require(
            "warmup_steps",
            steps,
            holds,
            "a whole number from 1 to 1000000",
        )
    }

    fn initial_state(&self) -> ClipState {
        ClipState::TensorNorms {
            steps: 0,
            means: Vec::new(),
        }
    }

    fn accepts_state(&self, state: &ClipState) -> bool {
        matches!(state, ClipState::TensorNorms { .. })
    }

    fn apply(&self, input: &StageInput, state: &mut ClipState) -> StageOutput {
        let ClipState::TensorNorms { steps, means } = state else {
            unreachable!("`accepts_state` accepts means of tensors only")
        };
        let views = input.layout.views(input.gradient);
        let norms: Vec<f64> = views.iter().map(norm).collect();
        if *steps < self.warmup_steps || means.len() != norms.len() {
            let max = self.warmup_max;
            let scale = (max / input.norm).min(1.0);
            let clipped: Vec<f64> = norms.iter().map(|norm| norm * scale).collect();
            *means = Self::warm_up(means, &clipped);
            *steps += 1;
            return GlobalNorm { max }.apply(input, state);
        }
        let pairs = means.iter().zip(&norms);
        let scales: Vec<f64> = pairs.map(|(&mean, &norm)| self.scale(mean, norm)).collect();
        for (mean, (norm, scale)) in means.iter_mut().zip(norms.iter().zip(&scales)) {
            *mean = self.decay * *mean + (1.0 - self.decay) * norm * scale;
        }
        input.map_parameters(|index, _, gradient, _| {
            let scale = scales[index];
            (scale < 1.0).then(|| gradient * scale)
        })
    }
}
