//! A robot within a world: its drive, its sensors, and the distances from its footprint.

use nalgebra::{Point2, Vector2};

use super::actuation::Actuator;
use super::drive::{Action, Drive, Twist};
use super::ego::StaticOrMoving;
use super::lidar::{Clearances, Pose2};
use super::odometry::Odometry;
use super::physics::BodyState;
use super::scene::Scene;
use super::sensor::Sensor;
use super::sweep::{MAX_PENETRATION, footprint_clearance};
use crate::scenario::spec::RobotSpec;
use crate::scenario::{EpisodeKey, Footprint, Layout, RobotParameters};

/// Clearance that must remain after a step for the robot to coast, metres. More than the distance
/// at which the engine predicts contacts.
const CONTACT_FORESIGHT: f32 = 0.05;

/// A robot in one episode.
#[derive(Debug)]
pub(super) struct Robot {
    pub(super) drive: Drive,
    pub(super) actuator: Actuator,
    pub(super) sensor: Sensor,
    pub(super) odometry: Option<Box<Odometry>>,
    /// Radius of the enclosing circle around the origin, metres.
    pub(super) radius: f32,
    /// Whether the footprint is the enclosing circle.
    pub(super) is_round: bool,
    /// Largest forward speed, metres per second.
    max_forward_speed: f32,
    pub(super) pose: Pose2,
    /// The actual motion.
    pub(super) motion: Twist,
    /// Clearances from the origin, the footprint not subtracted.
    pub(super) clearances_from_origin: Clearances,
    /// Distance from the enclosing circle to that of the nearest other robot, metres; infinite
    /// without other robots.
    pub(super) gap: f32,
    /// Whether the solver changed the velocity in the last physics step.
    pub(super) pushed: bool,
    /// Whether the robot stays where it is for the rest of the episode.
    pub(super) inactive: bool,
    /// What the robot touched in a physics step of this control step before the last.
    pub(super) touched: Option<StaticOrMoving>,
    /// The motion of this control step, wheel slip included, as long as nothing is touched.
    pub(super) commanded: Twist,
    /// The velocity that the engine gets for this physics step, metres per second.
    pub(super) target_velocity: Vector2<f32>,
    /// Distance that the robot can travel in any direction, while turning, before it could touch
    /// anything, metres.
    free_distance: f32,
}

impl Robot {
    /// A robot that must be reset before its first step.
    pub(super) fn new(spec: &RobotSpec) -> Self {
        Self {
            drive: Drive::default(),
            actuator: Actuator::default(),
            sensor: Sensor::new(&spec.lidar),
            odometry: None,
            radius: 0.0,
            is_round: true,
            max_forward_speed: 0.0,
            pose: Pose2::default(),
            motion: Twist::default(),
            clearances_from_origin: Clearances::default(),
            gap: f32::INFINITY,
            pushed: false,
            inactive: false,
            touched: None,
            commanded: Twist::default(),
            target_velocity: Vector2::zeros(),
            free_distance: 0.0,
        }
    }

    /// Starts an episode at the pose of the body. The world must sense from it before the first step.
    pub(super) fn reset(
        &mut self,
        parameters: &RobotParameters,
        body: &BodyState,
        key: EpisodeKey,
        dt_secs: f32,
    ) {
        self.drive = Drive::new(&parameters.drive);
        self.radius = parameters.radius;
        self.is_round = parameters.footprint.is_none();
        self.max_forward_speed = parameters.drive.max_forward_speed();
        self.actuator.reset(&parameters.actuation, key, dt_secs);
        self.sensor.reset(parameters.lidar, key, dt_secs);
        self.pose = body.pose();
        let odometry = parameters.odometry;
        self.odometry = odometry.map(|errors| Box::new(Odometry::new(errors, key, self.pose)));
        self.motion = Twist::default();
        self.pushed = false;
        self.inactive = false;
        self.touched = None;
        self.gap = f32::INFINITY;
    }

    /// Sets the motion of the next control step: towards the action that takes effect after the
    /// actuation delay, or braking without one.
    pub(super) fn command(&mut self, action: Option<Action>, dt_secs: f32) {
        self.touched = None;
        let action = action.and_then(|action| self.actuator.delay(action));
        let wheels = self.drive.step_towards(action, dt_secs);
        self.commanded = self.actuator.apply_slip(wheels);
        // Two robots may approach each other, so each may use half of the gap.
        self.free_distance = self.circle_clearances().fixed.min(self.gap / 2.0);
    }

    /// Ends the robot's part of the episode.
    pub(super) fn deactivate(&mut self) {
        self.inactive = true;
        self.motion = Twist::default();
        self.commanded = Twist::default();
    }

    /// Sets the velocity for a physics step. Returns whether the step cannot touch anything.
    #[inline]
    pub(super) fn plan_step(&mut self, body: &BodyState, dt_secs: f32) -> bool {
        self.target_velocity =
            self.commanded.chord_velocity(body.heading, dt_secs) + self.slide(body);
        self.free_distance > self.planned_speed() * dt_secs + CONTACT_FORESIGHT
    }

    /// Speed in this physics step as long as nothing is touched, metres per second.
    #[inline]
    fn planned_speed(&self) -> f32 {
        let speed = self.commanded.norm();
        if self.pushed {
            // It slides across its heading, too.
            speed.max(self.target_velocity.norm())
        } else {
            speed
        }
    }

    /// Whether the robot passes all static obstacles in this physics step, however near: a closer
    /// test for when `plan_step` returns false. Always false for a robot that the engine pushed in
    /// the last step, because the engine keeps the contact.
    pub(super) fn is_clear_ahead(&self, scene: &Scene, body: &BodyState, dt_secs: f32) -> bool {
        let is_testable = self.is_round && !self.pushed;
        is_testable
            && scene.is_clear_ahead(body.position, self.target_velocity * dt_secs, self.radius)
    }

    /// Reduces the free distance by a physics step; to 0 if the engine made the step.
    #[inline]
    pub(super) fn use_free_distance(&mut self, coasted: bool, dt_secs: f32) {
        self.free_distance = if coasted {
            self.free_distance - self.planned_speed() * dt_secs
        } else {
            0.0
        };
    }

    /// Velocity across the heading that remains from the last step, metres per second. Wheels that
    /// only roll do not move sideways, except along a surface that the robot is pressed against.
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
                .clamp(-self.max_forward_speed, self.max_forward_speed)
    }

    /// Sets the actual motion from the result of a physics step.
    #[inline]
    pub(super) fn apply_physics(&mut self, body: &BodyState) {
        // Without a contact the robot moves as commanded, otherwise as the solver left it. A
        // contact does not turn a smooth disc.
        let turned = (body.turn_rate - self.commanded.turn_rate).abs() > 0.0;
        self.pushed = body.velocity != self.target_velocity || (turned && !self.is_round);
        if !self.pushed {
            self.motion = self.commanded;
            return;
        }
        let moves_sideways = self.drive.moves_sideways();
        self.motion = Twist {
            speed: body.velocity.dot(&body.heading),
            side_speed: if moves_sideways {
                body.velocity.dot(&left_of(body.heading))
            } else {
                0.0
            },
            turn_rate: body.turn_rate,
        };
        self.drive.set_twist(self.motion);
    }

    /// Whether the robot cannot have touched a wall or a static obstacle since its clearances were
    /// measured.
    pub(super) fn is_clear_of_static(&self, body: &BodyState) -> bool {
        let offset = body.position - Point2::new(self.pose.x, self.pose.y);
        self.clearances_from_origin.fixed - self.radius > offset.norm() + MAX_PENETRATION
    }

    /// Takes the pose of the body, and measures the clearances from there, but casts no beams.
    pub(super) fn measure(&mut self, scene: &Scene, body: &BodyState) {
        self.pose = body.pose();
        self.clearances_from_origin = self.sensor.measure(scene, self.pose);
    }

    /// The footprint at the current pose; `None` for a round robot.
    pub(super) fn placed_footprint(&self, parameters: &RobotParameters) -> Option<Footprint> {
        let Pose2 { x, y, cos, sin } = self.pose;
        let footprint = parameters.footprint.as_ref()?;
        Some(footprint.placed(Point2::new(x, y), Vector2::new(cos, sin)))
    }

    /// Distance from a placed footprint to the nearest wall or static obstacle, metres.
    pub(super) fn footprint_clearance(&self, footprint: &Footprint, layout: &Layout) -> f32 {
        let at = Point2::new(self.pose.x, self.pose.y);
        footprint_clearance(footprint, at, self.radius, layout)
    }

    /// Whether position, heading and velocity are finite numbers.
    pub(super) fn is_finite(&self) -> bool {
        let Pose2 { x, y, cos, sin } = self.pose;
        let Twist {
            speed,
            side_speed,
            turn_rate,
        } = self.motion;
        [x, y, cos, sin, speed, side_speed, turn_rate]
            .iter()
            .all(|v| v.is_finite())
    }

    /// Clearances from the enclosing circle.
    #[inline]
    pub(super) fn circle_clearances(&self) -> Clearances {
        Clearances {
            fixed: self.clearances_from_origin.fixed - self.radius,
            mover: (self.clearances_from_origin.mover - self.radius).min(self.gap),
        }
    }
}

fn left_of(heading: Vector2<f32>) -> Vector2<f32> {
    Vector2::new(-heading.y, heading.x)
}
