//! The simulated world: rapier bodies and colliders, the robots' drives, movers, lidar and
//! contacts, and `WorldSnapshot`, through which evaluation and drawing see it. This module must not
//! know rewards, policies or rendering.

mod actuation;
mod blocks;
mod clear_ahead;
mod drive;
mod ego;
mod lidar;
mod map_index;
mod movers;
mod odometry;
pub mod orca;
mod physics;
mod robot;
mod scene;
mod sensor;
mod snapshot;
pub(crate) mod sweep;
#[cfg(test)]
mod testing;
mod world;

pub use drive::{Action, MAX_ACTIONS, Twist};
pub use ego::{CONTACT_DISTANCE, Ego, StaticOrMoving};
pub use lidar::{Beams, Clearances, Pose2, ScanReadings};
pub use scene::Scene;
pub use snapshot::{MoverSnapshot, RobotSnapshot, WorldSnapshot};
pub use world::World;
