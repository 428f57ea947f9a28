//! The curves of the report: each arm's runs brought onto common steps, with the interquartile
//! mean over seeds and its interval, few enough points to keep the page small.

use serde::Serialize;

use super::ArmRuns;
use crate::lab::RunRecord;
use crate::stats::{Bootstrap, MIN_SEEDS, quantile};
use crate::telemetry::{ITERATION, IterationReport, Metric};

/// Points of a curve over seeds at most: what is finer is noise of single iterations.
const POINTS: usize = 120;
/// Bins of the gradient norm, whose outliers are the point.
const NORM_BINS: usize = 240;

/// One chart, as `report.js` reads it.
#[derive(Debug, Serialize)]
pub(super) struct Chart {
    id: &'static str,
    title: String,
    unit: &'static str,
    help: String,
    scale: Scale,
    /// Whether the curves are over runs, rather than over optimiser steps.
    runs: bool,
    /// Horizontal lines: `(arm, value, label)`.
    lines: Vec<(usize, f64, String)>,
    /// Where runs diverged: `(arm, environment steps)`.
    marks: Vec<(usize, f64)>,
    series: Vec<Series>,
}

/// The vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Scale {
    /// Shares, from 0 to 100 %.
    Percent,
    /// Plain numbers.
    Linear,
    /// Powers of ten.
    Log,
}

/// One arm's curve. All vectors are as long as `x`; a value is absent where no run has one.
#[derive(Debug, Default, Serialize)]
struct Series {
    arm: usize,
    x: Vec<f64>,
    mid: Vec<Option<f64>>,
    low: Vec<Option<f64>>,
    high: Vec<Option<f64>>,
    /// Runs that have a value.
    n: Vec<usize>,
    /// Each run by itself, where that is worth showing.
    runs: Vec<Vec<Option<f64>>>,
}

/// All charts: learning first, then stability.
pub(super) fn charts(arms: &[ArmRuns]) -> (Vec<Chart>, Vec<Chart>) {
    let learning = vec![
        success(arms),
        iteration(arms, "charts/success_rate", Scale::Percent),
        iteration(arms, "charts/episodic_return", Scale::Linear),
    ];
    let stability = vec![
        grad_norm(arms),
        iteration(arms, "stability/clip_share", Scale::Percent),
        iteration(arms, "losses/approx_kl", Scale::Linear),
        iteration(arms, "losses/entropy", Scale::Linear),
        iteration(arms, "losses/explained_variance", Scale::Linear),
        iteration(arms, "stability/update_ratio", Scale::Log),
    ];
    let told = |chart: &Chart| {
        chart
            .series
            .iter()
            .any(|s| s.mid.iter().any(Option::is_some))
    };
    let keep = |charts: Vec<Chart>| charts.into_iter().filter(told).collect();
    (keep(learning), keep(stability))
}

fn success(arms: &[ArmRuns]) -> Chart {
    let curves = |run: &RunRecord| -> Vec<(f64, f64)> {
        let mut curve: Vec<(f64, f64)> = run
            .success_curve()
            .into_iter()
            .map(|(step, value)| (step as f64, value))
            .collect();
        if curve.len() == 1 {
            curve.clear();
        }
        if run.diverged.is_some() {
            curve.push((run.budget() as f64, 0.0));
        }
        curve
    };
    Chart {
        id: "success",
        title: "success".into(),
        unit: "",
        help: "share of held-out episodes that reach the goal, deterministic policy; a diverged \
               run counts as 0"
            .into(),
        scale: Scale::Percent,
        runs: true,
        lines: Vec::new(),
        marks: marks(arms),
        series: over_seeds(arms, curves, true),
    }
}

fn iteration(arms: &[ArmRuns], tag: &'static str, scale: Scale) -> Chart {
    let metric: &Metric<IterationReport> = ITERATION
        .iter()
        .find(|metric| metric.tag == tag)
        .expect("the registry has the tag");
    let curve = |run: &RunRecord| -> Vec<(f64, f64)> {
        let points = run.iterations.iter();
        points
            .filter_map(|i| Some((i.global_step as f64, metric.read(i)?)))
            .collect()
    };
    let shows_runs = tag.starts_with("charts/");
    let series = if tag == "stability/clip_share" {
        let clips = |arm: &&ArmRuns| arm.runs.iter().any(|run| run.clips());
        over_seeds(arms.iter().filter(clips), curve, shows_runs)
    } else {
        over_seeds(arms, curve, shows_runs)
    };
    Chart {
        id: tag,
        title: metric.name.into(),
        unit: metric.unit,
        help: format!("{}{}", metric.help, survivors(arms)),
        scale,
        runs: true,
        lines: Vec::new(),
        marks: marks(arms),
        series,
    }
}

/// The norm of every optimiser step, before any clip: its tail is the point, so the band is all
/// steps of all runs and not an interval of a mean.
fn grad_norm(arms: &[ArmRuns]) -> Chart {
    let end = last_step(arms);
    let mut lines: Vec<(usize, f64, String)> = Vec::new();
    let mut series = Vec::new();
    for ArmRuns {
        index: arm, runs, ..
    } in arms
    {
        let thresholds = runs.iter().find_map(|run| run.clip_threshold());
        if let Some(threshold) = thresholds.filter(|threshold| threshold.is_finite()) {
            lines.push((*arm, threshold, "clip".into()));
        }
        let mut bins: Vec<Vec<f64>> = vec![Vec::new(); NORM_BINS];
        for step in runs.iter().flat_map(|run| &run.steps) {
            if let Some(norm) = step
                .grad_norm
                .filter(|norm| norm.is_finite() && *norm > 0.0)
            {
                let bin = (step.global_step as f64 / end * NORM_BINS as f64) as usize;
                bins[bin.min(NORM_BINS - 1)].push(norm);
            }
        }
        let mut curve = Series {
            arm: *arm,
            ..Series::default()
        };
        for (index, bin) in bins
            .iter_mut()
            .enumerate()
            .filter(|(_, bin)| !bin.is_empty())
        {
            bin.sort_unstable_by(f64::total_cmp);
            curve
                .x
                .push(((index as f64 + 0.5) / NORM_BINS as f64 * end).round());
            curve.mid.push(quantile(bin, 0.5).map(short));
            curve.low.push(bin.first().copied().map(short));
            curve.high.push(bin.last().copied().map(short));
            curve.n.push(bin.len());
        }
        series.push(curve);
    }
    // One line where arms share a threshold.
    lines.dedup_by(|a, b| a.1.total_cmp(&b.1).is_eq());
    Chart {
        id: "grad_norm",
        title: "gradient norm".into(),
        unit: "",
        help: "norm over all parameters before any clip: median over the optimiser steps of all seeds, \
               band from the least to the greatest".to_owned() + &survivors(arms),
        scale: Scale::Log,
        runs: false,
        lines,
        marks: marks(arms),
        series,
    }
}

/// How many runs are left at the end of an arm's curve, where some diverged: what a diverged run
/// would have logged from there on is missing, and not at random.
fn survivors(arms: &[ArmRuns]) -> String {
    let counts: Vec<String> = arms
        .iter()
        .filter_map(|ArmRuns { name, runs, .. }| {
            let lost = runs.iter().filter(|run| run.diverged.is_some()).count();
            (lost > 0).then(|| format!("{name} {} of {} runs", runs.len() - lost, runs.len()))
        })
        .collect();
    if counts.is_empty() {
        return String::new();
    }
    format!(
        "; a diverged run is in the curve only until it diverged, which leaves at the end: {}",
        counts.join(", ")
    )
}

fn marks(arms: &[ArmRuns]) -> Vec<(usize, f64)> {
    let runs = arms
        .iter()
        .flat_map(|arm| arm.runs.iter().map(move |run| (arm.index, run)));
    runs.filter_map(|(arm, run)| Some((arm, run.diverged.as_ref()?.global_step as f64)))
        .collect()
}

fn last_step(arms: &[ArmRuns]) -> f64 {
    let runs = arms.iter().flat_map(|arm| &arm.runs);
    let last = runs
        .filter_map(|run| run.iterations.last().map(|i| i.global_step))
        .max();
    last.unwrap_or(1).max(1) as f64
}

/// Each arm's curve over its runs.
fn over_seeds<'a>(
    arms: impl IntoIterator<Item = &'a ArmRuns<'a>>,
    curve: impl Fn(&RunRecord) -> Vec<(f64, f64)>,
    show_runs: bool,
) -> Vec<Series> {
    arms.into_iter()
        .map(|ArmRuns { index, runs, .. }| {
            let curves: Vec<Vec<(f64, f64)>> = runs.iter().map(|run| curve(run)).collect();
            let x = common_steps(&curves);
            let sampled: Vec<Vec<Option<f64>>> =
                curves.iter().map(|curve| sample(curve, &x)).collect();
            aggregate(*index, x, sampled, show_runs)
        })
        .collect()
}

fn aggregate(arm: usize, x: Vec<f64>, runs: Vec<Vec<Option<f64>>>, show_runs: bool) -> Series {
    let how = Bootstrap {
        root: 0,
        resamples: 1000,
    };
    let mut series = Series {
        arm,
        ..Series::default()
    };
    for index in 0..x.len() {
        let values: Vec<f64> = runs.iter().filter_map(|run| run[index]).collect();
        let middle = how.interquartile_mean(&[&values]);
        series.n.push(values.len());
        series.mid.push(middle.map(|m| short(m.value)));
        // Of few runs the runs themselves are shown: a bootstrap over them covers too little.
        let interval = middle.filter(|_| values.len() >= MIN_SEEDS);
        series.low.push(interval.map(|m| short(m.low)));
        series.high.push(interval.map(|m| short(m.high)));
    }
    if show_runs && runs.len() > 1 {
        series.runs = runs
            .into_iter()
            .map(|run| run.into_iter().map(|value| value.map(short)).collect())
            .collect();
    }
    series.x = x;
    series
}

/// The steps at which any run has a point, or evenly spaced ones where those are too many.
fn common_steps(curves: &[Vec<(f64, f64)>]) -> Vec<f64> {
    let mut steps: Vec<f64> = curves.iter().flatten().map(|point| point.0).collect();
    steps.sort_unstable_by(f64::total_cmp);
    steps.dedup();
    match steps.last() {
        Some(&last) if steps.len() > POINTS => (1..=POINTS)
            .map(|i| (last * i as f64 / POINTS as f64).round())
            .collect(),
        _ => steps,
    }
}

/// A run's curve at the given steps: the mean of its points since the step before, or between
/// points the straight line; absent before the first and after the last.
fn sample(curve: &[(f64, f64)], steps: &[f64]) -> Vec<Option<f64>> {
    let mut before = f64::NEG_INFINITY;
    steps
        .iter()
        .map(|&step| {
            let first = curve.partition_point(|point| point.0 <= before);
            let end = curve.partition_point(|point| point.0 <= step);
            before = step;
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

/// Four significant digits: more cannot be seen, and cost space.
fn short(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_keeps_its_own_points_and_is_straight_between_them() {
        let curve = [(0.0, 0.0), (10.0, 1.0)];
        let sampled = sample(&curve, &[0.0, 5.0, 10.0, 15.0]);
        assert_eq!(sampled, [Some(0.0), Some(0.5), Some(1.0), None]);
    }

    #[test]
    fn many_points_are_averaged_into_few() {
        let curve: Vec<(f64, f64)> = (0..10_000)
            .map(|i| (f64::from(i), f64::from(i % 2)))
            .collect();
        let steps = common_steps(std::slice::from_ref(&curve));
        assert_eq!(steps.len(), POINTS);
        let values = sample(&curve, &steps);
        assert!(
            values
                .iter()
                .all(|value| (value.unwrap() - 0.5).abs() < 0.03)
        );
    }

    #[test]
    fn a_curve_that_begins_late_is_absent_before() {
        assert_eq!(
            sample(&[(5.0, 1.0)], &[1.0, 5.0, 9.0]),
            [None, Some(1.0), None]
        );
        assert_eq!(sample(&[], &[1.0]), [None]);
    }

    #[test]
    fn numbers_are_shortened_not_changed() {
        assert_eq!(
            [0.123_456, 98_765.0, 0.0]
                .map(short)
                .map(|v| v.to_string())
                .join(" "),
            "0.1235 98760 0"
        );
    }
}
