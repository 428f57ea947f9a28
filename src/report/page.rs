//! The page: verdict, scorecard, curves, trajectories, tables.

use std::fmt::Write as _;

use serde::Serialize;

use super::charts::{Chart, charts};
use super::html::{arm, escape, json, sentence, table};
use super::traces::{Episode, episodes};
use crate::lab::format::{ABSENT, duration, percent, plural, points, signed_number, steps};
use crate::lab::{Cell, Paired, RunRecord, Scorecard, Spread, Verdict, by_arm, reason, rows};
use crate::stats::Finding;

/// An arm's interquartile mean, its interval where there are seeds enough, and `(seed, success)`
/// of each run.
type ArmSuccess = (Option<f64>, Option<[f64; 2]>, Vec<(u64, f64)>);

/// What `report.js` reads.
#[derive(Serialize)]
struct Data<'a> {
    arms: Vec<&'a str>,
    /// `[arms]`.
    success: Vec<ArmSuccess>,
    charts: Vec<Chart>,
    episodes: Vec<Episode>,
}

pub(super) fn page(
    runs: &[RunRecord],
    order: &[String],
    card: &Scorecard,
    verdict: &Verdict,
) -> String {
    let arms = by_arm(runs, order);
    let names: Vec<&str> = arms.iter().map(|(name, _)| *name).collect();
    let (learning, stability) = charts(&arms);
    let episodes = episodes(&arms);
    let scenario = escape(&card.scenarios.join(", "));
    let title = format!("{scenario}: {}", escape(&verdict.headline.replace('`', "")));

    let mut body = header(runs, card, verdict, &scenario, &names);
    body += &scorecard_section(card, &names);
    body += &chart_section("learning", "Learning", LEARNING, learning.len(), 0);
    body += &trajectories_section(episodes.len());
    body += &chart_section(
        "stability",
        "Stability",
        STABILITY,
        stability.len(),
        learning.len(),
    );
    body += &accidents_section(card, &names);
    body += &settings_section(card, &names);
    body += &runs_section(runs, &names);
    body += MEASURED;

    let data = Data {
        success: card
            .arms
            .iter()
            .map(|arm| {
                let seeds = arm
                    .runs
                    .iter()
                    .filter_map(|run| Some((run.seed, run.success?)));
                let interval = arm.success.and_then(|success| success.interval());
                let middle = arm.success.map(|success| success.value);
                (middle, interval, seeds.collect())
            })
            .collect(),
        arms: names,
        charts: learning.into_iter().chain(stability).collect(),
        episodes,
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><title>{title}</title><style>{}</style></head>\
         <body>{body}{}<script>{}</script></body></html>\n",
        include_str!("report.css"),
        json("data", &data),
        include_str!("report.js"),
    )
}

const LEARNING: &str = "Over the environment steps of training: the interquartile mean over seeds, its \
    95 % interval as a band where there are at least five, and each run as a thin line. A cross marks a divergence.";
const STABILITY: &str = "What the optimiser went through. Lines and bands as above, where nothing else \
    is said.";

fn header(
    runs: &[RunRecord],
    card: &Scorecard,
    verdict: &Verdict,
    scenario: &str,
    names: &[&str],
) -> String {
    let seeds = card.seeds();
    let budget = runs.iter().map(RunRecord::budget).max().unwrap_or(0);
    let wall: f64 = runs.iter().map(|run| run.info.wall_secs).sum();
    let mut html = format!(
        "<header><p class=\"kicker\">evenkeel <b>{scenario}</b></p><h1>{}</h1>",
        sentence(&verdict.headline, names)
    );
    for finding in &verdict.findings {
        let _ = write!(
            html,
            "<p class=\"finding\">{}</p>",
            sentence(finding, names)
        );
    }
    html += "<h2 class=\"why\">What the logs say about why</h2><ul class=\"reasons\">";
    for reason in &verdict.reasons {
        let _ = write!(html, "<li>{}</li>", sentence(reason, names));
    }
    let _ = write!(
        html,
        "</ul><p class=\"meta\">{} run{}: {} arm{}, up to {seeds} seed{} each, up to {} environment steps \
         a run, {} of training in all.</p></header>",
        runs.len(),
        plural(runs.len()),
        names.len(),
        plural(names.len()),
        plural(seeds),
        steps(budget as f64),
        duration(wall),
    );
    html += "<nav id=\"legend\" aria-label=\"Arms\"></nav>";
    html + "<noscript><p class=\"note\">The charts and the trajectories need JavaScript; it is \
            inside this file, nothing is fetched.</p></noscript><main>"
}

fn section(id: &str, title: &str, lead: &str, inner: &str) -> String {
    format!("<section id=\"{id}\"><h2>{title}</h2><p class=\"lead\">{lead}</p>{inner}</section>")
}

fn chart_section(id: &str, title: &str, lead: &str, count: usize, first: usize) -> String {
    if count == 0 {
        return String::new();
    }
    let figures: String = (first..first + count).fold(String::new(), |mut html, index| {
        let _ = write!(
            html,
            "<figure class=\"chart\" data-chart=\"{index}\"></figure>"
        );
        html
    });
    section(
        id,
        title,
        lead,
        &format!("<div class=\"charts\">{figures}</div>"),
    )
}

fn trajectories_section(count: usize) -> String {
    if count == 0 {
        return String::new();
    }
    section(
        "trajectories",
        "What the robots did",
        "The same held-out episodes for every arm, driven by the deterministic policy. Choose an \
         episode, press play, or drag the slider.",
        "<div id=\"player\"></div>",
    )
}

fn scorecard_section(card: &Scorecard, names: &[&str]) -> String {
    let mut inner = String::from("<figure id=\"dots\"></figure>");
    let mut head = vec![String::new()];
    head.extend(names.iter().map(|name| arm(name, names)));
    let rows: Vec<Vec<String>> = rows(card)
        .iter()
        .map(|row| {
            let mut cells = vec![row.name.to_owned()];
            cells.extend(row.cells.iter().map(cell));
            cells
        })
        .collect();
    inner += &table("score", &head, &rows);
    if !card.differences.is_empty() {
        inner += "<h3>Differences, paired by seed</h3>";
        inner += &differences_table(card, names);
    }
    section(
        "scorecard",
        "Scorecard",
        "Interquartile means over seeds with 95 % bootstrap intervals; under five seeds, the runs \
         themselves. Shares of runs with Wilson's 95 % intervals.",
        &inner,
    )
}

/// A figure with its interval beneath, or the figures of its runs where those are few.
fn cell(cell: &Cell) -> String {
    let mut html = cell.figure.clone();
    let mut beneath = |text: String| {
        let _ = write!(html, "<small>{text}</small>");
    };
    if let Some([some, all]) = cell.runs {
        beneath(format!("{some} of {all} runs"));
    }
    match &cell.spread {
        Spread::Untold => {}
        Spread::Interval([low, high]) => beneath(format!("{low} to {high}")),
        Spread::Runs(runs) => beneath(format!("runs: {}", runs.join(", "))),
    }
    html
}

fn differences_table(card: &Scorecard, names: &[&str]) -> String {
    let head = [
        "",
        "success, points",
        "return",
        "success over training, points",
        "beats it",
        "finding",
    ]
    .map(str::to_owned);
    let rows: Vec<Vec<String>> = card
        .differences
        .iter()
        .map(|difference| {
            let pair = format!(
                "{} − {}",
                arm(&difference.arm, names),
                arm(&difference.other, names)
            );
            vec![
                pair,
                paired(difference.success, points),
                paired(difference.episodic_return, signed_number),
                paired(difference.area_under_curve, points),
                difference
                    .success
                    .map_or(ABSENT.into(), |p| percent(p.probability_greater.value)),
                difference.success.map_or("none".into(), |p| finding(&p)),
            ]
        })
        .collect();
    table("score", &head, &rows)
}

fn paired(paired: Option<Paired>, write: fn(f64) -> String) -> String {
    let Some(paired) = paired else {
        return ABSENT.into();
    };
    let value = write(paired.difference.value);
    let Some(interval) = paired.difference.interval() else {
        let (seeds, s) = (paired.seeds, plural(paired.seeds));
        return format!("{value}<small>{seeds} pair{s}</small>");
    };
    let [low, high] = interval.map(write);
    format!("{value}<small>{low} to {high}</small>")
}

fn finding(paired: &Paired) -> String {
    let seeds = paired.seeds;
    match paired.finding {
        Finding::TooFewSeeds => format!("too few seeds ({seeds})"),
        Finding::NoDifference => format!("no difference found with {seeds} seeds"),
        Finding::Higher => format!("higher, {seeds} seeds"),
        Finding::Lower => format!("lower, {seeds} seeds"),
    }
}

fn accidents_section(card: &Scorecard, names: &[&str]) -> String {
    let mut rows = Vec::new();
    for score in &card.arms {
        for run in &score.runs {
            let who = arm(&score.arm, names);
            let seed = run.seed.to_string();
            if let Some(diverged) = run.diverged {
                rows.push(vec![
                    who.clone(),
                    seed.clone(),
                    "diverged".into(),
                    steps(diverged.global_step as f64),
                    format!(
                        "optimiser step {}: {}",
                        diverged.optimiser_step,
                        reason(diverged.reason)
                    ),
                ]);
            }
            if let Some(collapsed) = run.collapsed {
                rows.push(vec![
                    who,
                    seed,
                    "collapsed".into(),
                    steps(collapsed.global_step as f64),
                    format!(
                        "from {} to {}",
                        percent(collapsed.best),
                        percent(collapsed.lowest)
                    ),
                ]);
            }
        }
    }
    if rows.is_empty() {
        let inner = "<p class=\"empty\">Nothing: no run diverged or collapsed.</p>";
        return section("accidents", "What diverged or collapsed", ACCIDENTS, inner);
    }
    let head = ["arm", "seed", "what", "after steps", "seen"].map(str::to_owned);
    section(
        "accidents",
        "What diverged or collapsed",
        ACCIDENTS,
        &table("plain", &head, &rows),
    )
}

const ACCIDENTS: &str = "A run has diverged when a loss, gradient or weight is not finite or the \
    weights have grown a hundredfold; it has collapsed when evaluation success stays below half \
    of its best for a tenth of the budget.";

fn settings_section(card: &Scorecard, names: &[&str]) -> String {
    if card.arms.len() < 2 {
        return String::new();
    }
    let lead = "Every key of the configurations in which the arms differ; all others are equal.";
    if card.settings.is_empty() {
        let inner = "<p class=\"empty\">None: the arms are configured alike.</p>";
        return section("settings", "What the arms differ in", lead, inner);
    }
    let mut head = vec!["setting".to_owned()];
    head.extend(names.iter().map(|name| arm(name, names)));
    let rows: Vec<Vec<String>> = card
        .settings
        .iter()
        .map(|setting| {
            let mut row = vec![format!("<code>{}</code>", escape(&setting.path))];
            row.extend(setting.values.iter().map(|value| match value {
                Some(value) => format!("<code>{}</code>", escape(value)),
                None => ABSENT.into(),
            }));
            row
        })
        .collect();
    section(
        "settings",
        "What the arms differ in",
        lead,
        &table("plain", &head, &rows),
    )
}

fn runs_section(runs: &[RunRecord], names: &[&str]) -> String {
    let head = [
        "run",
        "arm",
        "seed",
        "status",
        "steps",
        "wall clock",
        "success",
    ]
    .map(str::to_owned);
    let rows: Vec<Vec<String>> = runs
        .iter()
        .map(|run| {
            vec![
                format!("<code>{}</code>", escape(&run.name)),
                arm(&run.info.arm, names),
                run.info.seed.to_string(),
                run.info.status.name().into(),
                steps(run.info.global_step as f64),
                duration(run.info.wall_secs),
                run.final_success().map_or(ABSENT.into(), percent),
            ]
        })
        .collect();
    let mut inner = table("plain", &head, &rows);
    if let Some(info) = runs.first().map(|run| &run.info) {
        let libtorch = info.versions.libtorch.as_deref().unwrap_or("none");
        let cpu = info.machine.cpu.as_deref().unwrap_or(&info.machine.arch);
        let _ = write!(
            inner,
            "<p class=\"meta\">evenkeel {}, libtorch {}; {} on {} core{}. The first of them: \
             <code>{}</code></p>",
            escape(&info.versions.evenkeel),
            escape(libtorch),
            escape(cpu),
            info.machine.cores,
            plural(info.machine.cores),
            escape(&info.command_line.join(" ")),
        );
    }
    let inner = format!(
        "<details><summary>All {} runs</summary>{inner}</details>",
        runs.len()
    );
    section("runs", "Runs", "Where each figure comes from.", &inner)
}

const MEASURED: &str = "<section id=\"measured\"><h2>How it is measured</h2><details>\
    <summary>Definitions</summary><dl>\
    <dt>success, return, held out</dt><dd>Deterministic policy of the best checkpoint over frozen \
    episodes that neither training nor the choice of the checkpoint has seen. A diverged run \
    stays in the sample with success 0 and with the return of uniformly random actions in the same \
    episodes.</dd>\
    <dt>interquartile mean, 95 % interval</dt><dd>The mean without the lowest and the highest \
    quarter of the seeds, and a stratified percentile bootstrap over seeds (Agarwal et al. \
    2021).</dd>\
    <dt>difference</dt><dd>Mean over seeds of one arm less the other with the same seed: same \
    initial weights, same episodes. Where its 95 % bootstrap interval contains 0, no difference \
    was found; under five seeds nothing is claimed.</dd>\
    <dt>beats it</dt><dd>The chance that a run of the one arm has the higher success than a run \
    of the other, ties counting half.</dd>\
    <dt>success over all of training</dt><dd>Area under the curve of evaluation success over the \
    step budget: high where learning was fast and lasted.</dd>\
    <dt>gradient norm</dt><dd>Global norm over all parameters of every optimiser step, before any \
    clip.</dd>\
    <dt>success weighted by path length</dt><dd>Mean of S · l / max(p, l), with l the shortest \
    path for the robot's radius and p the path driven (Anderson et al. 2018).</dd></dl></details>\
    </section></main>";
