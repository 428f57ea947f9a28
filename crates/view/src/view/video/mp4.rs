//! MP4: frames go to ffmpeg as they are.

use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use tempfile::NamedTempFile;

use super::{VideoError, VideoFormat};
use crate::view::RenderedImage;
use evenkeel_runs::runs::{persist_file, temp_file};

/// An MP4 that ffmpeg is writing.
pub(super) struct Mp4Encoder {
    path: PathBuf,
    unfinished: NamedTempFile,
    ffmpeg: Child,
    /// Listens to what it says, so that it never waits for somebody who does.
    said: JoinHandle<String>,
}

impl Mp4Encoder {
    pub(super) fn begin(path: &Path, format: VideoFormat) -> Result<Self, VideoError> {
        let unfinished = temp_file(path).map_err(super::at(path))?;
        let [width, height] = format.size;
        let begun = Command::new("ffmpeg")
            .args(["-loglevel", "error", "-y", "-f", "rawvideo"])
            .args(["-pixel_format", "rgba", "-video_size"])
            .arg(format!("{width}x{height}"))
            .args(["-framerate", &format.fps.to_string(), "-i", "-"])
            // What players of every make show, from the beginning of a file that is not all there.
            .args(["-c:v", "libx264", "-preset", "fast", "-crf", "20"])
            .args(["-pix_fmt", "yuv420p", "-movflags", "+faststart"])
            .args(["-f", "mp4"])
            .arg(unfinished.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut ffmpeg = match begun {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(VideoError::NoFfmpeg {
                    path: path.to_owned(),
                });
            }
            Err(error) => return Err(super::at(path)(error)),
        };
        let mut voice = ffmpeg.stderr.take().expect("it was asked for");
        let said = std::thread::spawn(move || {
            let mut said = String::new();
            // What cannot be heard is not told.
            let _ = voice.read_to_string(&mut said);
            said
        });
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            ffmpeg,
            said,
        })
    }

    pub(super) fn add(&mut self, frame: &RenderedImage) -> Result<(), VideoError> {
        let pipe = self
            .ffmpeg
            .stdin
            .as_mut()
            .expect("open until it is finished");
        // A pipe breaks when ffmpeg has given up; `finish` says what about.
        match pipe.write_all(&frame.rgba) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(super::at(&self.path)(error))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn finish(mut self) -> Result<(), VideoError> {
        drop(self.ffmpeg.stdin.take());
        let status = self.ffmpeg.wait().map_err(super::at(&self.path))?;
        let said = self.said.join().unwrap_or_default();
        if !status.success() {
            return Err(VideoError::Ffmpeg {
                path: self.path,
                said: match said.trim() {
                    "" => status.to_string(),
                    said => said.to_owned(),
                },
            });
        }
        persist_file(self.unfinished, &self.path).map_err(super::at(&self.path))
    }
}
