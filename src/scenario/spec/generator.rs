//! Obstacles that are scattered anew for every episode.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::any_yaw;
use crate::scenario::Quantity;

/// Obstacles scattered uniformly over the arena at every reset. They may overlap one another,
/// but never a start or a goal, and a path for the robot always exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GeneratorSpec {
    /// Scattered discs.
    Discs(ScatterDiscsSpec),
    /// Scattered boxes.
    Boxes(ScatterBoxesSpec),
}

/// Scattered discs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterDiscsSpec {
    /// How many.
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
}

/// Scattered boxes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScatterBoxesSpec {
    /// How many.
    pub count: u32,
    /// Half the width and half the height, metres.
    pub half_extents_m: [Quantity; 2],
    /// Rotation, radians; any by default.
    #[serde(default = "any_yaw")]
    pub yaw_rad: Quantity,
}
