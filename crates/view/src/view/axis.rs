//! Axes: where a number lies along the side of a plot, round numbers beside it, and how those are
//! written. It draws nothing.

use std::ops::RangeInclusive;

/// Numbers that lie along a side of a rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AxisScale {
    from: f64,
    to: f64,
    start: f32,
    end: f32,
}

impl AxisScale {
    /// Numbers from one to another, along points from one to another.
    pub(super) fn new(numbers: RangeInclusive<f64>, start: f32, end: f32) -> Self {
        let (from, mut to) = numbers.into_inner();
        // One number is no range.
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

    /// Where a number lies; one beyond the ends, there.
    pub(super) fn at(&self, number: f64) -> f32 {
        let share = (number - self.from) / (self.to - self.from);
        self.start + (self.end - self.start) * share.clamp(0.0, 1.0) as f32
    }

    /// Which number lies there; beyond the ends, theirs.
    pub(super) fn value_at(&self, point: f32) -> f64 {
        let share = f64::from((point - self.start) / (self.end - self.start));
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// Whether a number is within its ends.
    pub(super) fn contains(&self, number: f64) -> bool {
        (self.from..=self.to).contains(&number)
    }

    /// How many marks there is room for, at least `apart` points from one another.
    fn max_ticks(&self, apart: f32) -> f64 {
        f64::from((self.end - self.start).abs() / apart)
    }

    /// Round numbers along it, at least `apart` points from one another where there is room for two.
    pub(super) fn ticks(&self, apart: f32) -> Vec<f64> {
        ticks(self.from, self.to, self.max_ticks(apart))
    }

    /// The same of a quantity that is counted: whole numbers.
    pub(super) fn whole_ticks(&self, apart: f32) -> Vec<f64> {
        let most = self.max_ticks(apart).min(self.to - self.from);
        ticks(self.from, self.to, most)
    }

    /// Marks along a scale of logarithms of base ten, each with its number, at least `apart` points
    /// from one another where there is room for two.
    pub(super) fn log_marks(&self, apart: f32) -> Vec<(f64, String)> {
        log_marks(self.from, self.to, self.max_ticks(apart) as usize + 1)
    }
}

/// Round numbers within a range, no more than so many apart from the one that it may begin with; at
/// least none.
pub(super) fn ticks(low: f64, high: f64, most: f64) -> Vec<f64> {
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let step = round_step(span / most.max(1.0));
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// The least of 1, 2 and 5 times a power of ten that is not below a number.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0].map(|factor| factor * power);
    let enough = steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9));
    enough.unwrap_or(10.0 * power)
}

/// Marks within a range of logarithms of base ten, each with its number: 1, 2 and 5 times the powers
/// of ten where there is room for them or else next to nothing to read, and otherwise as many powers
/// as there is room for.
pub(super) fn log_marks(low: f64, high: f64, most: usize) -> Vec<(f64, String)> {
    let powers = decades(low, high, most);
    let all = (low.floor() as i32..=high.floor() as i32)
        .flat_map(|power| [1.0, 2.0, 5.0].map(|factor| factor * 10_f64.powi(power)));
    let all: Vec<f64> = all
        .filter(|number| (low..=high).contains(&number.log10()))
        .collect();
    if powers.len() < 2 || all.len() <= most {
        let marks = all.into_iter();
        return marks
            .map(|mark| (mark.log10(), short_number(mark)))
            .collect();
    }
    let marks = powers.into_iter();
    marks.map(|mark| (mark, power(mark))).collect()
}

/// Powers of ten within a range of logarithms, at most so many.
fn decades(low: f64, high: f64, most: usize) -> Vec<f64> {
    let (first, last) = ((low - 1e-9).ceil() as i64, (high + 1e-9).floor() as i64);
    let count = (last - first + 1).max(0) as usize;
    let step = count.div_ceil(most.max(1)).max(1);
    let anchored = |tick: &i64| tick.rem_euclid(step as i64) == 0;
    (first..=last)
        .filter(anchored)
        .map(|tick| tick as f64)
        .collect()
}

/// `1.2M`, `350k`, `0.05`, `3e−7`: three digits at most.
pub(super) fn short_number(value: f64) -> String {
    let size = value.abs();
    let text = match size {
        0.0 => "0".to_owned(),
        _ if !(1e-3..1e12).contains(&size) => format!("{value:.0e}"),
        _ if size >= 1e9 => trimmed(value / 1e9, "G"),
        _ if size >= 1e6 => trimmed(value / 1e6, "M"),
        _ if size >= 1e4 => trimmed(value / 1e3, "k"),
        _ => trimmed(value, ""),
    };
    text.replace('-', "−")
}

fn trimmed(value: f64, unit: &str) -> String {
    let places = (2 - value.abs().log10().floor() as i32).clamp(0, 5) as usize;
    let text = format!("{value:.places$}");
    let text = if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        &text
    };
    format!("{text}{unit}")
}

/// A power of ten: `10⁴` beyond what is read easily.
fn power(exponent: f64) -> String {
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
    fn a_scale_goes_there_and_back() {
        let scale = AxisScale::new(2.0..=10.0, 100.0, 500.0);
        for number in [2.0, 3.7, 10.0] {
            assert!((scale.value_at(scale.at(number)) - number).abs() < 1e-4);
        }
        assert!((scale.value_at(0.0) - 2.0).abs() < 1e-9);
        assert!((scale.at(99.0) - 500.0).abs() < 1e-3);
        let down = AxisScale::new(0.0..=1.0, 50.0, 10.0);
        assert!(down.at(1.0) < down.at(0.0));
        // One number still has a place.
        assert!(AxisScale::new(3.0..=3.0, 0.0, 10.0).at(3.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_within() {
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
    fn ticks_are_apart() {
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
    fn what_is_counted_has_whole_ticks() {
        let few = AxisScale::new(2.0..=5.0, 0.0, 900.0);
        assert_eq!(few.ticks(90.0).len(), 7);
        assert_eq!(few.whole_ticks(90.0), [2.0, 3.0, 4.0, 5.0]);
        let many = AxisScale::new(0.0..=4000.0, 0.0, 900.0);
        assert_eq!(many.whole_ticks(90.0), many.ticks(90.0));
    }

    fn said(low: f64, high: f64, most: usize) -> Vec<String> {
        let marks = log_marks(low, high, most);
        assert!(marks.iter().all(|(at, _)| (low..=high).contains(at)));
        assert!(marks.is_sorted_by(|a, b| a.0 < b.0));
        marks.into_iter().map(|(_, text)| text).collect()
    }

    #[test]
    fn powers_thin_out_and_a_short_range_has_numbers_between_them() {
        assert_eq!(said(-1.2, 2.4, 5), ["0.1", "1", "10", "100"]);
        assert_eq!(said(-6.0, 6.0, 5), ["10⁻⁶", "10⁻³", "1", "1000", "10⁶"]);
        assert_eq!(said(-0.1, 0.9, 5), ["1", "2", "5"]);
        assert_eq!(said(-0.1, 1.1, 5), ["1", "2", "5", "10"]);
        assert_eq!(said(-0.1, 1.1, 2), ["1", "10"]);
        assert_eq!(said(0.2, 0.8, 2), ["2", "5"]);
    }

    #[test]
    fn numbers_are_short() {
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
        for (number, said) in numbers {
            assert_eq!(short_number(number), said);
        }
        assert_eq!(
            [-12.0, -2.0, 0.0, 3.0, 14.0].map(power),
            ["10⁻¹²", "0.01", "1", "1000", "10¹⁴"]
        );
    }
}
