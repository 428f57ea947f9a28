//! Drives: actions become motion within a drive's bounds. One kind a file, each a struct that
//! holds its bounds and what its wheels do.

mod ackermann;
mod differential;
mod omni;
mod rate_limiter;

use nalgebra::Vector2;

use crate::scenario::{DifferentialLimits, DriveLimits};

use ackermann::Ackermann;
use differential::Differential;
use omni::Omni;

/// Most actions that a drive has.
pub const MAX_ACTIONS: usize = 3;

/// An action, each entry in [-1, 1]; entries beyond those of the drive are not looked at.
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
    /// The straight velocity that carries the robot to the end of the arc that this twist
    /// drives in `dt_secs`, starting along the unit vector `heading`.
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

    /// Metres per second in whatever direction.
    #[inline]
    pub fn norm(self) -> f32 {
        if self.side_speed == 0.0 {
            self.speed.abs()
        } else {
            Vector2::new(self.speed, self.side_speed).norm()
        }
    }
}

/// A drive, and what its wheels do.
#[derive(Clone, Debug)]
pub(crate) enum Drive {
    Differential(Differential),
    Omni(Omni),
    Ackermann(Ackermann),
}

impl Default for Drive {
    /// A drive that goes nowhere.
    fn default() -> Self {
        Self::Differential(Differential::new(DifferentialLimits::default()))
    }
}

/// Does the same with whichever drive it is.
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
    /// A drive that stands still.
    pub(crate) fn new(limits: &DriveLimits) -> Self {
        match *limits {
            DriveLimits::Differential(limits) => Self::Differential(Differential::new(limits)),
            DriveLimits::Omni(limits) => Self::Omni(Omni::new(limits)),
            DriveLimits::Ackermann(limits) => Self::Ackermann(Ackermann::new(limits)),
        }
    }

    /// Goes as near to what the action asks for as the bounds let it in `dt_secs`, and tells what
    /// the wheels do then. Without an action it brakes. Entries beyond [-1, 1] are clamped, and
    /// NaN counts as 0.
    #[inline]
    pub(crate) fn step_towards(&mut self, action: Option<Action>, dt_secs: f32) -> Twist {
        each!(self, drive => drive.step_towards(action, dt_secs))
    }

    /// Takes over what a contact has left of the motion.
    pub(crate) fn set_twist(&mut self, twist: Twist) {
        each!(self, drive => drive.set_twist(twist));
    }

    /// What the wheels do.
    pub(crate) fn twist(&self) -> Twist {
        each!(self, drive => drive.twist())
    }

    /// Writes what the wheels do, each number over its bound; see `ObservationBlock::Velocity`.
    #[inline]
    pub(crate) fn observe(&self, out: &mut [f32]) {
        each!(self, drive => drive.observe(out));
    }

    /// Whether it moves across its heading of its own will.
    #[inline]
    pub(crate) fn moves_sideways(&self) -> bool {
        matches!(self, Self::Omni(_))
    }
}

/// An entry of an action within its bounds.
#[inline]
pub(crate) fn clamp_entry(entry: f32) -> f32 {
    if entry.is_nan() {
        0.0
    } else {
        entry.clamp(-1.0, 1.0)
    }
}

/// The speed that an entry of an action asks for: -1 is full reverse, or standing still for a
/// drive without one.
#[inline]
fn speed_command(entry: f32, max_speed: f32, max_reverse: f32) -> f32 {
    let span = max_speed + max_reverse;
    0.5 * (entry + 1.0) * span - max_reverse
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
        // The same one sideways.
        let twist = Twist {
            side_speed: -quarter,
            turn_rate: quarter,
            ..Twist::default()
        };
        let end = twist.chord_velocity(Vector2::new(0.0, 1.0), 1.0);
        assert!((end - Vector2::new(1.0, 1.0)).norm() < 1e-5, "{end}");
    }

    #[test]
    fn entries_are_clamped_and_nan_is_nothing() {
        let wild = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -3.0, 0.25];
        let tame = [0.0_f32, 1.0, -1.0, -1.0, 0.25];
        assert_eq!(
            wild.map(|entry| clamp_entry(entry).to_bits()),
            tame.map(f32::to_bits)
        );
    }
}
