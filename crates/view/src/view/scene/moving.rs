//! Draws movers with their velocities, and the robots' lidar scans and trails.

use bevy_egui::egui::epaint::Mesh;
use bevy_egui::egui::{Color32, Pos2, Stroke, Vec2};
use nalgebra::Point2;

use super::canvas::{SceneCanvas, circle};
use crate::view::episode_view::{InterpolatedRobot, LidarHit, TrailPoint};
use crate::view::theme::{faded, mix};
use evenkeel_sim::sim::MoverSnapshot;

/// Height of movers and robots for their shadows, metres.
pub(super) const HEIGHT_M: f32 = 0.06;
/// A mover's arrow shows how far it moves in this time, seconds.
pub(in super::super) const ARROW_SECS: f32 = 2.0;

/// Opacity of a ray.
const RAY_ALPHA: f32 = 0.45;
/// Least distance between the ends of two rays that are drawn, pixels.
const RAY_SPACING: f32 = 9.0;
/// Least distance between two rays where they begin, pixels. Closer rays make a moiré pattern.
const RAY_GAP: f32 = 2.5;

/// Which rays of a scan are drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
struct RayStride {
    /// One ray of so many is drawn.
    every: usize,
    /// Distance from the sensor at which rays begin, pixels.
    clear_px: f32,
}

/// Thins out the rays of a scan by their angles, for ends of rays around `from`.
fn ray_stride(from: Pos2, ends: &[Pos2]) -> RayStride {
    let mut angles = ends.windows(2).map(|pair| {
        let [a, b] = [pair[0] - from, pair[1] - from].map(Vec2::angle);
        let turn = (a - b).abs();
        turn.min(std::f32::consts::TAU - turn)
    });
    // Beams are equally far apart; noise turns some of them.
    let pitch = angles.by_ref().sum::<f32>() / (ends.len().max(2) - 1) as f32;
    let lengths = ends.iter().map(|end| (*end - from).length());
    let mean = lengths.sum::<f32>() / ends.len().max(1) as f32;
    let spacing = pitch * mean;
    if !(spacing > 0.0 && spacing.is_finite()) {
        return RayStride {
            every: 1,
            clear_px: 0.0,
        };
    }
    let every = (RAY_SPACING / spacing).ceil().max(1.0);
    RayStride {
        every: every as usize,
        clear_px: RAY_GAP / (pitch * every),
    }
}

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
        let stride = ray_stride(from, &ends);
        for (hit, &end) in robot.hits.iter().zip(&ends).step_by(stride.every) {
            let along = end - from;
            let share = stride.clear_px / along.length().max(1e-3);
            if share < 1.0 {
                let color = faded(self.reading_color(hit, range), RAY_ALPHA);
                self.line(vec![from + along * share, end], 1.0, color);
            }
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
        let mut last: Option<Pos2> = None;
        for hit in robot.hits.iter().filter(|hit| hit.range_m < 0.999 * range) {
            let at = self.transform.to_screen(hit.at);
            // Of dots that would be one band, some are enough.
            if last.is_none_or(|last| last.distance(at) > 1.2 * radius) {
                self.painter
                    .circle_filled(at, radius, self.reading_color(hit, range));
                last = Some(at);
            }
        }
    }

    fn reading_color(&self, hit: &LidarHit, range: f32) -> Color32 {
        // The square root separates short distances better than long ones.
        let share = (hit.range_m / range).clamp(0.0, 1.0).sqrt();
        mix(self.palette.near, self.palette.far, share)
    }
}

#[cfg(test)]
mod tests {
    use bevy_egui::egui::pos2;

    use super::*;

    /// The ends of rays around a full circle, 100 pixels long.
    fn ends(count: usize) -> Vec<Pos2> {
        let angle = |ray: usize| ray as f32 * std::f32::consts::TAU / count as f32;
        (0..count)
            .map(|ray| pos2(50.0, 60.0) + 100.0 * Vec2::angled(angle(ray)))
            .collect()
    }

    #[test]
    fn dense_rays_are_thinned_out_by_their_angles() {
        // 628 pixels around: 64 rays are 9.8 pixels apart, 360 rays 1.7.
        for (count, every, drawn) in [(8, 1, 8), (64, 1, 64), (360, 6, 60), (1080, 16, 68)] {
            let stride = ray_stride(pos2(50.0, 60.0), &ends(count));
            assert_eq!(stride.every, every, "{count}");
            assert_eq!(count.div_ceil(stride.every), drawn);
            // Rays begin where they are 2.5 pixels apart.
            let gap = stride.clear_px * every as f32 * std::f32::consts::TAU / count as f32;
            assert!((gap - 2.5).abs() < 0.05, "{gap}");
        }
        let one = ray_stride(pos2(0.0, 0.0), &ends(1));
        assert_eq!((one.every, one.clear_px), (1, 0.0));
    }
}
