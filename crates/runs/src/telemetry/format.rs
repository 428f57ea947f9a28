//! How figures are written, in the terminal and in the report alike. An absent figure is a dash.

/// Stands for a figure that isn't there.
pub const ABSENT: &str = "–";

/// A share as `97.2 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", tenths(share * 100.0))
}

/// A difference of shares in percentage points, with a sign: `+15.3`.
pub fn points(difference: f64) -> String {
    signed(&tenths(difference * 100.0))
}

/// A number with three significant digits, in plain notation where that is short.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = if !value.is_finite() {
        value.to_string()
    } else if size == 0.0 {
        "0".into()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let before = size.log10().floor() as i32 + 1;
        format!("{value:.*}", (3 - before).max(0) as usize)
    };
    minus(&text)
}

/// A number with its sign.
pub fn signed_number(value: f64) -> String {
    signed(&number(value))
}

/// A count of steps: `950`, `640 k`, `1.25 M`.
pub fn steps(count: f64) -> String {
    let (scaled, unit) = match count {
        ..1e4 => return format!("{count:.0}"),
        ..1e6 => (count / 1e3, "k"),
        ..1e9 => (count / 1e6, "M"),
        _ => (count / 1e9, "G"),
    };
    format!("{} {unit}", number(scaled))
}

/// Seconds: `41 s`, `3 min 5 s`, `2 h 10 min`.
pub fn duration(secs: f64) -> String {
    let secs = secs.max(0.0).round() as u64;
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// The plural `s`.
pub fn plural(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn tenths(value: f64) -> String {
    // So that nothing is written as −0.0.
    minus(&format!(
        "{:.1}",
        if value.abs() < 0.05 { 0.0 } else { value }
    ))
}

fn signed(text: &str) -> String {
    if text.starts_with('−') {
        text.into()
    } else {
        format!("+{text}")
    }
}

/// A proper minus sign.
fn minus(text: &str) -> String {
    text.replacen('-', "−", 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short_and_plain() {
        let numbers = [
            0.0,
            0.012_34,
            0.5,
            9.412,
            97.25,
            1234.5,
            3.2e7,
            -2.5,
            f64::INFINITY,
        ];
        let written = numbers.map(number).join(" ");
        assert_eq!(written, "0 0.0123 0.500 9.41 97.2 1234 3.2e7 −2.50 inf");
        assert_eq!(percent(0.9724), "97.2 %");
        assert_eq!(
            [points(0.153), points(-0.02), points(-0.0001)].join(" "),
            "+15.3 −2.0 +0.0"
        );
        assert_eq!(
            [950.0, 64e4, 1.25e6, 2e9].map(steps).join(", "),
            "950, 640 k, 1.25 M, 2.00 G"
        );
        assert_eq!(
            [41.2, 185.0, 7800.0].map(duration).join(", "),
            "41 s, 3 min 5 s, 2 h 10 min"
        );
    }
}
