//! The robot: its body, and where it starts and goes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    ActuationSpec, ArrangementSpec, DriveSpec, LidarSpec, OdometrySpec, PositionSpec, any_yaw,
    zero_point,
};
use crate::scenario::Quantity;

/// One robot: body, drive, sensor, start and goal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RobotSpec {
    /// How many of them share the world, 1 to 64, all alike: a number that is given as a range is
    /// drawn once for all of them. Each has its own start, goal, reward and outcome; they see one
    /// another by lidar, and touching another is a collision. A robot whose part has ended, by
    /// whatever outcome, stands where it is until the others' have, too.
    #[serde(default = "one_robot", skip_serializing_if = "is_one")]
    #[schemars(extend("default" = 1))]
    pub count: u32,
    /// How the starts and goals of several robots lie to one another, in place of `start` and
    /// `goal`. Left out, each robot draws its own from those, clear of the others'.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ArrangementSpec")]
    pub arrangement: Option<ArrangementSpec>,
    /// Its outline.
    pub footprint: FootprintSpec,
    /// Radius of the disc for which a way to the goal is sure to exist, and for which the shortest
    /// is measured, metres. Left out, it is the circle about the origin that holds the footprint,
    /// with which the robot fits at any heading; less than that lets in ways that it fits through
    /// at some headings only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Quantity")]
    pub passage_radius_m: Option<Quantity>,
    /// Mass, kilograms. It matters where the robot pushes and slides along things.
    #[serde(default = "default_mass")]
    pub mass_kg: Quantity,
    /// How it moves.
    pub drive: DriveSpec,
    /// What lies between its actions and what it does.
    #[serde(default)]
    pub actuation: ActuationSpec,
    /// Its range finder.
    pub lidar: LidarSpec,
    /// How it keeps track of where it is. Left out, it knows; given, the goal of its observation
    /// is where it believes the goal to be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "OdometrySpec")]
    pub odometry: Option<OdometrySpec>,
    /// Where it starts.
    #[serde(default)]
    pub start: PositionSpec,
    /// The direction in which it starts, radians; any by default.
    #[serde(default = "any_yaw")]
    pub start_heading_rad: Quantity,
    /// Where it is to go.
    #[serde(default)]
    pub goal: PositionSpec,
}

impl RobotSpec {
    /// See `passage_radius_m`.
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

/// The outline of a robot, in its own frame: x ahead, y to the left, the origin where its drive
/// turns it about.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FootprintSpec {
    /// A circle about the origin.
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
    /// Where its middle is, metres: a car's is ahead of its rear axle.
    #[serde(default = "zero_point")]
    pub center_m: [Quantity; 2],
}

/// A robot of any convex outline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolygonFootprintSpec {
    /// 3 to 16 corners, metres, in either direction of turning.
    pub vertices_m: Vec<[f64; 2]>,
    /// Multiplies all coordinates.
    #[serde(default = "one")]
    pub scale: Quantity,
}

fn one() -> Quantity {
    Quantity::Fixed(1.0)
}

impl FootprintSpec {
    /// Radius of the circle about the origin that holds the outline, metres, with the range that
    /// it is drawn from.
    pub fn radius(&self) -> Quantity {
        let [low, high] = match self {
            Self::Disc(disc) => return disc.radius_m,
            Self::Box(spec) => {
                // How far the corners reach along an axis, at least and at most.
                let reach = [0, 1].map(|axis| {
                    let (half, center) = (spec.half_extents_m[axis], spec.center_m[axis]);
                    let (least, most) = (center.min(), center.max());
                    let nearest = least.max(-most).max(0.0);
                    [nearest + half.min(), most.max(-least) + half.max()]
                });
                [0, 1].map(|end| libm::hypot(reach[0][end], reach[1][end]))
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
