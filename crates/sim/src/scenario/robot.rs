//! The parameters of one robot in one episode, and how they are drawn from the ranges of a scenario
//! file.

use nalgebra::{Point2, Vector2};

use super::spec::{DriveSpec, FootprintSpec, LidarSpec, OdometrySpec, RobotSpec};
use super::{Footprint, Quantity};
use crate::seed::Rng;

/// A parameter that was drawn from a range of the scenario file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampledParameter {
    /// Its key in the scenario file, from the root: `robot.mass_kg`.
    pub name: &'static str,
    /// The drawn value.
    pub value: f32,
}

/// The parameters of one robot in one episode: start and goal, and its physical parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RobotParameters {
    /// Start position of its origin, metres.
    pub start: Point2<f32>,
    /// Start heading, radians.
    pub heading_rad: f32,
    /// Goal position, metres.
    pub goal: Point2<f32>,
    /// The goal is reached within this distance, metres.
    pub goal_radius: f32,
    /// Radius of the circle around its origin that contains its footprint, metres.
    pub radius: f32,
    /// Kilograms.
    pub mass_kg: f32,
    /// Limits of its drive.
    pub drive: DriveLimits,
    /// Delay and slip between actions and motion.
    pub actuation: ActuationParameters,
    /// Mount, range and errors of its lidar.
    pub lidar: LidarParameters,
    /// Its odometry errors. `None` if it knows its position exactly.
    pub odometry: Option<OdometryParameters>,
    /// Radius of the disc around the robot's origin for which the layout is guaranteed to have a path
    /// to the goal, and for which path lengths are measured, metres. The radius, unless the scenario
    /// gives another.
    pub passage_radius: f32,
    /// Its footprint. `None` for a disc.
    pub footprint: Option<Footprint>,
}

/// Limits of a drive. The limit of the jerk is infinite if the scenario gives none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DriveLimits {
    /// See `DifferentialSpec`.
    Differential(DifferentialLimits),
    /// See `OmniSpec`.
    Omni(OmniLimits),
    /// See `AckermannSpec`.
    Ackermann(AckermannLimits),
}

impl DriveLimits {
    /// Largest forward speed, metres per second: how fast the robot drives to its goal.
    pub fn max_forward_speed(&self) -> f32 {
        match self {
            Self::Differential(limits) => limits.max_speed,
            Self::Omni(limits) => limits.max_speed,
            Self::Ackermann(limits) => limits.max_speed,
        }
    }

    /// Largest turn rate, radians per second.
    pub fn max_turn_rate(&self) -> f32 {
        match self {
            Self::Differential(limits) => limits.max_turn_rate,
            Self::Omni(limits) => limits.max_turn_rate,
            Self::Ackermann(limits) => {
                self.max_speed_any_direction() * libm::tanf(limits.max_steering) / limits.wheelbase
            }
        }
    }

    /// Largest speed in any direction, backwards included, metres per second: more than
    /// [`Self::max_forward_speed`] if the robot reverses faster than it drives forwards.
    pub fn max_speed_any_direction(&self) -> f32 {
        match self {
            Self::Differential(limits) => limits.max_speed.max(limits.max_reverse_speed),
            Self::Omni(limits) => limits.max_speed,
            Self::Ackermann(limits) => limits.max_speed.max(limits.max_reverse_speed),
        }
    }
}

/// Limits of a differential drive; see `DifferentialSpec`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DifferentialLimits {
    /// Largest forward speed, metres per second.
    pub max_speed: f32,
    /// Largest speed backwards, metres per second, not negative.
    pub max_reverse_speed: f32,
    /// Largest turn rate either way, radians per second.
    pub max_turn_rate: f32,
    /// Largest acceleration, also of braking, metres per second squared.
    pub max_accel: f32,
    /// Largest change of the turn rate, radians per second squared.
    pub max_turn_accel: f32,
    /// Largest change of the acceleration, metres per second cubed; may be infinite.
    pub max_jerk: f32,
    /// Largest change of the angular acceleration, radians per second cubed; may be infinite.
    pub max_turn_jerk: f32,
}

/// Limits of an omnidirectional drive; see `OmniSpec`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OmniLimits {
    /// Largest speed in any direction, metres per second.
    pub max_speed: f32,
    /// Largest turn rate either way, radians per second.
    pub max_turn_rate: f32,
    /// Largest acceleration, also of braking, metres per second squared.
    pub max_accel: f32,
    /// Largest change of the turn rate, radians per second squared.
    pub max_turn_accel: f32,
    /// Largest change of the acceleration, metres per second cubed; may be infinite.
    pub max_jerk: f32,
    /// Largest change of the angular acceleration, radians per second cubed; may be infinite.
    pub max_turn_jerk: f32,
}

/// Limits of a car's drive; see `AckermannSpec`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AckermannLimits {
    /// Distance between the axles, metres.
    pub wheelbase: f32,
    /// Largest steering angle either way, radians.
    pub max_steering: f32,
    /// Largest change of the steering angle, radians per second.
    pub max_steering_rate: f32,
    /// Largest forward speed, metres per second.
    pub max_speed: f32,
    /// Largest speed backwards, metres per second, not negative.
    pub max_reverse_speed: f32,
    /// Largest acceleration, also of braking, metres per second squared.
    pub max_accel: f32,
    /// Largest change of the acceleration, metres per second cubed; may be infinite.
    pub max_jerk: f32,
}

/// Delay and slip between a robot's actions and its motion; see `ActuationSpec`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ActuationParameters {
    /// Time until an action takes effect, seconds.
    pub delay_secs: f32,
    /// Mean share of the motion that is lost.
    pub slip: f32,
    /// Standard deviation of that share.
    pub slip_std: f32,
}

/// Mount, range and errors of a lidar; see `LidarSpec`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LidarParameters {
    /// Position of the sensor in the robot's frame, metres.
    pub position: Vector2<f32>,
    /// Direction of the sensor in the robot's frame, radians.
    pub yaw_rad: f32,
    /// Largest distance that a beam reads, metres.
    pub range: f32,
    /// Standard deviation of a reading, metres.
    pub range_noise: f32,
    /// Standard deviation of a beam's direction, radians.
    pub bearing_noise: f32,
    /// Share of readings that are lost.
    pub dropout: f32,
    /// Step to which readings are rounded, metres; 0 for no rounding.
    pub resolution: f32,
    /// Age of an observed scan, seconds.
    pub latency_secs: f32,
    /// Time from one scan to the next, seconds; 0 for a scan at every control step.
    pub period_secs: f32,
}

/// Errors of odometry; see `OdometrySpec`. The noises are standard deviations, which grow with the
/// square root of the distance or of the rotation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OdometryParameters {
    /// Standard deviation of the distance after one metre, metres.
    pub distance_noise: f32,
    /// Standard deviation of the heading after one metre, radians.
    pub heading_noise_per_m: f32,
    /// Standard deviation of the heading after turning by one radian, radians.
    pub heading_noise_per_rad: f32,
    /// Estimated distance per distance of the wheels; 1 is calibrated.
    pub distance_scale: f32,
    /// Estimated rotation per rotation of the wheels; 1 is calibrated.
    pub turn_scale: f32,
}

/// Draws the physical parameters of an episode and records those that come from a range. The order of
/// the draws decides which number each parameter gets, so it must never change: a new parameter is drawn
/// last.
pub(super) struct ParameterSampler<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) sampled: &'a mut Vec<SampledParameter>,
}

impl ParameterSampler<'_> {
    /// Draws a parameter. `name` is its key in the scenario file.
    pub(super) fn sample(&mut self, name: &'static str, quantity: &Quantity) -> f32 {
        let value = quantity.sample(self.rng) as f32;
        if quantity.is_random() {
            self.sampled.push(SampledParameter { name, value });
        }
        value
    }

    fn sample_pair(&mut self, names: [&'static str; 2], pair: &[Quantity; 2]) -> Vector2<f32> {
        let x = self.sample(names[0], &pair[0]);
        Vector2::new(x, self.sample(names[1], &pair[1]))
    }

    /// Draws an upper limit, or returns infinity if the scenario gives none.
    fn sample_limit(&mut self, name: &'static str, quantity: Option<&Quantity>) -> f32 {
        quantity.map_or(f32::INFINITY, |quantity| self.sample(name, quantity))
    }

    /// Draws the robot's parameters. Start and goal are set later.
    pub(super) fn sample_robot(&mut self, spec: &RobotSpec, goal_radius: f32) -> RobotParameters {
        // In the order of the draws, which is not that of the fields.
        let (radius, footprint) = self.sample_footprint(&spec.footprint);
        let passage_radius = match &spec.passage_radius_m {
            Some(passage) => self.sample("robot.passage_radius_m", passage),
            None => radius,
        };
        let mass_kg = self.sample("robot.mass_kg", &spec.mass_kg);
        let drive = self.sample_drive(&spec.drive);
        let lidar_range = self.sample("robot.lidar.range_m", &spec.lidar.range_m);
        let actuation = ActuationParameters {
            delay_secs: self.sample("robot.actuation.delay_secs", &spec.actuation.delay_secs),
            slip: self.sample("robot.actuation.slip", &spec.actuation.slip),
            slip_std: self.sample("robot.actuation.slip_std", &spec.actuation.slip_std),
        };
        let lidar = self.sample_lidar(&spec.lidar, lidar_range);
        let odometry = (spec.odometry.as_ref()).map(|spec| self.sample_odometry(spec));
        RobotParameters {
            start: Point2::origin(),
            heading_rad: 0.0,
            goal: Point2::origin(),
            goal_radius,
            radius,
            mass_kg,
            drive,
            actuation,
            lidar,
            odometry,
            passage_radius,
            footprint,
        }
    }

    /// Draws a footprint. Returns its radius too, and no footprint for a disc.
    fn sample_footprint(&mut self, spec: &FootprintSpec) -> (f32, Option<Footprint>) {
        let footprint = match spec {
            FootprintSpec::Disc(disc) => {
                let radius = self.sample("robot.footprint.disc.radius_m", &disc.radius_m);
                return (radius, None);
            }
            FootprintSpec::Box(rectangle) => {
                let half = self.sample_pair(
                    [
                        "robot.footprint.box.half_extents_m.0",
                        "robot.footprint.box.half_extents_m.1",
                    ],
                    &rectangle.half_extents_m,
                );
                let center = self.sample_pair(
                    [
                        "robot.footprint.box.center_m.0",
                        "robot.footprint.box.center_m.1",
                    ],
                    &rectangle.center_m,
                );
                let corners = [(-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)];
                Footprint::new(&corners.map(|(x, y)| center + Vector2::new(x * half.x, y * half.y)))
            }
            FootprintSpec::Polygon(polygon) => {
                let scale = self.sample("robot.footprint.polygon.scale", &polygon.scale);
                let corners = polygon.vertices_m.iter();
                let corners: Vec<Vector2<f32>> = corners
                    .map(|&[x, y]| Vector2::new(x as f32, y as f32) * scale)
                    .collect();
                Footprint::new(&corners)
            }
        };
        (footprint.radius(), Some(footprint))
    }

    fn sample_drive(&mut self, spec: &DriveSpec) -> DriveLimits {
        macro_rules! draw {
            ($kind:literal, $spec:ident, $key:ident) => {
                self.sample(
                    concat!("robot.drive.", $kind, ".", stringify!($key)),
                    &$spec.$key,
                )
            };
            ($kind:literal, $spec:ident, $key:ident, optional) => {
                self.sample_limit(
                    concat!("robot.drive.", $kind, ".", stringify!($key)),
                    $spec.$key.as_ref(),
                )
            };
        }
        match spec {
            DriveSpec::Differential(drive) => DriveLimits::Differential(DifferentialLimits {
                max_speed: draw!("differential", drive, max_speed_mps),
                max_reverse_speed: draw!("differential", drive, max_reverse_mps),
                max_turn_rate: draw!("differential", drive, max_turn_rate_radps),
                max_accel: draw!("differential", drive, max_accel_mps2),
                max_turn_accel: draw!("differential", drive, max_turn_accel_radps2),
                max_jerk: draw!("differential", drive, max_jerk_mps3, optional),
                max_turn_jerk: draw!("differential", drive, max_turn_jerk_radps3, optional),
            }),
            DriveSpec::Omni(drive) => DriveLimits::Omni(OmniLimits {
                max_speed: draw!("omni", drive, max_speed_mps),
                max_turn_rate: draw!("omni", drive, max_turn_rate_radps),
                max_accel: draw!("omni", drive, max_accel_mps2),
                max_turn_accel: draw!("omni", drive, max_turn_accel_radps2),
                max_jerk: draw!("omni", drive, max_jerk_mps3, optional),
                max_turn_jerk: draw!("omni", drive, max_turn_jerk_radps3, optional),
            }),
            DriveSpec::Ackermann(drive) => DriveLimits::Ackermann(AckermannLimits {
                wheelbase: draw!("ackermann", drive, wheelbase_m),
                max_steering: draw!("ackermann", drive, max_steering_rad),
                max_steering_rate: draw!("ackermann", drive, max_steering_rate_radps),
                max_speed: draw!("ackermann", drive, max_speed_mps),
                max_reverse_speed: draw!("ackermann", drive, max_reverse_mps),
                max_accel: draw!("ackermann", drive, max_accel_mps2),
                max_jerk: draw!("ackermann", drive, max_jerk_mps3, optional),
            }),
        }
    }

    /// Draws the parameters of a lidar but for its range, which is drawn earlier.
    fn sample_lidar(&mut self, spec: &LidarSpec, range: f32) -> LidarParameters {
        LidarParameters {
            range,
            position: self.sample_pair(
                ["robot.lidar.position_m.0", "robot.lidar.position_m.1"],
                &spec.position_m,
            ),
            yaw_rad: self.sample("robot.lidar.yaw_rad", &spec.yaw_rad),
            range_noise: self.sample("robot.lidar.range_noise_m", &spec.range_noise_m),
            bearing_noise: self.sample("robot.lidar.bearing_noise_rad", &spec.bearing_noise_rad),
            dropout: self.sample("robot.lidar.dropout", &spec.dropout),
            resolution: self.sample("robot.lidar.resolution_m", &spec.resolution_m),
            latency_secs: self.sample("robot.lidar.latency_secs", &spec.latency_secs),
            period_secs: self.sample("robot.lidar.period_secs", &spec.period_secs),
        }
    }

    fn sample_odometry(&mut self, spec: &OdometrySpec) -> OdometryParameters {
        OdometryParameters {
            distance_noise: self.sample("robot.odometry.distance_noise_m", &spec.distance_noise_m),
            heading_noise_per_m: self.sample(
                "robot.odometry.heading_noise_rad_per_m",
                &spec.heading_noise_rad_per_m,
            ),
            heading_noise_per_rad: self.sample(
                "robot.odometry.heading_noise_rad_per_rad",
                &spec.heading_noise_rad_per_rad,
            ),
            distance_scale: self.sample("robot.odometry.distance_scale", &spec.distance_scale),
            turn_scale: self.sample("robot.odometry.turn_scale", &spec.turn_scale),
        }
    }
}
