//! GIF: of each frame the part that changed, in a palette of its own.

use std::collections::HashMap;
use std::io::{self, BufWriter};
use std::path::Path;

use color_quant::NeuQuant;
use gif::{DisposalMethod, EncodingError, Frame, Repeat};
use tempfile::NamedTempFile;

use super::{ChangedRect, PIXEL, VideoFormat, pixel};
use crate::view::RenderedImage;
use evenkeel_runs::runs::{persist_file, temp_file};

/// Colours of a frame; one more is what shows the frame before.
const COLOURS: usize = 255;
/// Pixels that `NeuQuant` learns a frame's colours from, about.
const PALETTE_SAMPLES: usize = 30_000;

/// A GIF that is being written.
pub(super) struct GifEncoder {
    inner: gif::Encoder<BufWriter<NamedTempFile>>,
    format: VideoFormat,
    before: Option<Vec<u8>>,
    count: u32,
}

impl GifEncoder {
    pub(super) fn begin(path: &Path, format: VideoFormat) -> io::Result<Self> {
        let [width, height] = format.size.map(|side| side as u16);
        let file = BufWriter::new(temp_file(path)?);
        let mut encoder = gif::Encoder::new(file, width, height, &[]).map_err(system)?;
        encoder.set_repeat(Repeat::Infinite).map_err(system)?;
        Ok(Self {
            inner: encoder,
            format,
            before: None,
            count: 0,
        })
    }

    pub(super) fn add(&mut self, frame: &RenderedImage) -> io::Result<()> {
        let width = frame.width as usize;
        let area = match &self.before {
            Some(before) => ChangedRect::between(before, &frame.rgba, width),
            None => ChangedRect::all(self.format.size),
        };
        // What is as it was is left out: it takes no colour, and packs well.
        let seen: Vec<Option<[u8; 3]>> = area
            .pixels(width)
            .map(|index| {
                let now = pixel(&frame.rgba, index);
                let before = self.before.as_ref().map(|before| pixel(before, index));
                (before != Some(now)).then_some(now)
            })
            .collect();
        let palette = GifPalette::of(&seen);
        let indices: Vec<u8> = palette.indices(&seen);
        let part = Frame {
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
        self.inner.write_frame(&part).map_err(system)?;
        self.before = Some(frame.rgba.clone());
        self.count += 1;
        Ok(())
    }

    pub(super) fn finish(self, path: &Path) -> io::Result<()> {
        let file = self.inner.into_inner().map_err(system)?;
        persist_file(
            file.into_inner().map_err(io::IntoInnerError::into_error)?,
            path,
        )
    }

    /// For how long this frame is shown, hundredths of a second: so that the time since the first
    /// is right after each.
    fn delay(&self) -> u16 {
        let until = |count: u32| {
            (100 * u64::from(count) + u64::from(self.format.fps) / 2) / u64::from(self.format.fps)
        };
        (until(self.count + 1) - until(self.count)) as u16
    }
}

/// The colours of a frame.
struct GifPalette {
    /// 256 of them, red, green and blue each.
    rgb: Vec<u8>,
    index: HashMap<[u8; 3], u8>,
}

impl GifPalette {
    /// Those that are seen, if they are few enough; those that stand for them best otherwise.
    fn of(seen: &[Option<[u8; 3]>]) -> Self {
        let mut counts: HashMap<[u8; 3], u32> = HashMap::new();
        for colour in seen.iter().flatten() {
            *counts.entry(*colour).or_default() += 1;
        }
        let mut colours: Vec<[u8; 3]> = counts.into_keys().collect();
        // A map's order is not that of the next run.
        colours.sort_unstable();
        let (mut rgb, index) = if colours.len() <= COLOURS {
            let index = (0_u8..).zip(&colours).map(|(i, &colour)| (colour, i));
            (colours.concat(), index.collect())
        } else {
            let opaque = |&[r, g, b]: &[u8; 3]| [r, g, b, 255];
            let rgba: Vec<u8> = seen.iter().flatten().flat_map(opaque).collect();
            let one_in = (rgba.len() / PIXEL / PALETTE_SAMPLES).clamp(1, 30);
            let best = NeuQuant::new(one_in as i32, COLOURS, &rgba);
            let near = |colour: [u8; 3]| (colour, best.index_of(&opaque(&colour)) as u8);
            (
                best.color_map_rgb(),
                colours.into_iter().map(near).collect(),
            )
        };
        rgb.resize((COLOURS + 1) * 3, 0);
        Self { rgb, index }
    }

    fn indices(&self, seen: &[Option<[u8; 3]>]) -> Vec<u8> {
        let of = |colour: &Option<[u8; 3]>| colour.map_or(COLOURS as u8, |seen| self.index[&seen]);
        seen.iter().map(of).collect()
    }
}

fn system(error: EncodingError) -> io::Error {
    match error {
        EncodingError::Io(error) => error,
        error => io::Error::other(error),
    }
}
