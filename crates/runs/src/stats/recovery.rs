//! Number of steps that a run needs to recover from a spike ("recovery" in `docs/metrics.md`).

use super::Moments;

/// A series has recovered within this many standard deviations of its baseline mean.
const RECOVERY_DEVIATIONS: f64 = 2.0;

/// Steps from the spike at `series[spike]` until the series is within two standard deviations of
/// its baseline mean. The baseline is the `window` values before the spike; its standard deviation
/// counts as at least `min_deviation`, so that a constant baseline can be reached again. Non-finite
/// values are ignored in the baseline and never count as recovered. For gradient norms, pass their
/// logarithms.
///
/// Returns `None` if the series never recovers or the baseline has fewer than two finite values.
pub fn steps_to_recover(
    series: &[f64],
    spike: usize,
    window: usize,
    min_deviation: f64,
) -> Option<usize> {
    let before = series.get(spike.saturating_sub(window)..spike)?;
    let baseline: Moments = before
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    if baseline.count() < 2 {
        return None;
    }
    let tolerance = RECOVERY_DEVIATIONS * baseline.sample_variance().sqrt().max(min_deviation);
    steps_until(series, spike, |value| {
        (value - baseline.mean()).abs() <= tolerance
    })
}

/// Steps from `series[dip]` until the series, such as validation success, is at least `level`.
/// Returns `None` if it never is.
pub fn steps_to_regain(series: &[f64], dip: usize, level: f64) -> Option<usize> {
    steps_until(series, dip, |value| value >= level)
}

fn steps_until(series: &[f64], from: usize, recovered: impl Fn(f64) -> bool) -> Option<usize> {
    series
        .get(from..)?
        .iter()
        .position(|&value| recovered(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Baseline mean 0 and standard deviation √(4/3) before the spike at index 4: recovered within
    /// ±2.309.
    const SERIES: [f64; 9] = [1.0, -1.0, 1.0, -1.0, 9.0, 5.0, -2.4, 2.3, 0.0];

    #[test]
    fn a_series_recovers_within_two_standard_deviations() {
        assert_eq!(steps_to_recover(&SERIES, 4, 4, 0.0), Some(3));
        assert_eq!(steps_to_recover(&SERIES, 4, 100, 0.0), Some(3));
        assert_eq!(steps_to_recover(&SERIES[..7], 4, 4, 0.0), None);
    }

    #[test]
    fn a_constant_baseline_uses_the_minimum_deviation() {
        let flat = [2.0, 2.0, 2.0, 7.0, 2.001];
        assert_eq!(steps_to_recover(&flat, 3, 3, 0.0), None);
        assert_eq!(steps_to_recover(&flat, 3, 3, 0.01), Some(1));
    }

    #[test]
    fn non_finite_values_never_count_as_recovered() {
        let series = [1.0, f64::NAN, -1.0, f64::NAN, f64::INFINITY, 0.5];
        assert_eq!(steps_to_recover(&series, 3, 3, 0.0), Some(2));
        assert_eq!(steps_to_recover(&series, 1, 1, 0.0), None);
        assert_eq!(steps_to_recover(&series, 99, 3, 0.0), None);
    }

    #[test]
    fn a_level_is_regained_at_the_first_value_that_reaches_it() {
        let success = [0.9, 0.2, 0.5, 0.95, 0.4];
        assert_eq!(steps_to_regain(&success, 1, 0.9), Some(2));
        assert_eq!(steps_to_regain(&success, 1, 1.0), None);
    }
}
