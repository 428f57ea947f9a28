//! Scenarios: the file format, its checks, and the layouts drawn from it. This room must never
//! know physics, torch or Bevy.

mod layout;
mod quantity;
pub mod spec;

pub use layout::{
    DifferentialLimits, Layout, MoverPlacement, Obstacle, Rect, RobotPlacement, Shape,
};
pub use quantity::Quantity;
pub use spec::ScenarioSpec;

/// A scenario that passed every check; immutable, shared by `Arc`.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The shipped name, or the file's stem.
    pub name: String,
    /// What the file says.
    pub spec: ScenarioSpec,
}
