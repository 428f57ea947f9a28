//! Two runs as one film: what their robots did in the same iterations of training, side by side,
//! with the gradients so far underneath.

use std::path::Path;
use std::sync::Arc;

use super::gradient_strip::GradientStrip;
use super::gradients::GradientHistory;
use super::playback::Playback;
use super::recording_list::RecordingFile;
use super::video::{ProgressCallback, VideoClip, VideoOptions, VideoSummary, write_clips};
use crate::view::{EpisodeCounts, ViewError};
use evenkeel_runs::recording::{RecordedEpisode, RecordingReader};

/// For how long the end of an iteration stands still, seconds of the film, and the last one.
const HOLD_SECS: f64 = 0.35;
const LAST_SECS: f64 = 2.0;

/// A run, as far as a film is made of it.
#[derive(Clone, Debug)]
pub struct Twin {
    /// What it is called.
    pub name: String,
    /// Its recordings.
    pub recordings: Vec<RecordingFile>,
    /// What it logged of its gradients.
    pub gradients: GradientHistory,
}

/// Films two runs into a file: of each iteration that was recorded of either, one episode that
/// environment 0 lived. A run that has ended shows its last to the end.
///
/// # Errors
/// If one of them has no recordings of training, they cannot be read, nothing here draws, or the
/// film cannot be written.
pub fn write_twins_video(
    twins: &[Twin; 2],
    path: &Path,
    how: &VideoOptions,
    told: &mut ProgressCallback,
) -> Result<VideoSummary, ViewError> {
    let [one, other] = twins.each_ref().map(of_training);
    let (one, other) = (one?, other?);
    let mut iterations: Vec<u64> = one
        .iter()
        .chain(&other)
        .map(|(number, _)| *number)
        .collect();
    iterations.sort_unstable();
    iterations.dedup();
    let gradients = twins
        .each_ref()
        .map(|twin| Arc::new(twin.gradients.clone()));
    let both = || gradients.iter();
    let first = both()
        .filter_map(|all| all.span())
        .map(|(first, _)| first)
        .min();
    let last = both()
        .filter_map(|all| all.span())
        .map(|(_, last)| last)
        .max();
    let ranges = || both().filter_map(|all| all.range());
    let low = ranges().map(|(low, _)| low).fold(f64::INFINITY, f64::min);
    let high = ranges().map(|(_, high)| high).fold(0.0, f64::max);
    let (low, high) = if low < high { (low, high) } else { (0.1, 10.0) };
    let mut clips = Vec::new();
    for iteration in iterations {
        let mut shot = VideoClip {
            playbacks: Vec::new(),
            strips: Vec::new(),
            hold_secs: HOLD_SECS,
        };
        for ((twin, recordings), gradients) in twins.iter().zip([&one, &other]).zip(&gradients) {
            let so_far = recordings.partition_point(|(number, _)| *number <= iteration);
            let (_, recording) = recordings[so_far.max(1) - 1];
            let name = format!("{}, iteration {iteration}", twin.name);
            shot.playbacks
                .push((last_episode(recording, &name)?, EpisodeCounts::default()));
            shot.strips.push(GradientStrip {
                gradients: Arc::clone(gradients),
                at: recording.span().map_or(0, |(_, last)| last),
                span: (first.unwrap_or(0), last.unwrap_or(1)),
                range: (low, high),
            });
        }
        clips.push(shot);
    }
    if let Some(last) = clips.last_mut() {
        last.hold_secs = LAST_SECS;
    }
    write_clips(clips, path, how, told)
}

/// The recordings of training, each with its iteration, in order.
fn of_training(twin: &Twin) -> Result<Vec<(u64, &RecordingFile)>, ViewError> {
    let of = |recording: &'_ RecordingFile| recording.is_of_training() && recording.about.env == 0;
    let recordings = twin.recordings.iter().filter(|recording| of(recording));
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

/// What the environment lived: the last episode that has an end, or else the last.
fn last_episode(recording: &RecordingFile, name: &str) -> Result<Playback, ViewError> {
    let mut reader = RecordingReader::open(&recording.path)?;
    let mut found: Option<RecordedEpisode> = None;
    while let Some(episode) = reader.next_episode()? {
        if episode.end.is_some() || found.as_ref().is_none_or(|found| found.end.is_none()) {
            found = Some(episode);
        }
    }
    let mut env = reader.environment()?;
    let none = ViewError::NoEpisode { number: 0 };
    let episode = found.ok_or(none)?;
    Ok(Playback::new(episode, &mut env, name, recording.about.seed))
}
