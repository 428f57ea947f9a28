//! Clip stages whose bounds are settings. None of them keeps state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Kind;

use super::stage::{ClipState, ClipTechnique, StageInput, StageOutput, norm};
use crate::nn::{NetworkPart, ParamRole};
use crate::optim::family::{InvalidSetting, require_positive};

/// Scales the whole gradient down to a maximum L2 norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalNorm {
    /// Maximum norm.
    pub max: f64,
}

impl ClipTechnique for GlobalNorm {
    fn example() -> Self {
        Self { max: 0.5 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        StageOutput {
            gradient: (input.norm > self.max).then(|| input.gradient * (self.max / input.norm)),
            threshold: Some(self.max),
        }
    }
}

/// Scales the gradient of each parameter tensor down to a maximum L2 norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerLayerNorm {
    /// Maximum norm of each tensor.
    pub max: f64,
}

impl ClipTechnique for PerLayerNorm {
    fn example() -> Self {
        Self { max: 0.2 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        input.map_parameters(|_, _, gradient, _| {
            let size = norm(gradient);
            (size > self.max).then(|| gradient * (self.max / size))
        })
    }
}

/// Scales the gradients of the actor, the critic and a shared trunk down to separate maximum L2
/// norms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorCriticNorm {
    /// Maximum norm of the actor's gradient, the critic's, and that of a shared trunk.
    pub max: f64,
    /// Maximum norm of the critic's gradient. Absent: `max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critic_max: Option<f64>,
}

impl ClipTechnique for ActorCriticNorm {
    fn example() -> Self {
        Self {
            max: 0.3,
            critic_max: Some(0.5),
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)?;
        require_positive("critic_max", self.critic_max.unwrap_or(self.max))
    }

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        let part_norm = |part| norm(&input.layout.part(input.gradient, part));
        let scale = |part, max: f64| max / part_norm(part).max(max);
        let actor = scale(NetworkPart::Actor, self.max);
        let trunk = scale(NetworkPart::Trunk, self.max);
        let critic = scale(NetworkPart::Critic, self.critic_max.unwrap_or(self.max));
        input.map_parameters(|_, entry, gradient, _| {
            let scale = match entry.part {
                NetworkPart::Actor => actor,
                NetworkPart::Trunk => trunk,
                NetworkPart::Critic => critic,
            };
            (scale < 1.0).then(|| gradient * scale)
        })
    }
}

/// Clamps each entry of the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValueClip {
    /// Maximum absolute value of an entry.
    pub max: f64,
}

impl ClipTechnique for ValueClip {
    fn example() -> Self {
        Self { max: 0.02 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        // Rounded to the precision of the gradient: an entry equal to the bound is not beyond it.
        let max = f64::from(self.max as f32);
        let acts = input.gradient.abs().max().double_value(&[]) > max;
        StageOutput {
            gradient: acts.then(|| input.gradient.clamp(-max, max)),
            threshold: None,
        }
    }
}

/// Scales the whole gradient to a fixed length.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NormalisedGradient {
    /// The L2 norm after scaling.
    pub scale: f64,
}

impl Default for NormalisedGradient {
    fn default() -> Self {
        Self { scale: 1.0 }
    }
}

impl ClipTechnique for NormalisedGradient {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("scale", self.scale)
    }

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        // A gradient whose factor overflows `f32` is left unchanged.
        let factor = self.scale / input.norm;
        let acts = (factor as f32).is_finite();
        StageOutput {
            gradient: acts.then(|| input.gradient * factor),
            threshold: Some(self.scale),
        }
    }
}

/// Multiplies the whole gradient by `max` / (`max` + its norm).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmoothClip {
    /// Upper bound of the norm. A gradient of this norm is halved.
    pub max: f64,
}

impl ClipTechnique for SmoothClip {
    fn example() -> Self {
        Self { max: 0.5 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        let factor = self.max / (self.max + input.norm);
        StageOutput {
            gradient: (factor < 1.0).then(|| input.gradient * factor),
            threshold: Some(self.max),
        }
    }
}

/// Subtracts the mean from the gradient of each unit's weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CentralisedGradient {}

impl ClipTechnique for CentralisedGradient {
    fn example() -> Self {
        Self {}
    }

    fn bounds(&self) -> bool {
        false
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        input.map_parameters(|_, entry, gradient, _| {
            // A unit with a single weight would lose its whole gradient.
            let units = entry.shape[0] as usize;
            let matrix = matches!(entry.role, ParamRole::Weight | ParamRole::Output);
            if !matrix || entry.range.len() <= units {
                return None;
            }
            let rows = gradient.reshape([entry.shape[0], -1]);
            let means = rows.mean_dim(1, true, Kind::Float);
            let acts = means.any().int64_value(&[]) != 0;
            acts.then(|| rows - means)
        })
    }
}
