//! PNG images of every colour type and bit depth. As in `map_server`, a pixel's grey is the mean of
//! red, green, blue and, if the image has it, alpha.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Transformations};

use super::error::MapError;
use super::grid::{MAX_CELLS, TOO_MANY_CELLS};
use super::image::{Alpha, GreyImage};

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
            MapError::new(0..at, message, TOO_MANY_CELLS)
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
    let (value_bytes, opaque) = match info.bit_depth {
        BitDepth::Sixteen => (2, u16::MAX),
        _ => (1, u16::from(u8::MAX)),
    };
    let channels = info.color_type.samples();
    let has_alpha = matches!(info.color_type, ColorType::GrayscaleAlpha | ColorType::Rgba);
    // A grey value stands for red, green and blue.
    let grey_weight = if channels == 2 { 3 } else { 1 };
    let channel = |bytes: &[u8]| {
        let value = bytes
            .iter()
            .fold(0, |value, byte| value << 8 | u16::from(*byte));
        u32::from(value)
    };
    let mut values = Vec::with_capacity(width as usize * height as usize);
    let mut alphas = Vec::with_capacity(if has_alpha { values.capacity() } else { 0 });
    for pixel in bytes[..info.buffer_size()].chunks_exact(channels * value_bytes) {
        let (colour, alpha) = pixel.split_at((channels - usize::from(has_alpha)) * value_bytes);
        let colour: u32 = colour.chunks_exact(value_bytes).map(channel).sum();
        let alpha = channel(alpha);
        values.push(grey_weight * colour + alpha);
        if has_alpha {
            alphas.push(alpha as u16);
        }
    }
    let weights = if channels == 2 { 4 } else { channels as u32 };
    Ok(GreyImage {
        columns: width as usize,
        values,
        white: weights * u32::from(opaque),
        alpha: has_alpha.then_some(Alpha {
            values: alphas,
            opaque,
        }),
    })
}
