//! SPAM and Stable-SPAM: Adam that bounds spikes of the gradient and forgets its moments at regular
//! intervals.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use super::adam::Adam;
use super::{OptimiserTechnique, StepInput, require_share};
use crate::optim::family::{InvalidSetting, require, require_positive};

/// Steps after a reset in which SPAM does not clip, because the mean squares are not settled.
const UNCLIPPED_STEPS: u64 = 20;

/// Settings of SPAM. The defaults are those of the authors' code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Spam {
    /// Decay of the running mean of gradients, β₁.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, β₂.
    pub beta2: f64,
    /// Added to the root mean square, ε.
    pub epsilon: f64,
    /// An entry whose square is larger than this multiple of its running mean square is a spike, and
    /// is clipped to that bound, θ. The first 20 steps, and 20 after each reset, are not clipped.
    pub threshold: f64,
    /// Optimiser steps between two resets of the moments, ΔT.
    pub reset_every: u32,
    /// Optimiser steps over which the learning rate rises again after a reset, along half a cosine.
    pub warmup_steps: u32,
}

impl Default for Spam {
    fn default() -> Self {
        let Adam {
            beta1,
            beta2,
            epsilon,
        } = Adam::default();
        Self {
            beta1,
            beta2,
            epsilon,
            threshold: 5000.0,
            reset_every: 500,
            warmup_steps: 150,
        }
    }
}

impl Spam {
    fn adam(&self) -> Adam {
        Adam {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
        }
    }

    /// The factor on the learning rate, `steps` after a reset.
    fn warmup(&self, steps: u64) -> f64 {
        if steps >= u64::from(self.warmup_steps) {
            return 1.0;
        }
        let phase = PI * steps as f64 / (f64::from(self.warmup_steps) + 1.0);
        1.0 - 0.99 * 0.5 * (1.0 + phase.cos())
    }

    /// The gradient with its spikes clipped. An entry whose gradients have all been 0 has no spike.
    fn clip(&self, gradient: &Tensor, square: &Tensor) -> Tensor {
        let limit = square * self.threshold;
        let spike = gradient
            .square()
            .gt_tensor(&limit)
            .logical_and(&square.gt(0.0));
        (gradient.sign() * limit.sqrt()).where_self(&spike, gradient)
    }
}

/// The steps since the last reset of a count that starts at 1, and whether this step is one. The
/// step of a reset is the first of its moments.
fn since_reset(step: u64, every: u32) -> (u64, bool) {
    let every = u64::from(every);
    match step / every {
        0 => (step, false),
        _ => (step % every + 1, step.is_multiple_of(every)),
    }
}

fn forget(moments: &mut [Tensor]) {
    for moment in moments {
        *moment = moment.zeros_like();
    }
}

fn check_reset_every(steps: u32) -> Result<(), InvalidSetting> {
    let holds = (2..=1_000_000_000).contains(&steps);
    let expected = "a whole number from 2 to 1000000000";
    require("reset_every", steps, holds, expected)
}

impl OptimiserTechnique for Spam {
    fn example() -> Self {
        Self {
            reset_every: 60,
            warmup_steps: 10,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        self.adam().check()?;
        require_positive("threshold", self.threshold)?;
        check_reset_every(self.reset_every)?;
        let steps = self.warmup_steps;
        let holds = (1..=self.reset_every).contains(&steps);
        let expected = "a whole number from 1 to `reset_every`";
        require("warmup_steps", steps, holds, expected)
    }

    fn moments(&self) -> &'static [&'static str] {
        &["mean", "square"]
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let (step, resets) = since_reset(input.step, self.reset_every);
        if resets {
            forget(moments);
        }
        let settled = input.step % u64::from(self.reset_every) >= UNCLIPPED_STEPS;
        let gradient = if settled {
            self.clip(input.gradient, &moments[1])
        } else {
            input.gradient.shallow_clone()
        };
        let warmup = if input.step < u64::from(self.reset_every) {
            1.0
        } else {
            self.warmup(step - 1)
        };
        let input = StepInput {
            gradient: &gradient,
            step,
            learning_rate: input.learning_rate * warmup,
            ..*input
        };
        self.adam().step(&input, moments)
    }
}

/// Settings of Stable-SPAM. The defaults are those of the authors' code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StableSpam {
    /// Decay of the running mean of gradients, β₁.
    pub beta1: f64,
    /// Decay of the running mean of squared gradients, β₂.
    pub beta2: f64,
    /// Added to the root mean squares, ε.
    pub epsilon: f64,
    /// Decay of the running mean of a tensor's gradient norms, γ₁.
    pub norm_decay: f64,
    /// Decay of the running mean of their squares, γ₂.
    pub norm_square_decay: f64,
    /// Decay of the running mean of a tensor's largest entry, γ₃.
    pub peak_decay: f64,
    /// Optimiser steps between two resets of Adam's moments, ΔT.
    pub reset_every: u32,
}

impl Default for StableSpam {
    fn default() -> Self {
        let Adam {
            beta1,
            beta2,
            epsilon,
        } = Adam::default();
        Self {
            beta1,
            beta2,
            epsilon,
            norm_decay: 0.7,
            norm_square_decay: 0.9,
            peak_decay: 0.999,
            reset_every: 1000,
        }
    }
}

/// Running means of one tensor: of its largest entry, of its norm, and of its squared norm.
type TensorMeans = [f64; 3];

impl StableSpam {
    fn adam(&self) -> Adam {
        Adam {
            beta1: self.beta1,
            beta2: self.beta2,
            epsilon: self.epsilon,
        }
    }

    /// The gradient of one tensor with bounded entries (`AdaClip`) and a normalised norm
    /// (`AdaGN`), and the next running means. `step` counts from 1 and is not reset.
    fn normalise(&self, gradient: &Tensor, means: TensorMeans, step: u64) -> (Tensor, TensorMeans) {
        let decays = [self.peak_decay, self.norm_decay, self.norm_square_decay];
        let advance = |index: usize, value: f64| {
            let decay: f64 = decays[index];
            let mean = decay * means[index] + (1.0 - decay) * value;
            (mean, mean / (1.0 - decay.powf(step as f64)))
        };
        let largest = gradient.abs().max().double_value(&[]);
        let (peak, peak_bound) = advance(0, largest);
        // Entries beyond the bound keep their proportions.
        let clipped = if largest > peak_bound {
            let scaled = gradient * (peak_bound / largest);
            scaled.where_self(&gradient.abs().gt(peak_bound), gradient)
        } else {
            gradient.shallow_clone()
        };
        let size = crate::optim::norm(&clipped);
        let (norm, norm_hat) = advance(1, size);
        let (norm_square, square_hat) = advance(2, size * size);
        let target = norm_hat / (square_hat.sqrt() + self.epsilon);
        let normalised = if size > 0.0 {
            clipped * (target / size)
        } else {
            clipped
        };
        (normalised, [peak, norm, norm_square])
    }
}

impl OptimiserTechnique for StableSpam {
    fn example() -> Self {
        Self {
            reset_every: 60,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        self.adam().check()?;
        require_share("norm_decay", self.norm_decay)?;
        require_share("norm_square_decay", self.norm_square_decay)?;
        require_share("peak_decay", self.peak_decay)?;
        check_reset_every(self.reset_every)
    }

    fn moments(&self) -> &'static [&'static str] {
        // The last three are `TENSOR_MOMENTS`.
        &["mean", "square", "peak", "norm", "norm_square"]
    }

    fn step(&self, input: &StepInput, moments: &mut [Tensor]) -> Tensor {
        let (adam, means) = moments.split_at_mut(2);
        let mut parts = Vec::new();
        let mut next: [Vec<Tensor>; 3] = Default::default();
        let gradients = input.layout.views(input.gradient);
        for (entry, gradient) in input.layout.entries().iter().zip(&gradients) {
            let first = entry.range.start as i64;
            let before = [0, 1, 2].map(|index| means[index].double_value(&[first]));
            let (part, after) = self.normalise(gradient, before, input.step);
            parts.push(part.reshape([-1]));
            for (all, mean) in next.iter_mut().zip(after) {
                let length = [entry.range.len() as i64];
                all.push(Tensor::full(length, mean, (Kind::Float, gradient.device())));
            }
        }
        for (mean, parts) in means.iter_mut().zip(&next) {
            *mean = Tensor::cat(parts, 0);
        }
        let (step, resets) = since_reset(input.step, self.reset_every);
        if resets {
            forget(adam);
        }
        let gradient = Tensor::cat(&parts, 0);
        let input = StepInput {
            gradient: &gradient,
            step,
            ..*input
        };
        self.adam().step(&input, adam)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{NetworkPart, ParamLayout, ParamRole};
    use crate::optim::{Optimiser, OptimiserState};

    fn layout(length: i64) -> ParamLayout {
        let mut layout = ParamLayout::default();
        let (part, role) = (NetworkPart::Actor, ParamRole::Bias);
        layout.push("bias".into(), part, role, &[length]);
        layout
    }

    /// Parameters after each of these gradients, one entry, from 0.
    fn path(optimiser: Optimiser, rate: f64, gradients: &[f32]) -> Vec<f64> {
        let mut parameters = Tensor::from_slice(&[0.0f32]);
        let mut state = OptimiserState::new(&optimiser, &parameters);
        let path = gradients.iter().map(|&gradient| {
            let gradient = Tensor::from_slice(&[gradient]);
            (parameters, state) = optimiser.step(&parameters, &gradient, &state, rate, &layout(1));
            parameters.double_value(&[0])
        });
        path.collect()
    }

    /// Algorithm 1 of SPAM for one entry, step by step.
    fn spam_by_hand(settings: &Spam, rate: f64, gradients: &[f32]) -> Vec<f64> {
        let (mut m, mut v, mut x, mut count) = (0.0f64, 0.0f64, 0.0f64, 0);
        let mut path = Vec::new();
        for (index, &gradient) in gradients.iter().enumerate() {
            let (t, every) = (index as u64 + 1, u64::from(settings.reset_every));
            let mut g = f64::from(gradient);
            if t.is_multiple_of(every) {
                (m, v, count) = (0.0, 0.0, 0);
            }
            count += 1;
            if t % every >= 20 && g * g > settings.threshold * v {
                g = g.signum() * (settings.threshold * v).sqrt();
            }
            m = settings.beta1 * m + (1.0 - settings.beta1) * g;
            v = settings.beta2 * v + (1.0 - settings.beta2) * g * g;
            let m_hat = m / (1.0 - settings.beta1.powi(count));
            let v_hat = v / (1.0 - settings.beta2.powi(count));
            let warmup = settings.warmup(if t < every { u64::MAX } else { t % every });
            x -= rate * warmup * m_hat / (v_hat.sqrt() + settings.epsilon);
            path.push(x);
        }
        path
    }

    #[test]
    fn spam_is_the_papers_algorithm() {
        let settings = Spam {
            threshold: 4.0,
            reset_every: 40,
            warmup_steps: 5,
            ..Spam::default()
        };
        let mut gradients: Vec<f32> = (0..100).map(|i| (i as f32 * 0.7).sin() + 0.2).collect();
        (gradients[30], gradients[75]) = (50.0, -80.0);
        let found = path(Optimiser::Spam(settings), 0.01, &gradients);
        let expected = spam_by_hand(&settings, 0.01, &gradients);
        for (step, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() < 2e-5,
                "{step}: {found}, not {expected}"
            );
        }
    }

    #[test]
    fn a_spike_is_clipped_to_its_bound_and_a_first_gradient_is_not() {
        let spam = Spam {
            threshold: 4.0,
            ..Spam::default()
        };
        let gradient = Tensor::from_slice(&[3.0f32, -9.0, 5.0]);
        let square = Tensor::from_slice(&[4.0f32, 4.0, 0.0]);
        let expected = Tensor::from_slice(&[3.0f32, -4.0, 5.0]);
        assert_eq!(spam.clip(&gradient, &square), expected);
        // 1 − 0.99 · (1 + cos 0) / 2, and ½ at the middle of 9 + 1 steps.
        let spam = Spam {
            warmup_steps: 9,
            ..spam
        };
        assert!((spam.warmup(0) - 0.01).abs() < 1e-12);
        assert!((spam.warmup(5) - 0.505).abs() < 1e-12);
        assert!((spam.warmup(9) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn moments_start_again_after_a_reset() {
        assert_eq!(since_reset(1, 3), (1, false));
        assert_eq!(since_reset(2, 3), (2, false));
        assert_eq!(since_reset(3, 3), (1, true));
        assert_eq!(since_reset(5, 3), (3, false));
        assert_eq!(since_reset(6, 3), (1, true));
    }

    #[test]
    fn stable_spam_bounds_entries_and_normalises_norms() {
        let spam = StableSpam {
            epsilon: 1e-12,
            peak_decay: 0.5,
            norm_decay: 0.5,
            norm_square_decay: 0.5,
            ..StableSpam::default()
        };
        // The first step: the bound is the largest entry, and the norm becomes 1.
        let gradient = Tensor::from_slice(&[3.0f32, 4.0]);
        let (found, means) = spam.normalise(&gradient, [0.0; 3], 1);
        assert!(found.allclose(&Tensor::from_slice(&[0.6f32, 0.8]), 0.0, 1e-6, false));
        assert!((means[0] - 2.0).abs() < 1e-9 && (means[1] - 2.5).abs() < 1e-9);
        assert!((means[2] - 12.5).abs() < 1e-9);
        // The second: the running peak is (2 · ½ + ½ · 16) / ¾ = 12, which bounds the entry 16. The
        // norm is then 13, its means (1.25 + 6.5) / ¾ and (6.25 + 84.5) / ¾.
        let gradient = Tensor::from_slice(&[5.0f32, 16.0]);
        let (found, _) = spam.normalise(&gradient, means, 2);
        let target = (7.75 / 0.75) / (90.75f64 / 0.75).sqrt();
        let expected = [5.0 / 13.0 * target, 12.0 / 13.0 * target].map(|x| x as f32);
        let apart = (found - Tensor::from_slice(&expected)).abs().max();
        assert!(apart.double_value(&[]) < 1e-6, "{expected:?}");
        let silent = Tensor::from_slice(&[0.0f32, 0.0]);
        assert_eq!(spam.normalise(&silent, [0.0; 3], 1).0, silent);
    }

    #[test]
    fn stable_spam_steps_like_adam_on_the_normalised_gradient() {
        let spam = StableSpam {
            epsilon: 1e-12,
            ..StableSpam::default()
        };
        // Equal gradients of one entry are normalised to 1, and Adam's steps are the rate.
        let found = path(Optimiser::StableSpam(spam), 0.1, &[7.0, 7.0, 7.0]);
        for (found, expected) in found.iter().zip([-0.1, -0.2, -0.3]) {
            assert!((found - expected).abs() < 1e-5, "{found}");
        }
        let optimiser = Optimiser::StableSpam(spam);
        let parameters = Tensor::from_slice(&[0.0f32, 0.0]);
        let gradient = Tensor::from_slice(&[3.0f32, -4.0]);
        let state = OptimiserState::new(&optimiser, &parameters);
        let (_, state) = optimiser.step(&parameters, &gradient, &state, 0.1, &layout(2));
        let norm = &state.moments[3].tensor;
        assert!(norm.allclose(&Tensor::from_slice(&[1.5f32, 1.5]), 0.0, 1e-6, false));
    }
}
