//! Weight decay: what draws weights towards 0, through the gradient (coupled) or past the
//! optimiser (decoupled). Only weight matrices decay: biases, parameters of normalisation layers
//! and standard deviations of actions are left out.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::family::{BadSetting, family, require};
use crate::nn::{ParamLayout, Role};

family! {
    /// One kind of weight decay.
    pub enum Decay: Shrink {
        /// Adds `rate`·sign(θ) to the gradient: the slope of a penalty `rate`·‖θ‖₁, which makes
        /// weights sparse (Tibshirani 1996, <https://doi.org/10.1111/j.2517-6161.1996.tb02080.x>).
        L1(L1) = "l1",
        /// Adds `rate`·θ to the gradient: the slope of a penalty ½·`rate`·‖θ‖₂² (Krogh & Hertz 1991,
        /// <https://papers.nips.cc/paper/563>, equation 3). With Adam it is scaled like the rest of
        /// the gradient.
        L2(L2) = "l2",
        /// Subtracts learning rate · `rate` · θ beside the optimiser's step (Loshchilov & Hutter
        /// 2019, <https://arxiv.org/abs/1711.05101>, algorithm 2): with Adam, this is AdamW.
        Decoupled(Decoupled) = "decoupled",
    }
}

/// A technique of this family: what it adds to one weight matrix's gradient or takes from it.
trait Shrink {
    /// Settings that work.
    fn example() -> Self
    where
        Self: Sized;

    /// Refuses settings that cannot work.
    fn check(&self) -> Result<(), BadSetting>;

    /// What it adds to the gradient of these weights.
    fn coupled(&self, _weights: &Tensor) -> Option<Tensor> {
        None
    }

    /// What it takes from these weights for each unit of learning rate.
    fn decoupled(&self, _weights: &Tensor) -> Option<Tensor> {
        None
    }
}

/// The gradient with what coupled decay adds to it, for parameters θ.
pub fn couple(
    decays: &[Decay],
    gradient: Tensor,
    parameters: &Tensor,
    layout: &ParamLayout,
) -> Tensor {
    let pull = |decay: &Decay, weights: &Tensor| decay.technique().coupled(weights);
    drawn(decays, gradient, parameters, layout, &pull)
}

/// The parameters after the optimiser's step with what decoupled decay takes from them; `before`
/// is θ before that step.
pub fn decouple(
    decays: &[Decay],
    parameters: Tensor,
    before: &Tensor,
    learning_rate: f64,
    layout: &ParamLayout,
) -> Tensor {
    let pull = |decay: &Decay, weights: &Tensor| {
        let taken = decay.technique().decoupled(weights)?;
        Some(taken * -learning_rate)
    };
    drawn(decays, parameters, before, layout, &pull)
}

/// `flat` with the pulls of all decays on all weight matrices added; itself if there are none.
fn drawn(
    decays: &[Decay],
    flat: Tensor,
    parameters: &Tensor,
    layout: &ParamLayout,
    pull: &dyn Fn(&Decay, &Tensor) -> Option<Tensor>,
) -> Tensor {
    if decays.is_empty() {
        return flat;
    }
    let flat = flat.copy();
    let entries = layout.entries().iter();
    let matrices = layout
        .views(&flat)
        .into_iter()
        .zip(layout.views(parameters));
    for (entry, (mut into, weights)) in entries.zip(matrices) {
        if !matches!(entry.role, Role::Weight | Role::Output) {
            continue;
        }
        for pulled in decays.iter().filter_map(|decay| pull(decay, &weights)) {
            into += pulled;
        }
    }
    flat
}

/// Draws weights towards 0 by the same amount each, however large they are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L1 {
    /// Weight of the penalty.
    pub rate: f64,
}

impl Shrink for L1 {
    fn example() -> Self {
        Self { rate: 1e-5 }
    }

    fn check(&self) -> Result<(), BadSetting> {
        check_rate(self.rate)
    }

    fn coupled(&self, weights: &Tensor) -> Option<Tensor> {
        Some(weights.sign() * self.rate)
    }
}

/// Draws weights towards 0 in proportion to their size, through the gradient.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct L2 {
    /// Weight of the penalty.
    pub rate: f64,
}

impl Shrink for L2 {
    fn example() -> Self {
        Self { rate: 1e-4 }
    }

    fn check(&self) -> Result<(), BadSetting> {
        check_rate(self.rate)
    }

    fn coupled(&self, weights: &Tensor) -> Option<Tensor> {
        Some(weights * self.rate)
    }
}

/// Draws weights towards 0 in proportion to their size, whatever the gradients are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Decoupled {
    /// Share of a weight that a learning rate of 1 would take.
    pub rate: f64,
}

impl Shrink for Decoupled {
    fn example() -> Self {
        Self { rate: 1e-2 }
    }

    fn check(&self) -> Result<(), BadSetting> {
        check_rate(self.rate)
    }

    fn decoupled(&self, weights: &Tensor) -> Option<Tensor> {
        Some(weights * self.rate)
    }
}

fn check_rate(rate: f64) -> Result<(), BadSetting> {
    let holds = rate.is_finite() && rate >= 0.0;
    require("rate", rate, holds, "a finite number of at least 0")
}
