//! Settings of the detectors. Defaults are defined only here. Their false alarms and recall are in
//! `docs/detectors.md`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evenkeel_sim::config::InvalidSetting;

/// Decay of the moving moments in ZClip (Kumar et al. 2025).
pub(super) const ZCLIP_DECAY: f64 = 0.97;
/// Steps before ZClip uses its moving moments.
pub(super) const ZCLIP_WARM_UP_STEPS: u32 = 25;

/// Thresholds of the detectors of unhealthy training and of an unhealthy robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Optimiser steps at the start of a run in which recent levels are only initialised and not
    /// compared with (ZClip: 25).
    pub warm_up_steps: u32,
    /// Decay of recent levels per optimiser step (ZClip: 0.97, which averages over about 33 steps).
    pub decay: f64,
    /// A reported symptom is reported again only after this many optimiser steps without it.
    pub rearm_steps: u32,
    /// Spikes of the gradient norm.
    pub gradient_spike: SpikeConfig,
    /// Spikes of the value loss.
    pub loss_spike: SpikeConfig,
    /// Optimiser steps that change the weights too much.
    pub update_spike: UpdateSpikeConfig,
    /// Oscillating losses and gradient norms.
    pub oscillation: OscillationConfig,
    /// Vanishing gradients.
    pub vanishing: VanishingConfig,
    /// Dead and saturated units.
    pub units: UnitsConfig,
    /// Entropy collapse.
    pub entropy: EntropyConfig,
    /// Policies that change too fast or no longer change.
    pub policy_shift: PolicyShiftConfig,
    /// Values that no rewards can give.
    pub value_bound: ValueBoundConfig,
    /// Driving of the robot.
    pub robot: RobotConfig,
}

impl Default for HealthConfig {
    fn default() -> Self {
        Self {
            warm_up_steps: ZCLIP_WARM_UP_STEPS,
            decay: ZCLIP_DECAY,
            rearm_steps: 50,
            gradient_spike: SpikeConfig {
                z: 2.5,
                factor: 5.0,
            },
            loss_spike: SpikeConfig {
                z: 2.5,
                factor: 8.0,
            },
            update_spike: UpdateSpikeConfig::default(),
            oscillation: OscillationConfig::default(),
            vanishing: VanishingConfig::default(),
            units: UnitsConfig::default(),
            entropy: EntropyConfig::default(),
            policy_shift: PolicyShiftConfig::default(),
            value_bound: ValueBoundConfig::default(),
            robot: RobotConfig::default(),
        }
    }
}

/// A spike of a positive number above its recent level. It must exceed both a z-score of its
/// logarithm (ZClip, Kumar et al. 2025, <https://arxiv.org/abs/2504.02507>, algorithm 1) and a
/// factor. The z-score alone fires about ten times in 1,000 steps of a healthy run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpikeConfig {
    /// Distance of the logarithm above its moving mean, in moving standard deviations.
    pub z: f64,
    /// Multiple of the moving geometric mean. It prevents alarms on numbers that hardly vary.
    pub factor: f64,
}

/// An optimiser step that changes the weights too much.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateSpikeConfig {
    /// Spike of ‖Δθ‖/‖θ‖ above its recent level.
    pub spike: SpikeConfig,
    /// Largest healthy ‖Δθ‖/‖θ‖ of any step.
    pub max_ratio: f64,
}

impl Default for UpdateSpikeConfig {
    fn default() -> Self {
        Self {
            spike: SpikeConfig {
                z: 2.5,
                factor: 4.0,
            },
            max_ratio: 0.1,
        }
    }
}

/// Oscillation of the gradient norm or of the value loss. With a learning rate above 2 / sharpness,
/// steps overshoot and the loss alternates with a period of two steps (Cohen et al. 2021,
/// <https://arxiv.org/abs/2103.00065>, §2). The correlation between consecutive steps, around a
/// moving mean, is then close to −1. Independent noise has correlation 0. The M minibatches of one
/// epoch partition the same rows and have correlation −1/M, which is −½ for M = 2.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OscillationConfig {
    /// Highest moving correlation between consecutive steps that counts as an oscillation, of the
    /// logarithm of the gradient norm or of the value loss.
    pub correlation: f64,
    /// Smallest standard deviation of the logarithm that counts as an oscillation.
    pub min_log_std: f64,
    /// Number of consecutive optimiser steps for which both must hold.
    pub hold_steps: u32,
}

impl Default for OscillationConfig {
    fn default() -> Self {
        Self {
            correlation: -0.75,
            min_log_std: 0.1,
            hold_steps: 10,
        }
    }
}

/// Vanishing gradients. The actor's gradient norm is compared with its own highest level, because
/// the noise of standardised advantages keeps it up in healthy runs. The critic's norm is not: it
/// falls a thousandfold in healthy runs, as the critic learns to predict returns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VanishingConfig {
    /// Smallest healthy level of the actor's gradient norm, as a share of its highest level so far.
    pub fraction: f64,
    /// Smallest healthy global gradient norm.
    pub min_norm: f64,
    /// Smallest healthy gradient norm of a layer, as a share of the largest one in its network.
    pub layer_fraction: f64,
    /// Number of consecutive optimiser steps for which one of these must be violated.
    pub hold_steps: u32,
}

impl Default for VanishingConfig {
    fn default() -> Self {
        Self {
            fraction: 0.01,
            min_norm: 1e-8,
            layer_fraction: 1e-5,
            hold_steps: 20,
        }
    }
}

/// Dead and saturated units (Sokar et al. 2023, <https://arxiv.org/abs/2302.12902>).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnitsConfig {
    /// Share of dormant units in a layer that is reported. A dormant unit has an output close to
    /// zero for all inputs.
    pub dead_share: f64,
    /// Share of a layer's outputs in the flat part of the activation function that is reported.
    pub saturated_share: f64,
    /// Number of consecutive iterations with at least this share.
    pub hold_iterations: u32,
}

impl Default for UnitsConfig {
    fn default() -> Self {
        Self {
            dead_share: 0.5,
            saturated_share: 0.5,
            hold_iterations: 3,
        }
    }
}

/// Entropy collapse. Entropies are per action dimension.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EntropyConfig {
    /// Drop below the recent level that is reported, nats.
    pub drop_nats: f64,
    /// Entropy below which no exploration is left, nats. A Gaussian with a standard deviation of
    /// 0.02 has −2.5 nats.
    pub floor_nats: f64,
}

impl Default for EntropyConfig {
    fn default() -> Self {
        Self {
            drop_nats: 0.3,
            floor_nats: -2.5,
        }
    }
}

/// Distance of the policy from the one that collected the rollout.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyShiftConfig {
    /// Largest healthy approximate KL divergence, nats. Runs with a very high learning rate that
    /// still learn reach 0.2.
    pub max_kl: f64,
    /// Approximate KL divergence below which the policy does not change, nats.
    pub min_kl: f64,
    /// Number of consecutive optimiser steps without change that is reported.
    pub hold_steps: u32,
    /// Largest healthy probability ratio. Single rare actions reach some tens in runs that learn.
    pub max_ratio: f64,
}

impl Default for PolicyShiftConfig {
    fn default() -> Self {
        Self {
            max_kl: 0.3,
            min_kl: 1e-8,
            hold_steps: 100,
            max_ratio: 100.0,
        }
    }
}

/// Values that no rewards can give. A discounted return is at most the largest |reward| divided by
/// 1 − γ.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ValueBoundConfig {
    /// Largest healthy |value| of the critic, as a multiple of that bound. It leaves room for the
    /// error of a critic whose true values are at the bound.
    pub factor: f64,
    /// Number of consecutive iterations above it that is reported.
    pub hold_iterations: u32,
}

impl Default for ValueBoundConfig {
    fn default() -> Self {
        Self {
            factor: 1.25,
            hold_iterations: 3,
        }
    }
}

/// Bad driving. Because an untrained robot drives badly as well, spinning and freezing are reported
/// only if the robot drove well before, or after `patience` evaluations in a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RobotConfig {
    /// Largest healthy share of episodes with spinning. The lower end of the Wilson interval is
    /// compared with it.
    pub spinning_share: f64,
    /// Largest healthy share of episodes in which the robot is stuck. The lower end of the Wilson
    /// interval is compared with it.
    pub stuck_share: f64,
    /// Largest healthy mean |jerk|, as a multiple of its recent level.
    pub jerk_factor: f64,
    /// Number of consecutive evaluations with a failure after which it is reported in any case.
    /// Also the number of evaluations in the recent level of jerk.
    pub patience: u32,
}

impl Default for RobotConfig {
    fn default() -> Self {
        Self {
            spinning_share: 0.1,
            stuck_share: 0.1,
            jerk_factor: 2.5,
            patience: 3,
        }
    }
}

/// A constraint on a number: a test and its description.
type Constraint = (fn(f64) -> bool, &'static str);

pub(super) const POSITIVE: Constraint = (|x| x.is_finite() && x > 0.0, "finite and above 0");
pub(super) const ABOVE_ONE: Constraint = (|x| x.is_finite() && x > 1.0, "finite and above 1");
pub(super) const SHARE: Constraint = (|x| x > 0.0 && x <= 1.0, "above 0 and at most 1");
const FRACTION: Constraint = (
    |x| (0.0..1.0).contains(&x) && x > 0.0,
    "above 0 and below 1",
);
const NEGATIVE_CORRELATION: Constraint = (
    |x| (-1.0..0.0).contains(&x),
    "a correlation from -1 to below 0",
);
const FINITE: Constraint = (f64::is_finite, "finite");
pub(super) const COUNT: Constraint = (|x| x >= 1.0, "a whole number of at least 1");

/// Checks each setting, given as path, value and constraint. Returns the first error.
pub(super) fn check_settings(settings: &[(&str, f64, Constraint)]) -> Result<(), InvalidSetting> {
    let mut settings = settings.iter();
    settings.try_for_each(|&(path, value, (holds, expected))| {
        InvalidSetting::ensure(holds(value), path, value, expected)
    })
}

impl HealthConfig {
    /// Checks the ranges of all settings.
    ///
    /// # Errors
    /// If a setting is out of range.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let update = &self.update_spike;
        let (vanishing, units) = (&self.vanishing, &self.units);
        let (shift, value, robot) = (&self.policy_shift, &self.value_bound, &self.robot);
        check_settings(&[
            ("warm_up_steps", self.warm_up_steps.into(), COUNT),
            ("decay", self.decay, FRACTION),
            ("rearm_steps", self.rearm_steps.into(), COUNT),
            ("gradient_spike.z", self.gradient_spike.z, POSITIVE),
            (
                "gradient_spike.factor",
                self.gradient_spike.factor,
                ABOVE_ONE,
            ),
            ("loss_spike.z", self.loss_spike.z, POSITIVE),
            ("loss_spike.factor", self.loss_spike.factor, ABOVE_ONE),
            ("update_spike.spike.z", update.spike.z, POSITIVE),
            ("update_spike.spike.factor", update.spike.factor, ABOVE_ONE),
            ("update_spike.max_ratio", update.max_ratio, POSITIVE),
            (
                "oscillation.correlation",
                self.oscillation.correlation,
                NEGATIVE_CORRELATION,
            ),
            (
                "oscillation.min_log_std",
                self.oscillation.min_log_std,
                POSITIVE,
            ),
            (
                "oscillation.hold_steps",
                self.oscillation.hold_steps.into(),
                COUNT,
            ),
            ("vanishing.fraction", vanishing.fraction, FRACTION),
            ("vanishing.min_norm", vanishing.min_norm, POSITIVE),
            (
                "vanishing.layer_fraction",
                vanishing.layer_fraction,
                FRACTION,
            ),
            ("vanishing.hold_steps", vanishing.hold_steps.into(), COUNT),
            ("units.dead_share", units.dead_share, SHARE),
            ("units.saturated_share", units.saturated_share, SHARE),
            ("units.hold_iterations", units.hold_iterations.into(), COUNT),
            ("entropy.drop_nats", self.entropy.drop_nats, POSITIVE),
            ("entropy.floor_nats", self.entropy.floor_nats, FINITE),
            ("policy_shift.max_kl", shift.max_kl, POSITIVE),
            ("policy_shift.min_kl", shift.min_kl, POSITIVE),
            ("policy_shift.hold_steps", shift.hold_steps.into(), COUNT),
            ("policy_shift.max_ratio", shift.max_ratio, ABOVE_ONE),
            ("value_bound.factor", value.factor, POSITIVE),
            (
                "value_bound.hold_iterations",
                value.hold_iterations.into(),
                COUNT,
            ),
            ("robot.spinning_share", robot.spinning_share, FRACTION),
            ("robot.stuck_share", robot.stuck_share, FRACTION),
            ("robot.jerk_factor", robot.jerk_factor, ABOVE_ONE),
            ("robot.patience", robot.patience.into(), COUNT),
        ])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid_and_round_trip_through_toml() {
        let config = HealthConfig::default();
        config.check().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<HealthConfig>(&text).unwrap(), config);
        assert_eq!(toml::from_str::<HealthConfig>("").unwrap(), config);
    }

    #[test]
    fn the_error_of_an_invalid_setting_names_it() {
        for (text, message) in [
            (
                "decay = 1.0",
                "`decay` is 1; it must be above 0 and below 1",
            ),
            (
                "gradient_spike = { z = 2.5, factor = 0.5 }",
                "`gradient_spike.factor` is 0.5; it must be finite and above 1",
            ),
            (
                "[update_spike]\nmax_ratio = nan",
                "`update_spike.max_ratio` is NaN; it must be finite and above 0",
            ),
            (
                "[oscillation]\ncorrelation = 0.5",
                "`oscillation.correlation` is 0.5; it must be a correlation from -1 to below 0",
            ),
            (
                "[robot]\npatience = 0",
                "`robot.patience` is 0; it must be a whole number of at least 1",
            ),
        ] {
            let config: HealthConfig = toml::from_str(text).unwrap();
            assert_eq!(config.check().unwrap_err().to_string(), message);
        }
        assert!(toml::from_str::<HealthConfig>("[units]\ndead = 1").is_err());
    }
}
