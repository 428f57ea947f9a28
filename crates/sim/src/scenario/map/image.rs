//! The image of a map: PGM or PNG, told apart by how it begins.

use super::{MapError, pgm, png};

/// A grey image.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct GreyImage {
    pub(super) columns: usize,
    /// `[rows][columns]`, the topmost row first; 0 is black.
    pub(super) values: Vec<f64>,
    /// The value that is white.
    pub(super) white: f64,
}

/// Reads an image.
pub(super) fn parse(bytes: &[u8]) -> Result<GreyImage, MapError> {
    if bytes.starts_with(png::SIGNATURE) {
        png::parse(bytes)
    } else if bytes.starts_with(b"P5") || bytes.starts_with(b"P2") {
        pgm::parse(bytes)
    } else {
        let start = &bytes[..bytes.len().min(8)];
        let found = format!("'{}' at the start", start.escape_ascii());
        let help = "the image is a PNG file, or a PGM file, which begins with P5 or P2";
        Err(MapError::new(0..start.len(), found, help))
    }
}
