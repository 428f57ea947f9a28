//! A robot within a world: its drive, its senses, and how near its hull is to what stands.

use nalgebra::{Point2, Vector2};

use super::actuation::Actuator;
use super::drive::{Action, Drive, Twist};
use super::lidar::{Distances, SensorPose};
use super::odometry::Odometry;
use super::physics::BodyState;
use super::scene::Scene;
use super::sensor::Sensor;
use crate::scenario::spec::RobotSpec;
use crate::scenario::{EpisodeKey, Footprint, Layout, RobotPlacement};

/// Surfaces nearer than this beyond the way of a step are left to the engine's solver, metres:
/// more than it foresees contacts by.
const CONTACT_FORESIGHT: f32 = 0.05;

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
    /// From the circle about it to that about the nearest other robot, metres; infinite alone.
    pub(super) gap: f32,
    /// Whether the solver changed its velocity in the last physics step.
    pub(super) pushed: bool,
    /// Whether it stays where it is for the rest of the episode.
    pub(super) inactive: bool,
    /// What it is to do in this control step, if its wheels do not slip otherwise.
    commanded: Twist,
    /// What the engine is to do with it in this physics step.
    pub(super) target_velocity: Vector2<f32>,
    /// How far it can travel in any direction, turning as it likes, before it could touch anything,
    /// metres.
    free_distance: f32,
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
            gap: f32::INFINITY,
            pushed: false,
            inactive: false,
            commanded: Twist::default(),
            target_velocity: Vector2::zeros(),
            free_distance: 0.0,
        }
    }

    /// Begins an episode where the body is; a look has to follow.
    pub(super) fn reset(
        &mut self,
        placement: &RobotPlacement,
        body: &BodyState,
        key: EpisodeKey,
        dt_secs: f32,
    ) {
        self.drive = Drive::new(&placement.drive);
        self.radius = placement.radius;
        self.is_round = placement.footprint.is_none();
        self.max_speed = placement.drive.max_speed();
        self.actuator.reset(&placement.actuation, key, dt_secs);
        self.sensor
            .reset(placement.lidar, placement.lidar_range, key, dt_secs);
        self.pose = pose(body);
        let odometry = placement.odometry;
        self.odometry = odometry.map(|numbers| Box::new(Odometry::new(numbers, key, self.pose)));
        self.motion = Twist::default();
        self.pushed = false;
        self.inactive = false;
        self.gap = f32::INFINITY;
    }

    /// Takes what it is to do in the next control step: towards what an action asks for once that
    /// takes effect, or with the brakes on.
    pub(super) fn command(&mut self, action: Option<Action>, dt_secs: f32) {
        let action = action.and_then(|action| self.actuator.delay(action));
        let wheels = self.drive.step_towards(action, dt_secs);
        self.commanded = self.actuator.apply_slip(wheels);
        // Others come nearer as well as it does.
        self.free_distance = self.circle_clearance().fixed.min(self.gap / 2.0);
    }

    /// Ends its part in the episode.
    pub(super) fn deactivate(&mut self) {
        self.inactive = true;
        self.motion = Twist::default();
        self.commanded = Twist::default();
    }

    /// Sets its course for a physics step; true if nothing can be touched on it.
    #[inline]
    pub(super) fn plan_step(&mut self, body: &BodyState, dt_secs: f32) -> bool {
        self.target_velocity =
            self.commanded.chord_velocity(body.heading, dt_secs) + self.slide(body);
        self.free_distance > self.commanded.norm() * dt_secs + CONTACT_FORESIGHT
    }

    /// Whether it passes by all that stands on that course, however near: asked where `plan_step`
    /// could not say so. Not for a robot that the engine pushed in the last step, of which the
    /// engine still knows.
    pub(super) fn is_clear_ahead(&self, scene: &Scene, body: &BodyState, dt_secs: f32) -> bool {
        let may = self.is_round && !self.pushed;
        may && scene.is_clear_ahead(body.position, self.target_velocity * dt_secs, self.radius)
    }

    /// The rate at which it is to turn, radians per second.
    pub(super) fn turn_rate(&self) -> f32 {
        self.commanded.turn_rate
    }

    /// Notes that it has coasted for a physics step, or may be anywhere.
    #[inline]
    pub(super) fn use_free_distance(&mut self, coasted: bool, dt_secs: f32) {
        self.free_distance = if coasted {
            self.free_distance - self.commanded.norm() * dt_secs
        } else {
            0.0
        };
    }

    /// Velocity across the heading that is left of the last step, metres per second: wheels that
    /// only roll do not move sideways, except along something that the robot is pressed against.
    #[inline]
    fn slide(&self, body: &BodyState) -> Vector2<f32> {
        if !self.pushed || self.drive.moves_sideways() {
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
    pub(super) fn apply_physics(&mut self, body: &BodyState) {
        // Where nothing was touched the wheels do what was asked for; otherwise they do what
        // the solver left. A smooth disc is not turned by what it touches.
        let turned = (body.turn_rate - self.commanded.turn_rate).abs() > 0.0;
        self.pushed = body.velocity != self.target_velocity || (turned && !self.is_round);
        if !self.pushed {
            self.motion = self.commanded;
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
        self.drive.set_twist(self.motion);
    }

    /// Takes over where the body is, and looks around from there.
    #[inline]
    pub(super) fn sense(&mut self, scene: &Scene, body: &BodyState, step: u32) {
        self.pose = pose(body);
        self.distances = self.sensor.sense(scene, self.pose, step);
    }

    /// Its outline where it is now, if it is not round.
    pub(super) fn hull(&self, placement: &RobotPlacement) -> Option<Footprint> {
        let SensorPose { x, y, cos, sin } = self.pose;
        let footprint = placement.footprint.as_ref()?;
        Some(footprint.placed(Point2::new(x, y), Vector2::new(cos, sin)))
    }

    /// Distance from the hull of one that is not round to the nearest wall or obstacle, metres.
    pub(super) fn footprint_clearance(&self, footprint: &Footprint, layout: &Layout) -> f32 {
        let at = Point2::new(self.pose.x, self.pose.y);
        let mut fixed = footprint.distance_to_walls(&layout.arena);
        for obstacle in layout.all_obstacles_near(at, fixed + self.radius) {
            // No part of the hull is nearer to it than the circle that holds it.
            if obstacle.signed_distance(at) - self.radius < fixed {
                fixed = fixed.min(footprint.distance(obstacle));
            }
        }
        fixed
    }

    /// Whether position, heading and velocity are finite numbers.
    pub(super) fn is_finite(&self) -> bool {
        let SensorPose { x, y, cos, sin } = self.pose;
        let Twist {
            speed,
            side_speed,
            turn_rate,
        } = self.motion;
        [x, y, cos, sin, speed, side_speed, turn_rate]
            .iter()
            .all(|v| v.is_finite())
    }

    /// Distances from the circle about its origin.
    #[inline]
    pub(super) fn circle_clearance(&self) -> Distances {
        Distances {
            fixed: self.distances.fixed - self.radius,
            mover: (self.distances.mover - self.radius).min(self.gap),
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
