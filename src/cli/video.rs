//! What `evenkeel record` and `evenkeel replay` have in common: a recording as a film.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Ui;
use super::common::{ThemeArg, parse_size};

/// `--video FILE` and how it is made.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct VideoArgs {
    /// Film the episodes into an .mp4 (through ffmpeg), a .gif or an animated .png; needs no window
    /// and no display
    #[arg(long, value_name = "FILE")]
    pub(super) video: Option<PathBuf>,
    /// Size of the film, pixels
    #[arg(long, value_name = "WxH", default_value = "640x480", value_parser = parse_size, requires = "video")]
    size: [u32; 2],
    /// Frames a second of the film, 1 to 50
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=50), requires = "video")]
    fps: u32,
    /// Times the clock's speed, 0.25 to 64
    #[arg(long, value_name = "X", default_value_t = 1.0, value_parser = parse_speed, requires = "video")]
    speed: f64,
    #[command(flatten)]
    pub(super) theme: ThemeArg,
}

/// Takes a speed.
fn parse_speed(text: &str) -> Result<f64, String> {
    let speed = text.trim_end_matches(['x', '×']).trim().parse().ok();
    let speed = speed.filter(|speed| (0.25..=64.0).contains(speed));
    speed.ok_or_else(|| "expected a number from 0.25 to 64".to_owned())
}

/// A film that was made.
#[derive(Serialize)]
pub(super) struct WrittenVideo {
    video: PathBuf,
    bytes: u64,
    episodes: usize,
    frames: u32,
    /// How long it is.
    secs: f64,
    /// How long it took.
    took_secs: f64,
}

impl VideoArgs {
    /// Refuses what cannot be made, before anything else is done.
    #[cfg(feature = "view")]
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if let Some(video) = &self.video {
            evenkeel::view::VideoKind::of(video)?;
        }
        Ok(())
    }

    /// Refuses what cannot be made, before anything else is done.
    #[cfg(not(feature = "view"))]
    pub(super) fn check(&self) -> anyhow::Result<()> {
        if self.video.is_some() {
            anyhow::bail!(
                "this build draws nothing; from a checkout, this builds one that does, some \
                 minutes the first time:\n    cargo run --release --features view -- …"
            );
        }
        Ok(())
    }

    /// Films a recording, if that is asked for.
    #[cfg(feature = "view")]
    pub(super) fn film(
        &self,
        recording: &Path,
        episode: Option<u64>,
    ) -> anyhow::Result<Option<WrittenVideo>> {
        use evenkeel::recording::RecordingReader;
        use evenkeel::view::write_video;

        self.made(episode, |video, how, told| {
            write_video(&mut RecordingReader::open(recording)?, video, how, told)
        })
    }

    /// Films two runs side by side, likewise.
    #[cfg(feature = "view")]
    pub(super) fn write_twins_video(
        &self,
        twins: &[evenkeel::view::Twin; 2],
    ) -> anyhow::Result<Option<WrittenVideo>> {
        self.made(None, |video, how, told| {
            evenkeel::view::write_twins_video(twins, video, how, told)
        })
    }

    #[cfg(feature = "view")]
    fn made(
        &self,
        episode: Option<u64>,
        film: impl FnOnce(
            &Path,
            &evenkeel::view::VideoOptions,
            &mut evenkeel::view::ProgressCallback,
        ) -> Result<evenkeel::view::VideoSummary, evenkeel::view::ViewError>,
    ) -> anyhow::Result<Option<WrittenVideo>> {
        let Some(video) = &self.video else {
            return Ok(None);
        };
        let how = evenkeel::view::VideoOptions {
            size: self.size,
            fps: self.fps,
            speed: self.speed,
            theme: self.theme.theme(),
            episode,
        };
        let bar = super::common::progress_bar("frames");
        let began = std::time::Instant::now();
        let mut told = |done: u32, of: u32| {
            bar.set_length(of.into());
            bar.set_position(done.into());
        };
        let filmed = film(video, &how, &mut told);
        bar.finish_and_clear();
        let filmed = filmed?;
        Ok(Some(WrittenVideo {
            video: video.clone(),
            bytes: std::fs::metadata(video).map_or(0, |file| file.len()),
            episodes: filmed.episodes,
            frames: filmed.frames,
            secs: filmed.secs,
            took_secs: began.elapsed().as_secs_f64(),
        }))
    }

    /// Films nothing: see [`Self::check`].
    #[cfg(not(feature = "view"))]
    #[allow(
        clippy::unnecessary_wraps,
        clippy::unused_self,
        reason = "with the feature `view` it films"
    )]
    pub(super) fn film(
        &self,
        _recording: &Path,
        _episode: Option<u64>,
    ) -> anyhow::Result<Option<WrittenVideo>> {
        Ok(None)
    }
}

/// What is said of a film.
pub(super) fn describe(made: &WrittenVideo) -> String {
    let WrittenVideo {
        video,
        bytes,
        frames,
        secs,
        took_secs,
        ..
    } = made;
    let (strong, video) = (Ui::STRONG, video.display());
    let speed = f64::from(*frames) / took_secs;
    format!(
        "filmed {secs:.1} s, {frames} frames, {}, in {took_secs:.1} s ({speed:.0} frames/s):\n\
         {strong}{video}{strong:#}",
        super::common::format_bytes(*bytes),
    )
}
