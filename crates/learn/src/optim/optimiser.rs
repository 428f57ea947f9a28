//! Optimisers on one flat tensor. A step is pure: it returns new tensors and does not change its
//! arguments, so it can be discarded, and the state can be saved.

mod adam;
mod muon;
mod rmsprop;
mod sgd;
mod spam;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::family::{InvalidSetting, family, require};
use crate::nn::ParamLayout;

pub use adam::{Adam, AdamRel};
pub use muon::Muon;
pub use rmsprop::RmsProp;
pub use sgd::Sgd;
pub use spam::{Spam, StableSpam};

family! {
    /// One optimiser.
    pub enum Optimiser: OptimiserTechnique {
        /// Stochastic gradient descent (Robbins & Monro 1951,
        /// <https://doi.org/10.1214/aoms/1177729586>), with optional momentum (Polyak 1964;
        /// Nesterov momentum as in Sutskever et al. 2013,
        /// <https://proceedings.mlr.press/v28/sutskever13.html>).
        Sgd(Sgd) = "sgd",
        /// `RMSProp` (Tieleman & Hinton 2012,
        /// <https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf>, slide 29).
        RmsProp(RmsProp) = "rmsprop",
        /// Adam (Kingma & Ba 2015, <https://arxiv.org/abs/1412.6980>, algorithm 1). With the decay
        /// `decoupled`, this is `AdamW`.
        Adam(Adam) = "adam",
        /// Adam-Rel: Adam whose step count starts again with each rollout, so that a jump of the
        /// gradient's size at a new objective does not make its first steps large (Ellis et al.
        /// 2024, <https://arxiv.org/abs/2412.17113>, algorithm 1). The moments are kept.
        AdamRel(AdamRel) = "adam_rel",
        /// Muon: the momentum of each hidden weight matrix, with its singular values brought to
        /// about 1 (Jordan et al. 2024, <https://kellerjordan.github.io/posts/muon/>). Output
        /// layers, biases and everything else follow Adam.
        Muon(Muon) = "muon",
        /// SPAM: Adam that clips entries of the gradient which are large against their own running
        /// mean square, and forgets its moments at regular intervals (Huang et al. 2025,
        /// <https://arxiv.org/abs/2501.06842>, algorithm 1).
        Spam(Spam) = "spam",
        /// Stable-SPAM: Adam on gradients whose entries are bounded by a running mean of each
        /// tensor's largest entry, and whose norms are divided by their running root mean square;
        /// it forgets its moments at regular intervals (Huang et al. 2025,
        /// <https://arxiv.org/abs/2502.17055>, algorithm 1).
        StableSpam(StableSpam) = "stable_spam",
    }
}

impl Default for Optimiser {
    fn default() -> Self {
        Self::Adam(Adam::default())
    }
}

/// The state that an optimiser keeps between steps.
#[derive(Debug)]
pub struct OptimiserState {
    /// Moments, in the order of [`Optimiser::moments`].
    pub moments: Vec<OptimiserMoment>,
    /// Number of steps taken; with `adam_rel`, on the current rollout.
    pub steps: u64,
}

/// A running moment of the gradient, one number for each parameter.
#[derive(Debug)]
pub struct OptimiserMoment {
    /// Its name: `mean`, `square`, `velocity`, …
    pub name: &'static str,
    /// Flat, as long as the parameters.
    pub tensor: Tensor,
}

/// Moments that hold one number of a whole tensor, repeated for each of its entries.
const TENSOR_MOMENTS: [&str; 3] = ["peak", "norm", "norm_square"];

impl OptimiserState {
    /// The state with the moments of some parameters set to 0: `kept` is 1 for those that keep
    /// theirs, else 0. Moments of whole tensors stay.
    pub(super) fn with_kept_moments(&self, kept: &Tensor) -> Self {
        let mut state = self.clone();
        for moment in &mut state.moments {
            if !TENSOR_MOMENTS.contains(&moment.name) {
                moment.tensor = &moment.tensor * kept;
            }
        }
        state
    }

    /// The state before the first step: moments of 0.
    pub fn new(optimiser: &Optimiser, parameters: &Tensor) -> Self {
        let moments = optimiser.moments().iter().map(|name| OptimiserMoment {
            name,
            tensor: parameters.zeros_like(),
        });
        Self {
            moments: moments.collect(),
            steps: 0,
        }
    }
}

impl Clone for OptimiserState {
    /// Shares the tensors. Steps never write into them.
    fn clone(&self) -> Self {
        let moments = self.moments.iter().map(|moment| OptimiserMoment {
            name: moment.name,
            tensor: moment.tensor.shallow_clone(),
        });
        Self {
            moments: moments.collect(),
            steps: self.steps,
        }
    }
}

/// An optimisation technique.
trait OptimiserTechnique {
    /// Valid settings.
    fn example() -> Self
    where
        Self: Sized;

    /// Checks each setting.
    fn check(&self) -> Result<(), InvalidSetting>;

    /// Names of the moments. All are 0 before the first step.
    fn moments(&self) -> &'static [&'static str];

    /// Whether the count of steps starts again with each rollout.
    fn counts_from_rollout(&self) -> bool {
        false
    }

    /// Returns the parameters after a step. Replaces `moments`, which are in the order of
    /// [`Self::moments`]. Writes into no tensor.
    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor;
}

/// The input of a step, besides the moments.
struct StepInput<'a> {
    /// The parameters θ, flat.
    parameters: &'a Tensor,
    /// The gradient, flat.
    gradient: &'a Tensor,
    /// Number of this step, from 1.
    step: u64,
    learning_rate: f64,
    /// The layout of parameters, gradient and moments.
    layout: &'a ParamLayout,
}

impl Optimiser {
    /// Names of the moments that it keeps for each parameter.
    pub fn moments(&self) -> &'static [&'static str] {
        self.technique().moments()
    }

    /// Tells the state that the steps which follow are the first on a new rollout.
    pub fn begin_rollout(&self, state: &mut OptimiserState) {
        if self.technique().counts_from_rollout() {
            state.steps = 0;
        }
    }

    /// Returns the parameters, flat, and the state after one step. A moment that is missing in
    /// `state`, for example in the state of another optimiser, counts as 0.
    pub fn step(
        &self,
        parameters: &Tensor,
        gradient: &Tensor,
        state: &OptimiserState,
        learning_rate: f64,
        layout: &ParamLayout,
    ) -> (Tensor, OptimiserState) {
        let moment = |name: &&str| {
            let own = state.moments.iter().find(|moment| moment.name == *name);
            own.map_or_else(
                || parameters.zeros_like(),
                |moment| moment.tensor.shallow_clone(),
            )
        };
        let mut moments: Vec<Tensor> = self.moments().iter().map(moment).collect();
        let input = StepInput {
            parameters,
            gradient,
            step: state.steps + 1,
            learning_rate,
            layout,
        };
        let parameters = self.technique().step(&input, &mut moments);
        let moments = self.moments().iter().zip(moments);
        let state = OptimiserState {
            moments: moments
                .map(|(name, tensor)| OptimiserMoment { name, tensor })
                .collect(),
            steps: input.step,
        };
        (parameters, state)
    }
}

fn require_share(name: &str, value: f64) -> Result<(), InvalidSetting> {
    let holds = (0.0..1.0).contains(&value);
    require(name, value, holds, "at least 0 and below 1")
}

#[cfg(test)]
mod tests;
