//! Scenarios: the file format, its checks, and the layouts drawn from it. This room must never
//! know physics, torch or Bevy.

mod check;
mod document;
mod flood;
mod geodesic;
mod layout;
mod load;
mod quantity;
mod reference;
mod sample;
mod setting;
pub mod spec;
mod svg;

pub(crate) use document::did_you_mean;
pub use document::{Diagnostic, Document, Override, layered};
pub use geodesic::{Geodesic, GeodesicPath};
pub use layout::{
    Decoy, DifferentialLimits, Layout, MoverPlacement, Obstacle, Rect, RobotPlacement, Shape,
};
pub use load::{Scenario, ScenarioError, Shipped, TRAINING_SECTIONS, resolve, shipped};
pub use quantity::Quantity;
#[cfg(feature = "learn")]
pub(crate) use reference::markdown_of;
pub use reference::{reference_markdown, schema_json};
pub use sample::{EpisodeKey, LayoutSampler, PlacementError};
pub use setting::BadSetting;
pub use spec::ScenarioSpec;
pub use svg::{Caption, draw};
