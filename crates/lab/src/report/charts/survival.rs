//! Survival curves: the share of runs that have not diverged, by the Kaplan–Meier estimate.

use serde::Serialize;

use super::axis::StepAxis;
use super::step_bins::{StepBins, steps_taken};
use crate::report::arm_runs::ArmRuns;
use evenkeel_runs::stats::{Lifetime, MIN_SEEDS, kaplan_meier, wilson};
use evenkeel_runs::telemetry::format::{counted, percent};

/// Survival curves of all arms.
#[derive(Debug, Serialize)]
pub(in crate::report) struct SurvivalChart {
    title: &'static str,
    help: &'static str,
    axis: StepAxis,
    arms: Vec<ArmSurvival>,
}

/// The survival curve of one arm, a step function.
#[derive(Debug, PartialEq, Serialize)]
struct ArmSurvival {
    arm: usize,
    runs: u64,
    /// Runs that diverged.
    failed: u64,
    /// `(optimiser step, share of runs that survive it)`, where the curve drops.
    drops: Vec<(f64, f64)>,
    /// Ends of the 95 % confidence interval after each drop, if there are enough runs.
    intervals: Option<Vec<[f64; 2]>>,
    /// `(optimiser step, share)` where runs ended without diverging: they are censored.
    censored: Vec<(f64, f64)>,
}

/// The survival curves.
///
/// # Errors
/// A sentence that says so, if no run diverged.
pub(in crate::report) fn survival(
    arms: &[ArmRuns],
    bins: &StepBins,
) -> Result<SurvivalChart, String> {
    if arms
        .iter()
        .all(|arm| arm.runs.iter().all(|run| run.diverged.is_none()))
    {
        return Err(no_divergence_text(arms));
    }
    let curve = |arm: &ArmRuns| {
        let lifetimes: Vec<Lifetime> = arm
            .runs
            .iter()
            .map(|run| match &run.diverged {
                Some(diverged) => Lifetime {
                    time: diverged.optimiser_step as f64,
                    failed: true,
                },
                None => Lifetime {
                    time: steps_taken(run) as f64,
                    failed: false,
                },
            })
            .collect();
        let survival = kaplan_meier(&lifetimes)?;
        let drops = || survival.points.iter().filter(|point| point.failed > 0);
        let censored = survival.points.iter().filter(|point| point.censored > 0);
        let enough = arm.runs.len() >= MIN_SEEDS;
        Some(ArmSurvival {
            arm: arm.index,
            runs: survival.runs,
            failed: drops().map(|point| point.failed).sum(),
            drops: drops().map(|p| (p.time, p.survival.value)).collect(),
            intervals: enough.then(|| drops().map(|p| [p.survival.low, p.survival.high]).collect()),
            censored: censored.map(|p| (p.time, p.survival.value)).collect(),
        })
    };
    Ok(SurvivalChart {
        title: "runs that have not diverged",
        help: "share of each arm's runs that have not diverged by an optimiser step (Kaplan & Meier); \
               a vertical stroke marks runs that ended without diverging. The line that stays at the \
               top is the stable arm",
        axis: bins.axis(),
        arms: arms.iter().filter_map(curve).collect(),
    })
}

/// Says that no run diverged, with an upper bound for the share. Many arms are summarised together.
fn no_divergence_text(arms: &[ArmRuns]) -> String {
    const MAX_LISTED: usize = 4;
    let bound_text = |who: String, runs: usize, last: Option<u64>| {
        let bound = wilson(0, runs as u64).high;
        format!(
            "{who} none of {} within {} (95 % confidence interval of the share: 0 to \
             {})",
            counted(runs, "run"),
            counted(last.unwrap_or(0), "optimiser step"),
            percent(bound),
        )
    };
    let last = |arm: &ArmRuns| arm.runs.iter().map(|run| steps_taken(run)).max();
    let bounds = if arms.len() > MAX_LISTED {
        let runs = arms.iter().map(|arm| arm.runs.len()).sum();
        let who = format!("{} arms together:", arms.len());
        bound_text(who, runs, arms.iter().filter_map(last).max())
    } else {
        let each = arms
            .iter()
            .map(|arm| bound_text(format!("`{}`:", arm.name), arm.runs.len(), last(arm)));
        each.collect::<Vec<_>>().join("; ")
    };
    format!("No run diverged, so there is no survival curve. {bounds}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs::{arms, diverge, run};

    #[test]
    fn a_run_that_ends_without_diverging_is_censored() {
        let mut runs = vec![
            run("unclipped", 1, 100),
            run("unclipped", 2, 40),
            run("unclipped", 3, 60),
            run("unclipped", 4, 100),
        ];
        diverge(&mut runs[1], 40);
        // The third run is censored at 60.
        diverge(&mut runs[3], 80);
        let arms = arms(&runs);
        let chart = survival(&arms, &StepBins::new(&arms)).unwrap();
        let arm = &chart.arms[0];
        assert_eq!((arm.runs, arm.failed), (4, 2));
        assert_eq!(arm.drops, [(40.0, 0.75), (80.0, 0.375)]);
        assert_eq!(arm.censored, [(60.0, 0.75), (100.0, 0.375)]);
        assert_eq!(arm.intervals, None, "an interval for four runs");
    }

    #[test]
    fn without_divergence_a_sentence_gives_the_upper_bound() {
        let runs: Vec<_> = (1..=5).map(|seed| run("clipped", seed, 30)).collect();
        let arms = arms(&runs);
        let sentence = survival(&arms, &StepBins::new(&arms)).unwrap_err();
        assert_eq!(
            sentence,
            "No run diverged, so there is no survival curve. `clipped`: none of 5 runs within 30 \
             optimiser steps (95 % confidence interval of the share: 0 to 43.4 %)."
        );
    }
}
