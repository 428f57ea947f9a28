//! A robot within a world: its drive, its senses, and how near its hull is to things.

use nalgebra::{Point2, Vector2};

use super::actuation::Actuator;
use super::drive::{Drive, Twist};
use super::lidar::{Distances, SensorPose};
use super::odometry::Odometry;
use super::physics::BodyState;
use super::scene::Scene;
use super::sensor::Sensor;
use crate::scenario::spec::RobotSpec;
use crate::scenario::{EpisodeKey, Layout, RobotPlacement};

/// A robot in one episode.
#[derive(Debug)]
pub(super) struct Robot {
    pub(super) drive: Drive,
    pub(super) actuator: Actuator,
    pub(super) sensor: Sensor,
    pub(super) odometry: Option<Box<Odometry>>,
    /// Radius of the circle about it, metres, and whether it is that circle.
    pub(super) radius: f32,
    pub(super) is_round: bool,
    /// Metres per second.
    max_speed: f32,
    pub(super) pose: SensorPose,
    /// What it does, which is what its wheels do where they don't slip.
    pub(super) motion: Twist,
    /// From its origin.
    pub(super) distances: Distances,
    /// Whether the solver changed its velocity in the last physics step.
    pub(super) touched: bool,
}

impl Robot {
    /// A robot without an episode.
    pub(super) fn new(spec: &RobotSpec) -> Self {
        Self {
            drive: Drive::default(),
            actuator: Actuator::default(),
            sensor: Sensor::new(&spec.lidar),
            odometry: None,
            radius: 0.0,
            is_round: true,
            max_speed: 0.0,
            pose: SensorPose::default(),
            motion: Twist::default(),
            distances: Distances::default(),
            touched: false,
        }
    }

    /// Begins an episode where the body is; a look has to follow.
    pub(super) fn begin(
        &mut self,
        placement: &RobotPlacement,
        body: &BodyState,
        key: EpisodeKey,
        dt_secs: f32,
    ) {
        self.drive = Drive::new(&placement.drive);
        self.radius = placement.radius;
        self.is_round = placement.hull.is_none();
        self.max_speed = placement.drive.max_speed();
        self.actuator.begin(&placement.actuation, key, dt_secs);
        self.sensor
            .begin(placement.lidar, placement.lidar_range, key, dt_secs);
        self.pose = pose(body);
        let odometry = placement.odometry;
        self.odometry = odometry.map(|numbers| Box::new(Odometry::begin(numbers, key, self.pose)));
        self.motion = Twist::default();
        self.touched = false;
    }

    /// Velocity across the heading that is left of the last step, metres per second: wheels that
    /// only roll do not move sideways, except along something that the robot is pressed against.
    #[inline]
    pub(super) fn slide(&self, body: &BodyState) -> Vector2<f32> {
        if !self.touched || self.drive.moves_sideways() {
            return Vector2::zeros();
        }
        let across = left_of(body.heading);
        across
            * body
                .velocity
                .dot(&across)
                .clamp(-self.max_speed, self.max_speed)
    }

    /// Takes over what a physics step has made of the wheels' motion.
    #[inline]
    pub(super) fn settle(&mut self, motion: Twist, body: &BodyState) {
        if !self.touched {
            self.motion = motion;
            return;
        }
        let aside = self.drive.moves_sideways();
        self.motion = Twist {
            speed: body.velocity.dot(&body.heading),
            side_speed: if aside {
                body.velocity.dot(&left_of(body.heading))
            } else {
                0.0
            },
            turn_rate: body.turn_rate,
        };
        self.drive.settle(self.motion);
    }

    /// Takes over where the body is, and looks around from there.
    #[inline]
    pub(super) fn look(&mut self, scene: &Scene, body: &BodyState, step: u32) {
        self.pose = pose(body);
        self.distances = self.sensor.look(scene, self.pose, step);
    }

    /// Distance from its hull to the nearest wall or obstacle and to the nearest mover, metres;
    /// slightly negative where the solver let it sink in.
    pub(super) fn clearance(
        &self,
        layout: &Layout,
        movers: impl Iterator<Item = Point2<f32>>,
    ) -> Distances {
        let Some(hull) = &layout.robots[0].hull else {
            return self.around();
        };
        let SensorPose { x, y, cos, sin } = self.pose;
        let at = Point2::new(x, y);
        let hull = hull.placed(at, Vector2::new(cos, sin));
        let mut fixed = hull.distance_to_walls(&layout.arena);
        for obstacle in layout.standing_near(at, fixed + self.radius) {
            // No part of the hull is nearer to it than the circle that holds it.
            if obstacle.signed_distance(at) - self.radius < fixed {
                fixed = fixed.min(hull.distance(obstacle));
            }
        }
        let gaps = movers
            .zip(&layout.movers)
            .map(|(at, mover)| hull.distance_to_disc(at, mover.radius));
        Distances {
            fixed,
            mover: gaps.fold(f32::INFINITY, f32::min),
        }
    }

    /// The same from the circle about its origin.
    #[inline]
    pub(super) fn around(&self) -> Distances {
        Distances {
            fixed: self.distances.fixed - self.radius,
            mover: self.distances.mover - self.radius,
        }
    }
}

fn left_of(heading: Vector2<f32>) -> Vector2<f32> {
    Vector2::new(-heading.y, heading.x)
}

fn pose(body: &BodyState) -> SensorPose {
    SensorPose {
        x: body.position.x,
        y: body.position.y,
        cos: body.heading.x,
        sin: body.heading.y,
    }
}
