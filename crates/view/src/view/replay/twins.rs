//! A video of two training runs: what their robots did in the same iterations, side by side, with
//! the gradient norms so far below.

use std::path::Path;
use std::sync::Arc;

use super::gradient_strip::GradientStrip;
use super::gradients::GradientHistory;
use super::playback::Playback;
use super::recording_list::RecordingFile;
use super::video::{ProgressCallback, VideoClip, VideoOptions, VideoSummary, write_clips};
use crate::view::error::ViewError;
use crate::view::screen::EpisodeCounts;
use evenkeel_runs::recording::{RecordedEpisode, RecordingReader};

/// How long the end of an iteration's episode is shown, seconds of the video.
const HOLD_SECS: f64 = 0.35;
/// How long the end of the last episode is shown, seconds of the video.
const LAST_HOLD_SECS: f64 = 2.0;

/// One of two runs in a video.
#[derive(Clone, Debug)]
pub struct Twin {
    /// Name that is shown.
    pub name: String,
    /// Its recordings.
    pub recordings: Vec<RecordingFile>,
    /// Its gradient norms.
    pub gradients: GradientHistory,
}

/// Writes a video of two runs. For each iteration that either run recorded, it shows one episode of
/// environment 0 of each. Where a run has no recording of an iteration, it shows the one before.
///
/// # Errors
/// If a run has no recordings of its training, they cannot be read, there is no graphics driver, or
/// the video cannot be written.
pub fn write_twins_video(
    twins: &[Twin; 2],
    path: &Path,
    options: &VideoOptions,
    progress: &mut ProgressCallback,
) -> Result<VideoSummary, ViewError> {
    let [first_run, second_run] = twins.each_ref().map(training_recordings);
    let (first_run, second_run) = (first_run?, second_run?);
    let mut iterations: Vec<u64> = first_run
        .iter()
        .chain(&second_run)
        .map(|(number, _)| *number)
        .collect();
    iterations.sort_unstable();
    iterations.dedup();
    let gradients = twins
        .each_ref()
        .map(|twin| Arc::new(twin.gradients.clone()));
    let spans = || gradients.iter().filter_map(|history| history.span());
    let first_step = spans().map(|(first, _)| first).min();
    let last_step = spans().map(|(_, last)| last).max();
    let ranges = || gradients.iter().filter_map(|history| history.range());
    let low = ranges().map(|(low, _)| low).fold(f64::INFINITY, f64::min);
    let high = ranges().map(|(_, high)| high).fold(0.0, f64::max);
    let (low, high) = if low < high { (low, high) } else { (0.1, 10.0) };
    let mut clips = Vec::new();
    for iteration in iterations {
        let mut clip = VideoClip {
            playbacks: Vec::new(),
            strips: Vec::new(),
            hold_secs: HOLD_SECS,
        };
        let runs = twins.iter().zip([&first_run, &second_run]);
        for ((twin, recordings), gradients) in runs.zip(&gradients) {
            let so_far = recordings.partition_point(|(number, _)| *number <= iteration);
            let (_, recording) = recordings[so_far.max(1) - 1];
            let name = format!("{}, iteration {iteration}", twin.name);
            clip.playbacks
                .push((last_episode(recording, &name)?, EpisodeCounts::default()));
            clip.strips.push(GradientStrip {
                gradients: Arc::clone(gradients),
                at: recording.span().map_or(0, |(_, last)| last),
                span: (first_step.unwrap_or(0), last_step.unwrap_or(1)),
                range: (low, high),
            });
        }
        clips.push(clip);
    }
    if let Some(last) = clips.last_mut() {
        last.hold_secs = LAST_HOLD_SECS;
    }
    write_clips(clips, path, options, progress)
}

/// A run's recordings of environment 0 during training, `(iteration, recording)`, in order.
fn training_recordings(twin: &Twin) -> Result<Vec<(u64, &RecordingFile)>, ViewError> {
    let recordings = twin
        .recordings
        .iter()
        .filter(|recording| recording.is_of_training() && recording.header.env == 0);
    let mut recordings: Vec<(u64, &RecordingFile)> = recordings
        .filter_map(|recording| Some((recording.training.as_ref()?.iteration, recording)))
        .collect();
    recordings.sort_by_key(|(iteration, _)| *iteration);
    if recordings.is_empty() {
        let name = twin.name.clone();
        return Err(ViewError::NotRecorded { name });
    }
    Ok(recordings)
}

/// The last episode of a recording that ended, or if none did, the last one.
fn last_episode(recording: &RecordingFile, name: &str) -> Result<Playback, ViewError> {
    let mut reader = RecordingReader::open(&recording.path)?;
    let mut last: Option<RecordedEpisode> = None;
    while let Some(episode) = reader.next_episode()? {
        if episode.end.is_some() || last.as_ref().is_none_or(|last| last.end.is_none()) {
            last = Some(episode);
        }
    }
    let mut env = reader.environment()?;
    let episode = last.ok_or(ViewError::NoEpisode { number: 0 })?;
    Ok(Playback::new(
        episode,
        &mut env,
        name,
        recording.header.seed,
    ))
}
