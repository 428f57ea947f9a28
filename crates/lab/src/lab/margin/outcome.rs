//! How the runs of a margin end, and when one counts as failed.

use serde::{Deserialize, Serialize};

use crate::lab::{RunRecord, final_success};
use evenkeel_runs::runs::{RunDir, RunError, StopRule};
use evenkeel_runs::stats::quantile;

/// Shares of the budget after which a run may be given up.
const RUNGS: [f64; 2] = [0.5, 0.75];

/// A run is given up below this share of the success that the arm has at a factor of 1 after as many
/// steps.
const RUNG_SHARE: f64 = 0.25;

/// Successes at a factor of 1 below this say too little to give up another run.
const MIN_RUNG_SUCCESS: f64 = 0.2;

/// A run whose final success is below this share of the arm's at a factor of 1 has failed.
pub(super) const TARGET_SHARE: f64 = 0.5;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MarginOutcome {
    /// It reached the target.
    Works,
    /// It diverged.
    Diverged,
    /// It collapsed after it had learned.
    Collapsed,
    /// Its final success is below the target, or 0.
    BelowTarget,
    /// It was given up before its end, because it was far behind.
    GivenUp,
}

impl MarginOutcome {
    /// Whether the run failed.
    pub fn fails(self) -> bool {
        self != Self::Works
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Works => "works",
            Self::Diverged => "diverged",
            Self::Collapsed => "collapsed",
            Self::BelowTarget => "too little success",
            Self::GivenUp => "given up: far behind",
        }
    }
}

/// What a margin reads of a run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MarginEvidence {
    diverged: bool,
    collapsed: bool,
    pub(super) given_up: bool,
    /// Success of the evaluations during training, by environment steps.
    curve: Vec<(u64, f64)>,
    /// Success of the last of them; 0 for a diverged run.
    pub(super) success: f64,
}

impl MarginEvidence {
    /// Reads a run that is over.
    pub(super) fn read(run: &RunDir) -> Result<Self, RunError> {
        let record = RunRecord::read(run)?;
        let diverged = record.diverged.is_some();
        let curve = record.success_curve();
        let last = curve.last().map_or(0.0, |&(_, success)| success);
        Ok(Self {
            diverged,
            collapsed: record.collapse().is_some(),
            given_up: record.info.stopped_by.is_some(),
            success: final_success(diverged, None).unwrap_or(last),
            curve,
        })
    }

    /// How the run ended, for a target success.
    pub(super) fn outcome(&self, target: f64) -> MarginOutcome {
        if self.diverged {
            MarginOutcome::Diverged
        } else if self.given_up {
            MarginOutcome::GivenUp
        } else if self.collapsed {
            MarginOutcome::Collapsed
        } else if self.success < target || self.success == 0.0 {
            MarginOutcome::BelowTarget
        } else {
            MarginOutcome::Works
        }
    }

    /// Success of the first evaluation at or after a step.
    fn success_from(&self, step: u64) -> Option<f64> {
        let mut curve = self.curve.iter();
        Some(curve.find(|point| point.0 >= step)?.1)
    }
}

/// Median of the final successes.
pub(super) fn median_success(runs: &[MarginEvidence]) -> f64 {
    median(runs.iter().map(|run| run.success))
}

/// The rules by which other runs of an arm are given up, from its runs at a factor of 1.
pub(super) fn stop_rules(runs: &[MarginEvidence], budget: u64) -> Vec<StopRule> {
    let rule = |share: f64| {
        let step = (budget as f64 * share) as u64;
        let median = median(runs.iter().filter_map(|run| run.success_from(step)));
        (median >= MIN_RUNG_SUCCESS).then_some(StopRule {
            step,
            success: median * RUNG_SHARE,
        })
    };
    RUNGS.into_iter().filter_map(rule).collect()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    quantile(&values, 0.5).unwrap_or(0.0)
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "these numbers are exact")]
mod tests {
    use super::*;

    fn run(curve: &[(u64, f64)]) -> MarginEvidence {
        MarginEvidence {
            diverged: false,
            collapsed: false,
            given_up: false,
            success: curve.last().unwrap().1,
            curve: curve.to_vec(),
        }
    }

    #[test]
    fn rules_are_a_quarter_of_the_median_at_a_factor_of_one() {
        let runs = [0.1, 0.4, 0.6].map(|success| run(&[(60, success / 4.0), (80, success)]));
        let rules = stop_rules(&runs, 100);
        let expected = StopRule {
            step: 75,
            success: 0.1,
        };
        // After half of the steps the median is 0.1, which says too little.
        assert_eq!(rules, [expected]);
        assert_eq!(median_success(&runs), 0.4);
    }

    #[test]
    fn a_run_fails_by_its_end() {
        let mut found = run(&[(10, 0.9), (20, 0.3)]);
        assert_eq!(found.outcome(0.3), MarginOutcome::Works);
        assert_eq!(found.outcome(0.31), MarginOutcome::BelowTarget);
        assert_eq!(run(&[(10, 0.0)]).outcome(0.0), MarginOutcome::BelowTarget);
        found.collapsed = true;
        assert_eq!(found.outcome(0.3), MarginOutcome::Collapsed);
        found.given_up = true;
        assert_eq!(found.outcome(0.3), MarginOutcome::GivenUp);
        found.diverged = true;
        assert_eq!(found.outcome(0.3), MarginOutcome::Diverged);
    }
}
