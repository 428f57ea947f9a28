//! Axes of the charts.

use serde::Serialize;

use crate::report::arm_runs::ArmRuns;

/// The horizontal axis of a chart over training, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(in crate::report) struct StepAxis {
    /// Name of what it counts.
    pub(super) name: &'static str,
    /// Its upper end.
    pub(super) end: f64,
    /// Whether it is logarithmic, so that a short run can be seen next to a long one.
    pub(super) log: bool,
    /// Whether a value is a whole step, which extends to the next one, rather than a point.
    pub(super) whole: bool,
}

/// The scale of the vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(in crate::report) enum ValueScale {
    /// Shares, from 0 to 100 %.
    Percent,
    /// Plain numbers.
    Linear,
    /// Powers of ten.
    Log,
}

impl StepAxis {
    /// Environment steps up to the end of the longest run. A diverged run counts with its full
    /// budget.
    pub(in crate::report) fn environment(arms: &[ArmRuns]) -> Self {
        let runs = arms.iter().flat_map(|arm| &arm.runs);
        let ends = runs.map(|run| match run.diverged {
            Some(_) => run.budget(),
            None => run.iterations.last().map_or(0, |i| i.global_step),
        });
        Self {
            name: "environment steps",
            end: ends.max().unwrap_or(1).max(1) as f64,
            log: false,
            whole: false,
        }
    }
}

/// Rounds to four significant digits. More cannot be seen in a chart and make the page larger.
pub(super) fn round_to_four_digits(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_to_four_digits() {
        assert_eq!(
            [0.123_456, 98_765.0, 0.0]
                .map(round_to_four_digits)
                .map(|v| v.to_string())
                .join(" "),
            "0.1235 98760 0"
        );
    }
}
