//! How fast simulated time runs beside the app's own.

use std::time::Duration;

use bevy::prelude::Resource;

/// Pause, speed and single steps, for every [`NavSim`](super::NavSim) of the app. It changes when
/// control steps are taken, never what comes of them.
#[derive(Clone, Debug, PartialEq, Resource)]
pub struct NavClock {
    /// Nothing moves but by [`Self::step_once`].
    pub paused: bool,
    /// Simulated seconds per second of the app's clock, 0 to [`Self::MAX_SPEED`].
    pub speed: f32,
    /// Control steps asked for one by one and not yet taken.
    pub pending_steps: u32,
}

impl Default for NavClock {
    fn default() -> Self {
        Self {
            paused: false,
            speed: 1.0,
            pending_steps: 0,
        }
    }
}

impl NavClock {
    /// The largest speed that is heeded.
    pub const MAX_SPEED: f32 = 1000.0;

    /// Asks for one control step, to be taken even while paused.
    pub fn step_once(&mut self) {
        self.pending_steps += 1;
    }

    /// Simulated time that passes in `delta` of the app's. Not a number counts as standing still.
    pub(super) fn sim_delta(&self, delta: Duration) -> Duration {
        let speed = if self.speed.is_nan() { 0.0 } else { self.speed };
        match speed {
            _ if self.paused => Duration::ZERO,
            // Exact, so that an app's clock and the simulated one never drift apart.
            1.0 => delta,
            speed => delta.mul_f32(speed.clamp(0.0, Self::MAX_SPEED)),
        }
    }

    /// Takes the single steps that are owed.
    pub(super) fn take_pending_steps(&mut self) -> u32 {
        std::mem::take(&mut self.pending_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lasts_as_long_as_the_speed_says() {
        let second = Duration::from_secs(1);
        let at = |speed, paused| NavClock {
            paused,
            speed,
            ..NavClock::default()
        };
        assert_eq!(at(1.0, false).sim_delta(second), second);
        assert_eq!(at(0.25, false).sim_delta(second), second / 4);
        assert_eq!(at(16.0, true).sim_delta(second), Duration::ZERO);
        for nonsense in [f32::NAN, -3.0, f32::NEG_INFINITY] {
            assert_eq!(at(nonsense, false).sim_delta(second), Duration::ZERO);
        }
        assert_eq!(at(f32::INFINITY, false).sim_delta(second), second * 1000);
    }
}
