//! The interface of a clip stage: its input, its output and its state.

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::nn::{ParamEntry, ParamLayout};
use crate::optim::family::InvalidSetting;

/// The state that a clip stage keeps between optimiser steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ClipState {
    /// No state.
    Stateless,
    /// Gradient norms before the stage, oldest first.
    Norms(Vec<f64>),
    /// Moving mean and variance of the gradient norms.
    Moving {
        /// Mean.
        mean: f64,
        /// Variance.
        variance: f64,
    },
    /// Means of the norms of each parameter tensor.
    TensorNorms {
        /// Steps of the warm-up so far.
        steps: u32,
        /// In the order of the layout; empty before the first step.
        means: Vec<f64>,
    },
}

/// The input of a stage.
pub(super) struct StageInput<'a> {
    /// The gradient, finite and flat.
    pub(super) gradient: &'a Tensor,
    /// Its global L2 norm.
    pub(super) norm: f64,
    /// The parameters θ, flat.
    pub(super) parameters: &'a Tensor,
    /// The layout of gradient and parameters.
    pub(super) layout: &'a ParamLayout,
}

/// The output of a stage.
pub(super) struct StageOutput {
    /// The new gradient, flat. Absent if the stage leaves every bit unchanged.
    pub(super) gradient: Option<Tensor>,
    /// The maximum global norm, for a stage that bounds it.
    pub(super) threshold: Option<f64>,
}

/// A clip technique.
pub(super) trait ClipTechnique {
    /// Valid settings.
    fn example() -> Self
    where
        Self: Sized;

    /// Checks each setting.
    fn check(&self) -> Result<(), InvalidSetting>;

    /// Whether its purpose is to bound the size of the gradient.
    fn bounds(&self) -> bool {
        true
    }

    /// The state before the first step.
    fn initial_state(&self) -> ClipState {
        ClipState::Stateless
    }

    /// Whether a state is of the kind that this technique keeps.
    fn accepts_state(&self, state: &ClipState) -> bool {
        matches!(state, ClipState::Stateless)
    }

    /// Computes the new gradient, and advances the state as if the optimiser step were taken.
    fn apply(&self, input: &StageInput, state: &mut ClipState) -> StageOutput;
}

/// The L2 norm of a flat tensor, summed in double precision. It does not overflow for finite `f32`
/// entries.
pub fn norm(flat: &Tensor) -> f64 {
    flat.to_kind(Kind::Double).norm().double_value(&[])
}

impl StageInput<'_> {
    /// Replaces the gradients of some parameters. `change` gets the index of the parameter, the
    /// parameter, its gradient and its values, and returns the new gradient or nothing.
    pub(super) fn map_parameters(
        &self,
        change: impl Fn(usize, &ParamEntry, &Tensor, &Tensor) -> Option<Tensor>,
    ) -> StageOutput {
        let mut gradient: Option<Tensor> = None;
        let (gradients, values) = (
            self.layout.views(self.gradient),
            self.layout.views(self.parameters),
        );
        for (index, entry) in self.layout.entries().iter().enumerate() {
            if let Some(new) = change(index, entry, &gradients[index], &values[index]) {
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
