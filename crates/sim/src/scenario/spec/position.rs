//! Starts and goals, and arrangements of several robots.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::Quantity;

/// A position that is drawn for every episode.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PositionSpec {
    /// Anywhere in the arena.
    #[default]
    Anywhere,
    /// Anywhere in an axis-aligned rectangle.
    Region(RegionSpec),
    /// Exactly here.
    At(PointSpec),
    /// One of these, all equally likely. For a goal, all positions are drawn, free and reachable before
    /// one is chosen, so that the layout does not reveal the choice.
    OneOf(Vec<PositionSpec>),
}

impl PositionSpec {
    /// The positions to choose from: those of `one_of`, or the position itself.
    pub fn alternatives(&self) -> &[Self] {
        match self {
            Self::OneOf(positions) => positions,
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

/// How the starts and goals of all robots are arranged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ArrangementSpec {
    /// Evenly on a circle around the centre of the arena, rotated by a random angle. Each robot's goal
    /// is opposite to its start, so that all paths meet in the centre.
    CircleSwap(CircleSwapSpec),
}

/// A circle on which robots change places.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CircleSwapSpec {
    /// Radius of the circle, metres.
    pub radius_m: Quantity,
}
