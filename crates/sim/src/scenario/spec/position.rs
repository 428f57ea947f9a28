//! Where a robot starts and where it is to go, and how several of them are arranged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::Quantity;

/// A place that is drawn for every episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PositionSpec {
    /// Anywhere in the arena.
    #[default]
    Anywhere,
    /// Uniformly within an axis-aligned rectangle.
    Region(RegionSpec),
    /// Exactly here.
    At(PointSpec),
    /// One of these, each as likely as the others. Where a goal is one of several, all of them are
    /// drawn, kept free and known to be reachable before one is chosen, so that the room does not
    /// tell which it is.
    OneOf(Vec<PositionSpec>),
}

impl PositionSpec {
    /// The places that this is one of.
    pub fn alternatives(&self) -> &[Self] {
        match self {
            Self::OneOf(places) => places,
            one => std::slice::from_ref(one),
        }
    }
}

/// An axis-aligned rectangle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionSpec {
    /// Lower left corner, metres.
    pub min_m: [f64; 2],
    /// Upper right corner, metres.
    pub max_m: [f64; 2],
}

/// A point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PointSpec {
    /// Position, metres.
    pub position_m: [Quantity; 2],
}

/// How the starts and goals of all robots lie to one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ArrangementSpec {
    /// Evenly on a circle about the middle of the arena, turned by any angle, each to the place
    /// across from its own: all ways meet in the middle.
    CircleSwap(CircleSwapSpec),
}

/// A circle on which robots change places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircleSwapSpec {
    /// Radius of the circle, metres.
    pub radius_m: Quantity,
}
