//! The legend of a chart, in the row of its title.

use bevy_egui::egui::{
    Align2, Color32, FontId, Painter, Pos2, Rect, Shape, Stroke, Ui, pos2, vec2,
};

use crate::view::theme::Palette;

/// Size of the names, points.
const TEXT_SIZE: f32 = 11.0;
/// Distance from one entry to the next, points.
const GAP: f32 = 14.0;
/// Distance from the title to the first entry, points. Small charts have little space.
const FIRST_GAP: f32 = 8.0;
/// Distance from a mark to its name, points.
const MARK_GAP: f32 = 4.0;

/// A mark and what it means.
#[derive(Clone, Copy, Debug)]
pub(super) struct LegendEntry {
    pub(super) name: &'static str,
    pub(super) color: Color32,
    pub(super) mark: LegendMark,
}

/// How a mark looks.
#[derive(Clone, Copy, Debug)]
pub(super) enum LegendMark {
    /// A curve.
    Line,
    /// Single values.
    Dot,
    /// Detections.
    Triangle,
}

/// Draws the entries that fit into `free`, the space beside the title.
pub(super) fn draw(ui: &Ui, free: Rect, palette: &Palette, entries: &[LegendEntry]) {
    let painter = ui.painter();
    let mut left = free.min.x + FIRST_GAP;
    for entry in entries {
        let font = FontId::proportional(TEXT_SIZE);
        let galley = painter.layout_no_wrap(entry.name.to_owned(), font.clone(), palette.soft);
        let (mark, text) = (entry.mark.width(), galley.size().x);
        if left + mark + MARK_GAP + text > free.max.x - 2.0 {
            return;
        }
        let at = pos2(left, free.center().y + 1.0);
        entry.mark.draw(painter, at, entry.color);
        let text_at = at + vec2(mark + MARK_GAP, 0.0);
        painter.text(text_at, Align2::LEFT_CENTER, entry.name, font, palette.soft);
        left = text_at.x + text + GAP;
    }
}

impl LegendMark {
    fn width(self) -> f32 {
        match self {
            Self::Line => 14.0,
            Self::Dot | Self::Triangle => 7.0,
        }
    }

    /// Draws the mark with its left end at a point.
    fn draw(self, painter: &Painter, at: Pos2, color: Color32) {
        match self {
            Self::Line => {
                painter.line_segment([at, at + vec2(14.0, 0.0)], Stroke::new(3.0, color));
            }
            Self::Dot => {
                painter.circle_filled(at + vec2(3.5, 0.0), 3.0, color);
            }
            Self::Triangle => {
                let corners = vec![
                    at + vec2(0.0, -3.0),
                    at + vec2(7.0, -3.0),
                    at + vec2(3.5, 4.0),
                ];
                painter.add(Shape::convex_polygon(corners, color, Stroke::NONE));
            }
        }
    }
}
