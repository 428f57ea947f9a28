//! Writes images into a video file: MP4 through ffmpeg, GIF and animated PNG without it.
//!
//! Every image is written, in order. The file is written under a temporary name and renamed when it
//! is complete.

mod apng;
mod changed_rect;
mod format;
mod gif;
mod mp4;

use std::path::{Path, PathBuf};

use super::rendered_image::RenderedImage;
use format::{MAX_FPS, io_error};
pub use format::{VideoError, VideoFormat, VideoKind};

/// Writes a video file, frame by frame.
pub struct VideoWriter {
    path: PathBuf,
    format: VideoFormat,
    written: u32,
    encoder: Encoder,
}

enum Encoder {
    Mp4(mp4::Mp4Encoder),
    Gif(Box<gif::GifEncoder>),
    Apng(Box<apng::ApngEncoder>),
}

impl VideoWriter {
    /// Opens a video file. Its extension chooses the kind of video.
    ///
    /// # Errors
    /// If the kind does not allow this format, ffmpeg is missing, or the file cannot be written.
    pub fn create(path: &Path, format: VideoFormat) -> Result<Self, VideoError> {
        let kind = VideoKind::of(path)?;
        let invalid = |reason: String| VideoError::Invalid {
            path: path.to_owned(),
            reason,
        };
        if !(1..=MAX_FPS).contains(&format.fps) {
            let fps = format.fps;
            return Err(invalid(format!(
                "{fps} frames per second: must be 1 to {MAX_FPS}"
            )));
        }
        if format.frames == 0 {
            return Err(invalid("no frames to write".to_owned()));
        }
        if kind == VideoKind::Mp4 && format.size.iter().any(|side| side % 2 == 1) {
            let [width, height] = format.size;
            return Err(invalid(format!(
                "{width}x{height}: the sides of an MP4 must be even numbers of pixels"
            )));
        }
        let encoder = match kind {
            VideoKind::Mp4 => Encoder::Mp4(mp4::Mp4Encoder::create(path, format)?),
            VideoKind::Gif => gif::GifEncoder::create(path, format)
                .map(|encoder| Encoder::Gif(Box::new(encoder)))
                .map_err(io_error(path))?,
            VideoKind::Apng => apng::ApngEncoder::create(path, format)
                .map(|encoder| Encoder::Apng(Box::new(encoder)))
                .map_err(io_error(path))?,
        };
        Ok(Self {
            path: path.to_owned(),
            format,
            written: 0,
            encoder,
        })
    }

    /// Adds the next frame.
    ///
    /// # Errors
    /// If it cannot be written.
    ///
    /// # Panics
    /// If the image does not have the size of the video.
    pub fn add(&mut self, frame: &RenderedImage) -> Result<(), VideoError> {
        assert_eq!([frame.width, frame.height], self.format.size);
        match &mut self.encoder {
            Encoder::Mp4(encoder) => encoder.add(frame)?,
            Encoder::Gif(encoder) => encoder.add(frame).map_err(io_error(&self.path))?,
            Encoder::Apng(encoder) => encoder.add(frame).map_err(io_error(&self.path))?,
        }
        self.written += 1;
        Ok(())
    }

    /// Completes the file and gives it its name.
    ///
    /// # Errors
    /// If the file cannot be written, or frames are missing.
    pub fn finish(self) -> Result<(), VideoError> {
        let (path, expected) = (self.path, self.format.frames);
        if self.written != expected {
            let reason = format!("only {} of {expected} frames were added", self.written);
            return Err(VideoError::Invalid { path, reason });
        }
        match self.encoder {
            Encoder::Mp4(encoder) => encoder.finish(),
            Encoder::Gif(encoder) => encoder.finish(&path).map_err(io_error(&path)),
            Encoder::Apng(encoder) => encoder.finish(&path).map_err(io_error(&path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;

    use super::*;
    use crate::view::rendered_image::PIXEL;

    /// A square that moves to the right, on a background with more colours than a GIF frame has.
    fn frame(number: u32, [width, height]: [u32; 2]) -> RenderedImage {
        let pixel = |index: u32| {
            let (x, y) = (index % width, index / width);
            let inside = (number * 3..number * 3 + 5).contains(&x) && (4..9).contains(&y);
            if inside {
                [230, 159, 0, 255]
            } else {
                [(x * 5) as u8, (y * 9) as u8, 40, 255]
            }
        };
        RenderedImage {
            width,
            height,
            rgba: (0..width * height).flat_map(pixel).collect(),
        }
    }

    fn format(frames: u32) -> VideoFormat {
        VideoFormat {
            size: [48, 24],
            fps: 12,
            frames,
        }
    }

    fn write(path: &Path, frames: u32) {
        let format = format(frames);
        let mut video = VideoWriter::create(path, format).expect("created");
        for number in 0..frames {
            video.add(&frame(number, format.size)).expect("added");
        }
        video.finish().expect("finished");
    }

    #[test]
    fn a_gif_has_every_frame_at_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("video.gif");
        write(&path, 7);
        let mut options = ::gif::DecodeOptions::new();
        options.set_color_output(::gif::ColorOutput::RGBA);
        let mut decoder = options
            .read_info(File::open(&path).expect("a file"))
            .expect("a GIF");
        let format = format(7);
        let width = format.size[0] as usize;
        let mut screen = vec![0; width * format.size[1] as usize * PIXEL];
        let (mut count, mut hundredths) = (0, 0_u32);
        while let Some(part) = decoder.read_next_frame().expect("a frame") {
            hundredths += u32::from(part.delay);
            let columns = usize::from(part.width);
            for (index, pixel) in part.buffer.chunks_exact(PIXEL).enumerate() {
                let x = usize::from(part.left) + index % columns;
                let y = usize::from(part.top) + index / columns;
                if pixel[3] > 0 {
                    screen[(y * width + x) * PIXEL..][..PIXEL].copy_from_slice(pixel);
                }
            }
            let expected = frame(count, format.size).rgba;
            let difference = screen.iter().zip(&expected);
            let difference: u64 = difference.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = difference as f64 / screen.len() as f64;
            assert!(mean < 4.0, "frame {count} is off by {mean} on average");
            let square = |screen: &[u8]| {
                let at = 6 * width + 3 * count as usize + 2;
                super::changed_rect::pixel(screen, at).map(i32::from)
            };
            let [red, _, blue] = square(&screen);
            assert!(
                red > blue + 100,
                "frame {count}: the square is {:?}",
                square(&screen)
            );
            count += 1;
        }
        // 7/12 s.
        assert_eq!((count, hundredths), (7, 58));
    }

    #[test]
    fn an_animated_png_has_every_frame_bit_for_bit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("video.png");
        write(&path, 5);
        let file = io::BufReader::new(File::open(&path).expect("a file"));
        let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
        let control = *reader.info().animation_control().expect("an animation");
        assert_eq!(control.num_frames, 5);
        let format = format(5);
        let width = format.size[0] as usize;
        let mut screen = vec![0; width * format.size[1] as usize * PIXEL];
        for number in 0..5 {
            let mut part = vec![0; reader.output_buffer_size().expect("small")];
            reader.next_frame(&mut part).expect("a frame");
            let control = *reader.info().frame_control().expect("a frame's place");
            let columns = control.width as usize;
            for index in 0..columns * control.height as usize {
                let x = control.x_offset as usize + index % columns;
                let y = control.y_offset as usize + index / columns;
                screen[(y * width + x) * PIXEL..][..3]
                    .copy_from_slice(&part[index * 3..index * 3 + 3]);
                screen[(y * width + x) * PIXEL + 3] = 255;
            }
            assert!(screen == frame(number, format.size).rgba, "frame {number}");
        }
    }

    #[test]
    fn an_invalid_format_is_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = format(3);
        let odd = VideoFormat {
            size: [641, 480],
            ..good
        };
        let fast = VideoFormat { fps: 51, ..good };
        let none = VideoFormat { frames: 0, ..good };
        for (name, format, message) in [
            ("a.webm", good, "a video is an .mp4, a .gif or a .png"),
            ("a", good, "a video is an .mp4, a .gif or a .png"),
            ("a.mp4", odd, "641x480: the sides of an MP4 must be even"),
            ("a.gif", fast, "51 frames per second: must be 1 to 50"),
            ("a.gif", none, "no frames to write"),
            ("nowhere/a.gif", good, "there is no folder"),
        ] {
            let error = VideoWriter::create(&folder.path().join(name), format)
                .err()
                .expect("refused");
            assert!(error.to_string().contains(message), "{error}");
        }
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    }

    #[test]
    fn a_video_that_lacks_frames_leaves_no_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("video.png");
        let format = format(3);
        let mut video = VideoWriter::create(&path, format).expect("created");
        video.add(&frame(0, format.size)).expect("added");
        let error = video.finish().expect_err("two are missing");
        let expected = "only 1 of 3 frames were added";
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    }
}
