//! Things that move by themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::scenario::Quantity;

/// Something that moves by itself. Movers are not stopped by the robot; they start anew with
/// every episode, clear of the robot's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MoverSpec {
    /// Discs that travel straight on and bounce off walls and obstacles (not off one another).
    Bouncing(BouncingSpec),
}

/// Discs that travel straight on and bounce off walls and obstacles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BouncingSpec {
    /// How many.
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
    /// Speed, metres per second.
    pub speed_mps: Quantity,
}
