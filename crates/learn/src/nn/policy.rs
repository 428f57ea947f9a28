//! A policy: an actor, its action distribution, and a critic. It holds shapes and settings only;
//! the weights are passed to each call.

use tch::{Kind, Tensor};

use crate::onnx::{GraphBuilder, ValueName};

use super::layer::LayerOptions;
use super::network::{Network, NetworkOptions, Trunk};
use super::norm::BufferLayout;
use super::policy_output::{BackwardContext, PolicyUnroll};
use super::{
    ActOutput, ActionDistribution, ActionHead, CriticHead, Gradient, Init, InputLayout, LayerKind,
    MlpConfig, NetworkPart, ParamLayout, ParamRole, PolicyConfig, PolicyLayer, PolicyOutput,
    TrunkSharing, UnitActivity, UnrollInput, Weights, entries,
};
use evenkeel_sim::seed::{Purpose, RootSeed, Split, stream};

/// A policy without its weights: networks and parameter layout.
#[derive(Clone, Debug)]
pub struct Policy {
    layout: ParamLayout,
    buffers: BufferLayout,
    actor: Network,
    critic: Network,
    shared: bool,
    /// Index of the parameters of the standard deviations; `None` where the actor outputs them.
    log_std: Option<usize>,
    head: ActionHead,
    critic_head: CriticHead,
    init: Init,
    obs_dim: usize,
    action_dim: usize,
}

impl Policy {
    /// Creates a policy for observations of this layout and actions of length `action_dim`.
    ///
    /// # Panics
    /// If the settings do not fit the observations: see [`PolicyConfig::check_inputs`].
    pub fn new(config: &PolicyConfig, inputs: impl Into<InputLayout>, action_dim: usize) -> Self {
        let inputs = inputs.into();
        let (mut layout, mut buffers) = (ParamLayout::default(), BufferLayout::default());
        let head = config.head;
        let options = NetworkOptions {
            lidar_conv: config.lidar_conv.as_ref(),
            layer: LayerOptions {
                activation: config.activation,
                norm: config.norm,
                spectral_norm: config.spectral_norm,
            },
            block: config.block,
            residual: config.residual,
            memory: config.memory,
        };
        let shared = config.trunk == TrunkSharing::Shared;
        let mut trunk =
            |layout: &mut ParamLayout, name: &str, part: NetworkPart, mlp: &MlpConfig| {
                Trunk::build(
                    layout,
                    &mut buffers,
                    name,
                    part,
                    &mlp.hidden,
                    &options,
                    &inputs,
                )
            };
        let actor_trunk = if shared {
            trunk(&mut layout, "trunk", NetworkPart::Trunk, &config.actor)
        } else {
            trunk(&mut layout, "actor", NetworkPart::Actor, &config.actor)
        };
        let actor = Network::build(
            &mut layout,
            "actor",
            NetworkPart::Actor,
            actor_trunk,
            head.outputs(action_dim) as i64,
        );
        let log_std = head.initial_std_parameter().map(|_| {
            layout.push(
                "actor.log_std".into(),
                NetworkPart::Actor,
                ParamRole::LogStd,
                &[action_dim as i64],
            )
        });
        let critic_trunk = if shared {
            actor.trunk.clone()
        } else {
            trunk(&mut layout, "critic", NetworkPart::Critic, &config.critic)
        };
        let critic = Network::build(
            &mut layout,
            "critic",
            NetworkPart::Critic,
            critic_trunk,
            config.critic_head.outputs() as i64,
        );
        layout.freeze(&config.freeze);
        Self {
            layout,
            buffers,
            actor,
            critic,
            shared,
            log_std,
            head,
            critic_head: config.critic_head,
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

    /// The kind of action distribution.
    pub fn head(&self) -> &ActionHead {
        &self.head
    }

    /// What the critic outputs.
    pub fn critic_head(&self) -> &CriticHead {
        &self.critic_head
    }

    /// Length of the hidden state of one environment, actor and critic together. 0 without a
    /// memory.
    pub fn state_len(&self) -> usize {
        let critic = if self.shared {
            0
        } else {
            self.critic.trunk.state_len()
        };
        self.actor.trunk.state_len() + critic
    }

    /// Initial weights, flat. Each parameter has its own random stream.
    pub fn initial_parameters(&self, seed: RootSeed) -> Vec<f32> {
        self.fresh_parameters(seed, 0)
    }

    /// Weights from the distribution of the initial ones, flat. Draw 0 are the initial weights
    /// themselves.
    pub fn fresh_parameters(&self, seed: RootSeed, draw: u64) -> Vec<f32> {
        let mut flat = vec![0.0; self.layout.len()];
        let rng = |index: usize| stream(seed, Split::Train, index as u64, draw, Purpose::Init);
        let mut write = |index: usize, values: &[f32]| {
            flat[self.layout.entries()[index].range.clone()].copy_from_slice(values);
        };
        let sample = |index: usize, layer: LayerKind| {
            let shape = &self.layout.entries()[index].shape;
            let (rows, cols) = (shape[0] as usize, shape[1] as usize);
            self.init.sample_weights(layer, rows, cols, &mut rng(index))
        };
        for (network, output) in [
            (&self.actor, LayerKind::ActorOutput),
            (&self.critic, LayerKind::CriticOutput),
        ] {
            for (index, layer) in network.trunk.weights() {
                write(index, &sample(index, layer));
            }
            for index in network.trunk.norm_gains() {
                write(index, &vec![1.0; self.layout.entries()[index].range.len()]);
            }
            if let Some(cell) = network.trunk.memory() {
                write(cell.input(), &sample(cell.input(), LayerKind::Hidden));
                let recurrent = cell.recurrent();
                let values = cell.initial_recurrent(&self.init, &mut rng(recurrent));
                write(recurrent, &values);
                let (bias, values) = cell.initial_bias();
                write(bias, &values);
            }
            write(network.output, &sample(network.output, output));
        }
        write(
            self.actor.output + 1,
            &self.head.initial_bias(self.action_dim),
        );
        if let (Some(index), Some(value)) = (self.log_std, self.head.initial_std_parameter()) {
            write(index, &vec![value; self.action_dim]);
        }
        flat
    }

    /// Initial buffers, flat: running statistics of normalisation layers and power-iteration
    /// vectors. Often empty.
    pub fn initial_buffers(&self) -> &[f32] {
        self.buffers.initial()
    }

    /// Views of flat parameters and flat buffers.
    pub fn weights(&self, parameters: &Tensor, buffers: &Tensor) -> Weights {
        Weights {
            flat: parameters.shallow_clone(),
            params: self.layout.views(parameters),
            buffers: self.buffers.views(buffers),
        }
    }

    /// Computes the next buffers, flat, from the current ones and a batch of observations `[rows,
    /// obs]`. `batches` is the number of batches that the current buffers were updated with. Buffers of
    /// a layer whose weight is frozen stay.
    pub fn update_buffers(
        &self,
        parameters: &Tensor,
        buffers: &Tensor,
        obs: &Tensor,
        batches: u64,
    ) -> Tensor {
        let updated = buffers.copy();
        let weights = self.weights(parameters, &updated);
        let (actor, layout) = (&self.actor.trunk, &self.layout);
        actor.update_buffers(&weights, obs, batches, layout);
        if !self.shared {
            let critic = &self.critic.trunk;
            critic.update_buffers(&weights, obs, batches, layout);
        }
        updated
    }

    /// Activity of the hidden units on observations `[rows, obs]`, and of the recurrent units in
    /// the hidden states `[rows, state]`.
    pub fn activity(
        &self,
        weights: &Weights,
        obs: &Tensor,
        state: Option<&Tensor>,
    ) -> Vec<UnitActivity> {
        let (actor, critic) = (&self.actor.trunk, &self.critic.trunk);
        let actor_len = actor.state_len() as i64;
        let actor_state = state.map(|state| state.narrow(1, 0, actor_len));
        let mut all = actor.activity(&self.layout, weights, obs, actor_state.as_ref());
        if !self.shared {
            let critic_len = critic.state_len() as i64;
            let critic_state = state.map(|state| state.narrow(1, actor_len, critic_len));
            all.extend(critic.activity(&self.layout, weights, obs, critic_state.as_ref()));
        }
        all
    }

    /// The layers of all networks, from input to output, without convolutions.
    pub fn layers(&self) -> Vec<PolicyLayer> {
        let outputs = [self.actor.output, self.critic.output];
        let trunks = if self.shared {
            vec![(&self.actor.trunk, outputs.to_vec())]
        } else {
            let networks = [&self.actor, &self.critic].into_iter();
            networks
                .map(|network| (&network.trunk, vec![network.output]))
                .collect()
        };
        let hidden = trunks
            .into_iter()
            .flat_map(|(trunk, outputs)| trunk.policy_layers(&self.layout, &outputs));
        let output = |weight: usize| PolicyLayer {
            parameters: vec![weight, weight + 1],
            readers: Vec::new(),
            from_output: 0,
        };
        hidden.chain(outputs.map(output)).collect()
    }

    /// Outputs of the actor, `[rows, outputs]`, for observations `[rows, obs]`. Only for a policy
    /// without memory.
    pub fn actor_outputs(&self, weights: &Weights, obs: &Tensor) -> Tensor {
        let features = self.actor.trunk.forward(weights, obs, |_, _, _| ());
        self.actor.output(weights, &features)
    }

    /// Adds the deterministic policy to a graph: actions `[rows, act]` in [-1, 1] for observations
    /// `[rows, obs]` as the networks read them. A memory becomes inputs and outputs of the graph.
    pub(crate) fn export(
        &self,
        graph: &mut GraphBuilder,
        weights: &Weights,
        obs: &ValueName,
    ) -> ValueName {
        let names = (if self.shared { "trunk" } else { "actor" }, "actor");
        let outputs = self
            .actor
            .export(graph, names, weights, obs, self.obs_dim as i64);
        self.head.export(graph, &outputs, self.action_dim as i64)
    }

    /// Values, `[rows]`, for observations `[rows, obs]`. Only for a policy without memory.
    pub fn value(&self, weights: &Weights, obs: &Tensor) -> Tensor {
        let features = self.critic.trunk.forward(weights, obs, |_, _, _| ());
        self.critic_head
            .values(&self.critic.output(weights, &features))
    }

    /// One control step of a policy with memory, for observations `[rows, obs]` and hidden states
    /// `[rows, state]`.
    pub fn act(&self, weights: &Weights, obs: &Tensor, hidden: Tensor) -> ActOutput {
        let unroll_input = UnrollInput {
            hidden,
            episode_starts: None,
        };
        let unroll = self.unroll(weights, obs, &unroll_input);
        ActOutput {
            actor: unroll.actor,
            value: self.critic_head.values(&unroll.critic),
            hidden: unroll.state,
        }
    }

    /// Parameters, flat, with which the critic gives `factor` · v + `offset` wherever it gives v
    /// with `parameters`. Its output layer is linear, so this is exact but for rounding. Only for a
    /// critic that outputs the value itself.
    pub fn with_rescaled_values(&self, parameters: &Tensor, factor: f64, offset: f64) -> Tensor {
        let rescaled = parameters.copy();
        let views = self.layout.views(&rescaled);
        let (weight, bias) = (&views[self.critic.output], &views[self.critic.output + 1]);
        tch::no_grad(|| {
            weight.shallow_clone().copy_(&(weight * factor));
            bias.shallow_clone().copy_(&(bias * factor + offset));
        });
        rescaled
    }

    /// Whether the critic's output layer is frozen, so that [`Self::with_rescaled_values`] must not
    /// change it.
    pub fn has_frozen_values(&self) -> bool {
        let output = &self.layout.entries()[self.critic.output..=self.critic.output + 1];
        output.iter().any(|entry| entry.frozen)
    }

    /// The action distribution, given the outputs of the actor.
    pub fn distribution(&self, weights: &Weights) -> ActionDistribution {
        let log_std = self.log_std.map(|index| entries(&weights.params[index]));
        let log_std = log_std.unwrap_or_default();
        self.head.distribution(&log_std, self.action_dim)
    }

    /// Outputs of actor and critic for observations `[rows, obs]`, with what [`Self::backward`] needs. With
    /// `unroll_input` the rows are `M` sequences of `L` steps, `[L · M, obs]`, step by step.
    ///
    /// # Panics
    /// If the hidden states in `unroll_input` are not as long as [`Self::state_len`]; a policy with
    /// memory needs them.
    pub fn forward(
        &self,
        weights: &Weights,
        obs: &Tensor,
        unroll_input: Option<&UnrollInput>,
    ) -> PolicyOutput {
        if !self.shared && self.actor.trunk.is_plain() && self.critic.trunk.is_plain() {
            let (outputs, actor) = self.actor.forward_with_tape(weights, obs);
            let (values, critic) = self.critic.forward_with_tape(weights, obs);
            return PolicyOutput {
                actor: entries(&outputs),
                critic: entries(&values),
                context: BackwardContext::Tapes { actor, critic },
            };
        }
        tch::with_grad(|| {
            let leaf = weights.flat.detach().set_requires_grad(true);
            let weights = Weights {
                params: self.layout.views(&leaf),
                flat: leaf,
                buffers: weights.buffers.iter().map(Tensor::shallow_clone).collect(),
            };
            let stateless = UnrollInput {
                hidden: Tensor::empty([obs.size()[0], 0], (Kind::Float, obs.device())),
                episode_starts: None,
            };
            let unroll_input = unroll_input.unwrap_or(&stateless);
            assert_eq!(
                unroll_input.hidden.size()[1],
                self.state_len() as i64,
                "the hidden states are those of another policy"
            );
            let unroll = self.unroll(&weights, obs, unroll_input);
            PolicyOutput {
                actor: entries(&unroll.actor),
                critic: entries(&unroll.critic),
                context: BackwardContext::Graph {
                    leaf: weights.flat,
                    unroll,
                },
            }
        })
    }

    /// Runs both networks over the sequences `[L · M, obs]`.
    fn unroll(&self, weights: &Weights, obs: &Tensor, unroll_input: &UnrollInput) -> PolicyUnroll {
        let actor_len = self.actor.trunk.state_len();
        let trunk = &self.actor.trunk;
        let actor = trunk.unroll(weights, obs, unroll_input, 0..actor_len);
        let outputs = self.actor.output(weights, &actor.outputs);
        if self.shared {
            return PolicyUnroll {
                actor: outputs,
                critic: self.critic.output(weights, &actor.outputs),
                state: actor.state,
                hidden: vec![actor.hidden],
            };
        }
        let critic =
            self.critic
                .trunk
                .unroll(weights, obs, unroll_input, actor_len..self.state_len());
        PolicyUnroll {
            actor: outputs,
            critic: self.critic.output(weights, &critic.outputs),
            state: Tensor::cat(&[actor.state, critic.state], 1),
            hidden: vec![actor.hidden, critic.hidden],
        }
    }

    /// The gradient with respect to every parameter, flat, given the gradients with respect to the
    /// outputs of actor and critic, each `[rows, outputs]`, and to the parameters of the standard
    /// deviations, `[act]` or empty.
    pub fn backward(
        &self,
        weights: &Weights,
        outputs: &PolicyOutput,
        by_actor: &[f32],
        by_critic: &[f32],
        log_std: &[f32],
    ) -> Gradient {
        let device = weights.device();
        let on_device = |numbers: &[f32], columns: usize| {
            Tensor::from_slice(numbers)
                .view([-1, columns as i64])
                .to_device(device)
        };
        let by_actor = on_device(by_actor, self.head.outputs(self.action_dim));
        let by_critic = on_device(by_critic, self.critic_head.outputs());
        let (flat, hidden_grad_squares) = match &outputs.context {
            BackwardContext::Tapes { actor, critic } => {
                let flat = Tensor::empty([self.layout.len() as i64], (Kind::Float, device));
                let gradients = self.layout.views(&flat);
                self.actor
                    .backward(&weights.params, actor, by_actor, &gradients);
                self.critic
                    .backward(&weights.params, critic, by_critic, &gradients);
                (flat, Vec::new())
            }
            BackwardContext::Graph { leaf, unroll } => unroll.backward(leaf, &by_actor, &by_critic),
        };
        if let Some(index) = self.log_std {
            let first = self.layout.entries()[index].range.start as i64;
            let mut log_std_gradient = flat.narrow(0, first, log_std.len() as i64);
            log_std_gradient.copy_(&Tensor::from_slice(log_std));
        }
        self.layout.zero_frozen(&flat);
        Gradient {
            flat,
            hidden_grad_squares,
        }
    }
}

#[cfg(test)]
mod tests;
