//! Robots: hull, wheels as their drive has them, heading, contact.

use bevy_egui::egui::{Color32, Pos2, Stroke, Vec2};
use nalgebra::Vector2;

use super::canvas::{SceneCanvas, circle};
use super::moving::HEIGHT_M;
use crate::view::episode_view::InterpolatedRobot;
use crate::view::theme::{faded, mix};
use evenkeel_sim::scenario::{DriveLimits, RobotPlacement};

/// Least radius of a robot on the screen, pixels.
pub(super) const LEAST: f32 = 5.0;
/// Slower than this, nothing tells how a car's wheels are turned, metres per second.
const ROLLING_MPS: f32 = 0.02;
/// Half of a wheel's length and of its width, as shares of the body's lesser half side.
const WHEEL: [f32; 2] = [0.34, 0.13];

/// A body in its own frame, pixels: x ahead, y to the left.
struct DrawnFootprint {
    /// Corners, counter-clockwise; none where it is a disc.
    corners: Vec<Vector2<f32>>,
    /// Half of its lesser side, or its radius.
    unit: f32,
    /// From its rear to its front.
    reach: [f32; 2],
}

impl DrawnFootprint {
    fn new(robot: &RobotPlacement, scale: f32) -> Self {
        let radius = robot.radius * scale;
        let footprint = robot.footprint.as_ref().filter(|_| radius >= LEAST);
        let Some(footprint) = footprint else {
            let radius = radius.max(LEAST);
            return Self {
                corners: Vec::new(),
                unit: radius,
                reach: [-radius, radius],
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
            reach: x,
            corners,
        }
    }

    /// How far the body goes to one side (1 is left, -1 right) of its x axis at `x`.
    fn side(&self, x: f32, side: f32) -> f32 {
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

    /// Middles of the wheels, and how they are turned from the heading, radians.
    fn wheels(
        &self,
        drive: &DriveLimits,
        robot: &InterpolatedRobot,
        scale: f32,
    ) -> Vec<([f32; 2], f32)> {
        let [half, width] = WHEEL.map(|share| share * self.unit);
        let axle = |x: f32, turned: f32| {
            [-1.0, 1.0].map(|side| {
                let edge = self.side(x - half, side).min(self.side(x + half, side));
                ([x, side * (0.9 * edge - width)], turned)
            })
        };
        let [rear, front] = self.reach;
        match drive {
            DriveLimits::Differential(_) => axle(0.0, 0.0).to_vec(),
            DriveLimits::Omni(_) => {
                let middle = 0.5 * (rear + front);
                let out = 0.5 * (front - rear) - 1.9 * half;
                [axle(middle - out, 0.0), axle(middle + out, 0.0)].concat()
            }
            DriveLimits::Ackermann(car) => {
                let ahead = car.wheelbase * scale;
                let turned = steering(car.wheelbase, robot);
                [axle(0.0, 0.0), axle(ahead, turned)].concat()
            }
        }
    }
}

/// How a car's front wheels are turned, radians, by the arc that it drives.
fn steering(wheelbase: f32, robot: &InterpolatedRobot) -> f32 {
    if robot.speed_mps.abs() < ROLLING_MPS {
        return 0.0;
    }
    libm::atanf(robot.turn_rate_radps * wheelbase / robot.speed_mps)
}

impl SceneCanvas<'_> {
    pub(super) fn robot_shadow(&self, robot: &InterpolatedRobot, body: &RobotPlacement) {
        let shape = DrawnFootprint::new(body, self.view.scale);
        self.shadow(&self.outline_of(robot, &shape), HEIGHT_M);
    }

    /// Hull, wheels and heading. `ghost` lets what is below shine through.
    pub(super) fn robot(
        &self,
        robot: &InterpolatedRobot,
        body: &RobotPlacement,
        arm: Color32,
        ghost: bool,
    ) {
        let palette = self.palette;
        let shape = DrawnFootprint::new(body, self.view.scale);
        let point = self.frame_of(robot);
        let alpha = if ghost { 0.8 } else { 1.0 };
        let edge = (0.09 * shape.unit).clamp(1.0, 4.0);
        let rim = mix(arm, palette.wheel, 0.35);
        self.polygon(
            self.outline_of(robot, &shape),
            faded(arm, alpha),
            Stroke::new(edge, faded(rim, alpha)),
        );
        let [half, width] = WHEEL.map(|share| share * shape.unit);
        for ([x, y], turned) in shape.wheels(&body.drive, robot, self.view.scale) {
            let (sin, cos) = libm::sincosf(turned);
            let wheel = [
                (-half, -width),
                (half, -width),
                (half, width),
                (-half, width),
            ];
            let corners = wheel.map(|(a, b)| point(x + a * cos - b * sin, y + a * sin + b * cos));
            self.polygon(corners.to_vec(), faded(palette.wheel, alpha), Stroke::NONE);
        }
        // A concave arrowhead, as two triangles.
        let middle = 0.5 * (shape.reach[0] + shape.reach[1]);
        let on = |x: f32, y: f32| point(middle + x * shape.unit, y * shape.unit);
        let (tip, notch) = (on(0.86, 0.0), on(-0.2, 0.0));
        for side in [-1.0, 1.0] {
            let corner = on(-0.48, side * 0.42);
            self.polygon(vec![tip, corner, notch], palette.nose, Stroke::NONE);
        }
    }

    /// Takes pixels in the robot's frame to the screen.
    fn frame_of(&self, robot: &InterpolatedRobot) -> impl Fn(f32, f32) -> Pos2 {
        let at = self.view.at(robot.position);
        let (sin, cos) = libm::sincosf(robot.heading_rad);
        let (ahead, left) = (Vec2::new(cos, -sin), Vec2::new(-sin, -cos));
        move |x, y| at + ahead * x + left * y
    }

    /// The outline of a robot on the screen.
    fn outline_of(&self, robot: &InterpolatedRobot, shape: &DrawnFootprint) -> Vec<Pos2> {
        if shape.corners.is_empty() {
            return circle(self.view.at(robot.position), shape.unit);
        }
        let point = self.frame_of(robot);
        let corners = shape.corners.iter();
        corners.map(|corner| point(corner.x, corner.y)).collect()
    }

    /// A ring around the robot that is looked at.
    pub(super) fn ring(&self, robot: &InterpolatedRobot, body: &RobotPlacement) {
        let at = self.view.at(robot.position);
        let radius = self.px(body.radius).max(LEAST);
        let stroke = Stroke::new(2.0, self.palette.ink);
        self.painter.circle_stroke(at, 1.2 * radius + 4.0, stroke);
    }

    /// A ring that spreads from a robot that touched something; `fresh` is 1 at the contact.
    pub(super) fn flash(&self, robot: &InterpolatedRobot, body: &RobotPlacement, fresh: f32) {
        let at = self.view.at(robot.position);
        let radius = self.px(body.radius).max(LEAST);
        let color = self.palette.bad;
        let reach = radius * (1.25 + 1.2 * (1.0 - fresh));
        self.painter
            .circle_filled(at, reach, faded(color, 0.3 * fresh));
        let stroke = Stroke::new(1.0 + 3.0 * fresh, faded(color, fresh));
        self.painter.circle_stroke(at, reach, stroke);
    }
}
