//! Every threshold of the detectors, with its default, which is written here and nowhere else.
//! `docs/detectors.md` says how often each alarms on healthy runs, and what it finds.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evenkeel_sim::config::InvalidSetting;

/// How much of a recent level ZClip keeps at each step (Kumar et al. 2025).
pub(super) const ZCLIP_DECAY: f64 = 0.97;
/// Steps over which ZClip learns a level before it goes by it.
pub(super) const ZCLIP_WARM_UP_STEPS: u32 = 25;

/// When training, or the robot, counts as unwell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Optimiser steps at the beginning from which detectors that compare with a recent level
    /// only learn (ZClip: 25).
    pub warm_up_steps: u32,
    /// How much of a recent level is kept at each optimiser step (ZClip: 0.97, which remembers
    /// about 33 of them).
    pub decay: f64,
    /// A detector that has told of something tells of it again only after as many optimiser steps
    /// without it.
    pub rearm_steps: u32,
    /// Leaps of the gradient's norm.
    pub gradient_spike: SpikeConfig,
    /// Leaps of the value loss.
    pub loss_spike: SpikeConfig,
    /// Steps that move the weights too far.
    pub update_spike: UpdateSpikeConfig,
    /// Losses and norms that go to and fro.
    pub oscillation: OscillationConfig,
    /// Gradients that are hardly there.
    pub vanishing: VanishingConfig,
    /// Units that have stopped working.
    pub units: UnitsConfig,
    /// Randomness that is lost.
    pub entropy: EntropyConfig,
    /// Policies that move too far, or no more.
    pub policy_shift: PolicyShiftConfig,
    /// How the robot drives.
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
            robot: RobotConfig::default(),
        }
    }
}

/// When a number above 0 has leapt above its recent level: by ZClip's detector (Kumar et al. 2025,
/// <https://arxiv.org/abs/2504.02507>, algorithm 1) on its logarithm, and by a factor. On a healthy
/// run the detector alone fires some ten times in 1,000 steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpikeConfig {
    /// Moving standard deviations of the logarithm above its moving mean.
    pub z: f64,
    /// Times the moving geometric mean. Both must be passed, so that what hardly varies does not
    /// alarm.
    pub factor: f64,
}

/// When a step moves the weights too far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UpdateSpikeConfig {
    /// ‖Δθ‖/‖θ‖ beyond its recent level.
    pub spike: SpikeConfig,
    /// ‖Δθ‖/‖θ‖ that is too much for any step.
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

/// When something goes to and fro. Steps longer than 2 / sharpness overshoot the valley that they
/// descend into, and the loss then alternates with a period of two steps (Cohen et al. 2021,
/// <https://arxiv.org/abs/2103.00065>, §2). Its correlation from one step to the next, about a
/// moving mean, is then near −1, whatever its size; independent noise has 0, and the minibatches of
/// one epoch, which share out the same rows, have −1/M, −½ for two of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OscillationConfig {
    /// Moving correlation, from one step to the next, of the logarithm of the gradient's norm or
    /// of the value loss.
    pub correlation: f64,
    /// What the logarithm must deviate by for that to matter.
    pub min_log_std: f64,
    /// For how many optimiser steps in a row.
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

/// When gradients have vanished. The actor's norm is compared with its own highest level, since
/// standardised advantages keep it up for as long as there is noise; the critic's falls a
/// thousandfold on healthy runs too, as it learns to foresee returns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VanishingConfig {
    /// The actor's norm as a share of its highest recent level so far.
    pub fraction: f64,
    /// Global norm below which there is no gradient to speak of.
    pub min_norm: f64,
    /// A layer's norm as a share of the largest layer's in the same network.
    pub layer_fraction: f64,
    /// For how many optimiser steps in a row.
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

/// When units have stopped working (Sokar et al. 2023, <https://arxiv.org/abs/2302.12902>).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct UnitsConfig {
    /// Share of a layer's units that are dormant: that put out next to nothing, whatever comes in.
    pub dead_share: f64,
    /// Share of a layer's outputs that are in the flat part of their activation.
    pub saturated_share: f64,
    /// For how many iterations in a row.
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

/// When randomness is lost. Entropies are for each dimension of the action.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EntropyConfig {
    /// Nats below the recent level that make a fall sudden.
    pub drop_nats: f64,
    /// Nats below which there is no exploration left; −2.5 is a Gaussian with a standard deviation
    /// of 0.02.
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

/// When a policy has moved too far from the one that gathered the rollout, or no more.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PolicyShiftConfig {
    /// Approximate KL divergence, nats, that is too much. A reckless learning rate that still learns
    /// comes to 0.2.
    pub max_kl: f64,
    /// Approximate KL divergence, nats, below which the policy does not move.
    pub min_kl: f64,
    /// For how many optimiser steps in a row it must not move.
    pub hold_steps: u32,
    /// Largest probability ratio that is too much. Single rare actions come to some tens on runs that
    /// learn.
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

/// When the robot drives badly. An untrained robot does so without being unwell: these wait for it
/// to have driven well once, or for `patience` reports in a row.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RobotConfig {
    /// Share of episodes with spinning, by the lower end of its Wilson interval.
    pub spinning_share: f64,
    /// Share of episodes in which the robot was stuck, by the lower end of its Wilson interval.
    pub stuck_share: f64,
    /// Mean |jerk| as a multiple of its recent level.
    pub jerk_factor: f64,
    /// Reports in a row that are too many, however the robot drove before; also how many a recent
    /// level is made of.
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

/// What a number must be: whether it is, and in words.
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

/// Refuses the first number that is not what it must be.
pub(super) fn check_settings(settings: &[(&str, f64, Constraint)]) -> Result<(), InvalidSetting> {
    let mut settings = settings.iter();
    settings.try_for_each(|&(path, value, (holds, expected))| {
        InvalidSetting::ensure(holds(value), path, value, expected)
    })
}

impl HealthConfig {
    /// Refuses what the types allow and no detector can work with.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        let leap = &self.update_spike;
        let (vanishing, units) = (&self.vanishing, &self.units);
        let (shift, robot) = (&self.policy_shift, &self.robot);
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
            ("update_spike.spike.z", leap.spike.z, POSITIVE),
            ("update_spike.spike.factor", leap.spike.factor, ABOVE_ONE),
            ("update_spike.max_ratio", leap.max_ratio, POSITIVE),
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
    fn the_defaults_are_right_and_survive_toml() {
        let config = HealthConfig::default();
        config.check().unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(toml::from_str::<HealthConfig>(&text).unwrap(), config);
        assert_eq!(toml::from_str::<HealthConfig>("").unwrap(), config);
    }

    #[test]
    fn what_cannot_work_is_refused_with_its_name() {
        for (text, said) in [
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
            assert_eq!(config.check().unwrap_err().to_string(), said);
        }
        assert!(toml::from_str::<HealthConfig>("[units]\ndead = 1").is_err());
    }
}
