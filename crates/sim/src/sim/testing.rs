//! A robot for the tests of this module.

use nalgebra::Point2;

use crate::scenario::{
    ActuationParameters, DifferentialLimits, DriveLimits, LidarParameters, RobotParameters,
};

/// A round robot that heads along +x.
pub(crate) fn robot_at(start: Point2<f32>) -> RobotParameters {
    RobotParameters {
        start,
        heading_rad: 0.0,
        goal: start,
        goal_radius: 0.3,
        radius: 0.2,
        passage_radius: 0.2,
        footprint: None,
        mass_kg: 10.0,
        drive: DriveLimits::Differential(DifferentialLimits {
            max_speed: 1.0,
            max_reverse_speed: 0.0,
            max_turn_rate: 2.0,
            max_accel: 1.0,
            max_turn_accel: 4.0,
            max_jerk: f32::INFINITY,
            max_turn_jerk: f32::INFINITY,
        }),
        actuation: ActuationParameters::default(),
        lidar: LidarParameters {
            range: 5.0,
            ..LidarParameters::default()
        },
        odometry: None,
    }
}
