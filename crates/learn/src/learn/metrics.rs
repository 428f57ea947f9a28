//! Measurements of every optimiser step, and of the networks after every iteration: plain sums over
//! flat vectors, in double precision so that no finite `f32` overflows them.

use tch::{Tensor, no_grad};

use crate::nn::{NetworkPart, ParamEntry, ParamLayout, ParamRole, Policy, Weights, dot, entries};
use evenkeel_runs::telemetry::LayerReport;

/// How much is measured besides what training itself needs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MetricsLevel {
    /// Everything that a step reports.
    #[default]
    Full,
    /// Only the losses and norms that decide whether a step is applied. The difference to `Full` is
    /// the cost of measuring.
    Minimal,
}

/// Most rows that unit activity is measured on.
const ACTIVITY_ROWS: usize = 1024;

/// Iterations of the power method for a spectral norm. The estimate is then accurate to a few per
/// cent even where the two largest singular values are close, and to many digits elsewhere.
const POWER_ITERATIONS: usize = 24;

/// The number where it is finite.
pub(super) fn finite(number: f64) -> Option<f64> {
    number.is_finite().then_some(number)
}

/// Σ g² over each parameter of a flat gradient, added one entry after the other. The order matters:
/// clip factors, and so the results of whole runs, depend on the last bit of this sum.
pub(super) fn squares(layout: &ParamLayout, gradient: &[f32]) -> Vec<f64> {
    let of = |entry: &ParamEntry| {
        let entries = gradient[entry.range.clone()].iter();
        entries.map(|&g| f64::from(g) * f64::from(g)).sum()
    };
    layout.entries().iter().map(of).collect()
}

/// Σ a b over each parameter of two flat vectors.
fn products(layout: &ParamLayout, a: &[f32], b: &[f32]) -> Vec<f64> {
    let of = |entry: &ParamEntry| dot(&a[entry.range.clone()], &b[entry.range.clone()]);
    layout.entries().iter().map(of).collect()
}

/// The sum over the parameters of one part.
pub(super) fn sum_over_part(layout: &ParamLayout, sums: &[f64], part: NetworkPart) -> f64 {
    let entries = layout.entries().iter().zip(sums);
    entries
        .filter(|(entry, _)| entry.part == part)
        .map(|(_, sum)| sum)
        .sum()
}

/// The root of each sum, where it is finite.
pub(super) fn roots(sums: &[f64]) -> Vec<Option<f64>> {
    sums.iter().map(|sum| finite(sum.sqrt())).collect()
}

/// Largest entry of a gradient, and entries that are not finite.
#[derive(Debug)]
pub(super) struct GradientMetrics {
    /// Largest absolute entry; NaN if one is.
    pub(super) largest: f64,
    /// Entries that are not finite.
    pub(super) nonfinite: u64,
}

impl GradientMetrics {
    pub(super) fn of(gradient: &[f32]) -> Self {
        Self {
            largest: f64::from(gradient.iter().fold(0.0f32, |max, g| max.max(g.abs()))),
            nonfinite: gradient.iter().filter(|g| !g.is_finite()).count() as u64,
        }
    }
}

/// Measurements of an applied step.
#[derive(Debug)]
pub(super) struct StepMetrics {
    /// ‖θ‖ after it.
    pub(super) param_norm: f64,
    /// ‖Δθ‖ / ‖θ‖ over the parameters that are trained.
    pub(super) ratio: f64,
    /// The same ratio for each parameter.
    pub(super) ratios: Vec<Option<f64>>,
    /// Cosine between −g and Δθ.
    pub(super) cosine: f64,
}

impl StepMetrics {
    /// Measures a step from the flat parameters before and after it, and from the gradient before
    /// any clip, with its norm.
    pub(super) fn of(
        layout: &ParamLayout,
        before: &[f32],
        after: &[f32],
        gradient: &[f32],
        norm: f64,
    ) -> Self {
        let moved: Vec<f32> = after.iter().zip(before).map(|(a, b)| a - b).collect();
        let total = |sums: &[f64]| {
            let trained = layout.entries().iter().zip(sums);
            let trained = trained.filter(|(entry, _)| !entry.frozen);
            trained.map(|(_, sum)| sum).sum::<f64>()
        };
        let steps = products(layout, &moved, &moved);
        let sizes = products(layout, before, before);
        let along = dot(&moved, gradient);
        let ratios = steps
            .iter()
            .zip(&sizes)
            .map(|(s, t)| finite((s / t).sqrt()));
        Self {
            param_norm: dot(after, after).sqrt(),
            ratio: (total(&steps) / total(&sizes)).sqrt(),
            ratios: ratios.collect(),
            cosine: -along / (norm * total(&steps).sqrt()),
        }
    }
}

/// Reports of each parameter after an iteration: spectral norms of matrices, and the activity of the
/// units of hidden layers and memories on some of the rollout's observations, `[rows, obs]`, and
/// hidden states, `[rows, state]`.
pub(super) fn layer_reports(
    policy: &Policy,
    weights: &Weights,
    obs: &Tensor,
    hidden: Option<&Tensor>,
) -> Vec<LayerReport> {
    no_grad(|| {
        let activity = policy.activity(weights, &sample(obs), hidden.map(sample).as_ref());
        let named = policy.layout().entries().iter().zip(weights.parameters());
        named
            .map(|(entry, parameter)| {
                let matrix = matches!(entry.role, ParamRole::Weight | ParamRole::Output);
                let activity = activity.iter().find(|units| units.name == entry.name);
                LayerReport {
                    name: entry.name.clone(),
                    spectral_norm: matrix.then(|| finite(spectral_norm(parameter))).flatten(),
                    saturated: activity.and_then(|units| units.saturated),
                    dormant: activity.and_then(|units| units.dormant),
                }
            })
            .collect()
    })
}

/// At most [`ACTIVITY_ROWS`] rows, evenly spread.
pub(super) fn sample(rows: &Tensor) -> Tensor {
    let stride = (rows.size()[0] as usize).div_ceil(ACTIVITY_ROWS).max(1);
    rows.slice(0, None, None, stride as i64)
}

/// The largest singular value of a matrix, by the power method from a fixed start.
fn spectral_norm(matrix: &Tensor) -> f64 {
    let cols = matrix.size()[1] as usize;
    let entries = entries(matrix);
    // Irregular, so that it is not orthogonal to the singular vectors of a matrix with a built-in
    // symmetry.
    let mut right: Vec<f64> = (0..cols).map(|i| 1.0 + 0.1 * (i as f64).sin()).collect();
    let mut size = 0.0;
    for _ in 0..POWER_ITERATIONS {
        let length = right.iter().map(|v| v * v).sum::<f64>().sqrt();
        if length == 0.0 || !length.is_finite() {
            return length;
        }
        for entry in &mut right {
            *entry /= length;
        }
        let left: Vec<f64> = entries
            .chunks_exact(cols)
            .map(|row| dot(row, &right))
            .collect();
        size = left.iter().map(|v| v * v).sum::<f64>().sqrt();
        right.fill(0.0);
        for (row, left) in entries.chunks_exact(cols).zip(&left) {
            for (right, &w) in right.iter_mut().zip(row) {
                *right += f64::from(w) * left;
            }
        }
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout() -> ParamLayout {
        let mut layout = ParamLayout::default();
        layout.push(
            "actor.0.weight".into(),
            NetworkPart::Actor,
            ParamRole::Weight,
            &[1, 2],
        );
        layout.push(
            "critic.0.weight".into(),
            NetworkPart::Critic,
            ParamRole::Weight,
            &[1, 1],
        );
        layout
    }

    #[test]
    fn sums_are_those_worked_out_by_hand() {
        let layout = layout();
        let squares = |gradient: &[f32]| squares(&layout, gradient);
        let gradient = [3.0, -4.0, 12.0];
        assert_eq!(roots(&squares(&gradient)), [Some(5.0), Some(12.0)]);
        assert!(
            (sum_over_part(&layout, &squares(&gradient), NetworkPart::Critic) - 144.0).abs()
                < 1e-12
        );
        let entries = GradientMetrics::of(&gradient);
        assert_eq!((entries.largest, entries.nonfinite), (12.0, 0));
        let broken = [f32::NAN, 1.0, f32::INFINITY];
        assert_eq!(GradientMetrics::of(&broken).nonfinite, 2);
        assert_eq!(roots(&squares(&broken)), [None, None]);
        assert!(roots(&squares(&[1e30, 1e30, 0.0]))[0].unwrap() > 1e30);
    }

    #[test]
    fn a_step_down_the_gradient_has_cosine_one() {
        let layout = layout();
        let (before, gradient) = ([6.0, 8.0, 5.0], [3.0, -4.0, 12.0]);
        let after: Vec<f32> = before
            .iter()
            .zip(&gradient)
            .map(|(t, g)| t - 0.5 * g)
            .collect();
        let step = StepMetrics::of(&layout, &before, &after, &gradient, 13.0);
        assert!((step.cosine - 1.0).abs() < 1e-9);
        assert_eq!(step.ratios, [Some(0.25), Some(1.2)]);
        assert!((step.ratio - 6.5 / 125.0f64.sqrt()).abs() < 1e-9);
        let (x, y, z): (f64, f64, f64) = (4.5, 10.0, -1.0);
        assert!((step.param_norm - (x * x + y * y + z * z).sqrt()).abs() < 1e-9);
        let aside = StepMetrics::of(&layout, &before, &[10.0, 11.0, 5.0], &gradient, 13.0);
        assert!(aside.cosine.abs() < 1e-9);
    }

    #[test]
    fn the_spectral_norm_is_the_largest_singular_value() {
        let matrix = Tensor::from_slice(&[3.0f32, 0.0, 4.0, 5.0]).view([2, 2]);
        assert!((spectral_norm(&matrix) - 3.0 * 5.0f64.sqrt()).abs() < 1e-6);
        let random: Vec<f32> = (0..60).map(|i| (i as f32 * 1.7).sin()).collect();
        let random = Tensor::from_slice(&random).view([6, 10]);
        let exact = random.svd(true, true).1.max().double_value(&[]);
        assert!((spectral_norm(&random) / exact - 1.0).abs() < 1e-3);
        assert!(spectral_norm(&(random * f64::NAN)).is_nan());
    }
}
