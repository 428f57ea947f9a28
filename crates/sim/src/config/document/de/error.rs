//! Errors of the deserializer: where they are, and their words.

use std::fmt;

use serde::de::{self, Expected, Unexpected};

use crate::config::document::diagnostic::{Diagnostic, suggest};
use crate::config::document::source::SourceSpan;
use crate::config::document::tree::Node;

/// Names that are allowed in a place.
pub(super) type Names = &'static [&'static str];

/// An error. Its position is filled in while it travels outwards.
#[derive(Debug)]
pub(in crate::config::document) struct Error(Box<ErrorDetails>);

#[derive(Debug)]
struct ErrorDetails {
    kind: ErrorKind,
    origin: Option<SourceSpan>,
    /// Innermost first.
    path: Vec<String>,
}

#[derive(Debug)]
pub(super) enum ErrorKind {
    UnknownKey { key: String, allowed: Names },
    UnknownChoice { choice: String, allowed: Names },
    MissingKey { key: String },
    Mismatch { found: String, expected: String },
    Other(String),
}

impl Error {
    pub(super) fn new(kind: ErrorKind) -> Self {
        Self(Box::new(ErrorDetails {
            kind,
            origin: None,
            path: Vec::new(),
        }))
    }

    pub(super) fn mismatch(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new(ErrorKind::Mismatch {
            found: found.into(),
            expected: expected.into(),
        })
    }

    /// Sets the position, unless a more exact one is set.
    pub(super) fn at(mut self, origin: &SourceSpan) -> Self {
        self.0.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Sets the position to this node, or to the key of it that the error is about.
    pub(super) fn in_node(self, node: &Node) -> Self {
        let key = match &self.0.kind {
            ErrorKind::UnknownKey { key, .. } => node.child(key).map(|(origin, _)| origin),
            _ => None,
        };
        self.at(key.unwrap_or(&node.origin))
    }

    pub(super) fn with_segment(mut self, segment: String) -> Self {
        self.0.path.push(segment);
        self
    }

    pub(in crate::config::document) fn into_diagnostic(self) -> Diagnostic {
        let ErrorDetails {
            kind,
            origin,
            mut path,
        } = *self.0;
        path.reverse();
        let path = path.join(".");
        let inside = if path.is_empty() {
            String::new()
        } else {
            format!(" in {path}")
        };
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}: ")
        };
        let (message, help) = match kind {
            ErrorKind::UnknownKey { key, allowed } => (
                format!("unknown key '{key}'{inside}"),
                suggest(&key, allowed),
            ),
            ErrorKind::UnknownChoice { choice, allowed } => (
                format!("unknown choice '{choice}'{inside}"),
                suggest(&choice, allowed),
            ),
            ErrorKind::MissingKey { key } => (format!("missing key '{key}'{inside}"), None),
            ErrorKind::Mismatch { found, expected } => {
                (format!("{prefix}expected {expected}, found {found}"), None)
            }
            ErrorKind::Other(message) => (format!("{prefix}{message}"), None),
        };
        match origin {
            Some(origin) => Diagnostic::new(&origin, &message, help),
            None => Diagnostic::without_position("configuration", message, help),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.kind)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(ErrorKind::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let range = if is_large(found) {
            whole_number_range(&expected.to_string())
        } else {
            None
        };
        let expected = range.unwrap_or_else(|| expected_in_words(expected));
        Self::mismatch(found_in_words(found), expected)
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::invalid_type(found, expected)
    }

    fn invalid_length(length: usize, expected: &dyn Expected) -> Self {
        Self::mismatch(elements(length), expected_in_words(expected))
    }

    fn unknown_variant(variant: &str, expected: Names) -> Self {
        Self::new(ErrorKind::UnknownChoice {
            choice: variant.to_owned(),
            allowed: expected,
        })
    }

    fn unknown_field(field: &str, expected: Names) -> Self {
        Self::new(ErrorKind::UnknownKey {
            key: field.to_owned(),
            allowed: expected,
        })
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(ErrorKind::MissingKey {
            key: field.to_owned(),
        })
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::custom(format!("'{field}' is given twice"))
    }
}

pub(super) fn elements(count: usize) -> String {
    if count == 1 {
        "1 element".into()
    } else {
        format!("{count} elements")
    }
}

pub(super) fn found_in_words(found: Unexpected<'_>) -> String {
    match found {
        Unexpected::Bool(flag) => flag.to_string(),
        Unexpected::Unsigned(number) => number.to_string(),
        Unexpected::Signed(number) => number.to_string(),
        // All digits of a number like 1e300 would fill lines.
        Unexpected::Float(number) if number.abs() >= 1e16 => format!("{number:e}"),
        Unexpected::Float(number) => number.to_string(),
        Unexpected::Str(text) => format!("the text {text:?}"),
        Unexpected::Seq => "an array".into(),
        Unexpected::Map => "a table".into(),
        other => other.to_string(),
    }
}

/// Whether a number is whole and so large that it may not fit a type of integers.
fn is_large(found: Unexpected<'_>) -> bool {
    match found {
        Unexpected::Unsigned(number) => number > 255,
        Unexpected::Signed(number) => number > 255,
        Unexpected::Float(number) => number > 255.0 && number.fract() == 0.0,
        _ => false,
    }
}

/// The range of an integer type of which 255 is in the range, in words. TOML's own integers end at
/// 2⁶³ − 1.
fn whole_number_range(expected: &str) -> Option<String> {
    let (least, most) = match expected {
        "u16" => (0, u16::MAX.into()),
        "u32" => (0, u32::MAX.into()),
        "u64" | "usize" => (0, i64::MAX),
        "i16" => (i16::MIN.into(), i16::MAX.into()),
        "i32" => (i32::MIN.into(), i32::MAX.into()),
        "i64" | "isize" => (i64::MIN, i64::MAX),
        _ => return None,
    };
    Some(format!("a whole number from {least} to {most}"))
}

/// serde names Rust's types; messages name TOML's.
fn expected_in_words(expected: &dyn Expected) -> String {
    let expected = expected.to_string();
    match expected.as_str() {
        "u8" => "a whole number from 0 to 255".into(),
        "u16" => "a whole number from 0 to 65535".into(),
        "u32" | "u64" | "usize" => "a whole number, 0 or more".into(),
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number".into(),
        "f32" | "f64" => "a number".into(),
        "a boolean" => "true or false".into(),
        "a sequence" => "an array".into(),
        "a string" => "text in quotes".into(),
        "a map" => "a table".into(),
        other if other.starts_with("struct ") => "a table".into(),
        other => match other.strip_prefix("an array of length ") {
            Some(length) => format!("an array of {length} elements"),
            None => other.to_owned(),
        },
    }
}
