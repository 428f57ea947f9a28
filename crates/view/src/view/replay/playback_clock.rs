//! The time within a recorded episode, and how it advances.

use super::playback::Playback;

/// How long the end of an episode is shown before the next episode starts, seconds.
const END_PAUSE_SECS: f64 = 1.6;

/// A time within an episode.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PlaybackClock {
    /// Control steps since the start of the episode.
    at: f64,
    /// How long the end of the episode has been shown, seconds.
    end_shown_secs: f64,
}

impl PlaybackClock {
    /// Control steps since the start of the episode; a fraction is part of a step.
    pub(super) fn at(&self) -> f64 {
        self.at
    }

    /// The elapsed share of the current control step, above 0 up to 1.
    pub(super) fn interpolation(&self) -> f32 {
        (1.0 - (self.at.ceil() - self.at)) as f32
    }

    /// Goes to a time, control steps.
    pub(super) fn seek(&mut self, step: f64) {
        self.at = step.max(0.0);
        self.end_shown_secs = 0.0;
    }

    /// Goes `steps` control steps forward, or back if negative, to a whole step.
    pub(super) fn step(&mut self, steps: f64) {
        if steps > 0.0 {
            self.seek(self.at.floor() + steps);
        } else if steps < 0.0 {
            self.seek(self.at.ceil() + steps);
        }
    }

    /// Advances by `delta_secs` of real time at a speed, up to the end of the episode. Returns
    /// whether the end has been shown for [`END_PAUSE_SECS`].
    pub(super) fn play(&mut self, playback: &Playback, delta_secs: f64, speed: f64) -> bool {
        let length = playback.length() as f64;
        self.at += delta_secs * speed / playback.dt_secs();
        if self.at < length {
            return false;
        }
        self.at = length;
        self.end_shown_secs += delta_secs * speed.max(1.0);
        self.end_shown_secs >= END_PAUSE_SECS
    }

    /// Sets the playback to this time, at most its end.
    pub(super) fn apply_to(&mut self, playback: &mut Playback) {
        self.at = self.at.min(playback.length() as f64);
        playback.seek(self.at.ceil() as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::float_cmp, reason = "whole numbers")]
    fn steps_end_at_whole_control_steps() {
        let mut clock = PlaybackClock::default();
        clock.step(-1.0);
        assert_eq!((clock.at(), clock.interpolation()), (0.0, 1.0));
        clock.step(1.0);
        assert_eq!(clock.at(), 1.0);
        clock.seek(3.25);
        assert_eq!(clock.interpolation(), 0.25);
        clock.step(1.0);
        assert_eq!(clock.at(), 4.0);
        clock.seek(3.25);
        clock.step(-1.0);
        assert_eq!((clock.at(), clock.interpolation()), (3.0, 1.0));
    }
}
