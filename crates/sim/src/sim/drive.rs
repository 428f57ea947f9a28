//! Drives: turn actions into motion within bounds. One kind per file, each a struct with its bounds
//! and the current motion of its wheels.

mod ackermann;
mod differential;
mod omni;
mod rate_limited_value;

use nalgebra::Vector2;

use crate::scenario::{DifferentialLimits, DriveLimits};

use ackermann::Ackermann;
use differential::Differential;
use omni::Omni;

/// Length of the longest action of any drive.
pub const MAX_ACTIONS: usize = 3;

/// An action, each entry in [-1, 1]. Entries that the drive does not have are ignored.
pub type Action = [f32; MAX_ACTIONS];

/// Velocity in the robot's frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Twist {
    /// Speed along the heading, metres per second, positive forwards.
    pub speed: f32,
    /// Speed to the left, metres per second.
    pub side_speed: f32,
    /// Radians per second, positive counter-clockwise.
    pub turn_rate: f32,
}

impl Twist {
    /// The constant velocity, world frame, metres per second, that reaches the end of the arc that
    /// this twist follows in `dt_secs` from the heading `heading`, a unit vector.
    #[inline]
    pub fn chord_velocity(self, heading: Vector2<f32>, dt_secs: f32) -> Vector2<f32> {
        let half_turn = 0.5 * self.turn_rate * dt_secs;
        let (sin, cos) = libm::sincosf(half_turn);
        let shortening = if half_turn.abs() < 1e-4 {
            1.0
        } else {
            sin / half_turn
        };
        let speed = self.speed * shortening;
        let ahead = Vector2::new(
            heading.x * cos - heading.y * sin,
            heading.y * cos + heading.x * sin,
        );
        if self.side_speed == 0.0 {
            return ahead * speed;
        }
        let left = Vector2::new(-ahead.y, ahead.x);
        ahead * speed + left * (self.side_speed * shortening)
    }

    /// Speed in any direction, metres per second.
    #[inline]
    pub fn norm(self) -> f32 {
        if self.side_speed == 0.0 {
            self.speed.abs()
        } else {
            Vector2::new(self.speed, self.side_speed).norm()
        }
    }
}

/// A drive and the current motion of its wheels.
#[derive(Clone, Debug)]
pub(crate) enum Drive {
    Differential(Differential),
    Omni(Omni),
    Ackermann(Ackermann),
}

impl Default for Drive {
    /// A drive that cannot move.
    fn default() -> Self {
        Self::Differential(Differential::new(DifferentialLimits::default()))
    }
}

/// Evaluates an expression for the drive in a variant.
macro_rules! each {
    ($drive:expr, $this:ident => $do:expr) => {
        match $drive {
            Drive::Differential($this) => $do,
            Drive::Omni($this) => $do,
            Drive::Ackermann($this) => $do,
        }
    };
}

impl Drive {
    /// A drive at rest.
    pub(crate) fn new(limits: &DriveLimits) -> Self {
        match *limits {
            DriveLimits::Differential(limits) => Self::Differential(Differential::new(limits)),
            DriveLimits::Omni(limits) => Self::Omni(Omni::new(limits)),
            DriveLimits::Ackermann(limits) => Self::Ackermann(Ackermann::new(limits)),
        }
    }

    /// Changes the motion of the wheels towards the action as far as the bounds allow in `dt_secs`,
    /// and returns it. Without an action the drive brakes. Entries outside [-1, 1] are clamped, and
    /// NaN counts as 0.
    #[inline]
    pub(crate) fn step_towards(&mut self, action: Option<Action>, dt_secs: f32) -> Twist {
        each!(self, drive => drive.step_towards(action, dt_secs))
    }

    /// Sets the motion to what remains after a contact.
    pub(crate) fn set_twist(&mut self, twist: Twist) {
        each!(self, drive => drive.set_twist(twist));
    }

    /// The motion of the wheels.
    pub(crate) fn twist(&self) -> Twist {
        each!(self, drive => drive.twist())
    }

    /// Writes the motion of the wheels, `[act]`, each number relative to its bound; see
    /// `ObservationBlock::Velocity`.
    #[inline]
    pub(crate) fn observe(&self, out: &mut [f32]) {
        each!(self, drive => drive.observe(out));
    }

    /// Whether the drive can move across its heading.
    #[inline]
    pub(crate) fn moves_sideways(&self) -> bool {
        matches!(self, Self::Omni(_))
    }
}

/// An entry of an action, clamped to [-1, 1]; NaN becomes 0.
#[inline]
pub(crate) fn clamp_entry(entry: f32) -> f32 {
    if entry.is_nan() {
        0.0
    } else {
        entry.clamp(-1.0, 1.0)
    }
}

/// The speed that an entry of an action commands, metres per second: -1 is full reverse, which is 0
/// for a drive that cannot reverse.
#[inline]
fn speed_command(entry: f32, max_speed: f32, max_reverse_speed: f32) -> f32 {
    let span = max_speed + max_reverse_speed;
    0.5 * (entry + 1.0) * span - max_reverse_speed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chord_ends_where_the_arc_ends() {
        // A quarter circle of radius 1 m in 1 s.
        let quarter = std::f32::consts::FRAC_PI_2;
        let twist = Twist {
            speed: quarter,
            turn_rate: quarter,
            ..Twist::default()
        };
        let end = twist.chord_velocity(Vector2::new(1.0, 0.0), 1.0);
        assert!((end - Vector2::new(1.0, 1.0)).norm() < 1e-5, "{end}");
        // The same arc, driven sideways.
        let twist = Twist {
            side_speed: -quarter,
            turn_rate: quarter,
            ..Twist::default()
        };
        let end = twist.chord_velocity(Vector2::new(0.0, 1.0), 1.0);
        assert!((end - Vector2::new(1.0, 1.0)).norm() < 1e-5, "{end}");
    }

    #[test]
    fn entries_are_clamped_and_nan_is_zero() {
        let entries = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 0.25];
        let clamped = [0.0_f32, 1.0, -1.0, -1.0, 0.25];
        assert_eq!(
            entries.map(|entry| clamp_entry(entry).to_bits()),
            clamped.map(f32::to_bits)
        );
    }
}
