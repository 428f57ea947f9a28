//! Schedules: how the learning rate changes over a run.

use std::f64::consts::PI;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::family::{InvalidSetting, require, require_positive};

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// It stays constant.
    Constant,
    /// It falls linearly to 0 at the end of the run.
    #[default]
    Linear,
    /// It falls along half a cosine to 0 at the end of the run, slowly at first and at last
    /// (Loshchilov & Hutter 2017, <https://arxiv.org/abs/1608.03983>, equation 5, without restarts).
    Cosine,
    /// It follows the KL divergence from the rollout's policy: lower after steps that changed the
    /// policy much, higher after steps that changed it little (Rudin et al. 2021,
    /// <https://arxiv.org/abs/2109.11978>, section 3, as in `rsl_rl`). Each optimiser step adapts
    /// the rate to the approximate KL divergence of its minibatch before it is taken.
    /// `train.learning_rate` is the rate at the start.
    AdaptiveKl(AdaptiveKl),
}

/// Settings of [`Schedule::AdaptiveKl`]. The defaults are those of `rsl_rl`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveKl {
    /// KL divergence to aim at, nats. Above twice this, the rate is divided by `factor`; below half
    /// of it, multiplied.
    pub target: f64,
    /// Factor of one change. Above 1.
    pub factor: f64,
    /// Smallest rate.
    pub min: f64,
    /// Largest rate.
    pub max: f64,
}

impl Default for AdaptiveKl {
    fn default() -> Self {
        Self {
            target: 0.01,
            factor: 1.5,
            min: 1e-5,
            max: 1e-2,
        }
    }
}

/// A mean KL divergence up to this is rounding, nats. The weights of the first minibatch of a
/// rollout are those that collected it, and say nothing about the rate.
const ROUNDING: f64 = 1e-6;

impl AdaptiveKl {
    /// The rate after `rate`, given the approximate KL divergence of a minibatch.
    fn adapt(&self, rate: f64, kl: f64) -> f64 {
        if kl > 2.0 * self.target {
            (rate / self.factor).max(self.min)
        } else if kl < 0.5 * self.target && kl > ROUNDING {
            (rate * self.factor).min(self.max)
        } else {
            rate
        }
    }

    fn check(&self) -> Result<(), InvalidSetting> {
        require_positive("target", self.target)?;
        let factor = self.factor;
        let holds = factor.is_finite() && factor > 1.0;
        require("factor", factor, holds, "a finite number above 1")?;
        require_positive("min", self.min)?;
        let holds = self.max.is_finite() && self.max >= self.min;
        require("max", self.max, holds, "a finite number of at least `min`")
    }
}

impl Schedule {
    /// One of each variant, with valid settings.
    pub fn examples() -> Vec<Self> {
        let adaptive = Self::AdaptiveKl(AdaptiveKl::default());
        vec![Self::Constant, Self::Linear, Self::Cosine, adaptive]
    }

    /// The name in a configuration.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::Linear => "linear",
            Self::Cosine => "cosine",
            Self::AdaptiveKl(_) => "adaptive_kl",
        }
    }

    /// Checks each setting.
    ///
    /// # Errors
    /// The first setting that is invalid.
    pub fn check(&self) -> Result<(), InvalidSetting> {
        match self {
            Self::Constant | Self::Linear | Self::Cosine => Ok(()),
            Self::AdaptiveKl(adaptive) => {
                let checked = adaptive.check();
                checked.map_err(|bad| bad.under_path(self.name()))
            }
        }
    }

    /// Whether optimiser steps change the rate, so that it is part of a run's state.
    pub fn is_adaptive(&self) -> bool {
        matches!(self, Self::AdaptiveKl(_))
    }

    /// The factor on the initial value at `progress`, the share of the run that is done, 0 to 1.
    pub fn factor(self, progress: f64) -> f64 {
        match self {
            Self::Constant | Self::AdaptiveKl(_) => 1.0,
            Self::Linear => 1.0 - progress.clamp(0.0, 1.0),
            Self::Cosine => 0.5 * (1.0 + (PI * progress.clamp(0.0, 1.0)).cos()),
        }
    }

    /// The rate of an optimiser step, given the rate of the step before and the approximate KL
    /// divergence of the minibatch, nats. Only an adaptive schedule changes it.
    pub fn adapt(self, rate: f64, kl: f64) -> f64 {
        match self {
            Self::Constant | Self::Linear | Self::Cosine => rate,
            Self::AdaptiveKl(adaptive) => adaptive.adapt(rate, kl),
        }
    }
}

/// The factor of a warm-up that takes the share `warmup` of a run, at the `progress` after an
/// iteration: a linear rise from 0 to 1 (Goyal et al. 2017, <https://arxiv.org/abs/1706.02677>,
/// section 2.2). It multiplies the factor of any schedule.
pub fn warmup_factor(warmup: f64, progress: f64) -> f64 {
    if progress < warmup {
        progress / warmup
    } else {
        1.0
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn linear_falls_to_zero_and_constant_stays() {
        assert_eq!(
            [0.0, 0.25, 1.0, 2.0].map(|p| Schedule::Linear.factor(p)),
            [1.0, 0.75, 0.0, 0.0]
        );
        assert_eq!([0.0, 1.0].map(|p| Schedule::Constant.factor(p)), [1.0, 1.0]);
    }

    #[test]
    fn cosine_falls_slowly_at_both_ends() {
        // cos 60° = ½, so a third of the way the factor is ¾.
        for (progress, factor) in [
            (0.0, 1.0),
            (1.0 / 3.0, 0.75),
            (0.5, 0.5),
            (1.0, 0.0),
            (2.0, 0.0),
        ] {
            let found = Schedule::Cosine.factor(progress);
            assert!((found - factor).abs() < 1e-12, "{progress}: {found}");
        }
    }

    #[test]
    fn a_warmup_rises_linearly_to_one() {
        assert_eq!(
            [0.0, 0.125, 0.25, 1.0].map(|progress| warmup_factor(0.25, progress)),
            [0.0, 0.5, 1.0, 1.0]
        );
        assert_eq!(warmup_factor(0.0, 0.0), 1.0);
    }

    #[test]
    fn the_rate_follows_the_kl_divergence_within_its_bounds() {
        let schedule = Schedule::AdaptiveKl(AdaptiveKl::default());
        for (rate, kl, expected) in [
            (3e-3, 0.021, 2e-3),
            (3e-3, 0.02, 3e-3),
            (3e-3, 0.005, 3e-3),
            (2e-3, 0.0049, 3e-3),
            (2e-3, 0.0, 2e-3),
            (2e-3, -1e-9, 2e-3),
            (8e-3, 0.001, 1e-2),
            (1.2e-5, 1.0, 1e-5),
            (3e-3, f64::INFINITY, 2e-3),
        ] {
            let found = schedule.adapt(rate, kl);
            assert!((found - expected).abs() < 1e-15, "{rate} {kl}: {found}");
        }
        assert_eq!(Schedule::Cosine.adapt(2e-3, 1.0), 2e-3);
    }

    #[test]
    fn schedules_are_words_and_the_adaptive_one_a_table() {
        let read = |value: &str| {
            let text = format!("schedule = {value}");
            let mut table: toml::Table = text.parse().unwrap();
            table.remove("schedule").unwrap().try_into::<Schedule>()
        };
        assert_eq!(read("'linear'").unwrap(), Schedule::Linear);
        assert_eq!(read("'cosine'").unwrap(), Schedule::Cosine);
        let adaptive = AdaptiveKl {
            target: 0.02,
            ..AdaptiveKl::default()
        };
        let found = read("{ adaptive_kl = { target = 0.02 } }").unwrap();
        assert_eq!(found, Schedule::AdaptiveKl(adaptive));
        let bad = read("{ adaptive_kl = { factor = 1.0 } }").unwrap().check();
        assert_eq!(bad.unwrap_err().path, "adaptive_kl.factor");
        let bad = read("{ adaptive_kl = { max = 1e-6 } }").unwrap().check();
        assert_eq!(bad.unwrap_err().path, "adaptive_kl.max");
    }
}
