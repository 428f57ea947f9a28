//! Drawing primitives and number formats that the timelines share.

use bevy_egui::egui::{
    Align2, Color32, Context, FontId, Id, LayerId, Order, Painter, Pos2, Rect, Shape, Stroke,
    StrokeKind, pos2, vec2,
};

use crate::view::theme::Palette;

/// Width of the labels left of the plots, pixels.
pub(super) const GUTTER: f32 = 168.0;
/// Margin right of the plots, pixels.
pub(super) const INSET: f32 = 18.0;
/// Height of the axis labels below the plots, pixels.
pub(super) const AXIS_HEIGHT: f32 = 20.0;
/// Text size, pixels.
pub(super) const TEXT_SIZE: f32 = 13.0;

/// Line style, by which lines can be told apart without colour.
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

/// Draws text of size [`TEXT_SIZE`], and returns the rectangle that it covers.
pub(super) fn text(painter: &Painter, at: Pos2, align: Align2, text: &str, color: Color32) -> Rect {
    painter.text(at, align, text, FontId::proportional(TEXT_SIZE), color)
}

/// Draws lines of text in a box to the right of a point and above it, moved so that it lies on the
/// screen.
pub(super) fn tooltip(ctx: &Context, palette: &Palette, at: Pos2, lines: &[String]) {
    let painter = ctx.layer_painter(LayerId::new(Order::Tooltip, Id::new("replay hint")));
    let font = FontId::proportional(TEXT_SIZE);
    let galley = painter.layout_no_wrap(lines.join("\n"), font, palette.ink);
    let size = galley.size() + vec2(20.0, 14.0);
    let screen = ctx.viewport_rect().shrink(4.0);
    let left = (at.x + 12.0).min(screen.max.x - size.x).max(screen.min.x);
    let top = (at.y - size.y - 12.0).max(screen.min.y);
    let rect = Rect::from_min_size(pos2(left, top), size);
    let edge = Stroke::new(1.0, palette.grid_strong);
    painter.rect(rect, 6, palette.card, edge, StrokeKind::Inside);
    painter.galley(rect.min + vec2(10.0, 7.0), galley, palette.ink);
}

/// Formats a number with about three digits.
pub(super) fn format_number(number: f64) -> String {
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

/// Reduces a line to the first, the least, the greatest and the last point in each column of pixels,
/// which looks the same (Jugel et al. 2014, M4). Both `points` and the result are ordered by x.
pub(super) fn downsample(points: impl Iterator<Item = Pos2>) -> Vec<Pos2> {
    let mut result: Vec<Pos2> = Vec::new();
    let mut column: Vec<Pos2> = Vec::new();
    let mut finish = |column: &mut Vec<Pos2>| {
        if column.len() > 4 {
            let mut selected = [0, 0, 0, column.len() - 1];
            for (index, point) in column.iter().enumerate() {
                if point.y < column[selected[1]].y {
                    selected[1] = index;
                }
                if point.y > column[selected[2]].y {
                    selected[2] = index;
                }
            }
            selected.sort_unstable();
            result.extend(selected.map(|index| column[index]));
        } else {
            result.extend(column.iter());
        }
        column.clear();
    };
    for point in points {
        if column
            .first()
            .is_some_and(|first| first.x.floor() < point.x.floor())
        {
            finish(&mut column);
        }
        column.push(point);
    }
    finish(&mut column);
    result
}

/// Draws a cross: a norm that is not finite.
pub(super) fn cross(painter: &Painter, at: Pos2, palette: &Palette) {
    let stroke = Stroke::new(2.0, palette.bad);
    for side in [-1.0, 1.0] {
        let arm = vec2(4.0, 4.0 * side);
        painter.line_segment([at - arm, at + arm], stroke);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_about_three_digits() {
        let texts = [0.0, -0.004_2, 3.456, -123.45, 1e7, 2e-5, f64::NAN].map(format_number);
        assert_eq!(
            texts,
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

    #[test]
    fn a_spike_survives_downsampling() {
        let spike = |i: u32| if i == 5003 { -80.0 } else { (i % 7) as f32 };
        let points = (0..10_000).map(|i| pos2(i as f32 / 100.0, spike(i)));
        let reduced = downsample(points.clone());
        assert!(reduced.len() <= 400, "{}", reduced.len());
        assert!(reduced.contains(&pos2(50.03, -80.0)));
        assert!(reduced.is_sorted_by(|a, b| a.x <= b.x));
        assert_eq!(reduced.last(), points.clone().next_back().as_ref());
        let few: Vec<Pos2> = points.take(4).collect();
        assert_eq!(downsample(few.iter().copied()), few);
    }
}
