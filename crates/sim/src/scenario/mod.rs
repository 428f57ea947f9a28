//! Scenarios: the file format, its checks, and the layouts drawn from it. This room must never
//! know physics, torch or Bevy.

mod check;
mod difficulty;
mod field;
mod flood;
mod generate;
mod geodesic;
mod hull;
mod import;
mod layout;
mod load;
mod map;
mod movers;
mod quantity;
mod reference;
mod robot;
mod robots;
mod sample;
pub mod spec;
mod svg;
mod way;

pub use field::GoalField;
pub(crate) use flood::FloodGrid;
pub use geodesic::{Geodesic, GeodesicPath};
pub use hull::{Hull, MOST_CORNERS};
pub use import::{import, on_map};
pub use layout::{Decoy, Layout, Obstacle, Rect, Shape};
pub use load::{Scenario, ScenarioError, Shipped, TRAINING_SECTIONS, resolve, shipped};
pub use map::{Map, MapRoom};
pub use movers::{Crowd, MOVER_MARGIN, Motion, MoverGroup, MoverPlacement};
pub use quantity::Quantity;
pub use reference::{reference_markdown, schema_json};
pub use robot::{
    AckermannLimits, Actuation, DifferentialLimits, Drawn, DriveLimits, LidarNumbers,
    OdometryNumbers, OmniLimits, RobotPlacement,
};
pub use sample::{EpisodeKey, LayoutSampler, PlacementError};
pub use spec::ScenarioSpec;
pub use svg::{Caption, draw, round_length, tidy};
pub(crate) use way::{Pace, Ways};
