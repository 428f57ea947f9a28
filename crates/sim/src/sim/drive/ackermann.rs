//! Ackermann steering as the kinematic bicycle: the rear wheel rolls along the heading and the
//! front wheel steers (Siciliano et al., Robotics, 2009, section 11.2). Actions: forward speed and
//! steering angle.

use super::action::{Action, speed_command};
use super::rate_limited_value::RateLimitedValue;
use super::twist::Twist;
use crate::scenario::AckermannLimits;

/// The limits of the drive and the current motion of its wheels; see `DriveSpec::Ackermann`.
#[derive(Clone, Debug)]
pub(crate) struct Ackermann {
    limits: AckermannLimits,
    speed: RateLimitedValue,
    /// Radians, positive to the left.
    steering: f32,
}

impl Ackermann {
    pub(super) fn new(limits: AckermannLimits) -> Self {
        Self {
            limits,
            speed: RateLimitedValue::default(),
            steering: 0.0,
        }
    }

    pub(super) fn step_towards(&mut self, action: Option<Action>, dt_secs: f32) -> Twist {
        let limits = &self.limits;
        let [speed, steering] = action.map_or([0.0, self.steering], |[forward, steering, _]| {
            let speed = speed_command(forward, limits.max_speed, limits.max_reverse_speed);
            [speed, steering * limits.max_steering]
        });
        self.speed
            .step_towards(speed, limits.max_accel, limits.max_jerk, dt_secs);
        let max_change = limits.max_steering_rate * dt_secs;
        self.steering += (steering - self.steering).clamp(-max_change, max_change);
        self.twist()
    }

    pub(super) fn set_twist(&mut self, twist: Twist) {
        self.speed.set(twist.speed);
    }

    pub(super) fn twist(&self) -> Twist {
        let curvature = libm::tanf(self.steering) / self.limits.wheelbase;
        Twist {
            speed: self.speed.value,
            side_speed: 0.0,
            turn_rate: self.speed.value * curvature,
        }
    }

    pub(super) fn observe(&self, out: &mut [f32]) {
        out[0] = self.speed.value / self.limits.max_speed;
        out[1] = self.steering / self.limits.max_steering;
    }
}
