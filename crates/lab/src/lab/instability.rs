//! What a run lost after it had learned: collapses, and falls from the best checkpoint to the last.

use serde::Serialize;

use super::RunRecord;

/// The collapse of a run that had reached a success of at least 0.3. Its validation success stays
/// below half of the best so far for a tenth of the budget, or it ends there: the last checkpoint
/// succeeds less than half as often as the best one (docs/metrics.md).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Collapse {
    /// Environment steps at the first evaluation that was too low.
    pub global_step: u64,
    /// The best success before.
    pub best: f64,
    /// The lowest success since.
    pub lowest: f64,
}

/// A large fall from the best checkpoint to the last: at least ten points, with 95 % confidence
/// intervals apart. Both are evaluated in the same held-out episodes. A diverged run has none.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fall {
    /// Environment steps of the best checkpoint. Absent in files of older builds.
    pub best_step: Option<u64>,
    /// Success of the best checkpoint.
    pub best: f64,
    /// Environment steps of the last checkpoint.
    pub last_step: u64,
    /// Success of the last checkpoint.
    pub last: f64,
}

/// A run below this success has not learned enough to collapse.
const MIN_BEST_SUCCESS: f64 = 0.3;

/// A run below this share of its best success has collapsed.
const COLLAPSED_SHARE: f64 = 0.5;

/// The smallest fall that is reported.
const MIN_FALL: f64 = 0.1;

impl Collapse {
    /// The first collapse of a run.
    pub(super) fn of(run: &RunRecord) -> Option<Self> {
        let min_duration = run.budget() / 10;
        let mut best = 0.0_f64;
        let mut low: Option<Self> = None;
        for evaluation in &run.evaluations {
            let success = evaluation.summary.success.value;
            let step = evaluation.global_step;
            if is_collapsed(best, success) {
                let collapse = low.get_or_insert(Self {
                    global_step: step,
                    best,
                    lowest: success,
                });
                collapse.lowest = collapse.lowest.min(success);
                if step - collapse.global_step >= min_duration {
                    return low;
                }
            } else {
                low = None;
                best = best.max(success);
            }
        }
        Self::at_the_end(run, low)
    }

    /// The collapse in which a run ends. `low` is that of the last validation.
    fn at_the_end(run: &RunRecord, low: Option<Self>) -> Option<Self> {
        // A run that goes on may recover, and one that diverged counts as diverged.
        if !run.info.is_over() || run.diverged.is_some() {
            return None;
        }
        let (Some(best), Some(last)) = (&run.evaluation, &run.last_evaluation) else {
            return low;
        };
        let [best, last] = [best, last].map(|report| report.summary.success.value);
        is_collapsed(best, last).then(|| {
            low.unwrap_or(Self {
                global_step: run.info.global_step,
                best,
                lowest: last,
            })
        })
    }
}

/// Whether a success is that of a collapsed run, after a best one.
fn is_collapsed(best: f64, success: f64) -> bool {
    best >= MIN_BEST_SUCCESS && success < best * COLLAPSED_SHARE
}

impl Fall {
    /// The fall of a run.
    pub(super) fn of(run: &RunRecord) -> Option<Self> {
        if run.diverged.is_some() {
            return None;
        }
        let (best, last) = (run.evaluation.as_ref()?, run.last_evaluation.as_ref()?);
        let [best_success, last_success] = [best, last].map(|report| report.summary.success);
        let step = |report: &evenkeel_runs::eval::EvalReport| {
            Some(report.checkpoint.as_ref()?.global_step)
        };
        let is_large = best_success.value - last_success.value >= MIN_FALL
            && last_success.high < best_success.low;
        is_large.then(|| Self {
            best_step: step(best),
            best: best_success.value,
            last_step: step(last).unwrap_or(run.info.global_step),
            last: last_success.value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::test_runs::{evaluated, run, validation};
    use evenkeel_runs::runs::RunStatus;

    /// A run of 1000 steps with these validations `(step, success)`.
    fn validated(curve: &[(u64, f64)]) -> RunRecord {
        let mut run = run("reference", "raw", 1);
        run.evaluations = curve
            .iter()
            .map(|&(step, success)| validation(step, success))
            .collect();
        run
    }

    #[test]
    fn a_run_that_ends_far_below_its_best_has_collapsed_and_fallen() {
        let mut run = validated(&[(235, 1.0), (500, 0.95), (970, 0.9), (1000, 0.3)]);
        let expect = Collapse {
            global_step: 1000,
            best: 1.0,
            lowest: 0.3,
        };
        assert_eq!(run.collapse(), Some(expect));
        run.evaluation = Some(evaluated("best", 235, 1.0));
        run.last_evaluation = Some(evaluated("last", 1000, 0.316));
        assert_eq!(run.collapse(), Some(expect));
        let fall = Fall {
            best_step: Some(235),
            best: 1.0,
            last_step: 1000,
            last: 0.316,
        };
        assert_eq!(run.fall(), Some(fall));
    }

    #[test]
    fn the_held_out_episodes_decide_about_the_end() {
        let mut run = validated(&[(235, 1.0), (1000, 0.4)]);
        run.evaluation = Some(evaluated("best", 235, 1.0));
        run.last_evaluation = Some(evaluated("last", 1000, 0.7));
        assert_eq!(run.collapse(), None);
        assert!(run.fall().is_some());
        run.last_evaluation = Some(evaluated("last", 1000, 0.95));
        assert_eq!(run.fall(), None, "five points are not a fall");
    }

    #[test]
    fn a_long_low_is_a_collapse_even_if_the_run_recovers() {
        let run = validated(&[(200, 0.9), (300, 0.2), (420, 0.1), (1000, 0.95)]);
        let expect = Collapse {
            global_step: 300,
            best: 0.9,
            lowest: 0.1,
        };
        assert_eq!(run.collapse(), Some(expect));
        let dip = validated(&[(200, 0.9), (300, 0.2), (350, 0.9), (1000, 0.95)]);
        assert_eq!(dip.collapse(), None);
        let never_learned = validated(&[(200, 0.2), (1000, 0.0)]);
        assert_eq!(never_learned.collapse(), None);
    }

    #[test]
    fn an_unfinished_run_may_recover() {
        let mut run = validated(&[(200, 0.9), (250, 0.2)]);
        run.info.status = RunStatus::Stopped;
        assert_eq!(run.collapse(), None);
    }
}
