//! How long runs last before they diverge: the estimate of Kaplan & Meier, arm by arm.

use serde::Serialize;

use super::step_bins::steps_taken;
use super::{Chart, StepAxis, StepBins};
use crate::report::ArmRuns;
use evenkeel_runs::stats::{Lifetime, MIN_SEEDS, kaplan_meier, wilson};
use evenkeel_runs::telemetry::format::{percent, plural};

/// Staircases of the share of runs that have not diverged.
#[derive(Debug, Serialize)]
pub(in crate::report) struct SurvivalChart {
    title: &'static str,
    help: &'static str,
    axis: StepAxis,
    arms: Vec<ArmSurvival>,
}

/// One arm's staircase.
#[derive(Debug, PartialEq, Serialize)]
struct ArmSurvival {
    arm: usize,
    runs: u64,
    /// Runs that diverged.
    failed: u64,
    /// `(optimiser step, share that lasts longer)`, where it falls.
    drops: Vec<(f64, f64)>,
    /// Ends of the 95 % interval after each fall, where there are runs enough.
    intervals: Option<Vec<[f64; 2]>>,
    /// `(optimiser step, share)` where runs ended well: they are not known to last longer.
    censored: Vec<(f64, f64)>,
}

/// The staircases; or, where no run diverged, what can be said of that.
pub(in crate::report) fn survival(arms: &[ArmRuns], time: &StepBins) -> Result<Chart, String> {
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
    Ok(Chart::Survival(SurvivalChart {
        title: "runs that have not diverged",
        help: "share of each arm's runs still training at an optimiser step (Kaplan & Meier); a \
               stroke across marks where runs ended well, and are not known to last longer. The \
               line that stays on top is the stable arm",
        axis: time.axis(),
        arms: arms.iter().filter_map(curve).collect(),
    }))
}

/// Nothing diverged: how sure is that? Of many arms in one sentence.
fn no_divergence_text(arms: &[ArmRuns]) -> String {
    const EACH: usize = 4;
    let told = |who: String, runs: usize, last: Option<u64>| {
        let bound = wilson(0, runs as u64).high;
        format!(
            "{who} none of {runs} run{} within {} optimiser steps (95 % interval of the share: 0 to \
             {})",
            plural(runs),
            last.unwrap_or(0),
            percent(bound),
        )
    };
    let last = |arm: &ArmRuns| arm.runs.iter().map(|run| steps_taken(run)).max();
    let told = if arms.len() > EACH {
        let runs = arms.iter().map(|arm| arm.runs.len()).sum();
        let who = format!("{} arms together:", arms.len());
        told(who, runs, arms.iter().filter_map(last).max())
    } else {
        let each = arms
            .iter()
            .map(|arm| told(format!("`{}`:", arm.name), arm.runs.len(), last(arm)));
        each.collect::<Vec<_>>().join("; ")
    };
    format!("No run diverged, so there is no survival curve. {told}.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test::{arms, diverge, run};

    #[test]
    fn a_run_that_ends_well_is_censored_not_counted_as_lost() {
        let mut runs = vec![
            run("unclipped", 1, 100),
            run("unclipped", 2, 40),
            run("unclipped", 3, 60),
            run("unclipped", 4, 100),
        ];
        diverge(&mut runs[1], 40);
        // Stopped at 60, still well: three were at risk at 40, and it is among them.
        diverge(&mut runs[3], 80);
        let arms = arms(&runs);
        let Ok(Chart::Survival(chart)) = survival(&arms, &StepBins::new(&arms)) else {
            panic!("a survival curve");
        };
        let arm = &chart.arms[0];
        assert_eq!((arm.runs, arm.failed), (4, 2));
        assert_eq!(arm.drops, [(40.0, 0.75), (80.0, 0.375)]);
        assert_eq!(arm.ended, [(60.0, 0.75), (100.0, 0.375)]);
        assert_eq!(arm.intervals, None, "of four runs no interval");
    }

    #[test]
    fn where_nothing_diverged_a_sentence_says_how_sure_that_is() {
        let runs: Vec<_> = (1..=5).map(|seed| run("clipped", seed, 30)).collect();
        let arms = arms(&runs);
        let said = survival(&arms, &StepBins::new(&arms)).unwrap_err();
        assert_eq!(
            said,
            "No run diverged, so there is no survival curve. `clipped`: none of 5 runs within 30 \
             optimiser steps (95 % interval of the share: 0 to 43.4 %)."
        );
    }
}
