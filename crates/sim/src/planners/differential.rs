//! The bounds of a differential drive, and the actions that command a speed and a turn rate.

use super::error::PlannerError;
use crate::scenario::Scenario;
use crate::scenario::spec::DriveSpec;

/// Bounds of a differential drive. If the scenario samples a bound for each episode, this is the
/// upper end of its range, by which actions are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DifferentialModel {
    /// Metres per second.
    pub(super) max_speed: f32,
    /// Metres per second, not negative.
    pub(super) max_reverse_speed: f32,
    /// Radians per second.
    pub(super) max_turn_rate: f32,
    /// Metres per second squared.
    pub(super) max_accel: f32,
    /// Radians per second squared.
    pub(super) max_turn_accel: f32,
    /// Time between two actions, seconds.
    pub(super) dt_secs: f32,
}

impl DifferentialModel {
    /// The drive of a scenario's robots, for the planner of a name.
    ///
    /// # Errors
    /// If the drive is not differential.
    pub(super) fn of(scenario: &Scenario, planner: &'static str) -> Result<Self, PlannerError> {
        let DriveSpec::Differential(drive) = &scenario.spec.robot[0].drive else {
            return Err(PlannerError::UnsupportedDrive {
                planner,
                scenario: scenario.name.clone(),
            });
        };
        Ok(Self {
            max_speed: drive.max_speed_mps.max() as f32,
            max_reverse_speed: drive.max_reverse_mps.max() as f32,
            max_turn_rate: drive.max_turn_rate_radps.max() as f32,
            max_accel: drive.max_accel_mps2.max() as f32,
            max_turn_accel: drive.max_turn_accel_radps2.max() as f32,
            dt_secs: scenario.spec.task.control_step_secs as f32,
        })
    }

    /// The action that commands a speed, metres per second, and a turn rate, radians per second,
    /// each clamped to its bounds.
    pub(super) fn action(&self, speed: f32, turn_rate: f32) -> [f32; 2] {
        let span = self.max_speed + self.max_reverse_speed;
        let forward = 2.0 * (speed + self.max_reverse_speed) / span - 1.0;
        [forward, turn_rate / self.max_turn_rate].map(|entry| entry.clamp(-1.0, 1.0))
    }

    /// Distance to stop from a speed that is kept for one more step, metres.
    pub(super) fn stopping_distance(&self, speed: f32) -> f32 {
        speed * self.dt_secs + speed * speed / (2.0 * self.max_accel)
    }

    /// The action that turns towards a bearing, radians, and drives at `speed`, metres per second.
    pub(super) fn turn_and_drive(&self, bearing: f32, speed: f32) -> [f32; 2] {
        // No faster than the bearing can be turned in one step, and than the turn can be stopped
        // from.
        let stoppable = (2.0 * self.max_turn_accel * bearing.abs()).sqrt() * 0.7;
        let turn_rate = (bearing.abs() / self.dt_secs)
            .min(stoppable)
            .copysign(bearing);
        self.action(speed, turn_rate)
    }
}
