//! One chart of the dashboard: curves over environment steps, with a title that says what they are.

use bevy_egui::egui::{
    Align2, Color32, CursorIcon, FontId, Id, Margin, Pos2, Rect, Sense, Stroke, StrokeKind, Ui,
    UiBuilder, pos2, vec2,
};
use egui_plot::{
    FilledArea, HLine, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoints, PlotUi,
    Points,
};

use crate::view::axis::{AxisScale, log_marks, short_number, ticks};
use crate::view::theme::{Palette, faded};

/// Points.
pub(super) const TITLE: f32 = 20.0;
pub(super) const X_AXIS: f32 = 15.0;
const NUMBERS: f32 = 11.0;
const STEPS_APART: f32 = 90.0;
const PAD: i8 = 8;

/// What a chart shows.
pub(super) struct LiveChart<'a> {
    /// Name of the quantity, which no other chart has.
    pub(super) name: &'a str,
    /// Its unit, if it has one.
    pub(super) unit: &'a str,
    /// What it tells.
    pub(super) help: String,
    /// Its newest value.
    pub(super) newest: Option<f64>,
    pub(super) axis: ValueAxis,
    pub(super) curves: Vec<Curve>,
    /// What the curves are called, each in its colour; for a chart with more than one.
    pub(super) legend: Vec<(&'static str, Color32)>,
    /// Things that happened, at the upper edge: environment steps and colour.
    pub(super) alarms: Vec<(f64, Color32)>,
}

/// The vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueAxis {
    /// Shares, from 0 to 100 %.
    Percent,
    /// Plain numbers.
    Linear,
    /// Plain numbers from 0.
    FromZero,
    /// Powers of ten.
    Log,
}

/// A curve; environment steps and values.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) color: Color32,
    pub(super) shape: CurveShape,
}

pub(super) enum CurveShape {
    /// `(step, mean, least, greatest)`; a line through the means, a band between the others.
    Band(Vec<[f64; 4]>),
    /// `(step, value)`.
    Line(Vec<[f64; 2]>),
    /// Likewise, dashed.
    Dashed(Vec<[f64; 2]>),
    /// Likewise, each by itself.
    Dots(Vec<[f64; 2]>),
}

/// The horizontal axis: environment steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepRange {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl StepRange {
    /// Where its environment steps are below curves.
    pub(super) fn x_scale(self, plot: Rect) -> AxisScale {
        AxisScale::new(self.from..=self.to, plot.min.x, plot.max.x)
    }
}

/// Where a chart is and what is around its curves, points.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChartArea {
    pub(super) rect: Rect,
    /// Room for the numbers at the left.
    pub(super) gutter: f32,
    /// Whether the steps are written below.
    pub(super) axis: bool,
}

impl ChartArea {
    /// Where the curves are.
    pub(super) fn plot(&self) -> Rect {
        let inner = self.rect - Margin::same(PAD);
        let bottom = if self.axis { X_AXIS } else { 0.0 };
        Rect::from_min_max(
            inner.min + vec2(self.gutter, TITLE + 2.0),
            inner.max - vec2(2.0, bottom),
        )
    }
}

/// Draws a chart's card.
pub(super) fn show(
    ui: &mut Ui,
    place: ChartArea,
    palette: &Palette,
    time: StepRange,
    chart: LiveChart,
) {
    card(ui, place.rect, palette);
    let newest = chart.newest.map(|value| chart.axis.format_value(value, ""));
    title(
        ui,
        place.rect,
        palette,
        chart.name,
        chart.unit,
        &chart.help,
        newest,
    );
    legend(ui, place, palette, &chart.legend);
    let rect = place.plot();
    let Some([low, high]) = chart.bounds() else {
        let font = FontId::proportional(12.0);
        let text = "nothing measured yet";
        ui.painter().text(
            rect.center(),
            Align2::CENTER_CENTER,
            text,
            font,
            palette.soft,
        );
        return;
    };
    let (axis, unit) = (chart.axis, chart.unit);
    let hover = move |at: &HoverPosition| match at {
        HoverPosition::NearDataPoint {
            plot_name,
            position,
            ..
        } => Some(format!(
            "{plot_name} {}\nat {} steps",
            axis.format_value(axis.value(position.y), unit),
            short_number(position.x)
        )),
        HoverPosition::Elsewhere { .. } => None,
    };
    let marks = chart.axis.marks(low, high, rect.height());
    let (alarms, curves) = (chart.alarms, chart.curves);
    let plot = Plot::new(Id::new(("chart", chart.name)))
        .width(rect.width())
        .height(rect.height())
        .min_size(vec2(20.0, 10.0))
        .show_axes(false)
        .show_grid(false)
        .show_background(false)
        .show_crosshair(false)
        .show_x(false)
        .show_y(false)
        .allow_zoom(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .sense(Sense::hover())
        .label_formatter(hover);
    let line = palette.line;
    let grid = marks.clone();
    let mut inner = ui.new_child(UiBuilder::new().max_rect(rect));
    plot.show(&mut inner, move |plot| {
        plot.set_plot_bounds_x(time.from..=time.to);
        plot.set_plot_bounds_y(low..=high);
        for (mark, _) in grid {
            plot.hline(
                HLine::new("", mark)
                    .color(line)
                    .width(1.0)
                    .allow_hover(false),
            );
        }
        for curve in curves {
            curve.draw(plot, axis);
        }
    });
    let up = AxisScale::new(low..=high, rect.max.y, rect.min.y);
    axes(ui, place, palette, &up, &marks, time);
    let along = time.x_scale(rect);
    for (step, color) in alarms {
        alarm(ui, pos2(along.at(step), rect.min.y), color);
    }
}

/// A chart's background.
pub(super) fn card(ui: &Ui, rect: Rect, palette: &Palette) {
    let stroke = Stroke::new(1.0, palette.line);
    ui.painter()
        .rect(rect, 6, palette.card, stroke, StrokeKind::Inside);
}

/// A card's title: what is shown and its unit, the newest value at the right; what it means is told
/// where the pointer rests on it.
pub(super) fn title(
    ui: &mut Ui,
    rect: Rect,
    palette: &Palette,
    name: &str,
    unit: &str,
    help: &str,
    newest: Option<String>,
) {
    let inner = rect - Margin::same(PAD);
    let row = Rect::from_min_size(inner.min, vec2(inner.width(), TITLE - 3.0));
    let response = ui
        .interact(row, Id::new(("title", name)), Sense::hover())
        .on_hover_cursor(CursorIcon::Help);
    response.on_hover_ui(|ui| {
        ui.set_max_width(360.0);
        ui.label(help);
    });
    let painter = ui.painter().with_clip_rect(row);
    let said = painter.text(
        row.left_center(),
        Align2::LEFT_CENTER,
        name,
        FontId::proportional(14.0),
        palette.ink,
    );
    if !unit.is_empty() {
        let at = said.right_center() + vec2(5.0, 1.0);
        let font = FontId::proportional(11.5);
        painter.text(at, Align2::LEFT_CENTER, unit, font, palette.soft);
    }
    if let Some(newest) = newest {
        let at = row.right_center();
        let font = FontId::proportional(14.0);
        painter.text(at, Align2::RIGHT_CENTER, newest, font, palette.arms[0]);
    }
}

/// What curves are called, in the middle of the title's row.
fn legend(ui: &Ui, place: ChartArea, palette: &Palette, legend: &[(&str, Color32)]) {
    let middle = place.rect.min.y + f32::from(PAD) + (TITLE - 3.0) / 2.0 + 1.0;
    let mut left = place.plot().min.x + 24.0;
    for &(name, color) in legend {
        let at = pos2(left, middle);
        let ends = [at, at + vec2(14.0, 0.0)];
        ui.painter().line_segment(ends, Stroke::new(3.0, color));
        let (text, font) = (at + vec2(20.0, 0.0), FontId::proportional(11.5));
        let said = ui
            .painter()
            .text(text, Align2::LEFT_CENTER, name, font, palette.soft);
        left = said.max.x + 18.0;
    }
}

/// Something happened: a triangle that hangs from the upper edge.
fn alarm(ui: &Ui, at: Pos2, color: Color32) {
    let corners = vec![
        at + vec2(-3.5, -1.0),
        at + vec2(3.5, -1.0),
        at + vec2(0.0, 6.0),
    ];
    let shape = bevy_egui::egui::Shape::convex_polygon(corners, color, Stroke::NONE);
    ui.painter().add(shape);
}

fn axes(
    ui: &Ui,
    place: ChartArea,
    palette: &Palette,
    up: &AxisScale,
    marks: &[(f64, String)],
    time: StepRange,
) {
    let plot = place.plot();
    let font = FontId::proportional(NUMBERS);
    for (mark, text) in marks {
        // The outermost ones stay beside the curves.
        let y = up.at(*mark).clamp(plot.min.y + 4.0, plot.max.y - 4.0);
        let at = pos2(plot.min.x - 5.0, y);
        ui.painter()
            .text(at, Align2::RIGHT_CENTER, text, font.clone(), palette.soft);
    }
    if place.axis {
        steps(ui, plot, palette, time);
    }
}

/// Environment steps below curves.
pub(super) fn steps(ui: &Ui, plot: Rect, palette: &Palette, time: StepRange) {
    let font = FontId::proportional(NUMBERS);
    let along = time.x_scale(plot);
    for tick in along.ticks(STEPS_APART.min(plot.width() / 2.0)) {
        let galley = ui
            .painter()
            .layout_no_wrap(short_number(tick), font.clone(), palette.soft);
        let half = galley.size().x / 2.0;
        let x = (along.at(tick) - half).min(plot.max.x - 2.0 * half);
        ui.painter()
            .galley(pos2(x, plot.max.y + 2.0), galley, palette.soft);
    }
}

impl Curve {
    fn draw<'a>(self, plot: &mut PlotUi<'a>, axis: ValueAxis) {
        let place = |value: f64| axis.place(value);
        let placed = |points: Vec<[f64; 2]>| -> PlotPoints<'a> {
            points.into_iter().map(|[x, y]| [x, place(y)]).collect()
        };
        let line = |points: PlotPoints<'a>| Line::new(self.name, points).color(self.color);
        match self.shape {
            CurveShape::Band(points) => {
                let column = |index: usize, of: &dyn Fn(f64) -> f64| -> Vec<f64> {
                    points.iter().map(|point| of(point[index])).collect()
                };
                let (x, low, high) = (column(0, &|x| x), column(2, &place), column(3, &place));
                let area = FilledArea::new("", &x, &low, &high);
                plot.add(area.fill_color(faded(self.color, 0.28)).allow_hover(false));
                let means = points.iter().map(|point| [point[0], point[1]]).collect();
                plot.line(line(placed(means)).width(1.8));
            }
            CurveShape::Line(points) => plot.line(line(placed(points)).width(1.8)),
            CurveShape::Dashed(points) => {
                let style = LineStyle::Dashed { length: 6.0 };
                plot.line(line(placed(points)).width(1.5).style(style));
            }
            CurveShape::Dots(points) => plot.points(
                Points::new(self.name, placed(points))
                    .color(self.color)
                    .shape(MarkerShape::Circle)
                    .radius(2.6),
            ),
        }
    }

    /// All values.
    fn values(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        match &self.shape {
            CurveShape::Band(points) => {
                Box::new(points.iter().flat_map(|point| [point[2], point[3]]))
            }
            CurveShape::Line(points) | CurveShape::Dashed(points) | CurveShape::Dots(points) => {
                Box::new(points.iter().map(|point| point[1]))
            }
        }
    }
}

impl LiveChart<'_> {
    /// From where to where the vertical axis goes, in its own scale; nothing without values.
    fn bounds(&self) -> Option<[f64; 2]> {
        let values = self.curves.iter().flat_map(Curve::values);
        let places = values.map(|value| self.axis.place(value));
        let [low, high] = places
            .filter(|place| place.is_finite())
            .fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], place| {
                [low.min(place), high.max(place)]
            });
        if low > high {
            return None;
        }
        Some(match self.axis {
            ValueAxis::Percent => [-0.03, 1.03],
            ValueAxis::Log => {
                let room = 0.06 * (high - low).max(1.0);
                let more = (1.0 - (high - low)).max(0.0) / 2.0;
                [low - more - room, high + more + room]
            }
            ValueAxis::FromZero => [0.0, if high > 0.0 { 1.1 * high } else { 1.0 }],
            ValueAxis::Linear => {
                let room = (0.08 * (high - low)).max(0.02 * high.abs()).max(1e-9);
                [low - room, high + room]
            }
        })
    }
}

impl ValueAxis {
    /// Where a value is on the axis.
    fn place(self, value: f64) -> f64 {
        if self == Self::Log {
            value.log10()
        } else {
            value
        }
    }

    /// What is at a place of the axis.
    fn value(self, place: f64) -> f64 {
        if self == Self::Log {
            10_f64.powf(place)
        } else {
            place
        }
    }

    fn format_value(self, value: f64, unit: &str) -> String {
        match self {
            Self::Percent => format!("{:.0} %", 100.0 * value),
            _ if unit.is_empty() || unit.contains('/') => short_number(value),
            _ => format!("{} {unit}", short_number(value)),
        }
    }

    /// Places that are written beside the axis.
    fn marks(self, low: f64, high: f64, height: f32) -> Vec<(f64, String)> {
        let most = (height / 20.0).clamp(2.0, 6.0) as usize;
        match self {
            Self::Percent => [0.0, 0.5, 1.0]
                .map(|share| (share, format!("{:.0} %", 100.0 * share)))
                .into(),
            Self::Log => log_marks(low, high, most),
            Self::Linear | Self::FromZero => {
                let marks = ticks(low, high, most as f64);
                marks
                    .into_iter()
                    .map(|mark| (mark, short_number(mark)))
                    .collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(axis: ValueAxis, points: Vec<[f64; 2]>) -> LiveChart<'static> {
        LiveChart {
            name: "norm",
            unit: "",
            help: String::new(),
            newest: None,
            axis,
            curves: vec![Curve {
                name: "norm",
                color: Color32::WHITE,
                shape: CurveShape::Line(points),
            }],
            legend: Vec::new(),
            alarms: Vec::new(),
        }
    }

    #[test]
    fn all_values_are_within_the_axis() {
        let points = vec![[1.0, 0.002], [2.0, 700.0]];
        for axis in [ValueAxis::Linear, ValueAxis::FromZero, ValueAxis::Log] {
            let [low, high] = chart(axis, points.clone()).bounds().unwrap();
            for [_, value] in &points {
                assert!((low..=high).contains(&axis.place(*value)), "{axis:?}");
            }
            assert!(!axis.marks(low, high, 100.0).is_empty());
        }
    }

    #[test]
    fn a_flat_curve_or_none_at_all_has_an_axis_or_none() {
        for axis in [
            ValueAxis::Linear,
            ValueAxis::FromZero,
            ValueAxis::Log,
            ValueAxis::Percent,
        ] {
            let [low, high] = chart(axis, vec![[1.0, 0.5]]).bounds().unwrap();
            assert!(high > low, "{axis:?}");
            assert!(chart(axis, Vec::new()).bounds().is_none());
        }
        assert!(chart(ValueAxis::Log, vec![[1.0, 0.0]]).bounds().is_none());
    }

    #[test]
    fn values_are_said_with_their_unit() {
        assert_eq!(ValueAxis::Percent.format_value(0.425, ""), "42 %");
        assert_eq!(
            ValueAxis::Linear.format_value(0.0123, "nats"),
            "0.0123 nats"
        );
        assert_eq!(
            ValueAxis::FromZero.format_value(41_234.0, "environment steps/s"),
            "41.2k"
        );
    }
}
