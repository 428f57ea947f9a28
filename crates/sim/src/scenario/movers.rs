//! Movers at the start of an episode: positions, velocities and motions.

use std::ops::Range;

use nalgebra::{Point2, Vector2};

use super::spec::{CrowdModel, CrowdPattern, LinearEnd};
use crate::seed::Rng;

/// Free space between a mover and a robot's start, metres.
pub const MOVER_MARGIN: f32 = 1.0;

/// A mover at the start of an episode.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MoverPlacement {
    /// Centre, metres.
    pub position: Point2<f32>,
    /// Metres per second. Its norm is the preferred speed.
    pub velocity: Vector2<f32>,
    /// Radius, metres.
    pub radius: f32,
}

/// Movers with the same kind of motion.
#[derive(Clone, Debug, PartialEq)]
pub struct MoverGroup {
    /// Indices of the layout's movers.
    pub members: Range<usize>,
    /// How they move.
    pub motion: MoverMotion,
}

/// How movers move.
#[derive(Clone, Debug, PartialEq)]
pub enum MoverMotion {
    /// Straight on, bouncing off walls and obstacles.
    Bouncing,
    /// Straight on until an obstacle stops them.
    Linear(LinearEnd),
    /// From waypoint to waypoint.
    Waypoints {
        /// The waypoints, metres. The first follows the last.
        route: Vec<Point2<f32>>,
        /// `[members]`: index of the first waypoint that each goes to.
        next: Vec<usize>,
    },
    /// To goals, avoiding others.
    Crowd(Crowd),
}

/// Pedestrians with goals.
#[derive(Clone, Debug, PartialEq)]
pub struct Crowd {
    /// How they avoid others.
    pub model: CrowdModel,
    /// What they do at their goals.
    pub pattern: CrowdPattern,
    /// Whether they avoid the robot.
    pub avoids_robot: bool,
    /// `[members]`: first goal of each, metres.
    pub goals: Vec<Point2<f32>>,
    /// Random numbers for later goals.
    pub rng: Rng,
}
