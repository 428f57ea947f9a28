//! The robot: its body, start and goal.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::{any_yaw, zero_point};
use super::{ActuationSpec, ArrangementSpec, DriveSpec, LidarSpec, OdometrySpec, PositionSpec};
use crate::scenario::Quantity;

/// One robot: body, drive, sensor, start and goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RobotSpec {
    /// Number of robots in the world, 1 to 64. All have the same parameters: a range is drawn once for
    /// all of them. Each has its own start, goal, reward and outcome. They see each other by lidar,
    /// and touching another robot is a collision. A robot whose part of the episode has ended becomes
    /// inactive: it stands still until the others have ended too.
    #[serde(default = "one_robot", skip_serializing_if = "is_one")]
    #[schemars(extend("default" = 1))]
    pub count: u32,
    /// Arrangement of the starts and goals of several robots, in place of `start` and `goal`. By default
    /// each robot draws its own from `start` and `goal`, clear of the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ArrangementSpec")]
    pub arrangement: Option<ArrangementSpec>,
    /// Its outline.
    pub footprint: FootprintSpec,
    /// Radius of the disc for which a path to the goal is guaranteed and path lengths are measured,
    /// metres. The default is the radius of the circle around the origin that contains the footprint:
    /// the robot then fits at any heading. With a smaller radius the robot may fit at some headings
    /// only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    pub passage_radius_m: Option<Quantity>,
    /// Mass, kilograms. It matters when the robot pushes against obstacles or slides along them.
    #[serde(default = "default_mass")]
    pub mass_kg: Quantity,
    /// Its drive.
    pub drive: DriveSpec,
    /// Delay and slip between its actions and its motion.
    #[serde(default)]
    pub actuation: ActuationSpec,
    /// Its range finder.
    pub lidar: LidarSpec,
    /// Errors of its odometry. By default the robot knows its exact pose. With odometry, the goal in the
    /// observation is relative to the estimated pose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OdometrySpec")]
    pub odometry: Option<OdometrySpec>,
    /// Its start.
    #[serde(default)]
    pub start: PositionSpec,
    /// Heading at the start, radians. Any angle by default.
    #[serde(default = "any_yaw")]
    pub start_heading_rad: Quantity,
    /// Its goal.
    #[serde(default)]
    pub goal: PositionSpec,
}

impl RobotSpec {
    /// The radius of `passage_radius_m`, or its default, metres.
    pub fn passage_radius(&self) -> Quantity {
        self.passage_radius_m.unwrap_or(self.footprint.radius())
    }
}

fn one_robot() -> u32 {
    1
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_one(count: &u32) -> bool {
    *count == 1
}

fn default_mass() -> Quantity {
    Quantity::Fixed(10.0)
}

/// The outline of a robot in its own frame: x ahead, y to the left. The origin is the point about which
/// the drive turns the robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FootprintSpec {
    /// A circle around the origin.
    Disc(DiscFootprintSpec),
    /// A rectangle.
    Box(BoxFootprintSpec),
    /// A convex polygon.
    Polygon(PolygonFootprintSpec),
}

/// A round robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscFootprintSpec {
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// A rectangular robot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoxFootprintSpec {
    /// Half the length and half the width, metres.
    pub half_extents_m: [Quantity; 2],
    /// Centre of the rectangle, metres. That of a car is ahead of the rear axle.
    #[serde(default = "zero_point")]
    pub center_m: [Quantity; 2],
}

/// A robot with a convex outline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolygonFootprintSpec {
    /// 3 to 16 corners, metres, clockwise or counter-clockwise.
    pub vertices_m: Vec<[f64; 2]>,
    /// Factor on all coordinates, 0.1 to 10.
    #[serde(default = "one")]
    pub scale: Quantity,
}

fn one() -> Quantity {
    Quantity::Fixed(1.0)
}

impl FootprintSpec {
    /// Radius of the circle around the origin that contains the outline, metres, as a range if any size
    /// is a range.
    pub fn radius(&self) -> Quantity {
        let [low, high] = match self {
            Self::Disc(disc) => return disc.radius_m,
            Self::Box(spec) => {
                // Smallest and largest extent of the corners along an axis.
                let extents = [0, 1].map(|axis| {
                    let (half, center) = (spec.half_extents_m[axis], spec.center_m[axis]);
                    let (min, max) = (center.min(), center.max());
                    let nearest = min.max(-max).max(0.0);
                    [nearest + half.min(), max.max(-min) + half.max()]
                });
                [0, 1].map(|end| libm::hypot(extents[0][end], extents[1][end]))
            }
            Self::Polygon(polygon) => {
                let corners = polygon.vertices_m.iter();
                let radius = corners
                    .map(|[x, y]| libm::hypot(*x, *y))
                    .fold(0.0, f64::max);
                [polygon.scale.min() * radius, polygon.scale.max() * radius]
            }
        };
        if low < high {
            Quantity::Range {
                uniform: [low, high],
            }
        } else {
            Quantity::Fixed(high)
        }
    }
}
