//! Checks of the reward.

use super::{Bound, CheckResult, Checker, last_key};
use crate::scenario::spec::RewardShape;

impl Checker<'_> {
    pub(super) fn reward(&self) -> CheckResult {
        let reward = &self.spec.reward;
        for (path, value) in [
            ("reward.progress", reward.progress),
            ("reward.goal", reward.goal),
            ("reward.collision", reward.collision),
            ("reward.time", reward.time),
            ("reward.clearance.scale", reward.clearance.scale),
        ] {
            self.reward_number(path, value)?;
        }
        if let Some(near) = &reward.near_obstacle {
            self.reward_number("reward.near_obstacle.scale", near.scale)?;
            self.number(
                "reward.near_obstacle.margin_m",
                near.margin_m,
                Bound::Positive,
            )?;
        }
        for (name, term) in [
            ("heading", reward.heading),
            ("turn_rate", reward.turn_rate),
            ("jerk", reward.jerk),
            ("mover_distance", reward.mover_distance),
            ("path_progress", reward.path_progress),
        ] {
            let Some(term) = term else { continue };
            self.reward_number(&format!("reward.{name}.scale"), term.scale)?;
            self.reward_shape(&format!("reward.{name}.shape"), term.shape)?;
        }
        self.number(
            "reward.clearance.margin_m",
            reward.clearance.margin_m,
            Bound::Positive,
        )
    }

    fn reward_shape(&self, path: &str, shape: RewardShape) -> CheckResult {
        match shape {
            RewardShape::Linear => Ok(()),
            RewardShape::Exponential { width } => {
                let path = format!("{path}.exponential.width");
                self.number(&path, width, Bound::Positive)
            }
            RewardShape::Clipped { min, max } => {
                let path = format!("{path}.clipped");
                self.reward_number(&format!("{path}.min"), min)?;
                self.reward_number(&format!("{path}.max"), max)?;
                if min < max {
                    return Ok(());
                }
                let message = format!("min is {min}, max is {max}");
                self.reject(&path, &message, "write a min below max")
            }
        }
    }

    fn reward_number(&self, path: &str, value: f64) -> CheckResult {
        if value.is_finite() && value.abs() <= 1e6 {
            return Ok(());
        }
        let message = format!("{} is {value}", last_key(path));
        self.reject(path, &message, "write a number from -1e6 to 1e6")
    }
}
