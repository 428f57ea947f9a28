//! A serde deserializer for [`Node`]. Its errors know their position and have their own words.

mod error;

use serde::de::value::StrDeserializer;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer as _, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::diagnostic::list_choices;
use super::source::SourceSpan;
use super::tree::{Node, TableEntry, Value};
use crate::config::parse_count;
pub(super) use error::Error;
use error::{ErrorKind, Names, elements, found_in_words};

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
