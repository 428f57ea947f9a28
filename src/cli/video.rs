//! `--video` of `evenkeel record` and `evenkeel replay`: writes a video of a recording.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Ui;
use super::common::{ThemeArg, count, parse_size};
use super::files::check_output;
use evenkeel::telemetry::format::counted;

/// `--video FILE` and its options.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VideoArgs {
    /// Write a video of the episodes: an .mp4 (needs ffmpeg), a .gif or an animated .png; needs no display
    #[arg(long, value_name = "FILE")]
    pub(super) video: Option<PathBuf>,
    /// Size of the video, pixels
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = parse_size, requires = "video")]
    size: [u32; 2],
    /// Frames per second of the video, 1 to 50
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = count::<u32>(1..=50), requires = "video")]
    fps: u32,
    /// Speed of the video as a multiple of real time, 0.25 to 64
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = parse_speed, requires = "video")]
    speed: f64,
    #[command(flatten)]
    pub(super) theme: ThemeArg,
}

/// Parses a multiple of real time, as in `8` or `8x`.
fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.trim_end_matches(['x', '×']).trim().parse().ok();
    let speed = speed.filter(|speed| (0.25..=64.0).contains(speed));
    speed.ok_or_else(|| "expected a number from 0.25 to 64".to_owned())
}

/// A video that has been written.
#[derive(Serialize)]
pub(super) struct WrittenVideo {
    video: PathBuf,
    bytes: u64,
    episodes: usize,
    frames: u32,
    /// Duration of the video, seconds.
    secs: f64,
    /// Time that it took to render, seconds.
    took_secs: f64,
    /// What is wrong with the recording.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    faults: Vec<String>,
}

impl VideoArgs {
    /// Checks that the file's format is supported, before any other work is done.
    #[cfg(feature = "view")]
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(video) = &self.video {
            evenkeel::view::VideoKind::of(video)?;
        }
        Ok(())
    }

    /// Fails if a video is wanted, because this build cannot draw.
    #[cfg(not(feature = "view"))]
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.video.is_some() {
            anyhow::bail!(
                "this build cannot draw; in a checkout, this builds one that can (some minutes \
                 the first time):\n    cargo run --release --features view -- …"
            );
        }
        Ok(())
    }

    /// Refuses a video's file that is one of `inputs`.
    pub(super) fn check_output<P: AsRef<Path>>(
        &self,
        inputs: impl IntoIterator<Item = P>,
    ) -> anyhow::Result<()> {
        match &self.video {
            Some(video) => check_output("--video", video, inputs),
            None => Ok(()),
        }
    }

    /// Writes a video of a recording, if `--video` is given.
    #[cfg(feature = "view")]
    pub(super) fn write(
        &self,
        recording: &Path,
        episode: Option<u64>,
    ) -> anyhow::Result<Option<WrittenVideo>> {
        use evenkeel::recording::RecordingReader;
        use evenkeel::view::write_video;

        if self.video.is_none() {
            return Ok(None);
        }
        let mut reader = RecordingReader::open(recording)?;
        let written = self.write_with(episode, |video, options, progress| {
            write_video(&mut reader, video, options, progress)
        })?;
        Ok(written.map(|written| WrittenVideo {
            faults: reader.faults(),
            ..written
        }))
    }

    /// Writes a video of two runs side by side, if `--video` is given.
    #[cfg(feature = "view")]
    pub(super) fn write_twins(
        &self,
        twins: &[evenkeel::view::Twin; 2],
    ) -> anyhow::Result<Option<WrittenVideo>> {
        self.write_with(None, |video, options, progress| {
            evenkeel::view::write_twins_video(twins, video, options, progress)
        })
    }

    /// Calls `write` with the options, and shows its progress.
    #[cfg(feature = "view")]
    fn write_with(
        &self,
        episode: Option<u64>,
        write: impl FnOnce(
            &Path,
            &evenkeel::view::VideoOptions,
            &mut evenkeel::view::ProgressCallback,
        ) -> Result<evenkeel::view::VideoSummary, evenkeel::view::ViewError>,
    ) -> anyhow::Result<Option<WrittenVideo>> {
        let Some(video) = &self.video else {
            return Ok(None);
        };
        let options = evenkeel::view::VideoOptions {
            size: self.size,
            fps: self.fps,
            speed: self.speed,
            theme: self.theme.theme(),
            episode,
        };
        let bar = super::common::progress_bar("frames");
        let start = std::time::Instant::now();
        let mut progress = |done: u32, total: u32| {
            bar.set_length(total.into());
            bar.set_position(done.into());
        };
        let result = write(video, &options, &mut progress);
        bar.finish_and_clear();
        let summary = result?;
        Ok(Some(WrittenVideo {
            video: video.clone(),
            bytes: std::fs::metadata(video).map_or(0, |file| file.len()),
            episodes: summary.episodes,
            frames: summary.frames,
            secs: summary.secs,
            took_secs: start.elapsed().as_secs_f64(),
            faults: Vec::new(),
        }))
    }

    /// Returns `None`; [`Self::check`] has refused `--video` before.
    #[cfg(not(feature = "view"))]
    #[allow(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "with the feature `view` it writes a video"
    )]
    pub(super) fn write(
        &self,
        _recording: &Path,
        _episode: Option<u64>,
    ) -> anyhow::Result<Option<WrittenVideo>> {
        Ok(None)
    }
}

/// Describes a written video.
pub(super) fn describe(written: &WrittenVideo) -> String {
    let WrittenVideo {
        video,
        bytes,
        frames,
        secs,
        took_secs,
        faults,
        ..
    } = written;
    let (strong, video) = (Ui::STRONG, video.display());
    let speed = f64::from(*frames) / took_secs;
    let warn = Ui::WARN;
    let faults: Vec<String> = faults
        .iter()
        .map(|fault| format!("{warn}{fault}{warn:#}\n"))
        .collect();
    let faults = faults.concat();
    format!(
        "{faults}video of {secs:.1} s, {}, {}, in {took_secs:.1} s ({speed:.0} frames/s):\n\
         {strong}{video}{strong:#}",
        counted(*frames, "frame"),
        super::common::format_bytes(*bytes),
    )
}
