//! The settings of what keeps training stable: the table `[stability]`, in which the arms of a
//! comparison differ.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ReturnScaling;
use crate::optim::{ClipStage, GlobalNorm, Reset, WeightDecay};
use evenkeel_runs::health::{GuardConfig, HealthConfig};

/// What keeps training stable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StabilityConfig {
    /// Clip stages that the gradient goes through before the optimiser, in this order.
    pub clip: Vec<ClipStage>,
    /// Weight decay, which draws weight matrices towards 0 or another place, or constrains them.
    pub decay: Vec<WeightDecay>,
    /// Resets of weights between iterations, in this order.
    pub reset: Vec<Reset>,
    /// Normalisation of observations, returns and advantages.
    pub normalise: NormaliseConfig,
    /// Detectors of symptoms in training and in how the robot drives.
    pub health: HealthConfig,
    /// The update guard: when it refuses an optimiser step, and what happens then.
    pub guard: GuardConfig,
    /// The flight recorder, which keeps the optimiser steps that lead to a symptom.
    pub recorder: FlightRecorderConfig,
}

impl Default for StabilityConfig {
    fn default() -> Self {
        Self {
            clip: vec![ClipStage::GlobalNorm(GlobalNorm { max: 0.5 })],
            decay: Vec::new(),
            reset: Vec::new(),
            normalise: NormaliseConfig::default(),
            health: HealthConfig::default(),
            guard: GuardConfig::default(),
            recorder: FlightRecorderConfig::default(),
        }
    }
}

/// Normalisation of observations, returns and advantages. Running moments are frozen while a
/// rollout is collected and learned from, and advance once per iteration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NormaliseConfig {
    /// Each entry of an observation.
    pub observation: RunningNormaliser,
    /// The returns that the critic learns.
    #[serde(rename = "return")]
    pub returns: ReturnScaling,
    /// The advantages.
    pub advantage: AdvantageNormaliser,
}

/// Normalises by running moments of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunningNormaliser {
    /// No normalisation.
    Off,
    /// Subtracts the mean of everything so far, and divides by its standard deviation where that is
    /// above 1. Nothing is scaled up: the blocks of an observation are scaled already.
    #[default]
    Moments,
}

/// Normalises advantages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdvantageNormaliser {
    /// No normalisation.
    Off,
    /// Subtracts the rollout's mean and divides by its standard deviation.
    #[default]
    Standardise,
    /// Subtracts the mean of each minibatch and divides by its standard deviation, as in the
    /// implementation of PPO by its authors (Huang et al. 2022,
    /// <https://iclr-blog-track.github.io/2022/03/25/ppo-implementation-details/>, detail 7). The
    /// actor's gradient then has about the same length in every minibatch.
    Minibatch,
}

/// Settings of the flight recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FlightRecorderConfig {
    /// Optimiser steps of an incident: the one in which a symptom is detected, and those before it.
    pub steps: u32,
    /// Incidents that are kept of a run; critical symptoms take precedence over warnings. 0: the
    /// recorder is off.
    pub max_incidents: u32,
    /// Megabytes of all incidents together, at most.
    pub max_megabytes: u32,
}

impl FlightRecorderConfig {
    /// The recorder is off.
    pub(super) const OFF: Self = Self {
        steps: 1,
        max_incidents: 0,
        max_megabytes: 1,
    };
}

impl Default for FlightRecorderConfig {
    fn default() -> Self {
        Self {
            steps: 4,
            max_incidents: 8,
            max_megabytes: 64,
        }
    }
}
