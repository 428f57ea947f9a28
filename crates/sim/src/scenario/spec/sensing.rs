//! What a robot perceives the world with: its lidar, and its sense of where it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{zero, zero_point};
use crate::scenario::Quantity;

/// A planar lidar. Beam 0 points along the clockwise edge of the field of view; a full circle
/// starts straight ahead and turns counter-clockwise. It does not see the robot itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LidarSpec {
    /// Number of beams, 1 to 4096.
    pub beams: u32,
    /// Largest distance measured, metres; beams that hit nothing report it.
    pub range_m: Quantity,
    /// Angle covered, degrees, centred on the sensor's direction; 360 by default.
    #[serde(default = "full_circle")]
    pub field_of_view_deg: f64,
    /// Where it is mounted in the robot's frame, metres: x ahead, y to the left.
    #[serde(default = "zero_point")]
    pub position_m: [Quantity; 2],
    /// The direction that it points in, in the robot's frame, radians counter-clockwise.
    #[serde(default = "zero")]
    pub yaw_rad: Quantity,
    /// Standard deviation of each reading, metres. A beam that hits nothing has no such noise.
    #[serde(default = "zero")]
    pub range_noise_m: Quantity,
    /// Standard deviation of each beam's direction, radians, at most 0.2: the beam is cast where
    /// it really points, and reported where it should. Draws beyond four deviations are cut off.
    #[serde(default = "zero")]
    pub bearing_noise_rad: Quantity,
    /// Share of readings that are lost, 0 to 1: they read `range_m`.
    #[serde(default = "zero")]
    pub dropout: Quantity,
    /// Readings are rounded to multiples of this, metres; 0 for no rounding.
    #[serde(default = "zero")]
    pub resolution_m: Quantity,
    /// Age of a scan when it is seen, seconds, rounded to whole control steps. Until the first is
    /// as old, it is the first that is seen.
    #[serde(default = "zero")]
    pub latency_secs: Quantity,
    /// Time from one scan to the next, seconds, rounded to whole control steps; the last one is
    /// held meanwhile. 0 is a scan at every control step.
    #[serde(default = "zero")]
    pub period_secs: Quantity,
}

fn full_circle() -> f64 {
    360.0
}

/// How a robot keeps track of where it is: it adds up what its wheels do, and drifts. Errors are
/// random walks whose variance grows with the way, so that they do not depend on the control step
/// (Siegwart & Nourbakhsh, Introduction to Autonomous Mobile Robots, section 5.2.4). It starts out
/// exact in every episode.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OdometrySpec {
    /// Standard deviation of the distance after one metre, metres; after d metres it is √d times
    /// as much.
    pub distance_noise_m: Quantity,
    /// Standard deviation of the heading after one metre, radians; after d metres it is √d times
    /// as much.
    pub heading_noise_rad_per_m: Quantity,
    /// Standard deviation of the heading after turning by one radian, radians; after a radians it
    /// is √a times as much.
    pub heading_noise_rad_per_rad: Quantity,
    /// What a metre of the wheels is taken for, metres, 0.5 to 2; 1 is calibrated.
    pub distance_scale: Quantity,
    /// What a radian of turning is taken for, radians, 0.5 to 2; 1 is calibrated.
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
