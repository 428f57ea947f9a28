//! Animated PNG: of each frame the rectangle that changed, every colour as it was drawn.

use std::io::{self, BufWriter};
use std::path::Path;

use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, EncodingError};
use tempfile::NamedTempFile;

use super::{ChangedRect, VideoFormat, pixel};
use crate::view::RenderedImage;
use evenkeel_runs::runs::{persist_file, temp_file};

/// An animated PNG that is being written.
pub(super) struct ApngEncoder {
    /// Two hands on one file: the encoder's, and the one that gives it its name.
    file: NamedTempFile,
    writer: png::Writer<BufWriter<std::fs::File>>,
    before: Option<Vec<u8>>,
    size: [u32; 2],
}

impl ApngEncoder {
    pub(super) fn begin(path: &Path, format: VideoFormat) -> io::Result<Self> {
        let file = temp_file(path)?;
        let [width, height] = format.size;
        let hand = BufWriter::new(file.as_file().try_clone()?);
        let mut encoder = png::Encoder::new(hand, width, height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Balanced);
        encoder
            .set_animated(format.frames, 0)
            .and_then(|()| encoder.set_frame_delay(1, format.fps as u16))
            .and_then(|()| encoder.set_blend_op(BlendOp::Source))
            .and_then(|()| encoder.set_dispose_op(DisposeOp::None))
            .map_err(system)?;
        let writer = encoder.write_header().map_err(system)?;
        Ok(Self {
            file,
            writer,
            before: None,
            size: format.size,
        })
    }

    pub(super) fn add(&mut self, frame: &RenderedImage) -> io::Result<()> {
        let width = frame.width as usize;
        let area = match &self.before {
            Some(before) => ChangedRect::between(before, &frame.rgba, width),
            None => ChangedRect::all(self.size),
        };
        if self.before.is_some() {
            self.writer
                .reset_frame_position()
                .and_then(|()| {
                    self.writer
                        .set_frame_dimension(area.width() as u32, area.height() as u32)
                })
                .and_then(|()| {
                    self.writer
                        .set_frame_position(area.x[0] as u32, area.y[0] as u32)
                })
                .map_err(system)?;
        }
        let rgb: Vec<u8> = area
            .pixels(width)
            .flat_map(|index| pixel(&frame.rgba, index))
            .collect();
        self.writer.write_image_data(&rgb).map_err(system)?;
        self.before = Some(frame.rgba.clone());
        Ok(())
    }

    pub(super) fn finish(self, path: &Path) -> io::Result<()> {
        self.writer.finish().map_err(system)?;
        persist_file(self.file, path)
    }
}

fn system(error: EncodingError) -> io::Error {
    error.into()
}
