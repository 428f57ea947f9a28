//! Frames into a file: MP4 through ffmpeg, GIF and animated PNG without it.
//!
//! Each file gets every frame, in the order given. It is written under another name and renamed
//! when it is whole.

mod apng;
mod gif;
mod mp4;

use std::io;
use std::path::{Path, PathBuf};

use super::RenderedImage;

/// Frames a second at most: GIF counts time in hundredths of a second, and screens show no more
/// than this of it.
const MAX_FPS: u32 = 50;

/// What became of a film.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// A name that says no kind of film.
    #[error("{path}: a film is an .mp4, a .gif or a .png (animated)")]
    Kind {
        /// Which file.
        path: PathBuf,
    },
    /// Something that the kind cannot hold.
    #[error("{path}: {what}")]
    Unfit {
        /// Which file.
        path: PathBuf,
        /// What, and what would do.
        what: String,
    },
    /// ffmpeg is not there.
    #[error(
        "{path}: MP4 needs ffmpeg, which is not on the PATH; install it (`apt install ffmpeg`), or \
         name a .gif or .png, which need nothing"
    )]
    NoFfmpeg {
        /// Which file.
        path: PathBuf,
    },
    /// ffmpeg is there and failed.
    #[error("{path}: ffmpeg failed: {said}")]
    Ffmpeg {
        /// Which file.
        path: PathBuf,
        /// What it said.
        said: String,
    },
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// A kind of film, by its file's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoKind {
    /// H.264 in MP4, by ffmpeg.
    Mp4,
    /// GIF, at most 256 colours a frame.
    Gif,
    /// Animated PNG, every colour as drawn.
    Apng,
}

impl VideoKind {
    /// The kind that a file's name says.
    ///
    /// # Errors
    /// If it says none.
    pub fn of(path: &Path) -> Result<Self, VideoError> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("mp4") => Ok(Self::Mp4),
            Some("gif") => Ok(Self::Gif),
            Some("png" | "apng") => Ok(Self::Apng),
            _ => Err(VideoError::Kind {
                path: path.to_owned(),
            }),
        }
    }
}

/// How a film is shot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Width and height, pixels.
    pub size: [u32; 2],
    /// Frames a second, 1 to 50.
    pub fps: u32,
    /// How many frames there will be.
    pub frames: u32,
}

/// A film that is being written.
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
    /// Begins a film, of the kind that its file's name says.
    ///
    /// # Errors
    /// If the kind cannot hold such a film, ffmpeg is missing, or the file cannot be written.
    pub fn create(path: &Path, format: VideoFormat) -> Result<Self, VideoError> {
        let kind = VideoKind::of(path)?;
        let unfit = |what: String| VideoError::Unfit {
            path: path.to_owned(),
            what,
        };
        if !(1..=MAX_FPS).contains(&format.fps) {
            let fps = format.fps;
            return Err(unfit(format!("{fps} frames a second: 1 to {MAX_FPS}")));
        }
        if format.frames == 0 {
            return Err(unfit("no frame to show".to_owned()));
        }
        if kind == VideoKind::Mp4 && format.size.iter().any(|side| side % 2 == 1) {
            let [width, height] = format.size;
            return Err(unfit(format!(
                "{width}x{height}: an MP4's sides are even numbers of pixels"
            )));
        }
        let encoder = match kind {
            VideoKind::Mp4 => Encoder::Mp4(mp4::Mp4Encoder::begin(path, format)?),
            VideoKind::Gif => gif::GifEncoder::begin(path, format)
                .map(|encoder| Encoder::Gif(Box::new(encoder)))
                .map_err(at(path))?,
            VideoKind::Apng => apng::ApngEncoder::begin(path, format)
                .map(|encoder| Encoder::Apng(Box::new(encoder)))
                .map_err(at(path))?,
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
    /// If it has another size than the film.
    pub fn add(&mut self, frame: &RenderedImage) -> Result<(), VideoError> {
        assert_eq!([frame.width, frame.height], self.format.size);
        match &mut self.encoder {
            Encoder::Mp4(encoder) => encoder.add(frame)?,
            Encoder::Gif(encoder) => encoder.add(frame).map_err(at(&self.path))?,
            Encoder::Apng(encoder) => encoder.add(frame).map_err(at(&self.path))?,
        }
        self.written += 1;
        Ok(())
    }

    /// Ends the film and gives the file its name.
    ///
    /// # Errors
    /// If it cannot be written, or frames are missing.
    pub fn finish(self) -> Result<(), VideoError> {
        let (path, announced) = (self.path, self.format.frames);
        if self.written != announced {
            let what = format!("{} of {announced} frames came", self.written);
            return Err(VideoError::Unfit { path, what });
        }
        match self.encoder {
            Encoder::Mp4(encoder) => encoder.finish(),
            Encoder::Gif(encoder) => encoder.finish(&path).map_err(at(&path)),
            Encoder::Apng(encoder) => encoder.finish(&path).map_err(at(&path)),
        }
    }
}

/// Names the file that an error is about.
fn at<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> VideoError {
    let path = path.to_owned();
    move |source| VideoError::Io {
        path,
        source: source.into(),
    }
}

/// The part of a frame that differs from the one before: columns and rows, half open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ChangedRect {
    x: [usize; 2],
    y: [usize; 2],
}

impl ChangedRect {
    /// The smallest rectangle that holds every pixel that differs; one pixel where none does.
    fn between(before: &[u8], now: &[u8], width: usize) -> Self {
        let stride = width * PIXEL;
        let rows = before.chunks_exact(stride).zip(now.chunks_exact(stride));
        let mut found: Option<Self> = None;
        for (y, (before, now)) in rows.enumerate() {
            if before == now {
                continue;
            }
            let differs = |x: &usize| pixel(before, *x) != pixel(now, *x);
            let (Some(first), Some(last)) =
                ((0..width).find(differs), (0..width).rev().find(differs))
            else {
                continue;
            };
            let area = found.get_or_insert(Self {
                x: [first, last + 1],
                y: [y, y + 1],
            });
            area.x = [area.x[0].min(first), area.x[1].max(last + 1)];
            area.y[1] = y + 1;
        }
        found.unwrap_or(Self {
            x: [0, 1],
            y: [0, 1],
        })
    }

    /// All of a frame.
    fn all([width, height]: [u32; 2]) -> Self {
        Self {
            x: [0, width as usize],
            y: [0, height as usize],
        }
    }

    fn width(self) -> usize {
        self.x[1] - self.x[0]
    }

    fn height(self) -> usize {
        self.y[1] - self.y[0]
    }

    /// Where in a frame of that width the pixels are, row by row.
    fn pixels(self, width: usize) -> impl Iterator<Item = usize> {
        (self.y[0]..self.y[1]).flat_map(move |y| (self.x[0]..self.x[1]).map(move |x| y * width + x))
    }
}

/// Bytes of a pixel.
const PIXEL: usize = 4;

/// Red, green and blue of a pixel.
fn pixel(rgba: &[u8], index: usize) -> [u8; 3] {
    let at = index * PIXEL;
    [rgba[at], rgba[at + 1], rgba[at + 2]]
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs::File;

    use super::*;

    /// A square that goes right over a ground of more colours than a GIF frame holds.
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

    fn shot(path: &Path, frames: u32) {
        let format = format(frames);
        let mut film = VideoWriter::create(path, format).expect("begun");
        for number in 0..frames {
            film.add(&frame(number, format.size)).expect("added");
        }
        film.finish().expect("finished");
    }

    #[test]
    fn a_gif_holds_each_frame_in_its_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film.gif");
        shot(&path, 7);
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
            let wanted = frame(count, format.size).rgba;
            let apart = screen.iter().zip(&wanted);
            let apart: u64 = apart.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = apart as f64 / screen.len() as f64;
            assert!(mean < 4.0, "frame {count} is off by {mean} on average");
            let square = |screen: &[u8]| {
                let at = 6 * width + 3 * count as usize + 2;
                pixel(screen, at).map(i32::from)
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
    fn an_animated_png_holds_each_frame_to_the_bit() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film.png");
        shot(&path, 5);
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
    fn what_cannot_be_a_film_is_said_before_anything_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let good = format(3);
        let odd = VideoFormat {
            size: [641, 480],
            ..good
        };
        let fast = VideoFormat { fps: 51, ..good };
        let none = VideoFormat { frames: 0, ..good };
        for (name, format, said) in [
            ("film.webm", good, "a film is an .mp4, a .gif or a .png"),
            ("film", good, "a film is an .mp4, a .gif or a .png"),
            ("film.mp4", odd, "641x480: an MP4's sides are even"),
            ("film.gif", fast, "51 frames a second: 1 to 50"),
            ("film.gif", none, "no frame to show"),
            ("nowhere/film.gif", good, "there is no folder"),
        ] {
            let error = VideoWriter::create(&folder.path().join(name), format)
                .err()
                .expect("not possible");
            assert!(error.to_string().contains(said), "{error}");
        }
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    }

    #[test]
    fn a_film_that_lacks_frames_is_not_there() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("film.png");
        let format = format(3);
        let mut film = VideoWriter::create(&path, format).expect("begun");
        film.add(&frame(0, format.size)).expect("added");
        let error = film.finish().expect_err("two are missing");
        assert!(error.to_string().contains("1 of 3 frames came"), "{error}");
        assert_eq!(folder.path().read_dir().expect("a folder").count(), 0);
    }

    #[test]
    fn what_changes_is_found() {
        let before = vec![0; 5 * 4 * PIXEL];
        let mut now = before.clone();
        assert_eq!(
            ChangedRect::between(&before, &now, 5).pixels(5).count(),
            1,
            "where nothing changes"
        );
        for (x, y) in [(3, 1), (1, 2)] {
            now[(y * 5 + x) * PIXEL + 1] = 9;
        }
        let changed = ChangedRect::between(&before, &now, 5);
        assert_eq!((changed.x, changed.y), ([1, 4], [1, 3]));
        let pixels: Vec<usize> = changed.pixels(5).collect();
        assert_eq!(pixels, [6, 7, 8, 11, 12, 13]);
    }
}
