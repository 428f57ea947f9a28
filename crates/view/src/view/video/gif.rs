//! Writes a GIF: of each frame the rectangle that changed, with its own palette.

use std::collections::HashMap;
use std::io::{self, BufWriter};
use std::path::Path;

use color_quant::NeuQuant;
use gif::{DisposalMethod, EncodingError, Frame, Repeat};
use tempfile::NamedTempFile;

use super::changed_rect::{ChangedRect, pixel};
use super::format::VideoFormat;
use crate::view::rendered_image::{PIXEL, RenderedImage};
use evenkeel_runs::runs::{persist_file, temp_file};

/// Colours of a frame. The 256th index is transparent: it keeps the pixel of the previous frame.
const COLOURS: usize = 255;
/// Approximate number of pixels from which `NeuQuant` derives a frame's colours.
const PALETTE_SAMPLES: usize = 30_000;

/// Encodes a GIF.
pub(super) struct GifEncoder {
    inner: gif::Encoder<BufWriter<NamedTempFile>>,
    format: VideoFormat,
    /// Pixels of the previous frame.
    previous: Option<Vec<u8>>,
    /// Frames written.
    count: u32,
}

impl GifEncoder {
    pub(super) fn create(path: &Path, format: VideoFormat) -> io::Result<Self> {
        let [width, height] = format.size.map(|side| side as u16);
        let file = BufWriter::new(temp_file(path)?);
        let mut encoder = gif::Encoder::new(file, width, height, &[]).map_err(to_io_error)?;
        encoder.set_repeat(Repeat::Infinite).map_err(to_io_error)?;
        Ok(Self {
            inner: encoder,
            format,
            previous: None,
            count: 0,
        })
    }

    pub(super) fn add(&mut self, frame: &RenderedImage) -> io::Result<()> {
        let width = frame.width as usize;
        let area = match &self.previous {
            Some(previous) => ChangedRect::between(previous, &frame.rgba, width),
            None => ChangedRect::all(self.format.size),
        };
        // Unchanged pixels are transparent: they need no colour, and compress well.
        let changed: Vec<Option<[u8; 3]>> = area
            .pixel_indices(width)
            .map(|index| {
                let current = pixel(&frame.rgba, index);
                let previous = self.previous.as_ref();
                let previous = previous.map(|previous| pixel(previous, index));
                (previous != Some(current)).then_some(current)
            })
            .collect();
        let palette = GifPalette::of(&changed);
        let indices: Vec<u8> = palette.indices(&changed);
        let gif_frame = Frame {
            left: area.x[0] as u16,
            top: area.y[0] as u16,
            delay: self.delay(),
            dispose: DisposalMethod::Keep,
            ..Frame::from_palette_pixels(
                area.width() as u16,
                area.height() as u16,
                indices,
                palette.rgb,
                Some(COLOURS as u8),
            )
        };
        self.inner.write_frame(&gif_frame).map_err(to_io_error)?;
        self.previous = Some(frame.rgba.clone());
        self.count += 1;
        Ok(())
    }

    pub(super) fn finish(self, path: &Path) -> io::Result<()> {
        let file = self.inner.into_inner().map_err(to_io_error)?;
        persist_file(
            file.into_inner().map_err(io::IntoInnerError::into_error)?,
            path,
        )
    }

    /// Duration of the current frame, hundredths of a second. Rounding errors do not add up: each
    /// frame ends at its time rounded to a hundredth.
    fn delay(&self) -> u16 {
        let end_of = |count: u32| {
            (100 * u64::from(count) + u64::from(self.format.fps) / 2) / u64::from(self.format.fps)
        };
        (end_of(self.count + 1) - end_of(self.count)) as u16
    }
}

/// The colours of a frame.
struct GifPalette {
    /// Red, green and blue of 256 colours, `[256 · 3]`.
    rgb: Vec<u8>,
    /// The index in the palette of each colour of the frame.
    index: HashMap<[u8; 3], u8>,
}

impl GifPalette {
    /// The palette of a frame's changed pixels: their own colours if these are few enough, else the
    /// best approximation (`NeuQuant`).
    fn of(changed: &[Option<[u8; 3]>]) -> Self {
        let mut counts: HashMap<[u8; 3], u32> = HashMap::new();
        for colour in changed.iter().flatten() {
            *counts.entry(*colour).or_default() += 1;
        }
        let mut colours: Vec<[u8; 3]> = counts.into_keys().collect();
        // The order of a map differs between runs.
        colours.sort_unstable();
        let (mut rgb, index) = if colours.len() <= COLOURS {
            let index = (0_u8..).zip(&colours).map(|(i, &colour)| (colour, i));
            (colours.concat(), index.collect())
        } else {
            let opaque = |&[r, g, b]: &[u8; 3]| [r, g, b, 255];
            let rgba: Vec<u8> = changed.iter().flatten().flat_map(opaque).collect();
            let stride = (rgba.len() / PIXEL / PALETTE_SAMPLES).clamp(1, 30);
            let quantiser = NeuQuant::new(stride as i32, COLOURS, &rgba);
            let nearest = |colour: [u8; 3]| (colour, quantiser.index_of(&opaque(&colour)) as u8);
            (
                quantiser.color_map_rgb(),
                colours.into_iter().map(nearest).collect(),
            )
        };
        rgb.resize((COLOURS + 1) * 3, 0);
        Self { rgb, index }
    }

    /// The palette index of each pixel; unchanged ones are transparent.
    fn indices(&self, changed: &[Option<[u8; 3]>]) -> Vec<u8> {
        let index =
            |colour: &Option<[u8; 3]>| colour.map_or(COLOURS as u8, |colour| self.index[&colour]);
        changed.iter().map(index).collect()
    }
}

fn to_io_error(error: EncodingError) -> io::Error {
    match error {
        EncodingError::Io(error) => error,
        error => io::Error::other(error),
    }
}
