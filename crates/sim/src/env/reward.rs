//! Named reward terms of one control step, scaled as the scenario says.

use super::Outcome;
use crate::scenario::spec::RewardSpec;

/// Number of reward terms.
pub const REWARD_TERMS: usize = 5;

/// Names of the reward terms, in the order of [`StepResult::terms`](super::StepResult::terms).
pub const REWARD_TERM_NAMES: [&str; REWARD_TERMS] =
    ["progress", "goal", "collision", "time", "clearance"];

/// What the reward terms read from one control step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct RewardInput {
    /// Decrease of the distance to the goal, metres.
    pub(super) progress: f32,
    /// Whether the robot touches anything after the step.
    pub(super) contact: bool,
    /// Clearance after the step, metres: see `ClearanceRewardSpec`.
    pub(super) clearance_m: f32,
    /// How the robot's part of the episode ended, if the step ended it.
    pub(super) outcome: Option<Outcome>,
}

/// The scaled terms of one step, in the order of [`REWARD_TERM_NAMES`]. The reward is their sum.
pub(super) fn reward_terms(spec: &RewardSpec, step: &RewardInput) -> [f32; REWARD_TERMS] {
    let when = |condition: bool, scale: f64| if condition { scale as f32 } else { 0.0 };
    let near = (1.0 - step.clearance_m / spec.clearance.margin_m as f32).max(0.0);
    [
        spec.progress as f32 * step.progress,
        when(step.outcome == Some(Outcome::Goal), spec.goal),
        when(step.contact, spec.collision),
        spec.time as f32,
        spec.clearance.scale as f32 * near,
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::spec::{ClearanceRewardSpec, ProgressMetric};

    #[test]
    fn each_term_is_scaled_as_the_scenario_says() {
        let spec = RewardSpec {
            progress: 2.0,
            progress_along: ProgressMetric::Line,
            goal: 10.0,
            collision: -5.0,
            time: -0.1,
            clearance: ClearanceRewardSpec {
                scale: -1.0,
                margin_m: 0.4,
            },
        };
        let mut step = RewardInput {
            progress: 0.1,
            contact: false,
            clearance_m: 0.1,
            outcome: None,
        };
        let terms = reward_terms(&spec, &step);
        let expected = [0.2, 0.0, 0.0, -0.1, -0.75];
        assert!(
            terms
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{terms:?}"
        );
        step.outcome = Some(Outcome::Goal);
        step.contact = true;
        step.clearance_m = 1.0;
        let terms = reward_terms(&spec, &step);
        let expected = [0.2, 10.0, -5.0, -0.1, 0.0];
        assert!(
            terms
                .iter()
                .zip(expected)
                .all(|(a, b)| (a - b).abs() < 1e-6),
            "{terms:?}"
        );
    }
}
