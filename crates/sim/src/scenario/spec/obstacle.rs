//! Obstacles that the file places.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{zero, zero_point};
use crate::scenario::Quantity;

/// One obstacle at a place of its own.
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

/// A filled convex polygon; a concave one is written as several convex ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolygonSpec {
    /// At least three corners, metres, in either direction of turning.
    pub vertices_m: Vec<[f64; 2]>,
    /// Moves all corners, metres.
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
