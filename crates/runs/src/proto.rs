//! Protobuf: a message is declared once; its struct, encoding and descriptor follow from that. MCAP
//! readers need the descriptors, and the build must not need `protoc`. Recordings and ONNX files consist
//! of such messages.
//!
//! Each Rust type stands for one Protobuf type: `f64` double, `f32` float, `u64` fixed64, `u32`
//! fixed32, `i64` int64, `i32` int32, `bool`, `String`, [`Bytes`], an [`Enum`] of the message, and
//! `Option` of a message; `Vec` of numbers (packed), strings or messages for repeated fields. Default
//! values are left out, as in proto3.
//!
//! Two crates could replace this module, and do not:
//!
//! - `prost` 0.14 (derive macros, so without `protoc`) leaves out a field that equals its default, and
//!   −0.0 equals 0.0: a recording would lose the sign bit. Its derive has no descriptors, so each
//!   message would be declared twice, or generated code and descriptors committed.
//! - The `foxglove` SDK 0.30 without default features has the messages of `foxglove.rs` with their
//!   schemas, but none of `messages.rs`, which need this module all the same. It adds eight crates
//!   (`prost` among them) to save about 300 lines of declarations.

pub mod descriptor;
mod field;
#[cfg(test)]
#[allow(
    unreachable_pub,
    reason = "messages are public where they are declared"
)]
mod tests;

pub use field::{Bytes, Enum, ProtoEnum};

/// The bytes are not a message of this type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a Protobuf message of the expected type")]
pub struct DecodeError;

/// A message.
pub trait Message: Default + 'static {
    /// Its name and fields.
    const TYPE: MessageType;

    /// Appends the encoded message to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Sets a field from its encoded value, or adds to a repeated field.
    ///
    /// # Errors
    /// If the value is not of the field's type.
    fn merge(&mut self, number: u32, value: WireValue) -> Result<(), DecodeError>;

    /// Decodes a message. Unknown fields are skipped.
    ///
    /// # Errors
    /// If `bytes` is not a message of this type.
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        while !bytes.is_empty() {
            let (number, value) = WireValue::take(&mut bytes)?;
            message.merge(number, value)?;
        }
        Ok(message)
    }

    /// The encoded `FileDescriptorSet` of the message, which is its schema in MCAP. Dependencies come
    /// first.
    fn descriptor() -> Vec<u8> {
        let mut bytes = Vec::new();
        descriptor::files(&Self::TYPE).encode(&mut bytes);
        bytes
    }
}

/// The type of a message. Each is declared in a file of its own.
#[derive(Clone, Copy, Debug)]
pub struct MessageType {
    /// Package, as in `foxglove`.
    pub package: &'static str,
    /// Name, as in `PoseInFrame`.
    pub name: &'static str,
    /// File, as in `foxglove/PoseInFrame.proto`.
    pub file: &'static str,
    /// Fields, in the order of their numbers.
    pub fields: fn() -> Vec<FieldType>,
}

impl MessageType {
    /// The full name, as in `foxglove.PoseInFrame`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.package, self.name)
    }
}

/// A field of a message type.
#[derive(Debug)]
pub struct FieldType {
    name: &'static str,
    number: u32,
    kind: ProtoType,
    repeated: bool,
}

impl FieldType {
    /// A field of type `T`.
    pub fn of<T: ProtoField>(name: &'static str, number: u32) -> Self {
        Self {
            // Raw identifiers are for Rust's keywords.
            name: name.strip_prefix("r#").unwrap_or(name),
            number,
            kind: T::PROTO_TYPE,
            repeated: T::REPEATED,
        }
    }
}

/// A Protobuf type.
#[derive(Clone, Copy, Debug)]
pub enum ProtoType {
    /// A number, bool, string or bytes: its number in `descriptor.proto`.
    Plain(i32),
    /// A message.
    Message(MessageType),
    /// An enum of the message that has the field: its name and values.
    Enum(&'static str, &'static [(&'static str, i32)]),
}

/// An encoded value.
#[derive(Clone, Copy, Debug)]
pub enum WireValue<'a> {
    /// A varint.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// A length-delimited value.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

impl<'a> WireValue<'a> {
    /// Takes a field number and its value off the front of `bytes`.
    fn take(bytes: &mut &'a [u8]) -> Result<(u32, Self), DecodeError> {
        let key = take_varint(bytes)?;
        let number = u32::try_from(key >> 3).map_err(|_| DecodeError)?;
        let value = match key & 7 {
            0 => Self::Varint(take_varint(bytes)?),
            1 => Self::Fixed64(u64::from_le_bytes(take_array(bytes)?)),
            2 => {
                let length = usize::try_from(take_varint(bytes)?).map_err(|_| DecodeError)?;
                let (value, rest) = bytes.split_at_checked(length).ok_or(DecodeError)?;
                *bytes = rest;
                Self::Bytes(value)
            }
            5 => Self::Fixed32(u32::from_le_bytes(take_array(bytes)?)),
            _ => return Err(DecodeError),
        };
        Ok((number, value))
    }
}

fn take_array<const N: usize>(bytes: &mut &[u8]) -> Result<[u8; N], DecodeError> {
    let (value, rest) = bytes.split_first_chunk().ok_or(DecodeError)?;
    *bytes = rest;
    Ok(*value)
}

fn take_varint(bytes: &mut &[u8]) -> Result<u64, DecodeError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array(bytes)?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err(DecodeError)
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn put_key(out: &mut Vec<u8>, number: u32, wire: u32) {
    put_varint(out, u64::from(number << 3 | wire));
}

/// Appends a length-delimited field; `write` appends its contents.
fn put_block(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_key(out, number, 2);
    let start = out.len();
    write(out);
    let mut length = Vec::with_capacity(3);
    put_varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
}

/// A Rust type that stands for a Protobuf type.
pub trait ProtoField: Default {
    /// The Protobuf type, of one element if repeated.
    const PROTO_TYPE: ProtoType;
    /// Whether the field is repeated.
    const REPEATED: bool = false;

    /// Appends the field, unless it has the default value.
    fn encode_field(&self, number: u32, out: &mut Vec<u8>);

    /// Sets the field from an encoded value, or adds to a repeated field.
    ///
    /// # Errors
    /// If the value is not of this type.
    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError>;
}

/// Declares messages: `in "package": Name "file" { field: Type = number, … }`.
#[macro_export]
#[doc(hidden)]
macro_rules! proto_messages {
    (in $package:literal: $(
        $(#[$type_doc:meta])*
        $Name:ident $file:literal {
            $($(#[$doc:meta])* $field:ident: $Type:ty = $number:literal,)*
        }
    )*) => {$(
        $(#[$type_doc])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $Name {
            $($(#[$doc])* pub $field: $Type,)*
        }

        impl $crate::proto::Message for $Name {
            const TYPE: $crate::proto::MessageType = $crate::proto::MessageType {
                package: $package,
                name: stringify!($Name),
                file: $file,
                fields: || vec![$(
                    $crate::proto::FieldType::of::<$Type>(stringify!($field), $number)
                ),*],
            };

            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::proto::ProtoField::encode_field(&self.$field, $number, out);)*
            }

            fn merge(
                &mut self,
                number: u32,
                value: $crate::proto::WireValue,
            ) -> Result<(), $crate::proto::DecodeError> {
                match number {
                    $($number => $crate::proto::ProtoField::merge(&mut self.$field, value),)*
                    _ => Ok(()),
                }
            }
        }
    )*};
}

/// Declares an enum: `Name as "NameInMessage" { Value "VALUE" = number, … }`. The first value is 0.
#[macro_export]
#[doc(hidden)]
macro_rules! proto_values {
    ($(#[$type_doc:meta])* $Name:ident as $name:literal {
        $(#[$first_doc:meta])* $First:ident $first:literal = 0,
        $($(#[$doc:meta])* $Value:ident $value:literal = $number:literal,)*
    }) => {
        $(#[$type_doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $Name {
            $(#[$first_doc])* #[default] $First = 0,
            $($(#[$doc])* $Value = $number,)*
        }

        impl $crate::proto::ProtoEnum for $Name {
            const NAME: &'static str = $name;
            const VALUES: &'static [(&'static str, i32)] =
                &[($first, 0), $(($value, $number)),*];

            fn number(self) -> i32 {
                self as i32
            }

            fn from_number(number: i32) -> Option<Self> {
                match number {
                    0 => Some(Self::$First),
                    $($number => Some(Self::$Value),)*
                    _ => None,
                }
            }
        }
    };
}

pub use crate::{proto_messages as messages, proto_values as values};
