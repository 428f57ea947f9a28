//! Formats of video files, and the error of writing one.

use std::io;
use std::path::{Path, PathBuf};

/// Greatest frame rate. GIF counts time in hundredths of a second, and viewers show no more than 50
/// GIF frames a second.
pub(super) const MAX_FPS: u32 = 50;

/// Why a video cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum VideoError {
    /// The extension of the file name is not that of a video format.
    #[error("{path}: a video is an .mp4, a .gif or a .png (animated)")]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// The format does not allow something.
    #[error("{path}: {reason}")]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is allowed.
        reason: String,
    },
    /// ffmpeg is not installed.
    #[error(
        "{path}: MP4 needs ffmpeg, which is not on the PATH; install it (`apt install ffmpeg`), or \
         write a .gif or a .png, which do not need it"
    )]
    NoFfmpeg {
        /// The file.
        path: PathBuf,
    },
    /// ffmpeg failed.
    #[error("{path}: ffmpeg failed: {message}")]
    Ffmpeg {
        /// The file.
        path: PathBuf,
        /// What ffmpeg printed.
        message: String,
    },
    /// The file cannot be written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

/// A video format, chosen by the file's extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoKind {
    /// H.264 in MP4, encoded by ffmpeg.
    Mp4,
    /// GIF, at most 256 colours per frame.
    Gif,
    /// Animated PNG, lossless.
    Apng,
}

impl VideoKind {
    /// The format that a file name stands for.
    ///
    /// # Errors
    /// If the extension is not that of a video format.
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

/// Size, frame rate and length of a video.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Width and height, pixels.
    pub size: [u32; 2],
    /// Frames per second, 1 to 50.
    pub fps: u32,
    /// Number of frames.
    pub frames: u32,
}

/// Adds the file to an error of the operating system.
pub(super) fn io_error<E: Into<io::Error>>(path: &Path) -> impl FnOnce(E) -> VideoError {
    let path = path.to_owned();
    move |source| VideoError::Io {
        path,
        source: source.into(),
    }
}
