//! How long a run needs to get over a spike (METRICS.md, "Recovery").

use super::Moments;

/// How many deviations from its average before the spike count as being back.
const RECOVERY_DEVIATIONS: f64 = 2.0;

/// Steps from the spike at `series[spike]` until the series, which for gradient norms is their
/// logarithm, is back within two standard deviations of its average over the `before` values ahead
/// of the spike. Those deviate at least by `floor`, so that a flat stretch can be come back to.
/// Values that are not finite are never back, and do not count ahead of the spike.
///
/// Absent where it never comes back, and where fewer than two values are ahead of the spike.
pub fn steps_to_recover(series: &[f64], spike: usize, before: usize, floor: f64) -> Option<usize> {
    let ahead = series.get(spike.saturating_sub(before)..spike)?;
    let usual: Moments = ahead
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    if usual.count() < 2 {
        return None;
    }
    let reach = RECOVERY_DEVIATIONS * usual.sample_variance().sqrt().max(floor);
    steps_until(series, spike, |value| (value - usual.mean()).abs() <= reach)
}

/// Steps from `series[dip]` until the series, such as evaluation success, is at `level` or above;
/// absent where it never is.
pub fn steps_to_regain(series: &[f64], dip: usize, level: f64) -> Option<usize> {
    steps_until(series, dip, |value| value >= level)
}

fn steps_until(series: &[f64], from: usize, back: impl Fn(f64) -> bool) -> Option<usize> {
    series.get(from..)?.iter().position(|&value| back(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Mean 0 and standard deviation √(4/3) ahead of the spike at 4: back within ±2.309.
    const SERIES: [f64; 9] = [1.0, -1.0, 1.0, -1.0, 9.0, 5.0, -2.4, 2.3, 0.0];

    #[test]
    fn a_spike_is_over_when_the_series_is_back_within_two_deviations() {
        assert_eq!(steps_to_recover(&SERIES, 4, 4, 0.0), Some(3));
        assert_eq!(steps_to_recover(&SERIES, 4, 100, 0.0), Some(3));
        assert_eq!(steps_to_recover(&SERIES[..7], 4, 4, 0.0), None);
    }

    #[test]
    fn a_flat_stretch_is_come_back_to_within_the_floor() {
        let flat = [2.0, 2.0, 2.0, 7.0, 2.001];
        assert_eq!(steps_to_recover(&flat, 3, 3, 0.0), None);
        assert_eq!(steps_to_recover(&flat, 3, 3, 0.01), Some(1));
    }

    #[test]
    fn what_is_not_finite_is_not_back() {
        let series = [1.0, f64::NAN, -1.0, f64::NAN, f64::INFINITY, 0.5];
        assert_eq!(steps_to_recover(&series, 3, 3, 0.0), Some(2));
        assert_eq!(steps_to_recover(&series, 1, 1, 0.0), None);
        assert_eq!(steps_to_recover(&series, 99, 3, 0.0), None);
    }

    #[test]
    fn a_level_is_regained_where_it_is_reached_again() {
        let success = [0.9, 0.2, 0.5, 0.95, 0.4];
        assert_eq!(steps_to_regain(&success, 1, 0.9), Some(2));
        assert_eq!(steps_to_regain(&success, 1, 1.0), None);
    }
}
