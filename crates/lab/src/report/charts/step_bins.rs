//! Bins of optimiser steps along an axis, few enough to draw. Every step is in exactly one bin, and
//! no bin is empty.

use super::axis::StepAxis;
use crate::lab::RunRecord;
use crate::report::arm_runs::ArmRuns;
use evenkeel_runs::telemetry::UpdateReport;

/// Maximum number of bins.
const MAX_BINS: u64 = 240;
/// If a run diverges within this share of the longest run's steps, the axis is logarithmic. On a
/// linear axis that run would be too narrow to see.
const MIN_LINEAR_SHARE: f64 = 0.1;

/// Bins of optimiser steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct StepBins {
    /// Bin `i` holds the steps from `edges[i]` to `edges[i + 1]`, exclusive.
    pub(super) edges: Vec<u64>,
    log: bool,
}

impl StepBins {
    /// Bins up to the last step of the longest run.
    pub(in crate::report) fn new(arms: &[ArmRuns]) -> Self {
        let runs = || arms.iter().flat_map(|arm| &arm.runs);
        let end = runs().map(|run| steps_taken(run)).max().unwrap_or(0).max(1);
        let diverged_early = |run: &&RunRecord| {
            let diverged = run.diverged.as_ref();
            diverged.is_some_and(|at| (at.optimiser_step as f64) < MIN_LINEAR_SHARE * end as f64)
        };
        Self::up_to(end, runs().any(diverged_early))
    }

    fn up_to(end: u64, log: bool) -> Self {
        let edge = |bin: u64| {
            let share = bin as f64 / MAX_BINS as f64;
            let edge = if log {
                (end as f64 + 1.0).powf(share) - 1.0
            } else {
                end as f64 * share
            };
            edge.round() as u64
        };
        let mut edges: Vec<u64> = (0..MAX_BINS).map(edge).filter(|edge| *edge < end).collect();
        edges.push(end);
        edges.dedup();
        Self { edges, log }
    }

    pub(super) fn axis(&self) -> StepAxis {
        StepAxis {
            name: "optimiser steps",
            end: self.edges[self.edges.len() - 1] as f64,
            log: self.log,
            whole: true,
        }
    }

    /// Number of bins.
    pub(super) fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// The bin of a step. A step beyond the end is in the last bin.
    pub(in crate::report) fn bin(&self, step: u64) -> usize {
        let after = self.edges.partition_point(|edge| *edge <= step);
        after.saturating_sub(1).min(self.bins() - 1)
    }

    /// The step in the middle of a bin.
    pub(super) fn middle(&self, bin: usize) -> f64 {
        (self.edges[bin] + self.edges[bin + 1] - 1) as f64 / 2.0
    }

    /// Describes the number of steps in a bin.
    pub(super) fn column_width_text(&self) -> String {
        let widths = || self.edges.windows(2).map(|pair| pair[1] - pair[0]);
        let (least, most) = (widths().min().unwrap_or(1), widths().max().unwrap_or(1));
        match (least, most) {
            (_, 1) => "one optimiser step".into(),
            (least, most) if least == most => format!("{most} optimiser steps"),
            (least, most) => format!("{least} to {most} optimiser steps"),
        }
    }

    /// The values of the steps in each bin.
    pub(super) fn binned<'a, T>(
        &self,
        steps: impl Iterator<Item = &'a UpdateReport>,
        of: impl Fn(&'a UpdateReport) -> Option<T>,
    ) -> Vec<Vec<T>> {
        let mut bins: Vec<Vec<T>> = (0..self.bins()).map(|_| Vec::new()).collect();
        for step in steps {
            if let Some(value) = of(step) {
                bins[self.bin(step.optimiser_step)].push(value);
            }
        }
        bins
    }
}

/// Number of optimiser steps that a run took, including one that diverged.
pub(super) fn steps_taken(run: &RunRecord) -> u64 {
    let logged = run.steps.last().map_or(0, |step| step.optimiser_step + 1);
    let reported = run.iterations.last().map_or(0, |i| i.optimiser_step);
    let diverged = run.diverged.as_ref().map(|at| at.optimiser_step + 1);
    diverged.unwrap_or_else(|| logged.max(reported))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_in_a_bin_and_no_bin_is_empty() {
        for log in [false, true] {
            for end in [1, 2, 7, 239, 240, 241, 780, 100_000] {
                let bins = StepBins::up_to(end, log);
                assert!(bins.bins() <= MAX_BINS as usize, "{end}");
                assert!(bins.edges.windows(2).all(|pair| pair[0] < pair[1]), "{end}");
                assert_eq!((bins.edges[0], bins.axis().end), (0, end as f64));
                let mut filled = vec![0_u64; bins.bins()];
                for step in 0..end {
                    let bin = bins.bin(step);
                    assert!((bins.edges[bin]..bins.edges[bin + 1]).contains(&step));
                    filled[bin] += 1;
                }
                assert!(filled.iter().all(|steps| *steps > 0), "{end}");
            }
        }
    }

    #[test]
    fn the_first_steps_have_their_own_bins_on_a_logarithmic_axis() {
        let bins = StepBins::up_to(800, true);
        assert_eq!(bins.edges[..13], (0..13).collect::<Vec<u64>>());
        assert!(bins.middle(5) - 5.0 < 1e-12);
        assert_eq!(bins.bin(1_000_000), bins.bins() - 1);
    }
}
