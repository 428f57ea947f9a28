//! What both time lines are drawn with.

use bevy_egui::egui::{
    Align2, Color32, Context, FontId, Id, LayerId, Order, Painter, Pos2, Rect, Shape, Stroke,
    StrokeKind, pos2, vec2,
};

use crate::view::theme::Palette;

/// Left of the plots, for their names, pixels.
pub(super) const GUTTER: f32 = 168.0;
/// Right of them, pixels.
pub(super) const INSET: f32 = 18.0;
/// Below them, for what stands on the axis, pixels.
pub(super) const AXIS: f32 = 20.0;
pub(super) const TEXT: f32 = 13.0;

/// How a line is told from others without its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DashStyle {
    Solid,
    Dashed,
    Dotted,
}

impl DashStyle {
    pub(super) const ALL: [Self; 3] = [Self::Solid, Self::Dashed, Self::Dotted];

    pub(super) fn draw(self, painter: &Painter, points: Vec<Pos2>, stroke: Stroke) {
        match self {
            Self::Solid => {
                painter.line(points, stroke);
            }
            Self::Dashed => painter.extend(Shape::dashed_line(&points, stroke, 7.0, 4.0)),
            Self::Dotted => painter.extend(Shape::dashed_line(&points, stroke, 2.0, 3.0)),
        }
    }
}

/// A line of text that is cut where it would be wider.
pub(super) fn text(
    painter: &Painter,
    at: Pos2,
    align: Align2,
    words: &str,
    color: Color32,
) -> Rect {
    painter.text(at, align, words, FontId::proportional(TEXT), color)
}

/// Lines of text in a box beside a point: above it where there is room, and always on the screen.
pub(super) fn tooltip(ctx: &Context, palette: &Palette, at: Pos2, lines: &[String]) {
    let painter = ctx.layer_painter(LayerId::new(Order::Tooltip, Id::new("replay hint")));
    let font = FontId::proportional(TEXT);
    let galley = painter.layout_no_wrap(lines.join("\n"), font, palette.ink);
    let size = galley.size() + vec2(20.0, 14.0);
    let screen = ctx.viewport_rect().shrink(4.0);
    let left = (at.x + 12.0).min(screen.max.x - size.x).max(screen.min.x);
    let top = (at.y - size.y - 12.0).max(screen.min.y);
    let rect = Rect::from_min_size(pos2(left, top), size);
    let edge = Stroke::new(1.0, palette.grid_five);
    painter.rect(rect, 6, palette.card, edge, StrokeKind::Inside);
    painter.galley(rect.min + vec2(10.0, 7.0), galley, palette.ink);
}

/// A number with some three digits, and a minus sign that is one.
pub(super) fn figure(number: f64) -> String {
    let size = number.abs();
    let text = match size {
        _ if !number.is_finite() => return "not finite".to_owned(),
        0.0 => "0".to_owned(),
        ..1e-3 => format!("{number:.1e}"),
        ..0.1 => format!("{number:.4}"),
        ..10.0 => format!("{number:.2}"),
        ..1000.0 => format!("{number:.1}"),
        ..1e5 => format!("{number:.0}"),
        _ => format!("{number:.1e}"),
    };
    text.replace('-', "−")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_short() {
        let told = [0.0, -0.004_2, 3.456, -123.45, 1e7, 2e-5, f64::NAN].map(figure);
        assert_eq!(
            told,
            [
                "0",
                "−0.0042",
                "3.46",
                "−123.5",
                "1.0e7",
                "2.0e−5",
                "not finite"
            ]
        );
    }
}
