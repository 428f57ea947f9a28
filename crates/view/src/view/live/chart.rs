//! Draws one chart of the dashboard: a title, and curves over environment steps.

use bevy_egui::egui::{
    Align2, Color32, CursorIcon, FontId, Id, Margin, Pos2, Rect, Sense, Stroke, StrokeKind, Ui,
    UiBuilder, pos2, vec2,
};
use egui_plot::{
    FilledArea, HLine, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoints, PlotUi,
    Points,
};

use super::legend::{self, LegendEntry};
use crate::view::axis::{AxisScale, log_ticks, short_number, ticks};
use crate::view::theme::{Palette, faded};

/// Height of a card's title, points.
pub(super) const TITLE_HEIGHT: f32 = 20.0;
/// Height of the labels of the horizontal axis, points.
const STEP_AXIS_HEIGHT: f32 = 15.0;
/// Size of the axis labels, points.
const LABEL_SIZE: f32 = 11.0;
/// Least distance between two labels of the horizontal axis, points.
const STEP_TICK_SPACING: f32 = 90.0;
/// Margin within a card, points.
const PAD: i8 = 8;

/// What a chart shows.
pub(super) struct LiveChart<'a> {
    /// Name of the quantity. It identifies the chart.
    pub(super) name: &'a str,
    /// Unit of the quantity; empty if it has none.
    pub(super) unit: &'a str,
    /// Explanation, shown while the pointer rests on the title.
    pub(super) help: String,
    /// The newest value.
    pub(super) newest: Option<f64>,
    pub(super) axis: ValueAxis,
    pub(super) curves: Vec<Curve>,
    /// What the marks mean; empty if there is only one curve.
    pub(super) legend: Vec<LegendEntry>,
    /// Environment steps and colours of detections, drawn at the upper edge.
    pub(super) detections: Vec<(f64, Color32)>,
}

/// The vertical axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ValueAxis {
    /// Shares, always from 0 to 100 %.
    Percent,
    /// Linear, around the values.
    Linear,
    /// Linear, from 0.
    FromZero,
    /// Logarithmic.
    Log,
}

/// A curve.
pub(super) struct Curve {
    pub(super) name: &'static str,
    pub(super) color: Color32,
    pub(super) shape: CurveShape,
}

/// The points of a curve, and how they are drawn.
pub(super) enum CurveShape {
    /// `[step, mean, min, max]`: a line through the means, and a band from min to max.
    Band(Vec<[f64; 4]>),
    /// `[step, value]`: a line.
    Line(Vec<[f64; 2]>),
    /// `[step, value]`: a dashed line.
    Dashed(Vec<[f64; 2]>),
    /// `[step, value]`: dots.
    Dots(Vec<[f64; 2]>),
}

/// The range of the horizontal axis, environment steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepRange {
    pub(super) from: f64,
    pub(super) to: f64,
}

impl StepRange {
    /// The scale of the horizontal axis of a plot.
    pub(super) fn x_scale(self, plot: Rect) -> AxisScale {
        AxisScale::new(self.from..=self.to, plot.min.x, plot.max.x)
    }
}

/// Where a chart and its axes are, points.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChartArea {
    pub(super) rect: Rect,
    /// Width of the labels of the vertical axis.
    pub(super) gutter: f32,
    /// Whether the horizontal axis has labels.
    pub(super) step_axis: bool,
}

impl ChartArea {
    /// Where the curves are.
    pub(super) fn plot(&self) -> Rect {
        let inner = self.rect - Margin::same(PAD);
        let bottom = if self.step_axis {
            STEP_AXIS_HEIGHT
        } else {
            0.0
        };
        Rect::from_min_max(
            inner.min + vec2(self.gutter, TITLE_HEIGHT + 2.0),
            inner.max - vec2(2.0, bottom),
        )
    }
}

/// Draws a chart.
pub(super) fn show(
    ui: &mut Ui,
    area: ChartArea,
    palette: &Palette,
    range: StepRange,
    chart: LiveChart,
) {
    card(ui, area.rect, palette);
    let newest = chart.newest.map(|value| chart.axis.format_value(value, ""));
    let free = title(
        ui,
        area.rect,
        palette,
        chart.name,
        chart.unit,
        &chart.help,
        newest,
    );
    legend::draw(ui, free, palette, &chart.legend);
    let rect = area.plot();
    let Some([low, high]) = chart.bounds() else {
        no_data(ui, rect, palette);
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
            axis.format_value(axis.value_at(position.y), unit),
            short_number(position.x)
        )),
        HoverPosition::Elsewhere { .. } => None,
    };
    let ticks = chart.axis.ticks(low, high, rect.height());
    let (detections, curves) = (chart.detections, chart.curves);
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
    let line_color = palette.line;
    let grid = ticks.clone();
    let mut inner = ui.new_child(UiBuilder::new().max_rect(rect));
    plot.show(&mut inner, move |plot| {
        plot.set_plot_bounds_x(range.from..=range.to);
        plot.set_plot_bounds_y(low..=high);
        for (tick, _) in grid {
            plot.hline(
                HLine::new("", tick)
                    .color(line_color)
                    .width(1.0)
                    .allow_hover(false),
            );
        }
        for curve in curves {
            curve.draw(plot, axis);
        }
    });
    let up = AxisScale::new(low..=high, rect.max.y, rect.min.y);
    draw_axes(ui, area, palette, &up, &ticks, range);
    let along = range.x_scale(rect);
    for (step, color) in detections {
        draw_detection(ui, pos2(along.at(step), rect.min.y), color);
    }
}

/// Draws the text of a plot without data.
pub(super) fn no_data(ui: &Ui, plot: Rect, palette: &Palette) {
    ui.painter().text(
        plot.center(),
        Align2::CENTER_CENTER,
        "nothing measured yet",
        FontId::proportional(12.0),
        palette.soft,
    );
}

/// Draws the background of a card.
pub(super) fn card(ui: &Ui, rect: Rect, palette: &Palette) {
    let stroke = Stroke::new(1.0, palette.line);
    ui.painter()
        .rect(rect, 6, palette.card, stroke, StrokeKind::Inside);
}

/// Draws the title of a card: name and unit, and the newest value at the right. `help` is shown while
/// the pointer rests on the title. Returns the space between name and value.
pub(super) fn title(
    ui: &mut Ui,
    rect: Rect,
    palette: &Palette,
    name: &str,
    unit: &str,
    help: &str,
    newest: Option<String>,
) -> Rect {
    let inner = rect - Margin::same(PAD);
    let row = Rect::from_min_size(inner.min, vec2(inner.width(), TITLE_HEIGHT - 3.0));
    let response = ui
        .interact(row, Id::new(("title", name)), Sense::hover())
        .on_hover_cursor(CursorIcon::Help);
    response.on_hover_ui(|ui| {
        ui.set_max_width(360.0);
        ui.label(help);
    });
    let painter = ui.painter().with_clip_rect(row);
    let name = painter.text(
        row.left_center(),
        Align2::LEFT_CENTER,
        name,
        FontId::proportional(14.0),
        palette.ink,
    );
    let mut free = row.with_min_x(name.max.x);
    if !unit.is_empty() {
        let at = name.right_center() + vec2(5.0, 1.0);
        let font = FontId::proportional(11.5);
        let unit = painter.text(at, Align2::LEFT_CENTER, unit, font, palette.soft);
        free.min.x = unit.max.x;
    }
    if let Some(newest) = newest {
        let at = row.right_center();
        let font = FontId::proportional(14.0);
        let value = painter.text(at, Align2::RIGHT_CENTER, newest, font, palette.arms[0]);
        free.max.x = value.min.x;
    }
    free
}

/// Draws a detection: a triangle at the upper edge of the plot.
fn draw_detection(ui: &Ui, at: Pos2, color: Color32) {
    let corners = vec![
        at + vec2(-3.5, -1.0),
        at + vec2(3.5, -1.0),
        at + vec2(0.0, 6.0),
    ];
    let shape = bevy_egui::egui::Shape::convex_polygon(corners, color, Stroke::NONE);
    ui.painter().add(shape);
}

/// Draws the labels of both axes.
fn draw_axes(
    ui: &Ui,
    area: ChartArea,
    palette: &Palette,
    up: &AxisScale,
    ticks: &[(f64, String)],
    range: StepRange,
) {
    let plot = area.plot();
    let font = FontId::proportional(LABEL_SIZE);
    for (tick, label) in ticks {
        // The outermost labels do not extend beyond the plot.
        let y = up.at(*tick).clamp(plot.min.y + 4.0, plot.max.y - 4.0);
        let at = pos2(plot.min.x - 5.0, y);
        ui.painter()
            .text(at, Align2::RIGHT_CENTER, label, font.clone(), palette.soft);
    }
    if area.step_axis {
        draw_step_axis(ui, plot, palette, range);
    }
}

/// Draws the labels of the horizontal axis.
pub(super) fn draw_step_axis(ui: &Ui, plot: Rect, palette: &Palette, range: StepRange) {
    let font = FontId::proportional(LABEL_SIZE);
    let along = range.x_scale(plot);
    for tick in along.ticks(STEP_TICK_SPACING.min(plot.width() / 2.0)) {
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
        let position = |value: f64| axis.position(value);
        let on_axis = |points: Vec<[f64; 2]>| -> PlotPoints<'a> {
            points.into_iter().map(|[x, y]| [x, position(y)]).collect()
        };
        let line = |points: PlotPoints<'a>| Line::new(self.name, points).color(self.color);
        match self.shape {
            CurveShape::Band(points) => {
                let column = |index: usize, map: &dyn Fn(f64) -> f64| -> Vec<f64> {
                    points.iter().map(|point| map(point[index])).collect()
                };
                let x = column(0, &|x| x);
                let (low, high) = (column(2, &position), column(3, &position));
                let area = FilledArea::new("", &x, &low, &high);
                plot.add(area.fill_color(faded(self.color, 0.28)).allow_hover(false));
                let means = points.iter().map(|point| [point[0], point[1]]).collect();
                plot.line(line(on_axis(means)).width(1.8));
            }
            CurveShape::Line(points) => plot.line(line(on_axis(points)).width(1.8)),
            CurveShape::Dashed(points) => {
                let style = LineStyle::Dashed { length: 6.0 };
                plot.line(line(on_axis(points)).width(1.5).style(style));
            }
            CurveShape::Dots(points) => plot.points(
                Points::new(self.name, on_axis(points))
                    .color(self.color)
                    .shape(MarkerShape::Circle)
                    .radius(2.6),
            ),
        }
    }

    /// The values that the axis must include.
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
    /// The ends of the vertical axis, as positions (see [`ValueAxis::position`]); `None` if there are
    /// no finite positions.
    fn bounds(&self) -> Option<[f64; 2]> {
        let values = self.curves.iter().flat_map(Curve::values);
        let positions = values.map(|value| self.axis.position(value));
        let empty = [f64::INFINITY, f64::NEG_INFINITY];
        let [low, high] = positions
            .filter(|position| position.is_finite())
            .fold(empty, |[low, high], position| {
                [low.min(position), high.max(position)]
            });
        if low > high {
            return None;
        }
        Some(match self.axis {
            ValueAxis::Percent => [-0.03, 1.03],
            ValueAxis::Log => {
                let margin = 0.06 * (high - low).max(1.0);
                // The axis has at least one decade.
                let extension = (1.0 - (high - low)).max(0.0) / 2.0;
                [low - extension - margin, high + extension + margin]
            }
            ValueAxis::FromZero => [0.0, if high > 0.0 { 1.1 * high } else { 1.0 }],
            ValueAxis::Linear => {
                let margin = (0.08 * (high - low)).max(0.02 * high.abs()).max(1e-9);
                [low - margin, high + margin]
            }
        })
    }
}

impl ValueAxis {
    /// The position of a value on the axis: its base-10 logarithm on a logarithmic axis.
    fn position(self, value: f64) -> f64 {
        if self == Self::Log {
            value.log10()
        } else {
            value
        }
    }

    /// The value at a position.
    fn value_at(self, position: f64) -> f64 {
        if self == Self::Log {
            10_f64.powf(position)
        } else {
            position
        }
    }

    fn format_value(self, value: f64, unit: &str) -> String {
        match self {
            Self::Percent => format!("{:.0} %", 100.0 * value),
            _ if unit.is_empty() || unit.contains('/') => short_number(value),
            _ => format!("{} {unit}", short_number(value)),
        }
    }

    /// Positions and labels of the ticks, for an axis of this height, points.
    fn ticks(self, low: f64, high: f64, height: f32) -> Vec<(f64, String)> {
        let max = (height / 20.0).clamp(2.0, 6.0) as usize;
        match self {
            Self::Percent => [0.0, 0.5, 1.0]
                .map(|share| (share, format!("{:.0} %", 100.0 * share)))
                .into(),
            Self::Log => log_ticks(low, high, max),
            Self::Linear | Self::FromZero => ticks(low, high, max as f64)
                .into_iter()
                .map(|tick| (tick, short_number(tick)))
                .collect(),
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
            detections: Vec::new(),
        }
    }

    #[test]
    fn the_axis_includes_all_values() {
        let points = vec![[1.0, 0.002], [2.0, 700.0]];
        for axis in [ValueAxis::Linear, ValueAxis::FromZero, ValueAxis::Log] {
            let [low, high] = chart(axis, points.clone()).bounds().unwrap();
            for [_, value] in &points {
                assert!((low..=high).contains(&axis.position(*value)), "{axis:?}");
            }
            assert!(!axis.ticks(low, high, 100.0).is_empty());
        }
    }

    #[test]
    fn a_flat_curve_has_an_axis_and_an_empty_one_has_none() {
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
    fn values_are_formatted_with_their_unit() {
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
