//! What moves: robots with their wheels, rays and trails, movers with their velocities.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Color32, Pos2, Stroke, Vec2};
use nalgebra::{Point2, Vector2};

use super::canvas::{Canvas, circle};
use crate::scenario::RobotPlacement;
use crate::sim::MoverFrame;
use crate::view::picture::{Hit, SeenRobot, TrailPoint};
use crate::view::theme::{faded, mix};

/// Metres.
const ROBOT_HEIGHT_M: f32 = 0.06;
/// A mover's arrow spans this much of its way, seconds.
pub(in super::super) const ARROW_SECS: f32 = 2.0;
/// Least radius of a robot on the screen, pixels.
const LEAST: f32 = 5.0;

impl Canvas<'_> {
    pub(super) fn mover_shadow(&self, mover: &MoverFrame) {
        let radius = self.px(mover.radius_m).max(3.0);
        self.shadow(
            &circle(self.view.at(mover.position.into()), radius),
            ROBOT_HEIGHT_M,
        );
    }

    pub(super) fn mover(&self, mover: &MoverFrame) {
        let color = self.palette.mover;
        let at = self.view.at(mover.position.into());
        let radius = self.px(mover.radius_m).max(3.0);
        let fill = mix(self.palette.floor, color, 0.45);
        self.painter
            .circle(at, radius, fill, Stroke::new(2.0, color));
        let ahead =
            Point2::from(mover.position) + nalgebra::Vector2::from(mover.velocity) * ARROW_SECS;
        self.arrow(at, self.view.at(ahead), 2.5, color);
    }

    /// Where a robot has been: the fainter, the slower it was.
    pub(super) fn trail(
        &self,
        trail: &[TrailPoint],
        upto: Point2<f32>,
        max_speed: f32,
        arm: Color32,
    ) {
        let mut points: Vec<(Pos2, Color32)> = trail
            .iter()
            .map(|point| {
                let color = self.speed_color(point.speed_mps / max_speed, arm);
                (self.view.at(point.position), color)
            })
            .collect();
        // The last frame lies ahead of what is shown: the trail ends below the robot.
        if let Some(last) = points.last_mut() {
            last.0 = self.view.at(upto);
        }
        points.dedup_by(|a, b| a.0.distance(b.0) < 0.3);
        self.ribbon(&points, self.px(0.055).clamp(2.5, 9.0));
    }

    /// From the colour of the floor, nearly, to the policy's own.
    pub(super) fn speed_color(&self, share: f32, arm: Color32) -> Color32 {
        mix(mix(self.palette.floor, arm, 0.22), arm, share)
    }

    /// Rays in the colour of their reading; those that hit something end in a dot.
    pub(super) fn rays(&self, robot: &SeenRobot, range: f32) {
        let from = self.view.at(robot.position);
        let ends: Vec<Pos2> = robot.hits.iter().map(|hit| self.view.at(hit.at)).collect();
        self.seen_floor(from, &ends);
        // Hundreds of rays are fainter each, so that all together are as bright.
        let alpha = (60.0 / ends.len() as f32).sqrt().clamp(0.12, 0.8);
        for (hit, &end) in robot.hits.iter().zip(&ends) {
            let color = faded(self.reading_color(hit, range), alpha);
            self.line(vec![from, end], 1.0, color);
        }
    }

    /// The area that the sensor overlooks.
    fn seen_floor(&self, from: Pos2, ends: &[Pos2]) {
        let Some((first, last)) = ends.first().zip(ends.last()) else {
            return;
        };
        let color = faded(self.palette.far, 0.10);
        let mut mesh = Mesh::default();
        mesh.colored_vertex(from, color);
        for &end in ends {
            mesh.colored_vertex(end, color);
        }
        for i in 1..ends.len() as u32 {
            mesh.add_triangle(0, i, i + 1);
        }
        // A full circle is closed; a fan is not.
        let gap = (*first - from)
            .normalized()
            .dot((*last - from).normalized());
        let pitch = ends.get(1).map_or(-1.0, |second| {
            (*first - from)
                .normalized()
                .dot((*second - from).normalized())
        });
        if gap > pitch - 0.05 && ends.len() > 2 {
            mesh.add_triangle(0, ends.len() as u32, 1);
        }
        self.painter.add(mesh);
    }

    pub(super) fn hits(&self, robot: &SeenRobot, range: f32) {
        let radius = self.px(0.035).clamp(1.6, 4.0);
        for hit in robot.hits.iter().filter(|hit| hit.range_m < 0.999 * range) {
            let color = self.reading_color(hit, range);
            self.painter
                .circle_filled(self.view.at(hit.at), radius, color);
        }
    }

    fn reading_color(&self, hit: &Hit, range: f32) -> Color32 {
        // Near things matter by their ratio, not by their difference.
        let share = (hit.range_m / range).clamp(0.0, 1.0).sqrt();
        mix(self.palette.near, self.palette.far, share)
    }

    pub(super) fn robot_shadow(&self, robot: &SeenRobot, body: &RobotPlacement) {
        let at = self.view.at(robot.position);
        self.shadow(&self.body(at, robot, body), ROBOT_HEIGHT_M);
    }

    /// Hull, wheels and heading. `ghost` lets what is below shine through.
    pub(super) fn robot(
        &self,
        robot: &SeenRobot,
        body: &RobotPlacement,
        arm: Color32,
        ghost: bool,
    ) {
        let palette = self.palette;
        let at = self.view.at(robot.position);
        let radius = self.px(body.radius).max(LEAST);
        let alpha = if ghost { 0.8 } else { 1.0 };
        let (sin, cos) = robot.heading_rad.sin_cos();
        let ahead = Vec2::new(cos, -sin) * radius;
        let left = ahead.rot90() * -1.0;
        let point = |x: f32, y: f32| at + ahead * x + left * y;
        let edge = (0.09 * radius).clamp(1.0, 4.0);
        let rim = mix(arm, palette.wheel, 0.35);
        self.polygon(
            self.body(at, robot, body),
            faded(arm, alpha),
            Stroke::new(edge, faded(rim, alpha)),
        );
        for side in [-1.0, 1.0] {
            let wheel = [(-0.34, 0.58), (0.34, 0.58), (0.34, 0.84), (-0.34, 0.84)];
            let corners = wheel.map(|(x, y)| point(x, side * y)).to_vec();
            self.polygon(corners, faded(palette.wheel, alpha), Stroke::NONE);
        }
        // A concave arrowhead, as two triangles.
        let (tip, notch) = (point(0.86, 0.0), point(-0.2, 0.0));
        for side in [-1.0, 1.0] {
            let corner = point(-0.48, side * 0.42);
            self.polygon(vec![tip, corner, notch], palette.nose, Stroke::NONE);
        }
    }

    /// The outline of a robot on the screen. Whatever footprints there are, they are told apart
    /// here and nowhere else in the drawing.
    fn body(&self, at: Pos2, robot: &SeenRobot, body: &RobotPlacement) -> Vec<Pos2> {
        let Some(hull) = &body.hull else {
            return circle(at, self.px(body.radius).max(LEAST));
        };
        let (sin, cos) = libm::sincosf(robot.heading_rad);
        let placed = hull.placed(robot.position, Vector2::new(cos, sin));
        let corners = placed.corners().iter();
        corners.map(|&corner| self.view.at(corner.into())).collect()
    }

    /// A ring that spreads from a robot that touched something; `fresh` is 1 at the contact.
    pub(super) fn flash(&self, robot: &SeenRobot, body: &RobotPlacement, fresh: f32) {
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
