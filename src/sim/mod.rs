//! The simulated world: rapier bodies and colliders, the robot's drive, movers, lidar, contacts,
//! and the `Frame` that others see. This room must never know rewards, policies or rendering.

mod frame;

pub use frame::{Frame, MoverFrame, RobotFrame};
