//! PGM images, binary (P5) and plain (P2), as the Netpbm formats define them.

use super::MapError;
use super::grid::MAX_CELLS;
use super::image::GreyImage;

/// Reads a PGM file, which begins with `P5` or `P2`.
pub(super) fn parse(bytes: &[u8]) -> Result<GreyImage, MapError> {
    let plain = bytes.starts_with(b"P2");
    let mut tokens = PgmReader { bytes, at: 2 };
    let columns = tokens.number("the width", 1, MAX_CELLS)?;
    let rows = tokens.number("the height", 1, MAX_CELLS)?;
    if columns * rows > MAX_CELLS {
        let message = format!("{columns} × {rows} pixels are too many");
        let help = format!("a map has at most {MAX_CELLS} cells");
        return Err(MapError::new(2..tokens.at, message, help));
    }
    let white = tokens.number("the largest value", 1, 65_535)?;
    let count = columns * rows;
    let image = |values| GreyImage {
        columns,
        values,
        white: white as f64,
    };
    let mut values = Vec::new();
    if plain {
        for _ in 0..count {
            values.push(tokens.number("a pixel", 0, white)? as f64);
        }
        return Ok(image(values));
    }
    // One blank between the header and the pixels; two bytes a pixel where one is too few.
    let width = if white > 255 { 2 } else { 1 };
    let pixels = bytes.get(tokens.at + 1..).unwrap_or_default();
    if pixels.len() < count * width {
        let message = format!(
            "the file ends after {} of {count} pixels",
            pixels.len() / width
        );
        let help = "it may have been cut off when it was copied";
        return Err(MapError::new(bytes.len()..bytes.len(), message, help));
    }
    for (index, pixel) in pixels.chunks_exact(width).take(count).enumerate() {
        let value = pixel
            .iter()
            .fold(0, |value, byte| value << 8 | usize::from(*byte));
        if value > white {
            let at = tokens.at + 1 + index * width;
            let message = format!("a pixel is {value}");
            let help = format!("the header says that {white} is the largest");
            return Err(MapError::new(at..at + width, message, help));
        }
        values.push(value as f64);
    }
    Ok(image(values))
}

struct PgmReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl PgmReader<'_> {
    /// The next number, after blanks and comments.
    fn number(&mut self, what: &str, least: usize, most: usize) -> Result<usize, MapError> {
        loop {
            match self.bytes.get(self.at) {
                Some(b'#') => {
                    while self.bytes.get(self.at).is_some_and(|byte| *byte != b'\n') {
                        self.at += 1;
                    }
                }
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
            .filter(|value| (least..=most).contains(value))
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
                    format!("write a number from {least} to {most}"),
                )
            })
    }
}
