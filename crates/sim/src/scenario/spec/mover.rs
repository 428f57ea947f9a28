//! Movers: dynamic obstacles.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::PositionSpec;
use super::defaults::any_yaw;
use crate::scenario::Quantity;

/// A kind of mover. The robot does not stop movers. Their starts are drawn for every episode, clear of
/// the robot's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum MoverSpec {
    /// Discs that move straight on and bounce off walls and obstacles, but not off each other.
    Bouncing(BouncingSpec),
    /// Discs that move straight on until a wall or an obstacle stops them.
    Linear(LinearSpec),
    /// Discs that move from waypoint to waypoint.
    Waypoints(WaypointsSpec),
    /// Pedestrians with goals who avoid each other and, optionally, the robot.
    Crowd(CrowdSpec),
}

impl MoverSpec {
    /// Number of movers.
    pub fn count(&self) -> u32 {
        match self {
            Self::Bouncing(discs) => discs.count,
            Self::Linear(discs) => discs.count,
            Self::Waypoints(discs) => discs.count,
            Self::Crowd(crowd) => crowd.count,
        }
    }
}

/// Discs that move straight on and bounce off walls and obstacles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BouncingSpec {
    /// Number of movers.
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
    /// Speed, metres per second.
    pub speed_mps: Quantity,
}

/// Discs that move straight on until a wall or an obstacle stops them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinearSpec {
    /// Number of movers.
    #[serde(default = "one")]
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
    /// Speed, metres per second.
    pub speed_mps: Quantity,
    /// Where they start.
    #[serde(default)]
    pub start: PositionSpec,
    /// Direction of motion, radians. Any angle by default.
    #[serde(default = "any_yaw")]
    pub heading_rad: Quantity,
    /// What they do when they are stopped.
    #[serde(default)]
    pub at_end: LinearEnd,
}

/// What a disc that moves straight on does when it is stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LinearEnd {
    /// It restarts at its start as soon as the robot is a metre away from there.
    #[default]
    Restart,
    /// It stays where it is.
    Stop,
}

/// Discs that move from waypoint to waypoint in straight lines. They slide along obstacles, and an
/// obstacle may stop a disc for good.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaypointsSpec {
    /// Number of movers. Each starts at a random position on the path.
    #[serde(default = "one")]
    pub count: u32,
    /// Radius, metres.
    pub radius_m: Quantity,
    /// Speed, metres per second.
    pub speed_mps: Quantity,
    /// The waypoints, metres, at least two.
    pub points_m: Vec<[f64; 2]>,
    /// How the path continues after the last waypoint.
    #[serde(default)]
    pub order: WaypointOrder,
}

/// How a path continues after its last waypoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WaypointOrder {
    /// In a loop: straight to the first waypoint.
    #[default]
    Loop,
    /// Back along the same waypoints.
    PingPong,
}

/// Pedestrians with goals. They stay out of walls and obstacles, but do not plan paths around large
/// ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CrowdSpec {
    /// Number of movers.
    pub count: u32,
    /// Radius, metres.
    #[serde(default = "pedestrian_radius")]
    pub radius_m: Quantity,
    /// Preferred speed of each, metres per second. The default range has the mean speed of people in
    /// the street, 1.34, and extends by their standard deviation of 0.26 (Helbing & Molnár 1995).
    #[serde(default = "pedestrian_speed")]
    pub speed_mps: Quantity,
    /// Their starts and goals.
    pub pattern: CrowdPattern,
    /// How they avoid others.
    #[serde(default)]
    pub model: CrowdModel,
    /// Whether they avoid the robot as they avoid each other. Otherwise they do not see it.
    #[serde(default = "yes")]
    pub avoids_robot: bool,
}

/// Starts and goals of a crowd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CrowdPattern {
    /// Half of them cross the room from left to right, half from bottom to top, and all go back again.
    Crossing,
    /// They start on a circle as large as the room allows. Each changes places with the one opposite.
    /// When all have arrived, they do it again.
    Circle,
    /// Half of them walk along the room in one direction, half in the other. Those who arrive enter
    /// again at the opposite end.
    Flow,
    /// Each goes to a random goal, and then to the next.
    Free,
}

/// How pedestrians avoid others.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CrowdModel {
    /// Reciprocal velocity obstacles: the velocity nearest to the preferred one among those without a
    /// collision (van den Berg et al. 2011).
    Orca(OrcaSpec),
    /// Forces towards the goal, and repulsion by people and walls (Helbing & Molnár 1995).
    SocialForce(SocialForceSpec),
}

impl Default for CrowdModel {
    fn default() -> Self {
        Self::Orca(OrcaSpec::default())
    }
}

/// Optimal reciprocal collision avoidance (van den Berg, Guy, Lin & Manocha, Reciprocal n-body
/// collision avoidance, 2011). Nobody walks faster than 1.3 times the preferred speed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OrcaSpec {
    /// Time for which collisions with people are avoided, seconds. With a larger one people give way
    /// earlier.
    pub horizon_secs: f64,
    /// Time for which collisions with walls are avoided, seconds.
    pub wall_horizon_secs: f64,
    /// People farther away are ignored, metres from surface to surface. At most the ten nearest are
    /// considered.
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
/// E 51, 1995). The defaults of τ, V⁰, σ, U⁰, R, 2φ and c are those of the paper. Nobody walks faster
/// than 1.3 times the preferred speed. The forces take a pedestrian for a point.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SocialForceSpec {
    /// Time to reach the preferred velocity, seconds (τ).
    pub relaxation_secs: f64,
    /// Strength of the repulsion by people, square metres per second squared (V⁰; in later papers A
    /// times B).
    pub repulsion_m2ps2: f64,
    /// Range of the repulsion by people, metres (σ; in later papers B).
    pub range_m: f64,
    /// The repulsion by a person is an ellipse along the distance walked in this time, seconds (Δt).
    /// The default is about the duration of a step. With more than half a second people who meet
    /// head-on scatter instead of forming lanes.
    pub stride_secs: f64,
    /// Strength of the repulsion by walls, square metres per second squared (U⁰).
    pub wall_repulsion_m2ps2: f64,
    /// Range of the repulsion by walls, metres (R).
    pub wall_range_m: f64,
    /// Field of view, degrees (2φ).
    pub view_deg: f64,
    /// Weight of forces from outside the field of view, 0 to 1 (c).
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
