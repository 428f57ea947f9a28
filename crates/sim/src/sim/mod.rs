//! The simulated world: rapier bodies and colliders, the robots' drives, movers, lidar, contacts,
//! and the `Frame` that others see. This room must never know rewards, policies or rendering.

mod actuation;
mod drive;
mod ego;
mod frame;
mod lidar;
mod movers;
mod odometry;
pub mod orca;
mod passing;
mod physics;
mod robot;
mod scene;
mod sensor;
mod terrain;
#[cfg(test)]
mod testing;
mod world;

pub use drive::{Action, MAX_ACTIONS, Twist};
pub use ego::Ego;
pub use frame::{Frame, MoverFrame, RobotFrame};
pub use lidar::{Beams, Distances, Ranges, SensorPose};
pub use scene::Scene;
pub use world::{CONTACT_DISTANCE, Touch, World};
