//! PNG images of every colour type and bit depth. As in `map_server`, a pixel's grey is the mean of
//! red, green, blue and, if the image has it, alpha.

use std::io::Cursor;

use png::{BitDepth, Decoder, DecodingError, Transformations};

use super::error::MapError;
use super::grid::MAX_CELLS;
use super::image::GreyImage;

/// The first bytes of every PNG file.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG";

/// Reads a PNG file.
pub(super) fn parse(bytes: &[u8]) -> Result<GreyImage, MapError> {
    let mut cursor = Cursor::new(bytes);
    let image = decode(&mut cursor);
    let at = usize::try_from(cursor.position()).map_or(bytes.len(), |at| at.min(bytes.len()));
    image.map_err(|error| match error {
        PngError::TooLarge(width, height) => {
            let message = format!("{width} × {height} pixels are too many");
            let help = format!("a map has at most {MAX_CELLS} cells");
            MapError::new(0..at, message, help)
        }
        PngError::Invalid(error) => {
            let reason = error.to_string();
            // The rest says which step of the decoder failed.
            let reason = reason.split(" while ").next().unwrap_or_default();
            let message = format!("not a valid PNG up to here: {reason}");
            let help = "it may have been cut off or changed when it was copied";
            MapError::new(at..at, message, help)
        }
    })
}

enum PngError {
    TooLarge(u32, u32),
    Invalid(DecodingError),
}

impl From<DecodingError> for PngError {
    fn from(error: DecodingError) -> Self {
        Self::Invalid(error)
    }
}

fn decode(cursor: &mut Cursor<&[u8]>) -> Result<GreyImage, PngError> {
    let mut decoder = Decoder::new(cursor);
    decoder.set_transformations(Transformations::EXPAND);
    let header = decoder.read_header_info()?;
    let (width, height) = (header.width, header.height);
    let cells = (width as usize).checked_mul(height as usize);
    if cells.is_none_or(|cells| cells > MAX_CELLS) {
        return Err(PngError::TooLarge(width, height));
    }
    let mut reader = decoder.read_info()?;
    let size = reader.output_buffer_size();
    let mut bytes = vec![0; size.ok_or(DecodingError::LimitsExceeded)?];
    let info = reader.next_frame(&mut bytes)?;
    let (value_bytes, white) = match info.bit_depth {
        BitDepth::Sixteen => (2, 65_535.0),
        _ => (1, 255.0),
    };
    let value = |bytes: &[u8]| {
        bytes
            .iter()
            .fold(0.0, |value, byte| value * 256.0 + f64::from(*byte))
    };
    // A grey value stands for red, green and blue.
    let mean = |pixel: &[u8]| {
        let channels: Vec<f64> = pixel.chunks_exact(value_bytes).map(value).collect();
        match channels[..] {
            [grey] => grey,
            [grey, alpha] => (3.0 * grey + alpha) / 4.0,
            _ => channels.iter().sum::<f64>() / channels.len() as f64,
        }
    };
    let pixels = bytes[..info.buffer_size()].chunks_exact(info.color_type.samples() * value_bytes);
    Ok(GreyImage {
        columns: width as usize,
        values: pixels.map(mean).collect(),
        white,
    })
}
