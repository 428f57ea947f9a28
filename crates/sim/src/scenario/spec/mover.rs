//! Things that move by themselves.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{PositionSpec, any_yaw};
use crate::scenario::Quantity;

/// Something that moves by itself. Movers are not stopped by the robot; they start anew with
/// every episode, clear of the robot's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MoverSpec {
    /// Discs that travel straight on and bounce off walls and obstacles (not off one another).
    Bouncing(BouncingSpec),
    /// Discs that travel straight on until something stands in their way.
    Linear(LinearSpec),
    /// Discs that go from point to point.
    Waypoints(WaypointsSpec),
    /// Pedestrians who have somewhere to go and avoid one another, and the robot if they heed it.
    Crowd(CrowdSpec),
}

impl MoverSpec {
    /// How many discs it is.
    pub fn count(&self) -> u32 {
        match self {
            Self::Bouncing(discs) => discs.count,
            Self::Linear(discs) => discs.count,
            Self::Waypoints(discs) => discs.count,
            Self::Crowd(crowd) => crowd.count,
        }
    }
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

/// Discs that travel straight on until a wall or an obstacle stands in their way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// How many.
    #[serde(default = "one")]
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
    /// Speed, metres per second.
    pub speed_mps: Quantity,
    /// Where they start.
    #[serde(default)]
    pub start: PositionSpec,
    /// The direction in which they go, radians; any by default.
    #[serde(default = "any_yaw")]
    pub heading_rad: Quantity,
    /// What they do where they cannot go on.
    #[serde(default)]
    pub at_end: LinearEnd,
}

/// What a disc that travels straight on does where it cannot go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinearEnd {
    /// It starts again from where it began, as soon as the robot is a metre away from there.
    #[default]
    Restart,
    /// It stays where it is.
    Stop,
}

/// Discs that go from point to point, in straight lines. Something that stands on such a line is
/// slid along, and may hold a disc up for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaypointsSpec {
    /// How many. Each starts somewhere on the way, drawn for every episode.
    #[serde(default = "one")]
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
    /// Speed, metres per second.
    pub speed_mps: Quantity,
    /// The points, metres, at least two.
    pub points_m: Vec<[f64; 2]>,
    /// How the way goes on after the last point.
    #[serde(default)]
    pub order: WaypointOrder,
}

/// How a way goes on after its last point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaypointOrder {
    /// Straight to the first point, and so round and round.
    #[default]
    Loop,
    /// Back the way it came.
    PingPong,
}

/// Pedestrians who have somewhere to go. They are kept out of walls and obstacles, but look for no
/// way around what is large.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrowdSpec {
    /// How many.
    pub count: u32,
    /// Radius, metres.
    #[serde(default = "pedestrian_radius")]
    pub radius_m: Quantity,
    /// The speed that each would like to have, metres per second. 1.34 with a deviation of 0.26 is
    /// that of people in the street (Helbing & Molnár 1995); the default range has both.
    #[serde(default = "pedestrian_speed")]
    pub speed_mps: Quantity,
    /// Where they come from and go to.
    pub pattern: CrowdPattern,
    /// How they avoid what is in their way.
    #[serde(default)]
    pub model: CrowdModel,
    /// Whether they avoid the robot as they avoid one another; otherwise they do not see it.
    #[serde(default = "yes")]
    pub avoids_robot: bool,
}

/// Where a crowd comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CrowdPattern {
    /// Half of them cross the room from the left to the right, half from the bottom to the top, and
    /// all go back again.
    Crossing,
    /// They stand on a circle, as large as the room allows; each changes places with the one
    /// opposite, and when all have done so, they do it again.
    Circle,
    /// Half of them walk along the room one way, half the other; who arrives enters again at the
    /// far end.
    Flow,
    /// Each goes to a place of its own, and then to another.
    Free,
}

/// How pedestrians avoid what is in their way.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CrowdModel {
    /// Reciprocal velocity obstacles: of the velocities with which nobody collides, the one nearest
    /// to the wished one (van den Berg et al. 2011).
    Orca(OrcaSpec),
    /// Forces: a wish to be under way, and repulsion by people and walls (Helbing & Molnár 1995).
    SocialForce(SocialForceSpec),
}

impl Default for CrowdModel {
    fn default() -> Self {
        Self::Orca(OrcaSpec::default())
    }
}

/// Optimal reciprocal collision avoidance (van den Berg, Guy, Lin & Manocha, Reciprocal n-body
/// collision avoidance, 2011). Nobody goes faster than 1.3 times the wished speed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrcaSpec {
    /// For how long nobody is to be run into, seconds: the larger, the earlier people give way.
    pub horizon_secs: f64,
    /// For how long no wall is, seconds.
    pub wall_horizon_secs: f64,
    /// Who is farther away is not looked at, metres, surface to surface; and never more than the
    /// ten nearest.
    pub neighbour_distance_m: f64,
}

impl Default for OrcaSpec {
    fn default() -> Self {
        Self {
            horizon_secs: 3.0,
            wall_horizon_secs: 0.5,
            neighbour_distance_m: 5.0,
        }
    }
}

/// The social force model (Helbing & Molnár, Social force model for pedestrian dynamics, Phys. Rev.
/// E 51, 1995). τ, V⁰, σ, U⁰, R, 2φ and c are by default the numbers of that paper; nobody goes
/// faster than 1.3 times the wished speed. To its forces a pedestrian is a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SocialForceSpec {
    /// Within this time the wished velocity is taken up, seconds (τ).
    pub relaxation_secs: f64,
    /// Strength of the repulsion by others, square metres per second squared (V⁰, the A of later
    /// papers times B).
    pub repulsion_m2ps2: f64,
    /// Its range, metres (σ, the B of later papers).
    pub range_m: f64,
    /// The repulsion is an ellipse along the way that another walks in this time, seconds (Δt).
    /// The default is about the duration of a step; with more than half a second people who meet
    /// head-on scatter rather than form lanes.
    pub stride_secs: f64,
    /// Strength of the repulsion by walls, square metres per second squared (U⁰).
    pub wall_repulsion_m2ps2: f64,
    /// Its range, metres (R).
    pub wall_range_m: f64,
    /// Angle of sight, degrees (2φ).
    pub view_deg: f64,
    /// The share that is felt of what is out of sight (c).
    pub out_of_view_weight: f64,
}

impl Default for SocialForceSpec {
    fn default() -> Self {
        Self {
            relaxation_secs: 0.5,
            repulsion_m2ps2: 2.1,
            range_m: 0.3,
            stride_secs: 0.4,
            wall_repulsion_m2ps2: 10.0,
            wall_range_m: 0.2,
            view_deg: 200.0,
            out_of_view_weight: 0.5,
        }
    }
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

fn pedestrian_radius() -> Quantity {
    Quantity::Fixed(0.25)
}

fn pedestrian_speed() -> Quantity {
    Quantity::Range {
        uniform: [1.08, 1.6],
    }
}
