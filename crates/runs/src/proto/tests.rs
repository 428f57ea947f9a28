use super::descriptor::FileDescriptorSet;
use super::*;
use proptest::prelude::*;

values! {
    /// For the test.
    Mood as "Mood" {
        /// One.
        Calm "CALM" = 0,
        /// Another.
        Wild "WILD" = 7,
    }
}

messages! {
    in "test":

    /// Every kind of field.
    All "test/All.proto" {
        /// Varint.
        whole: i64 = 1,
        /// Text.
        text: String = 2,
        /// Fixed.
        double: f64 = 3,
        /// Fixed.
        float: f32 = 4,
        /// Packed.
        floats: Vec<f32> = 5,
        /// A message.
        inner: Option<Inner> = 6,
        /// Many.
        inners: Vec<Inner> = 7,
        /// An enum.
        mood: Enum<Mood> = 8,
        /// Fixed.
        long: u64 = 9,
        /// Bytes.
        bytes: Bytes = 16,
        /// Many.
        texts: Vec<String> = 17,
        /// Varint.
        flag: bool = 18,
        /// Packed varints.
        wholes: Vec<i64> = 19,
    }

    /// A message in another.
    Inner "test/Inner.proto" {
        /// Fixed.
        count: u32 = 1,
        /// Packed.
        doubles: Vec<f64> = 2,
    }
}

fn bytes(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(&mut bytes);
    bytes
}

/// The examples of <https://protobuf.dev/programming-guides/encoding/>, and what follows from
/// its rules.
#[test]
fn encoding_follows_the_specification() {
    let check = |message: All, expect: &[u8]| assert_eq!(bytes(&message), expect);
    let empty = All::default();
    check(empty.clone(), &[]);
    let whole = All {
        whole: 150,
        ..empty.clone()
    };
    check(whole, &[0x08, 0x96, 0x01]);
    let text = All {
        text: "testing".into(),
        ..empty.clone()
    };
    check(text, b"\x12\x07testing");
    let negative = All {
        whole: -2,
        ..empty.clone()
    };
    check(negative, b"\x08\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01");
    let inner = All {
        inner: Some(Inner {
            count: 1,
            doubles: vec![],
        }),
        mood: Enum(Mood::Wild),
        ..empty.clone()
    };
    check(inner, &[0x32, 5, 0x0d, 1, 0, 0, 0, 0x40, 7]);
    let packed = All {
        floats: vec![1.0, -0.0],
        bytes: Bytes(vec![9]),
        ..empty
    };
    check(
        packed,
        &[0x2a, 8, 0, 0, 0x80, 0x3f, 0, 0, 0, 0x80, 0x82, 0x01, 1, 9],
    );
}

#[test]
fn whole_numbers_are_read_packed_or_one_by_one() {
    let message = All {
        wholes: vec![3, 270, 86942],
        ..All::default()
    };
    // The specification's example of a packed field, here with number 19.
    let packed = b"\x9a\x01\x06\x03\x8e\x02\x9e\xa7\x05";
    assert_eq!(bytes(&message), packed);
    assert_eq!(All::decode(packed).unwrap(), message);
    let apart = b"\x98\x01\x03\x98\x01\x8e\x02\x98\x01\x9e\xa7\x05";
    assert_eq!(All::decode(apart).unwrap(), message);
}

#[test]
fn unknown_fields_are_skipped() {
    // Field 100, a string, before field 1.
    let read = All::decode(&[0xa2, 0x06, 2, b'h', b'i', 0x08, 3]).unwrap();
    assert_eq!(read.whole, 3);
    assert!(
        All::decode(&[0x0d, 3, 0, 0, 0]).is_err(),
        "whole as fixed32"
    );
    assert!(All::decode(&[0x40, 3]).is_err(), "no such mood");
    assert!(All::decode(&[0x08, 0x80]).is_err(), "half a number");
}

#[test]
fn a_descriptor_has_each_file_once_and_dependencies_first() {
    let set = FileDescriptorSet::decode(&All::descriptor()).unwrap();
    let names: Vec<&str> = set.file.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["test/Inner.proto", "test/All.proto"]);
    assert_eq!(set.file[1].dependency, ["test/Inner.proto"]);
    let message = &set.file[1].message_type[0];
    assert_eq!(message.enum_type[0].value[1].number, 7);
    let mood = &message.field[7];
    assert_eq!(
        (mood.r#type, mood.type_name.as_str()),
        (14, ".test.All.Mood")
    );
}

fn any_inner() -> impl Strategy<Value = Inner> {
    let doubles = prop::collection::vec(-1e9..1e9_f64, 0..4);
    (any::<u32>(), doubles).prop_map(|(count, doubles)| Inner { count, doubles })
}

proptest! {
    #[test]
    fn messages_round_trip(
        (whole, text, double, float, flag) in
            (any::<i64>(), ".{0,9}", -1e9..1e9_f64, -1e9..1e9_f32, any::<bool>()),
        floats in prop::collection::vec(-1e9..1e9_f32, 0..9),
        inner in prop::option::of(any_inner()),
        inners in prop::collection::vec(any_inner(), 0..4),
        texts in prop::collection::vec(".{0,200}", 0..3),
        (long, raw) in (any::<u64>(), prop::collection::vec(any::<u8>(), 0..200)),
    ) {
        let mood = Enum(if flag { Mood::Wild } else { Mood::Calm });
        let bytes_of = Bytes(raw);
        let message = All {
            whole, text, double, float, floats, inner, inners, mood, long, texts, flag,
            wholes: vec![whole, long as i64],
            bytes: bytes_of,
        };
        prop_assert_eq!(All::decode(&bytes(&message)).unwrap(), message);
    }

    #[test]
    fn arbitrary_bytes_never_panic(raw in prop::collection::vec(any::<u8>(), 0..300)) {
        All::decode(&raw).ok();
        FileDescriptorSet::decode(&raw).ok();
    }
}
