//! Parseval regularisation: hidden weight matrices stay near multiples of orthogonal ones.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::{DecayTechnique, WeightMatrix, check_rate};
use crate::nn::ParamRole;
use crate::optim::family::{InvalidSetting, require_positive};

/// Adds the gradient of `rate` · ‖W Wᵀ − `scale` · I‖² for each hidden weight matrix W, or of
/// `rate` · ‖Wᵀ W − `scale` · I‖² where W has more rows than columns. The matrices of the gates of a
/// recurrent cell count as one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Parseval {
    /// Coefficient of the penalty, λ.
    pub rate: f64,
    /// Squared singular value of the matrices, s. The default, 2, is that of the default initial
    /// weights, whose gain is √2.
    #[serde(default = "default_scale")]
    pub scale: f64,
}

fn default_scale() -> f64 {
    2.0
}

impl DecayTechnique for Parseval {
    fn example() -> Self {
        Self {
            rate: 1e-3,
            scale: default_scale(),
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_rate(self.rate)?;
        require_positive("scale", self.scale)
    }

    fn coupled(&self, matrix: &WeightMatrix) -> Option<Tensor> {
        if matrix.entry.role != ParamRole::Weight {
            return None;
        }
        let rows = matrix.weights.reshape([matrix.entry.shape[0], -1]);
        let (height, width) = (rows.size()[0], rows.size()[1]);
        let side = height.min(width);
        let identity = Tensor::eye(side, (Kind::Float, rows.device())) * self.scale;
        let gradient = if height <= width {
            (rows.mm(&rows.tr()) - identity).mm(&rows)
        } else {
            rows.mm(&(rows.tr().mm(&rows) - identity))
        };
        Some(gradient.reshape_as(matrix.weights) * (4.0 * self.rate))
    }
}
