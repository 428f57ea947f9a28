//! Numbers and text of a drawing.

/// The smallest of …, 0.5, 1, 2, 5, 10, … that is at least `at_least`.
pub fn nice_length(at_least: f32) -> f32 {
    let exponent = libm::floorf(libm::log10f(at_least.max(1e-3)) + 1e-4);
    let unit = libm::powf(10.0, exponent);
    let factors = [1.0, 2.0, 5.0, 10.0].into_iter();
    unit * factors
        .into_iter()
        .find(|factor| factor * unit >= 0.999 * at_least)
        .unwrap_or(10.0)
}

/// Formats a number with at most three decimals and without trailing zeros.
pub fn format_number(number: f32) -> String {
    let text = format!("{number:.3}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

/// Text as it is written in XML. Control characters become spaces.
pub(super) fn escape(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_rounded_up_to_1_2_or_5() {
        for (length, rounded) in [
            (0.3, 0.5),
            (1.0, 1.0),
            (1.01, 2.0),
            (3.0, 5.0),
            (70.0, 100.0),
        ] {
            assert!((nice_length(length) - rounded).abs() < 1e-4, "{length}");
        }
        assert_eq!(
            [format_number(-0.0), format_number(0.5), format_number(10.0)],
            ["0", "0.5", "10"]
        );
    }
}
