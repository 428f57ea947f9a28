//! Writes an MP4: passes raw frames to ffmpeg.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::NamedTempFile;

use super::format::{VideoError, VideoFormat, io_error};
use crate::view::rendered_image::RenderedImage;
use evenkeel_runs::runs::{persist_file, temp_file};

/// Encodes an MP4 with ffmpeg.
pub(super) struct Mp4Encoder {
    path: PathBuf,
    /// The file that ffmpeg writes.
    temp: NamedTempFile,
    ffmpeg: Child,
    /// Reads what ffmpeg prints, so that ffmpeg never blocks on a full pipe.
    stderr: JoinHandle<String>,
}

impl Mp4Encoder {
    pub(super) fn create(path: &Path, format: VideoFormat) -> Result<Self, VideoError> {
        let temp = temp_file(path).map_err(io_error(path))?;
        let [width, height] = format.size;
        let spawned = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-y", "-f", "rawvideo"])
            .args(["-pixel_format", "rgba", "-video_size"])
            .arg(format!("{width}x{height}"))
            .args(["-framerate", &format.fps.to_string(), "-i", "-"])
            // A pixel format that every player supports, and an index at the front of the file, so
            // that playback can start before the whole file is loaded.
            .args(["-c:v", "libx264", "-preset", "fast", "-crf", "20"])
            .args(["-pix_fmt", "yuv420p", "-movflags", "+faststart"])
            .args(["-f", "mp4"])
            .arg(temp.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut ffmpeg = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VideoError::NoFfmpeg {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(io_error(path)(error)),
        };
        let mut pipe = ffmpeg.stderr.take().expect("stderr is piped");
        let stderr = std::thread::spawn(move || {
            let mut text = String::new();
            // If reading fails, the message has what was read so far.
            let _ = pipe.read_to_string(&mut text);
            text
        });
        Ok(Self {
            path: path.to_owned(),
            temp,
            ffmpeg,
            stderr,
        })
    }

    pub(super) fn add(&mut self, frame: &RenderedImage) -> Result<(), VideoError> {
        let pipe = self
            .ffmpeg
            .stdin
            .as_mut()
            .expect("stdin is open until `finish`");
        // The pipe breaks when ffmpeg fails; `finish` reports the reason.
        match pipe.write_all(&frame.rgba) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(io_error(&self.path)(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> Result<(), VideoError> {
        drop(self.ffmpeg.stdin.take());
        let status = self.ffmpeg.wait().map_err(io_error(&self.path))?;
        let stderr = self.stderr.join().unwrap_or_default();
        if !status.success() {
            return Err(VideoError::Ffmpeg {
                path: self.path,
                message: match stderr.trim() {
                    "" => status.to_string(),
                    text => text.to_owned(),
                },
            });
        }
        persist_file(self.temp, &self.path).map_err(io_error(&self.path))
    }
}
