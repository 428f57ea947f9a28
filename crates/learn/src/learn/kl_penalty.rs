//! The penalty on the KL divergence from the rollout's policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use evenkeel_sim::config::InvalidSetting;

/// The coefficient stays within a factor of 2 to the power of this of its initial value.
const MAX_DOUBLINGS: i32 = 20;

/// How far the divergence may be from its target, as a factor, before the coefficient changes.
const TOLERANCE: f64 = 1.5;

/// A penalty β·KL(old ‖ new) on the divergence of the policy from the one that collected the
/// rollout. Each transition contributes (r − 1) − ln r, whose mean over the rollout's actions is
/// that divergence (Schulman 2020, <http://joschu.net/blog/kl-approx.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum KlPenalty {
    /// No penalty.
    #[default]
    Off,
    /// A coefficient that adapts (Schulman et al. 2017, <https://arxiv.org/abs/1707.06347>, section
    /// 4): it doubles after an iteration whose last pass over the rollout had a mean divergence
    /// above 1.5 times the target, and is halved after one below the target divided by 1.5. Set
    /// `ratio_clip` to `"off"` for the objective of the paper.
    Adaptive(AdaptiveKl),
}

/// Settings of the adaptive penalty.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveKl {
    /// Target of the divergence, nats.
    pub target: f64,
    /// Initial coefficient β.
    pub initial: f64,
}

impl Default for AdaptiveKl {
    fn default() -> Self {
        Self {
            target: 0.01,
            initial: 1.0,
        }
    }
}

/// How far the coefficient has adapted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KlPenaltyState {
    /// Doublings of the coefficient so far; negative after more halvings.
    doublings: i32,
}

impl KlPenalty {
    /// Checks each setting.
    pub(super) fn check(&self) -> Result<(), InvalidSetting> {
        let Self::Adaptive(AdaptiveKl { target, initial }) = *self else {
            return Ok(());
        };
        for (name, value) in [("adaptive.target", target), ("adaptive.initial", initial)] {
            let holds = value.is_finite() && value > 0.0;
            InvalidSetting::ensure(holds, name, value, "finite and above 0")?;
        }
        Ok(())
    }

    /// The coefficient β; `None` without a penalty.
    pub fn coefficient(&self, state: KlPenaltyState) -> Option<f64> {
        let Self::Adaptive(adaptive) = self else {
            return None;
        };
        let doublings = state.doublings.clamp(-MAX_DOUBLINGS, MAX_DOUBLINGS);
        Some(adaptive.initial * 2f64.powi(doublings))
    }

    /// The state after an iteration with this divergence, nats.
    pub(super) fn adapt(&self, state: KlPenaltyState, kl: f64) -> KlPenaltyState {
        let Self::Adaptive(adaptive) = self else {
            return state;
        };
        let change = if kl > TOLERANCE * adaptive.target {
            1
        } else if kl < adaptive.target / TOLERANCE {
            -1
        } else {
            0
        };
        KlPenaltyState {
            doublings: (state.doublings + change).clamp(-MAX_DOUBLINGS, MAX_DOUBLINGS),
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn the_coefficient_doubles_above_the_target_and_halves_below() {
        let penalty = KlPenalty::Adaptive(AdaptiveKl {
            target: 0.01,
            initial: 3.0,
        });
        let mut state = KlPenaltyState::default();
        for (kl, expected) in [
            (0.0151, 6.0),
            (f64::INFINITY, 12.0),
            (0.0149, 12.0),
            (0.0067, 12.0),
            (0.0066, 6.0),
            (0.0, 3.0),
            (0.0, 1.5),
        ] {
            state = penalty.adapt(state, kl);
            assert_eq!(penalty.coefficient(state), Some(expected), "{kl}");
        }
        for _ in 0..100 {
            state = penalty.adapt(state, 0.0);
        }
        assert_eq!(penalty.coefficient(state), Some(3.0 / f64::from(1 << 20)));
        assert_eq!(KlPenalty::Off.coefficient(state), None);
        assert_eq!(KlPenalty::Off.adapt(state, 1.0), state);
    }
}
