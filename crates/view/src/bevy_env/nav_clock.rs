//! Speed of simulated time relative to the app's clock.

use std::time::Duration;

use bevy::prelude::Resource;

/// Pause, speed and single steps of every [`NavSim`](super::NavSim) of the app. It changes when
/// control steps are made, never their results.
#[derive(Clone, Debug, PartialEq, Resource)]
pub struct NavClock {
    /// Whether only [`Self::step_once`] makes control steps.
    pub paused: bool,
    /// Simulated seconds per second of the app's clock, 0 to [`Self::MAX_SPEED`].
    pub speed: f32,
    /// Requested single steps that have not been made.
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
    /// The largest speed; higher speeds count as this.
    pub const MAX_SPEED: f32 = 1000.0;

    /// Requests one control step, which is made even while paused.
    pub fn step_once(&mut self) {
        self.pending_steps += 1;
    }

    /// Simulated time that passes in `delta` of the app's time. A speed of NaN counts as 0.
    pub(super) fn sim_delta(&self, delta: Duration) -> Duration {
        let speed = if self.speed.is_nan() { 0.0 } else { self.speed };
        match speed {
            _ if self.paused => Duration::ZERO,
            // Exact, so that the two clocks do not drift apart.
            1.0 => delta,
            speed => delta.mul_f32(speed.clamp(0.0, Self::MAX_SPEED)),
        }
    }

    /// Takes the requested single steps.
    pub(super) fn take_pending_steps(&mut self) -> u32 {
        std::mem::take(&mut self.pending_steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simulated_time_scales_with_the_speed() {
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
