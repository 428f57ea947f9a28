//! Line charts over environment steps. The runs of an arm are resampled at common steps, then
//! aggregated: the interquartile mean over seeds, with its bootstrap interval. The number of points is
//! bounded, to keep the page small.

use super::axis::{StepAxis, ValueScale, round_to_four_digits};
use super::line_chart::{LineChart, Series, diverged_at, divergences, survivor_note};
use crate::lab::RunRecord;
use crate::report::arm_runs::ArmRuns;
use evenkeel_runs::stats::{Bootstrap, MIN_SEEDS};
use evenkeel_runs::telemetry::{ITERATION_METRICS, IterationReport, Metric};

/// Maximum number of points of a curve. Finer detail is noise of single iterations.
const MAX_POINTS: usize = 120;

/// The chart of success over validation episodes during training; `None` if no run was evaluated.
pub(in crate::report) fn success_chart(arms: &[ArmRuns]) -> Option<LineChart> {
    let curve = |run: &RunRecord| -> Vec<(f64, f64)> {
        let points = run.success_curve().into_iter();
        let mut points: Vec<(f64, f64)> =
            points.map(|(step, value)| (step as f64, value)).collect();
        // Every success curve starts at (0, 0): one without another point has no evaluation.
        if points.len() == 1 {
            points.clear();
        }
        // The curve of a diverged run ends at 0, and stays there for the rest of the budget.
        if run.diverged.is_some() {
            points.push((run.budget() as f64, 0.0));
        }
        points
    };
    LineChart {
        id: "success",
        title: "success".into(),
        unit: "",
        help: "share of validation episodes that reach the goal, deterministic policy; a diverged \
               run counts as 0"
            .into(),
        axis: StepAxis::environment(arms),
        scale: ValueScale::Percent,
        bounds: None,
        aggregates_runs: true,
        levels: Vec::new(),
        marks: divergences(arms, diverged_at),
        lanes: Vec::new(),
        series: over_seeds(arms, curve, true),
    }
    .non_empty()
}

/// The chart of a metric of iterations; `None` if no run measured it.
///
/// # Panics
/// If no metric of the registry has this tag.
pub(in crate::report) fn iteration_metric_chart(
    arms: &[ArmRuns],
    tag: &'static str,
) -> Option<LineChart> {
    let percent = ["charts/success_rate", "stability/clip_share"];
    let scale = if percent.contains(&tag) {
        ValueScale::Percent
    } else {
        ValueScale::Linear
    };
    let metric: &Metric<IterationReport> = ITERATION_METRICS
        .iter()
        .find(|metric| metric.tag == tag)
        .expect("the tag is in the registry");
    let curve = |run: &RunRecord| -> Vec<(f64, f64)> {
        let points = run.iterations.iter();
        points
            .filter_map(|i| Some((i.global_step as f64, metric.read(i)?)))
            .collect()
    };
    let show_runs = tag.starts_with("charts/");
    let series = if tag == "stability/clip_share" {
        let clips = |arm: &&ArmRuns| arm.runs.iter().any(|run| run.clips());
        over_seeds(arms.iter().filter(clips), curve, show_runs)
    } else {
        over_seeds(arms, curve, show_runs)
    };
    LineChart {
        id: tag,
        title: metric.name.into(),
        unit: metric.unit,
        help: format!("{}{}", metric.help, survivor_note(arms)),
        axis: StepAxis::environment(arms),
        scale,
        bounds: None,
        aggregates_runs: true,
        levels: Vec::new(),
        marks: divergences(arms, diverged_at),
        lanes: Vec::new(),
        series,
    }
    .non_empty()
}

/// Aggregates the runs of each arm; `curve` returns the points `(step, value)` of a run.
pub(super) fn over_seeds<'a>(
    arms: impl IntoIterator<Item = &'a ArmRuns<'a>>,
    curve: impl Fn(&RunRecord) -> Vec<(f64, f64)>,
    show_runs: bool,
) -> Vec<Series> {
    arms.into_iter()
        .map(
            |ArmRuns {
                 index: arm, runs, ..
             }| {
                let curves: Vec<Vec<(f64, f64)>> = runs.iter().map(|run| curve(run)).collect();
                let x = common_steps(&curves);
                let resampled: Vec<Vec<Option<f64>>> =
                    curves.iter().map(|curve| resample(curve, &x)).collect();
                aggregate(*arm, x, resampled, show_runs)
            },
        )
        .collect()
}

/// Aggregates runs that are resampled at the steps `x`. The series contains the curves of the single
/// runs too, if `show_runs` and there are several.
fn aggregate(arm: usize, x: Vec<f64>, runs: Vec<Vec<Option<f64>>>, show_runs: bool) -> Series {
    let bootstrap = Bootstrap {
        // A fixed seed: the same runs give the same page.
        root: 0,
        resamples: 1000,
    };
    let mut series = Series {
        arm,
        ..Series::default()
    };
    for point in 0..x.len() {
        let values: Vec<f64> = runs.iter().filter_map(|run| run[point]).collect();
        let middle = bootstrap.interquartile_mean(&[&values]);
        series.n.push(values.len());
        series
            .mid
            .push(middle.map(|m| round_to_four_digits(m.value)));
        // No interval for few runs: a bootstrap over them is too narrow.
        let interval = middle.filter(|_| values.len() >= MIN_SEEDS);
        series
            .low
            .push(interval.map(|m| round_to_four_digits(m.low)));
        series
            .high
            .push(interval.map(|m| round_to_four_digits(m.high)));
    }
    if show_runs && runs.len() > 1 {
        series.runs = runs
            .into_iter()
            .map(|run| {
                run.into_iter()
                    .map(|value| value.map(round_to_four_digits))
                    .collect()
            })
            .collect();
    }
    series.x = x;
    series
}

/// The steps at which any run has a point. If there are more than [`MAX_POINTS`], evenly spaced steps.
fn common_steps(curves: &[Vec<(f64, f64)>]) -> Vec<f64> {
    let mut steps: Vec<f64> = curves.iter().flatten().map(|point| point.0).collect();
    steps.sort_unstable_by(f64::total_cmp);
    steps.dedup();
    match steps.last() {
        Some(&last) if steps.len() > MAX_POINTS => (1..=MAX_POINTS)
            .map(|i| (last * i as f64 / MAX_POINTS as f64).round())
            .collect(),
        _ => steps,
    }
}

/// Resamples a run's curve at the given steps: the mean of its points since the previous step, or
/// linear interpolation if there are none. Absent before its first point and after its last.
fn resample(curve: &[(f64, f64)], steps: &[f64]) -> Vec<Option<f64>> {
    let mut previous = f64::NEG_INFINITY;
    steps
        .iter()
        .map(|&step| {
            let first = curve.partition_point(|point| point.0 <= previous);
            let end = curve.partition_point(|point| point.0 <= step);
            previous = step;
            if first < end {
                let within = &curve[first..end];
                return Some(within.iter().map(|point| point.1).sum::<f64>() / within.len() as f64);
            }
            let (left, right) = (curve.get(end.checked_sub(1)?)?, curve.get(end)?);
            let share = (step - left.0) / (right.0 - left.0);
            Some(left.1 + share * (right.1 - left.1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_keeps_its_points_and_is_interpolated_between_them() {
        let curve = [(0.0, 0.0), (10.0, 1.0)];
        let resampled = resample(&curve, &[0.0, 5.0, 10.0, 15.0]);
        assert_eq!(resampled, [Some(0.0), Some(0.5), Some(1.0), None]);
    }

    #[test]
    fn many_points_are_averaged_into_few() {
        let curve: Vec<(f64, f64)> = (0..10_000)
            .map(|i| (f64::from(i), f64::from(i % 2)))
            .collect();
        let steps = common_steps(std::slice::from_ref(&curve));
        assert_eq!(steps.len(), MAX_POINTS);
        let values = resample(&curve, &steps);
        assert!(
            values
                .iter()
                .all(|value| (value.unwrap() - 0.5).abs() < 0.03)
        );
    }

    #[test]
    fn a_curve_is_absent_before_its_first_point_and_after_its_last() {
        assert_eq!(
            resample(&[(5.0, 1.0)], &[1.0, 5.0, 9.0]),
            [None, Some(1.0), None]
        );
        assert_eq!(resample(&[], &[1.0]), [None]);
    }
}
