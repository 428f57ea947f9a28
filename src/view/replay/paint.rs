//! What both time lines are drawn with.

use std::ops::RangeInclusive;

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

/// Numbers that lie along a side of a rectangle.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f32,
    end: f32,
}

impl Scale {
    /// Numbers from one to another, along pixels from one to another.
    pub(super) fn new(numbers: RangeInclusive<f64>, start: f32, end: f32) -> Self {
        let (from, mut to) = numbers.into_inner();
        if to - from < 1e-12 {
            to = from + 1.0;
        }
        Self {
            from,
            to,
            start,
            end,
        }
    }

    /// Where a number lies, pixels; one beyond the ends, there.
    pub(super) fn at(&self, number: f64) -> f32 {
        let share = (number - self.from) / (self.to - self.from);
        self.start + (self.end - self.start) * share.clamp(0.0, 1.0) as f32
    }

    /// Which number lies there; beyond the ends, theirs.
    pub(super) fn number(&self, pixel: f32) -> f64 {
        let share = f64::from((pixel - self.start) / (self.end - self.start));
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// Whether a number is within its ends.
    pub(super) fn holds(&self, number: f64) -> bool {
        (self.from..=self.to).contains(&number)
    }

    /// Round numbers along it, at least `apart` pixels from one another.
    pub(super) fn ticks(&self, apart: f32) -> impl Iterator<Item = f64> {
        let most = f64::from((self.end - self.start).abs() / apart).max(1.0);
        let every = round_step((self.to - self.from) / most);
        let (first, last) = ((self.from / every).ceil(), (self.to / every).floor());
        (0..=(last - first).max(0.0) as u32).map(move |i| (first + f64::from(i)) * every)
    }
}

/// The least of 1, 2 and 5 times a power of ten that is not below a number.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power);
    let enough = steps.into_iter().find(|step| *step >= least * (1.0 - 1e-9));
    enough.unwrap_or(10.0 * power)
}

/// How a line is told from others without its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dash {
    Solid,
    Dashed,
    Dotted,
}

impl Dash {
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
pub(super) fn hint(ctx: &Context, palette: &Palette, at: Pos2, lines: &[String]) {
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
    fn a_scale_goes_there_and_back() {
        let scale = Scale::new(2.0..=10.0, 100.0, 500.0);
        for number in [2.0, 3.7, 10.0] {
            assert!((scale.number(scale.at(number)) - number).abs() < 1e-4);
        }
        assert!((scale.number(0.0) - 2.0).abs() < 1e-9);
        assert!((scale.at(99.0) - 500.0).abs() < 1e-3);
        let down = Scale::new(0.0..=1.0, 50.0, 10.0);
        assert!(down.at(1.0) < down.at(0.0));
        // One number is no range, and still has a place.
        assert!(Scale::new(3.0..=3.0, 0.0, 10.0).at(3.0).is_finite());
    }

    #[test]
    fn ticks_are_round_and_within_and_apart() {
        for (to, pixels) in [(0.9, 300.0), (47.3, 900.0), (6144.0, 400.0), (1e-3, 80.0)] {
            let scale = Scale::new(0.0..=to, 0.0, pixels);
            let ticks: Vec<f64> = scale.ticks(60.0).collect();
            assert!(ticks.iter().all(|tick| scale.holds(*tick)));
            assert!(
                (1..=pixels as usize / 60 + 2).contains(&ticks.len()),
                "{ticks:?}"
            );
            for pair in ticks.windows(2) {
                assert!(scale.at(pair[1]) - scale.at(pair[0]) > 59.0, "{ticks:?}");
            }
        }
    }

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
