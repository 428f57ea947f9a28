//! Optimisers on one flat tensor. Steps are pure: they give new tensors and leave the old ones,
//! so that a step can be tried and thrown away, and its state saved.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::family::{BadSetting, family, require, require_positive};

family! {
    /// Turns a gradient into a step.
    pub enum Optimiser: Descent {
        /// Adam (Kingma & Ba 2015, <https://arxiv.org/abs/1412.6980>, algorithm 1).
        Adam(Adam) = "adam",
    }
}

impl Default for Optimiser {
    fn default() -> Self {
        Self::Adam(Adam::default())
    }
}

/// What an optimiser remembers between steps.
#[derive(Debug)]
pub struct OptimiserState {
    /// Tensors as long as the parameters, in the order of [`Optimiser::moments`].
    pub moments: Vec<Moment>,
    /// Steps taken.
    pub steps: u64,
}

/// One number for each parameter.
#[derive(Debug)]
pub struct Moment {
    /// What it is: `mean`, `square`, …
    pub name: &'static str,
    /// As long as the parameters.
    pub tensor: Tensor,
}

impl OptimiserState {
    /// The state before the first step.
    pub fn new(optimiser: &Optimiser, parameters: &Tensor) -> Self {
        let zeros = |_: &str| parameters.zeros_like();
        Self::restore(optimiser, 0, zeros)
    }

    /// The state after some steps, from moments by name.
    pub fn restore(
        optimiser: &Optimiser,
        steps: u64,
        mut moment: impl FnMut(&'static str) -> Tensor,
    ) -> Self {
        let moments = optimiser.moments().iter().map(|name| Moment {
            name,
            tensor: moment(name),
        });
        Self {
            moments: moments.collect(),
            steps,
        }
    }
}

impl Clone for OptimiserState {
    /// Shares the tensors; steps never write into them.
    fn clone(&self) -> Self {
        let moments = self.moments.iter().map(|moment| Moment {
            name: moment.name,
            tensor: moment.tensor.shallow_clone(),
        });
        Self {
            moments: moments.collect(),
            steps: self.steps,
        }
    }
}

/// A technique of this family.
trait Descent {
    /// Settings that work.
    fn example() -> Self
    where
        Self: Sized;

    /// Refuses settings that cannot work.
    fn check(&self) -> Result<(), BadSetting>;

    /// Names of what it remembers of each parameter; 0 before the first step.
    fn moments(&self) -> &'static [&'static str];

    /// The parameters after a step along a gradient. Puts new moments in the place of the old,
    /// in the order of [`Self::moments`], and writes into no tensor.
    fn step(&self, along: &Along, moments: &mut [Tensor]) -> Tensor;
}

/// What a step is made of beside the moments.
struct Along<'a> {
    /// θ, flat.
    parameters: &'a Tensor,
    gradient: &'a Tensor,
    /// Number of this step, from 1.
    step: u64,
    learning_rate: f64,
}

impl Optimiser {
    /// Names of what it remembers of each parameter, beside the number of steps.
    pub fn moments(&self) -> &'static [&'static str] {
        self.technique().moments()
    }

    /// Parameters and state after one step along a gradient. A moment that the state lacks, as
    /// that of another optimiser may, counts as 0.
    pub fn step(
        &self,
        parameters: &Tensor,
        gradient: &Tensor,
        state: &OptimiserState,
        learning_rate: f64,
    ) -> (Tensor, OptimiserState) {
        let recall = |name: &&str| {
            let own = state.moments.iter().find(|moment| moment.name == *name);
            own.map_or_else(
                || parameters.zeros_like(),
                |moment| moment.tensor.shallow_clone(),
            )
        };
        let mut moments: Vec<Tensor> = self.moments().iter().map(recall).collect();
        let along = Along {
            parameters,
            gradient,
            step: state.steps + 1,
            learning_rate,
        };
        let parameters = self.technique().step(&along, &mut moments);
        let mut moments = moments.into_iter();
        let after = |_: &str| moments.next().expect("one tensor for each name");
        let state = OptimiserState::restore(self, along.step, after);
        (parameters, state)
    }
}

/// Settings of Adam.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adam {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the root of the mean of squares.
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

impl Descent for Adam {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), BadSetting> {
        require_share("beta1", self.beta1)?;
        require_share("beta2", self.beta2)?;
        require_positive("epsilon", self.epsilon)
    }

    fn moments(&self) -> &'static [&'static str] {
        &["mean", "square"]
    }

    fn step(&self, along: &Along, moments: &mut [Tensor]) -> Tensor {
        let [mean, square] = moments else {
            unreachable!("Adam has two moments")
        };
        *mean = mean.lerp(along.gradient, 1.0 - self.beta1);
        *square = &*square * self.beta2 + along.gradient.square() * (1.0 - self.beta2);
        let bias1 = 1.0 - self.beta1.powf(along.step as f64);
        let bias2 = 1.0 - self.beta2.powf(along.step as f64);
        let root = square.sqrt() * (1.0 / bias2.sqrt()) + self.epsilon;
        along.parameters - (&*mean / root) * (along.learning_rate / bias1)
    }
}

fn require_share(name: &str, value: f64) -> Result<(), BadSetting> {
    let holds = (0.0..1.0).contains(&value);
    require(name, value, holds, "at least 0 and below 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::nn::{self, OptimizerConfig};

    #[test]
    fn fifty_steps_agree_with_torch() {
        let start: Vec<f32> = (0..40).map(|i| (i as f32 * 0.37).sin()).collect();
        let target = Tensor::from_slice(&(0..40).map(|i| (i as f32).cos()).collect::<Vec<_>>());
        // Badly scaled, so that the second moment matters.
        let scale = Tensor::from_slice(&(0..40).map(|i| 1.3f32.powi(i - 20)).collect::<Vec<_>>());

        let store = nn::VarStore::new(tch::Device::Cpu);
        let theirs = store.root().var_copy("x", &Tensor::from_slice(&start));
        let mut torch = nn::Adam {
            beta1: 0.9,
            beta2: 0.999,
            wd: 0.0,
            eps: 1e-5,
            amsgrad: false,
        }
        .build(&store, 0.01)
        .unwrap();

        let adam = Optimiser::default();
        let mut ours = Tensor::from_slice(&start);
        let mut state = OptimiserState::new(&adam, &ours);
        for step in 0..50 {
            let learning_rate = 0.01 * (1.0 - f64::from(step) / 50.0);
            torch.set_lr(learning_rate);
            torch.backward_step(&((&theirs - &target).square() * &scale).sum(tch::Kind::Float));
            let gradient = (&ours - &target) * &scale * 2.0;
            (ours, state) = adam.step(&ours, &gradient, &state, learning_rate);
            let apart = (&ours - &theirs).abs().max().double_value(&[]);
            assert!(apart < 2e-6, "step {step}: {apart} apart");
        }
        assert_eq!(state.steps, 50);
        let moved = (&ours - Tensor::from_slice(&start))
            .abs()
            .max()
            .double_value(&[]);
        assert!(moved > 0.1, "nothing moved");
    }
}
