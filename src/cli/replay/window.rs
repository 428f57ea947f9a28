//! Recordings in a window.

use anyhow::bail;

use super::target::{ReplayTarget, recordings_of_run};
use evenkeel::telemetry::Event;
use evenkeel::view::{
    self, GradientHistory, RecordingFile, ReplayOptions, Screen, Theme, TransitionMarker, Twin,
};

/// Opens it, and stays until it is closed. A recording of a run is shown among its others, beside
/// the run's gradients.
pub(super) fn open(target: ReplayTarget, episode: Option<u64>, theme: Theme) -> anyhow::Result<()> {
    let named = target.recordings[target.open].canonicalize();
    let mut paths = target.recordings.clone();
    let mut open = target.open;
    // One that is cut off is not among the run's.
    if let (Some(run), true) = (&target.run, target.is_one_file) {
        let all = recordings_of_run(run)?;
        let named = named.ok();
        let place = all
            .iter()
            .position(|path| path.canonicalize().ok() == named);
        if let Some(place) = place {
            (paths, open) = (all, place);
        }
    }
    let recordings = paths.iter().map(|path| RecordingFile::open(path));
    let recordings = recordings.collect::<Result<Vec<RecordingFile>, _>>()?;
    let logged = match (&target.run, &target.incident) {
        (Some(run), _) => GradientHistory::of_run(&run.events()?),
        // One that was taken from its run tells of its own steps.
        (None, Some(incident)) => {
            let steps = incident.steps.iter().cloned().map(Event::Step);
            GradientHistory::of_run(&steps.collect::<Vec<Event>>())
        }
        (None, None) => GradientHistory::default(),
    };
    let moment = recordings[open].training.as_ref();
    let gradients = match moment {
        Some(moment) if logged.steps.is_empty() => GradientHistory::of_moment(moment),
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
    let what = ReplayOptions {
        marks: marks.collect(),
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
    Ok(view::open_replay(what, screen)?)
}

/// A run, for a film of two.
pub(super) fn twin(target: &ReplayTarget) -> anyhow::Result<Twin> {
    let Some(run) = &target.run else {
        bail!(
            "{}: only runs are filmed side by side",
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
