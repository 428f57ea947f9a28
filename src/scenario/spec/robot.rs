//! The robot: body, drive, sensor.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PlaceSpec, any_yaw, zero};
use crate::scenario::Quantity;

/// One robot: body, drive, sensor, start and goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RobotSpec {
    /// Its outline.
    pub footprint: FootprintSpec,
    /// Mass, kilograms. It matters where the robot pushes and slides along things.
    #[serde(default = "default_mass")]
    pub mass_kg: Quantity,
    /// How it moves.
    pub drive: DriveSpec,
    /// Its range finder.
    pub lidar: LidarSpec,
    /// Where it starts.
    #[serde(default)]
    pub start: PlaceSpec,
    /// The direction in which it starts, radians; any by default.
    #[serde(default = "any_yaw")]
    pub start_heading_rad: Quantity,
    /// Where it is to go.
    #[serde(default)]
    pub goal: PlaceSpec,
}

fn default_mass() -> Quantity {
    Quantity::Fixed(10.0)
}

/// The outline of a robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FootprintSpec {
    /// A circle.
    Disc(DiscFootprintSpec),
}

/// A round robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscFootprintSpec {
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// How a robot moves, and what its actions mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum DriveSpec {
    /// Two wheels on one axle. Two actions in [-1, 1]: forward speed, from `-max_reverse_mps`
    /// to `max_speed_mps`, and turn rate, from `-max_turn_rate_radps` to `max_turn_rate_radps`.
    Differential(DifferentialSpec),
}

/// Bounds of a differential drive.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferentialSpec {
    /// Largest forward speed, metres per second.
    pub max_speed_mps: Quantity,
    /// Largest backward speed, metres per second.
    #[serde(default = "zero")]
    pub max_reverse_mps: Quantity,
    /// Largest turn rate, radians per second.
    pub max_turn_rate_radps: Quantity,
    /// Largest change of speed, metres per second squared.
    pub max_accel_mps2: Quantity,
    /// Largest change of turn rate, radians per second squared.
    pub max_turn_accel_radps2: Quantity,
}

/// A planar lidar at the robot's centre. Beam 0 points along the first edge of the field of
/// view; a full circle starts straight ahead and turns counter-clockwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LidarSpec {
    /// Number of beams, 1 to 4096.
    pub beams: u32,
    /// Largest distance measured, metres; beams that hit nothing report it.
    pub range_m: Quantity,
    /// Angle covered, degrees, centred on the heading; 360 by default.
    #[serde(default = "full_circle")]
    pub field_of_view_deg: f64,
}

fn full_circle() -> f64 {
    360.0
}
