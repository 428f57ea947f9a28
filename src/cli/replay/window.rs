//! Recordings in a window.

use anyhow::bail;

use super::found::{Found, of_run};
use evenkeel::telemetry::Event;
use evenkeel::view::{self, Gradients, Mark, Replay, Screen, Theme, Twin, Volume};

/// Opens it, and stays until it is closed. A recording of a run is shown among its others, beside
/// the run's gradients.
pub(super) fn open(found: Found, episode: Option<u64>, theme: Theme) -> anyhow::Result<()> {
    let named = found.recordings[found.open].canonicalize();
    let mut paths = found.recordings.clone();
    let mut open = found.open;
    // One that is cut off is not among the run's.
    if let (Some(run), true) = (&found.run, found.is_one_file) {
        let all = of_run(run)?;
        let named = named.ok();
        let place = all
            .iter()
            .position(|path| path.canonicalize().ok() == named);
        if let Some(place) = place {
            (paths, open) = (all, place);
        }
    }
    let volumes = paths.iter().map(|path| Volume::open(path));
    let volumes = volumes.collect::<Result<Vec<Volume>, _>>()?;
    let logged = match (&found.run, &found.incident) {
        (Some(run), _) => Gradients::of_run(&run.events()?),
        // One that was taken from its run tells of its own steps.
        (None, Some(incident)) => {
            let steps = incident.steps.iter().cloned().map(Event::Step);
            Gradients::of_run(&steps.collect::<Vec<Event>>())
        }
        (None, None) => Gradients::default(),
    };
    let moment = volumes[open].training.as_ref();
    let gradients = match moment {
        Some(moment) if logged.steps.is_empty() => Gradients::of_moment(moment),
        _ => logged,
    };
    let marks = found.marks().iter().map(|mark| Mark {
        optimiser_step: mark.optimiser_step,
        volume: mark.recording,
        episode: mark.index,
        robot: mark.robot,
        step: mark.step,
        weight: mark.share as f32,
        text: mark.text.clone(),
    });
    let what = Replay {
        marks: marks.collect(),
        step: found.incident.as_ref().map(|incident| incident.step),
        volumes,
        gradients,
        open,
        episode,
    };
    let screen = Screen {
        theme,
        ..Screen::default()
    };
    Ok(view::replay(what, screen)?)
}

/// A run, for a film of two.
pub(super) fn twin(found: &Found) -> anyhow::Result<Twin> {
    let Some(run) = &found.run else {
        bail!(
            "{}: only runs are filmed side by side",
            found.recordings[found.open].display()
        );
    };
    let volumes = found.recordings.iter().map(|path| Volume::open(path));
    Ok(Twin {
        name: run.info()?.arm,
        volumes: volumes.collect::<Result<_, _>>()?,
        gradients: Gradients::of_run(&run.events()?),
    })
}
