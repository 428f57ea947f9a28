//! Protobuf: a message is declared once, and its struct, its bytes and its descriptor follow from
//! that. Readers of MCAP need the descriptors, and no compiler of `.proto` files is at hand when
//! evenkeel is built.
//!
//! A Rust type stands for one type of protobuf: `f64` double, `f32` float, `u64` fixed64, `u32`
//! fixed32, `i64` int64, `i32` int32, `bool`, `String`, `Bytes`, an [`Enum`] of the message, and
//! `Option` of a message; `Vec` of numbers (packed), strings or messages where there are many.
//! What has its type's default value is left out, as proto3 does.

pub mod descriptor;
mod field;
#[cfg(test)]
#[allow(
    unreachable_pub,
    reason = "messages are public where they are declared"
)]
mod tests;

pub use field::{Bytes, Enum, ProtoEnum};

/// Bytes that are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a protobuf message of the type that it should be")]
pub struct DecodeError;

/// A message.
pub trait Message: Default + 'static {
    /// Its package, name and file, and its fields.
    const TYPE: MessageType;

    /// Appends it to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Takes over a field, as it stands in the bytes.
    fn merge(&mut self, number: u32, value: WireValue) -> Result<(), DecodeError>;

    /// Reads it; fields that it does not have are passed over.
    fn decode(mut bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut message = Self::default();
        while !bytes.is_empty() {
            let (number, value) = WireValue::take(&mut bytes)?;
            message.merge(number, value)?;
        }
        Ok(message)
    }

    /// The files that describe it, those first that others need: what MCAP's schemas hold.
    fn descriptor() -> Vec<u8> {
        let mut bytes = Vec::new();
        descriptor::files(&Self::TYPE).encode(&mut bytes);
        bytes
    }
}

/// What is to be known of a type of message. Each has a file of its own.
#[derive(Clone, Copy, Debug)]
pub struct MessageType {
    /// As in `foxglove`.
    pub package: &'static str,
    /// As in `PoseInFrame`.
    pub name: &'static str,
    /// As in `foxglove/PoseInFrame.proto`.
    pub file: &'static str,
    /// In the order of their numbers.
    pub fields: fn() -> Vec<FieldType>,
}

impl MessageType {
    /// As in `foxglove.PoseInFrame`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.package, self.name)
    }
}

/// What is to be known of a field.
#[derive(Debug)]
pub struct FieldType {
    name: &'static str,
    number: u32,
    kind: ProtoType,
    repeated: bool,
}

impl FieldType {
    /// A field that is a `T`.
    pub fn of<T: ProtoField>(name: &'static str, number: u32) -> Self {
        Self {
            // Rust's keywords are not protobuf's.
            name: name.strip_prefix("r#").unwrap_or(name),
            number,
            kind: T::PROTO_TYPE,
            repeated: T::REPEATED,
        }
    }
}

/// A type of protobuf, numbered as in `descriptor.proto`.
#[derive(Clone, Copy, Debug)]
pub enum ProtoType {
    /// A number, a bool, a string or bytes.
    Plain(i32),
    /// A message.
    Message(MessageType),
    /// An enum of the message that has the field.
    Enum(&'static str, &'static [(&'static str, i32)]),
}

/// A value as it stands in the bytes.
#[derive(Clone, Copy, Debug)]
pub enum WireValue<'a> {
    /// A whole number of any length.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Something with a length.
    Bytes(&'a [u8]),
    /// Four bytes.
    Fixed32(u32),
}

impl<'a> WireValue<'a> {
    /// Takes a field's number and its value off the front.
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

/// Appends a field that has a length; `write` appends what it holds.
fn put_block(out: &mut Vec<u8>, number: u32, write: impl FnOnce(&mut Vec<u8>)) {
    put_key(out, number, 2);
    let start = out.len();
    write(out);
    let mut length = Vec::with_capacity(3);
    put_varint(&mut length, (out.len() - start) as u64);
    out.splice(start..start, length);
}

/// A Rust type that stands for a type of protobuf.
pub trait ProtoField: Default {
    /// Which.
    const PROTO_TYPE: ProtoType;
    /// Whether there are many.
    const REPEATED: bool = false;

    /// Appends it under a number, unless it is the default.
    fn encode_field(&self, number: u32, out: &mut Vec<u8>);

    /// Takes over a value.
    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError>;
}

/// Declares messages: `in "package": Name "file" { field: Type = number, … }`.
macro_rules! messages {
    (in $package:literal: $(
        $(#[$about:meta])*
        $Name:ident $file:literal {
            $($(#[$doc:meta])* $field:ident: $Type:ty = $number:literal,)*
        }
    )*) => {$(
        $(#[$about])*
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct $Name {
            $($(#[$doc])* pub $field: $Type,)*
        }

        impl $crate::recording::proto::Message for $Name {
            const TYPE: $crate::recording::proto::MessageType = $crate::recording::proto::MessageType {
                package: $package,
                name: stringify!($Name),
                file: $file,
                fields: || vec![$(
                    $crate::recording::proto::FieldType::of::<$Type>(stringify!($field), $number)
                ),*],
            };

            fn encode(&self, out: &mut Vec<u8>) {
                $($crate::recording::proto::ProtoField::encode_field(&self.$field, $number, out);)*
            }

            fn merge(
                &mut self,
                number: u32,
                value: $crate::recording::proto::WireValue,
            ) -> Result<(), $crate::recording::proto::DecodeError> {
                match number {
                    $($number => $crate::recording::proto::ProtoField::merge(&mut self.$field, value),)*
                    _ => Ok(()),
                }
            }
        }
    )*};
}

/// Declares an enum: `Name as "NameInMessage" { Value "VALUE" = number, … }`, the first being 0.
macro_rules! values {
    ($(#[$about:meta])* $Name:ident as $name:literal {
        $(#[$first_doc:meta])* $First:ident $first:literal = 0,
        $($(#[$doc:meta])* $Value:ident $value:literal = $number:literal,)*
    }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub enum $Name {
            $(#[$first_doc])* #[default] $First = 0,
            $($(#[$doc])* $Value = $number,)*
        }

        impl $crate::recording::proto::ProtoEnum for $Name {
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

pub(super) use {messages, values};
