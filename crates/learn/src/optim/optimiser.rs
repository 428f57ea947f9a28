//! Optimisers on one flat tensor. A step is pure: it returns new tensors and does not change its
//! arguments, so it can be discarded, and the state can be saved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::family::{InvalidSetting, family, require, require_positive};

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
    /// Number of steps taken.
    pub steps: u64,
}

/// A running moment of the gradient, one number for each parameter.
#[derive(Debug)]
pub struct OptimiserMoment {
    /// Its name: `mean`, `square` or `velocity`.
    pub name: &'static str,
    /// Flat, as long as the parameters.
    pub tensor: Tensor,
}

impl OptimiserState {
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
}

impl Optimiser {
    /// Names of the moments that it keeps for each parameter.
    pub fn moments(&self) -> &'static [&'static str] {
        self.technique().moments()
    }

    /// Returns the parameters, flat, and the state after one step. A moment that is missing in
    /// `state`, for example in the state of another optimiser, counts as 0.
    pub fn step(
        &self,
        parameters: &Tensor,
        gradient: &Tensor,
        state: &OptimiserState,
        learning_rate: f64,
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

/// Settings of stochastic gradient descent: v ← `momentum`·v + g, θ ← θ − learning rate · v.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sgd {
    /// Decay of the velocity. 0: plain gradient descent.
    pub momentum: f64,
    /// Whether to use Nesterov momentum: the step is along g + `momentum`·v.
    pub nesterov: bool,
}

impl OptimiserTechnique for Sgd {
    fn example() -> Self {
        Self {
            momentum: 0.9,
            nesterov: true,
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_share("momentum", self.momentum)?;
        let holds = !self.nesterov || self.momentum > 0.0;
        require("nesterov", self.nesterov, holds, "false without momentum")
    }

    fn moments(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 {
            &["velocity"]
        } else {
            &[]
        }
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let [velocity] = moments else {
            return input.parameters - input.gradient * input.learning_rate;
        };
        *velocity = &*velocity * self.momentum + input.gradient;
        if self.nesterov {
            let ahead = input.gradient + &*velocity * self.momentum;
            input.parameters - ahead * input.learning_rate
        } else {
            input.parameters - &*velocity * input.learning_rate
        }
    }
}

/// Settings of `RMSProp`: each entry of the gradient is divided by its root mean square.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RmsProp {
    /// Decay of the running mean of squared gradients.
    pub decay: f64,
    /// Added to the root mean square.
    pub epsilon: f64,
    /// Decay of the velocity. 0: no momentum.
    pub momentum: f64,
}

impl Default for RmsProp {
    fn default() -> Self {
        Self {
            decay: 0.99,
            epsilon: 1e-5,
            momentum: 0.0,
        }
    }
}

impl OptimiserTechnique for RmsProp {
    fn example() -> Self {
        Self {
            momentum: 0.5,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_share("decay", self.decay)?;
        require_positive("epsilon", self.epsilon)?;
        require_share("momentum", self.momentum)
    }

    fn moments(&self) -> &'static [&'static str] {
        if self.momentum > 0.0 {
            &["square", "velocity"]
        } else {
            &["square"]
        }
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let (square, velocity) = moments.split_first_mut().expect("`RMSProp` has a moment");
        *square = &*square * self.decay + input.gradient.square() * (1.0 - self.decay);
        let direction = input.gradient / (square.sqrt() + self.epsilon);
        let [velocity] = velocity else {
            return input.parameters - direction * input.learning_rate;
        };
        *velocity = &*velocity * self.momentum + direction;
        input.parameters - &*velocity * input.learning_rate
    }
}

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// Decay of the running mean of gradients, β₁.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, β₂.
    pub beta2: f64,
    /// Added to the root mean square, ε.
    pub epsilon: f64,
}

impl Default for Adam {
    fn default() -> Self {
        Self {
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-5,
        }
    }
}

impl OptimiserTechnique for Adam {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_share("beta1", self.beta1)?;
        require_share("beta2", self.beta2)?;
        require_positive("epsilon", self.epsilon)
    }

    fn moments(&self) -> &'static [&'static str] {
        &["mean", "square"]
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let [mean, square] = moments else {
            unreachable!("Adam has two moments")
        };
        *mean = mean.lerp(input.gradient, 1.0 - self.beta1);
        *square = &*square * self.beta2 + input.gradient.square() * (1.0 - self.beta2);
        let bias1 = 1.0 - self.beta1.powf(input.step as f64);
        let bias2 = 1.0 - self.beta2.powf(input.step as f64);
        let root = square.sqrt() * (1.0 / bias2.sqrt()) + self.epsilon;
        input.parameters - (&*mean / root) * (input.learning_rate / bias1)
    }
}

fn require_share(name: &str, value: f64) -> Result<(), InvalidSetting> {
    let holds = (0.0..1.0).contains(&value);
    require(name, value, holds, "at least 0 and below 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::{self, OptimizerConfig};
    use tch::{Device, Kind};

    /// Compares fifty steps with torch's optimiser, on a badly scaled quadratic and with a falling
    /// learning rate.
    fn assert_matches_torch(ours: Optimiser, theirs: impl OptimizerConfig, rate: f64) {
        let start: Vec<f32> = (0..40).map(|i| (i as f32 * 0.37).sin()).collect();
        let target = Tensor::from_slice(&(0..40).map(|i| (i as f32).cos()).collect::<Vec<_>>());
        // Slopes differ by orders of magnitude, so that the second moment matters.
        let scale = Tensor::from_slice(&(0..40).map(|i| 1.3f32.powi(i - 30)).collect::<Vec<_>>());

        let store = nn::VarStore::new(Device::Cpu);
        let expected = store.root().var_copy("x", &Tensor::from_slice(&start));
        let mut torch = theirs.build(&store, rate).unwrap();
        let mut found = Tensor::from_slice(&start);
        let mut state = OptimiserState::new(&ours, &found);
        for step in 0..50 {
            let rate = rate * (1.0 - f64::from(step) / 50.0);
            torch.set_lr(rate);
            torch.backward_step(&((&expected - &target).square() * &scale).sum(Kind::Float));
            let gradient = (&found - &target) * &scale * 2.0;
            (found, state) = ours.step(&found, &gradient, &state, rate);
            let apart = (&found - &expected).abs().max().double_value(&[]);
            assert!(apart < 4e-6, "{ours:?}, step {step}: {apart} apart");
        }
        assert_eq!(state.steps, 50);
        let moved = (&found - Tensor::from_slice(&start)).abs().max();
        assert!(
            moved.double_value(&[]) > 0.1,
            "{ours:?}: the parameters did not change"
        );
    }

    #[test]
    fn adam_matches_torch() {
        let theirs = nn::Adam {
            eps: 1e-5,
            ..nn::Adam::default()
        };
        assert_matches_torch(Optimiser::default(), theirs, 0.01);
    }

    #[test]
    fn sgd_matches_torch_with_and_without_momentum() {
        for (momentum, nesterov) in [(0.0, false), (0.9, false), (0.9, true)] {
            let theirs = nn::Sgd {
                momentum,
                nesterov,
                ..nn::Sgd::default()
            };
            let ours = Optimiser::Sgd(Sgd { momentum, nesterov });
            assert_matches_torch(ours, theirs, 0.01);
        }
    }

    #[test]
    fn rmsprop_matches_torch_with_and_without_momentum() {
        for momentum in [0.0, 0.5] {
            let theirs = nn::RmsProp {
                alpha: 0.99,
                eps: 1e-5,
                momentum,
                ..nn::RmsProp::default()
            };
            let ours = Optimiser::RmsProp(RmsProp {
                momentum,
                ..RmsProp::default()
            });
            assert_matches_torch(ours, theirs, 0.01);
        }
    }

    #[test]
    fn a_step_does_not_write_into_its_arguments() {
        for optimiser in Optimiser::examples() {
            let parameters = Tensor::from_slice(&[1.0f32, -2.0]);
            let gradient = Tensor::from_slice(&[0.5f32, 0.25]);
            let before = OptimiserState::new(&optimiser, &parameters);
            let (first, after) = optimiser.step(&parameters, &gradient, &before, 0.1);
            let (again, _) = optimiser.step(&parameters, &gradient, &before, 0.1);
            assert_eq!(first, again, "{optimiser:?}");
            assert_eq!(parameters, Tensor::from_slice(&[1.0f32, -2.0]));
            assert_eq!((before.steps, after.steps), (0, 1));
            let names = after.moments.iter().map(|moment| moment.name);
            assert!(names.eq(optimiser.moments().iter().copied()));
            for moment in &before.moments {
                assert_eq!(moment.tensor, parameters.zeros_like(), "{optimiser:?}");
            }
        }
    }

    #[test]
    fn moments_of_another_optimiser_count_as_zero() {
        let parameters = Tensor::from_slice(&[1.0f32]);
        let gradient = Tensor::from_slice(&[0.5f32]);
        let sgd = Optimiser::Sgd(Sgd {
            momentum: 0.9,
            nesterov: false,
        });
        let adam = OptimiserState::new(&Optimiser::default(), &parameters);
        let (stepped, state) = sgd.step(&parameters, &gradient, &adam, 0.1);
        assert!((stepped.double_value(&[0]) - 0.95).abs() < 1e-7);
        assert_eq!(state.moments[0].name, "velocity");
    }
}
