//! A recording as a film: the recorded frames, drawn without a window and without a display.

use std::cell::{Cell, RefCell};
use std::path::Path;

use super::reel::Reel;
use crate::record::Reader;
use crate::view::{Film, FilmFormat, Screen, Still, Studio, Tally, Theme, ViewError, Wheel};

/// For how long the end of an episode stands still, seconds.
const HOLD_SECS: f64 = 1.0;

/// How a recording is filmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shooting {
    /// Width and height, pixels.
    pub size: [u32; 2],
    /// Frames a second.
    pub fps: u32,
    /// Light or dark.
    pub theme: Theme,
    /// Number of the only episode that is filmed; without, all are.
    pub episode: Option<u64>,
}

/// A film that was made.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Filmed {
    /// Episodes in it.
    pub episodes: usize,
    /// Frames in it.
    pub frames: u32,
    /// How long it is, seconds.
    pub secs: f64,
}

/// Films a recording into a file, at the speed of the clock. `told` hears how many frames are done
/// of how many, and says whether to go on; a film that is not gone on with is not there.
///
/// # Errors
/// If the recording cannot be read, nothing here draws, or the film cannot be written.
pub fn film(
    reader: &mut Reader,
    path: &Path,
    how: &Shooting,
    told: &mut dyn FnMut(u32, u32) -> bool,
) -> Result<Option<Filmed>, ViewError> {
    let policy = reader.about().policy.clone().unwrap_or_default().name;
    let seed = reader.about().seed;
    let mut env = reader.environment()?;
    let mut reels = Vec::new();
    while let Some(episode) = reader.next_episode()? {
        if how.episode.is_none_or(|only| only == episode.begin.episode) {
            reels.push(Reel::new(episode, &mut env, &policy, seed));
        }
    }
    if let (Some(number), true) = (how.episode, reels.is_empty()) {
        return Err(ViewError::NoEpisode { number });
    }
    let counts: Vec<u32> = reels.iter().map(|reel| frames(reel, how.fps)).collect();
    let format = FilmFormat {
        size: how.size,
        fps: how.fps,
        frames: counts.iter().sum(),
    };
    let [width, height] = how.size;
    // What cannot be written is said before anything is drawn.
    let film = RefCell::new(Film::create(path, format)?);
    let mut studio = Studio::open(width, height)?;
    let screen = Screen {
        theme: how.theme,
        wheel: Wheel::Recording,
        ..Screen::default()
    };
    let goes_on = Cell::new(true);
    let episodes = reels.len();
    let mut tally = Tally::default();
    let stills = reels.iter_mut().zip(&counts).flat_map(|(reel, &count)| {
        let before = tally;
        tally.episodes += 1;
        tally.goals += u32::from(reel.outcome() == Some(crate::env::Outcome::Goal));
        let screen = screen.clone();
        (0..count).map(move |frame| still(reel, frame, how.fps, &screen, before))
    });
    let (mut done, mut failed) = (0, None);
    studio.film(stills.take_while(|_| goes_on.get()), |pixels| {
        if !goes_on.get() {
            return;
        }
        failed = film.borrow_mut().add(&pixels).err();
        done += 1;
        goes_on.set(failed.is_none() && told(done, format.frames));
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    if done < format.frames {
        return Ok(None);
    }
    film.into_inner().finish()?;
    Ok(Some(Filmed {
        episodes,
        frames: done,
        secs: f64::from(done) / f64::from(how.fps),
    }))
}

/// Frames of an episode: from its beginning to its end, which is held.
fn frames(reel: &Reel, fps: u32) -> u32 {
    let secs = reel.length() as f64 * reel.dt_secs() + HOLD_SECS;
    (secs * f64::from(fps)).round() as u32 + 1
}

/// One of them.
fn still(reel: &mut Reel, frame: u32, fps: u32, screen: &Screen, tally: Tally) -> Still {
    let (step, share) = place(frame, fps, reel.dt_secs());
    let ended = step > reel.length();
    reel.seek(step);
    Still {
        screen: screen.clone(),
        pictures: vec![(reel.picture().clone(), tally)],
        share: if ended { 1.0 } else { share },
    }
}

/// The control step that a frame lies before or at, and how far it is from the one before that.
fn place(frame: u32, fps: u32, dt_secs: f64) -> (usize, f32) {
    // Less than any share of a step that can be seen: a frame at a step's end belongs to it.
    let slack = 1e-6;
    let steps = f64::from(frame) / (f64::from(fps) * dt_secs);
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
        // Three frames a step, then one a step, then one in every other.
        let close = |(step, share): (usize, f32), (to, near): (usize, f32)| {
            assert_eq!(step, to);
            assert!((share - near).abs() < 1e-4, "{share} is not {near}");
        };
        close(place(0, 30, 0.1), (0, 1.0));
        close(place(1, 30, 0.1), (1, 1.0 / 3.0));
        close(place(3, 30, 0.1), (1, 1.0));
        close(place(4, 30, 0.1), (2, 1.0 / 3.0));
        close(place(300, 30, 0.1), (100, 1.0));
        close(place(7, 10, 0.1), (7, 1.0));
        close(place(7, 5, 0.1), (14, 1.0));
    }
}
