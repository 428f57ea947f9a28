//! Figures of every optimiser step: the norm of its gradient, how far it moved the weights. Their
//! tails are the point, so that a band is all steps of all runs and not an interval of a mean.

use super::{
    Chart, EventLane, LineChart, Series, StepBins, ValueScale, divergences, round_to_four_digits,
};
use crate::report::ArmRuns;
use evenkeel_runs::stats::quantile;
use evenkeel_runs::telemetry::UpdateReport;

/// How every chart of this kind is to be read.
const BAND: &str = "the line is the median over the steps of all seeds, the band from the least to \
                    the greatest";

/// The gradient's norm before any clip, with what the detectors saw.
pub(in crate::report) fn grad_norm(
    arms: &[ArmRuns],
    time: &StepBins,
    lanes: Vec<EventLane>,
) -> Option<Chart> {
    let mut levels: Vec<(Option<usize>, f64, String)> = Vec::new();
    for ArmRuns { index, runs, .. } in arms {
        let threshold = runs.iter().find_map(|run| run.clip_threshold());
        if let Some(threshold) = threshold.filter(|threshold| threshold.is_finite()) {
            levels.push((Some(*index), threshold, "clip".into()));
        }
    }
    // One line where arms share a threshold.
    levels.dedup_by(|a, b| a.1.total_cmp(&b.1).is_eq());
    let chart = over_steps(arms, time, positive(|step| step.grad_norm));
    LineChart {
        id: "grad_norm",
        title: "gradient norm".into(),
        help: format!("L2 norm over all parameters before any clip; {BAND}"),
        scale: ValueScale::Log,
        levels,
        lanes,
        ..chart
    }
    .into_chart()
}

/// How far each step moved the weights.
pub(in crate::report) fn update_ratio(arms: &[ArmRuns], time: &StepBins) -> Option<Chart> {
    let chart = over_steps(arms, time, positive(|step| step.update_ratio));
    LineChart {
        id: "update_ratio",
        title: "applied step ‖Δθ‖ / ‖θ‖".into(),
        help: format!(
            "share of their own size by which the weights moved; beyond a tenth a single step undoes \
             what many have learnt; {BAND}"
        ),
        scale: ValueScale::Log,
        ..chart
    }
    .into_chart()
}

/// Whether the applied step still goes down the raw gradient.
pub(in crate::report) fn update_cosine(arms: &[ArmRuns], time: &StepBins) -> Option<Chart> {
    let chart = over_steps(arms, time, |step| step.update_cosine);
    LineChart {
        id: "update_cosine",
        title: "applied step against raw gradient".into(),
        help: format!(
            "cosine between the two: 1 straight down the raw gradient, 0 across it; a scaled \
             gradient keeps 1, momentum and Adam turn it; {BAND}"
        ),
        scale: ValueScale::Linear,
        bounds: Some([-1.0, 1.0]),
        ..chart
    }
    .into_chart()
}

/// How the gradient grows on its way back through time.
pub(in crate::report) fn time_growth(arms: &[ArmRuns], time: &StepBins) -> Option<Chart> {
    let chart = over_steps(arms, time, positive(|step| step.hidden_grad_growth));
    LineChart {
        id: "hidden_grad_growth",
        title: "growth of ‖∂L/∂h‖ per step back in time".into(),
        help: format!(
            "by what factor the gradient grows with each step that it travels back: above 1 it \
             explodes over a sequence that is long enough (1.1 over 60 steps is 300), below 1 it \
             vanishes; {BAND}"
        ),
        scale: ValueScale::Linear,
        levels: vec![(None, 1.0, "stays the same".into())],
        ..chart
    }
    .into_chart()
}

fn positive(of: fn(&UpdateReport) -> Option<f64>) -> impl Fn(&UpdateReport) -> Option<f64> {
    move |step| of(step).filter(|value| *value > 0.0)
}

/// The frame of a chart of one figure of every optimiser step.
fn over_steps(
    arms: &[ArmRuns],
    time: &StepBins,
    of: impl Fn(&UpdateReport) -> Option<f64>,
) -> LineChart {
    let finite = |step: &UpdateReport| of(step).filter(|value| value.is_finite());
    let curve = |arm: &ArmRuns| {
        let mut curve = Series {
            arm: arm.index,
            ..Series::default()
        };
        let steps = arm.runs.iter().flat_map(|run| &run.steps);
        for (index, mut values) in time.binned(steps, finite).into_iter().enumerate() {
            values.sort_unstable_by(f64::total_cmp);
            let Some(middle) = quantile(&values, 0.5) else {
                continue;
            };
            curve.x.push(time.middle(index));
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
        axis: time.axis(),
        scale: ValueScale::Linear,
        bounds: None,
        runs: false,
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
    use crate::report::test::{arms, run};

    #[test]
    fn a_spike_of_a_single_step_stays_in_the_band() {
        let mut run = run("clipped", 1, 5000);
        run.steps[2500].grad_norm = Some(77.0);
        let runs = [run];
        let arms = arms(&runs);
        let time = StepBins::new(&arms);
        let Some(Chart::LineChart(chart)) = grad_norm(&arms, &time, Vec::new()) else {
            panic!("a chart of the norm");
        };
        let curve = &chart.series[0];
        assert!(curve.x.len() <= 240 && curve.n.iter().sum::<usize>() == 5000);
        let highest = curve.high.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
        assert!((highest - 77.0).abs() < 1e-9);
        assert!(curve.mid.iter().flatten().all(|middle| *middle < 2.0));
    }
}
