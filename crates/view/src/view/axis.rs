//! Axes of plots: linear scales, tick positions and number formats. This module draws nothing.

use std::ops::RangeInclusive;

/// Maps a range of values linearly to screen coordinates along one axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AxisScale {
    from: f64,
    to: f64,
    /// Coordinate of `from`, points.
    start: f32,
    /// Coordinate of `to`, points.
    end: f32,
}

impl AxisScale {
    /// Maps `values` to the coordinates from `start` to `end`, points.
    pub(super) fn new(values: RangeInclusive<f64>, start: f32, end: f32) -> Self {
        let (from, mut to) = values.into_inner();
        // An empty range would divide by zero.
        if to <= from {
            to = from + 1.0;
        }
        Self {
            from,
            to,
            start,
            end,
        }
    }

    /// The coordinate of a value, clamped to the axis, points.
    pub(super) fn at(&self, value: f64) -> f32 {
        let share = (value - self.from) / (self.to - self.from);
        self.start + (self.end - self.start) * share.clamp(0.0, 1.0) as f32
    }

    /// The value at a coordinate, clamped to the axis.
    pub(super) fn value_at(&self, coordinate: f32) -> f64 {
        let share = f64::from((coordinate - self.start) / (self.end - self.start));
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// Whether a value lies on the axis.
    pub(super) fn contains(&self, value: f64) -> bool {
        (self.from..=self.to).contains(&value)
    }

    /// How many ticks fit on the axis, at least `spacing` points apart.
    fn max_ticks(&self, spacing: f32) -> f64 {
        f64::from((self.end - self.start).abs() / spacing)
    }

    /// Ticks at round values, at least `spacing` points apart if the axis has room for two.
    pub(super) fn ticks(&self, spacing: f32) -> Vec<f64> {
        ticks(self.from, self.to, self.max_ticks(spacing))
    }

    /// Ticks at whole numbers, at least `spacing` points apart if the axis has room for two.
    pub(super) fn whole_ticks(&self, spacing: f32) -> Vec<f64> {
        let max = self.max_ticks(spacing).min(self.to - self.from);
        ticks(self.from, self.to, max)
    }

    /// Ticks of an axis of base-10 logarithms, `(logarithm, label)`, at least `spacing` points apart
    /// if the axis has room for two.
    pub(super) fn log_ticks(&self, spacing: f32) -> Vec<(f64, String)> {
        log_ticks(self.from, self.to, self.max_ticks(spacing) as usize + 1)
    }
}

/// Multiples of a round step within a range. The range has at most `max` steps; none if it is empty
/// or not finite.
pub(super) fn ticks(low: f64, high: f64, max: f64) -> Vec<f64> {
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let step = round_step(span / max.max(1.0));
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// The least number of the form 1, 2 or 5 times a power of ten that is not less than `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * power);
    let step = steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9));
    step.unwrap_or(10.0 * power)
}

/// Ticks within a range of base-10 logarithms, `(logarithm, label)`. They are at 1, 2 and 5 times the
/// powers of ten if at most `max` such numbers, or fewer than two powers of ten, are in the range.
/// Otherwise they are at powers of ten, at most `max`.
pub(super) fn log_ticks(low: f64, high: f64, max: usize) -> Vec<(f64, String)> {
    let powers = decades(low, high, max);
    let all = (low.floor() as i32..=high.floor() as i32)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)));
    let all: Vec<f64> = all
        .filter(|number| (low..=high).contains(&number.log10()))
        .collect();
    if powers.len() < 2 || all.len() <= max {
        let numbers = all.into_iter();
        return numbers
            .map(|number| (number.log10(), short_number(number)))
            .collect();
    }
    let powers = powers.into_iter();
    powers
        .map(|exponent| (exponent, power_of_ten(exponent)))
        .collect()
}

/// Whole numbers within a range of logarithms, at most `max`: the exponents that are multiples of a
/// common step.
fn decades(low: f64, high: f64, max: usize) -> Vec<f64> {
    let (first, last) = ((low - 1e-9).ceil() as i64, (high + 1e-9).floor() as i64);
    let count = (last - first + 1).max(0) as usize;
    let step = count.div_ceil(max.max(1)).max(1);
    let is_multiple = |exponent: &i64| exponent.rem_euclid(step as i64) == 0;
    (first..=last)
        .filter(is_multiple)
        .map(|exponent| exponent as f64)
        .collect()
}

/// Formats a number with about three digits, as in `1.2M`, `350k`, `0.05`, `3e−7`.
pub(super) fn short_number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e12).contains(&size) => format!("{value:.0e}"),
        _ if size >= 1e9 => three_digits(value / 1e9, "G"),
        _ if size >= 1e6 => three_digits(value / 1e6, "M"),
        _ if size >= 1e4 => three_digits(value / 1e3, "k"),
        _ => three_digits(value, ""),
    };
    text.replace('-', "−")
}

/// Formats a number with three digits, but without trailing zeros, and a unit.
fn three_digits(value: f64, unit: &str) -> String {
    let places = (2 - value.abs().log10().floor() as i32).clamp(0, 5) as usize;
    let text = format!("{value:.places$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

/// Formats a power of ten: `0.01` to `1000` as such, others as in `10⁴`.
fn power_of_ten(exponent: f64) -> String {
    let exponent = exponent.round() as i32;
    if (-2..=3).contains(&exponent) {
        return short_number(10_f64.powi(exponent));
    }
    let digits = exponent.to_string();
    let digits = digits.chars().map(|digit| match digit {
        '-' => '⁻',
        '1' => '¹',
        '2' => '²',
        '3' => '³',
        digit => char::from_u32(0x2070 + digit as u32 - '0' as u32).unwrap_or(digit),
    });
    format!("10{}", digits.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_conversion_to_coordinates_and_back() {
        let scale = AxisScale::new(2.0..=10.0, 100.0, 500.0);
        for value in [2.0, 3.7, 10.0] {
            assert!((scale.value_at(scale.at(value)) - value).abs() < 1e-4);
        }
        assert!((scale.value_at(0.0) - 2.0).abs() < 1e-9);
        assert!((scale.at(99.0) - 500.0).abs() < 1e-3);
        let down = AxisScale::new(0.0..=1.0, 50.0, 10.0);
        assert!(down.at(1.0) < down.at(0.0));
        // An empty range is allowed.
        assert!(AxisScale::new(3.0..=3.0, 0.0, 10.0).at(3.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_within_the_range() {
        assert_eq!(ticks(0.0, 1.0, 4.0), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(-3.0, 11.0, 3.0), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(2.0, 2.0, 3.0), [0.0; 0]);
        assert_eq!(ticks(f64::NAN, 2.0, 3.0), [0.0; 0]);
        for (low, high) in [(0.0, 123_456.0), (-0.003, 0.002), (7.1, 7.2)] {
            let ticks = ticks(low, high, 4.0);
            assert!((1..=5).contains(&ticks.len()), "{ticks:?}");
            assert!(
                ticks
                    .iter()
                    .all(|tick| (low - 1e-9..=high + 1e-9).contains(tick))
            );
        }
    }

    #[test]
    fn ticks_keep_their_spacing() {
        for (to, points) in [(0.9, 300.0), (47.3, 900.0), (6144.0, 400.0), (1e-3, 80.0)] {
            let scale = AxisScale::new(0.0..=to, 0.0, points);
            let ticks = scale.ticks(60.0);
            assert!(
                (1..=points as usize / 60 + 2).contains(&ticks.len()),
                "{ticks:?}"
            );
            for pair in ticks.windows(2) {
                assert!(scale.at(pair[1]) - scale.at(pair[0]) > 59.0, "{ticks:?}");
            }
        }
    }

    #[test]
    fn whole_ticks_are_whole_numbers() {
        let few = AxisScale::new(2.0..=5.0, 0.0, 900.0);
        assert_eq!(few.ticks(90.0).len(), 7);
        assert_eq!(few.whole_ticks(90.0), [2.0, 3.0, 4.0, 5.0]);
        let many = AxisScale::new(0.0..=4000.0, 0.0, 900.0);
        assert_eq!(many.whole_ticks(90.0), many.ticks(90.0));
    }

    fn labels(low: f64, high: f64, max: usize) -> Vec<String> {
        let ticks = log_ticks(low, high, max);
        assert!(ticks.iter().all(|(at, _)| (low..=high).contains(at)));
        assert!(ticks.is_sorted_by(|a, b| a.0 < b.0));
        ticks.into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn long_log_axes_skip_powers_and_short_ones_have_numbers_between_them() {
        assert_eq!(labels(-1.2, 2.4, 5), ["0.1", "1", "10", "100"]);
        assert_eq!(labels(-6.0, 6.0, 5), ["10⁻⁶", "10⁻³", "1", "1000", "10⁶"]);
        assert_eq!(labels(-0.1, 0.9, 5), ["1", "2", "5"]);
        assert_eq!(labels(-0.1, 1.1, 5), ["1", "2", "5", "10"]);
        assert_eq!(labels(-0.1, 1.1, 2), ["1", "10"]);
        assert_eq!(labels(0.2, 0.8, 2), ["2", "5"]);
    }

    #[test]
    fn numbers_have_about_three_digits() {
        let numbers = [
            (0.0, "0"),
            (0.05, "0.05"),
            (-12.345, "−12.3"),
            (999.0, "999"),
            (1234.0, "1234"),
            (12_345.0, "12.3k"),
            (800_000.0, "800k"),
            (1_234_567.0, "1.23M"),
            (3.2e-7, "3e−7"),
        ];
        for (number, text) in numbers {
            assert_eq!(short_number(number), text);
        }
        assert_eq!(
            [-12.0, -2.0, 0.0, 3.0, 14.0].map(power_of_ten),
            ["10⁻¹²", "0.01", "1", "1000", "10¹⁴"]
        );
    }
}
