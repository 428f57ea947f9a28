//! Scenarios: the file format, its checks, and the layouts that are drawn from it. This module must
//! not know physics, torch or Bevy.

mod astar;
mod check;
mod episode_key;
mod flood;
mod footprint;
mod free_space;
mod generate;
mod geodesic;
mod geometry;
mod goal_distance;
mod import;
mod islands;
mod layout;
mod layout_difficulty;
mod load;
mod map;
mod movers;
mod physics_steps;
mod place_movers;
mod place_robots;
mod placement_error;
mod polygon;
mod quantity;
mod robot;
mod robot_differences;
mod sample;
mod schema;
pub mod spec;
mod svg;

pub(crate) use astar::{AStar, TraversalCosts};
pub use episode_key::EpisodeKey;
pub(crate) use flood::FloodGrid;
pub use footprint::{Footprint, MAX_CORNERS};
pub use geodesic::{Geodesic, GeodesicPath};
pub use geometry::{Obstacle, Rect, Shape};
pub use goal_distance::GoalDistanceField;
pub use import::{import, scenario_on_map};
pub use layout::{AlternativeGoal, Layout};
pub use load::{
    ARM_SECTIONS, Scenario, ScenarioError, ShippedScenario, TRAINING_SECTIONS, resolve,
    shipped_scenarios,
};
pub use map::{CellDecision, GridSummary, ImportedMap, Map};
pub use movers::{Crowd, MOVER_MARGIN, MoverGroup, MoverMotion, MoverPlacement};
pub use placement_error::PlacementError;
pub use quantity::Quantity;
pub use robot::{
    AckermannLimits, ActuationParameters, DifferentialLimits, DriveLimits, LidarParameters,
    OdometryParameters, OmniLimits, RobotParameters, SampledParameter,
};
pub use robot_differences::robot_differences;
pub use sample::{LayoutCheck, LayoutSampler};
pub use schema::{reference_markdown, schema_json};
pub use spec::ScenarioSpec;
pub use svg::{SvgOptions, draw, draw_room, format_number, nice_length};
