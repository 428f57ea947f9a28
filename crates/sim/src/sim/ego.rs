//! A read-only view of a world from one of its robots: its pose, its sensor readings, its contacts.

use nalgebra::Point2;

use super::RobotSnapshot;
use super::drive::Twist;
use super::lidar::{Clearances, Pose2};
use super::physics::Physics;
use super::robot::Robot;
use crate::scenario::{Footprint, Layout, RobotParameters};

/// Distance of a footprint to a surface below which they are in contact, metres. The solver stops
/// a robot within a fraction of it.
pub const CONTACT_DISTANCE: f32 = 1e-3;

/// Whether what a robot touches is static or moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StaticOrMoving {
    /// A wall or a static obstacle.
    Static,
    /// A mover or another robot.
    Moving,
}

/// One robot of a world.
#[derive(Clone, Copy)]
pub struct Ego<'a> {
    pub(super) layout: &'a Layout,
    pub(super) physics: &'a Physics,
    pub(super) robots: &'a [Robot],
    pub(super) steps: u32,
    /// Index of the robot in the layout.
    pub(super) index: usize,
    pub(super) robot: &'a Robot,
}

impl<'a> Ego<'a> {
    /// The episode's layout.
    pub fn layout(self) -> &'a Layout {
        self.layout
    }

    /// The robot's parameters in this episode, start and goal included.
    pub fn parameters(self) -> &'a RobotParameters {
        &self.layout.robots[self.index]
    }

    /// Control steps since the episode began.
    pub fn steps(self) -> u32 {
        self.steps
    }

    /// Position and heading of the robot.
    pub fn pose(self) -> Pose2 {
        self.robot.pose
    }

    /// The pose that the robot estimates from its odometry; the true pose without odometry.
    pub fn estimated_pose(self) -> Pose2 {
        let odometry = self.robot.odometry.as_ref();
        odometry.map_or(self.robot.pose, |odometry| odometry.estimate)
    }

    /// Position of the robot's origin, metres.
    pub fn position(self) -> Point2<f32> {
        Point2::new(self.robot.pose.x, self.robot.pose.y)
    }

    /// The robot's actual motion.
    pub fn motion(self) -> Twist {
        self.robot.motion
    }

    /// Writes the motion of the wheels, `[act]`, each number relative to its bound: see
    /// `ObservationBlock::Velocity`.
    ///
    /// # Panics
    /// If `out` is shorter than an action.
    pub fn observe_velocity(self, out: &mut [f32]) {
        self.robot.drive.observe(out);
    }

    /// Lidar readings, metres, `[beams]`.
    pub fn ranges(self) -> &'a [f32] {
        self.robot.sensor.ranges(self.steps)
    }

    /// Whether each scan is exact, of the current step, and cast from the robot's origin along its
    /// heading.
    pub fn has_ideal_lidar(self) -> bool {
        self.robot.sensor.is_ideal
    }

    /// Clearances from the robot's footprint to the nearest wall or static obstacle and to the
    /// nearest mover or other robot, metres. Slightly negative where the solver let the robot sink
    /// in.
    pub fn clearances(self) -> Clearances {
        let (layout, robot) = (self.layout, self.robot);
        let Some(footprint) = robot.placed_footprint(self.parameters()) else {
            return robot.circle_clearances();
        };
        let movers = layout.movers.iter().enumerate().map(|(index, mover)| {
            let at = self.physics.mover(index).position;
            footprint.distance_to_disc(at, mover.radius)
        });
        let robots = self
            .others()
            .map(|other| other.distance_to_footprint(&footprint));
        Clearances {
            fixed: robot.footprint_clearance(&footprint, layout),
            mover: movers.chain(robots).fold(f32::INFINITY, f32::min),
        }
    }

    /// Footprints of the other robots, of those that are not round.
    fn others(self) -> impl Iterator<Item = Footprint> {
        let index = self.index;
        let robots = self.robots.iter().zip(&self.layout.robots).enumerate();
        robots
            .filter(move |(other, _)| *other != index)
            .filter_map(|(_, (robot, parameters))| robot.placed_footprint(parameters))
    }

    /// What the robot touched in this control step: in its first physics step with a contact, and
    /// there the nearer kind, if it touched both.
    pub fn contact(self) -> Option<StaticOrMoving> {
        self.robot.touched.or_else(|| self.current_contact())
    }

    /// What the robot touches; the nearer kind, if it touches both.
    pub(super) fn current_contact(self) -> Option<StaticOrMoving> {
        // The enclosing circle first, because its clearance is at hand.
        let mut clearance = self.robot.circle_clearances();
        let touches =
            |clearance: &Clearances| clearance.fixed.min(clearance.mover) < CONTACT_DISTANCE;
        if !touches(&clearance) {
            return None;
        }
        if !self.robot.is_round {
            clearance = self.clearances();
        }
        let kind = if clearance.mover < clearance.fixed {
            StaticOrMoving::Moving
        } else {
            StaticOrMoving::Static
        };
        touches(&clearance).then_some(kind)
    }

    /// Writes the state of the robot for viewers, recorders and evaluations.
    pub(super) fn snapshot(self, snapshot: &mut RobotSnapshot) {
        let clearance = self.clearances();
        let nearest = clearance.fixed.min(clearance.mover);
        let (pose, motion) = (self.robot.pose, self.robot.motion);
        snapshot.position = [pose.x, pose.y];
        snapshot.heading_rad = libm::atan2f(pose.sin, pose.cos);
        snapshot.speed_mps = motion.speed;
        snapshot.side_speed_mps = motion.side_speed;
        snapshot.turn_rate_radps = motion.turn_rate;
        snapshot.inactive = self.robot.inactive;
        snapshot.contact = self.robot.touched.is_some() || nearest < CONTACT_DISTANCE;
        snapshot.clearance_m = nearest.max(0.0);
        snapshot.ranges_m.clear();
        snapshot.ranges_m.extend_from_slice(self.ranges());
    }
}
