//! Weight decay: pulls weights towards 0 or another place, through the gradient (coupled) or after
//! the optimiser step (decoupled), or constrains them after it. Only weight matrices decay, not
//! biases, parameters of normalisation layers or standard deviations of actions.

mod initial;
mod parseval;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::family::{InvalidSetting, family, require};
use crate::nn::{ParamEntry, ParamLayout, ParamRole};

pub use initial::{Project, TowardsInitial, WeightClip};
pub use parseval::Parseval;

family! {
    /// One kind of weight decay.
    pub enum WeightDecay: DecayTechnique {
        /// Adds `rate`·sign(θ) to the gradient, the gradient of a penalty `rate`·‖θ‖₁. Makes
        /// weights sparse (Tibshirani 1996, <https://doi.org/10.1111/j.2517-6161.1996.tb02080.x>).
        L1Decay(L1Decay) = "l1",
        /// Adds `rate`·θ to the gradient, the gradient of a penalty ½·`rate`·‖θ‖₂² (Krogh & Hertz
        /// 1991,
        /// <https://papers.nips.cc/paper/1991/hash/8eefcfdf5990e441f0fb6f3fad709e21-Abstract.html>).
        /// Adam scales it like the rest of the gradient.
        L2Decay(L2Decay) = "l2",
        /// Subtracts learning rate · `rate` · θ after the optimiser step (Loshchilov & Hutter 2019,
        /// <https://arxiv.org/abs/1711.05101>, algorithm 2). With Adam, this is `AdamW`.
        DecoupledDecay(DecoupledDecay) = "decoupled",
        /// Adds `rate`·(θ − θ₀) to the gradient, where θ₀ are the initial weights: regenerative
        /// regularisation, which keeps a network able to learn (Kumar, Marklund & Van Roy 2023,
        /// <https://arxiv.org/abs/2308.11958>, equation 1).
        TowardsInitial(TowardsInitial) = "towards_initial",
        /// Clamps weights after the optimiser step to a multiple of their initial range (Elsayed
        /// et al. 2024, <https://arxiv.org/abs/2407.01704>, algorithm 1).
        WeightClip(WeightClip) = "weight_clip",
        /// Rescales each hidden weight matrix to its initial norm after the optimiser step. With
        /// `policy.norm = "layer"`, this is normalise-and-project (Lyle et al. 2024,
        /// <https://arxiv.org/abs/2407.01800>, section 4).
        Project(Project) = "project",
        /// Parseval regularisation: a penalty on the distance of hidden weight matrices from
        /// multiples of orthogonal ones (Chung et al. 2024, <https://arxiv.org/abs/2412.07224>,
        /// section 3).
        Parseval(Parseval) = "parseval",
    }
}

/// A weight matrix.
struct WeightMatrix<'a> {
    entry: &'a ParamEntry,
    /// θ before the optimiser step, in its shape.
    weights: &'a Tensor,
    /// θ₀, in the same shape.
    initial: &'a Tensor,
}

/// A decay technique. A coupled one adds to the gradient of a weight matrix, a decoupled one
/// subtracts from the weights, a constraint replaces them.
trait DecayTechnique {
    /// Valid settings.
    fn example() -> Self
    where
        Self: Sized;

    /// Checks each setting.
    fn check(&self) -> Result<(), InvalidSetting>;

    /// The term to add to the gradient of these weights.
    fn coupled(&self, _matrix: &WeightMatrix) -> Option<Tensor> {
        None
    }

    /// The term to subtract from these weights, divided by the learning rate.
    fn decoupled(&self, _matrix: &WeightMatrix) -> Option<Tensor> {
        None
    }

    /// The weights to take instead of those after the optimiser step, `stepped`.
    fn constrain(&self, _stepped: &Tensor, _matrix: &WeightMatrix) -> Option<Tensor> {
        None
    }
}

/// Adds coupled decay to a flat gradient, for parameters θ whose initial values were `initial`.
pub fn apply_coupled_decay(
    decays: &[WeightDecay],
    gradient: Tensor,
    parameters: &Tensor,
    initial: &Tensor,
    layout: &ParamLayout,
) -> Tensor {
    map_matrices(
        decays,
        gradient,
        [parameters, initial],
        layout,
        |decay, gradient, matrix| Some(gradient + decay.coupled(matrix)?),
    )
}

/// Applies decoupled decay and then constraints to flat `parameters` after an optimiser step;
/// `before` is θ before that step.
pub fn apply_decoupled_decay(
    decays: &[WeightDecay],
    parameters: Tensor,
    before: &Tensor,
    initial: &Tensor,
    learning_rate: f64,
    layout: &ParamLayout,
) -> Tensor {
    let fixed = [before, initial];
    let decayed = map_matrices(
        decays,
        parameters,
        fixed,
        layout,
        |decay, stepped, matrix| Some(stepped + decay.decoupled(matrix)? * -learning_rate),
    );
    map_matrices(decays, decayed, fixed, layout, |decay, stepped, matrix| {
        decay.constrain(stepped, matrix)
    })
}

/// Replaces the weight matrices that are not frozen in a copy of `flat`, one decay after the other. `change` gets a
/// technique, the matrix in `flat`, and the matrix in the parameters and the initial parameters
/// `fixed`; it returns the new matrix or nothing. Returns `flat` itself without decays.
fn map_matrices(
    decays: &[WeightDecay],
    flat: Tensor,
    fixed: [&Tensor; 2],
    layout: &ParamLayout,
    change: impl Fn(&dyn DecayTechnique, &Tensor, &WeightMatrix) -> Option<Tensor>,
) -> Tensor {
    if decays.is_empty() {
        return flat;
    }
    let flat = flat.copy();
    let mut targets = layout.views(&flat);
    let [weights, initial] = fixed.map(|flat| layout.views(flat));
    for (index, entry) in layout.entries().iter().enumerate() {
        if entry.frozen || !matches!(entry.role, ParamRole::Weight | ParamRole::Output) {
            continue;
        }
        let matrix = WeightMatrix {
            entry,
            weights: &weights[index],
            initial: &initial[index],
        };
        for decay in decays {
            if let Some(changed) = change(decay.technique(), &targets[index], &matrix) {
                targets[index].copy_(&changed);
            }
        }
    }
    flat
}

/// Pulls each weight towards 0 by the same amount, through the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L1Decay {
    /// Coefficient of the penalty.
    pub rate: f64,
}

impl DecayTechnique for L1Decay {
    fn example() -> Self {
        Self { rate: 1e-5 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_rate(self.rate)
    }

    fn coupled(&self, matrix: &WeightMatrix) -> Option<Tensor> {
        Some(matrix.weights.sign() * self.rate)
    }
}

/// Pulls weights towards 0 in proportion to their size, through the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L2Decay {
    /// Coefficient of the penalty.
    pub rate: f64,
}

impl DecayTechnique for L2Decay {
    fn example() -> Self {
        Self { rate: 1e-4 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_rate(self.rate)
    }

    fn coupled(&self, matrix: &WeightMatrix) -> Option<Tensor> {
        Some(matrix.weights * self.rate)
    }
}

/// Pulls weights towards 0 in proportion to their size, independent of the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecoupledDecay {
    /// Share of a weight that is subtracted at a learning rate of 1.
    pub rate: f64,
}

impl DecayTechnique for DecoupledDecay {
    fn example() -> Self {
        Self { rate: 1e-2 }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_rate(self.rate)
    }

    fn decoupled(&self, matrix: &WeightMatrix) -> Option<Tensor> {
        Some(matrix.weights * self.rate)
    }
}

fn check_rate(rate: f64) -> Result<(), InvalidSetting> {
    let holds = rate.is_finite() && rate >= 0.0;
    require("rate", rate, holds, "a finite number of at least 0")
}

#[cfg(test)]
mod tests;
