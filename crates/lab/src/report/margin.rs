//! The page on stability margins: the usable range of each axis by arm, as a table and as pictures.
//! It needs no script.

use std::fmt::Write as _;

use super::html::{COLOURS, arm, escape, section, sentence, table};
use crate::lab::{Margin, MarginReport};
use evenkeel_runs::telemetry::format::{counted, percent, steps};

/// Renders the page on stability margins: one HTML file that works offline.
pub fn render_margins(report: &MarginReport) -> String {
    let names: Vec<&str> = report.arms.iter().map(|arm| arm.name.as_str()).collect();
    let mut body = header(report, &names);
    body += &width_table(report, &names);
    for (index, axis) in report.axes.iter().enumerate() {
        let margins: Vec<&Margin> = report
            .margins
            .iter()
            .filter(|margin| margin.axis == axis.name)
            .collect();
        let lead = format!(
            "The axis turns {}. Above, the success at the end of training by factor: a line for the \
             mean over seeds, a dot for each run, a cross for each that failed. Below, the usable \
             range: a bar from end to end, with the 95 % confidence interval of each end; an arrow where nothing \
             fails up to the end of the axis.",
            axis.description
        );
        let figure = format!(
            "<figure class=\"wide\"><div class=\"plot\">{}</div></figure>{}",
            picture(&axis.name, &margins),
            probe_table(&margins, &names)
        );
        body += &section(
            &format!("axis-{index}"),
            &escape(&axis.name),
            &escape(&lead),
            &figure,
        );
    }
    body += MEASURED;
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><title>Margins: {}</title><style>{}</style></head>\
         <body>{body}</body></html>\n",
        escape(&report.scenario),
        include_str!("../../../../assets/report/report.css"),
    )
}

fn header(report: &MarginReport, names: &[&str]) -> String {
    let arms = names.iter().map(|name| arm(name, names));
    format!(
        "<header><p class=\"kicker\">evenkeel margins <b>{}</b></p><h1>{}</h1>\
         <p class=\"finding\">{}</p><p class=\"meta\">{} of {} steps, {} at each factor; {} were given \
         up early.</p></header><main>",
        escape(&report.scenario),
        sentence(&headline(report), names),
        arms.collect::<Vec<_>>().join(" · "),
        counted(report.runs, "run"),
        steps(report.steps as f64),
        counted(report.seeds.len(), "seed"),
        report.given_up,
    )
}

/// The largest difference between the first arm and another one, in words.
fn headline(report: &MarginReport) -> String {
    let width = |arm: usize, axis: usize| {
        let margin = &report.margins[arm * report.axes.len() + axis];
        margin.decades().filter(|_| !margin.from_zero)
    };
    let pairs =
        (1..report.arms.len()).flat_map(|arm| (0..report.axes.len()).map(move |axis| (arm, axis)));
    let differences = pairs.filter_map(|(arm, axis)| {
        let ((first, _), (other, _)) = (width(0, axis)?, width(arm, axis)?);
        Some((first - other, arm, axis))
    });
    let largest = differences.max_by(|a, b| a.0.abs().total_cmp(&b.0.abs()));
    let Some((difference, arm, axis)) = largest.filter(|largest| largest.0.abs() >= 0.15) else {
        return "The arms have the same margins".into();
    };
    let (wide, narrow) = if difference > 0.0 { (0, arm) } else { (arm, 0) };
    let text = |arm: usize| {
        let (decades, censored) = width(arm, axis).unwrap_or_default();
        format!("{}{decades:.1}", if censored { "at least " } else { "" })
    };
    format!(
        "`{}` widens the usable range of {} from {} to {} decades compared with `{}`",
        report.arms[wide].name,
        report.axes[axis].name.replace('_', " "),
        text(narrow),
        text(wide),
        report.arms[narrow].name
    )
}

/// A table of arms by axes, with the width of each usable range as colour.
fn width_table(report: &MarginReport, names: &[&str]) -> String {
    let widest = report.margins.iter().filter_map(Margin::decades);
    let widest = widest.fold(0.1, |widest: f64, (decades, _)| widest.max(decades));
    let mut head = vec!["arm".to_owned(), "success unchanged".to_owned()];
    head.extend(report.axes.iter().map(|axis| escape(&axis.name)));
    let rows = report
        .arms
        .iter()
        .zip(report.margins.chunks(report.axes.len().max(1)));
    let rows = rows.map(|(one, margins)| {
        let mut row = vec![arm(&one.name, names), percent(one.success)];
        row.extend(margins.iter().map(|margin| {
            let share = margin
                .decades()
                .map_or(0.0, |(decades, _)| decades / widest);
            let main = if margin.from_zero || margin.high.is_none() {
                margin.range_text()
            } else {
                margin.width_text()
            };
            let detail = if margin.from_zero || margin.high.is_none() {
                String::new()
            } else {
                format!("<small>{}</small>", escape(&margin.range_text()))
            };
            format!(
                "<span style=\"display:block;padding:.3em .5em;border-radius:4px;\
                 background:color-mix(in srgb,var(--arm0) {:.0}%,transparent)\">{}{detail}</span>",
                50.0 * share,
                escape(&main)
            )
        }));
        row
    });
    section(
        "widths",
        "How far each setting can be turned",
        "The width of the usable range, from where the arm learns too little to where it breaks, and \
         its ends as factors with their 95 % confidence intervals. Wider is darker.",
        &table("score", &head, &rows.collect::<Vec<_>>()),
    )
}

/// Geometry of a picture: width, left and right of the axis, top and bottom of the plot, height of a
/// lane.
const WIDTH: f64 = 1040.0;
const AXIS: [f64; 2] = [120.0, 1000.0];
const PLOT: [f64; 2] = [12.0, 250.0];
const LANE: f64 = 22.0;

/// Positions in a picture.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn x(&self, octaves: f64) -> f64 {
        let share = (octaves - self.low) / (self.high - self.low).max(1.0);
        AXIS[0] + share * (AXIS[1] - AXIS[0])
    }

    fn y(success: f64) -> f64 {
        PLOT[1] - success * (PLOT[1] - PLOT[0])
    }
}

/// Success by factor for each arm, and the usable ranges below.
fn picture(axis: &str, margins: &[&Margin]) -> String {
    let octaves = || {
        margins
            .iter()
            .flat_map(|margin| &margin.probes)
            .map(|probe| probe.octaves)
    };
    let scale = Scale {
        low: octaves().fold(0.0, f64::min) - 0.5,
        high: octaves().fold(0.0, f64::max) + 0.5,
    };
    let bottom = PLOT[1] + 34.0 + LANE * margins.len() as f64;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {bottom}\" role=\"img\" aria-label=\"Success by factor of {}\">",
        escape(axis)
    );
    grid(
        &mut svg,
        &scale,
        margins.first().is_some_and(|margin| margin.from_zero),
    );
    for (index, margin) in margins.iter().enumerate() {
        curve(&mut svg, &scale, index, margin);
        range(&mut svg, &scale, index, margin);
    }
    svg + "</svg>"
}

/// Grid lines with labels: success from 0 to 100 %, and every second octave.
fn grid(svg: &mut String, scale: &Scale, from_zero: bool) {
    for tick in 0..=4 {
        let share = f64::from(tick) / 4.0;
        let y = Scale::y(share);
        let _ = write!(
            svg,
            "<line class=\"gridline\" x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/><text x=\"{}\" \
             y=\"{}\" text-anchor=\"end\">{} %</text>",
            AXIS[0],
            AXIS[1],
            AXIS[0] - 8.0,
            y + 4.0,
            25 * tick
        );
    }
    let [low, high] = [scale.low, scale.high].map(|end| (end / 2.0).trunc() as i32);
    for tick in low..=high {
        let octaves = 2 * tick;
        let label = match octaves {
            _ if from_zero && octaves == 0 => "0".to_owned(),
            _ if from_zero => format!("2^{}", octaves - 1),
            0 => "unchanged".to_owned(),
            1.. => format!("× {}", 1_u64 << octaves),
            _ => format!("÷ {}", 1_u64 << -octaves),
        };
        let x = scale.x(f64::from(octaves));
        let _ = write!(
            svg,
            "<line class=\"gridline\" x1=\"{x}\" x2=\"{x}\" y1=\"{}\" y2=\"{}\"/><text x=\"{x}\" \
             y=\"{}\" text-anchor=\"middle\">{label}</text>",
            PLOT[0],
            PLOT[1],
            PLOT[1] + 18.0
        );
    }
}

/// The mean over seeds as a line, runs as dots, failed runs as crosses.
fn curve(svg: &mut String, scale: &Scale, index: usize, margin: &Margin) {
    let colour = format!("var(--arm{})", index % COLOURS);
    let mut points = String::new();
    for probe in &margin.probes {
        let count = probe.runs.len().max(1) as f64;
        let mean = probe.runs.iter().map(|run| run.success).sum::<f64>() / count;
        let _ = write!(
            points,
            "{:.1},{:.1} ",
            scale.x(probe.octaves),
            Scale::y(mean)
        );
    }
    let _ = write!(
        svg,
        "<polyline points=\"{points}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
    );
    for probe in &margin.probes {
        for run in &probe.runs {
            let (x, y) = (scale.x(probe.octaves), Scale::y(run.success));
            let title = format!(
                "<title>{}, seed {}: {}, {}</title>",
                escape(&margin.arm),
                run.seed,
                percent(run.success),
                run.outcome.name()
            );
            let _ = if run.outcome.fails() {
                write!(
                    svg,
                    "<path d=\"M{:.1} {:.1}l7 7m0 -7l-7 7\" stroke=\"{colour}\" \
                     stroke-width=\"1.6\">{title}</path>",
                    x - 3.5,
                    y - 3.5
                )
            } else {
                write!(
                    svg,
                    "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\" \
                     opacity=\".6\">{title}</circle>"
                )
            };
        }
    }
}

/// The usable range as a bar in the arm's lane.
fn range(svg: &mut String, scale: &Scale, index: usize, margin: &Margin) {
    let colour = format!("var(--arm{})", index % COLOURS);
    let y = PLOT[1] + 34.0 + LANE * (index as f64 + 0.5);
    let _ = write!(
        svg,
        "<text x=\"{}\" y=\"{}\" text-anchor=\"end\" style=\"fill:{colour}\">{}</text>",
        AXIS[0] - 8.0,
        y + 4.0,
        escape(&margin.arm)
    );
    let Some(high) = margin.high else { return };
    let low = margin.low;
    let left = scale.x(low.map_or(0.0, |low| low.octaves));
    let right = scale.x(high.octaves);
    let _ = write!(
        svg,
        "<g><title>{}: {}</title><line x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{y}\" y2=\"{y}\" \
         stroke=\"{colour}\" stroke-width=\"9\" opacity=\".45\"/>",
        escape(&margin.arm),
        escape(&margin.range_text())
    );
    for (end, side) in [(low, -1.0), (Some(high), 1.0)] {
        let Some(end) = end else { continue };
        let x = scale.x(end.octaves);
        let _ = if end.censored {
            write!(
                svg,
                "<path d=\"M{x:.1} {:.1}l{:.1} 7l{:.1} 7\" fill=\"none\" stroke=\"{colour}\" \
                 stroke-width=\"2\"/>",
                y - 7.0,
                7.0 * side,
                -7.0 * side
            )
        } else {
            write!(
                svg,
                "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{y}\" y2=\"{y}\" stroke=\"{colour}\" \
                 stroke-width=\"2\"/><line x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{}\" y2=\"{}\" \
                 stroke=\"{colour}\" stroke-width=\"2\"/>",
                scale.x(end.lowest),
                scale.x(end.highest),
                y - 6.0,
                y + 6.0
            )
        };
    }
    *svg += "</g>";
}

/// Every factor that was tried, with how its runs ended.
fn probe_table(margins: &[&Margin], names: &[&str]) -> String {
    let head = ["arm", "factor", "setting", "failed", "success of each seed"].map(str::to_owned);
    let mut rows = Vec::new();
    for margin in margins {
        for (index, probe) in margin.probes.iter().enumerate() {
            let name = if index == 0 {
                arm(&margin.arm, names)
            } else {
                String::new()
            };
            let failed = probe.runs.iter().filter(|run| run.outcome.fails()).count();
            let runs = probe.runs.iter().map(|run| {
                if run.outcome.fails() {
                    format!("{} ({})", percent(run.success), run.outcome.name())
                } else {
                    percent(run.success)
                }
            });
            let factor = match probe.octaves {
                _ if probe.set.is_empty() => "unchanged".to_owned(),
                octaves if octaves < 0.0 => format!("÷ {:.3}", (-octaves).exp2()),
                octaves => format!("× {:.3}", octaves.exp2()),
            };
            rows.push(vec![
                name,
                if margin.from_zero {
                    String::new()
                } else {
                    factor
                },
                escape(&probe.set.join(", ")),
                format!("{failed} of {}", probe.runs.len()),
                runs.collect::<Vec<_>>().join(", "),
            ]);
        }
    }
    format!(
        "<details><summary>All factors that were tried</summary>{}</details>",
        table("score", &head, &rows)
    )
}

const MEASURED: &str = "<section id=\"measured\"><h2>How it is measured</h2><details>\
    <summary>Definitions</summary><dl>\
    <dt>failed</dt><dd>A run that diverged, that collapsed, or whose last success on the validation \
    episodes is below half of the median that its arm reaches unchanged (for an \
    arm that fails unchanged: half of what the best arm reaches). A factor fails if at least half of \
    its runs do.</dd>\
    <dt>search</dt><dd>Doubling, then bisection to half an octave, up and down, with the same seeds at \
    every factor, to a factor of 1024 or to the last value that the setting accepts.</dd>\
    <dt>end of the range</dt><dd>The middle of a logistic curve of failure over the logarithm of the \
    factor, fitted to all runs on that side. The interval resamples seeds (percentile bootstrap), and \
    is never narrower than the last working and the first failing factor.</dd>\
    <dt>given up</dt><dd>A run whose success is, in two successive evaluations after half or three \
    quarters of the steps, below a quarter of what its arm had unchanged after as many steps. It counts as failed. With --exhaustive every \
    run goes on to its end.</dd></dl></details></section></main>";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{MarginArm, MarginAxisInfo, MarginEnd, MarginOutcome, MarginProbe, MarginRun};

    fn margin(arm: &str, low: f64, high: f64, censored: bool) -> Margin {
        let end = |octaves: f64| {
            Some(MarginEnd {
                octaves,
                lowest: octaves - 0.3,
                highest: octaves + 0.3,
                censored,
                value: None,
            })
        };
        let run = |seed, outcome, success| MarginRun {
            seed,
            outcome,
            success,
        };
        Margin {
            arm: arm.into(),
            axis: "learning_rate".into(),
            from_zero: false,
            low: end(low),
            high: end(high),
            probes: vec![MarginProbe {
                octaves: high + 0.5,
                set: vec!["train.learning_rate=0.01".into()],
                runs: vec![
                    run(1, MarginOutcome::Diverged, 0.0),
                    run(2, MarginOutcome::Works, 0.9),
                ],
            }],
        }
    }

    #[test]
    fn the_page_names_the_largest_difference_and_escapes_names() {
        let arm = |name: &str| MarginArm {
            name: name.into(),
            success: 0.9,
            target: 0.45,
        };
        let mut report = MarginReport {
            scenario: "a<b".into(),
            steps: 300_000,
            seeds: vec![1, 2],
            arms: vec![arm("clipped"), arm("raw")],
            axes: vec![MarginAxisInfo {
                name: "learning_rate".into(),
                description: "the learning rate".into(),
            }],
            margins: vec![
                margin("clipped", -4.0, 6.0, true),
                margin("raw", -4.0, 2.0, false),
            ],
            runs: 4,
            given_up: 1,
        };
        assert_eq!(
            headline(&report),
            "`clipped` widens the usable range of learning rate from 1.8 to at least 3.0 decades \
             compared with `raw`"
        );
        let page = render_margins(&report);
        assert!(page.contains("a&lt;b") && !page.contains("a<b"));
        assert!(page.contains("seed 1: 0.0 %, diverged"), "{page}");
        report.margins[1] = margin("raw", -4.0, 6.0, false);
        assert_eq!(headline(&report), "The arms have the same margins");
    }
}
