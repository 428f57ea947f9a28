//! `WorldSnapshot`: all that viewers, recorders and evaluations ever see of a world. Plain numbers, no
//! engine types.

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
    /// Its origin, metres: the centre of a round one.
    pub position: [f32; 2],
    /// Radians.
    pub heading_rad: f32,
    /// Speed along the heading, metres per second; negative backwards.
    pub speed_mps: f32,
    /// Speed to its left, metres per second: only omnidirectional drives have one.
    pub side_speed_mps: f32,
    /// Radians per second.
    pub turn_rate_radps: f32,
    /// Whether its part in the episode has ended and it stays where it is until the others' have.
    pub inactive: bool,
    /// Whether it touches anything.
    pub contact: bool,
    /// Shortest distance from its hull to any obstacle, wall, mover or other robot, metres; 0 in
    /// contact.
    pub clearance_m: f32,
    /// Lidar readings, metres, `[beams]`, as the robot has them: noisy, late or held.
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
