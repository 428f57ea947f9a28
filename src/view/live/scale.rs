//! Numbers as they stand at an axis: round ones, written short.

/// Round numbers within a range, at most so many; at least none.
pub(super) fn ticks(low: f64, high: f64, most: usize) -> Vec<f64> {
    let span = high - low;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let least = span / most.max(1) as f64;
    let decade = 10_f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * decade);
    let step = step.into_iter().find(|&step| step >= least);
    let step = step.unwrap_or(10.0 * decade);
    let first = (low / step - 1e-9).ceil() as i64;
    let last = (high / step + 1e-9).floor() as i64;
    (first..=last).map(|tick| tick as f64 * step).collect()
}

/// Powers of ten within a range of logarithms, at most so many.
pub(super) fn decades(low: f64, high: f64, most: usize) -> Vec<f64> {
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
pub(super) fn short(value: f64) -> String {
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

/// A power of ten: `10³` beyond what is read easily.
pub(super) fn power(exponent: f64) -> String {
    let exponent = exponent.round() as i32;
    if (-2..=3).contains(&exponent) {
        return short(10_f64.powi(exponent));
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
    fn ticks_are_round_and_within() {
        assert_eq!(ticks(0.0, 1.0, 4), [0.0, 0.5, 1.0]);
        assert_eq!(ticks(-3.0, 11.0, 3), [0.0, 5.0, 10.0]);
        assert_eq!(ticks(2.0, 2.0, 3), [0.0; 0]);
        assert_eq!(ticks(f64::NAN, 2.0, 3), [0.0; 0]);
        for (low, high) in [(0.0, 123_456.0), (-0.003, 0.002), (7.1, 7.2)] {
            let ticks = ticks(low, high, 4);
            assert!((1..=5).contains(&ticks.len()), "{ticks:?}");
            assert!(
                ticks
                    .iter()
                    .all(|tick| (low - 1e-9..=high + 1e-9).contains(tick))
            );
        }
    }

    #[test]
    fn decades_thin_out() {
        assert_eq!(decades(-1.2, 2.4, 5), [-1.0, 0.0, 1.0, 2.0]);
        assert_eq!(decades(-6.0, 6.0, 5), [-6.0, -3.0, 0.0, 3.0, 6.0]);
        assert_eq!(decades(0.2, 0.8, 5), [0.0; 0]);
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
            assert_eq!(short(number), said);
        }
        assert_eq!(
            [-12.0, -2.0, 0.0, 3.0, 14.0].map(power),
            ["10⁻¹²", "0.01", "1", "1000", "10¹⁴"]
        );
    }
}
