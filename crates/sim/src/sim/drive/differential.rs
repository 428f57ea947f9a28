//! Differential drive: two driven wheels on one axle. Actions: forward speed and turn rate.

use super::action::{Action, speed_command};
use super::rate_limited_value::RateLimitedValue;
use super::twist::Twist;
use crate::scenario::DifferentialLimits;

/// The limits of the drive and the current motion of its wheels; see `DriveSpec::Differential`.
#[derive(Clone, Debug)]
pub(crate) struct Differential {
    limits: DifferentialLimits,
    speed: RateLimitedValue,
    turn_rate: RateLimitedValue,
}

impl Differential {
    pub(super) fn new(limits: DifferentialLimits) -> Self {
        Self {
            limits,
            speed: RateLimitedValue::default(),
            turn_rate: RateLimitedValue::default(),
        }
    }

    #[inline]
    pub(super) fn step_towards(&mut self, action: Option<Action>, dt_secs: f32) -> Twist {
        let limits = &self.limits;
        let [speed, turn_rate] = action.map_or([0.0; 2], |[forward, turn, _]| {
            let speed = speed_command(forward, limits.max_speed, limits.max_reverse_speed);
            [speed, turn * limits.max_turn_rate]
        });
        self.speed
            .step_towards(speed, limits.max_accel, limits.max_jerk, dt_secs);
        self.turn_rate.step_towards(
            turn_rate,
            limits.max_turn_accel,
            limits.max_turn_jerk,
            dt_secs,
        );
        self.twist()
    }

    pub(super) fn set_twist(&mut self, twist: Twist) {
        self.speed.set(twist.speed);
        self.turn_rate.set(twist.turn_rate);
    }

    #[inline]
    pub(super) fn twist(&self) -> Twist {
        Twist {
            speed: self.speed.value,
            side_speed: 0.0,
            turn_rate: self.turn_rate.value,
        }
    }

    #[inline]
    pub(super) fn observe(&self, out: &mut [f32]) {
        out[0] = self.speed.value / self.limits.max_speed;
        out[1] = self.turn_rate.value / self.limits.max_turn_rate;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DifferentialLimits = DifferentialLimits {
        max_speed: 1.0,
        max_reverse_speed: 0.25,
        max_turn_rate: 2.0,
        max_accel: 1.0,
        max_turn_accel: 4.0,
        max_jerk: f32::INFINITY,
        max_turn_jerk: f32::INFINITY,
    };

    #[test]
    fn actions_span_the_bounds() {
        for (action, speed, turn_rate) in [
            ([1.0, 1.0, 0.0], 1.0, 2.0),
            ([-1.0, -1.0, 0.0], -0.25, -2.0),
            ([0.0, 0.0, 0.0], 0.375, 0.0),
        ] {
            let mut drive = Differential::new(LIMITS);
            let twist = drive.step_towards(Some(action), 10.0);
            assert_eq!((twist.speed, twist.turn_rate), (speed, turn_rate));
        }
    }

    #[test]
    fn acceleration_is_bounded() {
        let mut drive = Differential::new(LIMITS);
        let twist = drive.step_towards(Some([1.0, -1.0, 0.0]), 0.1);
        assert_eq!((twist.speed, twist.turn_rate), (0.1, -0.4));
    }
}
