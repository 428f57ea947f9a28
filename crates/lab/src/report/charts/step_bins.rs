//! Optimiser steps along an axis, in bins that are few enough to be drawn. Every step is in one
//! bin, and a bin holds at least one step.

use super::StepAxis;
use crate::lab::RunRecord;
use crate::report::ArmRuns;
use evenkeel_runs::telemetry::UpdateReport;

/// Bins at most.
const BINS: u64 = 240;
/// A run that diverges within this share of the longest run's steps would be a sliver of a linear
/// axis.
const SLIVER: f64 = 0.1;

/// Optimiser steps in bins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::report) struct StepBins {
    /// Bin `i` holds the steps from `edges[i]` up to but not with `edges[i + 1]`.
    pub(super) edges: Vec<u64>,
    pub(super) log: bool,
}

impl StepBins {
    /// Up to the last step of the longest run.
    pub(in crate::report) fn new(arms: &[ArmRuns]) -> Self {
        let runs = || arms.iter().flat_map(|arm| &arm.runs);
        let end = runs().map(|run| steps_taken(run)).max().unwrap_or(0).max(1);
        let sliver = |run: &&&RunRecord| {
            let diverged = run.diverged.as_ref();
            diverged.is_some_and(|at| (at.optimiser_step as f64) < SLIVER * end as f64)
        };
        Self::up_to(end, runs().any(|run| sliver(&run)))
    }

    fn up_to(end: u64, log: bool) -> Self {
        let place = |bin: u64| {
            let share = bin as f64 / BINS as f64;
            let place = if log {
                (end as f64 + 1.0).powf(share) - 1.0
            } else {
                end as f64 * share
            };
            place.round() as u64
        };
        let mut edges: Vec<u64> = (0..BINS).map(place).filter(|edge| *edge < end).collect();
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

    pub(super) fn bins(&self) -> usize {
        self.edges.len() - 1
    }

    /// The bin of a step; the last for what is beyond.
    pub(in crate::report) fn bin(&self, step: u64) -> usize {
        let after = self.edges.partition_point(|edge| *edge <= step);
        after.saturating_sub(1).min(self.bins() - 1)
    }

    /// The step in the middle of a bin.
    pub(super) fn middle(&self, bin: usize) -> f64 {
        (self.edges[bin] + self.edges[bin + 1] - 1) as f64 / 2.0
    }

    /// How many steps a column is, in words.
    pub(super) fn column_width_text(&self) -> String {
        let widths = || self.edges.windows(2).map(|pair| pair[1] - pair[0]);
        let (least, most) = (widths().min().unwrap_or(1), widths().max().unwrap_or(1));
        match (least, most) {
            (_, 1) => "one optimiser step".into(),
            (least, most) if least == most => format!("{most} optimiser steps"),
            (least, most) => format!("{least} to {most} optimiser steps"),
        }
    }

    /// The values of steps, bin by bin.
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

/// Optimiser steps that a run took, or tried.
pub(super) fn steps_taken(run: &RunRecord) -> u64 {
    let logged = run.steps.last().map_or(0, |step| step.optimiser_step + 1);
    let told = run.iterations.last().map_or(0, |i| i.optimiser_step);
    let diverged = run.diverged.as_ref().map(|at| at.optimiser_step + 1);
    diverged.unwrap_or_else(|| logged.max(told))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_in_a_bin_and_no_bin_is_empty() {
        for log in [false, true] {
            for end in [1, 2, 7, 239, 240, 241, 780, 100_000] {
                let time = StepBins::up_to(end, log);
                assert!(time.bins() <= BINS as usize, "{end}");
                assert!(time.edges.windows(2).all(|pair| pair[0] < pair[1]), "{end}");
                assert_eq!((time.edges[0], time.axis().end), (0, end as f64));
                let mut filled = vec![0_u64; time.bins()];
                for step in 0..end {
                    let bin = time.bin(step);
                    assert!((time.edges[bin]..time.edges[bin + 1]).contains(&step));
                    filled[bin] += 1;
                }
                assert!(filled.iter().all(|steps| *steps > 0), "{end}");
            }
        }
    }

    #[test]
    fn the_first_steps_stand_by_themselves_on_a_logarithmic_axis() {
        let time = StepBins::up_to(800, true);
        assert_eq!(time.edges[..13], (0..13).collect::<Vec<u64>>());
        assert!(time.middle(5) - 5.0 < 1e-12);
        assert_eq!(time.bin(1_000_000), time.bins() - 1);
    }
}
