//! Schedules: how a setting changes over a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the learning rate changes over a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Schedule {
    /// It stays constant.
    Constant,
    /// It falls linearly to 0 at the end of the run.
    #[default]
    Linear,
}

impl Schedule {
    /// The factor on the initial value at `progress`, the share of the run that is done, 0 to 1.
    pub fn factor(self, progress: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Linear => 1.0 - progress.clamp(0.0, 1.0),
        }
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
}
