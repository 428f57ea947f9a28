//! Weight decay: pulls weights towards 0, through the gradient (coupled) or after the optimiser
//! step (decoupled). Only weight matrices decay, not biases, parameters of normalisation layers or
//! standard deviations of actions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::family::{InvalidSetting, family, require};
use crate::nn::{ParamLayout, ParamRole};

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
    }
}

/// A decay technique. A coupled one adds to the gradient of a weight matrix, a decoupled one
/// subtracts from the weights.
trait DecayTechnique {
    /// Valid settings.
    fn example() -> Self
    where
        Self: Sized;

    /// Checks each setting.
    fn check(&self) -> Result<(), InvalidSetting>;

    /// The term to add to the gradient of these weights.
    fn coupled(&self, _weights: &Tensor) -> Option<Tensor> {
        None
    }

    /// The term to subtract from these weights, divided by the learning rate.
    fn decoupled(&self, _weights: &Tensor) -> Option<Tensor> {
        None
    }
}

/// Adds coupled decay to a flat gradient, for parameters θ.
pub fn apply_coupled_decay(
    decays: &[WeightDecay],
    gradient: Tensor,
    parameters: &Tensor,
    layout: &ParamLayout,
) -> Tensor {
    let term = |decay: &WeightDecay, weights: &Tensor| decay.technique().coupled(weights);
    add_to_weights(decays, gradient, parameters, layout, &term)
}

/// Applies decoupled decay to flat `parameters` after an optimiser step; `before` is θ before that
/// step.
pub fn apply_decoupled_decay(
    decays: &[WeightDecay],
    parameters: Tensor,
    before: &Tensor,
    learning_rate: f64,
    layout: &ParamLayout,
) -> Tensor {
    let term = |decay: &WeightDecay, weights: &Tensor| {
        let decrease = decay.technique().decoupled(weights)?;
        Some(decrease * -learning_rate)
    };
    add_to_weights(decays, parameters, before, layout, &term)
}

/// Adds the terms of all decays for all weight matrices to a copy of `flat`. Returns `flat` itself
/// without decays.
fn add_to_weights(
    decays: &[WeightDecay],
    flat: Tensor,
    parameters: &Tensor,
    layout: &ParamLayout,
    decay_term: &dyn Fn(&WeightDecay, &Tensor) -> Option<Tensor>,
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
    for (entry, (mut target, weights)) in entries.zip(matrices) {
        if !matches!(entry.role, ParamRole::Weight | ParamRole::Output) {
            continue;
        }
        for term in decays
            .iter()
            .filter_map(|decay| decay_term(decay, &weights))
        {
            target += term;
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

    fn coupled(&self, weights: &Tensor) -> Option<Tensor> {
        Some(weights.sign() * self.rate)
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

    fn coupled(&self, weights: &Tensor) -> Option<Tensor> {
        Some(weights * self.rate)
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

    fn decoupled(&self, weights: &Tensor) -> Option<Tensor> {
        Some(weights * self.rate)
    }
}

fn check_rate(rate: f64) -> Result<(), InvalidSetting> {
    let holds = rate.is_finite() && rate >= 0.0;
    require("rate", rate, holds, "a finite number of at least 0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::NetworkPart;
    use crate::optim::{Optimiser, OptimiserState};

    /// Hidden weights of three entries, an output weight of one, and parameters that do not decay.
    fn layout() -> ParamLayout {
        let mut layout = ParamLayout::default();
        layout.push(
            "0.weight".into(),
            NetworkPart::Actor,
            ParamRole::Weight,
            &[1, 3],
        );
        layout.push("0.bias".into(), NetworkPart::Actor, ParamRole::Bias, &[1]);
        layout.push("0.norm".into(), NetworkPart::Actor, ParamRole::Norm, &[1]);
        layout.push(
            "1.weight".into(),
            NetworkPart::Actor,
            ParamRole::Output,
            &[1, 1],
        );
        layout.push(
            "log_std".into(),
            NetworkPart::Actor,
            ParamRole::LogStd,
            &[1],
        );
        layout
    }

    fn parameters() -> Tensor {
        Tensor::from_slice(&[2.0f32, -4.0, 0.0, 5.0, 6.0, -8.0, 7.0])
    }

    fn coupled(decays: &[WeightDecay]) -> Vec<f32> {
        let gradient = Tensor::ones_like(&parameters());
        apply_coupled_decay(decays, gradient, &parameters(), &layout())
            .try_into()
            .unwrap()
    }

    #[test]
    fn penalties_add_their_gradients() {
        let (l1, l2) = (
            WeightDecay::L1Decay(L1Decay { rate: 0.5 }),
            WeightDecay::L2Decay(L2Decay { rate: 0.25 }),
        );
        assert_eq!(coupled(&[l1]), [1.5, 0.5, 1.0, 1.0, 1.0, 0.5, 1.0]);
        assert_eq!(coupled(&[l2]), [1.5, 0.0, 1.0, 1.0, 1.0, -1.0, 1.0]);
        assert_eq!(coupled(&[l1, l2]), [2.0, -0.5, 1.0, 1.0, 1.0, -1.5, 1.0]);
        let decoupled = WeightDecay::DecoupledDecay(DecoupledDecay { rate: 0.5 });
        assert_eq!(coupled(&[decoupled]), [1.0; 7]);
    }

    #[test]
    fn decoupled_decay_subtracts_from_the_weights() {
        let stepped = Tensor::zeros_like(&parameters());
        let decays = [
            WeightDecay::L2Decay(L2Decay { rate: 9.0 }),
            WeightDecay::DecoupledDecay(DecoupledDecay { rate: 0.5 }),
        ];
        let found = apply_decoupled_decay(&decays, stepped, &parameters(), 0.25, &layout());
        let expected = [-0.25, 0.5, 0.0, 0.0, 0.0, 1.0, 0.0f32];
        assert_eq!(found, Tensor::from_slice(&expected));
    }

    #[test]
    fn the_arguments_are_not_written_to() {
        let gradient = parameters();
        let address = gradient.data_ptr();
        let same = apply_coupled_decay(&[], gradient, &parameters(), &layout());
        assert_eq!(same.data_ptr(), address);
        let gradient = parameters();
        let alias = gradient.shallow_clone();
        let l2 = WeightDecay::L2Decay(L2Decay { rate: 0.25 });
        let _ = apply_coupled_decay(&[l2], gradient, &parameters(), &layout());
        assert_eq!(alias, parameters());
    }

    #[test]
    fn decay_matches_torchs_adamw_and_torchs_sgd_with_weight_decay() {
        use tch::nn::{self, OptimizerConfig};

        fn check(ours: Optimiser, decay: WeightDecay, theirs: impl OptimizerConfig) {
            let mut layout = ParamLayout::default();
            layout.push(
                "0.weight".into(),
                NetworkPart::Actor,
                ParamRole::Weight,
                &[4, 5],
            );
            let start: Vec<f32> = (0..20).map(|i| (i as f32 * 0.37).sin()).collect();
            let store = nn::VarStore::new(tch::Device::Cpu);
            let expected = store.root().var_copy("x", &Tensor::from_slice(&start));
            let mut torch = theirs.build(&store, 0.02).unwrap();
            let mut found = Tensor::from_slice(&start);
            let mut state = OptimiserState::new(&ours, &found);
            for step in 0..30 {
                torch.backward_step(&(&expected - 1.0).square().sum(tch::Kind::Float));
                let before = found.shallow_clone();
                let gradient = (&before - 1.0) * 2.0;
                let gradient = apply_coupled_decay(&[decay], gradient, &before, &layout);
                let (stepped, next) = ours.step(&before, &gradient, &state, 0.02, &layout);
                found = apply_decoupled_decay(&[decay], stepped, &before, 0.02, &layout);
                state = next;
                let apart = (&found - &expected).abs().max().double_value(&[]);
                assert!(apart < 2e-6, "{decay:?}, step {step}: {apart} apart");
            }
        }

        let adamw = nn::AdamW {
            wd: 0.3,
            eps: 1e-5,
            ..nn::AdamW::default()
        };
        check(
            Optimiser::default(),
            WeightDecay::DecoupledDecay(DecoupledDecay { rate: 0.3 }),
            adamw,
        );
        let sgd = nn::Sgd {
            wd: 0.3,
            ..nn::Sgd::default()
        };
        let ours = Optimiser::Sgd(crate::optim::Sgd::default());
        check(ours, WeightDecay::L2Decay(L2Decay { rate: 0.3 }), sgd);
    }

    #[test]
    fn a_rate_must_be_finite_and_not_negative() {
        for rate in [-1.0, f64::NAN, f64::INFINITY] {
            let bad = WeightDecay::L1Decay(L1Decay { rate }).check().unwrap_err();
            assert_eq!(bad.path, "l1.rate");
        }
        assert!(WeightDecay::L2Decay(L2Decay { rate: 0.0 }).check().is_ok());
    }
}
