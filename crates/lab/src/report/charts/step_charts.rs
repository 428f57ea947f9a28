//! Line charts of optimiser steps: gradient norm, update size. Outliers matter here, so the band
//! spans all steps of all runs; it is not the interval of a mean.

use super::axis::{ValueScale, round_to_four_digits};
use super::line_chart::{EventLane, LineChart, Series, divergences};
use super::step_bins::StepBins;
use crate::report::arm_runs::ArmRuns;
use evenkeel_runs::stats::quantile;
use evenkeel_runs::telemetry::UpdateReport;

/// How to read a chart of this kind.
const BAND: &str = "the line is the median over the steps of all seeds, the band spans their minimum \
                    to their maximum";

/// The gradient norm before any clip, with the events of the detectors.
pub(in crate::report) fn grad_norm(
    arms: &[ArmRuns],
    bins: &StepBins,
    lanes: Vec<EventLane>,
) -> Option<LineChart> {
    let mut levels: Vec<(Option<usize>, f64, String)> = Vec::new();
    for ArmRuns { index, runs, .. } in arms {
        let threshold = runs.iter().find_map(|run| run.clip_threshold());
        if let Some(threshold) = threshold.filter(|threshold| threshold.is_finite()) {
            levels.push((Some(*index), threshold, "clip".into()));
        }
    }
    // Draw a shared threshold once.
    levels.dedup_by(|a, b| a.1.total_cmp(&b.1).is_eq());
    let chart = over_steps(arms, bins, positive(|step| step.grad_norm));
    LineChart {
        id: "grad_norm",
        title: "gradient norm".into(),
        help: format!("L2 norm over all parameters before any clip; {BAND}"),
        scale: ValueScale::Log,
        levels,
        lanes,
        ..chart
    }
    .non_empty()
}

/// The relative size of each update.
pub(in crate::report) fn update_ratio(arms: &[ArmRuns], bins: &StepBins) -> Option<LineChart> {
    let chart = over_steps(arms, bins, positive(|step| step.update_ratio));
    LineChart {
        id: "update_ratio",
        title: "applied step ‖Δθ‖ / ‖θ‖".into(),
        help: format!(
            "update size relative to the weights; above 0.1 a single step undoes what many steps have \
             learned; {BAND}"
        ),
        scale: ValueScale::Log,
        ..chart
    }
    .non_empty()
}

/// Whether the applied step still points down the raw gradient.
pub(in crate::report) fn update_cosine(arms: &[ArmRuns], bins: &StepBins) -> Option<LineChart> {
    let chart = over_steps(arms, bins, |step| step.update_cosine);
    LineChart {
        id: "update_cosine",
        title: "applied step against raw gradient".into(),
        help: format!(
            "cosine between the two: 1 is straight down the raw gradient, 0 is perpendicular to it; \
             scaling the gradient keeps it at 1, momentum and Adam lower it; {BAND}"
        ),
        scale: ValueScale::Linear,
        bounds: Some([-1.0, 1.0]),
        ..chart
    }
    .non_empty()
}

/// The growth of the gradient per step back in time.
pub(in crate::report) fn time_growth(arms: &[ArmRuns], bins: &StepBins) -> Option<LineChart> {
    let chart = over_steps(arms, bins, positive(|step| step.hidden_grad_growth));
    LineChart {
        id: "hidden_grad_growth",
        title: "growth of ‖∂L/∂h‖ per step back in time".into(),
        help: format!(
            "factor by which the gradient grows with each step back in time: above 1 it explodes \
             over a long sequence (1.1 over 60 steps is 300), below 1 it vanishes; {BAND}"
        ),
        scale: ValueScale::Linear,
        levels: vec![(None, 1.0, "no growth".into())],
        ..chart
    }
    .non_empty()
}

fn positive(of: fn(&UpdateReport) -> Option<f64>) -> impl Fn(&UpdateReport) -> Option<f64> {
    move |step| of(step).filter(|value| *value > 0.0)
}

/// A chart of one value of every optimiser step, without title.
fn over_steps(
    arms: &[ArmRuns],
    bins: &StepBins,
    of: impl Fn(&UpdateReport) -> Option<f64>,
) -> LineChart {
    let finite = |step: &UpdateReport| of(step).filter(|value| value.is_finite());
    let curve = |arm: &ArmRuns| {
        let mut curve = Series {
            arm: arm.index,
            ..Series::default()
        };
        let steps = arm.runs.iter().flat_map(|run| &run.steps);
        for (index, mut values) in bins.binned(steps, finite).into_iter().enumerate() {
            values.sort_unstable_by(f64::total_cmp);
            let Some(middle) = quantile(&values, 0.5) else {
                continue;
            };
            curve.x.push(bins.middle(index));
            curve.mid.push(Some(round_to_four_digits(middle)));
            curve
                .low
                .push(values.first().copied().map(round_to_four_digits));
            curve
                .high
                .push(values.last().copied().map(round_to_four_digits));
            curve.n.push(values.len());
        }
        curve
    };
    LineChart {
        id: "",
        title: String::new(),
        unit: "",
        help: String::new(),
        axis: bins.axis(),
        scale: ValueScale::Linear,
        bounds: None,
        aggregates_runs: false,
        levels: Vec::new(),
        marks: divergences(arms, |run| {
            Some(run.diverged.as_ref()?.optimiser_step as f64)
        }),
        lanes: Vec::new(),
        series: arms.iter().map(curve).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs::{arms, run};

    #[test]
    fn a_spike_in_a_single_step_stays_in_the_band() {
        let mut run = run("clipped", 1, 5000);
        run.steps[2500].grad_norm = Some(77.0);
        let runs = [run];
        let arms = arms(&runs);
        let bins = StepBins::new(&arms);
        let chart = grad_norm(&arms, &bins, Vec::new()).unwrap();
        let curve = &chart.series[0];
        assert!(curve.x.len() <= 240 && curve.n.iter().sum::<usize>() == 5000);
        let highest = curve.high.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
        assert!((highest - 77.0).abs() < 1e-9);
        assert!(curve.mid.iter().flatten().all(|middle| *middle < 2.0));
    }
}
