//! Drawing primitives of a scene: polygons, lines, arrows, shadows and ribbons.

use bevy_egui::egui::epaint::{Mesh, PathStroke};
use bevy_egui::egui::{Align2, Color32, FontId, Painter, Pos2, Shape, Stroke, Vec2, vec2};
use nalgebra::Point2;

use crate::view::camera::PaneTransform;
use crate::view::theme::{Palette, faded};

/// Offset of a shadow per height of the object. The light comes from the upper left, as in most
/// drawings.
const SHADOW: Vec2 = Vec2::new(0.8, 1.0);

/// A painter with the transform and the colours of a scene.
#[derive(Clone, Copy)]
pub(super) struct SceneCanvas<'a> {
    pub(super) painter: &'a Painter,
    pub(super) transform: PaneTransform,
    pub(super) palette: &'a Palette,
}

impl SceneCanvas<'_> {
    /// Converts metres to pixels.
    pub(super) fn px(&self, metres: f32) -> f32 {
        metres * self.transform.scale
    }

    /// Converts points of the world to pixels.
    pub(super) fn points(&self, points: impl IntoIterator<Item = Point2<f32>>) -> Vec<Pos2> {
        points
            .into_iter()
            .map(|point| self.transform.to_screen(point))
            .collect()
    }

    pub(super) fn polygon(&self, points: Vec<Pos2>, fill: Color32, stroke: Stroke) {
        self.painter.add(Shape::convex_polygon(
            points,
            fill,
            PathStroke::from(stroke),
        ));
    }

    pub(super) fn line(&self, points: Vec<Pos2>, width: f32, color: Color32) {
        self.painter.line(points, Stroke::new(width, color));
    }

    pub(super) fn dashed(&self, points: &[Pos2], width: f32, color: Color32, dash: [f32; 2]) {
        let stroke = Stroke::new(width, color);
        self.painter
            .extend(Shape::dashed_line(points, stroke, dash[0], dash[1]));
    }

    /// Draws text with its centre at a point, with the floor's colour around the letters.
    pub(super) fn halo_text(&self, at: Pos2, text: &str, color: Color32) {
        let font = FontId::proportional(13.0);
        for offset in [
            vec2(-1.2, 0.0),
            vec2(1.2, 0.0),
            vec2(0.0, -1.2),
            vec2(0.0, 1.2),
        ] {
            let (at, floor) = (at + offset, self.palette.floor);
            let painter = self.painter;
            painter.text(at, Align2::CENTER_CENTER, text, font.clone(), floor);
        }
        self.painter
            .text(at, Align2::CENTER_CENTER, text, font, color);
    }

    /// Draws the soft shadow of a convex object. `outline` is in pixels.
    pub(super) fn shadow(&self, outline: &[Pos2], height_m: f32) {
        let height = self.px(height_m).clamp(1.5, 14.0);
        let offset = SHADOW * height;
        let moved: Vec<Pos2> = outline.iter().map(|&p| p + offset).collect();
        self.painter
            .add(blurred(&moved, height, self.palette.shadow));
    }

    /// Draws a band along points, each with its colour. `width` is in pixels.
    pub(super) fn ribbon(&self, points: &[(Pos2, Color32)], width: f32) {
        self.painter.add(ribbon(points, width));
    }

    /// Draws an arrow; nothing if it is shorter than 3 pixels.
    pub(super) fn arrow(&self, from: Pos2, to: Pos2, width: f32, color: Color32) {
        let along = to - from;
        let length = along.length();
        if length < 3.0 {
            return;
        }
        let head = along / length * (length / 2.0).min(4.0 * width);
        let side = head.rot90() * 0.6;
        self.line(vec![from, to - head * 0.5], width, color);
        self.polygon(
            vec![to, to - head + side, to - head - side],
            color,
            Stroke::NONE,
        );
    }
}

/// A circle as a polygon, clockwise on the screen.
pub(super) fn circle(centre: Pos2, radius: f32) -> Vec<Pos2> {
    let corners = (radius.sqrt() * 8.0).clamp(16.0, 96.0) as usize;
    (0..corners)
        .map(|i| {
            let angle = i as f32 * std::f32::consts::TAU / corners as f32;
            centre + radius * Vec2::angled(angle)
        })
        .collect()
}

/// The mesh of a convex polygon whose edge fades over `blur` pixels.
fn blurred(points: &[Pos2], blur: f32, color: Color32) -> Mesh {
    let mut mesh = Mesh::default();
    let count = points.len() as u32;
    if count < 3 {
        return mesh;
    }
    let centre =
        (points.iter().fold(Vec2::ZERO, |sum, p| sum + p.to_vec2()) / count as f32).to_pos2();
    for &point in points {
        let out = point - centre;
        let reach = out.length().max(1e-3);
        let half = (blur / 2.0).min(0.9 * reach) / reach;
        mesh.colored_vertex(centre + out * (1.0 - half), color);
        mesh.colored_vertex(centre + out * (1.0 + half), Color32::TRANSPARENT);
    }
    mesh.colored_vertex(centre, color);
    for i in 0..count {
        let (here, next) = (2 * i, 2 * ((i + 1) % count));
        mesh.add_triangle(2 * count, here, next);
        mesh.add_triangle(here, here + 1, next);
        mesh.add_triangle(next, here + 1, next + 1);
    }
    mesh
}

/// The mesh of a band along points. Its edges fade within a pixel.
fn ribbon(points: &[(Pos2, Color32)], width: f32) -> Mesh {
    const FEATHER: f32 = 0.5;
    let mut mesh = Mesh::default();
    if points.len() < 2 {
        return mesh;
    }
    for (i, &(at, color)) in points.iter().enumerate() {
        let before = points[i.saturating_sub(1)].0;
        let after = points[(i + 1).min(points.len() - 1)].0;
        let side = (after - before).normalized().rot90();
        let (inner, outer) = (width / 2.0 - FEATHER, width / 2.0 + FEATHER);
        for (reach, color) in [
            (-outer, faded(color, 0.0)),
            (-inner, color),
            (inner, color),
            (outer, faded(color, 0.0)),
        ] {
            mesh.colored_vertex(at + side * reach, color);
        }
        if i > 0 {
            let (last, here) = (4 * (i as u32 - 1), 4 * i as u32);
            for lane in 0..3 {
                mesh.add_triangle(last + lane, last + lane + 1, here + lane);
                mesh.add_triangle(last + lane + 1, here + lane, here + lane + 1);
            }
        }
    }
    mesh
}
