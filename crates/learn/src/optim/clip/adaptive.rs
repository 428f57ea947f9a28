//! Clip stages whose bounds follow the weights or earlier gradient norms.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::fixed::GlobalNorm;
use super::stage::{ClipState, ClipTechnique, StageInput, StageOutput};
use crate::nn::ParamRole;
use crate::optim::family::{InvalidSetting, require, require_positive};
use evenkeel_runs::stats::quantile;

/// Bounds the gradient of each unit's weights by a share of the norm of these weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Agc {
    /// Maximum ratio λ of the gradient's norm to the weights' norm. 0.01 suits minibatches of
    /// thousands of samples; smaller minibatches need a larger value.
    pub factor: f64,
    /// Lower bound for the norm of the weights, so that weights at 0 can change.
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

    fn apply(&self, input: &StageInput, _: &mut ClipState) -> StageOutput {
        input.map_parameters(|_, entry, gradient, weights| {
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

/// Scales the whole gradient down to a percentile of the norms so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AutoClip {
    /// Percentile of the norms so far, including the current one, 0 to 100. Lower values clip more.
    pub percentile: f64,
    /// Number of latest norms that are kept. The default covers a typical run.
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

    fn apply(&self, input: &StageInput, state: &mut ClipState) -> StageOutput {
        let ClipState::Norms(norms) = state else {
            unreachable!("`accepts_state` accepts norms only")
        };
        norms.push(input.norm);
        let excess = norms.len().saturating_sub(self.window as usize);
        norms.drain(..excess);
        let mut sorted = norms.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let threshold = quantile(&sorted, self.percentile / 100.0);
        let max = threshold.expect("the current norm is among them");
        GlobalNorm { max }.apply(input, state)
    }
}

/// Scales the whole gradient down if its norm is an outlier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ZClip {
    /// Number of standard deviations above the mean beyond which a norm is an outlier, `z_thres`.
    pub z_threshold: f64,
    /// Decay of the moving mean and variance, α.
    pub alpha: f64,
    /// First steps, which are observed but not clipped.
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
    /// Added to the standard deviation, as in the authors' code.
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

    fn apply(&self, input: &StageInput, state: &mut ClipState) -> StageOutput {
        let (mean, variance) = match state {
            ClipState::Moving { mean, variance } => (mean, variance),
            ClipState::Norms(norms) => {
                norms.push(input.norm);
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
            ClipState::Stateless | ClipState::TensorNorms { .. } => {
                unreachable!("`accepts_state` does not accept this")
            }
        };
        let deviation = variance.sqrt();
        let threshold = *mean + self.z_threshold * (deviation + Self::EPSILON);
        let z = (input.norm - *mean) / (deviation + Self::EPSILON);
        let outlier = z > self.z_threshold;
        // z* = z_thres² / z: a larger outlier is clipped closer to the mean.
        let clipped_norm = if outlier {
            *mean + self.z_threshold.powi(2) / z * deviation
        } else {
            input.norm
        };
        *mean = self.alpha * *mean + (1.0 - self.alpha) * clipped_norm;
        *variance = self.alpha * *variance + (1.0 - self.alpha) * (clipped_norm - *mean).powi(2);
        StageOutput {
            gradient: outlier.then(|| input.gradient * (clipped_norm / input.norm)),
            threshold: Some(threshold),
        }
    }
}
