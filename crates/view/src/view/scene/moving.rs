//! What moves: movers with their velocities, what robots see, and where they have been.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Color32, Pos2, Stroke};
use nalgebra::Point2;

use super::canvas::{SceneCanvas, circle};
use crate::view::episode_view::{InterpolatedRobot, LidarHit, TrailPoint};
use crate::view::theme::{faded, mix};
use evenkeel_sim::sim::MoverSnapshot;

/// How tall what moves is taken to be, metres.
pub(super) const HEIGHT_M: f32 = 0.06;
/// A mover's arrow spans this much of its way, seconds.
pub(in super::super) const ARROW_SECS: f32 = 2.0;

impl SceneCanvas<'_> {
    pub(super) fn mover_shadow(&self, mover: &MoverSnapshot) {
        let radius = self.px(mover.radius_m).max(3.0);
        self.shadow(
            &circle(self.view.at(mover.position.into()), radius),
            HEIGHT_M,
        );
    }

    pub(super) fn mover(&self, mover: &MoverSnapshot) {
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
    pub(super) fn rays(&self, robot: &InterpolatedRobot, range: f32) {
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

    pub(super) fn hits(&self, robot: &InterpolatedRobot, range: f32) {
        let radius = self.px(0.035).clamp(1.6, 4.0);
        for hit in robot.hits.iter().filter(|hit| hit.range_m < 0.999 * range) {
            let color = self.reading_color(hit, range);
            self.painter
                .circle_filled(self.view.at(hit.at), radius, color);
        }
    }

    fn reading_color(&self, hit: &LidarHit, range: f32) -> Color32 {
        // Near things matter by their ratio, not by their difference.
        let share = (hit.range_m / range).clamp(0.0, 1.0).sqrt();
        mix(self.palette.near, self.palette.far, share)
    }
}
