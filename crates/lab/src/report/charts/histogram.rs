//! Histograms over optimiser steps: the gradient norm, and the factor by which clipping scaled it.

use serde::Serialize;

use super::axis::round_to_four_digits;
use crate::lab::RunRecord;
use crate::report::arm_runs::ArmRuns;
use evenkeel_runs::stats::{mean, quantile};
use evenkeel_runs::telemetry::UpdateReport;
use evenkeel_runs::telemetry::format::{number, percent};

/// Bins, equally wide on the logarithmic axis.
const BINS: usize = 64;

/// Histograms of all arms on one logarithmic axis.
#[derive(Debug, Serialize)]
pub(in crate::report) struct Histogram {
    title: String,
    help: String,
    /// Name of the axis.
    axis: &'static str,
    /// Ends of the axis.
    range: [f64; 2],
    /// Vertical lines: `(arm, value, label)`.
    lines: Vec<(usize, f64, String)>,
    arms: Vec<ArmHistogram>,
}

/// The histogram of one arm.
#[derive(Debug, PartialEq, Serialize)]
struct ArmHistogram {
    arm: usize,
    /// Share of the arm's optimiser steps in each bin.
    shares: Vec<f64>,
    /// `(name, value)` of quantiles, from the median to the extreme.
    marks: Vec<(&'static str, f64)>,
    /// A remark.
    note: String,
}

/// Gradient norms before any clip.
pub(in crate::report) fn norms(arms: &[ArmRuns]) -> Option<Histogram> {
    let marks = [("P50", 0.5), ("P90", 0.9), ("P99", 0.99), ("max", 1.0)];
    let histograms = histograms(
        arms,
        |step| step.grad_norm,
        marks,
        |_, runs| {
            let nonfinite = steps(runs).filter(|step| step.grad_nonfinite > 0).count();
            match nonfinite {
                0 => String::new(),
                1 => "one step was not finite".into(),
                count => format!("{count} steps were not finite"),
            }
        },
    )?;
    let lines = arms.iter().filter_map(|arm| {
        let threshold = arm.runs.iter().find_map(|run| run.clip_threshold())?;
        Some((arm.index, threshold, "clip".into()))
    });
    Some(Histogram {
        title: "how large the gradients were".into(),
        help: "share of all optimiser steps by the norm of their gradient before any clip. A tail \
               to the right is what a clip cuts off; below, a dot is the median, ticks are the 90th \
               and 99th percentiles, a cross is the maximum"
            .into(),
        axis: "gradient norm",
        lines: lines.collect(),
        ..histograms
    })
}

/// Clip factors of the arms that clip.
pub(in crate::report) fn clip_factors(arms: &[ArmRuns]) -> Option<Histogram> {
    let marks = [("P50", 0.5), ("P10", 0.1), ("P1", 0.01), ("min", 0.0)];
    let histograms = histograms(arms, UpdateReport::clip_factor, marks, |values, runs| {
        let clipped = steps(runs).filter(|step| step.clipped()).count() as f64;
        let share = percent(clipped / steps(runs).count().max(1) as f64);
        let factor = mean(values).map_or(String::new(), number);
        format!("{share} of the steps clipped, mean factor {factor}")
    })?;
    Some(Histogram {
        title: "how much the clip took".into(),
        help: "share of all optimiser steps by the factor that their gradient was scaled with; 1 is \
               unchanged. If all mass is far from 1, the clip acts as a second learning rate; below, a \
               dot is the median, ticks are the 10th and 1st percentiles, a cross is the minimum"
            .into(),
        axis: "clip factor",
        ..histograms
    })
}

fn steps<'a>(runs: &'a [&RunRecord]) -> impl Iterator<Item = &'a UpdateReport> {
    runs.iter().flat_map(|run| &run.steps)
}

/// Builds the histograms without title; `note` gets the sorted values of an arm and its runs.
fn histograms(
    arms: &[ArmRuns],
    of: fn(&UpdateReport) -> Option<f64>,
    marks: [(&'static str, f64); 4],
    note: impl Fn(&[f64], &[&RunRecord]) -> String,
) -> Option<Histogram> {
    let values: Vec<Vec<f64>> = arms
        .iter()
        .map(|arm| {
            let values = steps(&arm.runs).filter_map(of);
            let mut values: Vec<f64> = values.filter(|v| v.is_finite() && *v > 0.0).collect();
            values.sort_unstable_by(f64::total_cmp);
            values
        })
        .collect();
    let ends = || values.iter().filter(|values| !values.is_empty());
    let low = ends().map(|values| values[0]).min_by(f64::total_cmp)?;
    let high = ends().map(|values| values[values.len() - 1]);
    let high = high.max_by(f64::total_cmp)?;
    // At least half a decade, so that values that hardly vary look like it.
    let margin = (3.2 / (high / low)).max(1.0).sqrt();
    let range = [low / margin, high * margin];
    let arms = arms
        .iter()
        .zip(&values)
        .filter(|(_, values)| !values.is_empty())
        .map(|(arm, values)| ArmHistogram {
            arm: arm.index,
            shares: histogram(values, range),
            marks: marks
                .iter()
                .filter_map(|(name, q)| Some((*name, round_to_four_digits(quantile(values, *q)?))))
                .collect(),
            note: note(values, &arm.runs),
        });
    Some(Histogram {
        title: String::new(),
        help: String::new(),
        axis: "",
        range,
        lines: Vec::new(),
        arms: arms.collect(),
    })
}

/// The share of the values in each of [`BINS`] bins of a logarithmic axis.
fn histogram(values: &[f64], [low, high]: [f64; 2]) -> Vec<f64> {
    let mut counts = vec![0_u32; BINS];
    for value in values {
        let bin = (value / low).ln() / (high / low).ln() * BINS as f64;
        counts[(bin.max(0.0) as usize).min(BINS - 1)] += 1;
    }
    let share = |count: u32| round_to_four_digits(f64::from(count) / values.len() as f64);
    counts.into_iter().map(share).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::test_runs::{arms, clip, run};

    #[test]
    fn shares_sum_to_one() {
        let values = [0.01, 0.1, 0.1, 1.0, 10.0, 100.0];
        let shares = histogram(&values, [0.01, 100.0]);
        assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-3);
        assert!((shares[0] - 1.0 / 6.0).abs() < 1e-3 && (shares[16] - 2.0 / 6.0).abs() < 1e-3);
        assert!((shares[63] - 1.0 / 6.0).abs() < 1e-3);
    }

    #[test]
    fn quantiles_are_over_all_steps_of_all_seeds() {
        let mut runs = [run("clipped", 1, 50), run("clipped", 2, 51)];
        let steps = runs.iter_mut().flat_map(|run| &mut run.steps);
        for (index, step) in steps.enumerate() {
            step.grad_norm = Some((index + 1) as f64);
        }
        runs[1].steps[50].grad_norm = None;
        let histograms = norms(&arms(&runs)).unwrap();
        assert_eq!(histograms.arms.len(), 1);
        let marks = &histograms.arms[0].marks;
        assert_eq!(marks[0], ("P50", 50.5));
        assert_eq!(marks[3], ("max", 100.0));
    }

    #[test]
    fn arms_without_a_clip_have_no_factors() {
        let mut runs = [run("clipped", 1, 10), run("unclipped", 1, 10)];
        for (index, step) in runs[0].steps.iter_mut().enumerate() {
            let norm = if index < 3 { 5.0 } else { 0.2 };
            step.clip = vec![clip(norm, 0.5)];
        }
        let histograms = clip_factors(&arms(&runs)).unwrap();
        assert_eq!(histograms.arms.len(), 1);
        let ArmHistogram { marks, note, .. } = &histograms.arms[0];
        assert_eq!((marks[0], marks[3]), (("P50", 1.0), ("min", 0.1)));
        assert_eq!(note, "30.0 % of the steps clipped, mean factor 0.730");
        assert!(clip_factors(&arms(&runs[1..])).is_none());
    }
}
