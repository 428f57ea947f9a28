//! The dashboard: which charts there are, which metrics each shows, and where it is.

use bevy_egui::egui::{Color32, Rect, Ui, Vec2, pos2, vec2};

use super::chart::{self, ChartArea, Curve, CurveShape, LiveChart, StepRange, ValueAxis};
use super::legend::{LegendEntry, LegendMark};
use super::{event_list, heat_map};
use crate::view::theme::Palette;
use evenkeel_runs::telemetry::{
    EVALUATION_METRICS, HistoryBin, ITERATION_METRICS, RunHistory, Severity, ValueRange,
};

/// Distance between two charts, points.
const GAP: f32 = 8.0;
/// Width of the labels left of the wide charts, one of which has layer names, points.
const WIDE_GUTTER: f32 = 118.0;
/// Width of the labels left of the small charts, points.
const GUTTER: f32 = 40.0;
/// Heights as shares of the dashboard's: gradient norm, heat map, and two rows of small charts. The
/// list of notifications has the rest.
const ROW_HEIGHTS: [f32; 4] = [0.235, 0.215, 0.175, 0.195];
/// Small charts in a row.
const COLUMNS: usize = 3;

/// The small charts, row by row: tags of metrics in the registry, and axes.
const SMALL_CHARTS: [(&str, ValueAxis); 6] = [
    ("stability/clip_share", ValueAxis::Percent),
    ("losses/approx_kl", ValueAxis::FromZero),
    ("losses/entropy", ValueAxis::Linear),
    ("charts/success_rate", ValueAxis::Percent),
    ("charts/episodic_return", ValueAxis::Linear),
    ("charts/SPS", ValueAxis::FromZero),
];

/// Draws the dashboard.
pub(super) fn show(ui: &mut Ui, area: Rect, palette: &Palette, history: &RunHistory) {
    let range = step_range(history);
    let layout = DashboardLayout::of(area);
    let norm = norm_chart(palette, history);
    chart::show(ui, layout.norm, palette, range, norm);
    heat_map::show(ui, layout.heat_map, palette, range, history);
    for ((tag, axis), area) in SMALL_CHARTS.iter().zip(layout.small) {
        let chart = metric_chart(palette, history, tag, *axis);
        chart::show(ui, area, palette, range, chart);
    }
    event_list::show(ui, layout.events, palette, history);
}

/// Where the charts are.
struct DashboardLayout {
    norm: ChartArea,
    heat_map: ChartArea,
    small: [ChartArea; SMALL_CHARTS.len()],
    events: Rect,
}

impl DashboardLayout {
    fn of(area: Rect) -> Self {
        let mut top = area.min.y;
        let mut row = |share: f32| {
            let corner = pos2(area.min.x, top);
            let size = vec2(area.width(), share * area.height() - GAP);
            top += size.y + GAP;
            Rect::from_min_size(corner, size)
        };
        let [norm, heat_map, upper, lower] = ROW_HEIGHTS.map(&mut row);
        let wide = |rect, step_axis| ChartArea {
            rect,
            gutter: WIDE_GUTTER,
            step_axis,
        };
        let width = (area.width() - GAP * (COLUMNS - 1) as f32) / COLUMNS as f32;
        let small = std::array::from_fn(|index| {
            let row = if index < COLUMNS { upper } else { lower };
            let left = (index % COLUMNS) as f32 * (width + GAP);
            ChartArea {
                rect: Rect::from_min_size(row.min + Vec2::X * left, vec2(width, row.height())),
                gutter: GUTTER,
                step_axis: index >= COLUMNS,
            }
        });
        Self {
            norm: wide(norm, false),
            heat_map: wide(heat_map, true),
            small,
            events: Rect::from_min_max(pos2(area.min.x, top), area.max),
        }
    }
}

/// The environment steps of the run so far; of a resumed run, those since it was resumed.
fn step_range(history: &RunHistory) -> StepRange {
    let bins = history.bins.len().max(1) as u64;
    StepRange {
        from: history.from as f64,
        to: (history.from + bins * history.width.max(1)) as f64,
    }
}

/// A value over the bins that have it: `[step, mean, min, max]`, where `step` is the middle of the
/// bin.
fn series<'a>(
    history: &'a RunHistory,
    value: impl Fn(&HistoryBin) -> &ValueRange + 'a,
) -> impl Iterator<Item = [f64; 4]> + 'a {
    let width = history.width as f64;
    history.bins.iter().enumerate().filter_map(move |(i, bin)| {
        let [mean, min, max] = value(bin).mean_min_max()?;
        let middle = history.from as f64 + (i as f64 + 0.5) * width;
        Some([middle, mean, min, max])
    })
}

fn means(points: impl Iterator<Item = [f64; 4]>) -> Vec<[f64; 2]> {
    points.map(|[x, mean, ..]| [x, mean]).collect()
}

/// The chart of the gradient norm, with the clip threshold and the detections.
fn norm_chart<'a>(palette: &Palette, history: &'a RunHistory) -> LiveChart<'a> {
    let metric = ITERATION_METRICS
        .iter()
        .find(|m| m.tag == "stability/grad_norm");
    let metric = metric.expect("the registry has the tag");
    let color = palette.arms[0];
    // A norm of 0 has no logarithm.
    let norms = series(history, |bin| &bin.grad_norm).filter(|point| point[2] > 0.0);
    let thresholds = means(series(history, |bin| &bin.threshold));
    let entry = |name, color, mark| LegendEntry { name, color, mark };
    let mut legend = vec![entry("mean and spread", color, LegendMark::Line)];
    if !thresholds.is_empty() {
        legend.push(entry("clip threshold", palette.path, LegendMark::Line));
    }
    let curve = |name, color, shape| Curve { name, color, shape };
    let width = history.width as f64;
    let detections = history.bins.iter().enumerate().filter_map(|(i, bin)| {
        let color = match bin.max_severity? {
            Severity::Warning => palette.path,
            Severity::Critical => palette.bad,
        };
        Some((history.from as f64 + (i as f64 + 0.5) * width, color))
    });
    let detections: Vec<(f64, Color32)> = detections.collect();
    if !detections.is_empty() {
        legend.push(entry("detection", palette.path, LegendMark::Triangle));
    }
    LiveChart {
        name: metric.name,
        unit: metric.unit,
        help: "L2 norm of the gradient of all parameters before any clip: the mean over a \
               column's optimiser steps, and the range from the least to the greatest. A gradient \
               above the dashed line is scaled down to it. Triangles: detections, see below."
            .into(),
        newest: history
            .latest
            .mean
            .grad_norm
            .filter(|norm| norm.is_finite()),
        axis: ValueAxis::Log,
        curves: vec![
            curve("norm", color, CurveShape::Band(norms.collect())),
            curve(
                "clip threshold",
                palette.path,
                CurveShape::Dashed(thresholds),
            ),
        ],
        legend,
        detections,
    }
}

/// The chart of a metric of the registry.
fn metric_chart<'a>(
    palette: &Palette,
    history: &'a RunHistory,
    tag: &str,
    axis: ValueAxis,
) -> LiveChart<'a> {
    let index = ITERATION_METRICS
        .iter()
        .position(|metric| metric.tag == tag);
    let index = index.expect("the registry has the tag");
    let metric = &ITERATION_METRICS[index];
    let line = CurveShape::Line(means(series(history, move |bin| &bin.iteration[index])));
    let mut curves = vec![Curve {
        name: metric.name,
        color: palette.arms[0],
        shape: line,
    }];
    let mut help = sentence(metric.help);
    let mut legend = Vec::new();
    if tag == "charts/success_rate" {
        let eval_success = EVALUATION_METRICS
            .iter()
            .position(|m| m.tag == "eval/success_rate");
        let eval_success = eval_success.expect("the registry has the tag");
        let dots = means(series(history, move |bin| &bin.evaluation[eval_success]));
        help = format!("{help} Dots: {}.", EVALUATION_METRICS[eval_success].help);
        if !dots.is_empty() {
            legend.push(LegendEntry {
                name: "held out",
                color: palette.goal,
                mark: LegendMark::Dot,
            });
        }
        curves.push(Curve {
            name: "validation",
            color: palette.goal,
            shape: CurveShape::Dots(dots),
        });
    }
    LiveChart {
        name: metric.name,
        unit: metric.unit,
        help,
        newest: metric
            .read(&history.latest)
            .filter(|_| history.latest.iteration > 0),
        axis,
        curves,
        legend,
        detections: Vec::new(),
    }
}

/// Adds a capital letter and a full stop.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(char::to_uppercase);
    first
        .into_iter()
        .flatten()
        .chain(letters)
        .chain(['.'])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::theme::Theme;

    #[test]
    fn every_chart_is_in_the_registry_and_has_a_help_text() {
        let (palette, history) = (Theme::Dark.palette(), RunHistory::default());
        for (tag, axis) in SMALL_CHARTS {
            let chart = metric_chart(&palette, &history, tag, axis);
            assert!(chart.help.len() > 20 && chart.help.ends_with('.'), "{tag}");
        }
        assert!(!norm_chart(&palette, &history).help.is_empty());
    }

    #[test]
    fn cards_do_not_overlap() {
        for size in [vec2(680.0, 626.0), vec2(900.0, 760.0)] {
            let area = Rect::from_min_size(pos2(590.0, 56.0), size);
            let layout = DashboardLayout::of(area);
            let mut all = vec![layout.norm.rect, layout.heat_map.rect, layout.events];
            all.extend(layout.small.map(|area| area.rect));
            for (index, card) in all.iter().enumerate() {
                assert!(area.expand(0.1).contains_rect(*card) && card.height() > 80.0);
                for other in &all[..index] {
                    assert!(!card.intersect(*other).is_positive(), "{card}, {other}");
                }
            }
            for area in layout.small {
                assert!(area.plot().height() > 30.0, "{area:?}");
            }
        }
    }
}
