//! The runs of a report, grouped by arm.

use crate::lab::RunRecord;

/// The runs of one arm in one scenario.
pub(super) struct ArmRuns<'a> {
    /// Index among all arms of the page, which sets its colour.
    pub(super) index: usize,
    /// Name of the arm.
    pub(super) name: &'a str,
    /// Its runs, in the order of seeds.
    pub(super) runs: Vec<&'a RunRecord>,
}

impl ArmRuns<'_> {
    /// Whether the trajectories of held-out episodes are known.
    pub(super) fn has_episodes(&self) -> bool {
        let mut evaluations = self.runs.iter().filter_map(|run| run.evaluation.as_ref());
        evaluations.any(|evaluation| !evaluation.traces.is_empty())
    }
}
