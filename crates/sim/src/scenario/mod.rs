//! Scenarios: the file format, its checks, and the layouts drawn from it. This room must never
//! know physics, torch or Bevy.

mod astar;
mod check;
mod flood;
mod footprint;
mod generate;
mod geodesic;
mod goal_distance;
mod import;
mod layout;
mod layout_difficulty;
mod load;
mod map;
mod movers;
mod place_robots;
mod quantity;
mod robot;
mod sample;
mod schema;
pub mod spec;
mod svg;

pub(crate) use astar::{AStar, TraversalCosts};
pub(crate) use flood::FloodGrid;
pub use footprint::{Footprint, MAX_CORNERS};
pub use geodesic::{Geodesic, GeodesicPath};
pub use goal_distance::GoalDistanceField;
pub use import::{import, scenario_on_map};
pub use layout::{AlternativeGoal, Layout, Obstacle, Rect, Shape};
pub use load::{
    Scenario, ScenarioError, ShippedScenario, TRAINING_SECTIONS, resolve, shipped_scenarios,
};
pub use map::{ImportedMap, Map};
pub use movers::{Crowd, MOVER_MARGIN, MoverGroup, MoverMotion, MoverPlacement};
pub use quantity::Quantity;
pub use robot::{
    AckermannLimits, ActuationParameters, DifferentialLimits, DriveLimits, LidarParameters,
    OdometryParameters, OmniLimits, RobotPlacement, SampledParameter,
};
pub use sample::{EpisodeKey, LayoutSampler, PlacementError};
pub use schema::{reference_markdown, schema_json};
pub use spec::ScenarioSpec;
pub use svg::{SvgCaption, draw, format_number, nice_length};
