//! A policy: an actor, its action distribution, and a critic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::network::{Network, NetworkOptions, Tape, Trunk};
use super::norm::BufferLayout;
use super::{
    ActionHead, Activation, DiagonalGaussian, GaussianSpec, Init, InputLayout, LayerKind,
    LidarConv, MlpConfig, NetworkPart, NormLayer, ParamLayout, ParamRole, RecurrentConfig,
    UnitActivity, UnrollInput, dot, entries,
};
use evenkeel_sim::config::InvalidSetting;
use evenkeel_sim::seed::{Purpose, RootSeed, Split, stream};

/// What a policy looks like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// What the lidar's scan goes through in front of the hidden layers, which read its features
    /// in the scan's stead; absent: nothing. Only for a lidar that sees all around.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lidar_conv: Option<LidarConv>,
    /// The network that chooses actions.
    pub actor: MlpConfig,
    /// The network that estimates values.
    pub critic: MlpConfig,
    /// Whether the two have anything in common.
    pub trunk: TrunkSharing,
    /// What stands between two linear layers.
    pub activation: Activation,
    /// What a hidden layer's output goes through before its activation.
    pub norm: NormLayer,
    /// Whether a hidden layer as wide as what comes in adds its input to its output (He et al.
    /// 2016, <https://arxiv.org/abs/1512.03385>).
    pub residual: bool,
    /// Whether the weights of hidden layers, and recurrent ones, are divided by their largest
    /// singular value (Miyato et al. 2018, <https://arxiv.org/abs/1802.05957>).
    pub spectral_norm: bool,
    /// What is remembered from step to step, between the hidden layers and the output; absent:
    /// nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<RecurrentConfig>,
    /// The distribution that actions are drawn from.
    pub head: ActionHead,
    /// How initial weights are drawn.
    pub init: Init,
}

impl PolicyConfig {
    /// Refuses settings that cannot work.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if let Some(conv) = &self.lidar_conv {
            conv.check().map_err(|bad| bad.under_path("lidar_conv"))?;
        }
        if let Some(memory) = self.memory {
            let place = format!("memory.{}", memory.name());
            memory.check().map_err(|bad| bad.under_path(&place))?;
        }
        for (name, network) in [("actor", &self.actor), ("critic", &self.critic)] {
            for (layer, &width) in network.hidden.iter().enumerate() {
                let holds = (1..=65_536).contains(&width);
                let path = format!("{name}.hidden.{layer}");
                InvalidSetting::ensure(holds, path, width, "a whole number from 1 to 65536")?;
            }
        }
        self.init.check().map_err(|bad| bad.under_path("init"))?;
        let ActionHead::Gaussian(head) = self.head;
        let (path, log_std) = ("head.gaussian.log_std_init", head.log_std_init);
        InvalidSetting::ensure(
            (-10.0..=5.0).contains(&log_std),
            path,
            log_std,
            "from -10 to 5",
        )
    }

    /// Refuses settings that cannot work, by themselves or with these observations.
    pub fn check_inputs(&self, inputs: &InputLayout) -> Result<(), InvalidSetting> {
        self.check()?;
        let Some(conv) = &self.lidar_conv else {
            return Ok(());
        };
        let Some(block) = &inputs.lidar else {
            return InvalidSetting::ensure(
                false,
                "lidar_conv",
                "set",
                "left out where observations have no block `lidar`",
            );
        };
        let checked = conv.check_beams(block.len());
        checked.map_err(|bad| bad.under_path("lidar_conv"))
    }
}

/// Whether actor and critic have anything in common.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrunkSharing {
    /// Nothing.
    #[default]
    Separate,
    /// All but the output: hidden layers as `actor` says, and the memory. `critic` is not read.
    Shared,
}

/// A policy's shape: networks and parameter layout. Its weights are passed to each call.
#[derive(Clone, Debug)]
pub struct Policy {
    layout: ParamLayout,
    buffers: BufferLayout,
    actor: Network,
    critic: Network,
    shared: bool,
    log_std: usize,
    gaussian: GaussianSpec,
    init: Init,
    obs_dim: usize,
    action_dim: usize,
}

/// All numbers of a policy, as views of two flat tensors.
#[derive(Debug)]
pub struct Weights {
    pub(super) flat: Tensor,
    /// Each parameter in its shape.
    pub(super) params: Vec<Tensor>,
    /// Each statistic.
    pub(super) buffers: Vec<Tensor>,
}

impl Weights {
    /// Each parameter in its shape, in the order of the layout.
    pub fn parameters(&self) -> &[Tensor] {
        &self.params
    }

    /// Where they are computed with.
    pub fn device(&self) -> Device {
        self.flat.device()
    }
}

impl Policy {
    /// A policy for such observations, and actions of this length.
    ///
    /// # Panics
    /// If the settings are not for such observations: see [`PolicyConfig::check_inputs`].
    pub fn new(config: &PolicyConfig, inputs: impl Into<InputLayout>, action_dim: usize) -> Self {
        let inputs = inputs.into();
        let (mut layout, mut buffers) = (ParamLayout::default(), BufferLayout::default());
        let ActionHead::Gaussian(gaussian) = config.head;
        let options = NetworkOptions {
            lidar_conv: config.lidar_conv.as_ref(),
            activation: config.activation,
            norm: config.norm,
            residual: config.residual,
            spectral_norm: config.spectral_norm,
            memory: config.memory,
        };
        let shared = config.trunk == TrunkSharing::Shared;
        let mut trunk =
            |layout: &mut ParamLayout, name: &str, part: NetworkPart, shape: &MlpConfig| {
                Trunk::build(
                    layout,
                    &mut buffers,
                    name,
                    part,
                    &shape.hidden,
                    &options,
                    &inputs,
                )
            };
        let actions = action_dim as i64;
        let of_actor = if shared {
            trunk(&mut layout, "trunk", NetworkPart::Trunk, &config.actor)
        } else {
            trunk(&mut layout, "actor", NetworkPart::Actor, &config.actor)
        };
        let actor = Network::build(&mut layout, "actor", NetworkPart::Actor, of_actor, actions);
        let log_std = layout.push(
            "actor.log_std".into(),
            NetworkPart::Actor,
            ParamRole::LogStd,
            &[actions],
        );
        let of_critic = if shared {
            actor.trunk.clone()
        } else {
            trunk(&mut layout, "critic", NetworkPart::Critic, &config.critic)
        };
        let critic = Network::build(&mut layout, "critic", NetworkPart::Critic, of_critic, 1);
        Self {
            layout,
            buffers,
            actor,
            critic,
            shared,
            log_std,
            gaussian,
            init: config.init,
            obs_dim: inputs.len,
            action_dim,
        }
    }

    /// Where each parameter lies in the flat tensor.
    pub fn layout(&self) -> &ParamLayout {
        &self.layout
    }

    /// Length of an observation.
    pub fn obs_dim(&self) -> usize {
        self.obs_dim
    }

    /// Length of an action.
    pub fn action_dim(&self) -> usize {
        self.action_dim
    }

    /// The Gaussian head.
    pub fn gaussian(&self) -> &GaussianSpec {
        &self.gaussian
    }

    /// Numbers that the policy remembers of each environment; 0 without a memory.
    pub fn state_len(&self) -> usize {
        let critics = if self.shared {
            0
        } else {
            self.critic.trunk.state_len()
        };
        self.actor.trunk.state_len() + critics
    }

    /// Initial weights, flat, one stream for each parameter.
    pub fn initial_parameters(&self, seed: RootSeed) -> Vec<f32> {
        let mut flat = vec![0.0; self.layout.len()];
        let rng = |index: usize| stream(seed, Split::Train, index as u64, 0, Purpose::Init);
        let mut write = |index: usize, values: &[f32]| {
            flat[self.layout.entries()[index].range.clone()].copy_from_slice(values);
        };
        let drawn = |index: usize, layer: LayerKind| {
            let shape = &self.layout.entries()[index].shape;
            let (rows, cols) = (shape[0] as usize, shape[1] as usize);
            self.init.sample_weights(layer, rows, cols, &mut rng(index))
        };
        for (network, output) in [
            (&self.actor, LayerKind::ActorOutput),
            (&self.critic, LayerKind::CriticOutput),
        ] {
            for (index, layer) in network.trunk.weights() {
                write(index, &drawn(index, layer));
            }
            for index in network.trunk.norm_gains() {
                write(index, &vec![1.0; self.layout.entries()[index].range.len()]);
            }
            if let Some(cell) = network.trunk.memory() {
                write(cell.input(), &drawn(cell.input(), LayerKind::Hidden));
                let recurrent = cell.recurrent();
                let values = cell.initial_recurrent(&self.init, &mut rng(recurrent));
                write(recurrent, &values);
                let (bias, values) = cell.initial_bias();
                write(bias, &values);
            }
            write(network.output, &drawn(network.output, output));
        }
        let actions = self.action_dim;
        write(
            self.log_std,
            &vec![self.gaussian.log_std_init as f32; actions],
        );
        flat
    }

    /// What the policy carries besides its parameters, before anything was learnt; often nothing.
    pub fn initial_buffers(&self) -> &[f32] {
        self.buffers.initial()
    }

    /// Views of flat parameters and statistics.
    pub fn weights(&self, parameters: &Tensor, buffers: &Tensor) -> Weights {
        Weights {
            flat: parameters.shallow_clone(),
            params: self.layout.views(parameters),
            buffers: self.buffers.views(buffers),
        }
    }

    /// The statistics, flat, that follow from those that are and a batch of observations
    /// `[rows, obs]`, of which `before` were seen before.
    pub fn update_buffers(
        &self,
        parameters: &Tensor,
        buffers: &Tensor,
        obs: &Tensor,
        before: u64,
    ) -> Tensor {
        let updated = buffers.copy();
        let weights = self.weights(parameters, &updated);
        self.actor.trunk.update_buffers(&weights, obs, before);
        if !self.shared {
            self.critic.trunk.update_buffers(&weights, obs, before);
        }
        updated
    }

    /// What the units do on observations `[rows, obs]`, and those of memories on what was
    /// remembered, `[rows, state]`.
    pub fn activity(
        &self,
        weights: &Weights,
        obs: &Tensor,
        state: Option<&Tensor>,
    ) -> Vec<UnitActivity> {
        let mine = self.actor.trunk.state_len() as i64;
        let of_actor = state.map(|state| state.narrow(1, 0, mine));
        let actor = &self.actor.trunk;
        let mut all = actor.activity(&self.layout, weights, obs, of_actor.as_ref());
        if !self.shared {
            let others = self.critic.trunk.state_len() as i64;
            let of_critic = state.map(|state| state.narrow(1, mine, others));
            let critic = &self.critic.trunk;
            all.extend(critic.activity(&self.layout, weights, obs, of_critic.as_ref()));
        }
        all
    }

    /// Mean action before squashing, `[rows, act]`, of a policy without memory, for observations
    /// `[rows, obs]`.
    pub fn mean(&self, weights: &Weights, obs: &Tensor) -> Tensor {
        self.actor.forward(weights, obs)
    }

    /// Value, `[rows]`, by a policy without memory, for observations `[rows, obs]`.
    pub fn value(&self, weights: &Weights, obs: &Tensor) -> Tensor {
        self.critic.forward(weights, obs).squeeze_dim(1)
    }

    /// One control step of a policy with memory, for observations `[rows, obs]` and what is
    /// remembered, `[rows, state]`.
    pub fn act(&self, weights: &Weights, obs: &Tensor, hidden: Tensor) -> ActOutput {
        let unroll_input = UnrollInput {
            hidden,
            episode_starts: None,
        };
        let run = self.unroll(weights, obs, &unroll_input);
        ActOutput {
            mean: run.mean,
            value: run.value,
            hidden: run.state,
        }
    }

    /// The distribution of draws around a mean.
    pub fn distribution(&self, weights: &Weights) -> DiagonalGaussian {
        DiagonalGaussian::new(&entries(&weights.params[self.log_std]))
    }

    /// Means and values for observations `[rows, obs]`, with what the backward pass needs. With
    /// `unroll_input` the rows are those of sequences, `[L · M, obs]`, one step after the other.
    ///
    /// # Panics
    /// If the policy has a memory and there is nothing to recall.
    pub fn forward(
        &self,
        weights: &Weights,
        obs: &Tensor,
        unroll_input: Option<&UnrollInput>,
    ) -> PolicyOutput {
        if !self.shared && self.actor.is_plain() && self.critic.is_plain() {
            let (mean, actor) = self.actor.forward_with_tape(weights, obs);
            let (value, critic) = self.critic.forward_with_tape(weights, obs);
            return PolicyOutput {
                mean: entries(&mean),
                value: entries(&value),
                pass: BackwardContext::Tapes { actor, critic },
            };
        }
        tch::with_grad(|| {
            let leaf = weights.flat.detach().set_requires_grad(true);
            let weights = Weights {
                params: self.layout.views(&leaf),
                flat: leaf,
                buffers: weights.buffers.iter().map(Tensor::shallow_clone).collect(),
            };
            let nothing = UnrollInput {
                hidden: Tensor::empty([obs.size()[0], 0], (Kind::Float, obs.device())),
                episode_starts: None,
            };
            let unroll_input = unroll_input.unwrap_or(&nothing);
            assert_eq!(
                unroll_input.hidden.size()[1],
                self.state_len() as i64,
                "what is recalled is another policy's"
            );
            let run = self.unroll(&weights, obs, unroll_input);
            PolicyOutput {
                mean: entries(&run.mean),
                value: entries(&run.value),
                pass: BackwardContext::Graph {
                    leaf: weights.flat,
                    run,
                },
            }
        })
    }

    /// Both networks over sequences.
    fn unroll(&self, weights: &Weights, obs: &Tensor, unroll_input: &UnrollInput) -> PolicyUnroll {
        let mine = self.actor.trunk.state_len();
        let actor = self.actor.trunk.unroll(weights, obs, unroll_input, 0..mine);
        let mean = self.actor.output(weights, &actor.outputs);
        let value = |features: &Tensor| self.critic.output(weights, features).squeeze_dim(1);
        if self.shared {
            return PolicyUnroll {
                mean,
                value: value(&actor.outputs),
                state: actor.state,
                hidden: vec![actor.hidden],
            };
        }
        let critic = self
            .critic
            .trunk
            .unroll(weights, obs, unroll_input, mine..self.state_len());
        PolicyUnroll {
            mean,
            value: value(&critic.outputs),
            state: Tensor::cat(&[actor.state, critic.state], 1),
            hidden: vec![actor.hidden, critic.hidden],
        }
    }

    /// The gradient of every parameter, flat, given those of means `[rows, act]`, values `[rows]`
    /// and ln σ `[act]`.
    pub fn backward(
        &self,
        weights: &Weights,
        outputs: &PolicyOutput,
        mean: &[f32],
        value: &[f32],
        log_std: &[f32],
    ) -> Gradient {
        let device = weights.device();
        let on_device = |numbers: &[f32], columns: usize| {
            Tensor::from_slice(numbers)
                .view([-1, columns as i64])
                .to_device(device)
        };
        let (mean, value) = (on_device(mean, self.action_dim), on_device(value, 1));
        let (flat, hidden_grad_squares) = match &outputs.pass {
            BackwardContext::Tapes { actor, critic } => {
                let flat = Tensor::empty([self.layout.len() as i64], (Kind::Float, device));
                let gradients = self.layout.views(&flat);
                self.actor
                    .backward(&weights.params, actor, mean, &gradients);
                self.critic
                    .backward(&weights.params, critic, value, &gradients);
                (flat, Vec::new())
            }
            BackwardContext::Graph { leaf, run } => {
                run.backward(leaf, &mean, &value.squeeze_dim(1))
            }
        };
        let mut log_std_gradient = self.layout.views(&flat)[self.log_std].shallow_clone();
        log_std_gradient.copy_(&Tensor::from_slice(log_std));
        Gradient {
            flat,
            hidden_grad_squares,
        }
    }
}

/// What a policy with memory does in one control step.
#[derive(Debug)]
pub struct ActOutput {
    /// `[rows, act]`: mean actions before squashing.
    pub mean: Tensor,
    /// `[rows]`.
    pub value: Tensor,
    /// `[rows, state]`: what is remembered from here on.
    pub hidden: Tensor,
}

/// What a policy makes of some observations.
#[derive(Debug)]
pub struct PolicyOutput {
    /// `[rows, act]`: mean actions before squashing.
    pub mean: Vec<f32>,
    /// `[rows]`.
    pub value: Vec<f32>,
    pass: BackwardContext,
}

impl PolicyOutput {
    /// Lets go of what the gradient through time is measured by: the backward pass gives none.
    pub fn discard_hidden_states(&mut self) {
        if let BackwardContext::Graph { run, .. } = &mut self.pass {
            run.hidden.clear();
        }
    }
}

/// What the backward pass needs of the forward pass.
#[derive(Debug)]
enum BackwardContext {
    /// Plain networks, whose gradient is written out.
    Tapes { actor: Tape, critic: Tape },
    /// Everything else: torch's graph, from a leaf that holds the parameters.
    Graph { leaf: Tensor, run: PolicyUnroll },
}

/// Both networks run over sequences.
#[derive(Debug)]
struct PolicyUnroll {
    /// `[rows, act]`.
    mean: Tensor,
    /// `[rows]`.
    value: Tensor,
    /// `[M, state]`.
    state: Tensor,
    /// For each trunk, h after each step; empty without a memory.
    hidden: Vec<Vec<Tensor>>,
}

impl PolicyUnroll {
    /// The gradient of the leaf and the squares of those by h, given those of means and values.
    fn backward(&self, leaf: &Tensor, mean: &Tensor, value: &Tensor) -> (Tensor, Vec<f64>) {
        let sum = tch::with_grad(|| {
            (&self.mean * mean).sum(Kind::Float) + (&self.value * value).sum(Kind::Float)
        });
        let mut inputs = vec![leaf];
        inputs.extend(self.hidden.iter().flatten());
        let mut gradients = Tensor::run_backward(&[sum], &inputs, false, false).into_iter();
        let flat = gradients.next().expect("the leaf has a gradient");
        let by_hidden: Vec<Tensor> = gradients.collect();
        (flat, self.squares_through_time(by_hidden))
    }
}

impl PolicyUnroll {
    /// ‖∂L/∂h‖² after each step, given the gradient by each of [`Self::hidden`], one trunk after
    /// the other.
    ///
    /// One small buffer goes over them all: to put them together first is memory that the system
    /// has to find anew at every optimiser step, which takes a fifth of the backward pass's time.
    /// From another device they come in one piece all the same.
    fn squares_through_time(&self, by_hidden: Vec<Tensor>) -> Vec<f64> {
        let Some(first) = by_hidden.first() else {
            return Vec::new();
        };
        let mut buffer = vec![0.0_f32; first.numel()];
        let by_hidden = if first.device() == Device::Cpu {
            by_hidden
        } else {
            let rows = first.size()[0];
            let all = Tensor::cat(&by_hidden, 0).to_device(Device::Cpu);
            all.split(rows, 0)
        };
        let mut squares = vec![0.0; self.hidden[0].len()];
        for of_trunk in by_hidden.chunks_exact(squares.len()) {
            for (square, gradient) in squares.iter_mut().zip(of_trunk) {
                let length = buffer.len();
                gradient.copy_data(&mut buffer, length);
                *square += dot(&buffer, &buffer);
            }
        }
        squares
    }
}

/// A gradient.
#[derive(Debug)]
pub struct Gradient {
    /// By every parameter, flat.
    pub flat: Tensor,
    /// ‖∂L/∂h‖² after each step of the sequences, over all units and sequences, actor's and critic's
    /// together; empty without a memory.
    pub hidden_grad_squares: Vec<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn initial_weights_depend_on_the_seed_alone() {
        let policy = Policy::new(&PolicyConfig::default(), 7, 2);
        let first = policy.initial_parameters(4);
        assert_eq!(first, policy.initial_parameters(4));
        assert_ne!(first, policy.initial_parameters(5));
        assert_eq!(
            first.len(),
            7 * 64 + 64 + 64 * 64 + 64 + 2 * 64 + 2 + 2 + 7 * 64 + 64 + 64 * 64 + 64 + 64 + 1
        );
    }

    #[test]
    fn initial_weights_are_those_of_published_runs() {
        // Frozen, FNV-1a over their bits: what a seed is reported with must be had again from it.
        let policy = Policy::new(&PolicyConfig::default(), 7, 2);
        let weights = policy.initial_parameters(4);
        let hash = weights
            .iter()
            .flat_map(|weight| weight.to_le_bytes())
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
            });
        assert_eq!(
            (hash, weights[0].to_bits()),
            (0x6cb4_0f1b_e0ff_1a24, 0xbe33_5ae4)
        );
    }

    #[test]
    fn any_depth_and_width_gives_the_right_shapes() {
        for (actor, critic) in [
            (vec![], vec![3]),
            (vec![5, 4, 3], vec![]),
            (vec![1], vec![9, 9]),
        ] {
            let config = PolicyConfig {
                actor: MlpConfig { hidden: actor },
                critic: MlpConfig { hidden: critic },
                activation: Activation::Relu,
                ..PolicyConfig::default()
            };
            let policy = Policy::new(&config, 6, 3);
            let parameters = Tensor::from_slice(&policy.initial_parameters(1));
            let params = policy.weights(&parameters, &Tensor::from_slice::<f32>(&[]));
            let obs = Tensor::ones([4, 6], tch::kind::FLOAT_CPU);
            assert_eq!(policy.mean(&params, &obs).size(), [4, 3]);
            assert_eq!(policy.value(&params, &obs).size(), [4]);
            assert_eq!(policy.distribution(&params).dim(), 3);
        }
    }
}
