//! Omnidirectional drive. Actions: forward speed, speed to the left, and turn rate.

use nalgebra::Vector2;

use super::action::Action;
use super::rate_limited_value::{RateLimitedValue, max_stoppable_rate};
use super::twist::Twist;
use crate::scenario::OmniLimits;

/// The limits of the drive and the current motion of its wheels; see `DriveSpec::Omni`.
#[derive(Clone, Debug)]
pub(crate) struct Omni {
    limits: OmniLimits,
    /// Forward and to the left, metres per second.
    velocity: Vector2<f32>,
    /// Metres per second squared. Used only if the jerk is bounded.
    acceleration: Vector2<f32>,
    turn_rate: RateLimitedValue,
}

impl Omni {
    pub(super) fn new(limits: OmniLimits) -> Self {
        Self {
            limits,
            velocity: Vector2::zeros(),
            acceleration: Vector2::zeros(),
            turn_rate: RateLimitedValue::default(),
        }
    }

    pub(super) fn step_towards(&mut self, action: Option<Action>, dt_secs: f32) -> Twist {
        let limits = &self.limits;
        let (velocity, turn_rate) = action.map_or((Vector2::zeros(), 0.0), |[x, y, turn]| {
            let direction = clamp_norm(Vector2::new(x, y), 1.0);
            (direction * limits.max_speed, turn * limits.max_turn_rate)
        });
        self.turn_rate.step_towards(
            turn_rate,
            limits.max_turn_accel,
            limits.max_turn_jerk,
            dt_secs,
        );
        let difference = velocity - self.velocity;
        if limits.max_jerk == f32::INFINITY {
            // All velocities between two that are within the bound are within it.
            self.velocity += clamp_norm(difference, limits.max_accel * dt_secs);
            return self.twist();
        }
        let rate = limits.max_accel.min(max_stoppable_rate(
            difference.norm(),
            limits.max_jerk,
            dt_secs,
        ));
        let target = clamp_norm(difference / dt_secs, rate);
        self.acceleration += clamp_norm(target - self.acceleration, limits.max_jerk * dt_secs);
        let next = self.velocity + self.acceleration * dt_secs;
        let bounded = clamp_norm(next, limits.max_speed);
        if bounded != next {
            self.acceleration = (bounded - self.velocity) / dt_secs;
        }
        self.velocity = bounded;
        self.twist()
    }

    pub(super) fn set_twist(&mut self, twist: Twist) {
        self.velocity = Vector2::new(twist.speed, twist.side_speed);
        self.acceleration = Vector2::zeros();
        self.turn_rate.set(twist.turn_rate);
    }

    pub(super) fn twist(&self) -> Twist {
        Twist {
            speed: self.velocity.x,
            side_speed: self.velocity.y,
            turn_rate: self.turn_rate.value,
        }
    }

    pub(super) fn observe(&self, out: &mut [f32]) {
        out[0] = self.velocity.x / self.limits.max_speed;
        out[1] = self.velocity.y / self.limits.max_speed;
        out[2] = self.turn_rate.value / self.limits.max_turn_rate;
    }
}

/// The vector, shortened to `max` if it is longer.
fn clamp_norm(vector: Vector2<f32>, max: f32) -> Vector2<f32> {
    let length = vector.norm();
    if length > max {
        vector * (max / length)
    } else {
        vector
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_speed_bound_is_the_same_in_every_direction() {
        let limits = OmniLimits {
            max_speed: 2.0,
            max_turn_rate: 1.0,
            max_accel: 1.0,
            max_turn_accel: 1.0,
            max_jerk: f32::INFINITY,
            max_turn_jerk: f32::INFINITY,
        };
        for (action, speed) in [
            ([1.0, 0.0, 0.0], 2.0),
            ([-1.0, 1.0, 0.0], 2.0),
            ([0.3, -0.4, 0.0], 1.0),
        ] {
            let mut drive = Omni::new(limits);
            let mut before = Vector2::zeros();
            for _ in 0..40 {
                drive.step_towards(Some(action), 0.1);
                assert!((drive.velocity - before).norm() < 0.1 + 1e-6);
                before = drive.velocity;
            }
            assert!((drive.velocity.norm() - speed).abs() < 1e-5, "{action:?}");
        }
    }
}
