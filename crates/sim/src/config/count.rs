//! Whole numbers as people write them on a command line: `2000000`, `2_000_000`, `500k`, `1.5M`.

use std::ops::RangeInclusive;

/// Parses a whole number on the command line.
///
/// Digits may be grouped in threes by `_`. A suffix multiplies: `k` by a thousand, `M` by a million,
/// `G` or `B` by a thousand million, `e6` by a million; a number with a suffix may have a decimal
/// point (`1.5M`). Everything that could be read in two ways is refused: a comma, a point without a
/// suffix (`1.000`), other groups of digits, signs, spaces.
///
/// # Errors
/// If `text` is not such a number, or not in `range`. The message says what would be right.
pub fn parse_count(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    exact_count(text)
        .filter(|count| range.contains(count))
        .ok_or_else(|| expected_count(text, &range))
}

/// Says what would be right instead of `text`.
fn expected_count(text: &str, range: &RangeInclusive<u64>) -> String {
    let (low, high) = (range.start(), range.end());
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let is_number = is_digits(text.strip_prefix('-').unwrap_or(text));
    let has_digit = text.contains(|c: char| c.is_ascii_digit());
    let example = if has_digit && !is_number && *high >= 1_500_000 {
        ", as in 1500000, 1_500_000 or 1.5M"
    } else {
        ""
    };
    format!("expected a whole number from {low} to {high}{example}")
}

/// Returns the number, if it is written without ambiguity, whole, and less than 2^64.
fn exact_count(text: &str) -> Option<u64> {
    let (number, zeros) = split_suffix(text)?;
    let (whole, fraction) = match number.split_once('.') {
        // Without a suffix, 1.000 may mean one or a thousand.
        Some(_) if zeros == 0 => return None,
        Some((whole, fraction)) => (whole, fraction),
        None => (number, "0"),
    };
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let mut groups = whole.split('_');
    let first = groups.next().filter(|group| is_digits(group))?;
    if whole.contains('_') && first.len() > 3 {
        return None;
    }
    if !groups.all(|group| group.len() == 3 && is_digits(group)) || !is_digits(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let padding = zeros.checked_sub(fraction.len())?;
    let digits = whole.replace('_', "") + fraction + &"0".repeat(padding);
    digits.parse().ok()
}

/// Splits `1.5M` into `1.5` and the number of zeros that the suffix stands for.
fn split_suffix(text: &str) -> Option<(&str, usize)> {
    if let Some((number, exponent)) = text.split_once(['e', 'E']) {
        let is_short = matches!(exponent.len(), 1 | 2);
        let is_digits = exponent.bytes().all(|b| b.is_ascii_digit());
        let zeros = exponent.parse().ok().filter(|_| is_short && is_digits)?;
        return Some((number, zeros));
    }
    let zeros = match text.chars().next_back()? {
        'k' | 'K' => 3,
        'm' | 'M' => 6,
        'g' | 'G' | 'b' | 'B' => 9,
        _ => return Some((text, 0)),
    };
    Some((&text[..text.len() - 1], zeros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suffixes_groups_and_exponents_are_read_exactly() {
        for (text, count) in [
            ("0", 0),
            ("007", 7),
            ("2000000", 2_000_000),
            ("2_000_000", 2_000_000),
            ("64k", 64_000),
            ("1.5M", 1_500_000),
            ("0.25M", 250_000),
            ("1_024k", 1_024_000),
            ("3G", 3_000_000_000),
            ("2b", 2_000_000_000),
            ("1e6", 1_000_000),
            ("2.5E3", 2500),
            ("9007199254740993", 9_007_199_254_740_993),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_count(text, 0..=u64::MAX), Ok(count), "{text}");
        }
    }

    #[test]
    fn what_could_mean_two_numbers_is_refused() {
        for text in [
            "",
            "k",
            "M",
            "1,5M",
            "1,5k",
            ",5k",
            ".5k",
            "5.k",
            "1.000",
            "1.5",
            "1,000",
            "1__0",
            "_1",
            "1_",
            "1_5M",
            "1000_000",
            "1_0",
            "+5",
            "-1",
            "-0",
            "0x10",
            "1e",
            "1e+6",
            "1e-3",
            "1e100",
            "e6",
            "1k5",
            "1kk",
            "5 k",
            " 5",
            "5 ",
            "５",
            "０",
            "1.5555k",
            "0.0001k",
            "1²",
            "many",
            "nan",
            "inf",
            "∞",
            "18446744073709551616",
            "99999999999999G",
            "1.5µ",
        ] {
            assert!(
                parse_count(text, 0..=u64::MAX).is_err(),
                "{text:?} was accepted"
            );
        }
    }

    #[test]
    fn the_message_names_the_range_and_the_form() {
        let message = |text, range| parse_count(text, range).unwrap_err();
        assert_eq!(
            message("1,5M", 1..=1_000_000_000_000),
            "expected a whole number from 1 to 1000000000000, as in 1500000, 1_500_000 or 1.5M"
        );
        assert_eq!(
            message("-1", 0..=u64::MAX),
            "expected a whole number from 0 to 18446744073709551615"
        );
        assert_eq!(
            message("5000", 1..=1000),
            "expected a whole number from 1 to 1000"
        );
    }

    proptest::proptest! {
        #[test]
        fn every_number_is_read_back(count: u64) {
            proptest::prop_assert_eq!(parse_count(&count.to_string(), 0..=u64::MAX), Ok(count));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            parse_count(&text, 0..=u64::MAX).ok();
        }
    }
}
