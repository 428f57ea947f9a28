//! The robot's lidar and odometry.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::{zero, zero_point};
use crate::scenario::Quantity;

/// A planar lidar. Beam 0 points along the clockwise edge of the field of view. With a full circle it
/// points straight ahead. Beams are in counter-clockwise order. The lidar does not see its own
/// robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LidarSpec {
    /// Number of beams, 1 to 4096.
    pub beams: u32,
    /// Largest measured distance, metres. Beams that hit nothing read it.
    pub range_m: Quantity,
    /// Field of view, degrees, centred on the sensor's direction. 360 by default. From 359.9943 on it
    /// counts as a full circle.
    #[serde(default = "full_circle")]
    pub field_of_view_deg: f64,
    /// Position in the robot's frame, metres: x ahead, y to the left. At most one metre outside the
    /// circle around the origin that contains the footprint.
    #[serde(default = "zero_point")]
    pub position_m: [Quantity; 2],
    /// Direction in the robot's frame, radians counter-clockwise.
    #[serde(default = "zero")]
    pub yaw_rad: Quantity,
    /// Standard deviation of each reading, metres. A beam that hits nothing has no such noise.
    #[serde(default = "zero")]
    pub range_noise_m: Quantity,
    /// Standard deviation of each beam's direction, radians, at most 0.2. A beam is cast in the noisy
    /// direction and reported in the nominal one. Noise is cut off at four standard deviations.
    #[serde(default = "zero")]
    pub bearing_noise_rad: Quantity,
    /// Share of readings that are lost, 0 to 1. They read `range_m`.
    #[serde(default = "zero")]
    pub dropout: Quantity,
    /// Readings are rounded to multiples of this, metres. 0 for no rounding.
    #[serde(default = "zero")]
    pub resolution_m: Quantity,
    /// Age of an observed scan, seconds, rounded to whole control steps. At the start of an episode the
    /// first scan is observed until it is that old.
    #[serde(default = "zero")]
    pub latency_secs: Quantity,
    /// Time from one scan to the next, seconds, rounded to whole control steps. The last scan is
    /// observed until the next. 0 for a scan at every control step.
    #[serde(default = "zero")]
    pub period_secs: Quantity,
}

fn full_circle() -> f64 {
    360.0
}

impl LidarSpec {
    /// Field of view, radians, as the simulation uses it.
    pub fn field_of_view_rad(&self) -> f32 {
        self.field_of_view_deg.to_radians() as f32
    }

    /// Whether the last beam is the neighbour of the first.
    pub fn is_full_circle(&self) -> bool {
        is_full_circle(self.field_of_view_rad())
    }

    /// Bearings of the first and of the last beam in the sensor's frame, radians. The other beams
    /// divide the angle between them evenly.
    pub fn outer_bearings_rad(&self) -> [f64; 2] {
        if self.is_full_circle() {
            let last = f64::from(self.beams.saturating_sub(1)) / f64::from(self.beams.max(1));
            [0.0, 360.0_f64.to_radians() * last]
        } else if self.beams == 1 {
            [0.0, 0.0]
        } else {
            let half = self.field_of_view_deg.to_radians() / 2.0;
            [-half, half]
        }
    }
}

/// Whether a field of view, radians, is a full circle, whose last beam is the neighbour of the first.
pub fn is_full_circle(field_of_view_rad: f32) -> bool {
    field_of_view_rad >= 2.0 * std::f32::consts::PI - 1e-4
}

/// Odometry: the robot integrates the motion of its wheels, and the estimated pose drifts. Errors are
/// random walks whose variance grows with the distance, so that they do not depend on the control
/// step (Siegwart & Nourbakhsh, Introduction to Autonomous Mobile Robots, section 5.2.4). The
/// estimate is exact at the start of an episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OdometrySpec {
    /// Standard deviation of the distance after one metre, metres. It grows with √d over d metres.
    pub distance_noise_m: Quantity,
    /// Standard deviation of the heading after one metre, radians. It grows with √d over d metres.
    pub heading_noise_rad_per_m: Quantity,
    /// Standard deviation of the heading after turning by one radian, radians. It grows with √a over a
    /// radians.
    pub heading_noise_rad_per_rad: Quantity,
    /// Estimated distance per metre of the wheels, 0.5 to 2. 1 is calibrated.
    pub distance_scale: Quantity,
    /// Estimated rotation per radian of the wheels, 0.5 to 2. 1 is calibrated.
    pub turn_scale: Quantity,
}

impl Default for OdometrySpec {
    fn default() -> Self {
        Self {
            distance_noise_m: zero(),
            heading_noise_rad_per_m: zero(),
            heading_noise_rad_per_rad: zero(),
            distance_scale: one(),
            turn_scale: one(),
        }
    }
}

fn one() -> Quantity {
    Quantity::Fixed(1.0)
}
