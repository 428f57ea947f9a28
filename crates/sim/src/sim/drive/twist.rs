//! The motion of a robot in its own frame.

use nalgebra::Vector2;

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
}
