//! Opens recordings in a window.

use anyhow::bail;

use super::target::ReplayTarget;
use evenkeel::recording::recordings_by_step;
use evenkeel::telemetry::Event;
use evenkeel::view::{
    self, GradientHistory, RecordingFile, ReplayOptions, Screen, Theme, TransitionMarker, Twin,
};

/// Opens the window and returns when it is closed. A single recording of a run is shown together
/// with the run's other recordings and gradients.
pub(super) fn open(target: ReplayTarget, episode: Option<u64>, theme: Theme) -> anyhow::Result<()> {
    let named = target.recordings[target.open].canonicalize();
    let mut paths = target.recordings.clone();
    let mut open = target.open;
    if let (Some(run), true) = (&target.run, target.is_one_file) {
        let (all, _) = recordings_by_step(run)?;
        let named = named.ok();
        let index = all
            .iter()
            .position(|path| path.canonicalize().ok() == named);
        // A truncated recording is not in the run's list, and is shown alone.
        if let Some(index) = index {
            (paths, open) = (all, index);
        }
    }
    let recordings = paths.iter().map(|path| RecordingFile::open(path));
    let recordings = recordings.collect::<Result<Vec<RecordingFile>, _>>()?;
    let logged = match (&target.run, &target.incident) {
        (Some(run), _) => GradientHistory::of_run(&run.events()?),
        // An incident outside its run has only the reports of its own optimiser steps.
        (None, Some(incident)) => {
            let steps = incident.steps.iter().cloned().map(Event::Step);
            GradientHistory::of_run(&steps.collect::<Vec<Event>>())
        }
        (None, None) => GradientHistory::default(),
    };
    let gradients = match &recordings[open].training {
        Some(training) if logged.steps.is_empty() => GradientHistory::of_iteration(training),
        _ => logged,
    };
    let marks = target.marks().iter().map(|mark| TransitionMarker {
        optimiser_step: mark.optimiser_step,
        recording: mark.recording,
        episode: mark.index,
        robot: mark.robot,
        step: mark.step,
        weight: mark.share as f32,
        text: mark.text.clone(),
    });
    let options = ReplayOptions {
        markers: marks.collect(),
        step: target.incident.as_ref().map(|incident| incident.step),
        recordings,
        gradients,
        open,
        episode,
    };
    let screen = Screen {
        theme,
        ..Screen::default()
    };
    Ok(view::open_replay(options, screen)?)
}

/// Reads the recordings and gradients of a run, for a video of two runs.
pub(super) fn twin(target: &ReplayTarget) -> anyhow::Result<Twin> {
    let Some(run) = &target.run else {
        bail!(
            "{}: only runs can be shown side by side in a video; name two runs",
            target.recordings[target.open].display()
        );
    };
    let recordings = target
        .recordings
        .iter()
        .map(|path| RecordingFile::open(path));
    Ok(Twin {
        name: run.info()?.arm,
        recordings: recordings.collect::<Result<_, _>>()?,
        gradients: GradientHistory::of_run(&run.events()?),
    })
}
