//! Resets between iterations: parts of the weights start again, so that a network which has adapted
//! to old data can learn from new data. A reset is a pure function of the weights, of freshly drawn
//! ones and of how active the units are.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::OptimiserState;
use super::family::{InvalidSetting, family, require, require_positive};
use crate::nn::{ParamLayout, ParamRole, PolicyLayer, UnitActivity, entries};

family! {
    /// One kind of reset. Frozen parameters stay. It happens before the rollout of an iteration is collected, every `every`
    /// iterations. Where its settings have an `until`, it happens only in that first share of the
    /// run, so that the policy recovers before the end.
    pub enum Reset: ResetTechnique {
        /// Shrinks all weights and adds freshly drawn ones, which keeps what was learned roughly
        /// in place and lets gradients grow again (Ash & Adams 2020,
        /// <https://arxiv.org/abs/1910.08475>, section 4). The standard deviations of actions stay.
        ShrinkPerturb(ShrinkPerturb) = "shrink_perturb",
        /// `ReDo`: units of hidden layers that are hardly ever active get freshly drawn incoming
        /// weights, outgoing weights of 0, and no momentum (Sokar et al. 2023,
        /// <https://arxiv.org/abs/2302.12902>, algorithm 1). Activity is measured on the
        /// observations at which the environments stand. Convolutions, recurrent cells and layers
        /// next to frozen weights stay.
        DormantUnits(DormantUnits) = "dormant_units",
        /// The last layers of each network are drawn afresh, without momentum; features before them
        /// stay (Nikishin et al. 2022, <https://arxiv.org/abs/2205.07802>, section 4). The standard
        /// deviations of actions stay.
        LastLayers(LastLayers) = "last_layers",
    }
}

/// What a reset reads, besides the weights.
#[derive(Debug)]
pub struct ResetInput<'a> {
    /// The layout of the parameters.
    pub layout: &'a ParamLayout,
    /// The layers of the policy.
    pub layers: &'a [PolicyLayer],
    /// Freshly drawn parameters, flat.
    pub fresh: &'a [f32],
    /// Activity of the units of each layer; empty where [`Reset::reads_activity`] is false.
    pub activity: &'a [UnitActivity],
}

/// The weights during a reset.
struct ResetState {
    /// θ, flat.
    parameters: Vec<f32>,
    /// 1 for each parameter whose moments are kept, 0 for each that loses them.
    kept: Vec<f32>,
}

impl ResetState {
    /// Sets a parameter, and its moments to 0.
    fn replace(&mut self, index: usize, value: f32) {
        self.parameters[index] = value;
        self.kept[index] = 0.0;
    }
}

/// A reset technique.
trait ResetTechnique {
    /// Valid settings.
    fn example() -> Self
    where
        Self: Sized;

    /// Checks each setting.
    fn check(&self) -> Result<(), InvalidSetting>;

    /// Iterations between two resets.
    fn every(&self) -> u32;

    /// The share of the run in which resets happen.
    fn until(&self) -> f64 {
        1.0
    }

    /// Whether it reads the activity of units.
    fn reads_activity(&self) -> bool {
        false
    }

    /// Changes the weights.
    fn apply(&self, input: &ResetInput, state: &mut ResetState);
}

impl Reset {
    /// Whether it happens before an iteration of this index, of so many.
    pub fn is_due(&self, iteration: u64, iterations: u64) -> bool {
        let technique = self.technique();
        iteration > 0
            && iteration.is_multiple_of(technique.every().into())
            && iteration as f64 <= technique.until() * iterations as f64
    }

    /// Whether it reads the activity of units.
    pub fn reads_activity(&self) -> bool {
        self.technique().reads_activity()
    }

    /// The parameters, flat, and the state of the optimiser after it.
    pub fn apply(
        &self,
        input: &ResetInput,
        parameters: &Tensor,
        optimiser: &OptimiserState,
    ) -> (Tensor, OptimiserState) {
        let mut state = ResetState {
            parameters: entries(parameters),
            kept: vec![1.0; input.layout.len()],
        };
        self.technique().apply(input, &mut state);
        let device = parameters.device();
        let kept = Tensor::from_slice(&state.kept).to_device(device);
        let parameters = Tensor::from_slice(&state.parameters).to_device(device);
        (parameters, optimiser.with_kept_moments(&kept))
    }
}

/// Settings of shrink and perturb: θ ← `shrink` · θ + `perturb` · φ with freshly drawn weights φ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ShrinkPerturb {
    /// Iterations between two resets.
    pub every: u32,
    /// Factor on the weights, 0 to 1.
    pub shrink: f64,
    /// Factor on the freshly drawn weights, 0 to 1.
    pub perturb: f64,
    /// Share of the run in which resets happen.
    pub until: f64,
}

impl Default for ShrinkPerturb {
    fn default() -> Self {
        Self {
            every: 50,
            shrink: 0.8,
            perturb: 0.2,
            until: 0.5,
        }
    }
}

impl ResetTechnique for ShrinkPerturb {
    fn example() -> Self {
        Self {
            every: 2,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_every(self.every)?;
        check_share("shrink", self.shrink)?;
        check_share("perturb", self.perturb)?;
        check_share("until", self.until)
    }

    fn every(&self) -> u32 {
        self.every
    }

    fn until(&self) -> f64 {
        self.until
    }

    fn apply(&self, input: &ResetInput, state: &mut ResetState) {
        let (shrink, perturb) = (self.shrink as f32, self.perturb as f32);
        let entries = input.layout.entries().iter();
        for entry in entries.filter(|entry| entry.role != ParamRole::LogStd && !entry.frozen) {
            let weights = &mut state.parameters[entry.range.clone()];
            for (weight, fresh) in weights.iter_mut().zip(&input.fresh[entry.range.clone()]) {
                *weight = shrink * *weight + perturb * fresh;
            }
        }
    }
}

/// Settings of the reset of dormant units.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DormantUnits {
    /// Iterations between two resets.
    pub every: u32,
    /// A unit is dormant if its mean absolute output is at most this multiple of its layer's mean,
    /// τ.
    pub threshold: f64,
}

impl Default for DormantUnits {
    fn default() -> Self {
        Self {
            every: 20,
            threshold: 0.025,
        }
    }
}

impl ResetTechnique for DormantUnits {
    fn example() -> Self {
        Self {
            every: 2,
            threshold: 0.3,
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_every(self.every)?;
        require_positive("threshold", self.threshold)
    }

    fn every(&self) -> u32 {
        self.every
    }

    fn reads_activity(&self) -> bool {
        true
    }

    fn apply(&self, input: &ResetInput, state: &mut ResetState) {
        let all = input.layout.entries();
        let frozen = |layer: &&PolicyLayer| {
            let mut parameters = layer.parameters.iter().chain(&layer.readers);
            parameters.any(|&parameter| all[parameter].frozen)
        };
        let hidden = input
            .layers
            .iter()
            .filter(|layer| !layer.readers.is_empty());
        for layer in hidden.filter(|layer| !frozen(layer)) {
            let name = &all[layer.parameters[0]].name;
            let Some(units) = input.activity.iter().find(|units| units.name == *name) else {
                continue;
            };
            let scores = units.scores.iter().enumerate();
            for (unit, _) in scores.filter(|(_, score)| f64::from(**score) <= self.threshold) {
                for &parameter in &layer.parameters {
                    let entry = &all[parameter];
                    let width = entry.range.len() / entry.shape[0] as usize;
                    let first = entry.range.start + unit * width;
                    (first..first + width).for_each(|i| state.replace(i, input.fresh[i]));
                }
                for &reader in &layer.readers {
                    let entry = &all[reader];
                    let columns = entry.range.clone().skip(unit).step_by(units.scores.len());
                    columns.for_each(|i| state.replace(i, 0.0));
                }
            }
        }
    }
}

/// Settings of the reset of the last layers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LastLayers {
    /// Iterations between two resets.
    pub every: u32,
    /// Layers of each network that are reset, the output layer included. A recurrent cell counts as
    /// one layer.
    pub layers: u32,
    /// Share of the run in which resets happen.
    pub until: f64,
}

impl Default for LastLayers {
    fn default() -> Self {
        Self {
            every: 50,
            layers: 1,
            until: 0.5,
        }
    }
}

impl ResetTechnique for LastLayers {
    fn example() -> Self {
        Self {
            every: 2,
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        check_every(self.every)?;
        let layers = self.layers;
        let holds = (1..=1000).contains(&layers);
        require("layers", layers, holds, "a whole number from 1 to 1000")?;
        check_share("until", self.until)
    }

    fn every(&self) -> u32 {
        self.every
    }

    fn until(&self) -> f64 {
        self.until
    }

    fn apply(&self, input: &ResetInput, state: &mut ResetState) {
        let count = self.layers as usize;
        let last = input
            .layers
            .iter()
            .filter(|layer| layer.from_output < count);
        for &parameter in last.flat_map(|layer| &layer.parameters) {
            let entry = &input.layout.entries()[parameter];
            let range = entry.range.clone().filter(|_| !entry.frozen);
            range.for_each(|i| state.replace(i, input.fresh[i]));
        }
    }
}

fn check_every(every: u32) -> Result<(), InvalidSetting> {
    let holds = (1..=1_000_000).contains(&every);
    require("every", every, holds, "a whole number from 1 to 1000000")
}

fn check_share(name: &str, share: f64) -> Result<(), InvalidSetting> {
    let holds = (0.0..=1.0).contains(&share);
    require(name, share, holds, "from 0 to 1")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::NetworkPart;
    use crate::optim::Optimiser;

    /// Two inputs, two hidden units, one output: weights 0..4, biases 4..6, output weights 6..8,
    /// output bias 8, standard deviation 9.
    fn layout() -> ParamLayout {
        let mut layout = ParamLayout::default();
        for (name, role, shape) in [
            ("actor.0.weight", ParamRole::Weight, &[2, 2][..]),
            ("actor.0.bias", ParamRole::Bias, &[2]),
            ("actor.1.weight", ParamRole::Output, &[1, 2]),
            ("actor.1.bias", ParamRole::Bias, &[1]),
            ("actor.log_std", ParamRole::LogStd, &[1]),
        ] {
            layout.push(name.into(), NetworkPart::Actor, role, shape);
        }
        layout
    }

    fn layers() -> Vec<PolicyLayer> {
        let layer = |parameters: &[usize], readers: &[usize], from_output| PolicyLayer {
            parameters: parameters.to_vec(),
            readers: readers.to_vec(),
            from_output,
        };
        vec![layer(&[0, 1], &[2], 1), layer(&[2, 3], &[], 0)]
    }

    /// Weights and first moments after a reset of weights 1 to 10 and moments 1, where the fresh
    /// weights are −1 to −10 and unit 1 is hardly active.
    fn reset(reset: Reset) -> (Vec<f32>, Vec<f32>) {
        let weights: Vec<f32> = (1..=10).map(|i| i as f32).collect();
        let fresh: Vec<f32> = weights.iter().map(|w| -w).collect();
        let parameters = Tensor::from_slice(&weights);
        let mut optimiser = OptimiserState::new(&Optimiser::default(), &parameters);
        for moment in &mut optimiser.moments {
            moment.tensor = parameters.ones_like();
        }
        let activity = UnitActivity {
            name: "actor.0.weight".into(),
            saturated: None,
            dormant: None,
            scores: vec![1.9, 0.1],
        };
        let input = ResetInput {
            layout: &layout(),
            layers: &layers(),
            fresh: &fresh,
            activity: &[activity],
        };
        let (after, state) = reset.apply(&input, &parameters, &optimiser);
        (entries(&after), entries(&state.moments[0].tensor))
    }

    #[test]
    fn shrink_and_perturb_mixes_old_and_fresh_weights() {
        let (weights, moments) = reset(Reset::ShrinkPerturb(ShrinkPerturb {
            shrink: 0.75,
            perturb: 0.25,
            ..ShrinkPerturb::default()
        }));
        assert_eq!(weights, [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 10.0]);
        assert_eq!(moments, [1.0; 10]);
    }

    #[test]
    fn a_dormant_unit_is_drawn_afresh_and_cut_off() {
        let (weights, moments) = reset(Reset::DormantUnits(DormantUnits::example()));
        assert_eq!(
            weights,
            [1.0, 2.0, -3.0, -4.0, 5.0, -6.0, 7.0, 0.0, 9.0, 10.0]
        );
        assert_eq!(moments, [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 1.0, 1.0]);
        let none = Reset::DormantUnits(DormantUnits {
            threshold: 0.05,
            ..DormantUnits::default()
        });
        assert_eq!(reset(none).1, [1.0; 10]);
    }

    #[test]
    fn last_layers_are_drawn_afresh() {
        let last = |layers| {
            reset(Reset::LastLayers(LastLayers {
                layers,
                ..LastLayers::default()
            }))
        };
        let (weights, moments) = last(1);
        assert_eq!(
            weights,
            [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, -7.0, -8.0, -9.0, 10.0]
        );
        assert_eq!(moments, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        let (weights, moments) = last(2);
        assert_eq!(weights[..6], [-1.0, -2.0, -3.0, -4.0, -5.0, -6.0]);
        assert_eq!(moments[9..], [1.0]);
    }

    #[test]
    fn resets_happen_at_intervals_in_the_first_part_of_a_run() {
        let shrink = Reset::ShrinkPerturb(ShrinkPerturb {
            every: 3,
            ..ShrinkPerturb::default()
        });
        let due: Vec<u64> = (0..20).filter(|&i| shrink.is_due(i, 20)).collect();
        assert_eq!(due, [3, 6, 9]);
        let dormant = Reset::DormantUnits(DormantUnits {
            every: 5,
            ..DormantUnits::default()
        });
        let due: Vec<u64> = (0..20).filter(|&i| dormant.is_due(i, 20)).collect();
        assert_eq!(due, [5, 10, 15]);
    }

    #[test]
    fn invalid_settings_are_refused_with_their_path() {
        for (toml, path) in [
            ("shrink_perturb.every = 0", "shrink_perturb.every"),
            ("shrink_perturb.shrink = 1.5", "shrink_perturb.shrink"),
            ("shrink_perturb.until = nan", "shrink_perturb.until"),
            ("dormant_units.threshold = -1", "dormant_units.threshold"),
            ("last_layers.layers = 0", "last_layers.layers"),
        ] {
            let reset: Reset = toml::from_str(toml).unwrap();
            assert_eq!(reset.check().expect_err(toml).path, path);
        }
        for reset in Reset::examples() {
            reset.check().unwrap();
        }
    }
}
