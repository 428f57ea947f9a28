//! Clipping and normalising gradients: stages applied in the order in which they are listed, each
//! of which says what it did, and may remember what it has seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::family::{InvalidSetting, family, require, require_positive};
use crate::nn::{NetworkPart, ParamEntry, ParamLayout, ParamRole};
use evenkeel_runs::stats::quantile;
use evenkeel_runs::telemetry::ClipReport;

family! {
    /// One clip stage.
    pub enum ClipStage: ClipTechnique {
        /// Scales the whole gradient down to a largest L2 norm (Pascanu, Mikolov & Bengio 2013,
        /// <https://arxiv.org/abs/1211.5063>, algorithm 1).
        GlobalNorm(GlobalNorm) = "global_norm",
        /// Scales the gradient of each parameter tensor down to a largest L2 norm of its own, so
        /// that one layer that explodes does not silence the others (as Keras' `clipnorm`).
        PerLayerNorm(PerLayerNorm) = "per_layer",
        /// Scales the gradients of actor and critic down to largest L2 norms of their own: a value
        /// loss that jumps does not silence the policy.
        ActorCriticNorm(ActorCriticNorm) = "actor_critic",
        /// Clamps each entry, as Mikolov did first (2012; told in Pascanu, Mikolov & Bengio 2013,
        /// <https://arxiv.org/abs/1211.5063>, section 3.2). It changes the gradient's direction.
        ValueClip(ValueClip) = "value",
        /// Adaptive gradient clipping: bounds the gradient of each unit's weights by a share of the
        /// norm of these weights (Brock et al. 2021, <https://arxiv.org/abs/2102.06171>, equation
        /// 3). Last layers are left out, as in the paper; so is what is no weight matrix, whose
        /// norm may be 0.
        Agc(Agc) = "agc",
        /// `AutoClip`: scales the whole gradient down to a percentile of all norms so far
        /// (Seetharaman et al. 2020, <https://arxiv.org/abs/2007.14469>, algorithm 1).
        AutoClip(AutoClip) = "autoclip",
        /// ZClip: scales the whole gradient down when its norm is an outlier against a moving mean
        /// and deviation, the more the farther out it is (Kumar et al. 2025,
        /// <https://arxiv.org/abs/2504.02507>, algorithm 1).
        ZClip(ZClip) = "zclip",
        /// Normalised gradient: gives the whole gradient one length, whatever it was (Hazan, Levy &
        /// Shalev-Shwartz 2015, <https://arxiv.org/abs/1507.02030>).
        NormalisedGradient(NormalisedGradient) = "normalised",
        /// Smooth clip: multiplies the whole gradient by max / (max + its norm), which never reaches
        /// the bound and has no corner; a hard clip is the same up to a factor of 2 (Zhang, He, Sra &
        /// Jadbabaie 2020, <https://arxiv.org/abs/1905.11881>, section 2).
        SmoothClip(SmoothClip) = "smooth",
        /// Gradient centralisation: subtracts from the gradient of each unit's weights its mean
        /// (Yong et al. 2020, <https://arxiv.org/abs/2004.01461>, equation 1).
        CentralisedGradient(CentralisedGradient) = "centralised",
    }
}

/// What a clip stage remembers between optimiser steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClipState {
    /// Nothing.
    Stateless,
    /// Norms that came in, oldest first.
    Norms(Vec<f64>),
    /// A moving mean of norms and their variance about it.
    Moving {
        /// Mean.
        mean: f64,
        /// Mean square deviation.
        variance: f64,
    },
}

/// A gradient that has been through all stages.
#[derive(Debug)]
pub struct ClipResult {
    /// The gradient, flat.
    pub gradient: Tensor,
    /// What each stage remembers from now on, if the step is taken.
    pub states: Vec<ClipState>,
    /// What each stage did.
    pub reports: Vec<ClipReport>,
}

/// What a stage is given.
struct StageInput<'a> {
    /// Finite, flat.
    gradient: &'a Tensor,
    /// Its global L2 norm.
    norm: f64,
    /// θ, flat.
    parameters: &'a Tensor,
    /// Where each parameter lies in the two.
    layout: &'a ParamLayout,
}

/// What a stage makes of it.
struct StageOutput {
    /// The gradient where the stage acted; absent where it leaves every bit as it was.
    gradient: Option<Tensor>,
    /// The largest global norm let through, for a stage that bounds it.
    threshold: Option<f64>,
}

/// A technique of this family.
trait ClipTechnique {
    /// Settings that work.
    fn example() -> Self
    where
        Self: Sized;

    /// Refuses settings that cannot work.
    fn check(&self) -> Result<(), InvalidSetting>;

    /// Whether it is there to bound the gradient's size.
    fn bounds(&self) -> bool {
        true
    }

    /// What it remembers before the first step.
    fn initial_state(&self) -> ClipState {
        ClipState::Stateless
    }

    /// Whether a state is one of its own.
    fn accepts_state(&self, state: &ClipState) -> bool {
        matches!(state, ClipState::Stateless)
    }

    /// Acts on a gradient, or does not; moves the state on as if the step were taken.
    fn apply(&self, incoming: &StageInput, state: &mut ClipState) -> StageOutput;
}

/// Global L2 norm, summed in double precision so that it overflows for no finite `f32` gradient.
pub fn norm(flat: &Tensor) -> f64 {
    flat.to_kind(Kind::Double).norm().double_value(&[])
}

/// Puts a finite flat gradient of this norm through the stages in their order. A stage that does
/// not act leaves every bit as it was. `states` holds what each stage remembers; one that is not
/// its stage's own counts as none.
pub fn apply_clip_stages(
    stages: &[ClipStage],
    states: &[ClipState],
    gradient: Tensor,
    size: f64,
    parameters: &Tensor,
    layout: &ParamLayout,
) -> ClipResult {
    let mut before = size;
    let mut clipped = ClipResult {
        gradient,
        states: Vec::with_capacity(stages.len()),
        reports: Vec::with_capacity(stages.len()),
    };
    for (index, stage) in stages.iter().enumerate() {
        let own = states.get(index).filter(|state| stage.accepts_state(state));
        let mut state = own.map_or_else(|| stage.initial_state(), ClipState::clone);
        let incoming = StageInput {
            gradient: &clipped.gradient,
            norm: before,
            parameters,
            layout,
        };
        let StageOutput {
            gradient,
            threshold,
        } = stage.technique().apply(&incoming, &mut state);
        let acted = gradient.is_some();
        let after = gradient.as_ref().map_or(before, norm);
        clipped.reports.push(ClipReport {
            stage: stage.name().into(),
            norm_before: Some(before),
            norm_after: Some(after),
            acted,
            bounds: stage.technique().bounds(),
            threshold,
        });
        clipped.states.push(state);
        clipped.gradient = gradient.unwrap_or(clipped.gradient);
        before = after;
    }
    clipped
}

impl ClipStage {
    /// What it remembers before the first step.
    pub fn initial_state(&self) -> ClipState {
        self.technique().initial_state()
    }

    /// Whether a state is one that this stage can have.
    pub fn accepts_state(&self, state: &ClipState) -> bool {
        self.technique().accepts_state(state)
    }
}

impl StageInput<'_> {
    /// The gradient scaled down to a largest global norm.
    fn scaled_to_norm(&self, max: f64) -> StageOutput {
        StageOutput {
            gradient: (self.norm > max).then(|| self.gradient * (max / self.norm)),
            threshold: Some(max),
        }
    }

    /// The gradient with that of some parameters changed, given the parameter, its gradient and
    /// its values.
    fn map_parameters(
        &self,
        change: impl Fn(&ParamEntry, &Tensor, &Tensor) -> Option<Tensor>,
    ) -> StageOutput {
        let mut gradient: Option<Tensor> = None;
        let (gradients, values) = (
            self.layout.views(self.gradient),
            self.layout.views(self.parameters),
        );
        for (entry, (old, value)) in self
            .layout
            .entries()
            .iter()
            .zip(gradients.iter().zip(&values))
        {
            if let Some(new) = change(entry, old, value) {
                let flat = gradient.get_or_insert_with(|| self.gradient.copy());
                let (start, length) = (entry.range.start as i64, entry.range.len() as i64);
                flat.narrow(0, start, length).copy_(&new.reshape([-1]));
            }
        }
        StageOutput {
            gradient,
            threshold: None,
        }
    }
}

/// Scales the whole gradient down to a largest L2 norm.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GlobalNorm {
    /// The largest norm let through.
    pub max: f64,
}

impl ClipTechnique for GlobalNorm {
    fn example() -> Self {
        Self { max: 0.5 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        incoming.scaled_to_norm(self.max)
    }
}

/// Scales the gradient of each parameter tensor down to a largest L2 norm of its own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PerLayerNorm {
    /// The largest norm let through in each tensor.
    pub max: f64,
}

impl ClipTechnique for PerLayerNorm {
    fn example() -> Self {
        Self { max: 0.2 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        incoming.map_parameters(|_, gradient, _| {
            let size = norm(gradient);
            (size > self.max).then(|| gradient * (self.max / size))
        })
    }
}

/// Scales the gradients of actor and critic, and of a trunk that they share, down to largest L2
/// norms of their own.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ActorCriticNorm {
    /// The largest norm let through, in the actor, in the critic and in what they share.
    pub max: f64,
    /// The critic's, where it is another.
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

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        let of_part = |part| norm(&incoming.layout.part(incoming.gradient, part));
        let scale = |part, max: f64| max / of_part(part).max(max);
        let actor = scale(NetworkPart::Actor, self.max);
        let trunk = scale(NetworkPart::Trunk, self.max);
        let critic = scale(NetworkPart::Critic, self.critic_max.unwrap_or(self.max));
        incoming.map_parameters(|entry, gradient, _| {
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
    /// The largest absolute value let through.
    pub max: f64,
}

impl ClipTechnique for ValueClip {
    fn example() -> Self {
        Self { max: 0.02 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        // In the gradient's own precision, so that what is at the bound is not beyond it.
        let max = f64::from(self.max as f32);
        let acts = incoming.gradient.abs().max().double_value(&[]) > max;
        StageOutput {
            gradient: acts.then(|| incoming.gradient.clamp(-max, max)),
            threshold: None,
        }
    }
}

/// Bounds the gradient of each unit's weights by a share of the norm of these weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Agc {
    /// The largest ratio of the gradient's norm to the weights', λ; 0.01 suits minibatches of
    /// thousands, smaller ones take more.
    pub factor: f64,
    /// The least norm that weights are taken to have, so that those at 0 can leave it.
    pub epsilon: f64,
}

impl Default for Agc {
    fn default() -> Self {
        Self {
            factor: 0.01,
            epsilon: 1e-3,
        }
    }
}

impl ClipTechnique for Agc {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("factor", self.factor)?;
        require_positive("epsilon", self.epsilon)
    }

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        incoming.map_parameters(|entry, gradient, weights| {
            if entry.role != ParamRole::Weight {
                return None;
            }
            let rows = gradient.reshape([entry.shape[0], -1]);
            let limits = row_norms(weights).clamp_min(self.epsilon) * self.factor;
            let norms = row_norms(gradient);
            let beyond = norms.gt_tensor(&limits);
            let scales = (limits / norms).where_self(&beyond, &Tensor::from(1.0));
            let acts = beyond.any().int64_value(&[]) != 0;
            acts.then(|| rows * scales.to_kind(Kind::Float).unsqueeze(1))
        })
    }
}

/// L2 norm of each row of a tensor `[rows, …]`, in double precision.
fn row_norms(tensor: &Tensor) -> Tensor {
    let rows = tensor.reshape([tensor.size()[0], -1]).to_kind(Kind::Double);
    rows.square().sum_dim_intlist(1, false, Kind::Double).sqrt()
}

/// Scales the whole gradient down to a percentile of all norms so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoClip {
    /// Of all norms so far, this one's included, 0 to 100; the lower, the more is clipped.
    pub percentile: f64,
    /// Norms remembered, the latest; enough for all of a usual run.
    pub window: u32,
}

impl Default for AutoClip {
    fn default() -> Self {
        Self {
            percentile: 10.0,
            window: 10_000,
        }
    }
}

impl ClipTechnique for AutoClip {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        let (percentile, window) = (self.percentile, self.window);
        let holds = (0.0..=100.0).contains(&percentile);
        require("percentile", percentile, holds, "from 0 to 100")?;
        let holds = (2..=1_000_000).contains(&window);
        require("window", window, holds, "a whole number from 2 to 1000000")
    }

    fn initial_state(&self) -> ClipState {
        ClipState::Norms(Vec::new())
    }

    fn accepts_state(&self, state: &ClipState) -> bool {
        matches!(state, ClipState::Norms(_))
    }

    fn apply(&self, incoming: &StageInput, state: &mut ClipState) -> StageOutput {
        let ClipState::Norms(norms) = state else {
            unreachable!("`owns` lets only norms through")
        };
        norms.push(incoming.norm);
        let surplus = norms.len().saturating_sub(self.window as usize);
        norms.drain(..surplus);
        let mut sorted = norms.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let threshold = quantile(&sorted, self.percentile / 100.0);
        incoming.scaled_to_norm(threshold.expect("this norm is one of them"))
    }
}

/// Scales the whole gradient down when its norm is an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ZClip {
    /// Deviations above the mean from which a norm is an outlier, `z_thres`.
    pub z_threshold: f64,
    /// Decay of mean and variance, α.
    pub alpha: f64,
    /// Steps, at first, that are only watched.
    pub warmup_steps: u32,
}

impl Default for ZClip {
    fn default() -> Self {
        Self {
            z_threshold: 2.5,
            alpha: 0.97,
            warmup_steps: 25,
        }
    }
}

impl ZClip {
    /// Added to the deviation, as in the authors' code.
    const EPSILON: f64 = 1e-6;
}

impl ClipTechnique for ZClip {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("z_threshold", self.z_threshold)?;
        let (alpha, steps) = (self.alpha, self.warmup_steps);
        let holds = (0.0..1.0).contains(&alpha);
        require("alpha", alpha, holds, "at least 0 and below 1")?;
        let holds = (2..=1_000_000).contains(&steps);
        require(
            "warmup_steps",
            steps,
            holds,
            "a whole number from 2 to 1000000",
        )
    }

    fn initial_state(&self) -> ClipState {
        ClipState::Norms(Vec::new())
    }

    fn accepts_state(&self, state: &ClipState) -> bool {
        matches!(state, ClipState::Norms(_) | ClipState::Moving { .. })
    }

    fn apply(&self, incoming: &StageInput, state: &mut ClipState) -> StageOutput {
        let (mean, variance) = match state {
            ClipState::Moving { mean, variance } => (mean, variance),
            ClipState::Norms(norms) => {
                norms.push(incoming.norm);
                if norms.len() >= self.warmup_steps as usize {
                    let count = norms.len() as f64;
                    let mean = norms.iter().sum::<f64>() / count;
                    let squares = norms.iter().map(|norm| (norm - mean).powi(2));
                    let variance = squares.sum::<f64>() / count;
                    *state = ClipState::Moving { mean, variance };
                }
                return StageOutput {
                    gradient: None,
                    threshold: None,
                };
            }
            ClipState::Stateless => unreachable!("`owns` lets nothing like this through"),
        };
        let deviation = variance.sqrt();
        let threshold = *mean + self.z_threshold * (deviation + Self::EPSILON);
        let z = (incoming.norm - *mean) / (deviation + Self::EPSILON);
        let outlier = z > self.z_threshold;
        // z* = z_thres² / z: the farther out, the nearer to the mean it is brought.
        let let_through = if outlier {
            *mean + self.z_threshold.powi(2) / z * deviation
        } else {
            incoming.norm
        };
        *mean = self.alpha * *mean + (1.0 - self.alpha) * let_through;
        *variance = self.alpha * *variance + (1.0 - self.alpha) * (let_through - *mean).powi(2);
        StageOutput {
            gradient: outlier.then(|| incoming.gradient * (let_through / incoming.norm)),
            threshold: Some(threshold),
        }
    }
}

/// Gives the whole gradient one length, whatever it was.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NormalisedGradient {
    /// The length.
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

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        // A gradient too short to have a direction in its own precision is left alone.
        let factor = self.scale / incoming.norm;
        let acts = (factor as f32).is_finite();
        StageOutput {
            gradient: acts.then(|| incoming.gradient * factor),
            threshold: Some(self.scale),
        }
    }
}

/// Multiplies the whole gradient by `max` / (`max` + its norm).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SmoothClip {
    /// The norm that is never reached; a gradient of this norm is halved.
    pub max: f64,
}

impl ClipTechnique for SmoothClip {
    fn example() -> Self {
        Self { max: 0.5 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("max", self.max)
    }

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        let factor = self.max / (self.max + incoming.norm);
        StageOutput {
            gradient: (factor < 1.0).then(|| incoming.gradient * factor),
            threshold: Some(self.max),
        }
    }
}

/// Subtracts from the gradient of each unit's weights its mean.
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

    fn apply(&self, incoming: &StageInput, _: &mut ClipState) -> StageOutput {
        incoming.map_parameters(|entry, gradient, _| {
            // A unit with one weight would lose all of its gradient.
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

#[cfg(test)]
mod tests;
