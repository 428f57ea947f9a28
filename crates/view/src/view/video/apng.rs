//! Writes an animated PNG: the first frame, and of each later one the rectangle that changed.

use std::io::{self, BufWriter};
use std::path::Path;

use png::{BitDepth, BlendOp, ColorType, Compression, DisposeOp, EncodingError};
use tempfile::NamedTempFile;

use super::changed_rect::{ChangedRect, pixel};
use super::format::VideoFormat;
use crate::view::rendered_image::RenderedImage;
use evenkeel_runs::runs::{persist_file, temp_file};

/// Encodes an animated PNG.
pub(super) struct ApngEncoder {
    /// The file; `writer` has a second handle to it.
    file: NamedTempFile,
    writer: png::Writer<BufWriter<std::fs::File>>,
    /// Pixels of the previous frame.
    previous: Option<Vec<u8>>,
    size: [u32; 2],
}

impl ApngEncoder {
    pub(super) fn create(path: &Path, format: VideoFormat) -> io::Result<Self> {
        let file = temp_file(path)?;
        let [width, height] = format.size;
        let output = BufWriter::new(file.as_file().try_clone()?);
        let mut encoder = png::Encoder::new(output, width, height);
        encoder.set_color(ColorType::Rgb);
        encoder.set_depth(BitDepth::Eight);
        encoder.set_compression(Compression::Balanced);
        encoder
            .set_animated(format.frames, 0)
            .and_then(|()| encoder.set_frame_delay(1, format.fps as u16))
            .and_then(|()| encoder.set_blend_op(BlendOp::Source))
            .and_then(|()| encoder.set_dispose_op(DisposeOp::None))
            .map_err(to_io_error)?;
        let writer = encoder.write_header().map_err(to_io_error)?;
        Ok(Self {
            file,
            writer,
            previous: None,
            size: format.size,
        })
    }

    pub(super) fn add(&mut self, frame: &RenderedImage) -> io::Result<()> {
        let width = frame.width as usize;
        let area = match &self.previous {
            Some(previous) => ChangedRect::between(previous, &frame.rgba, width),
            None => ChangedRect::all(self.size),
        };
        if self.previous.is_some() {
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
                .map_err(to_io_error)?;
        }
        let rgb: Vec<u8> = area
            .pixel_indices(width)
            .flat_map(|index| pixel(&frame.rgba, index))
            .collect();
        self.writer.write_image_data(&rgb).map_err(to_io_error)?;
        self.previous = Some(frame.rgba.clone());
        Ok(())
    }

    pub(super) fn finish(self, path: &Path) -> io::Result<()> {
        self.writer.finish().map_err(to_io_error)?;
        persist_file(self.file, path)
    }
}

fn to_io_error(error: EncodingError) -> io::Error {
    error.into()
}
