//! Where a robot believes itself to be: the motion of its wheels added up, with the errors that
//! come of it.

use super::drive::Twist;
use super::lidar::SensorPose;
use crate::scenario::{EpisodeKey, OdometryParameters};
use crate::seed::{Purpose, Rng, normal};

/// The dead reckoning of one robot in one episode.
#[derive(Clone, Debug)]
pub(super) struct Odometry {
    numbers: OdometryParameters,
    rng: Rng,
    believed: SensorPose,
}

impl Odometry {
    /// Begins an episode with the pose known.
    pub(super) fn new(numbers: OdometryParameters, key: EpisodeKey, pose: SensorPose) -> Self {
        Self {
            numbers,
            rng: key.stream(Purpose::Odometry),
            believed: pose,
        }
    }

    /// Where the robot believes itself to be.
    pub(super) fn estimate(&self) -> SensorPose {
        self.believed
    }

    /// Adds what the wheels did for `dt_secs`.
    pub(super) fn integrate(&mut self, wheels: Twist, dt_secs: f32) {
        let numbers = &self.numbers;
        let (way, turn) = (wheels.norm() * dt_secs, wheels.turn_rate.abs() * dt_secs);
        let (a, b) = (normal(&mut self.rng), normal(&mut self.rng));
        let (distance_error, heading_error) = (
            a * numbers.distance_noise * way.sqrt(),
            b * (numbers.heading_noise_per_m * numbers.heading_noise_per_m * way
                + numbers.heading_noise_per_rad * numbers.heading_noise_per_rad * turn)
                .sqrt(),
        );
        let measured = if way > 0.0 {
            (numbers.distance_scale * way + distance_error) / way
        } else {
            1.0
        };
        let turned = numbers.turn_scale * wheels.turn_rate * dt_secs + heading_error;
        let felt = Twist {
            speed: wheels.speed * measured,
            side_speed: wheels.side_speed * measured,
            turn_rate: turned / dt_secs,
        };
        let SensorPose { x, y, cos, sin } = self.believed;
        let chord = felt.chord_velocity(nalgebra::Vector2::new(cos, sin), dt_secs) * dt_secs;
        let (turn_sin, turn_cos) = libm::sincosf(turned);
        let (cos, sin) = (
            cos * turn_cos - sin * turn_sin,
            sin * turn_cos + cos * turn_sin,
        );
        let length = (cos * cos + sin * sin).sqrt();
        self.believed = SensorPose {
            x: x + chord.x,
            y: y + chord.y,
            cos: cos / length,
            sin: sin / length,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::Split;

    const EXACT: OdometryParameters = OdometryParameters {
        distance_noise: 0.0,
        heading_noise_per_m: 0.0,
        heading_noise_per_rad: 0.0,
        distance_scale: 1.0,
        turn_scale: 1.0,
    };

    const START: SensorPose = SensorPose {
        x: 0.0,
        y: 0.0,
        cos: 1.0,
        sin: 0.0,
    };

    fn key(episode: u64) -> EpisodeKey {
        EpisodeKey {
            root: 4,
            split: Split::Train,
            env: 0,
            episode,
        }
    }

    #[test]
    fn exact_wheels_find_the_end_of_a_circle() {
        let mut odometry = Odometry::new(EXACT, key(0), START);
        let turn_rate = std::f32::consts::TAU / 10.0;
        let wheels = Twist {
            speed: turn_rate,
            turn_rate,
            ..Twist::default()
        };
        let mut farthest = 0.0_f32;
        for _ in 0..100 {
            odometry.integrate(wheels, 0.1);
            farthest = farthest.max(odometry.estimate().y);
        }
        let end = odometry.estimate();
        assert!(end.x.abs() < 1e-4 && end.y.abs() < 1e-4, "{end:?}");
        assert!((farthest - 2.0).abs() < 1e-3, "a circle of radius 1 m");
    }

    /// After d metres straight on the deviation of the distance is σ√d, that of the heading k√d,
    /// whatever the control step.
    #[test]
    fn errors_grow_with_the_root_of_the_way() {
        let numbers = OdometryParameters {
            distance_noise: 0.05,
            heading_noise_per_m: 0.02,
            ..EXACT
        };
        let wheels = Twist {
            speed: 1.0,
            ..Twist::default()
        };
        let square = |error: f32| f64::from(error) * f64::from(error);
        for (dt, steps) in [(0.1, 40), (0.4, 10)] {
            let (mut along, mut heading) = (0.0, 0.0);
            let runs = 4_000;
            for episode in 0..runs {
                let mut odometry = Odometry::new(numbers, key(episode), START);
                for _ in 0..steps {
                    odometry.integrate(wheels, dt);
                }
                let end = odometry.estimate();
                along += square(end.x - 4.0);
                heading += square(libm::atan2f(end.sin, end.cos));
            }
            let deviation = |sum: f64| (sum / runs as f64).sqrt();
            // √4 = 2 times as much; 4,000 runs tell a deviation to 1.1 %, four of which are 5 %.
            assert!((deviation(along) / 0.10 - 1.0).abs() < 0.05, "{dt} s");
            assert!((deviation(heading) / 0.04 - 1.0).abs() < 0.05, "{dt} s");
        }
    }

    #[test]
    fn a_wheel_that_is_not_calibrated_is_off_by_its_scale() {
        let numbers = OdometryParameters {
            distance_scale: 1.1,
            turn_scale: 0.5,
            ..EXACT
        };
        let mut odometry = Odometry::new(numbers, key(0), START);
        for turn_rate in [0.0, 1.0] {
            let wheels = Twist {
                speed: 1.0 - turn_rate,
                turn_rate,
                ..Twist::default()
            };
            odometry.integrate(wheels, 1.0);
        }
        let end = odometry.estimate();
        assert!((end.x - 1.1).abs() < 1e-6);
        assert!((libm::atan2f(end.sin, end.cos) - 0.5).abs() < 1e-6);
    }
}
