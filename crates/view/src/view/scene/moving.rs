//! Draws movers with their velocities, and the robots' lidar scans and trails.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Color32, Pos2, Stroke};
use nalgebra::Point2;

use super::canvas::{SceneCanvas, circle};
use crate::view::episode_view::{InterpolatedRobot, LidarHit, TrailPoint};
use crate::view::theme::{faded, mix};
use evenkeel_sim::sim::MoverSnapshot;

/// Height of movers and robots for their shadows, metres.
pub(super) const HEIGHT_M: f32 = 0.06;
/// A mover's arrow shows how far it moves in this time, seconds.
pub(in super::super) const ARROW_SECS: f32 = 2.0;

impl SceneCanvas<'_> {
    pub(super) fn mover_shadow(&self, mover: &MoverSnapshot) {
        let radius = self.px(mover.radius_m).max(3.0);
        let outline = circle(self.transform.to_screen(mover.position.into()), radius);
        self.shadow(&outline, HEIGHT_M);
    }

    pub(super) fn mover(&self, mover: &MoverSnapshot) {
        let color = self.palette.mover;
        let at = self.transform.to_screen(mover.position.into());
        let radius = self.px(mover.radius_m).max(3.0);
        let fill = mix(self.palette.floor, color, 0.45);
        self.painter
            .circle(at, radius, fill, Stroke::new(2.0, color));
        let ahead =
            Point2::from(mover.position) + nalgebra::Vector2::from(mover.velocity) * ARROW_SECS;
        self.arrow(at, self.transform.to_screen(ahead), 2.5, color);
    }

    /// Draws a robot's trail up to its position. It is the fainter, the slower the robot was.
    /// `max_speed` is in metres per second.
    pub(super) fn trail(
        &self,
        trail: &[TrailPoint],
        position: Point2<f32>,
        max_speed: f32,
        arm_color: Color32,
    ) {
        let mut points: Vec<(Pos2, Color32)> = trail
            .iter()
            .map(|point| {
                let color = self.speed_color(point.speed_mps / max_speed, arm_color);
                (self.transform.to_screen(point.position), color)
            })
            .collect();
        // The newest point lies ahead of the interpolated robot: end the trail below the robot.
        if let Some(last) = points.last_mut() {
            last.0 = self.transform.to_screen(position);
        }
        points.dedup_by(|a, b| a.0.distance(b.0) < 0.3);
        self.ribbon(&points, self.px(0.055).clamp(2.5, 9.0));
    }

    /// The colour of a speed, as a share of the greatest: from close to the floor's colour to the
    /// policy's.
    fn speed_color(&self, share: f32, arm_color: Color32) -> Color32 {
        mix(mix(self.palette.floor, arm_color, 0.22), arm_color, share)
    }

    /// Draws the lidar rays, coloured by their readings. `range` is the sensor's, metres.
    pub(super) fn rays(&self, robot: &InterpolatedRobot, range: f32) {
        let from = self.transform.to_screen(robot.lidar_position);
        let hits = robot.hits.iter();
        let ends: Vec<Pos2> = hits.map(|hit| self.transform.to_screen(hit.at)).collect();
        self.scanned_area(from, &ends);
        // The more rays, the fainter is each, so that the total brightness stays the same.
        let alpha = (60.0 / ends.len() as f32).sqrt().clamp(0.12, 0.8);
        for (hit, &end) in robot.hits.iter().zip(&ends) {
            let color = faded(self.reading_color(hit, range), alpha);
            self.line(vec![from, end], 1.0, color);
        }
    }

    /// Draws the area between the sensor and the ends of its rays.
    fn scanned_area(&self, from: Pos2, ends: &[Pos2]) {
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
        // Close the area if the field of view is a full circle.
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

    /// Draws a dot at the end of each ray that hit something.
    pub(super) fn hits(&self, robot: &InterpolatedRobot, range: f32) {
        let radius = self.px(0.035).clamp(1.6, 4.0);
        for hit in robot.hits.iter().filter(|hit| hit.range_m < 0.999 * range) {
            let color = self.reading_color(hit, range);
            self.painter
                .circle_filled(self.transform.to_screen(hit.at), radius, color);
        }
    }

    fn reading_color(&self, hit: &LidarHit, range: f32) -> Color32 {
        // The square root separates short distances better than long ones.
        let share = (hit.range_m / range).clamp(0.0, 1.0).sqrt();
        mix(self.palette.near, self.palette.far, share)
    }
}
