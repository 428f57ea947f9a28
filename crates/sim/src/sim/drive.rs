//! Drives: turn actions into motion within bounds. One kind per file, each a struct with its bounds
//! and the current motion of its wheels.

mod ackermann;
mod action;
mod differential;
mod omni;
mod rate_limited_value;
mod twist;

use crate::scenario::{DifferentialLimits, DriveLimits};
use ackermann::Ackermann;
use differential::Differential;
use omni::Omni;

pub use action::{Action, MAX_ACTIONS};
pub use twist::Twist;

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
    /// and returns it. Without an action the drive brakes.
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
