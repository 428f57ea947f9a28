//! A world as one of its robots has it: where it is, what it reads, what it touches. Whoever asks
//! for a robot of several does so through here.

use nalgebra::Point2;

use super::RobotSnapshot;
use super::lidar::{Distances, SensorPose};
use super::robot::Robot;
use super::world::{CONTACT_DISTANCE, ContactKind, World};
use crate::scenario::{Footprint, Layout, RobotPlacement};

/// One robot of a world.
#[derive(Clone, Copy)]
pub struct Ego<'a> {
    world: &'a World,
    robot: &'a Robot,
    index: usize,
}

impl<'a> Ego<'a> {
    #[inline]
    pub(super) fn new(world: &'a World, index: usize) -> Self {
        let robot = &world.robots[index];
        Self {
            world,
            robot,
            index,
        }
    }

    /// The episode's layout.
    pub fn layout(self) -> &'a Layout {
        &self.world.layout
    }

    /// The robot's numbers for this episode.
    pub fn placement(self) -> &'a RobotPlacement {
        &self.world.layout.robots[self.index]
    }

    /// Control steps since the episode began.
    pub fn steps(self) -> u32 {
        self.world.steps
    }

    /// Position and heading of the robot.
    pub fn pose(self) -> SensorPose {
        self.robot.pose
    }

    /// Where the robot believes itself to be: where it is, unless odometry tells it.
    pub fn estimated_pose(self) -> SensorPose {
        let odometry = self.robot.odometry.as_ref();
        odometry.map_or(self.robot.pose, |odometry| odometry.estimate())
    }

    /// Position of the robot's origin, metres.
    pub fn position(self) -> Point2<f32> {
        Point2::new(self.robot.pose.x, self.robot.pose.y)
    }

    /// Writes what the robot's wheels do, each number over its bound: see
    /// `ObservationBlock::Velocity`.
    ///
    /// # Panics
    /// If `out` is shorter than the drive has actions.
    pub fn observe_velocity(self, out: &mut [f32]) {
        self.robot.drive.observe(out);
    }

    /// Lidar readings, metres, `[beams]`.
    pub fn ranges(self) -> &'a [f32] {
        self.robot.sensor.ranges(self.world.steps)
    }

    /// Whether the lidar reads what is true, at every step, from the robot's origin.
    pub fn has_ideal_lidar(self) -> bool {
        self.robot.sensor.is_ideal()
    }

    /// Distance from the robot's hull to the nearest wall or obstacle and to the nearest mover or
    /// other robot, metres; slightly negative where the solver let it sink in.
    pub fn clearance(self) -> Distances {
        let (world, robot) = (self.world, self.robot);
        let Some(footprint) = robot.hull(self.placement()) else {
            return robot.circle_clearance();
        };
        let movers = world
            .layout
            .movers
            .iter()
            .enumerate()
            .map(|(index, mover)| {
                let at = world.physics.mover(index).position;
                footprint.distance_to_disc(at, mover.radius)
            });
        let robots = self
            .others()
            .map(|other| other.distance_to_footprint(&footprint));
        Distances {
            fixed: robot.footprint_clearance(&footprint, &world.layout),
            mover: movers.chain(robots).fold(f32::INFINITY, f32::min),
        }
    }

    /// Outlines of the other robots, where they are not round.
    fn others(self) -> impl Iterator<Item = Footprint> {
        let (robots, index) = (&self.world.robots, self.index);
        let placed = robots.iter().zip(&self.world.layout.robots).enumerate();
        placed
            .filter(move |(other, _)| *other != index)
            .filter_map(|(_, (robot, placement))| robot.hull(placement))
    }

    /// What the robot touches, the nearer of the two kinds.
    pub fn contact(self) -> Option<ContactKind> {
        // The circle about a hull is looked at first, for it takes nothing to do so.
        let mut clearance = self.robot.circle_clearance();
        let near = |clearance: &Distances| clearance.fixed.min(clearance.mover) < CONTACT_DISTANCE;
        if !near(&clearance) {
            return None;
        }
        if !self.robot.is_round {
            clearance = self.clearance();
        }
        let touch = if clearance.mover < clearance.fixed {
            ContactKind::Mover
        } else {
            ContactKind::Static
        };
        near(&clearance).then_some(touch)
    }

    /// Writes what viewers, recorders and evaluations see of it.
    pub(super) fn snapshot(self, frame: &mut RobotSnapshot) {
        let clearance = self.clearance();
        let nearest = clearance.fixed.min(clearance.mover);
        let (pose, motion) = (self.robot.pose, self.robot.motion);
        frame.position = [pose.x, pose.y];
        frame.heading_rad = libm::atan2f(pose.sin, pose.cos);
        frame.speed_mps = motion.speed;
        frame.side_speed_mps = motion.side_speed;
        frame.turn_rate_radps = motion.turn_rate;
        frame.inactive = self.robot.inactive;
        frame.contact = nearest < CONTACT_DISTANCE;
        frame.clearance_m = nearest.max(0.0);
        frame.ranges_m.clear();
        frame.ranges_m.extend_from_slice(self.ranges());
    }
}
