//! The page on a suite: success of each policy by scenario, tables, and all metrics folded. It
//! needs no script.

use std::fmt::Write as _;

use super::html::{arm, collapsible_section, escape, section, table};
use evenkeel_runs::eval::{EvalMetric, SuiteCell, SuiteReport};
use evenkeel_runs::telemetry::format::{ABSENT, counted, number, percent};

/// Renders the page on the results of policies in a suite: one HTML file that works offline.
pub fn render_suite(report: &SuiteReport) -> String {
    let names: Vec<&str> = report.policies.iter().map(String::as_str).collect();
    let body = [
        header(report, &names),
        success_plot(report, &names),
        difficulty_table(report, &names),
        scenarios(report, &names),
        MEASURED.to_owned(),
    ]
    .concat();
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><title>{}</title><style>{}</style></head>\
         <body>{body}</body></html>\n",
        escape(&report.title),
        include_str!("../../../../assets/report/report.css"),
    )
}

fn header(report: &SuiteReport, names: &[&str]) -> String {
    let episodes: u64 = report.scenarios.iter().map(|one| one.episodes).sum();
    let policies = names.iter().map(|name| arm(name, names));
    let scenarios = report.scenarios.len();
    format!(
        "<header><p class=\"kicker\">evenkeel suite <b>{}</b></p><h1>{}</h1>\
         <p class=\"finding\">{}</p><p class=\"meta\">{}, {} for \
         each policy, seed {}; their layouts are frozen.</p></header><main>",
        escape(&report.suite),
        escape(&headline(report)),
        policies.collect::<Vec<_>>().join(" · "),
        counted(scenarios, "scenario"),
        counted(episodes, "held-out episode"),
        report.seed,
    )
}

/// Names the policy with the highest success in the most scenarios, unless there is a tie.
fn headline(report: &SuiteReport) -> String {
    if report.policies.len() == 1 {
        return format!("{} in {}", report.policies[0], report.title);
    }
    let mut wins = vec![0; report.policies.len()];
    for row in report.cells.chunks_exact(report.policies.len()) {
        let best = row.iter().map(|cell| cell.summary.success.value);
        let best = best.fold(0.0, f64::max);
        let winners = row.iter().enumerate();
        let winners = winners.filter(|(_, cell)| cell.summary.success.value >= best);
        for (index, _) in winners {
            wins[index] += 1;
        }
    }
    let most = wins.iter().copied().max().unwrap_or(0);
    let mut first = (0..wins.len()).filter(|&index| wins[index] == most);
    match (first.next(), first.next()) {
        (Some(index), None) => format!(
            "{} arrives most often, or as often as any, in {most} of {}",
            report.policies[index],
            counted(report.scenarios.len(), "scenario")
        ),
        _ => format!(
            "{}: no policy is ahead in more scenarios than all others",
            report.title
        ),
    }
}

/// Geometry of the plot: width, ends of the axis, height of a lane and gap between scenarios.
const WIDTH: f64 = 1040.0;
const AXIS: [f64; 2] = [190.0, 940.0];
const LANE: f64 = 17.0;
const GAP: f64 = 12.0;

/// Success with its interval: one lane for each policy, grouped by scenario.
fn success_plot(report: &SuiteReport, names: &[&str]) -> String {
    let x = |share: f64| AXIS[0] + share * (AXIS[1] - AXIS[0]);
    let group = LANE * names.len() as f64 + GAP;
    let height = group * report.scenarios.len() as f64 + 28.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Success by scenario and \
         policy\">"
    );
    for tick in 0..=5 {
        let share = f64::from(tick) / 5.0;
        let at = x(share);
        let _ = write!(
            svg,
            "<line class=\"gridline\" x1=\"{at}\" x2=\"{at}\" y1=\"0\" y2=\"{}\"/><text x=\"{at}\" \
             y=\"{}\" text-anchor=\"middle\">{} %</text>",
            height - 24.0,
            height - 8.0,
            20 * tick
        );
    }
    let rows = report.cells.chunks_exact(names.len());
    for (index, (scenario, row)) in report.scenarios.iter().zip(rows).enumerate() {
        let top = group * index as f64;
        let middle = top + (group - GAP) / 2.0;
        let _ = write!(
            svg,
            "<text class=\"label\" x=\"0\" y=\"{}\" style=\"font-size:14px\">{}</text>",
            middle + 3.0,
            escape(&scenario.name)
        );
        let _ = write!(
            svg,
            "<text x=\"0\" y=\"{}\">{}</text>",
            middle + 18.0,
            escape(&scenario.difficulty)
        );
        for (lane, cell) in row.iter().enumerate() {
            let y = top + LANE * (lane as f64 + 0.5);
            let success = cell.summary.success;
            let colour = format!("var(--arm{})", lane % super::html::COLOURS);
            let _ = write!(
                svg,
                "<g><title>{}: {} ({} to {})</title><line x1=\"{}\" x2=\"{}\" y1=\"{y}\" \
                 y2=\"{y}\" stroke=\"{colour}\" stroke-width=\"5\" stroke-linecap=\"round\" \
                 opacity=\".35\"/><circle cx=\"{}\" cy=\"{y}\" r=\"4.5\" fill=\"{colour}\"/>\
                 <text x=\"{}\" y=\"{}\" style=\"fill:{colour}\">{}</text></g>",
                escape(&cell.policy),
                percent(success.value),
                percent(success.low),
                percent(success.high),
                x(success.low),
                x(success.high),
                x(success.value),
                AXIS[1] + 16.0,
                y + 4.0,
                percent(success.value),
            );
        }
    }
    let figure = format!("<figure class=\"wide\"><div class=\"plot\">{svg}</svg></div></figure>");
    section(
        "success",
        "Success by scenario",
        "Share of the held-out episodes that end at the goal, with its 95 % confidence interval. The colours \
         are those of the names above.",
        &figure,
    )
}

/// Columns of the tables by scenario and by difficulty: `(prefix of the metric's name, title)`.
const COLUMNS: [(&str, &str); 6] = [
    ("success rate", "success"),
    ("SPL", "SPL"),
    ("SCT", "SCT"),
    ("time to goal", "time, s"),
    ("ended by collision with an obstacle", "hit an obstacle"),
    ("ended by collision with a mover", "hit a mover"),
];

fn difficulty_table(report: &SuiteReport, names: &[&str]) -> String {
    let rows = report.difficulties.iter().map(|level| {
        let difficulty = escape(&level.difficulty);
        let of = format!("{difficulty}, {}", counted(level.scenarios, "scenario"));
        row(&of, &level.policy, names, &level.metrics)
    });
    section(
        "difficulty",
        "By difficulty",
        "Means over the scenarios of a difficulty, each weighing the same, with 95 % confidence intervals.",
        &table(
            "score figures",
            &head("difficulty"),
            &rows.collect::<Vec<_>>(),
        ),
    )
}

fn scenarios(report: &SuiteReport, names: &[&str]) -> String {
    let cells = report.cells.chunks_exact(names.len());
    let rows = report.cells.iter();
    let rows = rows.map(|cell| {
        row(
            &escape(&cell.scenario),
            &cell.policy,
            names,
            &cell.metrics(),
        )
    });
    let all = table(
        "score figures",
        &head("scenario"),
        &rows.collect::<Vec<_>>(),
    );
    let mut html = section("scenarios", "By scenario", "", &all);
    for (index, (scenario, row)) in report.scenarios.iter().zip(cells).enumerate() {
        let every: Vec<Vec<EvalMetric>> = row.iter().map(SuiteCell::metrics).collect();
        let mut head = vec![String::new()];
        head.extend(names.iter().map(|name| arm(name, names)));
        let rows = every[0].iter().enumerate().map(|(index, metric)| {
            let unit = match metric.unit {
                "" => String::new(),
                unit => format!("<small>{unit}</small>"),
            };
            let mut cells = vec![format!("{}{unit}", escape(&metric.name))];
            cells.extend(every.iter().map(|metrics| figure(&metrics[index])));
            cells
        });
        html += &collapsible_section(
            &format!("scenario-{index}"),
            &escape(&scenario.name),
            &format!(
                "{}; layouts <code>{}</code>",
                counted(scenario.episodes, "held-out episode"),
                scenario.layout_hash
            ),
            "All metrics",
            &table("score", &head, &rows.collect::<Vec<_>>()),
        );
    }
    html
}

fn head(first: &str) -> Vec<String> {
    let mut head = vec![first.to_owned(), "policy".to_owned()];
    head.extend(COLUMNS.map(|(_, title)| title.to_owned()));
    head
}

fn row(group: &str, policy: &str, names: &[&str], metrics: &[EvalMetric]) -> Vec<String> {
    // The first of its rows names the group.
    let group = if policy == names[0] { group } else { "" };
    let mut row = vec![group.to_owned(), arm(policy, names)];
    row.extend(COLUMNS.map(|(start, _)| {
        let metric = metrics.iter().find(|metric| metric.name.starts_with(start));
        metric.map_or(ABSENT.into(), figure)
    }));
    row
}

/// A value with its interval.
fn figure(metric: &EvalMetric) -> String {
    let write = if metric.share { percent } else { number };
    metric.average.map_or(ABSENT.into(), |average| {
        let interval = average.interval().map_or(String::new(), |[low, high]| {
            // The unit is written once: the table has many columns.
            let low = write(low).trim_end_matches(" %").to_owned();
            format!("<small>{low} to {}</small>", write(high))
        });
        format!("{}{interval}", write(average.value))
    })
}

const MEASURED: &str = "<section id=\"measured\"><h2>How it is measured</h2><details>\
    <summary>Definitions</summary><dl>\
    <dt>held out</dt><dd>Episodes that training never uses, the same for every policy. The hash of \
    their layouts is part of the suite; a build that generates other layouts refuses to evaluate.</dd>\
    <dt>95 % confidence interval</dt><dd>Wilson's for shares of episodes, the normal approximation for means. \
    By difficulty: the interval of the mean over scenarios, combined from their intervals (Zou \
    &amp; Donner 2008).</dd>\
    <dt>SPL, SoftSPL, SCT</dt><dd>Success weighted by path length, the same with progress in place \
    of success, and success weighted by the time that the shortest path takes at full speed. The \
    shortest path is exact, for the robot's radius.</dd></dl></details></section></main>";
