//! Draws robots: footprint, wheels according to the drive, heading, contacts.

use bevy_egui::egui::{Color32, Pos2, Stroke, Vec2};
use nalgebra::Vector2;

use super::canvas::{SceneCanvas, circle};
use super::moving::HEIGHT_M;
use crate::view::episode_view::InterpolatedRobot;
use crate::view::theme::{faded, mix};
use evenkeel_sim::scenario::{DriveLimits, RobotParameters};

/// Least radius of a robot on the screen, pixels.
pub(super) const MIN_RADIUS: f32 = 5.0;
/// Below this speed the steering angle of a car is unknown and drawn as 0, metres per second.
const MIN_STEERING_SPEED_MPS: f32 = 0.02;
/// Half the length and half the width of a wheel, as shares of [`DrawnFootprint::unit`].
const WHEEL: [f32; 2] = [0.34, 0.13];

/// A robot's outline in its own frame, pixels: x ahead, y to the left.
struct DrawnFootprint {
    /// Corners, counter-clockwise; empty if the robot is a disc.
    corners: Vec<Vector2<f32>>,
    /// Half of the shorter side, or the radius.
    unit: f32,
    /// Least and greatest x: `[rear, front]`.
    extent: [f32; 2],
}

impl DrawnFootprint {
    fn new(robot: &RobotParameters, scale: f32) -> Self {
        let radius = robot.radius * scale;
        let footprint = robot.footprint.as_ref().filter(|_| radius >= MIN_RADIUS);
        let Some(footprint) = footprint else {
            let radius = radius.max(MIN_RADIUS);
            return Self {
                corners: Vec::new(),
                unit: radius,
                extent: [-radius, radius],
            };
        };
        let corners: Vec<_> = footprint
            .corners()
            .iter()
            .map(|corner| corner * scale)
            .collect();
        let range = |axis: usize| {
            let along = corners.iter().map(|corner| corner[axis]);
            let (least, most) = (f32::INFINITY, f32::NEG_INFINITY);
            along.fold([least, most], |[a, b], x| [a.min(x), b.max(x)])
        };
        let (x, y) = (range(0), range(1));
        Self {
            unit: 0.5 * (x[1] - x[0]).min(y[1] - y[0]),
            extent: x,
            corners,
        }
    }

    /// Distance from the x axis to the outline at `x`, on the left (`side` is 1) or right (-1).
    fn half_width(&self, x: f32, side: f32) -> f32 {
        if self.corners.is_empty() {
            return (self.unit * self.unit - x * x).max(0.0).sqrt();
        }
        let next = self.corners.iter().cycle().skip(1);
        let crossings = self.corners.iter().zip(next).filter_map(|(a, b)| {
            let share = (x - a.x) / (b.x - a.x);
            let on = (0.0..=1.0).contains(&share);
            on.then(|| side * (a.y + share * (b.y - a.y)))
        });
        crossings.fold(0.0, f32::max)
    }

    /// Centre of each wheel, and its angle from the heading, radians.
    fn wheels(
        &self,
        drive: &DriveLimits,
        robot: &InterpolatedRobot,
        scale: f32,
    ) -> Vec<([f32; 2], f32)> {
        let [half, width] = WHEEL.map(|share| share * self.unit);
        let axle = |x: f32, angle: f32| {
            [-1.0, 1.0].map(|side| {
                let ends = [x - half, x + half].map(|x| self.half_width(x, side));
                let edge = ends[0].min(ends[1]);
                ([x, side * (0.9 * edge - width)], angle)
            })
        };
        let [rear, front] = self.extent;
        match drive {
            DriveLimits::Differential(_) => axle(0.0, 0.0).to_vec(),
            DriveLimits::Omni(_) => {
                let middle = 0.5 * (rear + front);
                let offset = 0.5 * (front - rear) - 1.9 * half;
                [axle(middle - offset, 0.0), axle(middle + offset, 0.0)].concat()
            }
            DriveLimits::Ackermann(car) => {
                let wheelbase = car.wheelbase * scale;
                let steering = steering_angle(car.wheelbase, robot);
                [axle(0.0, 0.0), axle(wheelbase, steering)].concat()
            }
        }
    }
}

/// Steering angle of a car's front wheels, radians, from its speed and turn rate (bicycle model).
fn steering_angle(wheelbase_m: f32, robot: &InterpolatedRobot) -> f32 {
    if robot.speed_mps.abs() < MIN_STEERING_SPEED_MPS {
        return 0.0;
    }
    libm::atanf(robot.turn_rate_radps * wheelbase_m / robot.speed_mps)
}

impl SceneCanvas<'_> {
    pub(super) fn robot_shadow(&self, robot: &InterpolatedRobot, parameters: &RobotParameters) {
        let footprint = DrawnFootprint::new(parameters, self.transform.scale);
        self.shadow(&self.robot_outline(robot, &footprint), HEIGHT_M);
    }

    /// Draws footprint, wheels and heading. A `ghost` is translucent.
    pub(super) fn robot(
        &self,
        robot: &InterpolatedRobot,
        parameters: &RobotParameters,
        arm_color: Color32,
        ghost: bool,
    ) {
        let palette = self.palette;
        let scale = self.transform.scale;
        let footprint = DrawnFootprint::new(parameters, scale);
        let point = self.robot_to_screen(robot);
        let alpha = if ghost { 0.8 } else { 1.0 };
        let edge = (0.09 * footprint.unit).clamp(1.0, 4.0);
        let rim = mix(arm_color, palette.wheel, 0.35);
        self.polygon(
            self.robot_outline(robot, &footprint),
            faded(arm_color, alpha),
            Stroke::new(edge, faded(rim, alpha)),
        );
        let [half, width] = WHEEL.map(|share| share * footprint.unit);
        for ([x, y], angle) in footprint.wheels(&parameters.drive, robot, scale) {
            let (sin, cos) = libm::sincosf(angle);
            let wheel = [
                (-half, -width),
                (half, -width),
                (half, width),
                (-half, width),
            ];
            let corners = wheel.map(|(a, b)| point(x + a * cos - b * sin, y + a * sin + b * cos));
            self.polygon(corners.to_vec(), faded(palette.wheel, alpha), Stroke::NONE);
        }
        // The heading is a concave arrowhead, drawn as two triangles.
        let middle = 0.5 * (footprint.extent[0] + footprint.extent[1]);
        let arrow = |x: f32, y: f32| point(middle + x * footprint.unit, y * footprint.unit);
        let (tip, notch) = (arrow(0.86, 0.0), arrow(-0.2, 0.0));
        for side in [-1.0, 1.0] {
            let corner = arrow(-0.48, side * 0.42);
            self.polygon(vec![tip, corner, notch], palette.nose, Stroke::NONE);
        }
    }

    /// Maps a point in the robot's frame, pixels, to the screen.
    fn robot_to_screen(&self, robot: &InterpolatedRobot) -> impl Fn(f32, f32) -> Pos2 {
        let at = self.transform.to_screen(robot.position);
        let (sin, cos) = libm::sincosf(robot.heading_rad);
        let (ahead, left) = (Vec2::new(cos, -sin), Vec2::new(-sin, -cos));
        move |x, y| at + ahead * x + left * y
    }

    /// The outline of a robot on the screen.
    fn robot_outline(&self, robot: &InterpolatedRobot, footprint: &DrawnFootprint) -> Vec<Pos2> {
        if footprint.corners.is_empty() {
            return circle(self.transform.to_screen(robot.position), footprint.unit);
        }
        let point = self.robot_to_screen(robot);
        let corners = footprint.corners.iter();
        corners.map(|corner| point(corner.x, corner.y)).collect()
    }

    /// Draws a robot's number above it.
    pub(super) fn robot_number(
        &self,
        robot: &InterpolatedRobot,
        parameters: &RobotParameters,
        number: usize,
    ) {
        let radius = self.px(parameters.radius).max(MIN_RADIUS);
        if radius > MIN_RADIUS {
            let at = self.transform.to_screen(robot.position) - Vec2::new(0.0, radius + 13.0);
            self.halo_text(at, &number.to_string(), self.palette.ink);
        }
    }

    /// Draws a ring around the selected robot.
    pub(super) fn selection_ring(&self, robot: &InterpolatedRobot, parameters: &RobotParameters) {
        let at = self.transform.to_screen(robot.position);
        let radius = self.px(parameters.radius).max(MIN_RADIUS);
        let stroke = Stroke::new(2.0, self.palette.ink);
        self.painter.circle_stroke(at, 1.2 * radius + 4.0, stroke);
    }

    /// Draws a ring that grows around a robot after a contact. `flash` goes from 1, at the contact,
    /// to 0.
    pub(super) fn contact_flash(
        &self,
        robot: &InterpolatedRobot,
        parameters: &RobotParameters,
        flash: f32,
    ) {
        let at = self.transform.to_screen(robot.position);
        let radius = self.px(parameters.radius).max(MIN_RADIUS);
        let color = self.palette.bad;
        let ring_radius = radius * (1.25 + 1.2 * (1.0 - flash));
        self.painter
            .circle_filled(at, ring_radius, faded(color, 0.3 * flash));
        let stroke = Stroke::new(1.0 + 3.0 * flash, faded(color, flash));
        self.painter.circle_stroke(at, ring_radius, stroke);
    }
}
