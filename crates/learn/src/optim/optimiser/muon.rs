//! Muon: momentum whose singular values are brought to about 1.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::adam::Adam;
use super::{OptimiserTechnique, StepInput, require_share};
use crate::nn::ParamRole;
use crate::optim::family::{InvalidSetting, require, require_positive};

/// Coefficients of the quintic iteration, a x + b x³ + c x⁵ for each singular value x. They rise
/// steeply from 0, and end between about 0.7 and 1.2 instead of at 1.
const QUINTIC: [f64; 3] = [3.4445, -4.7750, 2.0315];

/// Settings of Muon. A hidden weight matrix W `[out, in]` moves by learning rate · √max(1, out/in)
/// · O, where O is its Nesterov momentum with singular values of about 1. The matrices of the gates
/// of a recurrent cell count as one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Muon {
    /// Decay of the running mean of a matrix's gradients.
    pub momentum: f64,
    /// Newton–Schulz iterations.
    pub iterations: u32,
    /// Learning rate of Adam, as a share of the learning rate.
    pub adam_rate: f64,
    /// Decay of Adam's running mean of gradients, β₁.
    pub beta1: f64,
    /// Decay of Adam's running mean of squared gradients, β₂.
    pub beta2: f64,
    /// Added to Adam's root mean square, ε.
    pub epsilon: f64,
}

impl Default for Muon {
    fn default() -> Self {
        let Adam {
            beta1,
            beta2,
            epsilon,
        } = Adam::default();
        Self {
            momentum: 0.95,
            iterations: 5,
            adam_rate: 0.1,
            beta1,
            beta2,
            epsilon,
        }
    }
}

impl Muon {
    fn adam(&self) -> Adam {
        Adam {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
        }
    }

    /// The parameter after a step, and its next momentum. All are `[out, …]`.
    fn matrix_step(
        &self,
        weights: &Tensor,
        gradient: &Tensor,
        momentum: &Tensor,
        learning_rate: f64,
    ) -> (Tensor, Tensor) {
        let momentum = momentum.lerp(gradient, 1.0 - self.momentum);
        let ahead = gradient.lerp(&momentum, self.momentum);
        let rows = weights.size()[0];
        let ahead = ahead.reshape([rows, -1]);
        let shape = rows as f64 / ahead.size()[1] as f64;
        let step = orthogonalise(&ahead, self.iterations) * (shape.max(1.0).sqrt() * learning_rate);
        (weights - step.reshape_as(weights), momentum)
    }
}

impl OptimiserTechnique for Muon {
    fn example() -> Self {
        Self::default()
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_share("momentum", self.momentum)?;
        let iterations = self.iterations;
        let holds = (1..=100).contains(&iterations);
        require(
            "iterations",
            iterations,
            holds,
            "a whole number from 1 to 100",
        )?;
        require_positive("adam_rate", self.adam_rate)?;
        self.adam().check()
    }

    fn moments(&self) -> &'static [&'static str] {
        &["mean", "square"]
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let [mean, square] = moments else {
            unreachable!("Muon has two moments")
        };
        let views = |flat: &Tensor| input.layout.views(flat);
        let (weights, gradients) = (views(input.parameters), views(input.gradient));
        let (means, squares) = (views(&*mean), views(&*square));
        let mut after: [Vec<Tensor>; 3] = Default::default();
        for (index, entry) in input.layout.entries().iter().enumerate() {
            let (weights, gradient) = (&weights[index], &gradients[index]);
            let mut own = [means[index].shallow_clone(), squares[index].shallow_clone()];
            let stepped = if entry.role == ParamRole::Weight {
                let rate = input.learning_rate;
                let (stepped, momentum) = self.matrix_step(weights, gradient, &own[0], rate);
                own[0] = momentum;
                stepped
            } else {
                let input = StepInput {
                    parameters: weights,
                    gradient,
                    learning_rate: input.learning_rate * self.adam_rate,
                    ..*input
                };
                self.adam().step(&input, &mut own)
            };
            let [next_mean, next_square] = own;
            for (all, one) in after.iter_mut().zip([stepped, next_mean, next_square]) {
                all.push(one.reshape([-1]));
            }
        }
        let [parameters, means, squares] = after.map(|parts| Tensor::cat(&parts, 0));
        (*mean, *square) = (means, squares);
        parameters
    }
}

/// A matrix with the singular vectors of `matrix` and singular values of about 1, by Newton–Schulz
/// iterations of [`QUINTIC`]. A matrix of 0 stays 0.
fn orthogonalise(matrix: &Tensor, iterations: u32) -> Tensor {
    let tall = matrix.size()[0] > matrix.size()[1];
    let wide = if tall {
        matrix.tr()
    } else {
        matrix.shallow_clone()
    };
    let [a, b, c] = QUINTIC;
    // The Frobenius norm bounds the largest singular value.
    let mut next = &wide / (wide.norm() + 1e-7);
    for _ in 0..iterations {
        let square = next.mm(&next.tr());
        let polynomial = &square * b + square.mm(&square) * c;
        next = &next * a + polynomial.mm(&next);
    }
    if tall { next.tr() } else { next }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{NetworkPart, ParamLayout};
    use crate::optim::{Optimiser, OptimiserState};

    /// Singular values of the iteration, worked out one at a time.
    fn quintic(mut x: f64) -> f64 {
        for _ in 0..5 {
            x = QUINTIC[0] * x + QUINTIC[1] * x.powi(3) + QUINTIC[2] * x.powi(5);
        }
        x
    }

    #[test]
    fn singular_values_go_to_about_one() {
        // Rotated by 3-4-5 triangles: singular values 2 and 0.5, with singular vectors that stay.
        let rotation = Tensor::from_slice(&[0.6f32, -0.8, 0.8, 0.6]).view([2, 2]);
        let scale = Tensor::from_slice(&[2.0f32, 0.0, 0.0, 0.5]).view([2, 2]);
        let size = 4.25f64.sqrt();
        let values = [
            quintic(2.0 / size) as f32,
            0.0,
            0.0,
            quintic(0.5 / size) as f32,
        ];
        let expected = rotation.mm(&Tensor::from_slice(&values).view([2, 2]));
        let found = orthogonalise(&rotation.mm(&scale), 5);
        let apart = (found - expected).abs().max().double_value(&[]);
        assert!(apart < 1e-4, "{apart}");
        assert!(values.iter().all(|&x| x == 0.0 || (0.6..1.3).contains(&x)));
        let tall = Tensor::from_slice(&(0..12).map(|i| (i as f32).sin()).collect::<Vec<_>>());
        let tall = tall.view([6, 2]);
        let flipped = orthogonalise(&tall.tr(), 5).tr();
        assert!(orthogonalise(&tall, 5).allclose(&flipped, 1e-5, 1e-6, false));
        assert_eq!(orthogonalise(&tall.zeros_like(), 5), tall.zeros_like());
    }

    #[test]
    fn matrices_follow_muon_and_the_rest_follows_adam() {
        let mut layout = ParamLayout::default();
        let part = NetworkPart::Actor;
        layout.push("0.weight".into(), part, ParamRole::Weight, &[4, 1]);
        layout.push("0.bias".into(), part, ParamRole::Bias, &[1]);
        let optimiser = Optimiser::Muon(Muon {
            epsilon: 1e-12,
            ..Muon::default()
        });
        let parameters = Tensor::from_slice(&[1.0f32; 5]);
        let gradient = Tensor::from_slice(&[3.0f32, 0.0, -4.0, 0.0, 7.0]);
        let before = OptimiserState::new(&optimiser, &parameters);
        let (found, state) = optimiser.step(&parameters, &gradient, &before, 0.1, &layout);
        // A column has one singular value: the direction is (0.6, 0, −0.8, 0) times that, and the
        // shape makes it twice as long. Adam's first step is its learning rate.
        let size = 2.0 * 0.1 * quintic(1.0);
        let expected = [1.0 - 0.6 * size, 1.0, 1.0 + 0.8 * size, 1.0, 1.0 - 0.01];
        let expected = Tensor::from_slice(&expected.map(|x| x as f32));
        assert!(found.allclose(&expected, 0.0, 1e-5, false), "{found}");
        let mean = Tensor::from_slice(&[0.15f32, 0.0, -0.2, 0.0, 0.7]);
        assert!(state.moments[0].tensor.allclose(&mean, 0.0, 1e-6, false));
        let square = Tensor::from_slice(&[0.0f32, 0.0, 0.0, 0.0, 0.049]);
        assert!(state.moments[1].tensor.allclose(&square, 0.0, 1e-6, false));
    }
}
