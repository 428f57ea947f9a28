//! Two-dimensional arrays in numpy's own format (NEP 1, versions 1 to 3), as far as lists of
//! points need it: little-endian integers or floating-point numbers, rows of two.

use std::ops::Range;

/// Numpy's files begin with these bytes.
const MAGIC: &[u8] = b"\x93NUMPY";

/// More rows than this are no path.
const MOST_ROWS: usize = 1_000_000;

/// What is wrong with a file, and at which byte, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("byte {byte}: {what}")]
pub struct NpyError {
    /// Where.
    pub byte: usize,
    /// What, and what would be right.
    pub what: String,
}

fn fail<T>(byte: usize, what: impl Into<String>) -> Result<T, NpyError> {
    Err(NpyError {
        byte,
        what: what.into(),
    })
}

/// The points of an array of shape (n, 2).
///
/// # Errors
/// If the bytes are no such array, with the place of the first that is wrong.
pub fn points(bytes: &[u8]) -> Result<Vec<[f64; 2]>, NpyError> {
    let (header, data) = split(bytes)?;
    let text = std::str::from_utf8(&bytes[header.clone()]).or_else(|error| {
        fail(
            header.start + error.valid_up_to(),
            "the header is no text; a .npy file describes its array there",
        )
    })?;
    let field = |key: &str| value(text, key).map(|(at, text)| (header.start + at, text));
    let Some((at, descr)) = field("descr") else {
        return fail(
            header.start,
            "the header has no 'descr', the type of a number",
        );
    };
    let read = element_type(descr.trim_matches(['\'', '"'])).map_or_else(
        || {
            fail(
                at,
                format!(
                    "numbers of type {descr}; little-endian integers and floats are read, such as \
                     '<i8' and '<f8'"
                ),
            )
        },
        Ok,
    )?;
    match field("fortran_order") {
        Some((_, "False")) => {}
        Some((at, other)) => {
            return fail(
                at,
                format!("fortran_order is {other}; only False, row by row, is read"),
            );
        }
        None => return fail(header.start, "the header has no 'fortran_order'"),
    }
    let Some((at, shape)) = field("shape") else {
        return fail(header.start, "the header has no 'shape'");
    };
    let rows = rows(shape).map_or_else(
        || fail(at, format!("shape {shape}; a path has the shape (n, 2)")),
        Ok,
    )?;
    let expect = rows * 2 * read.size;
    if data.len() != expect {
        let found = data.len();
        return fail(
            data.start + found.min(expect),
            format!("{found} bytes of numbers where shape {shape} of type {descr} makes {expect}"),
        );
    }
    let number = |index: usize| {
        let at = data.start + index * read.size;
        let found = (read.number)(&bytes[at..at + read.size]);
        if found.is_finite() {
            Ok(found)
        } else {
            fail(at, format!("{found} is no place; write finite numbers"))
        }
    };
    (0..rows)
        .map(|row| Ok([number(2 * row)?, number(2 * row + 1)?]))
        .collect()
}

/// Where the header's text is, and where the numbers.
fn split(bytes: &[u8]) -> Result<(Range<usize>, Range<usize>), NpyError> {
    let wrong = bytes
        .iter()
        .zip(MAGIC)
        .position(|(found, magic)| found != magic);
    if let Some(byte) = wrong {
        return fail(
            byte,
            "no .npy file, which begins with the bytes 93 4E 55 4D 50 59",
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
                format!("version {other} of the format; 1, 2 and 3 are read"),
            );
        }
    };
    match first.checked_add(length) {
        Some(end) if end <= bytes.len() => Ok((first..end, end..bytes.len())),
        _ => short(),
    }
}

/// The text of a key's value in the header, a Python dictionary, and where that begins.
fn value<'a>(header: &'a str, key: &str) -> Option<(usize, &'a str)> {
    let quoted = [format!("'{key}'"), format!("\"{key}\"")];
    let after = quoted
        .iter()
        .find_map(|quoted| Some(header.find(quoted)? + quoted.len()))?;
    let colon = after + header[after..].find(':')? + 1;
    let start = colon + header[colon..].find(|c: char| !c.is_whitespace())?;
    let rest = &header[start..];
    let end = if rest.starts_with('(') {
        rest.find(')')? + 1
    } else {
        rest.find([',', '}'])?
    };
    Some((start, rest[..end].trim_end()))
}

/// The n of `(n, 2)`.
fn rows(shape: &str) -> Option<usize> {
    let inner = shape.strip_prefix('(')?.strip_suffix(')')?;
    let sizes: Option<Vec<usize>> = inner
        .trim_end_matches([',', ' '])
        .split(',')
        .map(|size| size.trim().parse().ok())
        .collect();
    match sizes?[..] {
        [rows, 2] if rows <= MOST_ROWS => Some(rows),
        _ => None,
    }
}

/// How a number is read.
#[derive(Clone, Copy)]
struct ElementType {
    size: usize,
    number: fn(&[u8]) -> f64,
}

fn element_type(descr: &str) -> Option<ElementType> {
    macro_rules! of {
        ($number:ty) => {
            ElementType {
                size: size_of::<$number>(),
                number: |bytes| {
                    let bytes = bytes.try_into().expect("as many bytes as the type has");
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

    const INTS: &str = "{'descr': '<i2', 'fortran_order': False, 'shape': (2, 2), }      \n";

    #[test]
    fn integers_and_floats_are_read() {
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
    fn what_is_wrong_is_told_with_its_byte() {
        let told = |bytes: &[u8]| points(bytes).unwrap_err().to_string();
        let check = |bytes: &[u8], expect: &str| {
            let told = told(bytes);
            assert!(told.starts_with(expect), "{told}");
        };
        check(b"\x93NUMPX", "byte 5: no .npy file");
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
        let other = |from: &str, to: &str| file(&INTS.replace(from, to), &[0; 8]);
        check(&other("<i2", ">i2"), "byte 20: numbers of type '>i2'");
        check(&other("False", "True"), "byte 44: fortran_order is True");
        check(&other("(2, 2)", "(4,)"), "byte 60: shape (4,)");
        check(&other("(2, 2)", "(2, 3)"), "byte 60: shape (2, 3)");
        check(
            &other("descr", "dtype"),
            "byte 10: the header has no 'descr'",
        );
        let mut late = file(INTS, &[0; 8]);
        late[6] = 9;
        check(&late, "byte 6: version 9");
        let header = INTS.replace("<i2", "<f8").replace("(2, 2)", "(1, 2)");
        let data = [f64::NAN, 1.0].map(f64::to_le_bytes).concat();
        check(
            &file(&header, &data),
            &format!("byte {}: NaN", 10 + header.len()),
        );
    }

    proptest! {
        #[test]
        fn no_bytes_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..80),
            cut in 0_usize..100,
            at in 0_usize..100,
            byte in any::<u8>(),
        ) {
            let _ = points(&bytes);
            let mut sound = file(INTS, &[1, 0, 2, 0, 3, 0, 4, 0]);
            if let Some(place) = sound.get_mut(at) {
                *place = byte;
            }
            sound.truncate(cut);
            let _ = points(&sound);
        }
    }
}
