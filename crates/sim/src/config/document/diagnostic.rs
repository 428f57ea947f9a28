//! An error in a user's file or flag: its position, what is wrong, and what would be right.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::source::{Source, SourceSpan};

/// Lines with more characters than this are not quoted.
const LONGEST_QUOTE: usize = 160;

/// Messages are cut after this many characters. They may quote a value of any length.
const LONGEST_MESSAGE: usize = 600;

/// An error in a user's file or flag. It prints as
///
/// ```text
/// rooms/mine.toml:12:1: unknown key 'rnage_m' in robot.lidar; did you mean 'range_m'?
///    |
/// 12 | rnage_m = 5.0
///    | ^^^^^^^
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file or the flag that contains the error.
    pub file: String,
    /// Line and column of the first wrong character, from 1. `None` for flags.
    pub position: Option<(usize, usize)>,
    /// What is wrong. One line.
    pub message: String,
    /// What would be right. One line.
    pub help: Option<String>,
    /// The line, and the number of characters to underline.
    quote: Option<(Box<str>, usize)>,
}

impl Diagnostic {
    pub(super) fn new(origin: &SourceSpan, message: &str, help: Option<String>) -> Self {
        match origin.source.as_ref() {
            Source::Label(label) => Self::without_position(label, message.to_owned(), help),
            Source::File { file, text } => {
                let start = floor_char(text, origin.span.start);
                let end = floor_char(text, origin.span.end.max(start));
                let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
                let line = text[line_start..].lines().next().unwrap_or_default();
                let line_end = line_start + line.len();
                let column = text[line_start..start].chars().count() + 1;
                let width = if start < line_end {
                    text[start..end.min(line_end)].chars().count().max(1)
                } else {
                    1
                };
                let quotable = !line.is_empty() && line.chars().count() <= LONGEST_QUOTE;
                Self {
                    file: file.clone(),
                    position: Some((text[..start].matches('\n').count() + 1, column)),
                    message: one_line(message),
                    help: help.map(|help| one_line(&help)),
                    quote: quotable.then(|| (printable(line).into(), width)),
                }
            }
        }
    }

    /// An error at a range of bytes in a text that is not TOML.
    pub fn at_span(
        file: &str,
        text: &str,
        span: Range<usize>,
        message: &str,
        help: Option<String>,
    ) -> Self {
        let source = Arc::new(Source::File {
            file: file.to_owned(),
            text: text.to_owned(),
        });
        Self::new(&SourceSpan { source, span }, message, help)
    }

    /// An error without a position: a file that cannot be read, or a flag.
    pub fn without_position(file: &str, message: String, help: Option<String>) -> Self {
        Self {
            file: file.to_owned(),
            position: None,
            message,
            help,
            quote: None,
        }
    }

    /// The message and the help, without the position.
    pub fn text(&self) -> String {
        match &self.help {
            Some(help) => format!("{}; {help}", self.message),
            None => self.message.clone(),
        }
    }
}

/// The first `max` characters of a text, with `…` if there are more.
fn shortened(text: &str, max: usize) -> Cow<'_, str> {
    match text.char_indices().nth(max) {
        Some((end, _)) => format!("{}…", &text[..end]).into(),
        None => text.into(),
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A flag is named with its value, which may have any length.
        let name = match self.file.strip_prefix("--set ") {
            Some(value) => format!("--set {}", shortened(value, LONGEST_QUOTE)),
            None => self.file.clone(),
        };
        let Some((line, column)) = self.position else {
            return write!(f, "{name}: {}", shortened(&self.text(), LONGEST_MESSAGE));
        };
        let text = self.text();
        let text = shortened(&text, LONGEST_MESSAGE);
        write!(f, "{name}:{line}:{column}: {text}")?;
        if let Some((quote, width)) = &self.quote {
            let number = line.to_string();
            let gutter = " ".repeat(number.len());
            let indent = " ".repeat(column - 1);
            let carets = "^".repeat(*width);
            write!(
                f,
                "\n{gutter} |\n{number} | {quote}\n{gutter} | {indent}{carets}"
            )?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostic {}

/// Suggests the closest of the allowed words, or lists all of them if none is close. `None` if no
/// word is allowed.
pub fn suggest(word: &str, allowed: &[&str]) -> Option<String> {
    if allowed.is_empty() {
        return None;
    }
    let folded = word.to_lowercase().replace('-', "_");
    let closest = allowed
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&folded, candidate), *candidate))
        .min_by_key(|(distance, _)| *distance);
    if let Some((distance, candidate)) = closest
        && distance <= candidate.chars().count().max(3) / 3
    {
        return Some(format!("did you mean '{candidate}'?"));
    }
    // A name without its unit, or with a different unit: 'range' for 'range_m'.
    let stem = |name: &str| name.split('_').next().unwrap_or_default().to_owned();
    let mut related = allowed.iter().filter(|name| stem(name) == stem(&folded));
    if let (Some(only), None) = (related.next(), related.next()) {
        return Some(format!("did you mean '{only}'?"));
    }
    Some(format!("expected {}", list_choices(allowed)))
}

/// Lists the allowed words for a message.
pub(crate) fn list_choices(allowed: &[&str]) -> String {
    match allowed {
        [] => "nothing".into(),
        [only] => format!("'{only}'"),
        [first, second] => format!("'{first}' or '{second}'"),
        [rest @ .., last] => format!("one of '{}' or '{last}'", rest.join("', '")),
    }
}

/// The start of the character that contains a byte.
fn floor_char(text: &str, byte: usize) -> usize {
    let mut byte = byte.min(text.len());
    while !text.is_char_boundary(byte) {
        byte -= 1;
    }
    byte
}

fn one_line(text: &str) -> String {
    text.trim().replace('\n', "; ")
}

/// Replaces control characters, so that a file cannot control the terminal that shows the error. A
/// tab becomes one space, so that the carets stay aligned.
fn printable(line: &str) -> String {
    line.chars()
        .map(|c| match c {
            '\t' => ' ',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
