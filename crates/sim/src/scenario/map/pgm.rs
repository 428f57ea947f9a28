//! PGM images, binary (P5) and plain (P2), as the Netpbm formats define them.
//!
//! The `image` crate reads PGM too. It is not used because it scales grey values to 255 or 65535,
//! which moves cells across the thresholds of a map, refuses comments between plain pixels, does
//! not say at which byte an error is, and needs a colour-management library.

use super::error::MapError;
use super::grid::{MAX_CELLS, TOO_MANY_CELLS};
use super::image::GreyImage;

/// The help of an error about too many pixels for the header.
const WRONG_SIZE: &str = "the width or height in the header may be wrong";

/// Reads a PGM file, which starts with `P5` or `P2`.
pub(super) fn parse(bytes: &[u8]) -> Result<GreyImage, MapError> {
    let plain = bytes.starts_with(b"P2");
    let mut reader = PgmReader { bytes, at: 2 };
    let columns = reader.number("the width", 1, MAX_CELLS)?;
    let rows = reader.number("the height", 1, MAX_CELLS)?;
    if columns.saturating_mul(rows) > MAX_CELLS {
        let message = format!("{columns} × {rows} pixels are too many");
        return Err(MapError::new(2..reader.at, message, TOO_MANY_CELLS));
    }
    let white = reader.number("the largest value", 1, 65_535)?;
    let count = columns * rows;
    let values = if plain {
        let pixels = (0..count).map(|_| Ok(reader.number("a pixel", 0, white)? as u32));
        let pixels = pixels.collect::<Result<_, _>>()?;
        reader.expect_end(count)?;
        pixels
    } else {
        reader.binary_pixels(count, white)?
    };
    Ok(GreyImage {
        columns,
        values,
        white: white as u32,
        alpha: None,
    })
}

struct PgmReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl PgmReader<'_> {
    /// Reads the next number, after whitespace and comments. `what` names it in messages.
    fn number(&mut self, what: &str, min: usize, max: usize) -> Result<usize, MapError> {
        loop {
            match self.bytes.get(self.at) {
                Some(b'#') => self.skip_comment(),
                Some(byte) if byte.is_ascii_whitespace() => self.at += 1,
                _ => break,
            }
        }
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        let digits = std::str::from_utf8(&self.bytes[start..self.at]).unwrap_or_default();
        let value = digits.parse().ok();
        value
            .filter(|value| (min..=max).contains(value))
            .ok_or_else(|| {
                let found = match self.bytes.get(start) {
                    None => format!("the file ends before {what}"),
                    Some(_) if !digits.is_empty() => {
                        format!("{what} is {}", digits.chars().take(40).collect::<String>())
                    }
                    Some(byte) => format!("'{}' where {what} should be", byte.escape_ascii()),
                };
                MapError::new(
                    start..self.at,
                    found,
                    format!("write a number from {min} to {max}"),
                )
            })
    }

    /// Goes to the end of the line.
    fn skip_comment(&mut self) {
        let rest = &self.bytes[self.at..];
        let length = rest.iter().position(|byte| *byte == b'\n');
        self.at += length.unwrap_or(rest.len());
    }

    /// Checks that nothing but whitespace and comments follows the last of `count` plain pixels.
    fn expect_end(&mut self, count: usize) -> Result<(), MapError> {
        while let Some(byte) = self.bytes.get(self.at) {
            match byte {
                b'#' => self.skip_comment(),
                byte if byte.is_ascii_whitespace() => self.at += 1,
                _ => {
                    let rest = self.at..self.bytes.len();
                    let message = format!("{} bytes after the last of {count} pixels", rest.len());
                    return Err(MapError::new(rest, message, WRONG_SIZE));
                }
            }
        }
        Ok(())
    }

    /// Reads the pixels after the header: one byte each, or two (the high byte first) if `white` is
    /// above 255.
    fn binary_pixels(&mut self, count: usize, white: usize) -> Result<Vec<u32>, MapError> {
        // One whitespace character ends the header. A comment may come before it.
        if self.bytes.get(self.at) == Some(&b'#') {
            self.skip_comment();
        }
        let start = self.at + 1;
        let width = if white > 255 { 2 } else { 1 };
        let pixels = self.bytes.get(start..).unwrap_or_default();
        if pixels.len() < count * width {
            let message = format!(
                "the file ends after {} of {count} pixels",
                pixels.len() / width
            );
            let help = "it may have been cut off when it was copied";
            let end = self.bytes.len();
            return Err(MapError::new(end..end, message, help));
        }
        let (pixels, rest) = pixels.split_at(count * width);
        if !rest.iter().all(u8::is_ascii_whitespace) {
            let end = start + pixels.len();
            let message = format!("{} bytes after the last of {count} pixels", rest.len());
            return Err(MapError::new(end..self.bytes.len(), message, WRONG_SIZE));
        }
        let mut values = Vec::with_capacity(count);
        for (index, pixel) in pixels.chunks_exact(width).enumerate() {
            let value = pixel
                .iter()
                .fold(0, |value, byte| value << 8 | usize::from(*byte));
            if value > white {
                let at = start + index * width;
                let message = format!("a pixel is {value}");
                let help = format!("the header says that {white} is the largest");
                return Err(MapError::new(at..at + width, message, help));
            }
            values.push(value as u32);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_may_follow_the_digits_of_the_header() {
        for header in ["P5 2 1 255\n", "P5#a\n2#b\n1 # c\n255# d e\n"] {
            let file = [header.as_bytes(), b"#\n"].concat();
            assert_eq!(parse(&file).unwrap().values, [35, 10], "{header}");
        }
    }

    #[test]
    fn bytes_after_the_pixels_are_refused_unless_they_are_blank() {
        assert_eq!(parse(b"P5 2 1 255 ab\n").unwrap().values, [97, 98]);
        let error = parse(b"P5 2 1 255 abcd").unwrap_err();
        assert_eq!(error.span, 13..15);
        assert_eq!(error.message, "2 bytes after the last of 2 pixels");
        assert_eq!(parse(b"P2 2 1 9 7 8 # end\n").unwrap().values, [7, 8]);
        let error = parse(b"P2 2 1 9 7 8 9\n").unwrap_err();
        assert_eq!(error.message, "2 bytes after the last of 2 pixels");
    }

    #[test]
    fn values_keep_the_scale_of_the_header() {
        let image = parse(b"P5 2 1 300 \x01\x2c\x00\x07").unwrap();
        assert_eq!((image.values, image.white), (vec![300, 7], 300));
        let plain = parse(b"P2 2 1 3 0 # black\n2").unwrap();
        assert_eq!((plain.values, plain.white), (vec![0, 2], 3));
        assert_eq!(parse(b"P2 1 1 3 4").unwrap_err().message, "a pixel is 4");
    }
}
