//! Memory: cells whose output depends on what they saw before, unrolled over sequences.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::init::require_gain;
use super::norm::{BufferLayout, SpectralNorm};
use super::params::{NetworkPart, ParamLayout, ParamRole};
use super::{Activation, Init, RecurrentInit};
use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::seed::Rng;

/// What a network remembers from one control step to the next, between its hidden layers and its
/// output.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecurrentConfig {
    /// A plain recurrent layer, h' = φ(W x + U h + b) (Elman 1990,
    /// <https://doi.org/10.1207/s15516709cog1402_1>): the one whose gradients explode or vanish as
    /// powers of U.
    Rnn(RnnSpec),
    /// A gated recurrent unit (Cho et al. 2014, <https://arxiv.org/abs/1406.1078>), with the reset
    /// gate applied after the product, as in cuDNN.
    Gru(GruSpec),
    /// Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers,
    /// Schmidhuber & Cummins 2000, <https://doi.org/10.1162/089976600300015015>).
    Lstm(LstmSpec),
}

/// A plain recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RnnSpec {
    /// Units.
    pub size: u32,
    /// φ.
    pub activation: RnnActivation,
    /// How the recurrent matrix U is drawn.
    pub recurrent_init: RecurrentInit,
}

impl Default for RnnSpec {
    fn default() -> Self {
        Self {
            size: 64,
            activation: RnnActivation::default(),
            recurrent_init: RecurrentInit::default(),
        }
    }
}

/// What a plain recurrent layer's sum goes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RnnActivation {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// max(0, x); with an identity matrix, an IRNN.
    Relu,
}

/// A gated recurrent unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GruSpec {
    /// Units.
    pub size: u32,
    /// How the recurrent matrix of each gate is drawn.
    pub recurrent_init: RecurrentInit,
}

impl Default for GruSpec {
    fn default() -> Self {
        Self {
            size: 64,
            recurrent_init: RecurrentInit::default(),
        }
    }
}

/// Long short-term memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LstmSpec {
    /// Units.
    pub size: u32,
    /// How the recurrent matrix of each gate is drawn.
    pub recurrent_init: RecurrentInit,
    /// Initial bias of the forget gate; 1 keeps what is remembered from the start (Jozefowicz,
    /// Zaremba & Sutskever 2015).
    pub forget_bias: f64,
}

impl Default for LstmSpec {
    fn default() -> Self {
        Self {
            size: 64,
            recurrent_init: RecurrentInit::default(),
            forget_bias: 1.0,
        }
    }
}

impl RecurrentConfig {
    /// Units.
    pub fn size(self) -> usize {
        let size = match self {
            Self::Rnn(rnn) => rnn.size,
            Self::Gru(gru) => gru.size,
            Self::Lstm(lstm) => lstm.size,
        };
        size as usize
    }

    /// The kind, as in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rnn(_) => "rnn",
            Self::Gru(_) => "gru",
            Self::Lstm(_) => "lstm",
        }
    }

    /// Refuses settings that cannot work.
    pub fn check(self) -> Result<(), InvalidSetting> {
        let size = self.size();
        let sized = (1..=16_384).contains(&size);
        InvalidSetting::ensure(sized, "size", size, "a whole number from 1 to 16384")?;
        let gain = match self.recurrent_init() {
            RecurrentInit::Orthogonal(spec) => Some(("recurrent_init.orthogonal.gain", spec.gain)),
            RecurrentInit::Identity(spec) => Some(("recurrent_init.identity.gain", spec.gain)),
            RecurrentInit::AsHidden => None,
        };
        if let Some((path, gain)) = gain {
            require_gain(path, gain)?;
        }
        let bias = match self {
            Self::Lstm(lstm) => lstm.forget_bias,
            Self::Gru(_) | Self::Rnn(_) => 0.0,
        };
        InvalidSetting::ensure(bias.is_finite(), "forget_bias", bias, "finite")
    }

    fn recurrent_init(self) -> RecurrentInit {
        match self {
            Self::Rnn(rnn) => rnn.recurrent_init,
            Self::Gru(gru) => gru.recurrent_init,
            Self::Lstm(lstm) => lstm.recurrent_init,
        }
    }

    /// Matrices of units × units in one recurrent weight.
    fn gates(self) -> usize {
        match self {
            Self::Rnn(_) => 1,
            Self::Gru(_) => 3,
            Self::Lstm(_) => 4,
        }
    }

    /// Numbers that one network remembers: the output, and the cell of an LSTM.
    fn state_len(self) -> usize {
        match self {
            Self::Rnn(_) | Self::Gru(_) => self.size(),
            Self::Lstm(_) => 2 * self.size(),
        }
    }
}

/// What sequences start from.
#[derive(Debug)]
pub struct UnrollInput {
    /// `[M, state]`: what is remembered before the first step of each sequence.
    pub hidden: Tensor,
    /// `[L, M]`: 1 where an episode begins with the step, and all is forgotten before it; 0
    /// elsewhere. Absent where none does.
    pub episode_starts: Option<Tensor>,
}

/// A cell unrolled over sequences.
#[derive(Debug)]
pub(super) struct UnrollOutput {
    /// `[L · M, size]`, one step after the other.
    pub(super) outputs: Tensor,
    /// h after each step, `[M, size]`.
    pub(super) hidden: Vec<Tensor>,
    /// `[M, state]`: what is remembered after the last step.
    pub(super) state: Tensor,
}

/// A recurrent cell: which parameters it uses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RecurrentCell {
    memory: RecurrentConfig,
    /// Index of the input matrix `[gates · size, in]`; the recurrent matrix `[gates · size, size]`
    /// and the bias `[gates · size]` follow, and for a GRU the bias `[size]` behind the reset gate.
    first: usize,
    spectral: Option<SpectralNorm>,
}

impl RecurrentCell {
    /// Adds the cell's parameters.
    pub(super) fn build(
        layout: &mut ParamLayout,
        buffers: &mut BufferLayout,
        name: &str,
        part: NetworkPart,
        memory: RecurrentConfig,
        inputs: i64,
        spectral: bool,
    ) -> Self {
        let size = memory.size() as i64;
        let rows = memory.gates() as i64 * size;
        let first = layout.push(
            format!("{name}.input.weight"),
            part,
            ParamRole::Weight,
            &[rows, inputs],
        );
        layout.push(
            format!("{name}.recurrent.weight"),
            part,
            ParamRole::Weight,
            &[rows, size],
        );
        layout.push(format!("{name}.bias"), part, ParamRole::Bias, &[rows]);
        if let RecurrentConfig::Gru(_) = memory {
            layout.push(format!("{name}.reset.bias"), part, ParamRole::Bias, &[size]);
        }
        Self {
            memory,
            first,
            spectral: spectral.then(|| SpectralNorm::build(buffers, rows)),
        }
    }

    /// Index of the input matrix among the parameters.
    pub(super) fn input(&self) -> usize {
        self.first
    }

    /// Index of the recurrent matrix.
    pub(super) fn recurrent(&self) -> usize {
        self.first + 1
    }

    /// The outputs `[rows, size]` in what is remembered, `[rows, state]`.
    pub(super) fn outputs_of(&self, state: &Tensor) -> Tensor {
        state.narrow(1, 0, self.memory.size() as i64)
    }

    /// The bounded activation that the outputs come straight out of, if they do.
    pub(super) fn bounded_activation(&self) -> Option<Activation> {
        match self.memory {
            RecurrentConfig::Rnn(rnn) if rnn.activation == RnnActivation::Tanh => {
                Some(Activation::Tanh)
            }
            RecurrentConfig::Rnn(_) | RecurrentConfig::Gru(_) | RecurrentConfig::Lstm(_) => None,
        }
    }

    /// Numbers remembered.
    pub(super) fn state_len(&self) -> usize {
        self.memory.state_len()
    }

    /// Initial values of the recurrent matrix, row by row.
    pub(super) fn initial_recurrent(&self, init: &Init, rng: &mut Rng) -> Vec<f32> {
        let (size, how) = (self.memory.size(), self.memory.recurrent_init());
        (0..self.memory.gates())
            .flat_map(|_| init.sample_recurrent_weights(how, size, rng))
            .collect()
    }

    /// Index of the bias and initial values of it.
    pub(super) fn initial_bias(&self) -> (usize, Vec<f32>) {
        let size = self.memory.size();
        let mut bias = vec![0.0; self.memory.gates() * size];
        if let RecurrentConfig::Lstm(lstm) = self.memory {
            bias[size..2 * size].fill(lstm.forget_bias as f32);
        }
        (self.first + 2, bias)
    }

    /// Moves on what is estimated beside the gradients.
    pub(super) fn update_buffers(&self, params: &[Tensor], buffers: &[Tensor]) {
        if let Some(spectral) = self.spectral {
            spectral.update_buffers(buffers, &params[self.first + 1]);
        }
    }

    /// Runs over `M` sequences, whose inputs are `[L · M, in]`, one step after the other, from
    /// `hidden` `[M, state]`.
    pub(super) fn unroll(
        &self,
        params: &[Tensor],
        buffers: &[Tensor],
        inputs: &Tensor,
        hidden: &Tensor,
        episode_starts: Option<&Tensor>,
    ) -> UnrollOutput {
        let sequences = hidden.size()[0];
        let bias = &params[self.first + 2];
        // What the inputs contribute, for all steps at once.
        let driven =
            bias.addmm(inputs, &params[self.first].tr())
                .view([-1, sequences, bias.size()[0]]);
        let recurrent = match self.spectral {
            Some(spectral) => spectral.forward(buffers, &params[self.first + 1]),
            None => params[self.first + 1].shallow_clone(),
        };
        let recurrent = recurrent.tr();
        let keeps = episode_starts
            .map(|episode_starts| (episode_starts * -1.0 + 1.0).unsqueeze(2).unbind(0));
        let size = self.memory.size() as i64;
        let mut state = hidden.shallow_clone();
        let mut hidden = Vec::new();
        for (step, driven) in driven.unbind(0).iter().enumerate() {
            if let Some(keeps) = &keeps {
                // Not in place: the caller's tensor and torch's graph are kept.
                state = state.g_mul(&keeps[step]);
            }
            state = self.step(params, driven, &state, &recurrent);
            hidden.push(match self.memory {
                RecurrentConfig::Rnn(_) | RecurrentConfig::Gru(_) => state.shallow_clone(),
                RecurrentConfig::Lstm(_) => {
                    let output = state.narrow(1, 0, size);
                    // The gradient by h is taken where all that follows reads it.
                    state = Tensor::cat(&[&output, &state.narrow(1, size, size)], 1);
                    output
                }
            });
        }
        UnrollOutput {
            outputs: Tensor::cat(&hidden, 0),
            hidden,
            state,
        }
    }

    /// What is remembered after a step, from what the inputs contribute and what was remembered.
    fn step(
        &self,
        params: &[Tensor],
        driven: &Tensor,
        state: &Tensor,
        recurrent: &Tensor,
    ) -> Tensor {
        let size = self.memory.size() as i64;
        match self.memory {
            RecurrentConfig::Rnn(rnn) => {
                let sum = driven.addmm(state, recurrent);
                match rnn.activation {
                    RnnActivation::Tanh => sum.tanh(),
                    RnnActivation::Relu => sum.relu(),
                }
            }
            RecurrentConfig::Gru(_) => {
                let fed_back = state.mm(recurrent);
                let gates =
                    (driven.narrow(1, 0, 2 * size) + fed_back.narrow(1, 0, 2 * size)).sigmoid();
                let (reset, update) = (gates.narrow(1, 0, size), gates.narrow(1, size, size));
                let candidate = fed_back.narrow(1, 2 * size, size) + &params[self.first + 3];
                let candidate = (driven.narrow(1, 2 * size, size) + reset * candidate).tanh();
                &candidate + update * (state - &candidate)
            }
            RecurrentConfig::Lstm(_) => {
                let gates = driven.addmm(&state.narrow(1, 0, size), recurrent);
                let gate = |index: i64| gates.narrow(1, index * size, size);
                let (input, forget, output) =
                    (gate(0).sigmoid(), gate(1).sigmoid(), gate(3).sigmoid());
                let cell = forget * state.narrow(1, size, size) + input * gate(2).tanh();
                Tensor::cat(&[output * cell.tanh(), cell], 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::RecurrentGainSpec;
    use evenkeel_sim::seed::{Purpose, Split, normal_pair, stream};
    use tch::{Device, Kind};

    const INPUTS: i64 = 4;
    const SIZE: u32 = 6;
    const LENGTH: i64 = 5;
    const SEQUENCES: i64 = 3;

    fn kinds() -> [RecurrentConfig; 4] {
        let rnn = |activation| {
            RecurrentConfig::Rnn(RnnSpec {
                size: SIZE,
                activation,
                ..RnnSpec::default()
            })
        };
        [
            rnn(RnnActivation::Tanh),
            rnn(RnnActivation::Relu),
            RecurrentConfig::Gru(GruSpec {
                size: SIZE,
                ..GruSpec::default()
            }),
            RecurrentConfig::Lstm(LstmSpec {
                size: SIZE,
                ..LstmSpec::default()
            }),
        ]
    }

    fn noise(seed: u64, shape: &[i64]) -> Tensor {
        let mut rng = stream(seed, Split::Train, 0, 0, Purpose::Bench);
        let count = shape.iter().product::<i64>();
        let numbers: Vec<f32> = (0..count).map(|_| normal_pair(&mut rng).0 as f32).collect();
        Tensor::from_slice(&numbers).view(shape)
    }

    fn cell(memory: RecurrentConfig) -> (RecurrentCell, Vec<Tensor>) {
        let (mut layout, mut buffers) = (ParamLayout::default(), BufferLayout::default());
        let part = NetworkPart::Actor;
        let cell =
            RecurrentCell::build(&mut layout, &mut buffers, "m", part, memory, INPUTS, false);
        let flat = noise(1, &[layout.len() as i64]) * 0.5;
        (cell, layout.views(&flat))
    }

    fn apart(a: &Tensor, b: &Tensor) -> f64 {
        assert_eq!(a.size(), b.size());
        (a - b).abs().max().double_value(&[])
    }

    /// Outputs `[L, M, size]` and the state at the end, by torch's own cells.
    fn oracle(
        memory: RecurrentConfig,
        params: &[Tensor],
        inputs: &Tensor,
        hidden: &Tensor,
    ) -> (Tensor, Tensor) {
        let size = i64::from(SIZE);
        let no_bias = Tensor::zeros([2 * size], (Kind::Float, Device::Cpu));
        let recurrent_bias = match memory {
            RecurrentConfig::Gru(_) => Tensor::cat(&[&no_bias, &params[3]], 0),
            _ => params[2].zeros_like(),
        };
        let weights = [&params[0], &params[1], &params[2], &recurrent_bias];
        let first = |width: i64, from: i64| hidden.narrow(1, from, width).contiguous().unsqueeze(0);
        let (outputs, state) = match memory {
            RecurrentConfig::Rnn(rnn) if rnn.activation == RnnActivation::Relu => {
                inputs.rnn_relu(&first(size, 0), &weights, true, 1, 0.0, false, false, false)
            }
            RecurrentConfig::Rnn(_) => {
                inputs.rnn_tanh(&first(size, 0), &weights, true, 1, 0.0, false, false, false)
            }
            RecurrentConfig::Gru(_) => {
                inputs.gru(&first(size, 0), &weights, true, 1, 0.0, false, false, false)
            }
            RecurrentConfig::Lstm(_) => {
                let from = [first(size, 0), first(size, size)];
                let weights = weights.map(Tensor::shallow_clone);
                let (outputs, h, c) =
                    inputs.lstm(&from, &weights, true, 1, 0.0, false, false, false);
                (outputs, Tensor::cat(&[h, c], 2))
            }
        };
        (outputs, state.squeeze_dim(0))
    }

    #[test]
    fn every_cell_is_torchs() {
        for memory in kinds() {
            let (cell, params) = cell(memory);
            let inputs = noise(2, &[LENGTH, SEQUENCES, INPUTS]);
            let hidden = noise(3, &[SEQUENCES, cell.state_len() as i64]);
            let unrolled = cell.unroll(&params, &[], &inputs.flatten(0, 1), &hidden, None);
            let (outputs, state) = oracle(memory, &params, &inputs, &hidden);
            assert!(
                apart(&unrolled.outputs, &outputs.flatten(0, 1)) < 1e-5,
                "{memory:?}"
            );
            assert!(apart(&unrolled.state, &state) < 1e-5, "{memory:?}");
            assert_eq!(unrolled.hidden.len(), LENGTH as usize);
            assert!(
                apart(&unrolled.hidden[4], &outputs.select(0, 4)) < 1e-5,
                "{memory:?}"
            );
        }
    }

    #[test]
    fn everything_is_forgotten_where_an_episode_begins() {
        for memory in kinds() {
            let (cell, params) = cell(memory);
            let inputs = noise(2, &[LENGTH, SEQUENCES, INPUTS]);
            let hidden = noise(3, &[SEQUENCES, cell.state_len() as i64]);
            let episode_starts = Tensor::zeros([LENGTH, SEQUENCES], (Kind::Float, Device::Cpu));
            let _ = episode_starts.get(2).get(1).fill_(1.0);
            let all = inputs.flatten(0, 1);
            let plain = cell.unroll(&params, &[], &all, &hidden, None);
            let cut = cell.unroll(&params, &[], &all, &hidden, Some(&episode_starts));
            let late = inputs.narrow(0, 2, 3).flatten(0, 1);
            let fresh = cell.unroll(&params, &[], &late, &hidden.zeros_like(), None);
            assert!(
                apart(&cut.state.get(1), &fresh.state.get(1)) < 1e-6,
                "{memory:?}"
            );
            assert!(
                apart(&cut.state.get(0), &plain.state.get(0)) < 1e-6,
                "{memory:?}"
            );
            assert!(
                apart(&cut.state.get(1), &plain.state.get(1)) > 1e-3,
                "{memory:?}"
            );
        }
    }

    #[test]
    fn an_lstm_begins_by_keeping_what_it_remembers() {
        let (cell, _) = cell(kinds()[3]);
        let (index, bias) = cell.initial_bias();
        assert_eq!(index, 2);
        let size = SIZE as usize;
        assert_eq!(bias[size..2 * size], vec![1.0; size]);
        assert!(
            bias[..size]
                .iter()
                .chain(&bias[2 * size..])
                .all(|&b| b == 0.0)
        );
    }

    #[test]
    fn settings_that_cannot_work_are_refused() {
        let none = RecurrentConfig::Gru(GruSpec {
            size: 0,
            ..GruSpec::default()
        });
        assert_eq!(none.check().unwrap_err().path, "size");
        let wild = RecurrentConfig::Rnn(RnnSpec {
            recurrent_init: RecurrentInit::Orthogonal(RecurrentGainSpec { gain: f64::NAN }),
            ..RnnSpec::default()
        });
        assert_eq!(
            wild.check().unwrap_err().path,
            "recurrent_init.orthogonal.gain"
        );
        assert!(kinds().into_iter().all(|kind| kind.check().is_ok()));
    }
}
