//! Reader of numpy's `.npy` format (NEP 1, versions 1 to 3) for lists of points: arrays of shape
//! `(n, 2)` with little-endian integers or floating-point numbers.
//!
//! The crate `npyz` 0.9.1 was tried in its place. Its errors do not name the byte, it allocates the
//! header length that a file claims (up to 4 GiB), and a shape whose product overflows is read as
//! a short array. It also adds 12 packages to the build, a parser generator among them.

use std::ops::Range;

/// The first bytes of each file.
const MAGIC: &[u8] = b"\x93NUMPY";

/// Largest number of rows. Paths have a few hundred.
const MAX_ROWS: usize = 1_000_000;

/// Error in a `.npy` file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {byte}: {message}")]
pub struct NpyError {
    /// Offset of the first wrong byte, from 0.
    pub byte: usize,
    /// What is wrong, and how to fix it.
    pub message: String,
}

fn fail<T>(byte: usize, message: impl Into<String>) -> Result<T, NpyError> {
    Err(NpyError {
        byte,
        message: message.into(),
    })
}

/// Reads an array of shape `(n, 2)`. Returns `[n]` of `[x, y]`.
///
/// # Errors
/// If the bytes are not such an array, or a number is not finite.
pub fn points(bytes: &[u8]) -> Result<Vec<[f64; 2]>, NpyError> {
    let (header, data) = split(bytes)?;
    let text = std::str::from_utf8(&bytes[header.clone()]).or_else(|error| {
        fail(
            header.start + error.valid_up_to(),
            "the header is not text; it must describe the array",
        )
    })?;
    let field = |key: &str| value(text, key).map(|(offset, text)| (header.start + offset, text));
    let Some((byte, descr)) = field("descr") else {
        return fail(
            header.start,
            "the header has no 'descr', the type of the numbers",
        );
    };
    let element = element_type(descr.trim_matches(['\'', '"'])).map_or_else(
        || {
            fail(
                byte,
                format!(
                    "numbers of type {descr}; use little-endian integers or floats, such as '<i8' \
                     or '<f8'"
                ),
            )
        },
        Ok,
    )?;
    match field("fortran_order") {
        Some((_, "False")) => {}
        Some((byte, other)) => {
            return fail(
                byte,
                format!("fortran_order is {other}; it must be False (row by row)"),
            );
        }
        None => return fail(header.start, "the header has no 'fortran_order'"),
    }
    let Some((byte, shape)) = field("shape") else {
        return fail(header.start, "the header has no 'shape'");
    };
    let rows = rows(shape).map_or_else(
        || fail(byte, format!("shape {shape}; it must be (n, 2)")),
        Ok,
    )?;
    let expected = rows * 2 * element.size;
    if data.len() != expected {
        let actual = data.len();
        return fail(
            data.start + actual.min(expected),
            format!("{actual} bytes of numbers; shape {shape} of type {descr} needs {expected}"),
        );
    }
    let number = |index: usize| {
        let start = data.start + index * element.size;
        let number = (element.parse)(&bytes[start..start + element.size]);
        if number.is_finite() {
            Ok(number)
        } else {
            fail(
                start,
                format!("{number} is not a coordinate; write finite numbers"),
            )
        }
    };
    (0..rows)
        .map(|row| Ok([number(2 * row)?, number(2 * row + 1)?]))
        .collect()
}

/// Splits a file into the byte ranges of the header's text and of the numbers.
fn split(bytes: &[u8]) -> Result<(Range<usize>, Range<usize>), NpyError> {
    let wrong = bytes
        .iter()
        .zip(MAGIC)
        .position(|(byte, magic)| byte != magic);
    if let Some(byte) = wrong {
        return fail(
            byte,
            "not a .npy file, which starts with the bytes 93 4E 55 4D 50 59",
        );
    }
    let short = || fail(bytes.len(), "the file ends within its header");
    let Some(&[major, _]) = bytes.get(6..8).and_then(|two| two.first_chunk::<2>()) else {
        return short();
    };
    let (first, length): (usize, usize) = match major {
        1 => match bytes.get(8..10).and_then(|two| two.first_chunk()) {
            Some(two) => (10, u16::from_le_bytes(*two) as usize),
            None => return short(),
        },
        2 | 3 => match bytes.get(8..12).and_then(|four| four.first_chunk()) {
            Some(four) => (12, u32::from_le_bytes(*four) as usize),
            None => return short(),
        },
        other => {
            return fail(
                6,
                format!("unknown version {other} of the format; use 1, 2 or 3"),
            );
        }
    };
    match first.checked_add(length) {
        Some(end) if end <= bytes.len() => Ok((first..end, end..bytes.len())),
        _ => short(),
    }
}

/// Finds the value of a key in the header, a Python dictionary. Returns its offset and text.
fn value<'a>(header: &'a str, key: &str) -> Option<(usize, &'a str)> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let key_end = quoted
        .iter()
        .find_map(|quoted| Some(header.find(quoted)? + quoted.len()))?;
    let colon_end = key_end + header[key_end..].find(':')? + 1;
    let start = colon_end + header[colon_end..].find(|c: char| !c.is_whitespace())?;
    let rest = &header[start..];
    let end = if rest.starts_with('(') {
        rest.find(')')? + 1
    } else {
        rest.find([',', '}'])?
    };
    Some((start, rest[..end].trim_end()))
}

/// Parses the `n` of a shape `(n, 2)`.
fn rows(shape: &str) -> Option<usize> {
    let inner = shape.strip_prefix('(')?.strip_suffix(')')?;
    let sizes: Option<Vec<usize>> = inner
        .trim_end_matches([',', ' '])
        .split(',')
        .map(|size| size.trim().parse().ok())
        .collect();
    match sizes?[..] {
        [rows, 2] if rows <= MAX_ROWS => Some(rows),
        _ => None,
    }
}

/// Size of a number in bytes, and its parser.
#[derive(Clone, Copy)]
struct ElementType {
    size: usize,
    parse: fn(&[u8]) -> f64,
}

fn element_type(descr: &str) -> Option<ElementType> {
    macro_rules! of {
        ($number:ty) => {
            ElementType {
                size: size_of::<$number>(),
                parse: |bytes| {
                    let bytes = bytes.try_into().expect("the slice has the type's size");
                    <$number>::from_le_bytes(bytes) as f64
                },
            }
        };
    }
    Some(match descr {
        "|i1" | "<i1" => of!(i8),
        "|u1" | "<u1" => of!(u8),
        "<i2" => of!(i16),
        "<u2" => of!(u16),
        "<i4" => of!(i32),
        "<u4" => of!(u32),
        "<i8" => of!(i64),
        "<u8" => of!(u64),
        "<f4" => of!(f32),
        "<f8" => of!(f64),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend([1, 0]);
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    /// Header of an array of four integers.
    const INTS: &str = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }      \n";

    #[test]
    fn integers_and_floats_are_parsed() {
        let data: Vec<u8> = [26_i16, 0, -3, 500]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        assert_eq!(
            points(&file(INTS, &data)),
            Ok(vec![[26.0, 0.0], [-3.0, 500.0]])
        );
        let header = "{\"shape\": (1,2), \"descr\":\"<f4\",\"fortran_order\":False}";
        let data: Vec<u8> = [0.5_f32, -1.25]
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect();
        assert_eq!(points(&file(header, &data)), Ok(vec![[0.5, -1.25]]));
    }

    #[test]
    fn errors_name_the_first_wrong_byte() {
        let check = |bytes: &[u8], expected: &str| {
            let message = points(bytes).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        };
        check(b"\x93NUMPX", "byte 5: not a .npy file");
        check(b"", "byte 0: the file ends");
        check(
            &file(INTS, &[])[..9],
            "byte 9: the file ends within its header",
        );
        check(
            &file(INTS, &[0; 7]),
            &format!("byte {}: 7 bytes of numbers", 10 + INTS.len() + 7),
        );
        check(
            &file(INTS, &[0; 9]),
            &format!("byte {}: 9 bytes of numbers", 10 + INTS.len() + 8),
        );
        let replace = |from: &str, to: &str| file(&INTS.replace(from, to), &[0; 8]);
        check(&replace("<i2", ">i2"), "byte 20: numbers of type '>i2'");
        check(&replace("False", "True"), "byte 44: fortran_order is True");
        check(&replace("(2, 2)", "(4,)"), "byte 60: shape (4,)");
        check(&replace("(2, 2)", "(2, 3)"), "byte 60: shape (2, 3)");
        check(
            &replace("descr", "dtype"),
            "byte 10: the header has no 'descr'",
        );
        let mut unknown = file(INTS, &[0; 8]);
        unknown[6] = 9;
        check(&unknown, "byte 6: unknown version 9");
        let header = INTS.replace("<i2", "<f8").replace("(2, 2)", "(1, 2)");
        let data = [f64::NAN, 1.0].map(f64::to_le_bytes).concat();
        check(
            &file(&header, &data),
            &format!("byte {}: NaN", 10 + header.len()),
        );
    }

    proptest! {
        #[test]
        fn corrupt_files_do_not_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            length in 0_usize..100,
            index in 0_usize..100,
            byte in any::<u8>(),
        ) {
            let _ = points(&bytes);
            let mut valid = file(INTS, &[1, 0, 2, 0, 3, 0, 4, 0]);
            if let Some(target) = valid.get_mut(index) {
                *target = byte;
            }
            valid.truncate(length);
            let _ = points(&valid);
        }
    }
}
