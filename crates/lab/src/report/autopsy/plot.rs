//! Small SVG charts that need no script.

use std::fmt::Write as _;

use crate::report::html::{COLOURS, escape};
use evenkeel_runs::telemetry::format::number;

/// The colour index of an emphasised line.
pub(super) const EMPHASIS: usize = usize::MAX;

/// Width of a chart, its right margin, and the height of a row, pixels.
const WIDTH: f64 = 520.0;
const RIGHT: f64 = 14.0;
const ROW: f64 = 22.0;

/// The vertical axis of a line chart.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum PlotScale {
    /// From 0 to 100 %.
    Percent,
    /// Powers of ten.
    Log,
}

/// One line; its values are at consecutive steps.
pub(super) struct PlotLine<'a> {
    pub(super) colour: usize,
    pub(super) name: &'a str,
    pub(super) values: Vec<Option<f64>>,
}

/// The dots of one remedy, one value for each row.
pub(super) struct DotSeries<'a> {
    pub(super) colour: usize,
    pub(super) name: &'a str,
    pub(super) values: &'a [Option<f64>],
}

fn colour(index: usize) -> String {
    match index {
        EMPHASIS => "var(--ink)".into(),
        index => format!("var(--arm{})", index % COLOURS),
    }
}

/// The range of exponents of ten that contains all positive values.
struct DecadeRange {
    low: f64,
    high: f64,
}

impl DecadeRange {
    fn around(values: impl Iterator<Item = f64>) -> Option<Self> {
        let logs: Vec<f64> = values
            .filter(|v| *v > 0.0 && v.is_finite())
            .map(f64::log10)
            .collect();
        let low = logs.iter().copied().reduce(f64::min)?.floor();
        let high = logs.iter().copied().reduce(f64::max)?.ceil();
        Some(Self {
            low,
            high: high.max(low + 1.0),
        })
    }

    /// The position of a value in the range, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        ((value.log10() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The exponents to label, about six.
    fn ticks(&self) -> Vec<f64> {
        let step = ((self.high - self.low) / 6.0).ceil().max(1.0);
        let count = ((self.high - self.low) / step).floor() as usize;
        (0..=count)
            .map(|index| self.low + step * index as f64)
            .collect()
    }
}

/// The label of a power of ten: `1e−5`, `0.01`, `10`.
fn power_label(exponent: f64) -> String {
    let digits = exponent as i32;
    if (0..=4).contains(&digits) {
        format!("{:.0}", 10f64.powi(digits))
    } else if (-3..0).contains(&digits) {
        format!("{:.*}", digits.unsigned_abs() as usize, 10f64.powi(digits))
    } else {
        format!("1e{digits}").replace('-', "−")
    }
}

fn figure_html(title: &str, help: &str, keys: &[(usize, &str)], height: f64, svg: &str) -> String {
    let mut html = format!(
        "<figure class=\"chart\"><figcaption><b>{}</b>{}</figcaption>",
        escape(title),
        escape(help)
    );
    if keys.len() > 1 {
        html += "<div class=\"keys\">";
        for (index, name) in keys {
            let _ = write!(
                html,
                "<span><svg width=\"14\" height=\"10\" aria-hidden=\"true\"><circle cx=\"5\" cy=\"5\" \
                 r=\"4\" fill=\"{}\"/></svg>{}</span>",
                colour(*index),
                escape(name)
            );
        }
        html += "</div>";
    }
    let _ = write!(
        html,
        "<div class=\"plot\"><svg viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" \
         aria-label=\"{}\">{svg}</svg></div></figure>",
        escape(title)
    );
    html
}

/// Labelled rows over a logarithmic axis. Returns the SVG and its height; nothing without positive
/// values.
fn rows(
    labels: &[&str],
    values: &[Option<f64>],
    mut each: impl FnMut(&mut String, usize, &dyn Fn(f64) -> f64, f64),
) -> Option<(String, f64)> {
    let decades = DecadeRange::around(values.iter().flatten().copied())?;
    let longest = labels.iter().map(|label| label.len()).max().unwrap_or(0);
    let left = (longest as f64 * 6.2 + 10.0).min(WIDTH / 2.0);
    let across = |value: f64| left + decades.share(value) * (WIDTH - left - RIGHT);
    let height = labels.len() as f64 * ROW;
    let mut svg = String::new();
    for tick in decades.ticks() {
        let x = across(10f64.powf(tick));
        let _ = write!(
            svg,
            "<line class=\"gridline\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"0\" y2=\"{height:.0}\"/>\
             <text x=\"{x:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
            height + 16.0,
            power_label(tick)
        );
    }
    for (index, label) in labels.iter().enumerate() {
        let middle = (index as f64 + 0.5) * ROW;
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            left - 8.0,
            middle + 4.0,
            escape(label)
        );
        each(&mut svg, index, &across, middle);
    }
    Some((svg, height + 22.0))
}

/// A bar chart with one bar for each row.
pub(super) fn bars(title: &str, help: &str, labels: &[&str], values: &[Option<f64>]) -> String {
    let drawn = rows(labels, values, |svg, index, across, middle| {
        let Some(value) = values.get(index).copied().flatten() else {
            return;
        };
        let (start, end) = (across(0.0), across(value));
        let _ = write!(
            svg,
            "<rect x=\"{start:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"12\" rx=\"2\" fill=\"var(--soft)\">\
             <title>{}</title></rect>",
            middle - 6.0,
            (end - start).max(1.0),
            number(value)
        );
    });
    drawn.map_or(String::new(), |(svg, height)| {
        figure_html(title, help, &[], height, &svg)
    })
}

/// A dot chart with the dots of several remedies in each row.
pub(super) fn dots(title: &str, help: &str, labels: &[&str], all: &[DotSeries]) -> String {
    let values: Vec<Option<f64>> = all
        .iter()
        .flat_map(|dots| dots.values.iter().copied())
        .collect();
    let drawn = rows(labels, &values, |svg, index, across, middle| {
        for (place, dots) in all.iter().enumerate() {
            let Some(value) = dots.values.get(index).copied().flatten() else {
                continue;
            };
            // Shifted, so that equal values do not hide each other.
            let offset = (place as f64 - (all.len() as f64 - 1.0) / 2.0) * 1.6;
            let _ = write!(
                svg,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"4\" fill=\"{}\" fill-opacity=\".85\"><title>{} \
                 {}</title></circle>",
                across(value),
                middle + offset,
                colour(dots.colour),
                escape(dots.name),
                number(value)
            );
        }
    });
    let keys: Vec<(usize, &str)> = all.iter().map(|dots| (dots.colour, dots.name)).collect();
    drawn.map_or(String::new(), |(svg, height)| {
        figure_html(title, help, &keys, height, &svg)
    })
}

/// A line chart over steps. `below` is the name of the horizontal axis.
pub(super) fn lines(
    title: &str,
    help: &str,
    below: &str,
    scale: PlotScale,
    all: &[PlotLine],
) -> String {
    const LEFT: f64 = 48.0;
    const TOP: f64 = 6.0;
    const HEIGHT: f64 = 200.0;
    let count = all.iter().map(|line| line.values.len()).max().unwrap_or(0);
    let values = all
        .iter()
        .flat_map(|line| line.values.iter().flatten().copied());
    let decades = match scale {
        PlotScale::Log => DecadeRange::around(values),
        PlotScale::Percent => Some(DecadeRange {
            low: 0.0,
            high: 1.0,
        }),
    };
    let Some(decades) = decades.filter(|_| count > 0) else {
        return String::new();
    };
    let share = |value: f64| match scale {
        PlotScale::Log => decades.share(value),
        PlotScale::Percent => value.clamp(0.0, 1.0),
    };
    let across =
        |step: usize| LEFT + step as f64 / (count - 1).max(1) as f64 * (WIDTH - LEFT - RIGHT);
    let up = |value: f64| TOP + (1.0 - share(value)) * HEIGHT;
    let mut svg = String::new();
    let ticks: Vec<(f64, String)> = match scale {
        PlotScale::Log => {
            let ticks = decades.ticks().into_iter();
            ticks
                .map(|tick| (10f64.powf(tick), power_label(tick)))
                .collect()
        }
        PlotScale::Percent => [0.0, 0.25, 0.5, 0.75, 1.0]
            .map(|share| (share, format!("{:.0} %", 100.0 * share)))
            .to_vec(),
    };
    for (value, label) in ticks {
        let y = up(value);
        let _ = write!(
            svg,
            "<line class=\"gridline\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0
        );
    }
    for (step, anchor) in [(0, "start"), (count - 1, "end")] {
        let _ = write!(
            svg,
            "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"{anchor}\">{}</text>",
            across(step),
            TOP + HEIGHT + 18.0,
            step + 1
        );
    }
    let _ = write!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.0}\" text-anchor=\"middle\">{}</text>",
        f64::midpoint(LEFT, WIDTH - RIGHT),
        TOP + HEIGHT + 18.0,
        escape(below)
    );
    for line in all {
        // A missing value leaves a gap.
        for run in line
            .values
            .iter()
            .enumerate()
            .collect::<Vec<_>>()
            .split(|(_, v)| v.is_none())
        {
            let points: Vec<String> = run
                .iter()
                .filter_map(|(step, value)| {
                    Some(format!("{:.1},{:.1}", across(*step), up((**value)?)))
                })
                .collect();
            let stroke = colour(line.colour);
            let _ = match points.as_slice() {
                [] => Ok(()),
                [only] => {
                    let (x, y) = only.split_once(',').expect("a point has two numbers");
                    write!(
                        svg,
                        "<circle cx=\"{x}\" cy=\"{y}\" r=\"3\" fill=\"{stroke}\"/>"
                    )
                }
                points => write!(
                    svg,
                    "<polyline fill=\"none\" stroke=\"{stroke}\" stroke-width=\"2\" points=\"{}\">\
                     <title>{}</title></polyline>",
                    points.join(" "),
                    escape(line.name)
                ),
            };
        }
    }
    let keys: Vec<(usize, &str)> = all.iter().map(|line| (line.colour, line.name)).collect();
    figure_html(title, help, &keys, TOP + HEIGHT + 24.0, &svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_contains_all_positive_values() {
        let decades = DecadeRange::around([0.02, 300.0, 0.0, f64::NAN].into_iter()).unwrap();
        assert_eq!((decades.low, decades.high), (-2.0, 3.0));
        assert_eq!(decades.ticks(), [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0]);
        assert!((decades.share(1.0) - 0.4).abs() < 1e-12);
        assert_eq!((decades.share(0.0), decades.share(1e9)), (0.0, 1.0));
        assert!(DecadeRange::around([0.0].into_iter()).is_none());
        let wide = DecadeRange::around([1e-9, 1e9].into_iter()).unwrap();
        assert_eq!(wide.ticks(), [-9.0, -6.0, -3.0, 0.0, 3.0, 6.0, 9.0]);
    }

    #[test]
    fn power_labels_are_short() {
        let written: Vec<String> = [-5.0, -3.0, -1.0, 0.0, 1.0, 4.0, 7.0]
            .map(power_label)
            .to_vec();
        assert_eq!(written.join(" "), "1e−5 0.001 0.1 1 10 10000 1e7");
    }

    #[test]
    fn a_line_has_a_gap_where_a_value_is_missing() {
        let line = PlotLine {
            colour: 1,
            name: "a<b",
            values: vec![Some(1.0), Some(10.0), None, Some(100.0)],
        };
        let html = lines("t", "h", "steps", PlotScale::Log, &[line]);
        assert_eq!(html.matches("<polyline").count(), 1);
        assert_eq!(html.matches("r=\"3\"").count(), 1);
        assert!(!html.contains("a<b"));
        let empty = PlotLine {
            colour: 0,
            name: "",
            values: vec![None],
        };
        assert_eq!(lines("t", "h", "steps", PlotScale::Log, &[empty]), "");
    }
}
