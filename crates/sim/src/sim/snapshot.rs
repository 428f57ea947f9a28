//! `WorldSnapshot`: all that viewers, recorders and evaluations see of a world. Plain numbers,
//! without types of the physics engine.

/// The state of a world at one control step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorldSnapshot {
    /// Control steps since the episode began.
    pub step: u32,
    /// Seconds since the episode began.
    pub time_secs: f32,
    /// The robots, in the order of the layout.
    pub robots: Vec<RobotSnapshot>,
    /// The movers, in the order of the layout.
    pub movers: Vec<MoverSnapshot>,
}

/// A robot at one control step.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RobotSnapshot {
    /// Position of the origin, metres: the centre of a round robot.
    pub position: [f32; 2],
    /// Radians.
    pub heading_rad: f32,
    /// Speed along the heading, metres per second; negative backwards.
    pub speed_mps: f32,
    /// Speed to the left, metres per second; not 0 only for omnidirectional drives.
    pub side_speed_mps: f32,
    /// Radians per second.
    pub turn_rate_radps: f32,
    /// Whether the robot's part of the episode has ended, so that it stays where it is.
    pub inactive: bool,
    /// Whether the robot touches anything.
    pub contact: bool,
    /// Shortest distance from the footprint to any obstacle, wall, mover or other robot, metres;
    /// not negative.
    pub clearance_m: f32,
    /// Lidar readings, metres, `[beams]`, as the robot gets them, with noise and latency.
    pub ranges_m: Vec<f32>,
}

/// A mover at one control step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MoverSnapshot {
    /// Centre, metres.
    pub position: [f32; 2],
    /// Metres per second.
    pub velocity: [f32; 2],
    /// Metres.
    pub radius_m: f32,
}
