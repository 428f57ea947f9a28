//! The figures of a run: which charts there are, what each shows of the feed, and where it is.

use bevy_egui::egui::{Rect, Ui, Vec2, pos2, vec2};

use super::chart::{self, ChartArea, Curve, CurveShape, LiveChart, StepRange, ValueAxis};
use super::{event_list, heat_map};
use crate::view::theme::Palette;
use evenkeel_runs::telemetry::{
    EVALUATION_METRICS, HistoryBin, ITERATION_METRICS, RunHistory, Severity, ValueRange,
};

/// Points.
const GAP: f32 = 8.0;
/// Beside the charts that layers' names stand at, and beside the others.
const WIDE_GUTTER: f32 = 118.0;
const GUTTER: f32 = 40.0;
/// Shares of the height: the gradient's norm, the heat map, each row of small charts.
const ROWS: [f32; 4] = [0.235, 0.215, 0.175, 0.195];
/// Charts in a row.
const COLUMNS: usize = 3;

/// The small charts, row by row: their tags in the registry.
const SMALL: [(&str, ValueAxis); 6] = [
    ("stability/clip_share", ValueAxis::Percent),
    ("losses/approx_kl", ValueAxis::FromZero),
    ("losses/entropy", ValueAxis::Linear),
    ("charts/success_rate", ValueAxis::Percent),
    ("charts/episodic_return", ValueAxis::Linear),
    ("charts/SPS", ValueAxis::FromZero),
];

/// Shows all of them.
pub(super) fn show(ui: &mut Ui, area: Rect, palette: &Palette, history: &RunHistory) {
    let time = time(history);
    let places = DashboardLayout::of(area);
    chart::show(ui, places.norm, palette, time, norm(palette, history));
    heat_map::show(ui, places.heat, palette, time, history);
    for ((tag, axis), place) in SMALL.iter().zip(places.small) {
        let chart = small(palette, history, tag, *axis);
        chart::show(ui, place, palette, time, chart);
    }
    event_list::show(ui, places.news, palette, history);
}

struct DashboardLayout {
    norm: ChartArea,
    heat: ChartArea,
    small: [ChartArea; SMALL.len()],
    news: Rect,
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
        let [norm, heat, upper, lower] = ROWS.map(&mut row);
        let wide = |rect, axis| ChartArea {
            rect,
            gutter: WIDE_GUTTER,
            axis,
        };
        let width = (area.width() - GAP * (COLUMNS - 1) as f32) / COLUMNS as f32;
        let small = std::array::from_fn(|index| {
            let row = if index < COLUMNS { upper } else { lower };
            let left = (index % COLUMNS) as f32 * (width + GAP);
            ChartArea {
                rect: Rect::from_min_size(row.min + Vec2::X * left, vec2(width, row.height())),
                gutter: GUTTER,
                axis: index >= COLUMNS,
            }
        });
        Self {
            norm: wide(norm, false),
            heat: wide(heat, true),
            small,
            news: Rect::from_min_max(pos2(area.min.x, top), area.max),
        }
    }
}

/// From where the run began, or went on, to where it is.
fn time(history: &RunHistory) -> StepRange {
    let bins = history.bins.len().max(1) as u64;
    StepRange {
        from: history.from as f64,
        to: (history.from + bins * history.width.max(1)) as f64,
    }
}

/// A quantity over the bins: the step in the middle of each, and the values.
fn over_time<'a>(
    history: &'a RunHistory,
    of: impl Fn(&HistoryBin) -> &ValueRange + 'a,
) -> impl Iterator<Item = [f64; 4]> + 'a {
    let width = history.width as f64;
    history.bins.iter().enumerate().filter_map(move |(i, bin)| {
        let [mean, least, greatest] = of(bin).mean_min_max()?;
        let middle = history.from as f64 + (i as f64 + 0.5) * width;
        Some([middle, mean, least, greatest])
    })
}

fn means(points: impl Iterator<Item = [f64; 4]>) -> Vec<[f64; 2]> {
    points.map(|[x, mean, ..]| [x, mean]).collect()
}

/// The gradient's norm against the clip's threshold, with what the detectors saw.
fn norm<'a>(palette: &Palette, history: &'a RunHistory) -> LiveChart<'a> {
    let metric = ITERATION_METRICS
        .iter()
        .find(|m| m.tag == "stability/grad_norm");
    let metric = metric.expect("the registry has the tag");
    let color = palette.arms[0];
    // A norm of 0 has no logarithm.
    let norms = over_time(history, |bin| &bin.grad_norm).filter(|point| point[2] > 0.0);
    let thresholds = means(over_time(history, |bin| &bin.threshold));
    let mut legend = vec![("mean and spread", color)];
    if !thresholds.is_empty() {
        legend.push(("clip threshold", palette.path));
    }
    let curve = |name, color, shape| Curve { name, color, shape };
    let width = history.width as f64;
    let alarms = history.bins.iter().enumerate().filter_map(|(i, bin)| {
        let color = match bin.max_severity? {
            Severity::Warning => palette.path,
            Severity::Critical => palette.bad,
        };
        Some((history.from as f64 + (i as f64 + 0.5) * width, color))
    });
    LiveChart {
        name: metric.name,
        unit: metric.unit,
        help: "L2 norm over all parameters before any clip: the mean over a column's optimiser \
               steps, and from the least to the greatest of them. Above the dashed line the \
               gradient is scaled down to it. Triangles: what the detectors saw, see below."
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
        alarms: alarms.collect(),
    }
}

/// A metric of the registry.
fn small<'a>(
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
    let line = CurveShape::Line(means(over_time(history, move |bin| &bin.iteration[index])));
    let mut curves = vec![Curve {
        name: metric.name,
        color: palette.arms[0],
        shape: line,
    }];
    let mut help = sentence(metric.help);
    if tag == "charts/success_rate" {
        let eval_success = EVALUATION_METRICS
            .iter()
            .position(|m| m.tag == "eval/success_rate");
        let eval_success = eval_success.expect("the registry has the tag");
        let dots = means(over_time(history, move |bin| &bin.evaluation[eval_success]));
        help = format!("{help} Dots: {}.", EVALUATION_METRICS[eval_success].help);
        curves.push(Curve {
            name: "held out",
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
        legend: Vec::new(),
        alarms: Vec::new(),
    }
}

/// With a capital and a full stop.
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
    fn every_chart_is_in_the_registry_and_says_what_it_means() {
        let (palette, history) = (Theme::Dark.palette(), RunHistory::default());
        for (tag, axis) in SMALL {
            let chart = small(&palette, &history, tag, axis);
            assert!(chart.help.len() > 20 && chart.help.ends_with('.'), "{tag}");
        }
        assert!(!norm(&palette, &history).help.is_empty());
    }

    #[test]
    fn cards_do_not_overlap() {
        for size in [vec2(680.0, 626.0), vec2(900.0, 760.0)] {
            let area = Rect::from_min_size(pos2(590.0, 56.0), size);
            let places = DashboardLayout::of(area);
            let mut all = vec![places.norm.rect, places.heat.rect, places.news];
            all.extend(places.small.map(|place| place.rect));
            for (index, card) in all.iter().enumerate() {
                assert!(area.expand(0.1).contains_rect(*card) && card.height() > 80.0);
                for other in &all[..index] {
                    assert!(!card.intersect(*other).is_positive(), "{card}, {other}");
                }
            }
            for place in places.small {
                assert!(place.plot().height() > 30.0, "{place:?}");
            }
        }
    }
}
