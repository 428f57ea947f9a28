//! The page around its parts: the verdict on top, and what the figures mean at the end.

use std::fmt::Write as _;

use std::path::Path;

use serde::Serialize;

use super::html::{escape, json_script, sentence};
use super::scenario_section::{ScenarioData, ScenarioSection};
use super::{ArmRuns, tables};
use crate::lab::{Assessment, RunRecord, Scorecard, Verdict, by_arm, by_scenario};
use evenkeel_runs::telemetry::format::{duration, plural, steps};

/// The page's scripts, in the order in which they need each other; one module in the page.
const SCRIPTS: [&str; 9] = [
    include_str!("../../../../assets/report/core.js"),
    include_str!("../../../../assets/report/lines.js"),
    include_str!("../../../../assets/report/heat_map.js"),
    include_str!("../../../../assets/report/histogram.js"),
    include_str!("../../../../assets/report/survival.js"),
    include_str!("../../../../assets/report/sweep.js"),
    include_str!("../../../../assets/report/success_dots.js"),
    include_str!("../../../../assets/report/player.js"),
    include_str!("../../../../assets/report/page.js"),
];

/// Findings that are read at once, and reasons; there are more where there are many arms.
const FINDINGS: usize = 4;
const REASONS: usize = 12;

/// What the scripts read.
#[derive(Serialize)]
struct Data<'a> {
    /// All arms, whichever scenario they were run in.
    arms: &'a [&'a str],
    /// One for each scenario, in the order of the elements that say `data-part`.
    scenarios: Vec<ScenarioData>,
}

pub(super) fn page(runs: &[RunRecord], order: &[String], folder: &Path) -> String {
    let all: Vec<&RunRecord> = runs.iter().collect();
    let names: Vec<&str> = by_arm(&all, order).iter().map(|(name, _)| *name).collect();
    let order: Vec<String> = names.iter().map(ToString::to_string).collect();
    let parts: Vec<ScenarioSection> = by_scenario(runs)
        .iter()
        .enumerate()
        .map(|(index, (scenario, runs))| ScenarioSection {
            index,
            assessment: Assessment::new(scenario, runs, &order),
            arms: by_arm(runs, &order)
                .into_iter()
                .map(|(name, runs)| {
                    let index = names.iter().position(|arm| *arm == name);
                    let index = index.expect("every run's arm is among all arms");
                    ArmRuns { index, name, runs }
                })
                .collect(),
            all: runs.clone(),
        })
        .collect();

    let mut body = header(runs, &parts, &names);
    let mut data = Vec::new();
    for part in &parts {
        let (html, drawn) = part.render(parts.len() > 1, &names, folder);
        body += &html;
        data.push(drawn);
    }
    body += &tables::runs(runs, &names);
    body += MEASURED;
    let data = Data {
        arms: &names,
        scenarios: data,
    };
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <link rel=\"icon\" href=\"data:,\"><title>{}</title><style>{}</style></head>\
         <body>{body}{}<script type=\"module\">{}</script></body></html>\n",
        title(&parts),
        include_str!("../../../../assets/report/report.css"),
        json_script("data", &data),
        SCRIPTS.concat(),
    )
}

fn title(parts: &[ScenarioSection]) -> String {
    let names: Vec<String> = parts.iter().map(|part| escape(part.scenario())).collect();
    match parts {
        [only] => {
            let headline = only.assessment.verdict.headline.replace('`', "");
            format!("{}: {}", names[0], escape(&headline))
        }
        _ => format!("evenkeel: {}", names.join(", ")),
    }
}

/// The top of the page: of one scenario the verdict itself, of several the headline of each.
fn header(runs: &[RunRecord], parts: &[ScenarioSection], names: &[&str]) -> String {
    let mut html = String::from("<header>");
    if let [only] = parts {
        let verdict = &only.assessment.verdict;
        let _ = write!(
            html,
            "<p class=\"kicker\">evenkeel <b>{}</b></p><h1>{}</h1>{}",
            escape(only.scenario()),
            sentence(&verdict.headline, names),
            verdict_details(verdict, names)
        );
    } else {
        let _ = write!(
            html,
            "<p class=\"kicker\">evenkeel</p><h1>{} scenarios, each by itself</h1>\
             <ul class=\"verdicts\">",
            parts.len()
        );
        for part in parts {
            let _ = write!(
                html,
                "<li><a href=\"#{}\">{}</a>: {}</li>",
                part.id("scenario"),
                escape(part.scenario()),
                sentence(&part.assessment.verdict.headline, names)
            );
        }
        html += "</ul>";
    }
    let cards = || parts.iter().map(|part| &part.assessment.scorecard);
    let seeds = cards().map(Scorecard::seeds).max().unwrap_or(0);
    let budget = runs.iter().map(RunRecord::budget).max().unwrap_or(0);
    let wall: f64 = runs.iter().map(|run| run.info.wall_secs).sum();
    let _ = write!(
        html,
        "<p class=\"meta\">{} run{}: {} arm{}, up to {seeds} seed{} each, up to {} environment \
         steps a run, {} of training in all.{}</p></header>",
        runs.len(),
        plural(runs.len()),
        names.len(),
        plural(names.len()),
        plural(seeds),
        steps(budget as f64),
        duration(wall),
        escape(&optimiser_text(runs)),
    );
    html += "<nav id=\"legend\" aria-label=\"Arms\"></nav>";
    html + "<noscript><p class=\"note\">The charts and the trajectories need JavaScript; it is \
            inside this file, nothing is fetched.</p></noscript><main>"
}

/// ` Optimiser sgd, learning rate 0.3.`, where all runs have the same; those of a sweep are told
/// elsewhere.
fn optimiser_text(runs: &[RunRecord]) -> String {
    let of = |run: &RunRecord| {
        let train = run.config.get("train")?.as_table()?;
        let optimiser = train.get("optimiser")?.as_table()?.keys().next()?.clone();
        Some((optimiser, train.get("learning_rate")?.to_string()))
    };
    let mut told = runs.iter().map(of);
    match told.next().flatten() {
        Some(first) if told.all(|other| other.as_ref() == Some(&first)) => {
            format!(" Optimiser {}, learning rate {}.", first.0, first.1)
        }
        _ => String::new(),
    }
}

/// What is beneath a headline: findings and reasons.
pub(super) fn verdict_details(verdict: &Verdict, names: &[&str]) -> String {
    let finding = |finding: &String| {
        let finding = sentence(finding, names);
        format!("<p class=\"finding\">{finding}</p>")
    };
    let reason = |reason: &String| format!("<li>{}</li>", sentence(reason, names));
    let reasons = |reasons: &[String]| {
        let reasons: String = reasons.iter().map(reason).collect();
        format!("<ul class=\"reasons\">{reasons}</ul>")
    };
    let findings = |findings: &[String]| findings.iter().map(finding).collect();
    let mut html = first_few_then_details(&verdict.findings, FINDINGS, "findings", findings);
    html += "<h2 class=\"why\">What the logs say about why</h2>";
    html + &first_few_then_details(&verdict.reasons, REASONS, "reasons", reasons)
}

/// The first few of some sentences, and the others behind a fold.
fn first_few_then_details(
    all: &[String],
    most: usize,
    what: &str,
    write: impl Fn(&[String]) -> String,
) -> String {
    let (shown, more) = all.split_at(most.min(all.len()));
    let shown = write(shown);
    if more.is_empty() {
        return shown;
    }
    let (count, more) = (more.len(), write(more));
    format!("{shown}<details><summary>{count} more {what}</summary>{more}</details>")
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
    <dt>beats the other</dt><dd>The chance that a run of the one arm has the higher success than a run \
    of the other, ties counting half.</dd>\
    <dt>success over all of training</dt><dd>Area under the curve of evaluation success over the \
    step budget: high where learning was fast and lasted.</dd>\
    <dt>gradient norm</dt><dd>Global norm over all parameters of every optimiser step, before any \
    clip.</dd>\
    <dt>success weighted by path length</dt><dd>Mean of S · l / max(p, l), with l the shortest \
    path for the robot's radius and p the path driven (Anderson et al. 2018).</dd></dl></details>\
    </section></main>";
