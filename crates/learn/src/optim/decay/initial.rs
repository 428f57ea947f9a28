//! Techniques that keep weights near their initial values, or their sizes near the initial ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::{DecayTechnique, WeightMatrix, check_rate};
use crate::nn::ParamRole;
use crate::optim::family::{InvalidSetting, require_positive};
use crate::optim::norm;

/// Pulls weights towards their initial values in proportion to the distance, through the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TowardsInitial {
    /// Coefficient of the penalty.
    pub rate: f64,
}

impl DecayTechnique for TowardsInitial {
    fn example() -> Self {
        Self { rate: 1e-4 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_rate(self.rate)
    }

    fn coupled(&self, matrix: &WeightMatrix) -> Option<Tensor> {
        Some((matrix.weights - matrix.initial) * self.rate)
    }
}

/// Clamps weights after each optimiser step to ± `factor` times the bound of their layer. The bound
/// is the largest absolute initial weight of the layer, and at least 1/√fan-in, the bound of
/// `PyTorch`'s layers, so that an output layer with a small gain can grow.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WeightClip {
    /// Multiple of the bound, κ. The paper uses 1 to 5, for uniform initial weights. The largest of
    /// the orthogonal ones is about twice the bound of uniform ones with the same variance.
    pub factor: f64,
}

impl Default for WeightClip {
    fn default() -> Self {
        Self { factor: 2.0 }
    }
}

impl DecayTechnique for WeightClip {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("factor", self.factor)
    }

    fn constrain(&self, stepped: &Tensor, matrix: &WeightMatrix) -> Option<Tensor> {
        let fan_in = matrix.entry.shape[1..].iter().product::<i64>();
        let least = 1.0 / (fan_in as f64).sqrt();
        let bound = self.factor * matrix.initial.abs().max().double_value(&[]).max(least);
        Some(stepped.clamp(-bound, bound))
    }
}

/// Rescales each hidden weight matrix to its initial Frobenius norm after each optimiser step. In a
/// normalised layer (`policy.norm`), the size of the weights has almost no effect on the outputs, but
/// the effective learning rate falls as they grow; this keeps it. Output layers are left as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Project {}

impl DecayTechnique for Project {
    fn example() -> Self {
        Self {}
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    fn constrain(&self, stepped: &Tensor, matrix: &WeightMatrix) -> Option<Tensor> {
        if matrix.entry.role != ParamRole::Weight {
            return None;
        }
        let scale = norm(matrix.initial) / norm(stepped);
        // Weights of 0 have no direction.
        (scale.is_finite() && scale > 0.0).then(|| stepped * scale)
    }
}
