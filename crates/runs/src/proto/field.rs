//! The Rust types that stand for Protobuf types.

use super::{
    DecodeError, Message, ProtoField, ProtoType, WireValue, put_block, put_key, put_varint,
    take_varint,
};

/// Numbers of fixed length, single and repeated.
macro_rules! fixed {
    ($($Type:ty, $kind:literal, $WireValue:ident, $wire:literal;)*) => {$(
        impl ProtoField for $Type {
            const PROTO_TYPE: ProtoType = ProtoType::Plain($kind);

            fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
                let bytes = self.to_le_bytes();
                // By bytes, because −0.0 is not the default of a float.
                if bytes != [0; size_of::<$Type>()] {
                    put_key(out, number, $wire);
                    out.extend(bytes);
                }
            }

            fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
                let WireValue::$WireValue(bits) = value else {
                    return Err(DecodeError);
                };
                *self = Self::from_le_bytes(bits.to_le_bytes());
                Ok(())
            }
        }

        impl ProtoField for Vec<$Type> {
            const PROTO_TYPE: ProtoType = <$Type>::PROTO_TYPE;
            const REPEATED: bool = true;

            fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
                if !self.is_empty() {
                    put_key(out, number, 2);
                    put_varint(out, size_of_val(&self[..]) as u64);
                    out.extend(self.iter().flat_map(|value| value.to_le_bytes()));
                }
            }

            fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
                match value {
                    WireValue::Bytes(bytes) => {
                        let (values, rest) = bytes.as_chunks();
                        self.extend(values.iter().map(|bytes| <$Type>::from_le_bytes(*bytes)));
                        if rest.is_empty() { Ok(()) } else { Err(DecodeError) }
                    }
                    one => {
                        let mut value = <$Type>::default();
                        value.merge(one)?;
                        self.push(value);
                        Ok(())
                    }
                }
            }
        }
    )*};
}

fixed! {
    f64, 1, Fixed64, 1;
    f32, 2, Fixed32, 5;
    u64, 6, Fixed64, 1;
    u32, 7, Fixed32, 5;
}

/// Numbers that are encoded as varints.
macro_rules! varint {
    ($($Type:ty, $kind:literal, $value:ident => $to:expr, $from:expr;)*) => {$(
        impl ProtoField for $Type {
            const PROTO_TYPE: ProtoType = ProtoType::Plain($kind);

            fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
                if *self != Self::default() {
                    let $value = *self;
                    put_key(out, number, 0);
                    put_varint(out, $to);
                }
            }

            fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
                let WireValue::Varint($value) = value else {
                    return Err(DecodeError);
                };
                *self = $from;
                Ok(())
            }
        }
    )*};
}

varint! {
    i64, 3, value => value as u64, value as i64;
    i32, 5, value => i64::from(value) as u64, value as i32;
    bool, 8, value => u64::from(value), value != 0;
}

impl ProtoField for Vec<i64> {
    const PROTO_TYPE: ProtoType = i64::PROTO_TYPE;
    const REPEATED: bool = true;

    fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_block(out, number, |out| {
                for value in self {
                    put_varint(out, *value as u64);
                }
            });
        }
    }

    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
        match value {
            WireValue::Bytes(mut bytes) => {
                while !bytes.is_empty() {
                    self.push(take_varint(&mut bytes)? as i64);
                }
            }
            WireValue::Varint(value) => self.push(value as i64),
            WireValue::Fixed64(_) | WireValue::Fixed32(_) => return Err(DecodeError),
        }
        Ok(())
    }
}

impl ProtoField for String {
    const PROTO_TYPE: ProtoType = ProtoType::Plain(9);

    fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
        if !self.is_empty() {
            put_block(out, number, |out| out.extend(self.as_bytes()));
        }
    }

    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
        let WireValue::Bytes(bytes) = value else {
            return Err(DecodeError);
        };
        str::from_utf8(bytes)
            .map_err(|_| DecodeError)?
            .clone_into(self);
        Ok(())
    }
}

impl ProtoField for Vec<String> {
    const PROTO_TYPE: ProtoType = String::PROTO_TYPE;
    const REPEATED: bool = true;

    fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
        for text in self {
            put_block(out, number, |out| out.extend(text.as_bytes()));
        }
    }

    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
        let mut text = String::new();
        text.merge(value)?;
        self.push(text);
        Ok(())
    }
}

/// A bytes field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl ProtoField for Bytes {
    const PROTO_TYPE: ProtoType = ProtoType::Plain(12);

    fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
        if !self.0.is_empty() {
            put_block(out, number, |out| out.extend(&self.0));
        }
    }

    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
        let WireValue::Bytes(bytes) = value else {
            return Err(DecodeError);
        };
        self.0 = bytes.to_vec();
        Ok(())
    }
}

impl<M: Message> ProtoField for Option<M> {
    const PROTO_TYPE: ProtoType = ProtoType::Message(M::TYPE);

    fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
        if let Some(message) = self {
            put_block(out, number, |out| message.encode(out));
        }
    }

    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
        let WireValue::Bytes(bytes) = value else {
            return Err(DecodeError);
        };
        *self = Some(M::decode(bytes)?);
        Ok(())
    }
}

impl<M: Message> ProtoField for Vec<M> {
    const PROTO_TYPE: ProtoType = ProtoType::Message(M::TYPE);
    const REPEATED: bool = true;

    fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
        for message in self {
            put_block(out, number, |out| message.encode(out));
        }
    }

    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
        let WireValue::Bytes(bytes) = value else {
            return Err(DecodeError);
        };
        self.push(M::decode(bytes)?);
        Ok(())
    }
}

/// An enum field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Enum<T>(pub T);

/// The values of an enum.
pub trait ProtoEnum: Copy + Default + PartialEq {
    /// Name within the message.
    const NAME: &'static str;
    /// Names and numbers of the values.
    const VALUES: &'static [(&'static str, i32)];
    /// Number of this value.
    fn number(self) -> i32;
    /// The value with this number.
    fn from_number(number: i32) -> Option<Self>;
}

impl<T: ProtoEnum> ProtoField for Enum<T> {
    const PROTO_TYPE: ProtoType = ProtoType::Enum(T::NAME, T::VALUES);

    fn encode_field(&self, number: u32, out: &mut Vec<u8>) {
        self.0.number().encode_field(number, out);
    }

    fn merge(&mut self, value: WireValue) -> Result<(), DecodeError> {
        let mut number = 0;
        ProtoField::merge(&mut number, value)?;
        self.0 = T::from_number(number).ok_or(DecodeError)?;
        Ok(())
    }
}
