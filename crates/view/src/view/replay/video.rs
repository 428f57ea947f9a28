//! Recordings as films: the recorded frames, drawn without a window and without a display.

use std::cell::Cell;
use std::path::Path;

use super::gradient_strip::GradientStrip;
use super::playback::Playback;
use crate::view::{
    ControlSource, EpisodeCounts, OffscreenRenderer, OffscreenScene, Screen, Theme, VideoFormat,
    VideoWriter, ViewError,
};
use evenkeel_runs::recording::RecordingReader;
use evenkeel_sim::env::Outcome;

/// For how long the end of an episode stands still, seconds of the film.
const HOLD_SECS: f64 = 1.0;

/// How a recording is filmed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VideoOptions {
    /// Width and height, pixels.
    pub size: [u32; 2],
    /// Frames a second.
    pub fps: u32,
    /// Times the clock's speed, above 0.
    pub speed: f64,
    /// Light or dark.
    pub theme: Theme,
    /// Number of the only episode that is filmed; without, all are.
    pub episode: Option<u64>,
}

/// A film that was made.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct VideoSummary {
    /// Episodes in it, or moments of twins.
    pub episodes: usize,
    /// Frames in it.
    pub frames: u32,
    /// How long it is, seconds.
    pub secs: f64,
}

/// Hears how many frames are done of how many.
pub type ProgressCallback<'a> = dyn FnMut(u32, u32) + 'a;

/// Films a recording into a file.
///
/// # Errors
/// If the recording cannot be read, nothing here draws, or the film cannot be written.
pub fn write_video(
    reader: &mut RecordingReader,
    path: &Path,
    how: &VideoOptions,
    told: &mut ProgressCallback,
) -> Result<VideoSummary, ViewError> {
    let policy = reader.header().policy.clone().unwrap_or_default().name;
    let seed = reader.header().seed;
    let mut env = reader.environment()?;
    let mut clips = Vec::new();
    let mut tally = EpisodeCounts::default();
    while let Some(episode) = reader.next_episode()? {
        if how.episode.is_none_or(|only| only == episode.begin.episode) {
            let playback = Playback::new(episode, &mut env, &policy, seed);
            let before = tally;
            tally.episodes += 1;
            tally.goals += u32::from(playback.outcome() == Some(Outcome::Goal));
            clips.push(VideoClip {
                playbacks: vec![(playback, before)],
                strips: Vec::new(),
                hold_secs: HOLD_SECS,
            });
        }
    }
    match how.episode {
        Some(number) if clips.is_empty() => Err(ViewError::NoEpisode { number }),
        _ => write_clips(clips, path, how, told),
    }
}

/// A piece of a film: episodes that begin together.
pub(super) struct VideoClip {
    /// At most two, each with how earlier ones ended.
    pub(super) playbacks: Vec<(Playback, EpisodeCounts)>,
    /// What stands below them.
    pub(super) strips: Vec<GradientStrip>,
    /// For how long the end stands still, seconds of the film.
    pub(super) hold_secs: f64,
}

impl VideoClip {
    /// Frames from the beginning to the end of the longest, which is held.
    fn frames(&self, how: &VideoOptions) -> u32 {
        let secs = |playback: &Playback| playback.length() as f64 * playback.dt_secs();
        let longest = self.playbacks.iter().map(|(playback, _)| secs(playback));
        let longest = longest.fold(0.0, f64::max);
        ((longest / how.speed + self.hold_secs) * f64::from(how.fps)).round() as u32 + 1
    }

    /// One of them.
    fn still(&mut self, frame: u32, how: &VideoOptions, screen: &Screen) -> OffscreenScene {
        let mut share = 1.0;
        let pictures = self.playbacks.iter_mut().map(|(playback, tally)| {
            let of_step = how.speed / (f64::from(how.fps) * playback.dt_secs());
            let (step, within) = place(f64::from(frame) * of_step);
            playback.seek(step);
            let mut picture = playback.picture().clone();
            if step <= playback.length() {
                share = within;
            } else {
                // It stands at its end, however far the other one is.
                picture.snapshots[0] = picture.snapshots[1].clone();
            }
            (picture, *tally)
        });
        OffscreenScene {
            screen: screen.clone(),
            pictures: pictures.collect(),
            share,
            strips: self.strips.clone(),
        }
    }
}

/// Films one shot after the other.
pub(super) fn write_clips(
    mut clips: Vec<VideoClip>,
    path: &Path,
    how: &VideoOptions,
    told: &mut ProgressCallback,
) -> Result<VideoSummary, ViewError> {
    let counts: Vec<u32> = clips.iter().map(|shot| shot.frames(how)).collect();
    let format = VideoFormat {
        size: how.size,
        fps: how.fps,
        frames: counts.iter().sum(),
    };
    let [width, height] = how.size;
    // What cannot be written is said before anything is drawn.
    let mut film = VideoWriter::create(path, format)?;
    let mut studio = OffscreenRenderer::open(width, height)?;
    let screen = Screen {
        theme: how.theme,
        control: ControlSource::Video,
        ..Screen::default()
    };
    let goes_on = Cell::new(true);
    let episodes = clips.len();
    let stills = clips.iter_mut().zip(&counts).flat_map(|(shot, &count)| {
        let screen = screen.clone();
        (0..count).map(move |frame| shot.still(frame, how, &screen))
    });
    let (mut done, mut failed) = (0, None);
    studio.render_each(stills.take_while(|_| goes_on.get()), |pixels| {
        if !goes_on.get() {
            return;
        }
        failed = film.add(&pixels).err();
        done += 1;
        goes_on.set(failed.is_none());
        told(done, format.frames);
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    film.finish()?;
    Ok(VideoSummary {
        episodes,
        frames: done,
        secs: f64::from(done) / f64::from(how.fps),
    })
}

/// The control step that a place, in control steps, lies before or at, and how far it is from the
/// step before that.
fn place(steps: f64) -> (usize, f32) {
    // Less than any share of a step that can be seen: a frame at a step's end belongs to it.
    let slack = 1e-6;
    let step = (steps - slack).ceil().max(0.0);
    let share = if step > 0.0 {
        steps - (step - 1.0)
    } else {
        1.0
    };
    (step as usize, share.clamp(0.0, 1.0) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_lie_where_the_clock_says() {
        let close = |steps: f64, to: usize, near: f32| {
            let (step, share) = place(steps);
            assert_eq!(step, to);
            assert!((share - near).abs() < 1e-4, "{share} is not {near}");
        };
        // Three frames a step.
        let third = 1.0 / (30.0 * 0.1);
        close(0.0 * third, 0, 1.0);
        close(1.0 * third, 1, 1.0 / 3.0);
        close(3.0 * third, 1, 1.0);
        close(4.0 * third, 2, 1.0 / 3.0);
        close(300.0 * third, 100, 1.0);
        // One a step, and one in every other.
        close(7.0, 7, 1.0);
        close(14.0, 14, 1.0);
    }
}
