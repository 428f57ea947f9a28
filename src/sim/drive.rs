//! Differential drive: actions become speeds within the drive's bounds.

use nalgebra::Vector2;

use crate::scenario::DifferentialLimits;

/// Number of actions of a differential drive: forward speed and turn rate.
pub const ACTIONS: usize = 2;

/// Speed along the heading and turn rate.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Twist {
    /// Metres per second, positive forwards.
    pub speed: f32,
    /// Radians per second, positive counter-clockwise.
    pub turn_rate: f32,
}

impl Twist {
    /// What an action in [-1, 1]² asks for: `-1` is full reverse (or standing still for a drive
    /// without one) and full turn clockwise. Beyond the bounds it is clamped; NaN counts as 0.
    pub fn from_action(action: [f32; ACTIONS], limits: &DifferentialLimits) -> Self {
        let [forward, turn] = action.map(|a| if a.is_nan() { 0.0 } else { a.clamp(-1.0, 1.0) });
        let span = limits.max_speed + limits.max_reverse;
        Self {
            speed: 0.5 * (forward + 1.0) * span - limits.max_reverse,
            turn_rate: turn * limits.max_turn_rate,
        }
    }

    /// The action that asks for this; the inverse of [`Twist::from_action`] within the bounds.
    pub fn to_action(self, limits: &DifferentialLimits) -> [f32; ACTIONS] {
        let span = limits.max_speed + limits.max_reverse;
        [
            (2.0 * (self.speed + limits.max_reverse) / span - 1.0).clamp(-1.0, 1.0),
            (self.turn_rate / limits.max_turn_rate).clamp(-1.0, 1.0),
        ]
    }

    /// The twist as near to `target` as the drive gets in `dt_secs`.
    #[must_use]
    pub fn towards(self, target: Self, limits: &DifferentialLimits, dt_secs: f32) -> Self {
        let speed_change = limits.max_accel * dt_secs;
        let turn_change = limits.max_turn_accel * dt_secs;
        Self {
            speed: self.speed + (target.speed - self.speed).clamp(-speed_change, speed_change),
            turn_rate: self.turn_rate
                + (target.turn_rate - self.turn_rate).clamp(-turn_change, turn_change),
        }
    }

    /// The straight velocity that carries the robot to the end of the arc that this twist
    /// drives in `dt_secs`, starting along the unit vector `heading`.
    pub fn chord_velocity(self, heading: Vector2<f32>, dt_secs: f32) -> Vector2<f32> {
        let half_turn = 0.5 * self.turn_rate * dt_secs;
        let (sin, cos) = libm::sincosf(half_turn);
        let shortening = if half_turn.abs() < 1e-4 {
            1.0
        } else {
            sin / half_turn
        };
        let speed = self.speed * shortening;
        Vector2::new(
            heading.x * cos - heading.y * sin,
            heading.y * cos + heading.x * sin,
        ) * speed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DifferentialLimits = DifferentialLimits {
        max_speed: 1.0,
        max_reverse: 0.25,
        max_turn_rate: 2.0,
        max_accel: 1.0,
        max_turn_accel: 4.0,
    };

    #[test]
    fn actions_span_the_bounds_and_come_back() {
        let full = Twist::from_action([1.0, 1.0], &LIMITS);
        assert_eq!(
            full,
            Twist {
                speed: 1.0,
                turn_rate: 2.0
            }
        );
        let back = Twist::from_action([-7.0, f32::NEG_INFINITY], &LIMITS);
        assert_eq!(
            back,
            Twist {
                speed: -0.25,
                turn_rate: -2.0
            }
        );
        let nan = Twist::from_action([f32::NAN, f32::NAN], &LIMITS);
        assert_eq!(
            nan,
            Twist {
                speed: 0.375,
                turn_rate: 0.0
            }
        );
        let [forward, turn] = Twist::from_action([0.3, -0.6], &LIMITS).to_action(&LIMITS);
        assert!((forward - 0.3).abs() < 1e-6 && (turn + 0.6).abs() < 1e-6);
    }

    #[test]
    fn acceleration_is_bounded() {
        let next = Twist::default().towards(
            Twist {
                speed: 1.0,
                turn_rate: -2.0,
            },
            &LIMITS,
            0.1,
        );
        assert_eq!(
            next,
            Twist {
                speed: 0.1,
                turn_rate: -0.4
            }
        );
    }

    #[test]
    fn the_chord_ends_where_the_arc_ends() {
        // A quarter circle of radius 1 m in 1 s.
        let quarter = std::f32::consts::FRAC_PI_2;
        let twist = Twist {
            speed: quarter,
            turn_rate: quarter,
        };
        let end = twist.chord_velocity(Vector2::new(1.0, 0.0), 1.0);
        assert!((end - Vector2::new(1.0, 1.0)).norm() < 1e-5, "{end}");
    }
}
