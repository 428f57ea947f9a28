//! Where in an episode one is, and how time passes in it.

use super::playback::Playback;

/// How long an end is looked at before the next episode begins, seconds.
const END_PAUSE_SECS: f64 = 1.6;

/// A place in an episode, which moves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct PlaybackClock {
    /// Control steps since the episode began.
    at: f64,
    /// For how long the end has been looked at, seconds.
    end_shown_secs: f64,
}

impl PlaybackClock {
    /// Control steps since the episode began, with the part of the one that is under way.
    pub(super) fn at(&self) -> f64 {
        self.at
    }

    /// How much of the control step under way is over, 0 to 1.
    pub(super) fn share(&self) -> f32 {
        (1.0 - (self.at.ceil() - self.at)) as f32
    }

    /// Goes there.
    pub(super) fn seek(&mut self, step: f64) {
        self.at = step.max(0.0);
        self.end_shown_secs = 0.0;
    }

    /// Goes so many whole control steps on, or back.
    pub(super) fn step(&mut self, steps: f64) {
        if steps > 0.0 {
            self.seek(self.at.floor() + steps);
        } else if steps < 0.0 {
            self.seek(self.at.ceil() + steps);
        }
    }

    /// Lets time pass at a speed. Whether the episode is over and has been looked at comes back.
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

    /// Winds the reel to where it is, which is not beyond its end.
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
    fn single_steps_are_whole_ones() {
        let mut player = PlaybackClock::default();
        player.step(-1.0);
        assert_eq!((player.at(), player.share()), (0.0, 1.0));
        player.step(1.0);
        assert_eq!(player.at(), 1.0);
        player.seek(3.25);
        assert_eq!(player.share(), 0.25);
        player.step(1.0);
        assert_eq!(player.at(), 4.0);
        player.seek(3.25);
        player.step(-1.0);
        assert_eq!((player.at(), player.share()), (3.0, 1.0));
    }
}
