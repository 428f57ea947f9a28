//! Obstacles at given positions.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::defaults::{zero, zero_point};
use crate::scenario::Quantity;

/// One obstacle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ObstacleSpec {
    /// A filled circle.
    Disc(DiscSpec),
    /// A filled rectangle.
    Box(BoxSpec),
    /// A filled convex polygon.
    Polygon(PolygonSpec),
    /// A wall without thickness.
    Segment(SegmentSpec),
}

/// A filled circle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscSpec {
    /// Centre, metres.
    pub center_m: [Quantity; 2],
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// A filled rectangle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BoxSpec {
    /// Centre, metres.
    pub center_m: [Quantity; 2],
    /// Half the width and half the height, metres.
    pub half_extents_m: [Quantity; 2],
    /// Rotation, radians counter-clockwise.
    #[serde(default = "zero")]
    pub yaw_rad: Quantity,
}

/// A filled convex polygon. Write a concave one as several convex ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolygonSpec {
    /// 3 to 64 corners, metres, clockwise or counter-clockwise.
    pub vertices_m: Vec<[f64; 2]>,
    /// Offset of all corners, metres.
    #[serde(default = "zero_point")]
    pub offset_m: [Quantity; 2],
    /// Rotation about the mean of the corners, radians counter-clockwise.
    #[serde(default = "zero")]
    pub yaw_rad: Quantity,
}

/// A wall without thickness.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentSpec {
    /// One end, metres.
    pub from_m: [Quantity; 2],
    /// The other end, metres.
    pub to_m: [Quantity; 2],
}
