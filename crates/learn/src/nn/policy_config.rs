//! The settings of a policy, `[policy]` in a configuration, and their checks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::covers;
use super::{
    ActionHead, Activation, CriticHead, HiddenBlock, Init, InputLayout, LidarConv, MlpConfig,
    NormLayer, Policy, RecurrentConfig,
};
use evenkeel_sim::config::InvalidSetting;

/// Settings of a policy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyConfig {
    /// Convolutions over the lidar scan. Their features replace the scan in the input of the hidden
    /// layers. Absent: no convolutions. Requires a lidar with a field of view of 360°.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lidar_conv: Option<LidarConv>,
    /// The network that chooses actions.
    pub actor: MlpConfig,
    /// The network that estimates values.
    pub critic: MlpConfig,
    /// Whether actor and critic share parameters.
    pub trunk: TrunkSharing,
    /// What the hidden layers are.
    pub block: HiddenBlock,
    /// Activation function of the hidden layers.
    pub activation: Activation,
    /// Normalisation of each hidden layer, before its activation.
    pub norm: NormLayer,
    /// Whether a hidden layer adds its input to its output, where both have the same width (He et
    /// al. 2016, <https://arxiv.org/abs/1512.03385>).
    pub residual: bool,
    /// Whether the weights of hidden layers and the recurrent weights are divided by their largest
    /// singular value (spectral normalisation, Miyato et al. 2018,
    /// <https://arxiv.org/abs/1802.05957>).
    pub spectral_norm: bool,
    /// Recurrent layer between the hidden layers and the output. Absent: the policy has no memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<RecurrentConfig>,
    /// Distribution that actions are sampled from.
    pub head: ActionHead,
    /// What the critic outputs.
    pub critic_head: CriticHead,
    /// Initialisation of the weights.
    pub init: Init,
    /// Parameters that training leaves as they are, bit for bit: names such as `actor.0.weight`, or
    /// their beginnings, such as `actor.0` or `critic`. Their gradient counts as 0: it is in no norm
    /// and moves no moment of the optimiser, and no decay, constraint or reset changes them.
    pub freeze: Vec<String>,
}

impl PolicyConfig {
    /// Checks each setting by itself.
    ///
    /// # Errors
    /// The first setting that is invalid.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        if let Some(conv) = &self.lidar_conv {
            conv.check().map_err(|bad| bad.under_path("lidar_conv"))?;
        }
        if let Some(memory) = self.memory {
            let path = format!("memory.{}", memory.name());
            memory.check().map_err(|bad| bad.under_path(&path))?;
        }
        for (name, network) in [("actor", &self.actor), ("critic", &self.critic)] {
            for (layer, &width) in network.hidden.iter().enumerate() {
                let holds = (1..=65_536).contains(&width);
                let path = format!("{name}.hidden.{layer}");
                InvalidSetting::ensure(holds, path, width, "a whole number from 1 to 65536")?;
            }
        }
        self.check_block()?;
        self.init.check().map_err(|bad| bad.under_path("init"))?;
        self.head.check().map_err(|bad| bad.under_path("head"))?;
        let checked = self.critic_head.check();
        checked.map_err(|bad| bad.under_path("critic_head"))
    }

    /// Checks that the other settings of the hidden layers fit the kind of block.
    fn check_block(&self) -> Result<(), InvalidSetting> {
        if self.block == HiddenBlock::Layer {
            let one = !(self.spectral_norm && self.norm == NormLayer::Sphere);
            let expected =
                "false where `policy.norm` is \"sphere\", which sets the length of each row";
            return InvalidSetting::ensure(one, "spectral_norm", "true", expected);
        }
        for (name, network) in [("actor", &self.actor), ("critic", &self.critic)] {
            let hidden = &network.hidden;
            let equal = hidden
                .first()
                .is_some_and(|first| hidden.iter().all(|width| width == first));
            let expected = "a list of equal widths, one for each block";
            let path = format!("{name}.hidden");
            InvalidSetting::ensure(equal, path, format!("{hidden:?}"), expected)?;
        }
        for (holds, path, value, expected) in [
            (self.norm == NormLayer::Off, "norm", "set", "\"off\""),
            (!self.residual, "residual", "true", "false"),
            (!self.spectral_norm, "spectral_norm", "true", "false"),
        ] {
            let expected = format!("{expected} where `policy.block` is not \"layer\"");
            InvalidSetting::ensure(holds, path, value, expected)?;
        }
        Ok(())
    }

    /// Checks each setting by itself, and the convolutions against the observations.
    ///
    /// # Errors
    /// The first setting that is invalid.
    pub fn check_inputs(&self, inputs: &InputLayout) -> Result<(), InvalidSetting> {
        self.check()?;
        self.check_convolutions(inputs)?;
        self.check_freeze(inputs)
    }

    /// Checks that each name in `freeze` is that of a parameter, and that one is left to train.
    fn check_freeze(&self, inputs: &InputLayout) -> Result<(), InvalidSetting> {
        if self.freeze.is_empty() {
            return Ok(());
        }
        // The names do not depend on the number of actions.
        let policy = Policy::new(self, inputs.clone(), 1);
        let entries = policy.layout().entries();
        for (index, name) in self.freeze.iter().enumerate() {
            let known = entries.iter().any(|entry| covers(name, &entry.name));
            InvalidSetting::ensure(known, format!("freeze.{index}"), format!("'{name}'"), {
                let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
                format!(
                    "a parameter of the policy or the start of its name up to a dot: {}",
                    names.join(", ")
                )
            })?;
        }
        let all = entries.iter().all(|entry| entry.frozen);
        let expected = "such that a parameter is left to be trained";
        InvalidSetting::ensure(!all, "freeze", format!("{:?}", self.freeze), expected)
    }

    fn check_convolutions(&self, inputs: &InputLayout) -> Result<(), InvalidSetting> {
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

/// Whether actor and critic share parameters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TrunkSharing {
    /// They share nothing.
    #[default]
    Separate,
    /// They share everything except the output layer. `actor` sets the hidden layers; `critic` is
    /// ignored.
    Shared,
}
