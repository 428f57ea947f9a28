//! The bounds of a differential drive as a driver knows them, and the actions that ask it for a
//! motion. Drivers that steer by speed and turn rate do so through here alone.

use super::PlannerError;
use crate::scenario::Scenario;
use crate::scenario::spec::DriveSpec;

/// What a robot on two driven wheels can do. Where the scenario draws a bound anew for each
/// episode this is its upper end, by which actions are scaled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct DifferentialModel {
    /// Metres per second.
    pub(super) max_speed: f32,
    /// Metres per second, positive.
    pub(super) max_reverse: f32,
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
    /// The drive of a scenario's robot.
    ///
    /// # Errors
    /// If it is of another kind.
    pub(super) fn of(scenario: &Scenario, planner: &'static str) -> Result<Self, PlannerError> {
        let DriveSpec::Differential(drive) = &scenario.spec.robot[0].drive else {
            return Err(PlannerError::UnsupportedDrive {
                planner,
                scenario: scenario.name.clone(),
            });
        };
        Ok(Self {
            max_speed: drive.max_speed_mps.max() as f32,
            max_reverse: drive.max_reverse_mps.max() as f32,
            max_turn_rate: drive.max_turn_rate_radps.max() as f32,
            max_accel: drive.max_accel_mps2.max() as f32,
            max_turn_accel: drive.max_turn_accel_radps2.max() as f32,
            dt_secs: scenario.spec.task.control_step_secs as f32,
        })
    }

    /// The action that asks for this speed, metres per second, and turn rate, radians per second,
    /// or for as much of them as there is.
    pub(super) fn action(&self, speed: f32, turn_rate: f32) -> [f32; 2] {
        let span = self.max_speed + self.max_reverse;
        let forward = 2.0 * (speed + self.max_reverse) / span - 1.0;
        [forward, turn_rate / self.max_turn_rate].map(|entry| entry.clamp(-1.0, 1.0))
    }

    /// Metres that it takes to stop from a speed, if that is kept for one step more.
    pub(super) fn stopping_distance(&self, speed: f32) -> f32 {
        speed * self.dt_secs + speed * speed / (2.0 * self.max_accel)
    }

    /// The action that turns towards a bearing, radians, and drives at up to `speed` once it
    /// faces there.
    pub(super) fn turn_and_drive(&self, bearing: f32, speed: f32) -> [f32; 2] {
        // As much as can be turned in the next step, and brought to rest by the way left.
        let brake = (2.0 * self.max_turn_accel * bearing.abs()).sqrt() * 0.7;
        let turn_rate = (bearing.abs() / self.dt_secs).min(brake).copysign(bearing);
        self.action(speed, turn_rate)
    }
}
