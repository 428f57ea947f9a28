//! Writes videos of recordings, without a window and without a display.

use std::cell::Cell;
use std::path::Path;

use super::gradient_strip::GradientStrip;
use super::playback::Playback;
use crate::view::error::ViewError;
use crate::view::offscreen::{OffscreenRenderer, OffscreenScene};
use crate::view::screen::{ControlSource, EpisodeCounts, Screen};
use crate::view::theme::Theme;
use crate::view::video::{VideoFormat, VideoWriter};
use evenkeel_runs::recording::RecordingReader;
use evenkeel_sim::env::Outcome;

/// How long the end of an episode is shown, seconds of the video.
const HOLD_SECS: f64 = 1.0;

/// How a video of a recording looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoOptions {
    /// Width and height, pixels.
    pub size: [u32; 2],
    /// Frames per second, 1 to 50.
    pub fps: u32,
    /// Simulated seconds per second of the video, above 0.
    pub speed: f64,
    /// Light or dark colours.
    pub theme: Theme,
    /// Number of the only episode in the video; all episodes if `None`.
    pub episode: Option<u64>,
}

/// Counts of a video that was written.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct VideoSummary {
    /// Number of episodes; for twins, of iterations.
    pub episodes: usize,
    /// Number of frames.
    pub frames: u32,
    /// Duration, seconds.
    pub secs: f64,
}

/// Called after each frame with the number of frames written and the number of all frames.
pub type ProgressCallback<'a> = dyn FnMut(u32, u32) + 'a;

/// Writes a video of a recording.
///
/// # Errors
/// If the recording cannot be read or lacks the episode, there is no graphics driver, or the video
/// cannot be written.
pub fn write_video(
    reader: &mut RecordingReader,
    path: &Path,
    options: &VideoOptions,
    progress: &mut ProgressCallback,
) -> Result<VideoSummary, ViewError> {
    let policy = reader.header().policy.clone().unwrap_or_default().name;
    let seed = reader.header().seed;
    let mut env = reader.environment()?;
    let mut clips = Vec::new();
    let mut counts = EpisodeCounts::default();
    while let Some(episode) = reader.next_episode()? {
        let number = episode.begin.episode;
        if options.episode.is_none_or(|only| only == number) {
            let playback = Playback::new(episode, &mut env, &policy, seed);
            let earlier = counts;
            counts.episodes += 1;
            counts.goals += u32::from(playback.outcome() == Some(Outcome::Goal));
            clips.push(VideoClip {
                playbacks: vec![(playback, earlier)],
                strips: Vec::new(),
                hold_secs: HOLD_SECS,
            });
        }
    }
    match options.episode {
        Some(number) if clips.is_empty() => Err(ViewError::NoEpisode { number }),
        _ => write_clips(clips, path, options, progress),
    }
}

/// A part of a video: episodes that start together.
pub(super) struct VideoClip {
    /// The episodes, at most two; each with the counts of its policy's earlier ones.
    pub(super) playbacks: Vec<(Playback, EpisodeCounts)>,
    /// Gradient norms below the scene.
    pub(super) strips: Vec<GradientStrip>,
    /// How long the end is shown, seconds of the video.
    pub(super) hold_secs: f64,
}

impl VideoClip {
    /// Number of frames: the length of the longest episode, and of its end.
    fn frames(&self, options: &VideoOptions) -> u32 {
        let secs = |playback: &Playback| playback.length() as f64 * playback.dt_secs();
        let longest = self.playbacks.iter().map(|(playback, _)| secs(playback));
        let longest = longest.fold(0.0, f64::max);
        ((longest / options.speed + self.hold_secs) * f64::from(options.fps)).round() as u32 + 1
    }

    /// What a frame shows. `frame` counts from 0.
    fn scene(&mut self, frame: u32, options: &VideoOptions, screen: &Screen) -> OffscreenScene {
        let mut interpolation = 1.0;
        let episodes = self.playbacks.iter_mut().map(|(playback, counts)| {
            let steps_per_frame = options.speed / (f64::from(options.fps) * playback.dt_secs());
            let (step, share) = step_and_share(f64::from(frame) * steps_per_frame);
            playback.seek(step);
            let mut view = playback.view().clone();
            if step <= playback.length() {
                interpolation = share;
            } else {
                // This episode has ended: show its end at whatever interpolation the other one needs.
                view.snapshots[0] = view.snapshots[1].clone();
            }
            (view, *counts)
        });
        OffscreenScene {
            screen: screen.clone(),
            episodes: episodes.collect(),
            interpolation,
            strips: self.strips.clone(),
        }
    }
}

/// Writes a video of clips, one after the other.
pub(super) fn write_clips(
    mut clips: Vec<VideoClip>,
    path: &Path,
    options: &VideoOptions,
    progress: &mut ProgressCallback,
) -> Result<VideoSummary, ViewError> {
    let counts: Vec<u32> = clips.iter().map(|clip| clip.frames(options)).collect();
    let format = VideoFormat {
        size: options.size,
        fps: options.fps,
        frames: counts.iter().sum(),
    };
    let [width, height] = options.size;
    // Errors of the file are found before anything is drawn.
    let mut writer = VideoWriter::create(path, format)?;
    let mut renderer = OffscreenRenderer::open(width, height)?;
    let screen = Screen {
        theme: options.theme,
        control: ControlSource::Video,
        ..Screen::default()
    };
    let running = Cell::new(true);
    let episodes = clips.len();
    let scenes = clips.iter_mut().zip(&counts).flat_map(|(clip, &count)| {
        let screen = screen.clone();
        (0..count).map(move |frame| clip.scene(frame, options, &screen))
    });
    let (mut written, mut error) = (0, None);
    renderer.render_each(scenes.take_while(|_| running.get()), |image| {
        if !running.get() {
            return;
        }
        error = writer.add(&image).err();
        written += 1;
        running.set(error.is_none());
        progress(written, format.frames);
    })?;
    if let Some(error) = error {
        return Err(error.into());
    }
    writer.finish()?;
    Ok(VideoSummary {
        episodes,
        frames: written,
        secs: f64::from(written) / f64::from(options.fps),
    })
}

/// Converts a time, control steps, to the control step in which it lies and the elapsed share of
/// that step, 0 to 1. The end of a step belongs to it.
fn step_and_share(time: f64) -> (usize, f32) {
    // Allows for rounding errors; smaller than any visible share of a step.
    let tolerance = 1e-6;
    let step = (time - tolerance).ceil().max(0.0);
    let share = if step > 0.0 { time - (step - 1.0) } else { 1.0 };
    (step as usize, share.clamp(0.0, 1.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_split_into_step_and_share() {
        let check = |time: f64, expected_step: usize, expected_share: f32| {
            let (step, share) = step_and_share(time);
            assert_eq!(step, expected_step);
            let difference = (share - expected_share).abs();
            assert!(difference < 1e-4, "{share} is not {expected_share}");
        };
        // Three frames per step.
        let third = 1.0 / (30.0 * 0.1);
        check(0.0 * third, 0, 1.0);
        check(1.0 * third, 1, 1.0 / 3.0);
        check(3.0 * third, 1, 1.0);
        check(4.0 * third, 2, 1.0 / 3.0);
        check(300.0 * third, 100, 1.0);
        // One frame per step, and one per two steps.
        check(7.0, 7, 1.0);
        check(14.0, 14, 1.0);
    }
}
