//! A policy: an actor, its action distribution, and a critic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use super::{
    Activation, DiagonalGaussian, GaussianSpec, Head, Init, Layer, Mlp, MlpConfig, ParamLayout,
    Part, Tape,
};
use crate::seed::{Purpose, Root, Split, stream};

/// What a policy looks like.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// The network that chooses actions.
    pub actor: MlpConfig,
    /// The network that estimates values.
    pub critic: MlpConfig,
    /// What stands between two linear layers.
    pub activation: Activation,
    /// The distribution that actions are drawn from.
    pub head: Head,
    /// How initial weights are drawn.
    pub init: Init,
}

/// A policy's shape: networks and parameter layout. Its weights are a flat tensor, passed to
/// each call as the views that [`ParamLayout::views`] gives.
#[derive(Clone, Debug)]
pub struct Policy {
    layout: ParamLayout,
    actor: Mlp,
    critic: Mlp,
    log_std: usize,
    gaussian: GaussianSpec,
    init: Init,
    obs_dim: usize,
    action_dim: usize,
}

impl Policy {
    /// A policy for observations and actions of these lengths.
    pub fn new(config: &PolicyConfig, obs_dim: usize, action_dim: usize) -> Self {
        let mut layout = ParamLayout::default();
        let Head::Gaussian(gaussian) = config.head;
        let activation = config.activation;
        let actor = Mlp::new(
            &mut layout,
            "actor",
            Part::Actor,
            &config.actor,
            activation,
            obs_dim,
            action_dim,
        );
        let log_std = layout.push("actor.log_std".into(), Part::Actor, &[action_dim as i64]);
        let critic = Mlp::new(
            &mut layout,
            "critic",
            Part::Critic,
            &config.critic,
            activation,
            obs_dim,
            1,
        );
        Self {
            layout,
            actor,
            critic,
            log_std,
            gaussian,
            init: config.init,
            obs_dim,
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

    /// Initial weights, flat, one stream for each parameter.
    pub fn initial_parameters(&self, seed: Root) -> Vec<f32> {
        let mut flat = vec![0.0; self.layout.len()];
        for (mlp, output) in [
            (&self.actor, Layer::ActorOutput),
            (&self.critic, Layer::CriticOutput),
        ] {
            for (layer, &index) in mlp.weights().iter().enumerate() {
                let last = layer + 1 == mlp.weights().len();
                let layer = if last { output } else { Layer::Hidden };
                let entry = &self.layout.entries()[index];
                let (rows, cols) = (entry.shape[0] as usize, entry.shape[1] as usize);
                let mut rng = stream(seed, Split::Train, index as u64, 0, Purpose::Init);
                let weights = self.init.fill(layer, rows, cols, &mut rng);
                flat[entry.range.clone()].copy_from_slice(&weights);
            }
        }
        let log_std = &self.layout.entries()[self.log_std];
        flat[log_std.range.clone()].fill(self.gaussian.log_std_init as f32);
        flat
    }

    /// Mean action before squashing, `[rows, act]`, for observations `[rows, obs]`.
    pub fn mean(&self, params: &[Tensor], obs: &Tensor) -> Tensor {
        self.actor.forward(params, obs)
    }

    /// Value, `[rows]`, for observations `[rows, obs]`.
    pub fn value(&self, params: &[Tensor], obs: &Tensor) -> Tensor {
        self.critic.forward(params, obs).squeeze_dim(1)
    }

    /// The distribution of draws around a mean.
    pub fn distribution(&self, params: &[Tensor]) -> DiagonalGaussian {
        DiagonalGaussian::new(&read(&params[self.log_std]))
    }

    /// Means and values for observations `[rows, obs]`, with what the backward pass needs.
    pub fn evaluate(&self, params: &[Tensor], obs: &Tensor) -> Outputs {
        let (mean, actor) = self.actor.record(params, obs);
        let (value, critic) = self.critic.record(params, obs);
        Outputs {
            mean: read(&mean),
            value: read(&value),
            actor,
            critic,
        }
    }

    /// The gradient of every parameter, flat, given those of means `[rows, act]`, values `[rows]`
    /// and ln σ `[act]`.
    pub fn backward(
        &self,
        params: &[Tensor],
        outputs: &Outputs,
        mean: &[f32],
        value: &[f32],
        log_std: &[f32],
    ) -> Tensor {
        let device = params[self.log_std].device();
        let on_device = |numbers: &[f32], columns: usize| {
            Tensor::from_slice(numbers)
                .view([-1, columns as i64])
                .to_device(device)
        };
        let flat = Tensor::empty([self.layout.len() as i64], (Kind::Float, device));
        let gradients = self.layout.views(&flat);
        let mean = on_device(mean, self.action_dim);
        self.actor
            .backward(params, &outputs.actor, mean, &gradients);
        self.critic
            .backward(params, &outputs.critic, on_device(value, 1), &gradients);
        let mut log_std_gradient = gradients[self.log_std].shallow_clone();
        log_std_gradient.copy_(&Tensor::from_slice(log_std));
        flat
    }
}

/// What a policy makes of some observations.
#[derive(Debug)]
pub struct Outputs {
    /// `[rows, act]`: mean actions before squashing.
    pub mean: Vec<f32>,
    /// `[rows]`.
    pub value: Vec<f32>,
    actor: Tape,
    critic: Tape,
}

/// The entries of a tensor, in order.
fn read(tensor: &Tensor) -> Vec<f32> {
    let mut entries = vec![0.0; tensor.numel()];
    tensor
        .to_device(Device::Cpu)
        .contiguous()
        .copy_data(&mut entries, tensor.numel());
    entries
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
            let params = policy
                .layout()
                .views(&Tensor::from_slice(&policy.initial_parameters(1)));
            let obs = Tensor::ones([4, 6], tch::kind::FLOAT_CPU);
            assert_eq!(policy.mean(&params, &obs).size(), [4, 3]);
            assert_eq!(policy.value(&params, &obs).size(), [4]);
            assert_eq!(policy.distribution(&params).dim(), 3);
        }
    }
}
