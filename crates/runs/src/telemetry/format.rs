//! Formats for the terminal and the report: numbers, and words of commands.

use std::borrow::Cow;
use std::fmt::Display;
use std::path::Path;

/// Shown in place of a missing value.
pub const ABSENT: &str = "–";

/// Formats a share as a percentage: `97.2 %`.
pub fn percent(share: f64) -> String {
    format!("{} %", tenths(share * 100.0))
}

/// Formats a difference of two shares in percentage points, with a sign: `+15.3`.
pub fn points(difference: f64) -> String {
    signed(&tenths(difference * 100.0))
}

/// Formats a number with three significant digits. Very small and very large numbers have an
/// exponent and two digits.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let text = if !value.is_finite() {
        value.to_string()
    } else if size == 0.0 {
        "0".into()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else {
        let integer_digits = size.log10().floor() as i32 + 1;
        format!("{value:.*}", (3 - integer_digits).max(0) as usize)
    };
    with_minus_sign(&text)
}

/// Formats a number as [`number`] does, always with a sign.
pub fn signed_number(value: f64) -> String {
    signed(&number(value))
}

/// Formats a count of steps: `950`, `640 k`, `1.25 M`.
pub fn steps(count: f64) -> String {
    let (scaled, unit) = match count {
        ..1e4 => return format!("{count:.0}"),
        ..1e6 => (count / 1e3, "k"),
        ..1e9 => (count / 1e6, "M"),
        _ => (count / 1e9, "G"),
    };
    format!("{} {unit}", number(scaled))
}

/// Formats a duration in seconds: `41 s`, `3 min 5 s`, `2 h 10 min`.
pub fn duration(secs: f64) -> String {
    let secs = secs.max(0.0).round() as u64;
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}

/// A count with its noun, as in `1 world` or `3 worlds`. `noun` is singular, and its plural ends in
/// `s`.
///
/// ```
/// use evenkeel_runs::telemetry::format::counted;
/// assert_eq!(counted(1_u64, "held-out episode"), "1 held-out episode");
/// assert_eq!(counted(0_usize, "world"), "0 worlds");
/// ```
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, noun: &str) -> String {
    let plural = if count == N::from(1) { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

fn tenths(value: f64) -> String {
    // Avoids −0.0.
    with_minus_sign(&format!(
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

/// Replaces the hyphen of a negative number by a minus sign.
fn with_minus_sign(text: &str) -> String {
    text.replacen('-', "−", 1)
}

/// Returns a path as an argument of a command: with `./` before a hyphen, which would make it an
/// option.
pub fn path_argument(path: &Path) -> Cow<'_, str> {
    let text = path.to_string_lossy();
    if text.starts_with('-') {
        format!("./{text}").into()
    } else {
        text
    }
}

/// Writes a path as a word of a command that the user is told to run.
pub fn shell_path(path: &Path) -> String {
    shell_word(&path_argument(path)).into_owned()
}

/// Quotes a word of a command for a shell, if it needs it. [`shell_path`] is for paths.
pub fn shell_word(word: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:,=@%+".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.into()
    } else {
        format!("'{}'", word.replace('\'', r"'\''")).into()
    }
}

/// Shortens a name to at most `most` characters, at least 3. What is too much is left out of its
/// middle: names of runs begin with the scenario and end with seed and time.
pub fn shorten_middle(name: &str, most: usize) -> Cow<'_, str> {
    let length = name.chars().count();
    if length <= most {
        return name.into();
    }
    let tail = (most - 1) / 2;
    let head: String = name.chars().take(most - 1 - tail).collect();
    let tail: String = name.chars().skip(length - tail).collect();
    format!("{head}…{tail}").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_a_shell_where_they_need_it() {
        for (word, quoted) in [
            ("runs/a__b__s1", "runs/a__b__s1"),
            ("karte_ü.toml", "karte_ü.toml"),
            ("my room.toml", "'my room.toml'"),
            ("it's", r"'it'\''s'"),
            ("~/a", "'~/a'"),
            ("$HOME", "'$HOME'"),
            ("a;b", "'a;b'"),
            ("", "''"),
        ] {
            assert_eq!(shell_word(word), quoted);
        }
    }

    #[test]
    fn a_path_is_never_an_option() {
        for (path, word) in [
            ("runs/a", "runs/a"),
            ("-a", "./-a"),
            ("--out=b c/d", "'./--out=b c/d'"),
            ("-", "./-"),
        ] {
            assert_eq!(shell_path(Path::new(path)), word);
        }
    }

    #[test]
    fn numbers_are_formatted() {
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
        let formatted = numbers.map(number).join(" ");
        assert_eq!(formatted, "0 0.0123 0.500 9.41 97.2 1234 3.2e7 −2.50 inf");
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

    #[test]
    fn long_names_are_shortened_in_the_middle() {
        assert_eq!(shorten_middle("clipped", 7), "clipped");
        assert_eq!(shorten_middle("clipped", 6), "cli…ed");
        let run = "exploder__clipped__s12__20261201T013245Z";
        let short = shorten_middle(run, 30);
        assert_eq!(short, "exploder__clipp…261201T013245Z");
        assert_eq!(short.chars().count(), 30);
        assert_eq!(shorten_middle("äöüäöü", 3), "ä…ü");
    }
}
