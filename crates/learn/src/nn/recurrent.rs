//! Recurrent cells, unrolled over sequences.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::onnx::{Attribute, Dimension, GraphBuilder, ValueName};

use super::init::require_gain;
use super::norm::{BufferLayout, SpectralNorm};
use super::params::{NetworkPart, ParamLayout, ParamRole};
use super::{Activation, Init, RecurrentInit};
use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::seed::Rng;

/// The recurrent layer between the hidden layers and the output of a network. It carries a hidden
/// state from one control step to the next.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RecurrentConfig {
    /// A plain recurrent layer, h' = φ(W x + U h + b) (Elman 1990,
    /// <https://doi.org/10.1207/s15516709cog1402_1>). Its gradients explode or vanish like powers
    /// of U.
    Rnn(RnnSpec),
    /// A gated recurrent unit (Cho et al. 2014, <https://arxiv.org/abs/1406.1078>), with the reset
    /// gate applied after the product, as in cuDNN.
    Gru(GruSpec),
    /// Long short-term memory with a forget gate (Hochreiter & Schmidhuber 1997; Gers,
    /// Schmidhuber & Cummins 2000, <https://doi.org/10.1162/089976600300015015>).
    Lstm(LstmSpec),
}

/// Settings of a plain recurrent layer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RnnSpec {
    /// Number of units.
    pub size: u32,
    /// Activation function φ.
    pub activation: RnnActivation,
    /// Initialisation of the recurrent matrix U.
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

/// Activation function of a plain recurrent layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RnnActivation {
    /// Hyperbolic tangent.
    #[default]
    Tanh,
    /// max(0, x). With an identity matrix this is an IRNN.
    Relu,
}

/// Settings of a gated recurrent unit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GruSpec {
    /// Number of units.
    pub size: u32,
    /// Initialisation of the recurrent matrix of each gate.
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

/// Settings of a long short-term memory.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LstmSpec {
    /// Number of units.
    pub size: u32,
    /// Initialisation of the recurrent matrix of each gate.
    pub recurrent_init: RecurrentInit,
    /// Initial bias of the forget gate. With 1, the cell keeps its content at the start of training
    /// (Jozefowicz, Zaremba & Sutskever 2015).
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
    /// Number of units.
    pub fn size(self) -> usize {
        let size = match self {
            Self::Rnn(rnn) => rnn.size,
            Self::Gru(gru) => gru.size,
            Self::Lstm(lstm) => lstm.size,
        };
        size as usize
    }

    /// The name in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rnn(_) => "rnn",
            Self::Gru(_) => "gru",
            Self::Lstm(_) => "lstm",
        }
    }

    /// Checks each setting.
    ///
    /// # Errors
    /// The first setting that is invalid.
    pub fn check(self) -> Result<(), InvalidSetting> {
        let size = self.size();
        let holds = (1..=16_384).contains(&size);
        InvalidSetting::ensure(holds, "size", size, "a whole number from 1 to 16384")?;
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

    /// Number of `[size, size]` matrices in the recurrent weight.
    fn gates(self) -> usize {
        match self {
            Self::Rnn(_) => 1,
            Self::Gru(_) => 3,
            Self::Lstm(_) => 4,
        }
    }

    /// Length of the hidden state: the output, and for an LSTM also the cell.
    fn state_len(self) -> usize {
        match self {
            Self::Rnn(_) | Self::Gru(_) => self.size(),
            Self::Lstm(_) => 2 * self.size(),
        }
    }
}

/// Initial hidden states and episode starts of sequences.
#[derive(Debug)]
pub struct UnrollInput {
    /// Hidden state before the first step of each sequence, `[M, state]`.
    pub hidden: Tensor,
    /// 1 where an episode starts with the step, otherwise 0, `[L, M]`. The hidden state is reset
    /// before such a step. Absent: no episode starts.
    pub episode_starts: Option<Tensor>,
}

/// A cell unrolled over sequences.
#[derive(Debug)]
pub(super) struct UnrollOutput {
    /// Outputs, `[L · M, size]`, step by step.
    pub(super) outputs: Tensor,
    /// h after each step, `[M, size]`.
    pub(super) hidden: Vec<Tensor>,
    /// Hidden state after the last step, `[M, state]`.
    pub(super) state: Tensor,
}

/// A recurrent cell. It holds indices of parameters, not their values.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RecurrentCell {
    config: RecurrentConfig,
    /// Index of the input matrix `[gates · size, in]`. The recurrent matrix `[gates · size, size]`
    /// and the bias `[gates · size]` follow, and for a GRU the bias `[size]` of the reset product.
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
        config: RecurrentConfig,
        inputs: i64,
        spectral: bool,
    ) -> Self {
        let size = config.size() as i64;
        let rows = config.gates() as i64 * size;
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
        if let RecurrentConfig::Gru(_) = config {
            layout.push(format!("{name}.reset.bias"), part, ParamRole::Bias, &[size]);
        }
        Self {
            config,
            first,
            spectral: spectral.then(|| SpectralNorm::build(buffers, rows)),
        }
    }

    /// Index of the input matrix.
    pub(super) fn input(&self) -> usize {
        self.first
    }

    /// Index of the recurrent matrix.
    pub(super) fn recurrent(&self) -> usize {
        self.first + 1
    }

    /// The outputs `[rows, size]` in hidden states `[rows, state]`.
    pub(super) fn outputs_of(&self, state: &Tensor) -> Tensor {
        state.narrow(1, 0, self.config.size() as i64)
    }

    /// The bounded activation that produces the outputs, if there is one.
    pub(super) fn bounded_activation(&self) -> Option<Activation> {
        match self.config {
            RecurrentConfig::Rnn(rnn) if rnn.activation == RnnActivation::Tanh => {
                Some(Activation::Tanh)
            }
            RecurrentConfig::Rnn(_) | RecurrentConfig::Gru(_) | RecurrentConfig::Lstm(_) => None,
        }
    }

    /// Length of the hidden state.
    pub(super) fn state_len(&self) -> usize {
        self.config.state_len()
    }

    /// Samples the initial recurrent matrix, `[gates · size, size]`, row by row.
    pub(super) fn initial_recurrent(&self, init: &Init, rng: &mut Rng) -> Vec<f32> {
        let (size, recurrent_init) = (self.config.size(), self.config.recurrent_init());
        (0..self.config.gates())
            .flat_map(|_| init.sample_recurrent_weights(recurrent_init, size, rng))
            .collect()
    }

    /// Index and initial values of the bias, `[gates · size]`.
    pub(super) fn initial_bias(&self) -> (usize, Vec<f32>) {
        let size = self.config.size();
        let mut bias = vec![0.0; self.config.gates() * size];
        if let RecurrentConfig::Lstm(lstm) = self.config {
            bias[size..2 * size].fill(lstm.forget_bias as f32);
        }
        (self.first + 2, bias)
    }

    /// Updates the buffers in place.
    pub(super) fn update_buffers(&self, params: &[Tensor], buffers: &[Tensor]) {
        if let Some(spectral) = self.spectral {
            spectral.update_buffers(buffers, &params[self.first + 1]);
        }
    }

    /// Runs over `M` sequences with inputs `[L · M, in]`, step by step, from the hidden states
    /// `[M, state]`. `episode_starts` is `[L, M]`.
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
        // The contribution of the inputs, for all steps at once: [L, M, gates · size]
        let input_sums =
            bias.addmm(inputs, &params[self.first].tr())
                .view([-1, sequences, bias.size()[0]]);
        let recurrent = self.applied_recurrent(params, buffers).tr();
        let masks = episode_starts
            .map(|episode_starts| (episode_starts * -1.0 + 1.0).unsqueeze(2).unbind(0));
        let size = self.config.size() as i64;
        let mut state = hidden.shallow_clone();
        let mut hidden = Vec::new();
        for (step, input_sums) in input_sums.unbind(0).iter().enumerate() {
            if let Some(masks) = &masks {
                // Not in place: that would change the caller's tensor and break torch's graph.
                state = state.g_mul(&masks[step]);
            }
            state = self.step(params, input_sums, &state, &recurrent);
            hidden.push(match self.config {
                RecurrentConfig::Rnn(_) | RecurrentConfig::Gru(_) => state.shallow_clone(),
                RecurrentConfig::Lstm(_) => {
                    let output = state.narrow(1, 0, size);
                    // All later steps read this `output`, so its gradient is the full ∂L/∂h.
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

    /// The recurrent matrix `[gates · size, size]` as the cell applies it.
    fn applied_recurrent(&self, params: &[Tensor], buffers: &[Tensor]) -> Tensor {
        match self.spectral {
            Some(spectral) => spectral.forward(buffers, &params[self.first + 1]),
            None => params[self.first + 1].shallow_clone(),
        }
    }

    /// Adds one step of the cell to a graph, `[rows, in]` → `[rows, size]`. The hidden state is the
    /// input `h_in` and the output `h_out`, and the cell of an LSTM `c_in` and `c_out`, each
    /// `[1, rows, size]`.
    pub(super) fn export(
        &self,
        graph: &mut GraphBuilder,
        name: &str,
        (params, buffers): (&[Tensor], &[Tensor]),
        input: &ValueName,
    ) -> ValueName {
        let size = self.config.size() as i64;
        // The gates in ONNX's order.
        let (operator, order): (_, &[i64]) = match self.config {
            RecurrentConfig::Rnn(_) => ("RNN", &[0]),
            RecurrentConfig::Gru(_) => ("GRU", &[1, 0, 2]),
            RecurrentConfig::Lstm(_) => ("LSTM", &[0, 3, 1, 2]),
        };
        let ordered = |tensor: &Tensor| {
            let gates = order.iter().map(|gate| tensor.narrow(0, gate * size, size));
            Tensor::cat(&gates.collect::<Vec<_>>(), 0)
        };
        let bias = ordered(&params[self.first + 2]);
        let mut recurrent_bias = bias.zeros_like();
        if let RecurrentConfig::Gru(_) = self.config {
            let reset = &params[self.first + 3];
            recurrent_bias = Tensor::cat(&[&recurrent_bias.narrow(0, 0, 2 * size), reset], 0);
        }
        let tensors = [
            ("input.weight", ordered(&params[self.first])),
            (
                "recurrent.weight",
                ordered(&self.applied_recurrent(params, buffers)),
            ),
            ("bias", Tensor::cat(&[bias, recurrent_bias], 0)),
        ];
        // One direction.
        let [input_weight, recurrent, bias] = tensors
            .map(|(part, tensor)| graph.constant(&format!("{name}.{part}"), &tensor.unsqueeze(0)));
        let shape = [
            Dimension::Fixed(1),
            Dimension::Batch,
            Dimension::Fixed(size as usize),
        ];
        let doc = "hidden state; zeros when an episode begins";
        let hidden = graph.input("h_in", &shape, doc);
        let axis = graph.integers("memory.axis", &[0]);
        let sequence = graph.node("Unsqueeze", &[input, &axis], Vec::new());
        let mut settings = vec![Attribute::int("hidden_size", size)];
        match self.config {
            RecurrentConfig::Rnn(rnn) => settings.push(Attribute::strings(
                "activations",
                match rnn.activation {
                    RnnActivation::Tanh => "Tanh",
                    RnnActivation::Relu => "Relu",
                },
            )),
            RecurrentConfig::Gru(_) => settings.push(Attribute::int("linear_before_reset", 1)),
            RecurrentConfig::Lstm(_) => {}
        }
        let lengths = ValueName::none();
        let mut inputs = vec![
            &sequence,
            &input_weight,
            &recurrent,
            &bias,
            &lengths,
            &hidden,
        ];
        let after = if let RecurrentConfig::Lstm(_) = self.config {
            let cell = graph.input(
                "c_in",
                &shape,
                "cell of the LSTM; zeros when an episode begins",
            );
            inputs.push(&cell);
            let [_, after, cell] = graph.node_with_outputs(operator, &inputs, settings);
            graph.output(&cell, "c_out", &shape, "`c_in` of the next control step");
            after
        } else {
            let [_, after] = graph.node_with_outputs(operator, &inputs, settings);
            after
        };
        graph.output(&after, "h_out", &shape, "`h_in` of the next control step");
        graph.node("Squeeze", &[&after, &axis], Vec::new())
    }

    /// The hidden state after a step, `[M, state]`, given the contribution of the inputs,
    /// `[M, gates · size]`, and the hidden state before it.
    fn step(
        &self,
        params: &[Tensor],
        input_sums: &Tensor,
        state: &Tensor,
        recurrent: &Tensor,
    ) -> Tensor {
        let size = self.config.size() as i64;
        match self.config {
            RecurrentConfig::Rnn(rnn) => {
                let sum = input_sums.addmm(state, recurrent);
                match rnn.activation {
                    RnnActivation::Tanh => sum.tanh(),
                    RnnActivation::Relu => sum.relu(),
                }
            }
            RecurrentConfig::Gru(_) => {
                let state_sums = state.mm(recurrent);
                let gates = (input_sums.narrow(1, 0, 2 * size) + state_sums.narrow(1, 0, 2 * size))
                    .sigmoid();
                let (reset, update) = (gates.narrow(1, 0, size), gates.narrow(1, size, size));
                let candidate = state_sums.narrow(1, 2 * size, size) + &params[self.first + 3];
                let candidate = (input_sums.narrow(1, 2 * size, size) + reset * candidate).tanh();
                &candidate + update * (state - &candidate)
            }
            RecurrentConfig::Lstm(_) => {
                let gates = input_sums.addmm(&state.narrow(1, 0, size), recurrent);
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

    /// Outputs `[L, M, size]` and final hidden states `[M, state]` of torch's cells.
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
        let initial =
            |width: i64, start: i64| hidden.narrow(1, start, width).contiguous().unsqueeze(0);
        let (outputs, state) = match memory {
            RecurrentConfig::Rnn(rnn) if rnn.activation == RnnActivation::Relu => inputs.rnn_relu(
                &initial(size, 0),
                &weights,
                true,
                1,
                0.0,
                false,
                false,
                false,
            ),
            RecurrentConfig::Rnn(_) => inputs.rnn_tanh(
                &initial(size, 0),
                &weights,
                true,
                1,
                0.0,
                false,
                false,
                false,
            ),
            RecurrentConfig::Gru(_) => inputs.gru(
                &initial(size, 0),
                &weights,
                true,
                1,
                0.0,
                false,
                false,
                false,
            ),
            RecurrentConfig::Lstm(_) => {
                let from = [initial(size, 0), initial(size, size)];
                let weights = weights.map(Tensor::shallow_clone);
                let (outputs, h, c) =
                    inputs.lstm(&from, &weights, true, 1, 0.0, false, false, false);
                (outputs, Tensor::cat(&[h, c], 2))
            }
        };
        (outputs, state.squeeze_dim(0))
    }

    #[test]
    fn every_cell_matches_torchs() {
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
    fn the_hidden_state_is_reset_where_an_episode_starts() {
        for memory in kinds() {
            let (cell, params) = cell(memory);
            let inputs = noise(2, &[LENGTH, SEQUENCES, INPUTS]);
            let hidden = noise(3, &[SEQUENCES, cell.state_len() as i64]);
            let episode_starts = Tensor::zeros([LENGTH, SEQUENCES], (Kind::Float, Device::Cpu));
            let _ = episode_starts.get(2).get(1).fill_(1.0);
            let all = inputs.flatten(0, 1);
            let uncut = cell.unroll(&params, &[], &all, &hidden, None);
            let cut = cell.unroll(&params, &[], &all, &hidden, Some(&episode_starts));
            let late = inputs.narrow(0, 2, 3).flatten(0, 1);
            let fresh = cell.unroll(&params, &[], &late, &hidden.zeros_like(), None);
            assert!(
                apart(&cut.state.get(1), &fresh.state.get(1)) < 1e-6,
                "{memory:?}"
            );
            assert!(
                apart(&cut.state.get(0), &uncut.state.get(0)) < 1e-6,
                "{memory:?}"
            );
            assert!(
                apart(&cut.state.get(1), &uncut.state.get(1)) > 1e-3,
                "{memory:?}"
            );
        }
    }

    #[test]
    fn the_initial_forget_bias_of_an_lstm_is_set() {
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
    fn invalid_settings_are_refused() {
        let empty = RecurrentConfig::Gru(GruSpec {
            size: 0,
            ..GruSpec::default()
        });
        assert_eq!(empty.check().unwrap_err().path, "size");
        let with_nan = RecurrentConfig::Rnn(RnnSpec {
            recurrent_init: RecurrentInit::Orthogonal(RecurrentGainSpec { gain: f64::NAN }),
            ..RnnSpec::default()
        });
        assert_eq!(
            with_nan.check().unwrap_err().path,
            "recurrent_init.orthogonal.gain"
        );
        assert!(kinds().into_iter().all(|kind| kind.check().is_ok()));
    }
}
