//! Surrogates of the policy's return, which the objective maximises.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the objective makes of the probability ratio r and the advantage A of a transition. ε is
/// `ratio_clip`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Surrogate {
    /// min(r A, clip(r, 1 − ε, 1 + ε) A), that of PPO (Schulman et al. 2017,
    /// <https://arxiv.org/abs/1707.06347>, equation 7). A ratio that has left the interval in the
    /// direction of its advantage has no gradient, and nothing brings it back. Without a
    /// `ratio_clip` it is r A.
    #[default]
    Clip,
    /// r A − |A| (r − 1)² / 2ε, that of simple policy optimisation (SPO; Xie et al. 2024,
    /// <https://arxiv.org/abs/2401.16025>). Its maximum is at r = 1 ± ε, and beyond it the gradient
    /// brings the ratio back. It needs a `ratio_clip`.
    Spo,
}

impl Surrogate {
    /// The negative surrogate, and its derivative with respect to ln r; `clip` is infinite without a
    /// limit.
    pub(super) fn loss(self, ratio: f32, advantage: f32, clip: f32) -> (f32, f32) {
        let free = ratio * advantage;
        match self {
            Self::Clip => {
                let bound = ratio.clamp(1.0 - clip, 1.0 + clip) * advantage;
                (-free.min(bound), if free <= bound { -free } else { 0.0 })
            }
            Self::Spo => {
                let (excess, curvature) = (ratio - 1.0, advantage.abs() / clip);
                (
                    0.5 * curvature * excess * excess - free,
                    curvature * excess * ratio - free,
                )
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    #[test]
    fn spo_matches_hand_computed_numbers() {
        // r = 2, ε = 0.5: the penalty |A| (r − 1)² / 2ε is |A|, and its derivative with respect to
        // ln r is 2 |A| r (r − 1) = 4 |A|.
        assert_eq!(Surrogate::Spo.loss(2.0, 3.0, 0.5), (-3.0, 6.0));
        assert_eq!(Surrogate::Spo.loss(2.0, -3.0, 0.5), (9.0, 18.0));
        // The surrogate's maximum.
        assert_eq!(Surrogate::Spo.loss(1.5, 3.0, 0.5), (-3.75, 0.0));
    }

    #[test]
    fn slopes_are_those_of_differences() {
        for surrogate in [Surrogate::Clip, Surrogate::Spo] {
            for advantage in [1.3, -0.4] {
                for log_ratio in [-0.7_f32, -0.1, 0.05, 0.4] {
                    let loss = |log_ratio: f32| surrogate.loss(log_ratio.exp(), advantage, 0.2).0;
                    let expected = (loss(log_ratio + 1e-2) - loss(log_ratio - 1e-2)) / 2e-2;
                    let (_, found) = surrogate.loss(log_ratio.exp(), advantage, 0.2);
                    assert!(
                        (found - expected).abs() < 2e-3,
                        "{surrogate:?} {advantage} {log_ratio}: {found} {expected}"
                    );
                }
            }
        }
    }
}
