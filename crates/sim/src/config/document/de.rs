//! A serde deserializer for [`Node`]. Its errors know their position and have their own words.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer as _, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::diagnostic::{Diagnostic, list_choices, suggest};
use super::source::SourceSpan;
use super::tree::{Node, TableEntry, Value};
use crate::config::parse_count;

type Names = &'static [&'static str];

/// An error. Its position is filled in while it travels outwards.
#[derive(Debug)]
pub(super) struct Error(Box<ErrorDetails>);

#[derive(Debug)]
struct ErrorDetails {
    kind: ErrorKind,
    origin: Option<SourceSpan>,
    /// Innermost first.
    path: Vec<String>,
}

#[derive(Debug)]
enum ErrorKind {
    UnknownKey { key: String, allowed: Names },
    UnknownChoice { choice: String, allowed: Names },
    MissingKey { key: String },
    Mismatch { found: String, expected: String },
    Other(String),
}

impl Error {
    fn new(kind: ErrorKind) -> Self {
        Self(Box::new(ErrorDetails {
            kind,
            origin: None,
            path: Vec::new(),
        }))
    }

    fn mismatch(found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::new(ErrorKind::Mismatch {
            found: found.into(),
            expected: expected.into(),
        })
    }

    /// Sets the position, unless a more exact one is set.
    fn at(mut self, origin: &SourceSpan) -> Self {
        self.0.origin.get_or_insert_with(|| origin.clone());
        self
    }

    /// Sets the position to this node, or to the key of it that the error is about.
    fn in_node(self, node: &Node) -> Self {
        let key = match &self.0.kind {
            ErrorKind::UnknownKey { key, .. } => node.child(key).map(|(origin, _)| origin),
            _ => None,
        };
        self.at(key.unwrap_or(&node.origin))
    }

    fn with_segment(mut self, segment: String) -> Self {
        self.0.path.push(segment);
        self
    }

    pub(super) fn into_diagnostic(self) -> Diagnostic {
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

fn elements(count: usize) -> String {
    if count == 1 {
        "1 element".into()
    } else {
        format!("{count} elements")
    }
}

fn found_in_words(found: Unexpected<'_>) -> String {
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

impl Value {
    fn unexpected(&self) -> Unexpected<'_> {
        match self {
            Self::String(text) => Unexpected::Str(text),
            Self::Integer(number) => Unexpected::Signed(*number),
            Self::Float(number) => Unexpected::Float(*number),
            Self::Bool(flag) => Unexpected::Bool(*flag),
            Self::Date(_) => Unexpected::Other("a date"),
            Self::Array(_) => Unexpected::Seq,
            Self::Table(_) => Unexpected::Map,
        }
    }
}

/// Largest whole number that TOML can hold.
const MAX_INTEGER: u64 = i64::MAX as u64;

impl Node {
    /// Visits a whole number, 0 or more. `--set` writes it like a count on the command line.
    fn visit_count<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Error> {
        let text = match &self.value {
            Value::String(_) | Value::Integer(_) | Value::Float(_) => self.origin.override_text(),
            _ => None,
        };
        let Some(text) = text else {
            return self.visit_integer(visitor);
        };
        match parse_count(text, 0..=MAX_INTEGER) {
            Ok(count) => visitor.visit_i64(count as i64),
            Err(_) if matches!(self.value, Value::Integer(..0)) => self.visit_integer(visitor),
            Err(_) => {
                let found = match &self.value {
                    Value::String(text) => found_in_words(Unexpected::Str(text)),
                    _ => text.to_owned(),
                };
                let is_too_large = text
                    .parse()
                    .is_ok_and(|number: f64| number >= MAX_INTEGER as f64);
                let expected = if is_too_large {
                    format!("a whole number from 0 to {MAX_INTEGER}")
                } else if text.contains(|c: char| c.is_ascii_digit()) {
                    "a whole number, 0 or more, as in 1500000 or 1.5M".to_owned()
                } else {
                    "a whole number, 0 or more".to_owned()
                };
                Err(Error::mismatch(found, expected))
            }
        }
        .map_err(|error: Error| error.in_node(self))
    }

    /// Visits a whole number. One that is written like `1e6` is visited as an integer.
    fn visit_integer<'de, V: Visitor<'de>>(&'de self, visitor: V) -> Result<V::Value, Error> {
        match self.value {
            // Up to 2^53 a float holds every whole number exactly.
            Value::Float(number) if number.fract() == 0.0 && number.abs() <= 9e15 => visitor
                .visit_i64(number as i64)
                .map_err(|error: Error| error.in_node(self)),
            _ => self.deserialize_any(visitor),
        }
    }
}

macro_rules! whole_numbers {
    ($visit:ident: $($method:ident)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$visit(visitor)
        })*
    };
}

impl<'de> Deserializer<'de> for &'de Node {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.value {
            Value::String(text) | Value::Date(text) => visitor.visit_borrowed_str(text),
            Value::Integer(number) => visitor.visit_i64(*number),
            Value::Float(number) => visitor.visit_f64(*number),
            Value::Bool(flag) => visitor.visit_bool(*flag),
            Value::Array(nodes) => {
                let mut elements_left = ArrayAccess { nodes, next: 0 };
                visitor.visit_seq(&mut elements_left).and_then(|value| {
                    let taken = elements_left.next;
                    if taken == nodes.len() {
                        return Ok(value);
                    }
                    let expected = format!("an array of {}", elements(taken));
                    Err(Error::mismatch(elements(nodes.len()), expected))
                })
            }
            Value::Table(entries) => visitor.visit_map(TableAccess { entries, next: 0 }),
        }
        .map_err(|error| error.in_node(self))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: Names,
        visitor: V,
    ) -> Result<V::Value, Error> {
        match &self.value {
            Value::String(name) => visitor.visit_enum(VariantReader {
                name,
                origin: None,
                node: None,
            }),
            Value::Table(entries) => {
                variant(entries, variants).and_then(|variant| visitor.visit_enum(variant))
            }
            other => Err(Error::mismatch(
                found_in_words(other.unexpected()),
                list_choices(variants),
            )),
        }
        .map_err(|error| error.in_node(self))
    }

    whole_numbers! {
        visit_integer: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64
    }

    whole_numbers! {
        visit_count: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64
    }

    forward_to_deserialize_any! {
        bool i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier ignored_any
    }
}

/// The variant that a table selects: the only key that the topmost layer wrote.
fn variant(entries: &[TableEntry], variants: Names) -> Result<VariantReader<'_>, Error> {
    let topmost = entries.iter().map(|entry| entry.layer).max();
    let mut candidates = entries.iter().filter(|entry| Some(entry.layer) == topmost);
    let Some(entry) = candidates.next() else {
        return Err(Error::mismatch("an empty table", list_choices(variants)));
    };
    if let Some(second) = candidates.next() {
        let message = format!(
            "'{}' and '{}' exclude each other; keep one",
            entry.key, second.key
        );
        return Err(Error::new(ErrorKind::Other(message)).at(&second.key_origin));
    }
    let TableEntry {
        key,
        key_origin,
        node,
        ..
    } = entry;
    Ok(VariantReader {
        name: key,
        origin: Some(key_origin),
        node: Some(node),
    })
}

/// Reads the elements of an array one after the other.
struct ArrayAccess<'de> {
    nodes: &'de [Node],
    next: usize,
}

impl<'de> SeqAccess<'de> for &mut ArrayAccess<'de> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        let Some(node) = self.nodes.get(self.next) else {
            return Ok(None);
        };
        let index = self.next;
        self.next += 1;
        seed.deserialize(node).map(Some).map_err(|error| {
            // A single `[[robot]]` is called `robot` in messages, not `robot.0`.
            if self.nodes.len() == 1 {
                error
            } else {
                error.with_segment(index.to_string())
            }
        })
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.nodes.len() - self.next)
    }
}

/// Reads the entries of a table one after the other.
struct TableAccess<'de> {
    entries: &'de [TableEntry],
    next: usize,
}

impl<'de> MapAccess<'de> for TableAccess<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let Some(entry) = self.entries.get(self.next) else {
            return Ok(None);
        };
        self.next += 1;
        seed.deserialize(key(&entry.key))
            .map(Some)
            .map_err(|error: Error| error.at(&entry.key_origin))
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        // serde asks for a value only after its key.
        let entry = &self.entries[self.next - 1];
        seed.deserialize(&entry.node)
            .map_err(|error| error.with_segment(entry.key.clone()))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len() - self.next)
    }
}

fn key(key: &str) -> StrDeserializer<'_, Error> {
    key.into_deserializer()
}

/// Reads a variant of an enum: a bare word, or a key with its settings.
struct VariantReader<'de> {
    name: &'de str,
    origin: Option<&'de SourceSpan>,
    node: Option<&'de Node>,
}

impl<'de> EnumAccess<'de> for VariantReader<'de> {
    type Error = Error;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Error> {
        match seed.deserialize(key(self.name)) {
            Ok(value) => Ok((value, self)),
            Err(error) => Err(match self.origin {
                Some(origin) => Error::at(error, origin),
                None => error,
            }),
        }
    }
}

impl<'de> VariantReader<'de> {
    fn settings(&self) -> Result<&'de Node, Error> {
        self.node.ok_or_else(|| {
            let name = self.name;
            Error::new(ErrorKind::Other(format!(
                "'{name}' needs settings; write {{ {name} = {{ … }} }}"
            )))
        })
    }
}

impl<'de> VariantAccess<'de> for VariantReader<'de> {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        match self.node {
            None => Ok(()),
            Some(node) => match &node.value {
                Value::Table(entries) if entries.is_empty() => Ok(()),
                _ => {
                    let message = format!("takes no settings; write '{}' alone", self.name);
                    Err(Error::new(ErrorKind::Other(message)).at(&node.origin))
                        .map_err(|error| error.with_segment(self.name.to_owned()))
                }
            },
        }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Error> {
        let node = self.settings()?;
        seed.deserialize(node)
            .map_err(|error| error.with_segment(self.name.to_owned()))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        let node = self.settings()?;
        node.deserialize_any(visitor)
            .map_err(|error| error.with_segment(self.name.to_owned()))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: Names, visitor: V) -> Result<V::Value, Error> {
        let node = self.settings()?;
        node.deserialize_any(visitor)
            .map_err(|error| error.with_segment(self.name.to_owned()))
    }
}
